"""CheXprompt's verdicts as JSON and as its own two lines; whatever else is an error."""

from __future__ import annotations

import json

import pytest
from tests.judge_server import says

from cxr_rewards.errors import VerdictParseError
from cxr_rewards.judges.protocols.chexprompt import Chexprompt, ChexpromptReply

LINES = (
    "Number of clinically significant errors by type: [(A, 1), (B, 0), (C, 0), (D, 2), (E, 0), (F, 0)]\n"
    "Number of clinically insignificant errors by type: [(A, 0), (B, 3), (C, 0), (D, 0), (E, 0), (F, 0)]"
)
COUNTS = {
    "significant": {"A": 1, "B": 0, "C": 0, "D": 2, "E": 0, "F": 0},
    "insignificant": {"A": 0, "B": 3, "C": 0, "D": 0, "E": 0, "F": 0},
}


@pytest.mark.parametrize(
    "reply",
    [
        LINES,
        LINES.replace("\n", "\n\n"),
        LINES.replace("[", "(").replace("]", ")"),
        LINES.replace("(A", "('A'").replace("(F", '("F"'),
        f"Sure.\n{LINES}\n",
        LINES.replace("(A, 1), (B, 0)", "(B, 0), (A, 1)"),
        LINES.replace(" errors by type:", " errors by type :").replace("(", "( "),
        f"**{LINES.splitlines()[0]}**\n**{LINES.splitlines()[1]}**",
        json.dumps({
            "errors": [{"type": "A", "significant": True, "what": "x"}]
            + [{"type": "D", "significant": True, "what": "x"}] * 2
            + [{"type": "B", "significant": False}] * 3
        }),
    ],
)  # fmt: skip
def test_chexprompt_reads_every_form(reply):
    assert ChexpromptReply.parse(reply) == COUNTS
    assert ChexpromptReply.parse(reply) == ChexpromptReply.parse(reply)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (LINES.splitlines()[0], "no line of insignificant errors"),
        (f"{LINES}\n{LINES}", "the line of significant errors is given twice"),
        (LINES.replace("(A, 1)", "(A, -1)"), "type A: expected a count from 0 to 50, got '-1'"),
        (LINES.replace("(A, 1)", "(A, 1.5)"), "expected a count"),
        (LINES.replace("(A, 1)", "(A, 500)"), "expected a count"),
        (LINES.replace("(A, 1), ", ""), "expected each type from A to F once"),
        (LINES.replace("(A, 1)", "(B, 1)"), "expected each type from A to F once"),
        (LINES.replace("(A, 1)", "(G, 1)"), "expected each type from A to F once"),
        (LINES.replace("(A, 1)", "A = 1"), "expected pairs such as|expected each type"),
        (LINES.replace("(A, 1)", "(A, one)"), "expected a count"),
        ('{"errors": {}}', "errors: expected a list of dict"),
        ('{"errors": [1]}', "errors: expected a list of dict"),
        ('{"mistakes": []}', "'errors'. missing"),
        ('{"errors": [], "score": 1}', "unknown .'score'."),
        ('{"errors": [{"type": "G", "significant": true, "what": "x"}]}', "expected a letter from A to F, got 'G'"),
        ('{"errors": [{"type": "AB", "significant": true, "what": "x"}]}', "expected a letter from A to F, got 'AB'"),
        ('{"errors": [{"type": "", "significant": true, "what": "x"}]}', "expected a letter from A to F, got ''"),
        ('{"errors": [{"type": "A", "significant": "yes", "what": "x"}]}', "expected true or false, got 'yes'"),
        ('{"errors": [{"type": "A", "what": "x"}]}', "'significant'. missing"),
    ],
)
def test_chexprompt_refuses_all_else(reply, message):
    with pytest.raises(VerdictParseError, match=message):
        ChexpromptReply.parse(reply)


def test_chexprompt_counts_as_set():
    assert says(Chexprompt, LINES).value == 1 / 4
    assert says(lambda **s: Chexprompt(counts="all", **s), LINES).value == 1 / 7


def test_chexprompts_published_checks(judge):
    chexprompt = Chexprompt(**judge)
    worse = chexprompt.score("Severe cardiomegaly.", "The heart is normal in size. The lungs are clear.")
    assert worse.details["counts"]["significant"] == {"A": 1, "B": 0, "C": 0, "D": 0, "E": 0, "F": 0}
    same = chexprompt.score("There is pleural effusion.", "Evidence of pleural effusion.")
    assert same.value == 1.0
    assert sum(same.details["counts"]["insignificant"].values()) == 0


def test_a_prior_bears_a_comparison_out(judge):
    chexprompt = Chexprompt(**judge, counts="all")
    texts = "Left pleural effusion, increased.", "Left pleural effusion."
    assert chexprompt.score(*texts).value < chexprompt.score(*texts, ["Small left pleural effusion."]).value
    alone = Chexprompt(**judge, counts="all", use_priors=False)
    assert alone.score(*texts, ["Small left pleural effusion."]).value == chexprompt.score(*texts).value
