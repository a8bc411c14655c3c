"""Findings take what waits for them; clauses end what they opened."""

from __future__ import annotations

from cxr_rewards.findings import ontology
from cxr_rewards.findings.clauses import clauses
from cxr_rewards.findings.ontology import Cue
from cxr_rewards.findings.walker import statements
from cxr_rewards.findings.walker.state import State

DENIAL = Cue("negation", "deny", "forward", frozenset(("turn",)), "absent")
DOUBT = Cue("possibility", "doubt", "forward", grade="possible")


def state_of(text="effusion"):
    found, count = clauses(ontology(), text)
    return State(ontology(), found, count)


def test_a_finding_takes_the_certainty_of_the_scope_and_what_waits():
    state = state_of()
    state.scope.denied = DENIAL
    state.side, state.side_at = "left", 0
    state.waiting = {"severity": (2.0, 0)}
    statements.add_finding(state, "pleural_effusion")
    (mention,) = state.mentions
    assert (mention.certainty, mention.side, mention.severity) == ("absent", "left", 2.0)
    assert state.waiting == {}


def test_what_is_set_aside_is_not_added():
    state = state_of()
    state.scope.set_aside = Cue("history", "set_aside", "forward")
    statements.add_finding(state, "pleural_effusion")
    assert state.mentions == []


def test_a_doubt_from_or_holds_for_one_finding_only():
    state = state_of()
    state.scope.next_doubted = True
    statements.add_finding(state, "atelectasis")
    statements.add_finding(state, "scarring")
    assert [mention.certainty for mention in state.mentions] == ["possible", "present"]


def test_an_ender_ends_only_the_scopes_that_name_it():
    state = state_of()
    state.scope.denied, state.scope.doubted = DENIAL, DOUBT
    statements.end_scopes(state, "turn")
    assert (state.scope.denied, state.scope.doubted) == (None, DOUBT)
    statements.end_scopes(state)
    assert state.scope.doubted is None


def test_a_clause_keeps_a_bounded_number_of_findings():
    state = state_of()
    for _ in range(3 * statements.KEPT):
        statements.add_finding(state, "pleural_effusion")
    assert len(state.mentions) == 3 * statements.KEPT
    assert len(state.clause.mentions) == len(state.clause.since_comma) == statements.KEPT


def test_the_end_of_a_clause_leaves_the_findings_and_little_else():
    state = state_of()
    state.scope.denied = DENIAL
    state.waiting = {"place": (("base",), 0), "size": (8.0, 0)}
    statements.add_finding(state, "pleural_effusion")
    state.waiting = {"size": (8.0, 0)}
    statements.end_clause(state)
    assert len(state.mentions) == 1
    assert (state.clause.mentions, state.scope.denied, state.waiting) == ([], None, {})
    assert state.unclaimed == [("size", 8.0)]
