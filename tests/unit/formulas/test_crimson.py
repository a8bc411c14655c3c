"""CRIMSON's arithmetic gives CRIMSON's numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.formulas.crimson import WEIGHTS, crimson_score

URGENT, ACTIONABLE, NOT_ACTIONABLE, BENIGN = (
    WEIGHTS[name] for name in ("urgent", "actionable", "not_actionable", "benign")
)
SIGNIFICANT_ERROR = 0.5

WEIGHT = st.sampled_from(list(WEIGHTS.values()))
COST = st.sampled_from([0.0, 0.0625, 0.125, 0.25, 0.5, 1.0])
MATCHED = st.lists(st.tuples(WEIGHT, COST), max_size=5)
SOME = st.lists(WEIGHT, max_size=5)
PENALTY = st.sampled_from([0.0, 0.125, 0.5, 2.0])


def test_weights_are_those_of_the_paper():
    assert WEIGHTS == {"urgent": 1.0, "actionable": 0.5, "not_actionable": 0.25, "benign": 0.0}


@pytest.mark.parametrize(
    ("matched", "missed", "false", "expected"),
    [
        pytest.param([], [], [], 1.0, id="both normal"),
        pytest.param([], [], [ACTIONABLE], -0.3333, id="normal, actionable false finding"),
        pytest.param([], [], [URGENT], -0.5, id="normal, urgent false finding"),
        pytest.param([], [BENIGN], [], 1.0, id="benign findings alone, missed"),
        pytest.param([(ACTIONABLE, SIGNIFICANT_ERROR)], [], [], 0.5, id="actionable, told with a significant error"),
        pytest.param([(URGENT, SIGNIFICANT_ERROR)], [], [], 0.6667, id="urgent, told with a significant error"),
        pytest.param([(ACTIONABLE, 0)], [ACTIONABLE], [], 0.5, id="one of two missed"),
        pytest.param([], [ACTIONABLE, URGENT], [], 0.0, id="all missed"),
        pytest.param([(ACTIONABLE, 0)] * 2, [], [URGENT], 0.0, id="two matched, urgent false finding"),
        pytest.param([], [URGENT], [ACTIONABLE], -0.3333, id="urgent missed, actionable false finding"),
    ],
)
def test_check_values_of_the_original(matched, missed, false, expected):
    assert crimson_score(matched, missed, false) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("matched", "missed", "false", "penalty", "expected"),
    [
        ([(0.0, 0.0)], [], [], 0.0, 1.0),
        ([(0.0, 0.5)], [], [], 0.0, 1.0),
        ([(0.0, 0.5)], [0.0], [0.0], 0.0, 1.0),
        ([], [], [], 1.0, -0.5),
        ([(1.0, 0.0)], [], [], 0.25, 0.75),
        ([(1.0, 0.0)], [], [0.25], 0.25, 0.5),
        ([(1.0, 0.0)], [], [1.0, 1.0], 0.0, -0.5),
        ([], [0.25], [0.25, 0.25], 0.0, -1 / 3),
    ],
)
def test_findings_without_weight_and_penalties(matched, missed, false, penalty, expected):
    assert crimson_score(matched, missed, false, penalty) == pytest.approx(expected)


def test_iterators_are_taken():
    assert crimson_score(iter([(1.0, 1.0)]), iter([1.0]), iter([0.25])) == pytest.approx((0.5 - 0.25) / 2)


@given(MATCHED, SOME, SOME, PENALTY)
def test_scores_lie_above_minus_one_and_up_to_one(matched, missed, false, penalty):
    assert -1 < crimson_score(matched, missed, false, penalty) <= 1


@given(MATCHED, SOME, SOME, PENALTY, WEIGHT)
def test_one_more_false_or_missed_finding_or_penalty_is_never_better(matched, missed, false, penalty, more):
    score = crimson_score(matched, missed, false, penalty)
    assert crimson_score(matched, [*missed, more], false, penalty) <= score
    assert crimson_score(matched, missed, [*false, more], penalty) <= score
    assert crimson_score(matched, missed, false, penalty + more) <= score


@given(MATCHED, SOME, SOME, PENALTY, WEIGHT, COST)
def test_telling_a_finding_is_never_worse_than_missing_it_and_errors_never_pay(
    matched, missed, false, penalty, weight, cost
):
    told_rightly = crimson_score([*matched, (weight, 0.0)], missed, false, penalty)
    told_wrongly = crimson_score([*matched, (weight, cost)], missed, false, penalty)
    left_out = crimson_score(matched, [*missed, weight], false, penalty)
    assert left_out - 1e-9 <= told_wrongly <= told_rightly + 1e-9


@given(MATCHED, SOME)
def test_no_error_and_nothing_missed_or_false_is_the_best(matched, missed):
    right = [(weight, 0.0) for weight, _ in matched]
    assert crimson_score(right, [], []) == 1.0
    assert crimson_score(matched, missed, []) >= 0
