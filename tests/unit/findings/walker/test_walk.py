"""What a sentence leaves for the report: findings, references back, attributes without a finding."""

from __future__ import annotations

import pytest

from cxr_rewards.findings import ontology
from cxr_rewards.findings.clauses import clauses
from cxr_rewards.findings.walker import walk


def walked(text):
    return walk(ontology(), *clauses(ontology(), text))


def test_spans_are_those_of_the_sentence():
    text = "small left pleural effusion and cardiomegaly"
    assert [text[start:end] for _, start, end in walked(text).findings] == ["pleural effusion", "cardiomegaly"]


@pytest.mark.parametrize(
    ("text", "expected"), [("it has increased", True), ("it", True), ("effusion", False), ("", False)]
)
def test_a_sentence_may_refer_back(text, expected):
    assert walked(text).refers_back is expected


@pytest.mark.parametrize(
    ("text", "unclaimed"),
    [
        ("it measures 8 mm", (("size", 8.0),)),
        ("the tip is in the stomach", (("position", "stomach"),)),
        ("not seen", (("certainty", "absent"),)),
        ("8 mm nodule", ()),
    ],
)
def test_what_belongs_to_no_finding_of_the_sentence_is_left_for_the_one_before(text, unclaimed):
    assert walked(text).unclaimed == unclaimed


def test_another_of_the_finding_before_has_no_observation():
    ((fields, _, _),) = walked("a small one persists").findings
    assert fields[:2] == ("", "present")


def test_walks_do_not_share_state():
    assert walked("no effusion").findings[0][0][1] == "absent"
    assert walked("effusion").findings[0][0][1] == "present"
