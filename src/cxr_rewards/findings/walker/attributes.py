"""Find the finding that a side, place, severity, size, number, change or position belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from cxr_rewards.findings.finding import DENIED, OTHER_SIDE, Change, Side
from cxr_rewards.findings.ontology import Value
from cxr_rewards.findings.walker.denials import deny_change
from cxr_rewards.findings.walker.each_side import is_of_one_side
from cxr_rewards.findings.walker.locating import LOCATION, locate
from cxr_rewards.findings.walker.lookahead import (
    JOINS,
    LOOK,
    REACH,
    belongs_to_structure,
    changes_next,
    follows_severity,
    grades_change,
    joined_structure,
    next_is,
    speaks_of_next,
)
from cxr_rewards.findings.walker.mention import Mention
from cxr_rewards.findings.walker.state import State
from cxr_rewards.findings.walker.statements import KEPT, add_finding, heads, is_conditional, subjects
from cxr_rewards.findings.walker.two_times import COUNTED, size_follows
from cxr_rewards.findings.walker.waiting import wait

_BOTH = (("side", "bilateral"),)
_ACCESS = ("jugular_vein", "subclavian_vein")
"""Veins by which lines are put in: before the name of a line they tell where it enters, not where its tip lies."""
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
        counted = slot in COUNTED and not forward and COUNTED[slot](state, slot, float(value))
        if counted or (not forward and is_of_one_side(state, slot, value)):
            continue
        if slot == "severity" and grades_change(state.items, i) and not _grades_size(state):
            continue
        if slot == "side" and i and state.items[i - 1].kind == "compare_places" and value in OTHER_SIDE:
            for mention in state.clause.mentions[-1:]:
                if mention.number:  # "two nodules, the larger in the right apex"
                    locate(state, slot, str(value))
                elif mention.side != value:
                    mention.side = "bilateral"
            continue
        if slot == "side" and _is_direction(state):
            state.clause.mentions[-1].side, state.clause.mentions[-1].located_at = cast("Side", value), item.first
            continue
        if slot == "change" and (next_is(state.items, i, "contrast") or _is_of_another(state, forward=forward)):
            continue
        if slot == "change" and _is_for_the_better(state, forward=forward):
            if value != "stable":
                state.compared = state.compared or item
            continue
        if slot == "descriptor" and value == "old" and not forward and size_follows(state.items, i):
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
            locate(state, slot, str(value))
        elif slot == "change" or value == "tension" or not _denied_since(state):
            _give_to_previous(state, slot, value)


def _grades_size(state: State) -> bool:
    """Return whether the degree of a growth is that of a finding: "the heart size is mildly increased"."""
    following = state.items[state.index + 1] if state.index + 1 < len(state.items) else None
    if following is None or following.kind != "quality" or not state.clause.verb:
        return False
    return any((part.name, following.names[0]) in state.known.combinations for part in state.clause.parts)


def _give_tension(state: State) -> bool:
    """Give "tension" to the last pneumothorax: "a pneumothorax with mediastinal shift, suggesting tension".

    Denied, it is a denial of its own: "a pneumothorax without signs of tension".
    """
    if state.scope.denied is not None:
        add_finding(state, "tension_pneumothorax", use_attributes=False)
        return True
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
    several = len(state.mentions) > 1 or any(mention.number == 2 for mention in state.mentions)
    if items[i + 1].kind == "introduce" or (several and changes_next(items, i)):
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


def _is_of_another(state: State, *, forward: bool) -> bool:
    """Return whether a change is that of one device from another, "exchanged for a larger drain", or only supposed."""
    if is_conditional(state) and not forward:  # "a nodule that must be resected if it grows"
        return True
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
    if _is_right_before_device(state):
        if position not in _ACCESS:  # "left jugular dialysis line", but "gastric feeding tube"
            state.positions.append(position)
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


def _is_right_before_device(state: State) -> bool:
    """Return whether a device is named right behind the phrase."""
    following = state.items[state.index + 1 : state.index + 2]
    if not following or following[0].kind != "observation" or following[0].first - state.item.last != 1:
        return False
    return following[0].names[0] in state.known.devices


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
