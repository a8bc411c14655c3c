"""Give a finding on both sides a change on each: "the opacities have cleared on the right and grown on the left"."""

from __future__ import annotations

from typing import cast

from cxr_rewards.findings.finding import DENIED, OTHER_SIDE, Change, Side
from cxr_rewards.findings.ontology import Value
from cxr_rewards.findings.walker.lookahead import DATES, LOOK, ONE_SIDE, side_stands_alone
from cxr_rewards.findings.walker.state import State

_ON_THE = 3
"""By how much the words around "on the" are apart."""
_BEHIND_SIDE = frozenset((*DATES, "end_scope", "open"))


def is_of_one_side(state: State, slot: str, value: Value) -> bool:
    """Return whether an attribute is the change of one side, which this gives to it, or that side itself."""
    if slot == "change":
        return _change_one_side(state, cast("Change", value))
    return slot == "side" and any(mention.located_at == state.item.first for mention in state.mentions[-2:])


def _change_one_side(state: State, change: Change) -> bool:
    side = _side_behind(state)
    last = state.mentions[-1] if state.mentions else None
    if not side or last is None or last.certainty in DENIED:
        return False
    at = state.items[state.index + 1].first
    if last.side == "bilateral" and _is_named_later(state, OTHER_SIDE[side]):
        other = last.copy()
        last.side, last.change = OTHER_SIDE[side], ""
        other.side, other.change, other.located_at = side, change, at
        state.mentions.append(other)
        state.clause.mentions.append(other)
        return True
    for mention in state.mentions[-2:]:
        if mention.side == side and mention.observation == last.observation and mention is not last:
            mention.change, mention.located_at = change, at
            return True
    return False


def _side_behind(state: State) -> Side:
    items, i = state.items, state.index
    if i + 1 == len(items) or items[i + 1].attributes not in ONE_SIDE or items[i + 1].kind != "modifier":
        return ""
    if items[i + 1].first - items[i].last > _ON_THE:
        return ""
    ends = side_stands_alone(items, i + 1) or items[i + 2].kind in _BEHIND_SIDE
    return cast("Side", items[i + 1].attributes[0][1]) if ends else ""


def _is_named_later(state: State, side: Side) -> bool:
    return any(item.attributes == (("side", side),) for item in state.items[state.index + 2 : state.index + 2 + LOOK])
