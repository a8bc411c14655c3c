"""RadFact's phrases and verdicts both ways."""

from __future__ import annotations

import json

import pytest

from cxr_rewards import Case, CompositeReward
from cxr_rewards.errors import VerdictParseError
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.protocols.radfact import Radfact, RadfactEntailment, RadfactPhrases
from cxr_rewards.testing.fake_judge import FakeJudge

REFERENCE = "Small left pleural effusion. The heart is normal in size."


def test_radfact_counts_both_ways(judge):
    score = Radfact(**judge).score("Left effusion. Right pneumothorax.", "Left effusion. Edema. Clear lungs.")
    assert score.details["marks"]["precision"] == 0.5
    assert score.details["marks"]["recall"] == pytest.approx(2 / 3)
    assert score.value == pytest.approx(4 / 7)
    assert score.details["phrases"][:2] == [
        {"of": "candidate", "text": "Left effusion.", "entailed": True},
        {"of": "candidate", "text": "Right pneumothorax.", "entailed": False},
    ]
    assert [phrase["entailed"] for phrase in score.details["phrases"][2:]] == [True, False, True]
    assert len(score.details["replies"]) == len(score.details["prompts"]) == 4
    precision = Radfact(**judge, measure="precision")
    assert precision.score("Left effusion. Right pneumothorax.", "Left effusion. Edema. Clear lungs.").value == 0.5


def test_radfact_asks_for_the_phrases_of_a_reference_once():
    with FakeJudge() as fake:
        reward = CompositeReward([Radfact(model="m", base_url=fake.url)])
        reward.score_batch([Case(candidate=f"Small effusion {i}.", reference=REFERENCE) for i in range(4)])
        assert fake.requests == 1 + 4 + 2 * 4
    close_judges()


def test_radfact_defines_what_has_no_phrases(judge):
    assert Radfact(**judge).score("", REFERENCE).value == 0.0
    nothing = Radfact(**judge).score("Left effusion.", "...")
    assert str(nothing.failure) == "radfact: the judge found no phrase in the reference"


@pytest.mark.parametrize(
    ("parser", "reply", "message"),
    [
        (RadfactPhrases, '{"phrases": [1]}', "expected a list of str"),
        (RadfactPhrases, '{"phrases": "x"}', "expected a list of str"),
        (RadfactPhrases, json.dumps({"phrases": ["x"] * 101}), "101 phrases"),
        (RadfactEntailment, '{"verdicts": [{"phrase": 1}]}', "'entailed'. missing"),
        (RadfactEntailment, '{"verdicts": [{"phrase": 2, "entailed": true}]}', "expected verdicts on phrases 1 to 1"),
        (RadfactEntailment, '{"verdicts": [{"phrase": "1", "entailed": true}]}', "expected each number once"),
        (RadfactEntailment, '{"verdicts": [{"phrase": 1, "entailed": 1}]}', "expected true or false"),
    ],
)
def test_radfact_refuses_all_else(parser, reply, message):
    with pytest.raises(VerdictParseError, match=message):
        parser.parse(reply)


def test_radfact_wants_a_verdict_on_each_phrase():
    with pytest.raises(VerdictParseError, match="1 verdicts on 2 phrases"):
        RadfactEntailment.truths('{"verdicts": [{"phrase": 1, "entailed": true}]}', 2)
