"""GREEN's sections in every published form; whatever else is an error."""

from __future__ import annotations

import pytest
from tests.judge_server import says

from cxr_rewards.errors import VerdictParseError
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.protocols.green import Green, GreenReply
from cxr_rewards.testing.fake_judge import FakeJudge

SECTIONS = """[Explanation]:
The candidate misses one thing: (a) nothing else.

[Clinically Significant Errors]:
(a) False report of a finding in the candidate: 1. Edema
(b) Missing a finding present in the reference: 2. Effusion; tube

[Clinically Insignificant Errors]:
No insignificant errors

[Matched Findings]:
3. Cardiomegaly; clear lungs; no pneumothorax
"""


def test_green_reads_its_sections():
    verdict = GreenReply.parse(SECTIONS)
    assert verdict.significant == {"a": 1, "b": 2, "c": 0, "d": 0, "e": 0, "f": 0}
    assert sum(verdict.insignificant.values()) == 0
    assert verdict.matched == 3
    assert says(Green, SECTIONS).value == 0.5


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (("(a) ", "(1) "), 0.5),
        (("(a) False report of a finding in the candidate: 1. Edema\n", ""), 0.6),
        (("No insignificant errors", "(f) Omitted: 4. x"), 0.5),
        (("3. Cardiomegaly; clear lungs; no pneumothorax", "No matched findings"), 0.0),
        (("3. Cardiomegaly; clear lungs; no pneumothorax", "3"), 0.5),
        (("1. Edema", "1"), 0.5),
        (("\n\n[", "\n["), 0.5),
        (("(a) ", "- (a) "), 0.5),
        (("[Explanation]:\nThe candidate misses one thing: (a) nothing else.\n\n", ""), 0.5),
        (("[Matched Findings]:", "**[Matched Findings]:**"), 0.5),
    ],
)
def test_green_reads_every_form(change, value):
    assert change[0] in SECTIONS
    assert says(Green, SECTIONS.replace(*change)).value == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[Matched Findings]:", ""), "no section .Matched Findings."),
        (("[Clinically Significant Errors]:", ""), "no section .Clinically Significant Errors."),
        (("[Clinically Insignificant Errors]:\nNo insignificant errors\n", ""), "no section .Clinically Insignificant"),
        (("3. Card", "Card"), "matched findings: expected a count"),
        (("3. Card", "-3. Card"), "matched findings: expected a count"),
        ((": 1. Edema", ": some"), "expected a count"),
        ((": 1. Edema", " Edema"), "no number, or more than one, in"),
        (("(b) Missing", "(a) Missing"), "given twice"),
        (("(b) Missing", "(2) Missing"), None),
        (("No insignificant errors", "All is well"), "expected lines such as"),
        ((SECTIONS, SECTIONS + SECTIONS), "is given twice"),
        ((SECTIONS, "The reports agree."), "no section"),
    ],
)
def test_green_refuses_all_else(change, message):
    reply = SECTIONS.replace(*change)
    if message is None:
        assert GreenReply.parse(reply) == GreenReply.parse(SECTIONS)
        return
    with pytest.raises(VerdictParseError, match=message):
        GreenReply.parse(reply)


def test_green_shows_its_model_as_many_words_as_it_was_trained_on():
    seen = []

    def answer(messages):
        seen.append(messages[-1]["content"])
        return SECTIONS

    with FakeJudge(answer=answer) as fake:
        Green(model="m", base_url=fake.url, max_words=3).score("one two three four", "eins zwei drei vier")
    close_judges()
    assert "one two three\n<" in seen[0]
    assert "eins zwei drei\n<" in seen[0]
    assert "four" not in seen[0]
