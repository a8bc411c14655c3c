"""Effects of cues that doubt findings, or give their cause."""

from __future__ import annotations

from cxr_rewards.findings.item import Item
from cxr_rewards.findings.walker.lookahead import LOOK, REACH, doubts_change, has_complement, next_of, speaks_of_next
from cxr_rewards.findings.walker.planned import SUGGESTION, plan_next
from cxr_rewards.findings.walker.scopes import (
    ABSENCE,
    current_cue,
    end_scope,
    listed_together,
    share_location,
    side_follows,
)
from cxr_rewards.findings.walker.state import State

_CAUSES = frozenset(("probable_cause", "possible_cause"))
"""Cues behind which a cause is named."""
_UNCHANGED_IN = ("unchanged_in",)


def doubt_forward(state: State) -> None:
    if doubts_change(state.items, state.index):
        return
    if _is_said_of_previous(state):
        if not _names_unknown_cause(state):
            doubt_backward(state)
        return
    if _suggests(state) and plan_next(state):
        return
    state.scope.doubted = current_cue(state)
    share_location(state)


def _suggests(state: State) -> bool:
    """Return whether a device behind may be a suggestion: "suggest chest drain", "? drain"."""
    asked = state.index == 0 and state.item.end - state.item.start == len("?")
    return asked or current_cue(state).name == SUGGESTION


def _is_said_of_previous(state: State) -> bool:
    """Return whether a finding precedes a cue, and none follows: "left effusion possible"."""
    return bool(state.clause.mentions) and not has_complement(state.items, state.index)


def doubt_backward(state: State) -> None:
    if state.clause.mentions and doubts_change(state.items, state.index):
        return
    if not state.clause.mentions and speaks_of_next(state, state.index):
        doubt_forward(state)
    denied = state.scope.denied
    for mention in listed_together(state):
        if mention.certainty != "absent" or (denied is not None and denied.name == ABSENCE):
            mention.certainty = current_cue(state).grade


def leave_open(state: State) -> None:
    if _is_said_of_previous(state):  # "an effusion is not certain"
        for mention in listed_together(state):
            mention.certainty = "possible"
        return
    state.scope.left_open = state.item
    denied = state.scope.denied
    if denied is not None and denied.name == ABSENCE:  # "the absence of an effusion cannot be guaranteed"
        for mention in listed_together(state):
            mention.certainty = "possible"


def consider(state: State) -> None:
    """Read "pneumonia must be considered"; but not "drainage of the effusion should be considered"."""
    i, clause = state.index, state.clause
    start = state.items[clause.begins].last if clause.begins >= 0 else -1
    if i > 1 and state.items[i - 2].kind == "comma":  # "of note, pneumonia should be considered"
        start = state.items[i - 1].first - 1
    before = state.items[i - 1] if i else None
    if before is not None and before.kind == "observation" and before.last + 1 == state.item.first <= start + 4:
        doubt_backward(state)


def affirm(state: State) -> None:
    """Read "an effusion was suspected, and is confirmed"."""
    mentions = listed_together(state) if state.clause.mentions else state.before[-1:]
    for mention in mentions:
        if mention.certainty in ("possible", "likely"):
            mention.certainty = "present"
        elif mention.change == "resolved" and state.item.attributes:  # "had resolved, but has recurred"
            mention.certainty, mention.change = "present", ""


def assure(state: State) -> None:
    """End a doubt: "possible left effusion, definite right nodule"."""
    state.scope.doubted = state.favored = None


def doubt_both(state: State) -> None:
    """Read "atelectasis or scarring" as two possible findings, but "no atelectasis or scarring" as two denials."""
    mentions, items, i = state.clause.mentions, state.items, state.index
    if 0 < i < len(items) - 1 and _is_size(items[i - 1]) and _is_size(items[i + 1]):
        state.dated_back = state.item.last  # "9 mm versus 12 mm"
        return
    if any(item.names == _UNCHANGED_IN for item in items[max(state.clause.begins + 1, i - LOOK) : i]):
        return  # "no change in the effusion or edema"
    if state.scope.denied is not None or not mentions or next_of(items, i, ("observation",)) is None:
        return
    last = mentions[-1]
    if last.change == "stable" and _is_of_no_change(state):
        return
    if last.certainty == "present" and state.item.first - last.at <= REACH:
        last.certainty = "possible"
        state.scope.next_doubted = True
        if state.location_of is None and not side_follows(state):
            _locate_alternatives(state)


def _is_of_no_change(state: State) -> bool:
    """Return whether "no change in" begins the list that an "or" goes on with: "no change in the effusion or edema"."""
    for item in reversed(state.items[max(0, state.clause.begins + 1, state.index - LOOK) : state.index]):
        if ("change", "stable") in item.attributes:
            return item.last > item.first + 1 and item.first < state.clause.mentions[0].at
    return False


def _locate_alternatives(state: State) -> None:
    """Let both of "A or B" lie where the finding before lies of which A is a kind: "left opacity, A or B"."""
    last, before = state.clause.mentions[-1], state.clause.mentions[-2:-1]
    if before and not last.side and before[0].observation in state.known.observations[last.observation].ancestors:
        last.side, last.place = before[0].side, last.place or before[0].place
    share_location(state)


def _is_size(item: Item) -> bool:
    return bool(item.attributes) and item.attributes[0][0] == "size"


def disfavor(state: State) -> None:
    if state.favored is not None and state.scope.doubted is None:
        state.scope.doubted = current_cue(state)


def explain(state: State) -> None:
    if current_cue(state).grade != "present" and doubts_change(state.items, state.index):
        return
    if current_cue(state).grade != "present" and _is_said_of_previous(state):
        if not _names_unknown_cause(state):
            doubt_backward(state)
        following = state.items[state.index + 1 : state.index + 2]
        if following and following[0].kind == "disfavor":  # "atelectasis is more likely than pneumonia"
            state.favored = current_cue(state)
        return
    end_scope(state)
    share_location(state)
    state.favored = current_cue(state)


def _names_unknown_cause(state: State) -> bool:
    """Return whether words behind a cue that are no finding tell what the finding before it is due to.

    "Left effusion, likely reactive", "widening is likely due to vessels", but "left effusion, likely".
    """
    items, i = state.items, state.index
    if current_cue(state).name in _CAUSES:
        return state.item.last + 1 < state.word_count
    if not i or items[i - 1].kind != "comma":
        return False
    if i + 1 == len(items):
        return state.item.last + 1 < state.word_count
    return items[i + 1].kind in ("comma", "end_clause") and items[i + 1].first - state.item.last > 1
