"""Find the findings that a side or place behind them belongs to."""

from __future__ import annotations

from typing import cast

from cxr_rewards.findings.finding import DENIED, OTHER_SIDE, Side
from cxr_rewards.findings.walker.lookahead import LOOK, NORMAL, REACH
from cxr_rewards.findings.walker.mention import Mention
from cxr_rewards.findings.walker.state import State
from cxr_rewards.findings.walker.waiting import wait

LOCATION = frozenset(("side", "place"))
_WITH = frozenset(("end_scope", "relate", "attend"))
"""Joints of a finding that another is said to be with."""
_IN_LUNG = frozenset(("lung_opacity", "scarring", "bronchiectasis", "cavity", "radiation_change"))
_PLEURAL = frozenset(("pleural_abnormality", "pneumothorax"))
_FOCAL = _IN_LUNG | _PLEURAL
"""Observations that lie in one place as a rule, with all their kinds."""


def pair(state: State) -> None:
    """Read "5 mm and 9 mm on the left and right respectively" as a finding on each side, with its own size.

    Two findings and two sides belong together in their order.
    """
    begins, last = max(0, state.clause.begins), state.clause.mentions[-1] if state.clause.mentions else None
    items = state.items[max(begins, state.index - LOOK) : state.index]
    sides = [str(value) for item in items for slot, value in item.attributes if slot == "side"]
    if last is None or sorted(sides) != ["left", "right"]:
        return
    listed = state.clause.mentions
    if len(listed) == len(sides) and listed[0].observation != listed[1].observation and not listed[0].implied:
        for mention, side in zip(listed, sides, strict=True):  # "effusion and mass, left and right respectively"
            mention.side = cast("Side", side)
        return
    for slot in ("size", "severity"):
        values = [float(value) for item in items for named, value in item.attributes if named == slot]
        if len(values) == len(sides):
            other = last.copy()
            setattr(last, slot, values[0])
            setattr(other, slot, values[1])
            last.side, other.side = cast("Side", sides[0]), cast("Side", sides[1])
            state.spare, last.number, other.number = None, 0, 0
            state.mentions.append(other)
            state.clause.mentions.append(other)


def locate(state: State, slot: str, value: str) -> None:
    """Give a side or place to the findings before it, or keep it: "in the right lower lobe, there is ..."."""
    item, since_comma = state.item, state.clause.since_comma
    placed = [m for m in since_comma if item.first - m.at <= 2 * REACH and _can_lie(state, m.observation, value)]
    if not placed:
        if since_comma or _locate_normal(state, slot, value):
            return
        placed = _described(state, value)
        if not placed:
            wait(state, slot, value, item)
            return
    together = _located_together(placed, slot)
    _locate_accompanied(state, slot, value, together)
    alone = len(together) == 1
    for mention in together:
        if slot == "place":
            if value not in mention.place:
                if mention.place and state.spare is not None and mention is placed[-1]:
                    _add_other(state, mention, place=(value,))  # "5 mm in the upper and 9 mm in the lower lobe"
                    return
                mention.place = (*mention.place, value)
        elif not mention.side or mention.borrowed:
            mention.side, mention.borrowed = cast("Side", value), False
        elif mention.located_at >= 0 and mention.side != value:
            # "moderate on the left and trace on the right", "at the left base (5 mm) and the right apex"
            if mention is placed[-1] and (state.spare is not None or (alone and _is_elsewhere(state, mention))):
                _add_other(state, mention, side=cast("Side", value))
                return
            mention.side = "bilateral"  # "at the left base and in the right apex"
        if mention.located_at < 0:
            mention.located_at = item.first


def _described(state: State, value: str) -> list[Mention]:
    """Return the finding before a "with" that only its looks follow: "a mass with irregular margins in the apex"."""
    i, mentions = state.index, state.clause.mentions
    if not mentions or state.clause.joint != "end_scope" or state.clause.verb:
        return []
    if any(part.item is not state.item for part in state.clause.parts):
        return []
    last = mentions[-1]
    if state.items[i - 1].kind == "end_scope" or state.item.first - last.at > 2 * REACH:
        return []
    if last.certainty in DENIED or (last.located_at < 0 and (last.side or last.place)):
        return []
    return [last] if _can_lie(state, last.observation, value) else []


