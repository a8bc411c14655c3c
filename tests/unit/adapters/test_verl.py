"""verl's function without verl: keys, numbers for the unscored, samples joined into batches."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import warnings

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.adapters import openrlhf, verl
from cxr_rewards.adapters.coalesce import Coalescer
from cxr_rewards.adapters.samples import Samples
from cxr_rewards.core.component import Component
from cxr_rewards.errors import ConfigError
from cxr_rewards.types import Failure, Score

OPTIONS = {"config": "rules", "unscored": -5.0}


def test_what_comes_together_is_one_batch_and_each_gets_its_own():
    batches = []

    def score(items):
        batches.append(list(items))
        time.sleep(0.05)
        return [2 * item for item in items]

    joined = Coalescer(score, wait_s=0.2)
    futures = [joined.submit(i) for i in range(20)]
    assert [future.result(30) for future in futures] == [2 * i for i in range(20)]
    assert len(batches) <= 2
    small = Coalescer(score, wait_s=0.2, most=4)
    assert [f.result(30) for f in [small.submit(i) for i in range(8)]] == [2 * i for i in range(8)]
    assert max(map(len, batches[-2:])) == 4


def test_threads_share_batches():
    sizes = []
    joined = Coalescer(lambda items: sizes.append(len(items)) or items, wait_s=0.5)
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(joined.submit(i).result(30))) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(16))
    assert len(sizes) <= 3


def test_an_error_of_the_set_up_reaches_each_caller_and_the_next_batch_goes_on():
    asked = []

    def score(items):
        asked.append(list(items))
        if 0 in items:
            raise ConfigError("no")
        return items

    joined = Coalescer(score, wait_s=0.2)
    failed = [joined.submit(i) for i in (0, 1)]
    for future in failed:
        with pytest.raises(ConfigError, match="no"):
            future.result(30)
    assert asked == [[0, 1]]  # nobody is to blame, so nobody is asked again
    assert joined.submit(7).result(30) == 7


@pytest.mark.parametrize("error", [ValueError("bad"), KeyError("bad")])
def test_an_error_of_an_item_reaches_its_caller_alone(error):
    def score(items):
        if 3 in items:
            raise error
        return [2 * item for item in items]

    joined = Coalescer(score, wait_s=0.2)
    futures = [joined.submit(i) for i in range(6)]
    with pytest.raises(type(error), match="bad"):
        futures[3].result(30)
    assert [future.result(30) for i, future in enumerate(futures) if i != 3] == [0, 2, 4, 8, 10]


def test_too_few_results_are_an_error_and_no_wrong_result():
    joined = Coalescer(lambda items: [item for item in items if item != 1], wait_s=0.2)
    futures = [joined.submit(i) for i in range(3)]
    with pytest.raises(ValueError, match="0 results for 1 items"):
        futures[1].result(30)
    assert [futures[0].result(30), futures[2].result(30)] == [0, 2]


def test_too_many_results_are_an_error_and_no_wrong_result():
    joined = Coalescer(lambda items: [*items, *items], wait_s=0.001)
    with pytest.raises(ValueError, match="2 results for 1 items"):
        joined.submit(1).result(30)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes fork on Unix")
def test_a_forked_process_scores_what_it_is_asked_and_not_what_its_parent_is():
    begun, go_on = threading.Event(), threading.Event()

    def score(items):
        begun.set()
        if "first" in items:
            go_on.wait(30)
        return [(os.getpid(), *items)] * len(items)

    joined = Coalescer(score, wait_s=0.001)
    first = joined.submit("first")
    assert begun.wait(5)
    waiting = joined.submit("waiting")
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if child == 0:
        try:
            result = joined.submit("of the child").result(30)
            os.write(writer, repr(result == (os.getpid(), "of the child")).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    go_on.set()
    with os.fdopen(reader) as said:
        assert said.read() == "True"
    assert first.result(30) == (os.getpid(), "first")
    assert waiting.result(30) == (os.getpid(), "waiting")


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_thread_outlives_whatever_ends_a_batch(ending):
    def score(items):
        if 0 in items:
            raise ending("now")
        return items

    joined = Coalescer(score, wait_s=0.01)
    with pytest.raises(RuntimeError, match=f"scoring was ended by {ending.__name__}: now"):
        joined.submit(0).result(30)
    assert joined.submit(1).result(30) == 1


def test_a_thread_that_has_died_is_started_again():
    joined = Coalescer(lambda items: items, wait_s=0.01)
    joined._run = lambda queue: None  # a thread that ends at once
    lost = joined.submit(1)
    joined._thread.join(5)
    del joined._run
    assert joined.submit(2).result(30) == 2
    assert lost.result(30) == 1


def test_a_callback_that_raises_costs_nobody_anything():
    def fail(future):
        raise SystemExit

    joined = Coalescer(lambda items: items, wait_s=0.2)
    futures = [joined.submit(i) for i in range(4)]
    futures[1].add_done_callback(fail)
    assert [future.result(30) for future in futures] == [0, 1, 2, 3]
    assert joined.submit(7).result(30) == 7


@pytest.mark.parametrize("when", ["before its batch is scored", "while its batch is scored"])
def test_a_caller_who_gives_up_costs_the_others_nothing(when):
    begun, go_on, asked = threading.Event(), threading.Event(), []

    def score(items):
        asked.extend(items)
        begun.set()
        assert go_on.wait(30)
        return [2 * item for item in items]

    joined = Coalescer(score, wait_s=0.3)
    futures = [joined.submit(i) for i in range(8)]
    if when.startswith("while"):
        assert begun.wait(30)
    cancelled = futures[2].cancel()
    go_on.set()
    assert cancelled == when.startswith("before")
    assert [future.result(30) for i, future in enumerate(futures) if i != 2] == [0, 2, 6, 8, 10, 12, 14]
    assert asked == [0, 1, *([] if cancelled else [2]), 3, 4, 5, 6, 7]
    assert joined.submit(9).result(30) == 18


def test_all_may_give_up_and_nothing_is_scored():
    asked = []
    joined = Coalescer(lambda items: asked.extend(items) or items, wait_s=0.2)
    assert all(joined.submit(i).cancel() for i in range(3))
    assert joined.submit(5).result(30) == 5
    assert asked == [5]


def compute(*samples, **options):
    async def run():
        given = {**OPTIONS, **options}
        return await asyncio.gather(*(verl.compute_score("cxr", *sample, **given) for sample in samples))

    return asyncio.run(run())


def test_samples_get_a_score_and_the_same_keys():
    good, lost = compute(("<think>x</think>Left effusion.", "Left effusion.", None), ("Clear.", " ", {"priors": "a"}))
    assert good["score"] > 0.9
    assert good["unscored"] == 0.0
    assert (lost["score"], lost["unscored"]) == (-5.0, 1.0)
    assert set(good) == set(lost) > {"score", "findings_soft_f1"}
    assert all(type(value) is float for value in good.values())
    missing = {label for label, value in lost.items() if value is None}
    assert missing >= {"findings_soft_f1", "bleu"}
    assert all(lost[f"{label}/unscored"] == 1.0 and good[f"{label}/unscored"] == 0.0 for label in missing)


def test_priors_and_context_come_from_extra_info():
    prior = "Large left effusion with edema. Old rib fractures on the right side."
    (copied,) = compute((prior, "Clear lungs.", {"before": f'["{prior}"]'}), priors="before")
    (alone,) = compute((prior, "Clear lungs.", {}), priors="before")
    assert copied["copy_prior"] > alone["copy_prior"] == 0.0


@pytest.mark.parametrize("name", ["reward_router_address", "reward_model_tokenizer"])
def test_what_verl_passes_for_its_own_reward_models_is_no_option(name):
    sample = ["x"], ["Left effusion."], ["Left effusion."]
    assert verl.compute_scores(*sample, **OPTIONS, **{name: object()}) == verl.compute_scores(*sample, **OPTIONS)


def test_a_batch_gives_the_same_numbers():
    samples = [("Left effusion.", "Left effusion.", None), ("Edema.", "Left effusion.", None)]
    texts, references, _ = zip(*samples, strict=True)
    assert verl.compute_scores(["cxr"] * 2, texts, references, **OPTIONS) == compute(*samples)


class Sometimes(Component):
    """A number in the text; none if there is none."""

    name = "sometimes"
    summary = "a number, now and then"
    reads = ("candidate",)
    bounds = (0.0, 1.0)

    def score_case(self, case, features):
        try:
            return Score(float(case.candidate.split()[0]))
        except ValueError:
            return Score(None, failure=Failure("sometimes", "no number"))


def renormalized():
    return CompositeReward([Sometimes(), "bleu"], on_failure="renormalize")


@pytest.mark.parametrize("unscored", [-5.0, -0.5])
def test_a_component_without_a_value_in_a_scored_sample_is_missing(unscored):
    """No number could stand for it: one below the bounds moves the mean, one within them is taken for a value."""
    texts = ["0.25 clear", "clear", "0.75 clear", "edema", "1.0 clear"]
    samples = compute(*((text, "clear", None) for text in texts), config="", reward=renormalized(), unscored=unscored)
    assert [sample["unscored"] for sample in samples] == [0.0] * 5
    assert [sample["sometimes"] for sample in samples] == [0.25, None, 0.75, None, 1.0]
    assert [sample["sometimes/unscored"] for sample in samples] == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert len({tuple(sample) for sample in samples}) == 1
    known = [sample["sometimes"] for sample in samples if sample["sometimes"] is not None]  # verl's rule for means
    assert sum(known) / len(known) == pytest.approx(2 / 3)


def test_trainers_that_bear_numbers_alone_can_tell_the_mean():
    samples = Samples(reward=renormalized(), unscored=-5.0)
    cases = [samples.case(text, "clear", None) for text in ("0.25", "clear", "0.75", "edema")]
    rewards = [reward for _, reward in samples.score_many(cases)]
    rows = [samples.numbers(reward) for reward in rewards]
    assert all(type(value) is float for row in rows for value in row.values())
    mean = {key: sum(row[key] for row in rows) / 4 for key in rows[0]}
    assert mean["sometimes"] / (1 - mean["sometimes/unscored"]) == 0.5
    logs = openrlhf.reply(samples, rewards)["extra_logs"]
    assert logs["sometimes"] == [0.25, 0.0, 0.75, 0.0]
    assert logs["sometimes/unscored"] == [0.0, 1.0, 0.0, 1.0]


def test_a_number_may_be_named_for_trainers_that_train_on_components():
    (sample,) = compute(("clear", "clear", None), config="", reward=renormalized(), missing=-1)
    assert (sample["sometimes"], sample["sometimes/unscored"]) == (-1.0, 1.0)
    for bad in ("low", float("nan"), True):
        with pytest.raises(ConfigError, match="missing must be a number or None"):
            Samples(reward=renormalized(), unscored=-5.0, missing=bad)


def test_a_sample_whose_caller_gives_up_costs_the_others_nothing():
    """A time-out of `asyncio.wait_for` cancels one of eight calls, which are one batch."""
    samples = [("Left effusion.", "Left effusion.", None), ("Edema.", "Left effusion.", None)] * 4
    options = {**OPTIONS, "wait_s": 0.3}

    async def run():
        calls = [verl.compute_score("cxr", *sample, **options) for sample in samples]
        calls[3] = asyncio.wait_for(calls[3], 0.05)
        return await asyncio.gather(*calls, return_exceptions=True)

    *results, last = asyncio.run(run())
    assert isinstance(results.pop(3), TimeoutError)
    good, bad = compute(*samples[:2])
    assert [*results, last] == [good, bad, good, good, bad, good, bad]


def test_what_an_unscored_sample_gets_must_be_said():
    with pytest.raises(ConfigError, match="rules: give the value of an unscored sample: unscored, a number below"):
        compute(("a", "b", None), unscored=None)
    with pytest.raises(ConfigError, match="must lie below every reward"):
        compute(("a", "b", None), unscored=0.0)
