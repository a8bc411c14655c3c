"""Find the finding that a side, place, severity, size, number, change or position belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from cxr_rewards.findings.finding import DENIED, OTHER_SIDE, Change, Side
from cxr_rewards.findings.ontology import Value
from cxr_rewards.findings.phrases import Item
from cxr_rewards.findings.walker.lookahead import (
    DATES,
    JOINS,
    LOOK,
    NORMAL,
    REACH,
    belongs_to_structure,
    changes_next,
    dated_behind,
    follows_severity,
    grades_change,
    joined_structure,
    next_is,
    speaks_of_next,
)
from cxr_rewards.findings.walker.mention import Mention
from cxr_rewards.findings.walker.scopes import deny_change
from cxr_rewards.findings.walker.state import State, Waiting
from cxr_rewards.findings.walker.statements import KEPT, heads, subjects

LOCATION = frozenset(("side", "place"))
_LISTS = frozenset(("place", "descriptor"))
_BECAME = "became"
"""Cue of a number that has changed."""
_BOTH = (("side", "bilateral"),)
_UNDER_TENSION = ("pneumothorax", "tension_pneumothorax")


def read_modifier(state: State) -> None:
    """Give the attributes that a phrase states to the next finding, or to those before it."""
    i, item = state.index, state.item
    forward: bool | None = None
    for slot, value in _attributes(state):
        if slot == "position":
            _place_device(state, str(value))
            continue
        if forward is None:
            forward = speaks_of_next(state, i)
            if not forward and state.clause.joint and next_is(state.items, i, "structure"):
                forward = bool(joined_structure(state, i + 1))
        if slot in ("size", "severity") and forward and 0 <= state.dated_back == item.first - 1:
            state.waiting["former"] = ((slot, float(value)), item.last)  # "the previously large effusion is small"
            continue
        if not forward and slot in _COUNTED and _COUNTED[slot](state, slot, float(value)):
            continue
        if slot == "severity" and grades_change(state.items, i):
            continue
        if slot == "side" and i and state.items[i - 1].kind == "compare_places" and value in OTHER_SIDE:
            for mention in state.clause.mentions[-1:]:
                if mention.number:  # "two nodules, the larger in the right apex"
                    _locate(state, slot, str(value))
                elif mention.side != value:
                    mention.side = "bilateral"
            continue
        if slot == "side" and _is_direction(state):
            state.clause.mentions[-1].side, state.clause.mentions[-1].located_at = cast("Side", value), item.first
            continue
        if slot == "change" and (next_is(state.items, i, "contrast") or _is_of_replacement(state)):
            continue
        if slot == "change" and _is_for_the_better(state, forward=forward):
            if value != "stable":
                state.compared = state.compared or item
            continue
        if slot == "descriptor" and value == "old" and not forward and _size_follows(state.items, i):
            state.dated_back = item.last  # "9 mm (prior 12 mm)"
            continue
        if slot == "change" and not forward:
            if state.scope.denied is not None and value in ("increased", "decreased", "new"):
                if item.kind == "modifier" and (value != "new" or item.first == item.last):
                    deny_change(state)
                value = "stable"  # "no evidence of progression"
            if belongs_to_structure(state.items, i):
                state.unclaimed.append((slot, value))
                continue
        if forward:
            wait(state, slot, value, item)
        elif slot in LOCATION:
            _locate(state, slot, str(value))
        elif slot == "change" or not _denied_since(state):
            _give_to_previous(state, slot, value)


def _give_tension(state: State) -> bool:
    """Give "tension" to the last pneumothorax: "a pneumothorax with mediastinal shift, suggesting tension"."""
    for mention in reversed(state.mentions[-KEPT:]):
        if mention.observation in _UNDER_TENSION and mention.certainty not in DENIED:
            mention.give("descriptor", "tension")
            return True
    return False


def _attributes(state: State) -> Iterable[tuple[str, Value]]:
    """Return the attributes that a phrase states: "both" none if it means two findings.

    A distance is the size of a device, and of no other finding.
    """
    attributes = state.item.attributes
    if attributes == _BOTH and _means_two_findings(state):
        if changes_next(state.items, state.index):
            speak_of_all(state)
        return ()
    if not attributes or attributes[0][0] != "distance":
        return attributes
    mentions = state.clause.mentions
    if mentions and mentions[-1].observation and mentions[-1].observation not in state.known.devices:
        return ()
    return [("size", attributes[0][1])]


def _continued(state: State) -> list[Mention]:
    """Return the findings of the clause before, if this one begins with the current phrase, or goes on about them."""
    clause, first = state.clause, state.clause.begins + 1
    if clause.begins >= 0 and first == state.index and state.item.first - state.items[first - 1].last == 1:
        return [] if clause.parts else state.before  # "but has decreased"
    return subjects(state)


def _is_of_past(state: State) -> bool:
    """Return whether a verb of this clause speaks of an earlier time."""
    begins = max(state.clause.begins + 1, state.index - LOOK)
    return state.past and any(item.kind == "past" for item in state.items[begins : state.index])


def _is_of_now(state: State) -> bool:
    """Return whether a word for the present stands close before the phrase, or right after it."""
    i, items = state.index, state.items
    return any(item.kind == "now" for item in (*items[max(0, i - 2) : i], *items[i + 1 : i + 2]))


def _means_two_findings(state: State) -> bool:
    """Return whether "both" means two findings, and not two sides.

    "Both consolidation and effusion", "both: ...", "consolidation and effusion, both unchanged".
    """
    i, items = state.index, state.items
    if state.item.end - state.item.start != len("both") or i + 1 >= len(items):
        return False
    if items[i + 1].kind == "introduce" or (len(state.mentions) > 1 and changes_next(items, i)):
        return True
    return [item.kind for item in items[i + 1 : i + 4]] == ["observation", "and", "observation"]


def speak_of_all(state: State) -> None:
    """Let what follows be said of all findings before: "right effusion and left pneumothorax, both larger"."""
    state.clause.verb = True
    if len(state.clause.mentions) < 2:
        recent = state.mentions[-KEPT:]
        state.clause.mentions = [
            mention for mention in recent if not mention.implied and mention.certainty not in DENIED
        ]


def _is_of_replacement(state: State) -> bool:
    """Return whether a change is that of one device from another: "exchanged for a larger drain"."""
    return any(item.kind == "replace" for item in state.items[max(0, state.index - 2) : state.index])


def _is_direction(state: State) -> bool:
    """Return whether a side is the direction of a shift right before it: "mediastinal shift to the right"."""
    i, mentions = state.index, state.clause.mentions
    if not i or not mentions or mentions[-1].located_at >= 0 or not mentions[-1].observation:
        return False
    last, before = mentions[-1], state.items[i - 1]
    directed = state.known.observations[last.observation].directed
    return directed and (before.first == last.at or (before.kind == "structure" and before.last > last.at))


def _is_for_the_better(state: State, *, forward: bool) -> bool:
    """Return whether a change is that of a structure of which more is better: "improved aeration"."""
    known, items, clause = state.known, state.items, state.clause
    if not forward and not clause.mentions and any(known.structures[part.name].more_is_better for part in clause.parts):
        return True
    for j in range(state.index + 1, min(state.index + 1 + LOOK, len(items))):
        if items[j].kind == "structure" and known.structures[items[j].names[0]].more_is_better:
            return True
        if items[j].kind not in ("structure", "modifier"):
            return False
    return False


def _denied_since(state: State) -> bool:
    """Return whether a denial began after the last finding: "cardiomegaly without acute abnormality"."""
    mentions = state.clause.mentions
    return state.scope.denied is not None and bool(mentions) and mentions[-1].certainty not in DENIED


def _place_device(state: State, position: str) -> None:
    """Give a position to the last device, or keep it for the first one."""
    if state.scope.denied is not None:
        return
    if state.last_device is not None:
        if "position" in state.last_device.past and not state.past:
            state.last_device.position = state.last_device.past = ()
        if state.past:
            state.last_device.past = (*state.last_device.past, "position")
        if position == "in_place":
            for mention in _devices_listed(state, "position", "size"):
                mention.give("position", position)
        state.last_device.give("position", position)
    else:
        state.positions.append(position)


def _devices_listed(state: State, *unsaid: str) -> list[Mention]:
    """Return the devices listed right before the last one, of which nothing is said of some kinds yet.

    "ETT, NG tube and PICC in good position" is said of all three.
    """
    listed: list[Mention] = []
    mentions = state.clause.mentions
    if not mentions or mentions[-1] is not state.last_device:
        return listed
    for mention, behind in zip(reversed(mentions[:-1]), reversed(mentions), strict=False):
        is_bare = mention.observation in state.known.devices and not any(getattr(mention, slot) for slot in unsaid)
        if not is_bare or behind.joint not in JOINS or mention.certainty in DENIED:
            break
        listed.append(mention)
    return listed


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


_COUNTED: Mapping[str, Callable[[State, str, float], bool]] = {
    "size": _is_of_two_times,
    "severity": _is_of_two_times,
    "number": _counts_again,
}
"""Attribute that two times can have → what reads a change from its two values."""


def _size_follows(items: list[Item], i: int) -> bool:
    i += i + 1 < len(items) and items[i + 1].kind in ("introduce", "comma")  # "prior: 6 mm"
    return next_is(items, i, "modifier") and any(slot == "size" for slot, _ in items[i + 1].attributes)


def _compare(mention: Mention, *, now: float, former: float) -> None:
    if now and mention.change in ("", "stable"):  # "again seen, 14 mm, previously 11 mm"
        mention.change = change_between(former, now)


def change_between(former: float, now: float) -> Change:
    """Return the change from one size or severity to another: a tenth counts."""
    ratio = now / former if former else 1.0
    return "increased" if ratio > 1.1 else "decreased" if ratio < 0.9 else "stable"


# ---------------------------------------------------------------- for the next finding


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


# ---------------------------------------------------------------- for findings before


def pair(state: State) -> None:
    """Read "5 mm and 9 mm on the left and right respectively" as a finding on each side, with its own size."""
    begins, last = max(0, state.clause.begins), state.clause.mentions[-1] if state.clause.mentions else None
    items = state.items[max(begins, state.index - LOOK) : state.index]
    sides = [str(value) for item in items for slot, value in item.attributes if slot == "side"]
    if last is None or sorted(sides) != ["left", "right"]:
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


def _locate(state: State, slot: str, value: str) -> None:
    """Give a side or place to the findings before it, or keep it: "in the right lower lobe, there is ..."."""
    item, since_comma = state.item, state.clause.since_comma
    placed = [m for m in since_comma if item.first - m.at <= 2 * REACH and _can_lie(state, m.observation, value)]
    if not placed:
        if not since_comma and not _locate_normal(state, slot, value):
            wait(state, slot, value, item)
        return
    together = _located_together(placed, slot)
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


def _give_to_previous(state: State, slot: str, value: Value) -> None:
    """Give an attribute to the last finding of the clause, or keep it if there is none.

    After a verb a severity or change is that of all, and so is a change right behind the last of a list: "cardiomegaly
    and effusions are stable", "cardiomegaly and effusions have increased", but "cardiomegaly and effusions, stable" of
    the last.
    """
    if value == "tension" and _give_tension(state):
        return
    item, mentions = state.item, heads(state)
    continued = not mentions and slot == "change"
    if continued:  # "had improved, but is worse"
        mentions = [mention for mention in _continued(state) if mention.certainty not in DENIED]
    if not mentions:
        wait(state, slot, value, item)
        return
    last = mentions[-1]
    shared = state.clause.verb and slot in ("severity", "change")
    shared = shared or (slot == "change" and item.start - last.end == 1 and last.joint == "and")
    if slot == "change" and value == "stable" and not shared:
        for mention in _devices_listed(state, "change"):
            mention.give(slot, value)
    for mention in mentions:
        if not shared and mention is not last and (slot != "change" or mention.at != last.at):
            continue
        if slot == "severity" and mention.severity and item.first - max(mention.at, mention.located_at) <= 2 + REACH:
            severity = float(value)
            if follows_severity(state.items, state.index):
                mention.severity = (mention.severity + severity) / 2
            elif mention.located_at >= 0:
                state.spare = (slot, severity, mention.severity)
            continue
        if slot == "size":
            if mention.size and 0 <= mention.located_at < item.first and not mention.position:
                state.spare = (slot, float(value), mention.size)
            mention.sized_at = item.first
        if slot == "change" and mention.shared_change:
            mention.change, mention.shared_change = cast("Change", value), False
            continue
        if slot == "change" and mention.change == "stable" and value in ("increased", "decreased"):
            mention.change = cast("Change", value)  # "residual edema, improved"
            continue
        if slot == "change" and mention.change and value != "stable":
            if not _is_of_past(state) and (continued or "change" in mention.past or _is_of_now(state)):
                mention.change = cast("Change", value)  # "was improving, now worse"
            continue
        if slot == "change" and state.past and not mention.change:
            mention.past = (*mention.past, "change")
        mention.give(slot, value)
