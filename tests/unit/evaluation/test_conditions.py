"""Precision, recall and F1 of conditions."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_rewards.errors import InputError
from cxr_rewards.evaluation.conditions import (
    averaged_numbers,
    choose_observations,
    condition_table,
    observation_labels,
    rule_labels,
)
from cxr_rewards.evaluation.figures import Figure, share
from cxr_rewards.findings import CHEXPERT, read


def table(candidates: list[str], references: list[str], **options):
    names = ["a", "b", "c", "d"][: len(references[0])] if references[0] else ["a"]
    return condition_table(names, candidates, references, labeler="rules", resamples=200, **options)


def test_numbers_are_those_of_the_definitions() -> None:
    rows = table(["10", "10", "01", "00", "11"], ["10", "01", "01", "10", "10"]).conditions
    a, b = rows
    assert (a.support, a.predicted) == (3, 3)
    assert (a.precision.value, a.recall.value, a.f1.value) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (b.support, b.predicted) == (2, 2)
    assert (b.precision.value, b.recall.value, b.f1.value) == (0.5, 0.5, 0.5)


def test_averages_are_those_of_the_definitions() -> None:
    result = table(["110"] * 4 + ["000"] * 6, ["100"] * 3 + ["111"] * 3 + ["000"] * 4)
    micro, macro, weighted = result.averages
    each = [row.f1.value for row in result.conditions]
    assert each == pytest.approx([8 / 10, 2 / 7, 0.0])
    assert micro.f1.value == pytest.approx(2 * 5 / (2 * 5 + 3 + 7))
    assert macro.f1.value == pytest.approx(sum(each) / 3)
    assert weighted.f1.value == pytest.approx((6 * each[0] + 3 * each[1] + 3 * each[2]) / 12)
    assert (micro.support, micro.predicted) == (12, 8)


@pytest.mark.parametrize("uncertain", ["positive", "negative"])
def test_numbers_equal_those_of_scikit_learn(uncertain) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(10)
    ours, theirs = random.integers(0, 4, (2, 300, 14))
    counted = [1, 3] if uncertain == "positive" else [1]
    result = condition_table(
        CHEXPERT,
        ["".join(map(str, row)) for row in ours],
        ["".join(map(str, row)) for row in theirs],
        labeler="rules",
        uncertain=uncertain,
        resamples=100,
    )
    sides = np.isin(theirs, counted), np.isin(ours, counted)
    expected = np.array(metrics.precision_recall_fscore_support(*sides))
    rows = result.conditions
    assert [row.support for row in rows] == expected[3].tolist()
    for row, average in zip(result.averages, ("micro", "macro", "weighted"), strict=False):
        numbers = metrics.precision_recall_fscore_support(*sides, average=average)[:3]
        assert (row.precision.value, row.recall.value, row.f1.value) == pytest.approx(numbers)
    for i, name in enumerate(("precision", "recall", "f1")):
        assert [getattr(row, name).value for row in rows] == pytest.approx(expected[i].tolist())


def test_uncertain_counts_as_asked() -> None:
    as_positive = table(["3", "1"], ["1", "3"], uncertain="positive").conditions[0]
    as_negative = table(["3", "1"], ["1", "3"], uncertain="negative").conditions[0]
    assert as_positive.f1.value == 1.0
    assert as_negative.f1.value == 0.0
    assert (as_negative.support, as_negative.predicted) == (1, 1)


def test_what_is_undefined_is_missing_with_its_reason() -> None:
    never, unknown, both, nowhere = table(["0110", "0110"], ["1010", "1010"]).conditions
    assert never.precision == Figure(0, None, reason="no candidate has it")
    assert never.recall.value == never.f1.value == 0.0
    assert unknown.recall == Figure(0, None, reason="no reference has it")
    assert unknown.precision.value == unknown.f1.value == 0.0
    empty = table(["0", "0"], ["0", "0"])
    assert empty.conditions[0].f1.reason == "neither candidates nor references have it"
    assert [row.f1.value for row in empty.averages] == [None] * 3
    assert empty.averages[0].f1.reason == "no condition is positive anywhere"
    assert both.f1.value == 1.0
    assert nowhere.f1.value is None


def test_a_condition_that_is_nowhere_does_not_lower_the_macro_average() -> None:
    assert table(["100"], ["100"]).averages[1].f1.value == 1.0


def test_cases_without_labels_are_left_out_and_counted() -> None:
    result = table(["1", "", "1"], ["1", "1", ""])
    assert (result.cases, result.unread, result.conditions[0].support) == (1, 2, 1)


def test_no_case_at_all_is_a_table_without_numbers() -> None:
    result = condition_table(["a"], ["", ""], ["1", ""], labeler="rules", clusters=np.array([0, 1]))
    assert (result.cases, result.unread) == (0, 2)
    assert result.conditions[0].f1.value is None
    assert result.averages[0].precision.value is None


def test_a_small_support_has_a_wide_interval() -> None:
    one = table(["1"] + ["0"] * 99, ["1"] + ["0"] * 99).conditions[0].recall
    assert one.value == 1.0
    assert one.low == pytest.approx(0.2065, abs=1e-3)
    assert one.high == 1.0


def test_clusters_of_alike_cases_widen_the_interval_to_that_of_the_clusters() -> None:
    hits = np.array([1.0] * 12 + [0.0] * 8)
    alone = share(hits, np.ones(20), "")
    tenfold = share(10 * hits, np.full(20, 10.0), "")
    assert tenfold.n == 200
    assert tenfold.high - tenfold.low == pytest.approx(alone.high - alone.low, rel=0.06)


def test_few_clusters_have_no_interval() -> None:
    few = share(np.array([3.0, 1.0, 2.0]), np.array([4.0, 4.0, 4.0]), "")
    assert few.value == 0.5
    assert few.low is None
    assert few.reason == "fewer than 5 independent clusters"


def test_the_interval_of_f1_holds_its_share_and_is_not_symmetric_near_one() -> None:
    f1 = table(["1"] * 19 + ["0"], ["1"] * 20).conditions[0].f1
    assert f1.value == pytest.approx(38 / 39)
    assert f1.value - f1.low > f1.high - f1.value > 0


def test_wilsons_interval_covers_clustered_shares() -> None:
    random = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        chance = random.beta(4, 1, 40)
        cases = random.integers(1, 5, 40)
        figure = share(random.binomial(cases, chance).astype(float), cases.astype(float), "")
        covered += figure.low <= 0.8 <= figure.high
    assert 0.91 <= covered / 300 <= 0.99


def test_macro_average_of_resamples_leaves_out_what_is_undefined_there() -> None:
    sums = np.array([[[2.0, 0, 0], [0, 0, 0]], [[1, 1, 0], [0, 1, 1]]])
    numbers = averaged_numbers(sums)
    assert numbers.shape == (2, 9)
    assert numbers[0, 5] == 1.0
    assert numbers[1, 5] == pytest.approx((2 / 3 + 0) / 2)


def test_averages_of_five_are_added_for_chexperts_labels() -> None:
    labels = ["0" * 14, "1" * 14] * 10
    result = condition_table(CHEXPERT, labels, labels, labeler="rules", resamples=100)
    assert [row.name for row in result.averages][3:] == ["micro of 5", "macro of 5", "weighted of 5"]


def test_rule_labels_have_chexberts_form() -> None:
    labels = rule_labels(read("Possible pneumonia. No pneumothorax. The heart is enlarged."))
    assert dict(zip(CHEXPERT, labels, strict=True))["Pneumonia"] == "3"
    assert labels[CHEXPERT.index("Pneumothorax")] == "2"
    assert labels[CHEXPERT.index("Cardiomegaly")] == "1"
    assert rule_labels(read("Hello.")) == ""


def test_a_kind_of_an_observation_is_one_but_a_sign_is_not() -> None:
    assert observation_labels(read("Left rib fracture."), ["fracture", "rib_fracture"]) == "11"
    assert observation_labels(read("Blunted left costophrenic angle."), ["pleural_effusion"]) == "0"
    assert observation_labels(read("No fracture."), ["fracture"]) == "2"


def test_a_certain_kind_outweighs_a_possible_one() -> None:
    names = ["fracture", "clavicle_fracture", "rib_fracture"]
    found = read("Left rib fracture. Possible right clavicle fracture.")
    assert observation_labels(found, names) == "131"


def test_an_unknown_observation_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"--conditions: unknown observation 'pneumothoraxx'.*pneumothorax"):
        choose_observations(["pneumothoraxx"])
    assert "rib_fracture" in choose_observations(["all"])
    assert "comparison" not in choose_observations(["all"])
