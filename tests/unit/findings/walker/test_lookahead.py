"""Questions about the phrases around one in its sentence."""

from __future__ import annotations

import pytest

from cxr_rewards.findings import ontology
from cxr_rewards.findings.clauses import clauses
from cxr_rewards.findings.walker import lookahead
from cxr_rewards.findings.walker.state import Cue, State


def at(text, word):
    """Return the state at the phrase that is `word`."""
    found, count = clauses(ontology(), text)
    index = next(i for i, item in enumerate(found) if text[item.start : item.end] == word)
    return State(ontology(), found, count, index)


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("small left effusion", "small", True),
        ("small, new effusion", "small", True),
        ("effusion, small", "small", False),
        ("small. the lungs are clear", "small", False),
        ("left lung is clear with effusion", "left", False),
    ],
)
def test_a_modifier_speaks_of_the_next_finding_if_only_modifiers_are_between(text, word, expected):
    state = at(text, word)
    assert lookahead.speaks_of_next(state, state.index) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no effusion, small nodule", True),
        ("no effusion, small nodule, or mass", False),
        ("no effusion, the heart is enlarged", True),
        ("no effusion, pneumothorax", False),
    ],
)
def test_a_statement_after_a_denial_is_told_from_an_item_of_its_list(text, expected):
    state = at(text, ",")
    state.scope.denied = Cue("negation", "deny", "forward", grade="absent")
    assert lookahead.starts_statement(state, state.index) is expected


def test_nothing_is_looked_for_beyond_reach_or_the_end_of_the_statement():
    for text, expected in [("enlarged heart", 1), ("enlarged, heart", None), ("enlarged " + "x " * 9 + "heart", None)]:
        assert lookahead.next_of(clauses(ontology(), text)[0], 0, ("structure",)) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("slightly increased", True), ("small effusion", False), ("small", False)]
)
def test_a_severity_may_be_that_of_a_change(text, expected):
    assert lookahead.grades_change(clauses(ontology(), text)[0], 0) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("mild to moderate", True), ("mild xxx xxx xxx moderate", False), ("effusion moderate", False)],
)
def test_a_range_of_severities_is_seen(text, expected):
    assert lookahead.follows_severity(clauses(ontology(), text)[0], 1) is expected
