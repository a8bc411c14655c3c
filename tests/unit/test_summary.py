"""Means and intervals of streams of rows."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_rewards.errors import InputError
from cxr_rewards.summary import Estimate, Summary, age_band


def normal(n, seed=0):
    return np.random.default_rng(seed).normal(0.5, 0.2, n)


def filled(values, chunk, **options):
    summary = Summary(["reward"])
    for start in range(0, len(values), chunk):
        summary.add([[x] for x in values[start : start + chunk]])
    return summary


def test_the_interval_is_that_of_the_mean():
    values = normal(4000)
    estimate = filled(values, 512).overall()["reward"]
    half_width = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert estimate.mean == pytest.approx(values.mean(), abs=1e-12)
    assert estimate.high - estimate.low == pytest.approx(2 * half_width, rel=0.1)
    assert estimate.low < values.mean() < estimate.high


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    hits = 0
    for seed in range(200):
        estimate = filled(normal(60, seed), 60).overall()["reward"]
        hits += estimate.low <= 0.5 <= estimate.high
    assert 0.88 <= hits / 200 <= 0.99


def test_equal_rows_give_equal_intervals():
    values = normal(100)
    assert filled(values, 64).overall() == filled(values, 64).overall()


def test_missing_values_are_left_out_and_their_reasons_counted():
    summary = Summary(["a", "reward"])
    summary.add([[1.0, 2.0], [None, None], [3.0, None]], reasons=["", "x: lost", "x: lost"])
    overall = summary.overall()
    assert (overall["a"].n, overall["a"].mean) == (2, 2.0)
    assert (overall["reward"].n, overall["reward"].mean) == (1, 2.0)
    assert summary.reasons == {"x: lost": 2}


def test_nothing_scored_has_no_mean():
    summary = Summary(["reward"])
    summary.add([])
    assert summary.overall()["reward"].mean is None
    summary.add([[None]], reasons=["lost"])
    assert summary.overall()["reward"] == Estimate(0, None, None, None)
    assert summary.as_json()["rows"] == 1


def test_subgroups_are_estimated_apart_and_sum_to_all():
    summary = Summary(["reward"], by="sex")
    summary.add([[0.0], [1.0]], groups=["F", "M"])
    summary.add([[0.5], [None]], groups=["F", "X"])
    groups = summary.subgroups()
    assert {name: (rows, e["reward"].n, e["reward"].mean) for name, (rows, e) in groups.items()} == {
        "F": (2, 2, 0.25),
        "M": (1, 1, 1.0),
        "X": (1, 0, None),
    }
    assert summary.overall()["reward"].mean == 0.5
    assert summary.as_json()["by"]["groups"]["M"]["scores"]["reward"] == {
        "n": 1,
        "mean": 1.0,
        "low": None,
        "high": None,
    }


def test_one_row_has_a_mean_but_no_interval():
    summary = Summary(["a", "reward"])
    summary.add([[0.5, 1.0], [None, 0.0]])
    assert summary.overall()["a"] == Estimate(1, 0.5, None, None)
    reward = summary.overall()["reward"]
    assert (reward.n, reward.mean, reward.low, reward.high) == (2, 0.5, 0.0, 1.0)


def test_an_identifier_is_no_subgroup():
    summary = Summary(["reward"], by="study_id")
    with pytest.raises(InputError, match="column 'study_id' has more than 200 distinct values"):
        summary.add([[0.0]] * 300, groups=[str(i) for i in range(300)])


def test_many_distinct_reasons_are_not_kept_forever():
    summary = Summary(["reward"])
    for i in range(500):
        summary.add([[None]], reasons=[f"reason {i}"])
    assert len(summary.reasons) == 101
    assert summary.reasons["others"] == 400


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("17", "0-17"),
        (18, "18-39"),
        ("39.9", "18-39"),
        ("40", "40-59"),
        ("060Y", "60-79"),
        ("079Y", "60-79"),
        (63.0, "60-79"),
        ("80+", "80+"),
        ("90+", "80+"),
        (">89", "80+"),
        ("> 89", "80+"),
        ("85 Years Old", "80+"),
        ("1 year", "0-17"),
        ("019M", "0-17"),
        ("003W", "0-17"),
        ("010D", "0-17"),
        ("63 y", "60-79"),
        ("63 yo", "60-79"),
        ("63 years", "60-79"),
        ("63 years old", "60-79"),
        ("", "unknown"),
        ("F", "unknown"),
        ("999", "unknown"),
        ("<60", "unknown"),
        ("60+", "unknown"),
        (">60", "unknown"),
        ("63M", "unknown"),
        ("63 M", "unknown"),
        ("063F", "unknown"),
        ("60-79", "unknown"),
        ("-5", "unknown"),
        ("63 apples", "unknown"),
    ],
)
def test_ages_fall_into_bands(age, band):
    assert age_band(age) == band
