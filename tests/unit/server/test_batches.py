"""Batches of the server, without a server: their bounds, and requests that nobody waits for."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from cxr_rewards.server.batches import Batches, QueueFullError
from cxr_rewards.types import Case, Score


class Recorder:
    """In place of a reward: notes the texts of each batch."""

    def __init__(self):
        self.batches = []

    def parts(self, cases, is_gone):
        self.batches.append([case.candidate for case in cases])
        return [(Score(float(len(case.candidate))),) for case in cases]


METRICS = SimpleNamespace(queue=SimpleNamespace(set=lambda waiting: None), observe=lambda *_: None)


def case(text):
    return Case(candidate=text, reference="")


def run(work, **options):
    """Run a coroutine on batches; returns its result and the batches that were scored."""
    recorder = Recorder()

    async def main():
        batches = Batches(recorder, METRICS, **{"wait_s": 0.01, **options})
        try:
            return await work(batches)
        finally:
            await batches.close()

    return asyncio.run(main()), recorder.batches


async def together(batches, *requests):
    return await asyncio.gather(*(batches.parts([case(text) for text in request], 10.0) for request in requests))


def test_requests_that_come_together_are_one_batch_and_each_gets_its_own():
    answers, batches = run(lambda b: together(b, ["a", "bb"], ["ccc"]))
    assert batches == [["a", "bb", "ccc"]]
    assert [[score.value for (score,) in parts] for parts in answers] == [[1.0, 2.0], [3.0]]


def test_a_batch_ends_at_its_number_of_cases_and_cuts_no_request():
    _, batches = run(lambda b: together(b, ["a"], ["b", "c"], ["d"], ["e", "f", "g", "h"]), batch_cases=3)
    assert batches == [["a", "b", "c"], ["d"], ["e", "f", "g", "h"]]


def test_a_batch_ends_at_its_number_of_tokens():
    long = "x" * 40
    _, batches = run(lambda b: together(b, [long], [long], [long], [long * 9]), batch_tokens=20)
    assert batches == [[long, long], [long], [long * 9]]


def test_a_request_whose_time_has_passed_is_not_scored():
    async def late(batches):
        asked = asyncio.create_task(batches.parts([case("late")], 0.01))
        await asyncio.sleep(0)
        time.sleep(0.05)  # the server is busy
        with pytest.raises(TimeoutError):
            await asked

    assert run(late, wait_s=0) == (None, [])


def test_a_request_beyond_the_queue_is_refused_and_a_lone_large_one_is_not():
    async def crowd(batches):
        first = asyncio.create_task(batches.parts([case(str(i)) for i in range(5)], 10.0))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await batches.parts([case("more")], 10.0)
        return await first

    answers, batches = run(crowd, queue_cases=3)
    assert (len(answers), batches) == (5, [["0", "1", "2", "3", "4"]])
