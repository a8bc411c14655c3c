"""Effects of punctuation, "and" and "or"."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from cxr_rewards.findings.finding import Change, Side
from cxr_rewards.findings.walker.doubts import doubt_both
from cxr_rewards.findings.walker.lookahead import (
    has_side,
    next_is,
    other_side_follows,
    parts_findings,
    side_follows,
    starts_statement,
    tells_of_other_side,
)
from cxr_rewards.findings.walker.state import Bracket, Scope, State
from cxr_rewards.findings.walker.statements import end_clause, end_scopes, is_conditional, names_side_only


def _note_joint(state: State, kind: str) -> None:
    """Remember what joins the next finding to the one before it; "and" and "or" count more than commas."""
    if state.clause.joint not in ("and", "or"):
        state.clause.joint = kind


def comma(state: State) -> None:
    _note_joint(state, "comma")
    i, clause = state.index, state.clause
    denied = state.scope.denied
    if (
        denied is not None
        and "comma" in denied.ended_by
        and not (clause.mentions and clause.mentions[-1].at > state.denied_at)
    ):
        state.scope.denied = None
    if state.scope.set_aside is not None and is_conditional(state) and not next_is(state.items, i + 1, "or"):
        state.scope.set_aside = None  # "right opacity, if it persists, is likely pneumonia"
    goes_on = bool(state.mentions) and state.mentions[-1].repeats and names_side_only(state)
    if goes_on or other_side_follows(state, i):  # "effusions, left small, right moderate"
        end_clause(state)
        return
    concluded = state.scope.denied is not None and i > 0 and state.items[i - 1].kind == "conclude"
    if concluded or starts_statement(state, i):
        end_clause(state)
        return
    if clause.since_comma and parts_findings(state.items, i):
        clause.since_comma = []
    if state.side_used or _side_is_spent(state):
        state.side = ""
    if clause.mentions:
        state.waiting.pop("change", None)


def _side_is_spent(state: State) -> bool:
    """Return whether a side was that of a structure only: "indistinct right heart border, left effusion"."""
    i = state.index
    if (i and has_side(state.items[i - 1])) or not side_follows(state.items, i):
        return False
    return state.waiting.keys() <= {"change", "place"}


def and_(state: State) -> None:
    _note_joint(state, "and")
    if tells_of_other_side(state, state.index):
        _begin_other_side(state)
    elif starts_statement(state, state.index) or other_side_follows(state, state.index):
        end_clause(state)


def _begin_other_side(state: State) -> None:
    """Begin a clause about the last finding on its other side: "absent on the left and small on the right"."""
    last = state.clause.mentions[-1]
    other = replace(
        last.copy(), side="", place=(), change="", severity=0.0, size=0.0, certainty="present", repeats=True
    )
    end_clause(state)
    state.clause.had_verb = True
    state.mentions.append(other)
    state.clause.mentions.append(other)
    state.clause.since_comma.append(other)


def or_(state: State) -> None:
    _note_joint(state, "or")
    doubt_both(state)


def introduce(state: State) -> None:
    """Read a colon: "Unchanged: cardiomegaly, effusion" says it of all that follow; in "Heart: normal" it is a verb.

    "Left lung: effusion, consolidation" says of both where they are.
    """
    state.clause.verb = True
    state.listed_side = side_of_list(state)
    before = state.items[state.index - 1] if state.index else None
    if before is not None and before.kind == "deny_backward" and not state.clause.mentions:
        state.scope.denied = state.known.cues[before.names[0]]  # "ruled out: pneumothorax, effusion"
    if state.clause.mentions:  # "likely bronchiolitis: hyperinflated lungs and bronchial thickening"
        state.scope.doubted = state.scope.denied = state.favored = None  # "not a pneumothorax: a skin fold"
    if before is not None and not before.kind.startswith("set_aside"):
        state.scope.set_aside = None  # "follow-up of pneumonia: the consolidation has cleared"
    if before is not None and before.kind == "quality" and state.scope.denied is not None:
        end_scopes(state)  # "the lungs are no longer as clear: new opacity"
    change = next((value for slot, value in before.attributes if slot == "change"), "") if before is not None else ""
    if change and change != "resolved":
        state.listed_change = cast("Change", change)
        state.waiting.pop("change", None)
        state.change_used = True


_OF_NO_FINDING = (("lungs",), ("pleura",), ("abnormality",))
_LONGEST_HEAD = 4
"""Most phrases before a colon that together can name a side."""


def side_of_list(state: State) -> Side:
    """Return the side that all before a colon names, and nothing else; "" if there is other."""
    head = state.items[max(state.clause.begins + 1, state.index - _LONGEST_HEAD) : state.index]
    sides = {str(value) for item in head for slot, value in item.attributes if slot == "side"}
    only = len(head) < _LONGEST_HEAD and all(
        item.kind in ("modifier", "verb") or item.names in _OF_NO_FINDING for item in head
    )
    return cast("Side", sides.pop()) if only and len(sides) == 1 and not state.clause.mentions else ""


def open_(state: State) -> None:
    clause = state.clause
    state.bracket = Bracket(state.scope, list(clause.mentions), list(clause.since_comma))
    following = state.items[state.index + 1].kind if state.index + 1 < len(state.items) else ""
    if following not in ("or", "and"):  # "no pneumothorax (or effusion)"
        state.scope = Scope()
    state.favored = None


def close_(state: State) -> None:
    if state.bracket is None:  # "a) large effusion b) clear lungs"
        end_clause(state)
        return
    state.scope, state.clause.mentions, state.clause.since_comma = state.bracket
    state.bracket = None
