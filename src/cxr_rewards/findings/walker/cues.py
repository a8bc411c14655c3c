"""Effects of cues and punctuation: one function for each kind. `data/cues.toml` lists the words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from cxr_rewards.findings.finding import Change
from cxr_rewards.findings.ontology import Cue
from cxr_rewards.findings.walker.attributes import read_modifier
from cxr_rewards.findings.walker.lookahead import (
    JOINS,
    REACH,
    has_complement,
    has_side,
    next_is,
    next_of,
    other_side_follows,
    parts_findings,
    side_follows,
    side_stands_alone,
    speaks_of_next,
    starts_statement,
    tells_of_other_side,
)
from cxr_rewards.findings.walker.mention import Mention
from cxr_rewards.findings.walker.state import Bracket, Scope, State
from cxr_rewards.findings.walker.statements import (
    add_finding,
    can_repeat,
    end_clause,
    end_scopes,
    heads,
    names_side_only,
    repeat_last,
)
from cxr_rewards.findings.walker.structures import refine_by_structure


def read_cue(state: State) -> None:
    """Carry out the effect of a cue or mark, then read the attributes that its words state."""
    used = EFFECTS[state.item.kind](state)
    if state.item.attributes and not used:
        read_modifier(state)


def _cue(state: State) -> Cue:
    return state.known.cues[state.item.names[0]]


# ---------------------------------------------------------------- punctuation, "and" and "or"


def _note_joint(state: State, kind: str) -> None:
    """Remember what joins the next finding to the one before it; "and" and "or" count more than commas."""
    if state.clause.joint not in ("and", "or"):
        state.clause.joint = kind


def _comma(state: State) -> None:
    _note_joint(state, "comma")
    i, clause = state.index, state.clause
    denied = state.scope.denied
    if (
        denied is not None
        and "comma" in denied.ended_by
        and not (clause.mentions and clause.mentions[-1].at > state.denied_at)
    ):
        state.scope.denied = None
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


def _and(state: State) -> None:
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


def _or(state: State) -> None:
    _note_joint(state, "or")
    _doubt_both(state)


def _end_clause(state: State) -> None:
    end_clause(state)


def _introduce(state: State) -> None:
    """Read a colon: "Unchanged: cardiomegaly, effusion" says it of all that follow; in "Heart: normal" it is a verb."""
    state.clause.verb = True
    before = state.items[state.index - 1] if state.index else None
    change = next((value for slot, value in before.attributes if slot == "change"), "") if before is not None else ""
    if change and change != "resolved":
        state.listed_change = cast("Change", change)
        state.waiting.pop("change", None)
        state.change_used = True


def _open(state: State) -> None:
    clause = state.clause
    state.bracket = Bracket(state.scope, list(clause.mentions), list(clause.since_comma))
    state.scope = Scope()
    state.favored = None


def _close(state: State) -> None:
    if state.bracket is None:  # "a) large effusion b) clear lungs"
        end_clause(state)
        return
    state.scope, state.clause.mentions, state.clause.since_comma = state.bracket
    state.bracket = None


# ---------------------------------------------------------------- denials


def _deny_forward(state: State) -> None:
    if _cue(state).grade == "unlikely" and not has_complement(state.items, state.index):
        if state.clause.mentions:
            _deny_previous(state)
            return
        if state.mentions and not state.clause.parts:  # "pneumonia is possible, but unlikely"
            state.mentions[-1].certainty = _cue(state).grade
            return
    state.scope.denied = _cue(state)
    state.denied_at = state.item.first
    if state.side_used and state.index and state.items[state.index - 1].kind in JOINS:
        state.side = ""  # "left effusion and no pneumothorax"
    if state.mentions and side_stands_alone(state.items, state.index + 1) and can_repeat(state):
        state.side, state.clause.since_comma = "", []
        repeat_last(state)  # "seen on the left, but not on the right"


def _deny_backward(state: State) -> bool:
    """Deny the findings before, or as in "resolved effusion" those after; return whether it was those before."""
    if not state.clause.mentions and speaks_of_next(state, state.index):
        _deny_forward(state)
        return False
    if names_side_only(state):  # "the right has resolved"
        repeat_last(state)
    _deny_previous(state)
    return True


def _deny_previous(state: State) -> None:
    if state.referred_back:  # "the tip is not seen" denies no tube
        return
    resolved = ("change", "resolved") in state.item.attributes
    if resolved and state.scope.denied is not None and state.item.first - state.denied_at <= 2:
        for mention in state.clause.mentions[-1:]:
            if mention.at < state.denied_at:  # "has neither resolved nor increased"
                mention.give("change", "stable")
                return
    following = state.items[state.index + 1] if state.index + 1 < len(state.items) else None
    former = following is not None and following.kind in ("compare", "date_back")
    if following is not None and former and not resolved and following.first - state.item.last <= 2:
        for mention in state.clause.mentions[-1:]:  # "not seen on the prior film"
            mention.give("change", "new")
        return
    for mention in _listed_together(state):
        if resolved or mention.change == "stable":  # "the previously seen nodule is not visualized"
            mention.change = "resolved"
        mention.certainty = _cue(state).grade
    if not state.clause.mentions:
        state.unclaimed.append(("certainty", _cue(state).grade))
        state.unclaimed += state.item.attributes


def _listed_together(state: State) -> list[Mention]:
    """Return the last finding and those listed with it: all of "A, B, and C", but only C of "A with B, C"."""
    listed: list[Mention] = []
    closed = False
    for mention in reversed(heads(state)):
        listed.append(mention)
        closed = closed or mention.joint in ("and", "or")
        if mention.joint not in JOINS or not closed:
            break
    return listed


def _deny_elsewhere(state: State) -> None:
    """Read "effusion: none", and "a left effusion, none on the right"."""
    i, clause = state.index, state.clause
    if i and state.items[i - 1].kind in ("introduce", "verb"):
        _deny_previous(state)
    elif state.mentions:
        state.scope.denied = _cue(state)
        if state.side_used or not state.side_fresh:
            state.side = ""
        clause.since_comma = []
        repeat_last(state)


def _replace(state: State) -> bool:
    if state.clause.mentions:
        _deny_previous(state)
    end_scopes(state)
    state.clause.since_comma = []
    return True


# ---------------------------------------------------------------- doubts


def _doubt_forward(state: State) -> None:
    if _is_said_of_previous(state):
        _doubt_backward(state)
        return
    state.scope.doubted = _cue(state)
    _share_location(state)


def _is_said_of_previous(state: State) -> bool:
    """Return whether a finding precedes a cue, and none follows: "left effusion possible"."""
    return bool(state.clause.mentions) and not has_complement(state.items, state.index)


def _doubt_backward(state: State) -> None:
    if not state.clause.mentions and speaks_of_next(state, state.index):
        _doubt_forward(state)
    for mention in _listed_together(state):
        if mention.certainty != "absent":
            mention.certainty = _cue(state).grade


def _doubt_both(state: State) -> None:
    """Read "atelectasis or scarring" as two possible findings, but "no atelectasis or scarring" as two denials."""
    mentions = state.clause.mentions
    if state.scope.denied is not None or not mentions or next_of(state.items, state.index, ("observation",)) is None:
        return
    last = mentions[-1]
    if last.certainty == "present" and state.item.first - last.at <= REACH:
        last.certainty = "possible"
        state.scope.next_doubted = True


def _disfavor(state: State) -> None:
    if state.favored is not None and state.scope.doubted is None:
        state.scope.doubted = _cue(state)


# ---------------------------------------------------------------- not said of this image


def _set_aside_forward(state: State) -> None:
    state.scope.set_aside = _cue(state)


def _set_aside_backward(state: State) -> None:
    clause, i = state.clause, len(state.mentions)
    if not clause.mentions:
        return
    first = min(mention.at for mention in clause.mentions)
    while i and state.mentions[i - 1].at >= first:  # from the end, where they are: long texts take linear time
        i -= 1
    state.mentions[i:] = [mention for mention in state.mentions[i:] if mention not in clause.mentions]
    clause.mentions, clause.since_comma = [], []


# ---------------------------------------------------------------- the ends of scopes, explanations


def _end_scope(state: State) -> None:
    end_scopes(state, state.item.names[0])
    state.clause.since_comma = []
    state.clause.joint = state.item.kind


def _relate(state: State) -> None:
    """End a denial before "of the" and a finding; a structure is its place: "no fluid in the fissure"."""
    items = state.items
    j = next_of(items, state.index, ("structure", "observation"))
    if j is None:
        return
    if items[j].kind == "structure" and next_is(items, j, "observation"):
        j += 1  # "the left upper lobe mass"
    if items[j].kind == "observation" or _makes_finding(state, j):
        if state.scope.denied is not None:
            state.waiting = {}  # said of what is denied: "no significant drainage of the effusion"
        end_scopes(state, state.item.names[0])
        state.clause.joint = state.item.kind


def _makes_finding(state: State, j: int) -> bool:
    """Return whether a quality before the structure at `j` makes a finding of it: "the collapsed left lower lobe"."""
    between = state.items[state.index + 1 : j]
    return any(
        (state.items[j].names[0], item.names[0]) in state.known.combinations
        for item in between
        if item.kind == "quality"
    )


def _explain(state: State) -> None:
    if _cue(state).grade != "present" and _is_said_of_previous(state):
        _doubt_backward(state)
        following = state.items[state.index + 1 : state.index + 2]
        if following and following[0].kind == "disfavor":  # "atelectasis is more likely than pneumonia"
            state.favored = _cue(state)
        return
    _end_scope(state)
    _share_location(state)
    state.favored = _cue(state)


def _share_location(state: State) -> None:
    """Let what follows lie where the finding before it lies: "opacity at the left base, likely pneumonia"."""
    mentions = state.clause.mentions
    state.location_of = mentions[-1] if mentions else None


# ---------------------------------------------------------------- verbs, references to findings and images before


def _verb(state: State) -> None:
    state.clause.verb = state.clause.had_verb = True
    state.past = False


def _past(state: State) -> None:
    _verb(state)
    state.past = True


def _now(state: State) -> None:
    state.past = False


def _remain(state: State) -> None:
    _verb(state)
    items, i = state.items, state.index
    ends = i + 1 == len(items) or items[i + 1].kind == "end_clause"
    if ends and state.item.first - state.side_at == 1 and names_side_only(state):  # "on the left remains"
        repeat_last(state)
        state.mentions[-1].give("change", "stable")
    if next_is(items, i, "modifier") and any(slot in ("size", "severity") for slot, _ in items[i + 1].attributes):
        for mention in state.clause.mentions[-1:]:
            mention.give("change", "stable")


def _refer_back(state: State) -> None:
    state.referred_back = True
    if state.side_fresh and not state.side_used and state.item.first - state.side_at == 1:  # "on the left it persists"
        state.clause.verb = True


def _repeat(state: State) -> bool:
    """Add the finding before once more: "a small one on the left"; return whether it did."""
    item = state.item
    fresh = bool(state.side) and not state.side_used
    if not can_repeat(state) or not (state.waiting or fresh or (state.mentions and item.last > item.first)):
        return False
    name = state.mentions[-1].observation if state.mentions else ""
    if state.side_used:  # "a left effusion, and a small one on the right"
        state.side = ""
    better = refine_by_structure(state, name)
    add_finding(state, better[0] if better else name, use_attributes=False)
    if not state.mentions or state.mentions[-1].at != item.first:
        return False
    state.mentions[-1].repeats = True
    return True


def _contrast(state: State) -> bool:
    """Read "larger than the left" of a right effusion as effusions on both sides, the right one being larger."""
    named = next(str(value) for slot, value in state.item.attributes if slot == "side")
    other = "right" if named == "left" else "left"
    before = state.items[state.index - 1].attributes if state.index else ()
    for mention in (state.clause.mentions or state.mentions)[-1:]:
        mention.side = "bilateral"
        if ("change", "increased") in before:
            mention.give("descriptor", f"larger_{other}")
        elif ("change", "decreased") in before:
            mention.give("descriptor", f"larger_{named}")
    state.side = ""
    return True


def _date_back(state: State) -> None:
    state.dated_back = state.item.last


def _compare(state: State) -> None:
    state.dated_back = state.item.last
    state.compared = state.item


def _nothing(state: State) -> None:
    """Only other phrases look at this one."""


EFFECTS: Mapping[str, Callable[[State], bool | None]] = {
    "comma": _comma,
    "and": _and,
    "or": _or,
    "introduce": _introduce,
    "open": _open,
    "close": _close,
    "deny_forward": _deny_forward,
    "deny_backward": _deny_backward,
    "deny_elsewhere": _deny_elsewhere,
    "doubt_forward": _doubt_forward,
    "doubt_backward": _doubt_backward,
    "doubt_both": _doubt_both,
    "disfavor": _disfavor,
    "set_aside_forward": _set_aside_forward,
    "set_aside_backward": _set_aside_backward,
    "end_scope": _end_scope,
    "subordinate": _end_scope,
    "relate": _relate,
    "point": _relate,
    "explain": _explain,
    "link": _share_location,
    "replace": _replace,
    "end_clause": _end_clause,
    "begin_statement": _nothing,
    "conclude": _nothing,
    "verb": _verb,
    "past": _past,
    "now": _now,
    "remain": _remain,
    "refer_back": _refer_back,
    "repeat": _repeat,
    "contrast": _contrast,
    "compare_places": _nothing,
    "compare": _compare,
    "date_back": _date_back,
    "read_over": _nothing,
}
"""Kind of cue or mark → what it does to the state. True: it has used the attributes that its words state."""
