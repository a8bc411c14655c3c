"""Means by subgroup, and gaps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.benchmark_scripts import load_benchmark

from cxr_rewards.errors import ConfigError, InputError
from cxr_rewards.evaluation.groups import age_bands, crossed, group_table, mean_of, micro_f1_of


def table(groups, values, **options):
    measure = mean_of("reward", np.array(values, dtype=float), higher_is_better=options.pop("higher", True))
    return group_table(["group"], groups, [measure], **{"resamples": 300, **options})


def test_means_are_those_of_the_scored_cases_of_each_group() -> None:
    result = table(["b", "a", "b", "a"] * 10, [0.0, 1.0, 0.5, np.nan] * 10)
    assert [(g.name, g.cases, g.figures["reward"].n, g.figures["reward"].value) for g in result.groups] == [
        ("a", 20, 10, 1.0),
        ("b", 20, 20, 0.25),
    ]
    assert result.overall.cases == 40
    assert result.overall.figures["reward"].value == 0.5


def test_the_best_group_is_that_of_the_lowest_mean_if_lower_is_better() -> None:
    values = np.random.default_rng(0).random(60) + np.repeat([0, 3], 30)
    names = ["low"] * 30 + ["high"] * 30
    assert (table(names, values).gaps[0].best, table(names, values, higher=False).gaps[0].best) == ("high", "low")
    gap = table(names, values, higher=False).gaps[0].difference
    assert 2.5 < gap.low < gap.value < gap.high < 3.5


def test_small_groups_are_shown_without_interval_and_are_not_compared() -> None:
    random = np.random.default_rng(1)
    values = [*random.random(30), *random.random(30), 9.0, 9.5]
    result = table(["a"] * 30 + ["b"] * 30 + ["c"] * 2, values)
    small = result.groups[2].figures["reward"]
    assert (small.value, small.low, small.reason) == (9.25, None, "fewer than 10 cases")
    assert {result.gaps[0].best, result.gaps[0].worst} == {"a", "b"}


def test_unknown_groups_come_last_and_are_not_compared() -> None:
    random = np.random.default_rng(2)
    names = [""] * 20 + ["z"] * 20 + ["y"] * 20
    result = table(names, [*(random.random(20) + 5), *random.random(40)])
    assert [group.name for group in result.groups] == ["y", "z", "unknown"]
    assert result.gaps[0].best in ("y", "z")


def test_one_group_has_no_gap_but_a_reason() -> None:
    result = table(["a"] * 20, np.random.default_rng(3).random(20))
    assert result.gaps[0].difference.value is None
    assert result.gaps[0].difference.reason == "fewer than two groups of 10 scored cases"
    assert result.groups[0].figures["reward"].low is not None


def test_a_group_without_scored_cases_says_so() -> None:
    result = table(["a"] * 20 + ["b"] * 20, [*np.random.default_rng(4).random(20), *[np.nan] * 20])
    figure = result.groups[1].figures["reward"]
    assert (figure.n, figure.value, figure.reason) == (0, None, "no scored case")


def test_cases_that_are_all_alike_have_no_interval() -> None:
    result = table(["a"] * 20 + ["b"] * 20, [1.0] * 20 + [0.5] * 20)
    assert result.groups[0].figures["reward"].reason == "all cases are alike, and the score has no bounds"
    assert result.gaps[0].difference.value == 0.5
    assert result.gaps[0].difference.reason == "all cases of these groups are alike"


def test_cases_that_are_all_alike_have_an_interval_within_the_bounds_of_the_score() -> None:
    measure = mean_of("reward", np.ones(20), bounds=(0.0, 1.0))
    figure = group_table(["g"], ["a"] * 20, [measure], resamples=100).groups[0].figures["reward"]
    assert (figure.value, figure.high) == (1.0, 1.0)
    assert 0.8 < figure.low < 0.9


def test_a_group_of_few_patients_has_no_interval() -> None:
    random = np.random.default_rng(5)
    patients = [*["p1"] * 15, *["p2"] * 15, *(f"q{i}" for i in range(30))]
    result = table(["a"] * 30 + ["b"] * 30, random.random(60), clusters=patients)
    assert result.groups[0].figures["reward"].reason == "fewer than 5 independent clusters"
    assert result.groups[1].figures["reward"].low is not None
    assert result.gaps[0].difference.reason == "fewer than 5 independent clusters"


def test_patients_with_several_studies_widen_the_interval() -> None:
    random = np.random.default_rng(6)
    values = np.repeat(random.random(30), 4)
    patients = [f"p{i // 4}" for i in range(120)]

    def width(**options):
        figure = table(["a"] * 120, values, **options).groups[0].figures["reward"]
        return figure.high - figure.low

    assert width(clusters=patients) == pytest.approx(2 * width(), rel=0.15)


def test_a_patient_in_both_groups_makes_the_gap_sharper() -> None:
    random = np.random.default_rng(7)
    patients = [f"p{i}" for i in range(60)] * 2
    effect = random.normal(size=60)
    values = [*effect, *(effect + 0.2 + 0.01 * random.normal(size=60))]
    names = ["a"] * 60 + ["b"] * 60
    paired = table(names, values, clusters=patients).gaps[0].difference
    apart = table(names, values).gaps[0].difference
    assert paired.low > 0.15
    assert apart.low < 0


def test_gaps_between_alike_groups_rarely_leave_out_zero() -> None:
    random = np.random.default_rng(8)
    names = [f"g{i}" for i in range(5)] * 20
    misses = 0
    for _ in range(120):
        gap = table(names, random.beta(2, 3, 100)).gaps[0].difference
        misses += not gap.low <= 0 <= gap.high
    assert misses <= 12


def test_order_is_kept_and_others_follow() -> None:
    result = table(["c", "a", "b", "x"], [1.0] * 4, order=["b", "c", "nowhere"])
    assert [group.name for group in result.groups] == ["b", "c", "a", "x"]


def test_many_measures_are_computed_in_parts_with_the_same_numbers() -> None:
    random = np.random.default_rng(9)
    values, names = random.random((60, 60)), [f"g{i}" for i in range(20)] * 3
    measures = [mean_of(f"m{i}", values[i]) for i in range(60)]
    together = group_table(["g"], names, measures, resamples=50, minimum=2)
    alone = group_table(["g"], names, measures[59:], resamples=50, minimum=2)
    assert together.overall.figures["m59"] == alone.overall.figures["m59"]
    assert len(together.gaps) == 60


def test_micro_f1_of_a_group_is_that_of_its_pooled_counts() -> None:
    counts = np.zeros((40, 2, 3))
    counts[:20, 0, 0] = 1
    counts[:10, 1, 1] = 1
    counts[20:, 0, 2] = 1
    measure = micro_f1_of("micro F1", counts, np.ones(40, dtype=bool))
    result = group_table(["g"], ["a"] * 20 + ["b"] * 20, [measure], resamples=100)
    assert [group.figures["micro F1"].value for group in result.groups] == [pytest.approx(0.8), 0.0]


def test_a_group_without_anything_to_count_is_undefined_not_zero() -> None:
    counts = np.zeros((40, 2, 3))
    counts[:20, 0, 0] = 1
    measure = micro_f1_of("micro F1", counts, np.ones(40, dtype=bool))
    result = group_table(["g"], ["a"] * 20 + ["b"] * 20, [measure], resamples=100)
    assert result.groups[1].figures["micro F1"].value is None
    assert result.groups[1].figures["micro F1"].reason == "undefined: nothing to count"


def test_an_identifier_is_no_group() -> None:
    with pytest.raises(InputError, match="more than 200 distinct values"):
        table([f"p{i}" for i in range(300)], [0.5] * 300)


def test_ages_fall_into_bands() -> None:
    assert age_bands(["59", "60 years", "061Y", "", "old"], [60]) == ["<60", "60+", "60+", "unknown", "unknown"]
    assert age_bands([5, 30, 90], [18, 65]) == ["<18", "18-64", "65+"]
    assert age_bands(["45"]) == ["40-59"]
    with pytest.raises(ConfigError, match="age bands 60, 40: expected rising ages"):
        age_bands(["45"], [60, 40])


def test_crossed_groups_name_what_is_unknown() -> None:
    assert crossed([["F", ""], ["A", "B"]]) == ["F × A", "unknown × B"]


def test_tables_are_json() -> None:
    text = json.dumps(table(["a"] * 20 + ["b"] * 20, np.linspace(0, 1, 40)).as_json())
    assert json.loads(text)["gaps"][0]["best"] == "b"


def test_benchmark_of_the_intervals_finds_them_right_on_few_samples():
    found = load_benchmark("groups").measure(10)
    assert all(row["ours"] >= 60 for row in found["shares"])
    assert all(row["missed"] <= 40 for row in found["gaps"])
