"""FineRadScore's corrections line by line, their severities, and the number made of them."""

from __future__ import annotations

import json

import pytest

from cxr_rewards import Case, CompositeReward
from cxr_rewards.errors import ConfigError, VerdictParseError
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.protocols.fineradscore import Fineradscore, FineradscoreReply
from cxr_rewards.testing.fake_judge import FakeJudge

CANDIDATE = "The heart is enlarged. There is a large\neffusion on the left."
REFERENCE = "Small right effusion. Pneumothorax."


def correction(line, kind="A", severity="urgent", **more):
    return {"line": line, "type": kind, "severity": severity, "correction": "", "comment": "", **more}


CORRECTIONS = [
    correction(1, severity="not_actionable", comment="a small heart"),
    correction(2, "C", "actionable_nonurgent", correction="There is a small effusion on the right."),
    correction(0, "B", "emergent", correction="There is a pneumothorax."),
]


def scored(reply, seen=None, candidate=CANDIDATE, **settings):
    def answer(messages):
        if seen is not None:
            seen.append(messages)
        return json.dumps({"corrections": reply}) if isinstance(reply, list) else reply

    with FakeJudge(answer=answer) as fake:
        score = Fineradscore(model="m", base_url=fake.url, **settings).score(candidate, REFERENCE)
    close_judges()
    return score


@pytest.mark.parametrize(("aggregate", "value"), [("sum", 7.0), ("worst", 4.0), ("corrections", 3.0)])
def test_severities_are_aggregated_as_set(aggregate, value):
    assert scored(CORRECTIONS, aggregate=aggregate).value == value
    assert scored([], aggregate=aggregate).value == 0.0


def test_the_judge_sees_the_candidate_line_by_line():
    seen = []
    scored([], seen)
    shown = seen[0][-1]["content"]
    assert "1. The heart is enlarged.\n2. There is a large effusion on the left." in shown
    assert "Small right effusion. Pneumothorax." in shown


def test_the_details_tell_each_correction():
    details = scored(CORRECTIONS).details
    assert [(error["type"], error["grade"], error["significant"]) for error in details["errors"]] == [
        ("A", "not_actionable", False),
        ("C", "actionable_nonurgent", True),
        ("B", "emergent", True),
    ]
    assert details["errors"][0]["text"] == "a small heart"
    assert details["missed"] == [{"text": "There is a pneumothorax.", "grade": "emergent"}]
    assert details["counts"]["significant"] == {"A": 0, "B": 1, "C": 1, "D": 0, "E": 0, "F": 0}


@pytest.mark.parametrize("words", ["Actionable nonurgent", "actionable, non-urgent", "ACTIONABLE_NONURGENT"])
def test_a_severity_may_be_spelled_in_other_ways(words):
    assert scored([correction(1, severity=words)]).value == 2.0


@pytest.mark.parametrize(
    ("corrections", "message"),
    [
        ([correction(3)], "line 3: the candidate has 2 lines"),
        ([correction(-1)], "line: expected a number from 0, got -1"),
        ([correction(True)], "line: expected a number from 0, got True"),
        ([correction(1), correction(1, "B")], "a line is corrected twice"),
        ([correction(1, "G")], "type: expected a letter from A to F, got 'G'"),
        ([correction(1, severity="grave")], "severity: expected one of"),
        ([correction(1, comment=3)], "comment: expected a text, got 3"),
        ([correction(1, more="x")], "unknown .'more'."),
        ([{"line": 1, "type": "A"}], "'severity'. missing"),
        ([correction(0, "B")] * 51, "more than 50 lines added"),
    ],
)
def test_what_is_no_correction_is_refused(corrections, message):
    with pytest.raises(VerdictParseError, match=message):
        FineradscoreReply.corrections(json.dumps({"corrections": corrections}), 2)


def test_a_correction_of_a_line_that_is_not_there_leaves_the_case_unscored():
    score = scored([correction(9)])
    assert (score.value, score.failure.kind) == (None, "unparsable")


def test_a_blank_candidate_can_only_be_added_to():
    assert scored([correction(0, "B")], candidate=" ").value == 3.0
    assert scored([correction(1)], candidate=" ").value is None


def test_a_files_number_is_the_inverse_of_the_mean():
    with FakeJudge() as fake:
        judge = Fineradscore(model="m", base_url=fake.url)
        cases = [Case(candidate=text, reference=REFERENCE) for text in (REFERENCE, "Small right effusion.")]
        scores = [reward.parts["fineradscore"] for reward in CompositeReward([judge]).score_batch(cases)]
    close_judges()
    assert [score.value for score in scores] == [0.0, 3.0]
    statistics = judge.corpus(iter(scores))
    assert statistics["1/mean"] == pytest.approx(2 / 3)
    assert (statistics["significant.B"], statistics["at_most_1"]) == (0.5, 1.0)
    assert judge.corpus(scores[:1])["1/mean"] is None


def test_an_unknown_aggregate_is_an_error():
    with pytest.raises(ConfigError, match="unknown aggregate 'average'"):
        Fineradscore(aggregate="average")
