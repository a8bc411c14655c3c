"""How many requests an address gets at once, and the limits of rate, by a clock of the tests'."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time

import pytest
from tests.judge_server import ScriptedJudge, completion

from cxr_rewards import Case, CompositeReward
from cxr_rewards.core.usage import LEDGER
from cxr_rewards.judges import asking, limits, pace
from cxr_rewards.judges.client import close_judges, tallies
from cxr_rewards.judges.pace import Pace
from cxr_rewards.judges.protocols.chexprompt import Chexprompt


@pytest.fixture(autouse=True)
def closed():
    LEDGER.clear()
    yield
    close_judges()


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        for module in (pace, limits):
            monkeypatch.setattr(module, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def round_trip(subject, clock, seconds):
    """Send as many as there is room for, and let all be answered after so long; return how many they were."""
    numbers = []
    while subject.has_room:
        numbers.append(subject.begin())
    clock.now += seconds
    for number in numbers:
        subject.answered(number)
        subject.end(number)
    return len(numbers)


def test_it_starts_low_and_triples_up_to_the_most(clock):
    subject = Pace(64, 120.0)
    assert [round_trip(subject, clock, 1.0) for _ in range(6)] == [2, 6, 18, 54, 64, 64]


def test_a_time_out_halves_it_once_for_all_that_were_under_way_and_it_rises_slowly(clock):
    subject = Pace(64, 120.0)
    for _ in range(5):
        round_trip(subject, clock, 1.0)
    numbers = [subject.begin() for _ in range(64)]
    clock.now += 120.0
    for number in numbers[:3]:
        subject.refused(number, 0.0)
    assert subject.limit == 44  # 64 less 30 %
    for number in numbers:
        subject.end(number)
    grown = [round_trip(subject, clock, 1.0) for _ in range(3)]
    assert grown[0] == 44
    assert grown[1] - grown[0] in (3, 4, 5)  # a sixteenth of 64
    assert grown[2] - grown[1] in (3, 4, 5)


def test_a_time_out_lowers_it_to_what_is_answered_in_half_the_time(clock):
    subject = Pace(64, 10.0)
    for _ in range(4):
        round_trip(subject, clock, 1.0)
    many = [subject.begin() for _ in range(54)]
    clock.now += 10.0
    subject.timed_out(many[0])
    assert subject.limit == int(subject.rate * 10.0 / 2) < 32


@pytest.mark.parametrize(("seconds", "expected"), [(20.0, "grows"), (40.0, "stays"), (70.0, "falls")])
def test_slow_answers_stop_the_rise_or_lower_it(clock, seconds, expected):
    subject = Pace(64, 120.0)
    round_trip(subject, clock, 1.0)
    before = subject.limit
    round_trip(subject, clock, seconds)
    assert {"grows": subject.limit > before, "stays": subject.limit == before, "falls": subject.limit < before}[
        expected
    ]


def test_nothing_is_sent_while_the_server_asks_to_wait_but_never_longer_than_a_minute(clock):
    subject = Pace(64, 120.0)
    number = subject.begin()
    subject.refused(number, 30.0)
    subject.end(number)
    assert not subject.has_room
    clock.now += 30.0
    assert subject.has_room
    number = subject.begin()
    subject.refused(number, 1e9)
    subject.end(number)
    clock.now += 60.0
    assert subject.has_room


def test_time_outs_in_a_row_of_one_at_a_time_are_spaced_out(clock):
    subject = Pace(1, 10.0)
    for seconds in (0.0, 5.0, 10.0, 20.0):
        number = subject.begin()
        clock.now += 10.0
        subject.timed_out(number)
        subject.end(number)
        clock.now += seconds - 0.1
        assert subject.has_room == (seconds == 0.0)
        clock.now += 0.2
        assert subject.has_room


def test_an_answer_ends_a_row_of_time_outs(clock):
    subject = Pace(1, 10.0)
    for ending in (subject.timed_out, subject.answered, subject.timed_out):
        number = subject.begin()
        clock.now += 1.0
        ending(number)
        subject.end(number)
    assert subject.has_room


def test_it_rises_only_where_it_was_reached(clock):
    subject = Pace(64, 120.0)
    for _ in range(5):
        number = subject.begin()  # one at a time, of the two that are allowed
        clock.now += 1.0
        subject.answered(number)
        subject.end(number)
    assert subject.limit == 2


def test_a_question_to_be_sent_again_goes_before_new_ones():
    def respond(request):
        if request.number == 1:
            return (503, {"error": "busy"})
        time.sleep(0.02)
        return completion()

    with ScriptedJudge(respond) as judge:
        component = Chexprompt(model="m", base_url=judge.url, concurrency=8, timeout_s=5.0)
        CompositeReward([component]).score_batch(cases(60))
    again = judge.requests[1].text
    at = [request.number for request in judge.requests if request.text == again]
    assert len(at) == 2
    assert at[1] < 40


def test_a_server_lags_if_what_is_under_way_takes_too_long_at_its_rate(clock):
    subject = Pace(4, 120.0)
    numbers = [subject.begin() for _ in range(2)]
    clock.now += 30.0
    assert subject.lags  # nothing came
    subject.answered(numbers[0])
    subject.end(numbers[0])
    assert subject.rate == pytest.approx(1 / 30)
    assert not subject.lags  # one left, at two a minute
    for _ in range(3):
        subject.begin()
    assert subject.lags
    assert str(subject).startswith("2 answers a minute, 4 requests under way, the oldest for 30 s")


def test_rates_are_corrected_by_what_was_really_used(monkeypatch):
    now, slept = [0.0], []
    monkeypatch.setattr(limits, "monotonic", lambda: now[0])

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(limits.asyncio, "sleep", sleep)
    rate = limits.Rate(60)  # one a second
    for correction in (0.0, 4.0, -3.0):
        asyncio.run(rate.take(2))
        rate.correct(correction)
    asyncio.run(rate.take(1))
    assert slept == [0.0, 2.0, 8.0, 7.0]


def cases(count):
    return [Case(candidate=f"Small left effusion. Film {i}.", reference="Left effusion.") for i in range(count)]


def test_tokens_that_were_really_used_set_the_pace_of_a_run():
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    with ScriptedJudge(lambda _: completion(usage=usage)) as judge:
        component = Chexprompt(model="m", base_url=judge.url, tokens_per_minute=20_000, concurrency=1)
        start = time.monotonic()
        CompositeReward([component]).score_batch(cases(10))
        took_s = time.monotonic() - start
    assert took_s < 15  # guessed at 900 each, they would take 24 s


def test_a_judge_that_works_on_one_request_at_a_time_scores_all_rows_without_a_storm(caplog, monkeypatch):
    monkeypatch.setattr(asking, "_WATCH_S", 0.5)
    work: queue.Queue[threading.Event] = queue.Queue()

    def serve():
        while True:
            finished = work.get()
            time.sleep(0.2)
            finished.set()

    threading.Thread(target=serve, daemon=True).start()

    def respond(_):
        finished = threading.Event()
        work.put(finished)  # in order; what nobody waits for any more is worked on all the same
        finished.wait()
        return completion()

    with ScriptedJudge(respond) as judge, caplog.at_level(logging.WARNING):
        component = Chexprompt(model="m", base_url=judge.url, timeout_s=2.0, deadline_s=90.0)
        results = CompositeReward([component]).score_batch(cases(25))
        (tally,) = tallies().values()
    assert {result.reasons for result in results} == {""}
    assert len(judge.requests) <= 35
    assert tally.in_flight == 0


def test_a_judge_that_cannot_keep_up_is_reported(caplog, monkeypatch):
    monkeypatch.setattr(asking, "_WATCH_S", 0.2)

    def respond(_):
        time.sleep(1.0)
        return completion()

    with ScriptedJudge(respond) as judge, caplog.at_level(logging.WARNING):
        CompositeReward([Chexprompt(model="m", base_url=judge.url, timeout_s=1.5)]).score_batch(cases(2))
    (record,) = caplog.records
    assert "judge m is slow" in record.getMessage()
    assert "raise it, or set concurrency" in record.getMessage()


def test_a_time_out_says_what_was_seen_and_what_to_set():
    def respond(_):
        time.sleep(1.0)
        return completion()

    with ScriptedJudge(respond) as judge:
        component = Chexprompt(model="m", base_url=judge.url, timeout_s=0.2, deadline_s=0.5)
        (result,) = CompositeReward([component]).score_batch(cases(1))
    assert "no answer within timeout_s = 0.2 (0 answers a minute, 1 requests under way" in result.reasons
    assert "set concurrency" in component.score("x", "y").failure.error or "raise timeout_s" in result.reasons
