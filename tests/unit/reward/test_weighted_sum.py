"""Weights, gates, failure policy, group normalisation."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.errors import ConfigError
from cxr_rewards.reward.gates import Gate
from cxr_rewards.reward.transforms import Affine, Negate, Sigmoid, ZScore
from cxr_rewards.reward.weighted_sum import Term, WeightedSum
from cxr_rewards.types import Failure, Score

LOST = Score(None, failure=Failure("x", "lost"))


def row(*values):
    return [LOST if v is None else Score(v) for v in values]


def total(weights, **options):
    return WeightedSum(terms={k: Term(weight=w) for k, w in weights.items()}, **options)


def test_the_sum_is_weight_times_transform_of_value():
    terms = {
        "a": Term(weight=0.5, transforms=(ZScore(mean=0.5, scale=0.25),)),
        "b": Term(weight=-0.2),
        "c": Term(weight=2.0, transforms=(Negate(), Sigmoid(), Affine(scale=2.0))),
        "reported": Term(weight=0.0),
    }
    ((value, fired),) = WeightedSum(terms=terms).combine([row(1.0, 0.5, 1.5, None)])
    assert value == pytest.approx(0.5 * 2.0 - 0.2 * 0.5 + 2.0 * 2.0 / (1 + math.exp(1.5)), abs=1e-15)
    assert fired == ()


def test_a_lost_component_leaves_the_case_unscored_by_default_and_renormalizes_by_choice():
    rows = [row(1.0, 0.5, 0.2), row(1.0, None, 0.2), row(None, None, None)]
    weights = {"a": 0.6, "b": 0.3, "penalty": -0.1}
    assert [v for v, _ in total(weights).combine(rows)] == [pytest.approx(0.73), None, None]
    by_choice = [v for v, _ in total(weights, on_failure="renormalize").combine(rows)]
    assert by_choice == [pytest.approx(0.73), pytest.approx(0.6 * 0.9 / 0.6 - 0.02), None]


@pytest.mark.parametrize("negated", [False, True])
def test_a_side_with_nothing_left_is_no_zero(negated):
    penalty = Term(weight=0.3, transforms=(Negate(),)) if negated else Term(weight=-0.3)
    summed = WeightedSum(terms={"good": Term(weight=0.7), "penalty": penalty}, on_failure="renormalize")
    assert [v for v, _ in summed.combine([row(None, 0.0), row(None, 1.0), row(0.5, None)])] == [None, None, None]


@given(
    st.lists(
        st.tuples(st.floats(-1, 1).filter(lambda w: abs(w) > 0.01), st.floats(-2, 0), st.floats(0, 3)),
        min_size=1,
        max_size=5,
    ),
    st.data(),
)
def test_renormalized_rewards_stay_in_the_stated_bounds(parts, data):
    summed = total({f"c{i}": w for i, (w, _, _) in enumerate(parts)}, on_failure="renormalize")
    low, high = summed.bounds({f"c{i}": (lo, hi) for i, (_, lo, hi) in enumerate(parts)})
    scores = row(*(data.draw(st.one_of(st.none(), st.floats(lo, hi))) for _, lo, hi in parts))
    ((value, _),) = summed.combine([scores])
    assert value is None or low - 1e-9 <= value <= high + 1e-9


def test_a_gate_caps_and_is_named_and_two_gates_both_apply():
    gated = total({"a": 1.0, "f": 0.0}, gates=(Gate(component="f", below=1.0, cap=0.2), Gate(component="a", above=0.9)))
    assert gated.combine([row(0.8, 1.0), row(0.8, 0.5), row(0.1, 0.5), row(0.95, 0.0)]) == [
        (0.8, ()),
        (0.2, ("f",)),
        (0.1, ("f",)),
        (0.0, ("f", "a")),
    ]


@pytest.mark.parametrize("policy", ["unscored", "renormalize"])
def test_a_gate_without_value_leaves_the_case_unscored_under_every_policy(policy):
    gated = total({"a": 1.0, "f": 0.0}, gates=(Gate(component="f", below=1.0),), on_failure=policy)
    assert gated.combine([row(0.8, None)]) == [(None, ())]


def test_group_normalisation_standardises_each_component_within_its_group():
    rows = [row(1.0, 10.0), row(3.0, 10.0), row(5.0, 40.0), row(5.0, 10.0)]
    summed = total({"a": 1.0, "b": 0.1}, normalize="group").combine(rows, ["g", "g", "g", "h"])
    a, b = (
        [(x - statistics.mean(column)) / (statistics.stdev(column) + 1e-4) for x in column]
        for column in ([1.0, 3.0, 5.0], [10.0, 10.0, 40.0])
    )
    assert [v for v, _ in summed[:3]] == pytest.approx([x + 0.1 * y for x, y in zip(a, b, strict=True)])
    assert summed[3][0] == 0.0, "a group of one has no spread"


def test_an_unscored_case_does_not_move_its_group():
    kept = [row(1.0, 0.1), row(2.0, 0.2), row(3.0, 0.3)]
    summed = total({"a": 1.0, "b": 1.0}, normalize="group")
    alone = summed.combine(kept, ["g"] * 3)
    for lost in (row(90.0, None), row(None, 7.0)):
        assert summed.combine([*kept, lost], ["g"] * 4) == [*alone, (None, ())]
    gated = total({"a": 1.0, "b": 0.0}, gates=(Gate(component="b", below=0.0),), normalize="group")
    assert gated.combine([*kept, row(90.0, None)], ["g"] * 4)[:3] == gated.combine(kept, ["g"] * 3)


def test_a_case_lost_by_renormalizing_does_not_move_its_group_either():
    summed = total({"a": 1.0, "p": -0.5}, on_failure="renormalize", normalize="group")
    kept = [row(0.0, 0.0), row(1.0, 0.0)]
    assert summed.combine([*kept, row(100.0, None)], ["g"] * 3) == [*summed.combine(kept, ["g"] * 2), (None, ())]


def test_a_closed_gate_puts_a_case_at_the_bottom_of_its_group():
    gated = total({"a": 1.0, "f": 0.0}, gates=(Gate(component="f", below=1.0, cap=0.0),), normalize="group")
    rows = [row(0.1, 1.0), row(0.5, 1.0), row(0.9, 0.0), row(0.9, 0.0), row(0.1, 0.0)]
    values = gated.combine(rows, ["g", "g", "g", "h", "h"])
    assert values[2] == (values[0][0], ("f",))
    assert values[1][0] > values[0][0]
    assert values[3][0] == values[4][0], "where nobody passed all are level"


def test_two_gates_of_one_component_are_named_once():
    gates = (Gate(component="a", below=0.5, cap=0.0), Gate(component="a", below=0.2, cap=-1.0))
    assert total({"a": 1.0}, gates=gates).combine([row(0.1), row(0.3)]) == [(-1.0, ("a",)), (0.0, ("a",))]


def test_equal_gates_are_equal_however_their_numbers_are_written():
    assert repr(Gate(component="a", below=1, cap=0)) == repr(Gate(component="a", below=1.0, cap=0.0))


def test_huge_values_are_standardised_like_others():
    huge, plain = (
        [v for v, _ in total({"a": 1.0}, normalize="group").combine([row(x * u) for x in (1.0, 2.0, 0.0)], ["g"] * 3)]
        for u in (1e200, 1e10)
    )
    assert huge == pytest.approx(plain)


def test_a_value_beyond_all_numbers_leaves_its_group_alone():
    summed = WeightedSum(terms={"a": Term(weight=1.0, transforms=(Affine(scale=1e200),) * 2)}, normalize="group")
    kept = [row(1e-300), row(2e-300)]
    assert summed.combine([*kept, row(1.0)], ["g"] * 3)[:2] == summed.combine(kept, ["g"] * 2)


def test_huge_values_of_one_group_leave_the_others_alone():
    summed = total({"a": 1.0}, normalize="group")
    values = [v for v, _ in summed.combine([row(1e200), row(1.0), row(0.1), row(0.2)], ["g", "g", "h", "h"])]
    assert values[2:] == [v for v, _ in summed.combine([row(0.1), row(0.2)], ["h", "h"])]


def test_group_normalisation_gives_equal_groups_no_advantage():
    summed = total({"a": 1.0}, normalize="group").combine([row(0.7)] * 3, ["g"] * 3)
    assert [v for v, _ in summed] == pytest.approx([0, 0, 0], abs=1e-9)


def test_bounds_of_the_sum_count_penalties_and_caps():
    summed = total({"a": 0.8, "p": -0.2, "off": 0.0}, gates=(Gate(component="a", below=0.1, cap=-3.0),))
    assert summed.bounds({"a": (0, 1), "p": (0, 1), "off": (-math.inf, math.inf)}) == (-3.0, 0.8)
    assert total({"a": 1.0}, normalize="group").bounds({"a": (0, 1)}) == (-math.inf, math.inf)
    unbounded = Term(weight=2.0, transforms=(Negate(), Sigmoid()))
    assert unbounded.bounds(-math.inf, math.inf) == (0.0, 2.0)


def test_bad_gates_and_weights_are_refused():
    with pytest.raises(ConfigError, match="either below or above"):
        Gate(component="a")
    with pytest.raises(ConfigError, match="either below or above"):
        Gate(component="a", below=0.1, above=0.2)
    with pytest.raises(ConfigError, match="gate a: below must be a finite number, got nan"):
        Gate(component="a", below=math.nan)
    with pytest.raises(ConfigError, match="gates: unknown component 'blue'; known: bleu. Did you mean 'bleu'"):
        total({"bleu": 1.0}, gates=(Gate(component="blue", below=0.1),))
    with pytest.raises(ConfigError, match="a: weight must be finite, got inf"):
        total({"a": math.inf})


def test_a_closed_gate_puts_a_case_level_with_the_lowest_of_its_group_that_passed():
    gated = total({"a": 1.0, "gate": 0.0}, gates=(Gate(component="gate", below=1.0),), normalize="group")
    rows = [row(0.9, 1.0), row(0.5, 1.0), row(0.8, 0.0), row(0.1, 0.0)]
    values = [value for value, _ in gated.combine(rows, ["g"] * 4)]
    assert values[2] == values[1] < values[0]
    assert values[3] < values[1]  # it was lower by itself
    (one, _), (two, _) = gated.combine([row(0.9, 0.0), row(0.1, 0.0)], ["g"] * 2)
    assert one == two  # if none passed, all are level
