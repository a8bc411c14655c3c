"""Read a change from what two times say of a finding: "9 mm, previously 6 mm", "two nodules have become three"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from cxr_rewards.findings.finding import Change
from cxr_rewards.findings.item import Item
from cxr_rewards.findings.walker.lookahead import DATES, dated_behind, next_is
from cxr_rewards.findings.walker.mention import Mention
from cxr_rewards.findings.walker.state import State
from cxr_rewards.findings.walker.statements import subjects

_BECAME = "became"
"""Cue of a number that has changed."""


def _is_of_two_times(state: State, slot: str, value: float) -> bool:
    """Read a change from two sizes or severities: "9 mm, previously 6 mm"; "was 6 mm and is now 9 mm"."""
    item, items, i = state.item, state.items, state.index
    dated = state.dated_back >= 0 and item.first - state.dated_back <= 2
    spoken_of = subjects(state)
    last = spoken_of[-1] if spoken_of else None
    if last is None:
        if dated_behind(items, i):
            state.unclaimed.append(("former", (slot, value)))
        return dated or dated_behind(items, i)
    old = cast("float", getattr(last, slot))
    if slot in last.past and not state.past and not dated:
        setattr(last, slot, value)
        last.past = tuple(other for other in last.past if other != slot)
        _compare(last, now=value, former=old)
        return True
    back = dated_behind(items, i)
    later = back or any(next_is(items, i, kind) for kind in DATES if kind != "date_back")
    if dated or (old and (later or state.past)) or (back and not old):  # "9 mm, 6 mm before"; "9 mm (was 6 mm)"
        last.former = (slot, value)
        _compare(last, now=old, former=value)
        return True
    if last.former[0] == slot:  # "previously 6 mm, now 9 mm"
        _compare(last, now=value, former=last.former[1])
    if state.past:
        last.past = (*last.past, slot)
    return False


def _counts_again(state: State, _: str, value: float) -> bool:
    """Read a change from two numbers: "two nodules have become three", "four nodules, against two before"."""
    last = state.clause.mentions[-1] if state.clause.mentions else None
    if last is None or not last.number or not state.index:
        return False
    dated = state.dated_back >= 0 and state.item.first - state.dated_back <= 2
    if dated or dated_behind(state.items, state.index):
        _compare(last, now=last.number, former=value)
        return True
    if _BECAME not in state.items[state.index - 1].names:
        return False
    _compare(last, now=value, former=last.number)
    last.number = int(value)
    return True


COUNTED: Mapping[str, Callable[[State, str, float], bool]] = {
    "size": _is_of_two_times,
    "severity": _is_of_two_times,
    "number": _counts_again,
}
"""Attribute that two times can have → what reads a change from its two values."""


def size_follows(items: list[Item], i: int) -> bool:
    i += i + 1 < len(items) and items[i + 1].kind in ("introduce", "comma")  # "prior: 6 mm"
    return next_is(items, i, "modifier") and any(slot == "size" for slot, _ in items[i + 1].attributes)


def _compare(mention: Mention, *, now: float, former: float) -> None:
    if now and mention.change in ("", "stable", "new"):  # "again seen, 14 mm, previously 11 mm"
        mention.change = change_between(former, now)


def change_between(former: float, now: float) -> Change:
    """Return the change from one size or severity to another: a tenth counts."""
    ratio = now / former if former else 1.0
    return "increased" if ratio > 1.1 else "decreased" if ratio < 0.9 else "stable"
