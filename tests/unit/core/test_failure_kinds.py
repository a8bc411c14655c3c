"""Each failure has a kind, so that programs need not read its reason."""

from __future__ import annotations

import logging

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.core.component import Component
from cxr_rewards.core.engine import Engine
from cxr_rewards.core.feature import Feature
from cxr_rewards.types import FAILURE_KINDS, Case, Failure, Reward, Score, known_kind


class NAType:
    """Stands for pandas.NA, whose truth is an error."""

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")


class Acts(Component):
    """Does what the candidate says."""

    name = "acts"
    summary = "acts"

    def score_case(self, case, features):
        match case.candidate:
            case "key":
                raise KeyError("x")
            case "slow":
                raise TimeoutError("too slow")
            case "reset":
                raise ConnectionResetError("reset")
            case "beyond":
                return Score(2.0)
            case "nan":
                return Score(float("nan"))
            case "nothing":
                return Score(None)
            case "foreign":
                return Score(None, failure=Failure("acts", "is broken", "of a later version"))  # type: ignore[arg-type]
            case "plain":
                return Score(None, failure=Failure("acts", "is broken"))
        return Score(1.0)


class Boom(Feature):
    name = "boom"

    def compute(self, items, upstream):
        if any("bad" in item for item in items):
            raise RuntimeError("boom")
        return [0.5 for _ in items]


class Booms(Component):
    name = "booms"
    summary = "booms"
    needs = (Boom(),)

    def score_case(self, case, features):
        return Score(features.value(self.needs[0], case.candidate))


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"candidate": None}, "missing_text"),
        ({"candidate": float("nan")}, "missing_text"),
        ({"candidate": NAType()}, "missing_text"),
        ({"reference": " "}, "missing_text"),
        ({"priors": ("Clear.", None)}, "missing_text"),
        ({"reference": 3}, "invalid_input"),
        ({"priors": 5.0}, "invalid_input"),
        ({"context": "age 60"}, "invalid_input"),
        ({"candidate": "x" * 41}, "too_long"),
        ({"candidate": Failure("rollout", "is torn", "invalid_input")}, "invalid_input"),
        ({"candidate": "beyond"}, "out_of_bounds"),
        ({"candidate": "nan"}, "out_of_bounds"),
        ({"candidate": "slow"}, "timeout"),
        ({"candidate": "reset"}, "transport"),
        ({"candidate": "key"}, "error"),
        ({"candidate": "nothing"}, "error"),
        ({"candidate": "plain"}, "error"),
        ({"candidate": "foreign"}, "error"),
    ],
)
def test_the_kind_tells_why_a_case_has_no_score(fields, kind):
    case = Case(**{"candidate": "c", "reference": "r", **fields})
    ((score,),) = Engine({"acts": Acts()}, max_chars=40).run([case])
    assert score.value is None
    assert score.failure.kind == kind


@pytest.mark.parametrize(
    "name",
    [
        "findings_f1",
        "findings_soft_f1",
        "findings_score",
        "change_f1",
        "device_f1",
        "chexpert_rule_f1",
        "location_agreement",
        "severity_agreement",
    ],
)
def test_a_reference_that_states_no_finding_leaves_nothing_to_compare(name):
    reward = CompositeReward([name]).score("Left effusion.", "Dictated by the resident.")
    assert reward.value is None
    assert reward.kinds == ("nothing_to_compare",)


def test_a_sum_that_overflows_is_out_of_bounds():
    reward = CompositeReward({"acts": Acts(), "more": Acts()}, weights={"acts": 1.7e308, "more": 1.7e308})
    assert reward.score("c", "r").kinds == ("out_of_bounds",)


def test_a_reward_lists_each_kind_of_its_failures_once_and_in_order():
    failures = [Failure("a", "x", "timeout"), Failure("b", "y", "refusal"), Failure("c", "z", "timeout")]
    reward = Reward(None, {failure.where: Score(None, failure=failure) for failure in failures})
    assert reward.kinds == ("timeout", "refusal")
    assert Reward(1.0, {"a": Score(1.0)}).kinds == ()


def test_a_failure_of_two_fields_is_still_valid():
    assert Failure("here", "why") == Failure("here", "why", "error")
    assert str(Failure("here", "why", "refusal")) == "here: why"


@pytest.mark.parametrize("kind", [None, 3, [], "", "Refusal", "later"])
def test_a_kind_that_is_not_ours_is_an_error(kind):
    assert known_kind(kind) == "error"


def test_our_kinds_stay_what_they_are():
    assert [known_kind(kind) for kind in FAILURE_KINDS] == list(FAILURE_KINDS)


def test_an_unexpected_error_is_logged_once_with_its_traceback(caplog):
    engine = Engine({"acts": Acts(), "booms": Booms()})
    with caplog.at_level(logging.DEBUG, logger="cxr_rewards"):
        engine.run([Case(candidate=text, reference="r") for text in ("key", "bad", "fine", "beyond")])
    logged = {record.getMessage(): record.exc_info for record in caplog.records}
    assert len(caplog.records) == 3, "a chunk that is tried again item by item is not logged itself"
    assert logged["acts failed: out_of_bounds"] is None, "raised on purpose"
    assert logged["acts failed: error"][0] is KeyError
    assert logged["boom failed: error"][0] is RuntimeError
    assert "score_case" in caplog.text


def test_nothing_is_logged_above_debug(caplog):
    with caplog.at_level(logging.INFO, logger="cxr_rewards"):
        Engine({"acts": Acts()}).run([Case(candidate="key", reference="r")])
    assert not caplog.records
