"""verl's function without verl: keys, numbers for the unscored, samples joined into batches."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from cxr_rewards.adapters import verl
from cxr_rewards.adapters.coalesce import Coalescer
from cxr_rewards.errors import ConfigError

OPTIONS = {"config": "rules", "unscored": -5.0}


def test_what_comes_together_is_one_batch_and_each_gets_its_own():
    batches = []

    def score(items):
        batches.append(list(items))
        time.sleep(0.05)
        return [2 * item for item in items]

    joined = Coalescer(score, wait_s=0.05)
    futures = [joined.submit(i) for i in range(20)]
    assert [future.result(5) for future in futures] == [2 * i for i in range(20)]
    assert len(batches) <= 2
    small = Coalescer(score, wait_s=0.05, most=4)
    assert [f.result(5) for f in [small.submit(i) for i in range(8)]] == [2 * i for i in range(8)]
    assert max(map(len, batches[-2:])) == 4


def test_threads_share_batches():
    sizes = []
    joined = Coalescer(lambda items: sizes.append(len(items)) or items, wait_s=0.1)
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(joined.submit(i).result(5))) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(16))
    assert len(sizes) <= 3


def test_an_error_reaches_each_caller_and_the_next_batch_goes_on():
    def score(items):
        if 0 in items:
            raise ConfigError("no")
        return items

    joined = Coalescer(score, wait_s=0.02)
    failed = [joined.submit(i) for i in (0, 1)]
    for future in failed:
        with pytest.raises(ConfigError, match="no"):
            future.result(5)
    assert joined.submit(7).result(5) == 7


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
    assert all(type(value) is float for sample in (good, lost) for value in sample.values())


def test_priors_and_context_come_from_extra_info():
    prior = "Large left effusion with edema. Old rib fractures on the right side."
    (copied,) = compute((prior, "Clear lungs.", {"before": f'["{prior}"]'}), priors="before")
    (alone,) = compute((prior, "Clear lungs.", {}), priors="before")
    assert copied["copy_prior"] > alone["copy_prior"] == 0.0


def test_a_batch_gives_the_same_numbers():
    samples = [("Left effusion.", "Left effusion.", None), ("Edema.", "Left effusion.", None)]
    texts, references, _ = zip(*samples, strict=True)
    assert verl.compute_scores(["cxr"] * 2, texts, references, **OPTIONS) == compute(*samples)


def test_what_an_unscored_sample_gets_must_be_said():
    with pytest.raises(ConfigError, match="rules: say what an unscored sample gets: unscored, a number below"):
        compute(("a", "b", None), unscored=None)
    with pytest.raises(ConfigError, match="must lie below every reward"):
        compute(("a", "b", None), unscored=0.0)
