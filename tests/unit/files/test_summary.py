"""Means and intervals of streams of rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cxr_rewards.errors import InputError
from cxr_rewards.files.summary import Estimate, Summary, age_band


def normal(n, seed=0):
    return np.random.default_rng(seed).normal(0.5, 0.2, n)


def filled(values, chunk=64, clusters=(), **options):
    summary = Summary(["reward"], cluster="patient_id" if len(clusters) else "", **options)
    for start in range(0, len(values), chunk):
        some = slice(start, start + chunk)
        summary.add([[x] for x in values[some]], clusters=clusters[some])
    return summary


def interval(*arguments, **options):
    estimate = filled(*arguments, **options).overall()["reward"]
    return estimate.low, estimate.high


@pytest.mark.parametrize("n", [5, 8, 24, 9000])
def test_the_interval_of_rows_is_student_t(n):
    values = normal(n)
    expected = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
    assert interval(values, 512) == pytest.approx(expected, abs=2e-4)
    assert filled(values).overall()["reward"].mean == pytest.approx(values.mean(), abs=1e-12)


@pytest.mark.parametrize(
    ("draw", "least"),
    [
        (lambda random, n: (random.normal(0.5, 0.2, n), 0.5), 0.92),
        (lambda random, n: (random.beta(5, 1, n), 5 / 6), 0.87),
        (lambda random, n: (random.beta(5, 3, n) * (random.random(n) > 0.3), 0.7 * 5 / 8), 0.87),
    ],
    ids=["normal", "near the top", "with zeros"],
)
@pytest.mark.parametrize("n", [5, 8, 12])
def test_small_groups_are_covered_about_as_often_as_it_says(draw, least, n):
    random, hits = np.random.default_rng(n), 0
    for _ in range(400):
        values, truth = draw(random, n)
        low, high = interval(values, bounds=[(0, 1)] if truth != 0.5 else ())
        hits += low <= truth <= high
    assert hits / 400 >= least


def test_below_five_rows_there_is_no_interval():
    assert interval(normal(4)) == (None, None)
    assert None not in interval(normal(5))


def test_copies_of_rows_do_not_narrow_the_interval_of_their_clusters():
    values, names = normal(40), [f"p{i}" for i in range(40)]
    once = interval(values)
    assert interval(np.repeat(values, 8), clusters=np.repeat(names, 8).tolist()) == pytest.approx(once)
    assert interval(np.tile(values, 8), clusters=names * 8) == pytest.approx(once), "the rows need not be adjacent"
    low, high = interval(np.repeat(values, 8))
    assert high - low < (once[1] - once[0]) / 2


def test_clusters_of_one_row_are_rows():
    values = normal(300)
    assert interval(values, clusters=[f"p{i}" for i in range(300)]) == pytest.approx(interval(values), abs=1e-12)
    assert interval(values, clusters=[""] * 300) == pytest.approx(interval(values), abs=1e-12), "a row without a name"


def test_patients_with_several_studies_are_covered():
    random, hits, by_rows = np.random.default_rng(0), 0, 0
    for _ in range(300):
        sizes = random.integers(1, 7, 15)
        values = np.repeat(random.normal(0.5, 0.2, 15), sizes) + random.normal(0, 0.1, sizes.sum())
        names = np.repeat([f"p{i}" for i in range(15)], sizes).tolist()
        low, high = interval(values, clusters=names)
        hits += low <= 0.5 <= high
        low, high = interval(values)
        by_rows += low <= 0.5 <= high
    assert hits / 300 > 0.91
    assert by_rows / 300 < 0.85


def test_few_clusters_that_hold_most_rows_count_as_few():
    values = normal(106)
    assert interval(values, clusters=["p0"] * 100 + [f"p{i}" for i in range(1, 7)]) == (None, None)
    assert interval(values, clusters=[f"p{i % 4}" for i in range(106)]) == (None, None)
    assert None not in interval(values, clusters=[f"p{i % 7}" for i in range(106)])


def test_the_interval_of_unequal_clusters_is_the_jackknifes_with_their_effective_number():
    values, sizes = normal(60), [20, 10, 8, 6, 5, 4, 3, 2, 1, 1]
    names = [f"p{i}" for i, size in enumerate(sizes) for _ in range(size)]
    left_out = [values[[name != f"p{i}" for name in names]].mean() for i in range(10)]
    variance = 0.9 * sum((mean - values.mean()) ** 2 for mean in left_out)
    effective = 60**2 / sum(size**2 for size in sizes)
    expected = stats.t.interval(0.95, effective - 1, values.mean(), variance**0.5)
    assert interval(values, clusters=names) == pytest.approx(expected, abs=1e-3)


def test_an_interval_ends_at_the_bounds_of_the_score():
    assert interval([0.0, 0.0, 0.1, 0.0, 0.9], bounds=[(0.0, 1.0)])[0] == 0.0
    assert interval([0.0, 0.0, 0.1, 0.0, 0.9])[0] < 0.0


def test_rows_that_are_all_alike_are_not_proof():
    low, high = interval([1.0] * 24, bounds=[(0.0, 1.0)])
    assert (low, high) == (pytest.approx(0.025 ** (1 / 24)), 1.0)
    assert interval([1.0] * 24) == (None, None), "without bounds the others may lie anywhere"
    assert interval([0.1] * 5000, bounds=[(0.0, 1.0)]) == pytest.approx((0.1, 0.1), abs=1e-3)


def test_numbers_too_large_to_add_have_no_mean():
    estimate = filled([1e308] * 10).overall()["reward"]
    assert estimate == Estimate(10, None, None, None)


def test_several_columns_are_summarised_alone_and_crossed():
    summary = Summary(["reward"], by=["sex", "site"])
    values = [0.0, 1.0, 0.5, 0.5]
    summary.add([[x] for x in values], groups=[("F", "north"), ("M", "north"), ("F", "south"), ("F", "south")])
    tables = {
        columns: {n: e["reward"].mean for n, (_, e) in summary.subgroups(*columns).items()}
        for columns in summary.tables()
    }
    assert tables == {
        ("sex",): {"F": pytest.approx(1 / 3), "M": 1.0},
        ("site",): {"north": 0.5, "south": 0.5},
        ("sex", "site"): {"F × north": 0.0, "F × south": 0.5, "M × north": 1.0},
    }
    assert [table["column"] for table in summary.as_json()["by"]] == ["sex", "site", "sex × site"]
    assert summary.overall()["reward"].mean == 0.5


def test_a_crossing_of_too_many_groups_is_left_out():
    summary = Summary(["reward"], by=["a", "b"])
    summary.add([[0.0]] * 400, groups=[(str(i % 20), str(i // 20)) for i in range(400)])
    assert summary.tables() == [("a",), ("b",)]
    least = Summary(["reward"], by=["a", "b"])
    least.add([[0.0]] * 200, groups=[(str(i % 20), str(i // 20)) for i in range(200)])
    assert least.tables() == [("a",), ("b",), ("a", "b")]


def test_the_method_is_stated():
    interval = Summary(["reward"], cluster="patient_id").as_json()["interval"]
    assert interval == {
        "level": 0.95,
        "method": "Student's t over values of 'patient_id'; none below 5",
        "cluster": "patient_id",
        "min_clusters": 5,
    }


def test_equal_rows_give_equal_intervals():
    values = normal(100)
    assert filled(values, 64).overall() == filled(values, 64).overall() == filled(values, 100).overall()


def test_missing_values_are_left_out_and_their_reasons_counted():
    summary = Summary(["a", "reward"])
    summary.add(
        [[1.0, 2.0], [None, None], [3.0, None]],
        reasons=["", "x: lost", "x: lost"],
        kinds=[[], ["timeout"], ["timeout", "refusal"]],
    )
    overall = summary.overall()
    assert (overall["a"].n, overall["a"].mean) == (2, 2.0)
    assert (overall["reward"].n, overall["reward"].mean) == (1, 2.0)
    assert summary.reasons == {"x: lost": 2}
    assert summary.as_json()["unscored_kinds"] == {"timeout": 2, "refusal": 1}


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
    assert (reward.n, reward.mean, reward.low, reward.high) == (2, 0.5, None, None)


def test_an_identifier_is_no_subgroup():
    summary = Summary(["reward"], by="study_id")
    with pytest.raises(InputError, match="column 'study_id' has more than 200 distinct values"):
        summary.add([[0.0]] * 300, groups=[str(i) for i in range(300)])
    largest = Summary(["reward"], by="site")
    largest.add([[0.0]] * 200, groups=[str(i) for i in range(200)])
    assert len(largest.subgroups()) == 200


def test_many_distinct_reasons_are_not_kept_forever():
    summary = Summary(["reward"])
    for i in range(500):
        summary.add([[None]], reasons=[f"reason {i}"])
    assert len(summary.reasons) == 101
    assert summary.reasons["others"] == 400
    summary.add([[None]], reasons=["reason 7"])
    assert summary.reasons["reason 7"] == 2, "a reason that is kept is still counted"


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