def _locate_accompanied(state: State, slot: str, value: str, together: list[Mention]) -> None:
    """Give the location of a finding to the one that it is said to be with, if that has none of its own.

    "Bronchiectasis with volume loss in the left lower lobe", "effusion with atelectasis on the right". What is found on
    both sides as a rule has no side of its own: "edema with an effusion on the left".
    """
    first, mentions = together[-1], state.clause.mentions
    if first.joint not in _WITH or first.certainty in DENIED:
        return
    i = next((i for i, mention in enumerate(mentions) if mention is first), 0)
    if not i:
        return
    before, known = mentions[i - 1], state.known.observations
    if before.certainty in DENIED or not before.observation or not first.observation:
        return
    if before.located_at != first.located_at or (before.located_at < 0 and (before.side or before.place)):
        return
    lineage = (before.observation, *known[before.observation].ancestors)
    if (
        _FOCAL.isdisjoint(lineage)
        or "bilateral" in known[before.observation].usual
        or not _can_lie(state, before.observation, value)
    ):
        return
    if slot == "side" and not before.side:
        before.side = cast("Side", value)
    elif slot == "place" and _IN_LUNG.isdisjoint((first.observation, *known[first.observation].ancestors)):
        return
    elif slot == "place" and value not in before.place and _PLEURAL.isdisjoint(lineage):
        before.place = (*before.place, value)
    if before.located_at < 0:
        before.located_at = state.item.first


def _locate_normal(state: State, slot: str, value: str) -> bool:
    """Give a side or place to what the normal statement right before it rules out; return whether there is one.

    "The lungs are clear on the right": what follows has a side of its own.
    """
    items, i = state.items, state.index
    while 0 < i > state.index - 3 and any(s in LOCATION for s, _ in items[i - 1].attributes):
        i -= 1
    before = items[i - 1] if i else None
    if before is None or before.kind != "quality" or before.names[0] not in NORMAL:
        return False
    if items[i].first - before.last > 3:
        return False
    for mention in reversed(state.mentions if value != "bilateral" else ()):
        if not mention.implied or mention.at != before.first:
            break
        if not state.known.observations[mention.observation].unpaired:
            mention.give(slot, value)
    return True


def _can_lie(state: State, observation: str, location: str) -> bool:
    """Return whether an observation can have a location: one without sides only a vertebra."""
    return not observation or not state.known.observations[observation].unpaired or location[-1].isdigit()


def _located_together(placed: list[Mention], slot: str) -> list[Mention]:
    """Return the findings that a location belongs to.

    Both in "atelectasis and effusion at the left base", only the last in "nodule in the apex and mass at the base".
    """
    last = placed[-1]
    if last.located_at >= 0:  # one more word for those that were located with it
        return [mention for mention in placed if mention.located_at == last.located_at]
    if slot == "place" and last.place:
        return [last]
    together: list[Mention] = []
    for mention in reversed(placed):
        if mention.located_at >= 0:
            break
        together.append(mention)
    return together


def _is_elsewhere(state: State, mention: Mention) -> bool:
    """Return whether a side is that of another such finding: "left apex and right base", "left (5 mm) and right"."""
    if mention.side not in OTHER_SIDE:
        return False
    if mention.sized_at > mention.located_at:
        return True
    i = state.index
    places = [value for item in state.items[i : i + 2] for slot, value in item.attributes if slot == "place"]
    return bool(mention.place) and bool(places) and mention.place[-1] not in places


def _add_other(state: State, mention: Mention, side: Side = "", place: tuple[str, ...] = ()) -> None:
    """Add the same finding on another side or in another place, with the severity or size that was named for it."""
    other = mention.copy()
    if mention.sized_at >= 0:
        other.size, other.sized_at = 0.0, -1
    if state.spare is not None:
        slot, value, first = state.spare
        setattr(mention, slot, first)
        setattr(other, slot, value)
        state.spare = None
    if mention.side == "bilateral" and side in OTHER_SIDE:
        mention.side = OTHER_SIDE[side]
    other.side, other.place, other.located_at = side or mention.side, place, state.item.first
    if mention.number == 2:  # "two nodules, one on the left, one on the right"
        mention.number = other.number = 0
    state.mentions.append(other)
    state.clause.mentions.append(other)
    state.clause.since_comma.append(other)
