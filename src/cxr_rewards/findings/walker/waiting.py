"""Keep what is said before a finding is named until it is."""

from __future__ import annotations

from typing import cast

from cxr_rewards.findings.finding import Side
from cxr_rewards.findings.item import Item
from cxr_rewards.findings.ontology import Value
from cxr_rewards.findings.walker.state import State, Waiting

_LISTS = frozenset(("place", "descriptor"))


def wait(state: State, slot: str, value: Value, item: Item) -> None:
    """Keep an attribute for the next finding."""
    if slot == "side":
        _wait_side(state, cast("Side", value), item)
        return
    if slot == "change":
        state.change_used = False
    waiting = state.waiting
    old = waiting.get(slot)
    fresh_side = state.side_fresh and not state.side_used
    if slot in ("severity", "size") and old is not None and fresh_side and old[1] < state.side_at:
        # "small left, moderate right"; "5 mm left and 8 mm right"
        _bundle(state, {k: v for k, v in waiting.items() if k != "change"}, {})
        waiting, old = state.waiting, None
        state.side = ""
    if slot in _LISTS:
        values = cast("tuple[str, ...]", old[0]) if old is not None else ()
        waiting[slot] = (values if value in values else (*values, str(value)), item.last)
        return
    if old is not None and slot == "severity" and item.first - old[1] <= 2:  # "mild to moderate"
        value = (cast("float", old[0]) + float(value)) / 2
    waiting[slot] = (value, item.last)


def _wait_side(state: State, side: Side, item: Item) -> None:
    """Keep a side for the next finding, and join it with another that waits."""
    if state.side and state.side_fresh and not state.side_used and state.side != side:
        waiting = {slot: pair for slot, pair in state.waiting.items() if slot != "change"}
        if any(slot != "number" for slot in waiting) and "bilateral" not in (state.side, side):
            later = {slot: pair for slot, pair in waiting.items() if pair[1] > state.side_at and slot != "place"}
            if _after_and(state):  # "left small and right moderate"
                later = {}
            _bundle(state, {slot: pair for slot, pair in state.waiting.items() if slot not in later}, later)
        elif item.first - state.side_at <= 3 and (state.side != "bilateral" or _after_and(state)):
            side = "bilateral"  # but "diffuse right-sided disease" is on the right
    state.side = side
    state.side_at, state.side_used, state.side_fresh = item.last, False, True


def _bundle(state: State, said: Waiting, later: Waiting) -> None:
    """Keep what was said for the waiting side apart from what is said for the next; a change is said for both."""
    state.bundles.append((state.side, said))
    state.waiting = {**later, **{slot: pair for slot, pair in state.waiting.items() if slot == "change"}}


def _after_and(state: State) -> bool:
    return state.index > 0 and state.items[state.index - 1].kind == "and"
