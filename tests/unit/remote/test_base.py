"""The messages between client and server: descriptions, cases, scores."""

from __future__ import annotations

import json
import math

import pytest

from cxr_rewards import Case, CompositeReward, Score
from cxr_rewards.errors import ConfigError, SetupError
from cxr_rewards.remote.base import ElsewhereReward, RewardInfo, case_table, describe, score_of, score_table
from cxr_rewards.types import Failure


class Here(ElsewhereReward):
    """An elsewhere that is here, with JSON in between."""

    def __init__(self, reward):
        super().__init__(RewardInfo.parse(json.loads(json.dumps(describe(reward), allow_nan=False)), "here"))
        self.reward = reward

    def send(self, cases):
        tables = json.loads(json.dumps([case_table(case) for case in cases]))
        rows = self.reward.parts([Case(**table) for table in tables])
        message = json.dumps([[score_table(score, None) for score in row] for row in rows])
        return [tuple(map(score_of, row)) for row in json.loads(message)]


REWARDS = {
    "rules": CompositeReward(),
    "transforms": CompositeReward(
        ["bleu", "rouge_l"], weights={"bleu": 0.5, "rouge_l": 2.0},
        transforms={"bleu": ["negate", "negate"], "rouge_l": [{"zscore": {"mean": 0.1, "scale": 0.3}}, "sigmoid"]},
        gates=[{"component": "bleu", "below": 0.01, "cap": 0.0}], on_failure="renormalize", max_chars=500,
    ),
    "groups": CompositeReward(["bleu", "rouge_l"], normalize="group"),
}  # fmt: skip


@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_elsewhere_is_the_reward(name):
    reward = REWARDS[name]
    elsewhere = Here(reward)
    texts = ["Small left effusion.", "Clear lungs.", "", "Right pneumothorax. " * 30, "Left effusion, stable."]
    cases = [
        Case(candidate=a, reference=b, group=b or "none", priors=("Clear lungs.",), context={"age": 63})
        for a in texts for b in texts
    ]  # fmt: skip
    cases.append(Case(candidate=None, reference="x", group="x"))
    ours, theirs = reward.score_batch(cases), elsewhere.score_batch(cases)
    assert [(r.value, r.gates, r.reasons) for r in theirs] == [(r.value, r.gates, r.reasons) for r in ours]
    assert (elsewhere.bounds, elsewhere.signature, elsewhere.max_chars) == (
        reward.bounds,
        reward.signature,
        reward.max_chars,
    )
    assert str(elsewhere.describe()) == str(reward.describe())


@pytest.mark.parametrize("cut", [lambda rows: rows[:1], lambda rows: rows * 2, lambda rows: [row[:1] for row in rows]])
def test_rows_that_are_too_few_too_many_or_too_short_are_an_error(cut):
    elsewhere = Here(REWARDS["groups"])
    elsewhere.send = lambda cases: cut(Here.send(elsewhere, cases))
    with pytest.raises(SetupError, match=r"elsewhere returned \d rows for 2 cases, or parts of it"):
        elsewhere.parts([Case(candidate="a", reference="b"), Case(candidate="c", reference="d")])


def test_boundless_components_stay_boundless():
    description = describe(REWARDS["rules"])
    label = next(iter(description["components"]))
    description["components"][label]["bounds"] = [None, 1.0]
    assert RewardInfo.parse(description, "there").components[label].bounds == (-math.inf, 1.0)


@pytest.mark.parametrize(
    "description", [{}, {"name": "x", "signature": "y", "components": {"a": {}}, "total": {}}, {"name": 1}]
)
def test_a_malformed_description_is_reported(description):
    with pytest.raises(ConfigError, match="there: not a description of a reward"):
        RewardInfo.parse(description, "there")


@pytest.mark.parametrize("failure", [["bleu", "no text"], ["bleu", "no text", "of a later version"]])
def test_a_failure_of_another_version_is_an_error(failure):
    assert score_of({"value": None, "failure": failure}).failure == Failure("bleu", "no text", "error")


@pytest.mark.parametrize("failure", ["bleu", ["bleu"], ["bleu", 3], ["bleu", "no text", 3], ["a", "b", "error", "c"]])
def test_what_is_not_a_failure_is_refused(failure):
    with pytest.raises(ValueError, match="expected where a part failed"):
        score_of({"value": None, "failure": failure})


def test_scores_and_failures_come_back():
    for score in (Score(0.1 + 0.2, {"a": 1}), Score(None, failure=Failure("bleu", "no text", "too_long"))):
        assert score_of(json.loads(json.dumps(score_table(score, None)))) == score
    assert case_table(Case(candidate="a", reference="b", context={"age": 63, "who": ("x",)}))["context"] == {
        "age": 63, "who": "('x',)",
    }  # fmt: skip
