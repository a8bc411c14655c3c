"""Devices that a report plans or recommends: they are not on the image."""

from __future__ import annotations

from cxr_rewards.findings.item import Item
from cxr_rewards.findings.walker.lookahead import JOINS, LOOK
from cxr_rewards.findings.walker.scopes import PURPOSE
from cxr_rewards.findings.walker.state import State

SUGGESTION = "suggestion"
"""Cue of what is suggested; it also doubts findings."""
_PLACEMENT = "placement"
"""Cue of the placement of a device."""
_ENDS = frozenset(
    (*JOINS, "end_clause", "close", "now", "set_aside_forward", "point", "end_scope", "subordinate", "explain")
)
_BEFORE = ("modifier", "begin_statement")
_ARTICLE = 1
"""Most words before a device that no phrase covers: more speak of what is done to it ("removal of the drain")."""


def leave_out_planned(state: State) -> None:
    """Drop the device right before "is planned"; if its removal is planned, it is still there."""
    items, i, clause = state.items, state.index, state.clause
    if not i or not _is_device(state, items[i - 1]) or state.mentions[-1:] != clause.mentions[-1:]:
        return
    last = clause.mentions[-1]
    if last.change == "resolved":
        last.certainty, last.change = "present", ""
    elif _is_planned(state):
        state.mentions.pop()
        clause.mentions = clause.mentions[:-1]
        clause.since_comma = [mention for mention in clause.since_comma if mention is not last]


def plan_next(state: State) -> bool:
    """Set aside the device right behind "recommend", if only its placement is spoken of; return whether it is so."""
    planned = _device_to_place(state)
    if planned:
        state.scope.set_aside = state.known.cues[PURPOSE]
    return planned


def is_advised(state: State) -> bool:
    """Return whether the removal of a device is only advised: "recommend chest tube removal"; it is still there."""
    items = state.items
    for i in range(state.index - 1, max(-1, state.index - 1 - LOOK), -1):
        if items[i].kind == "plan_next" or items[i].names[:1] == (SUGGESTION,):
            state.clause.mentions[-1].certainty = "present"  # "consider drain removal"
            return True
        if items[i].kind not in (*_BEFORE, "observation"):
            return False
    return False


def _is_planned(state: State) -> bool:
    """Return whether the placement of the device right before is all that its clause speaks of."""
    items, i = state.items, state.index
    if not _ends(state, i, spare=1):  # "a drain is planned tomorrow"
        return False
    if state.item.first - items[i - 1].last > 1:  # "drain removal is planned"
        return False
    begins = max(state.clause.begins, i - LOOK)
    before = items[begins + 1 : i - 1]
    if any(item.kind not in _BEFORE and item.names[:1] != (_PLACEMENT,) for item in before):
        return False
    first = items[begins].last + 1 if begins >= 0 else 0
    covered = sum(item.last - item.first + 1 for item in before)
    return items[i - 1].first - first - covered <= _ARTICLE


def _device_to_place(state: State) -> bool:
    """Return whether a device follows, and at most its placement behind it."""
    items, last = state.items, state.item.last
    for j in range(state.index + 1, min(state.index + 1 + LOOK, len(items))):
        item = items[j]
        if item.first - last > 1 + _ARTICLE or item.kind not in (*_BEFORE, "observation") or _is_position(item):
            return False
        if item.kind == "observation":
            placed = any(other.names[:1] == (_PLACEMENT,) for other in items[j + 1 : j + 2])
            return _is_device(state, item) and _ends(state, j + placed)
        last = item.last
    return False


def _is_position(item: Item) -> bool:
    return any(slot == "position" for slot, _ in item.attributes)


def _is_device(state: State, item: Item) -> bool:
    return item.kind == "observation" and item.names[0] in state.known.devices


def _ends(state: State, i: int, spare: int = 0) -> bool:
    """Return whether the statement ends behind the phrase at `i`, or its sentence behind `spare` unknown words more."""
    items = state.items
    if i + 1 == len(items):
        return items[i].last + 1 + spare >= state.word_count
    return items[i + 1].first - items[i].last == 1 and items[i + 1].kind in _ENDS
