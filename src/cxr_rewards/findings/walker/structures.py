"""Read structures, observations and qualities, and join them: "enlarged" and "heart" are cardiomegaly."""

from __future__ import annotations

from typing import cast

from cxr_rewards.findings.finding import DENIED
from cxr_rewards.findings.item import Item
from cxr_rewards.findings.walker.attributes import read_modifier
from cxr_rewards.findings.walker.locating import LOCATION
from cxr_rewards.findings.walker.lookahead import (
    JOINS,
    LOOK,
    NORMAL,
    NOUNS,
    REACH,
    joined_structure,
    next_of,
    speaks_of_next,
)
from cxr_rewards.findings.walker.normal import (
    deny_as_normal,
    deny_subjects,
    read_abnormality,
    read_expanded,
    read_normal,
)
from cxr_rewards.findings.walker.state import Part, State
from cxr_rewards.findings.walker.statements import KEPT, add_finding
from cxr_rewards.findings.walker.waiting import wait

_JOINS = frozenset((*JOINS, "deny_forward"))
"""Kinds of phrase that join findings in a list: "fluid, edema or collapse", "neither fluid nor edema"."""
_TOP_NORMAL = "top_normal"
_NONDISPLACED = ("descriptor", "nondisplaced")
_IS_SEEN = ("conclude", "deny_backward", "doubt_backward")
_IN_LIST_OF_FINDINGS = {"fluid": "pleural_effusion"}
"""Quality → what it is in a list of findings, where it is said of no structure."""


def read_structure(state: State) -> None:
    """Keep a structure for what the clause says of it."""
    item = state.item
    side = state.side if item.first - state.side_at <= 3 else ""
    places = tuple(str(value) for slot, value in item.attributes if slot == "place") if item.attributes else ()
    waiting = state.waiting.get("place")
    if waiting is not None and item.first - waiting[1] <= 3:
        places = (*cast("tuple[str, ...]", waiting[0]), *places)
    clause = state.clause
    clause.parts = [*clause.parts[1 - KEPT :], Part(item.names[0], side, places, item)]
    if _names_place_of_last(state):
        return
    joined = joined_structure(state, state.index) if clause.joint and clause.mentions else ""
    if joined:
        before = clause.mentions[-1]
        add_finding(state, joined)
        added = clause.mentions[-1]
        added.certainty = before.certainty
        if not state.known.observations[joined].unpaired:
            added.side = added.side or before.side
    elif item.attributes:
        read_modifier(state)
    clause.verb = False


def _names_place_of_last(state: State) -> bool:
    """Read "a fracture is seen in the left clavicle" as one of the clavicle."""
    clause, item, items = state.clause, state.item, state.items
    last = clause.mentions[-1] if clause.mentions and clause.verb else None
    combined = state.known.combinations.get((item.names[0], last.observation)) if last is not None else None
    if last is None or combined is None or combined[1] or item.first - last.at > REACH + 2:
        return False
    i = state.index - 1
    while i >= 0 and items[i].kind == "modifier" and items[i].first > last.at:
        i -= 1
    if items[i].kind != "conclude" or items[i].first < last.at:
        return False
    last.observation = combined[0]
    return True


def read_observation(state: State) -> None:
    """Add the finding that a phrase names, or the more precise one that the words around it make of it."""
    item = state.item
    refined = state.refined.get(state.index)
    if refined is not None:
        add_finding(state, refined[0], possible=refined[1])
        return
    for name in item.names:
        better = refine_by_structure(state, name) if name in state.known.refined_by_structure else None
        if better is None:
            add_finding(state, name)
        else:
            add_finding(state, better[0], possible=better[1])
    if state.index == state.called_normal:  # "normal effusion"
        for mention in state.clause.mentions[-1:]:
            deny_as_normal(state, mention)
    state.clause.verb = False


def refine_by_structure(state: State, name: str) -> tuple[str, bool] | None:
    """Return what a structure nearby makes of an observation, as a rib of a "fracture", and whether only possibly."""
    item, combinations = state.item, state.known.combinations
    for part in reversed(state.clause.parts):
        combined = combinations.get((part.name, name))
        if combined is not None and item.first - part.item.last <= REACH and not _parted(state, part):
            return combined
    j = next_of(state.items, state.index, NOUNS)
    if j is None or state.items[j].kind != "structure":
        return None
    if any(between.kind in ("end_scope", "quality") for between in state.items[state.index + 1 : j]):
        return None  # "lung mass with destruction of a rib"
    return combinations.get((state.items[j].names[0], name))


def _parted(state: State, part: Part) -> bool:
    """Return whether a "with" parts a structure from the current phrase: "the humerus, with fractured ribs"."""
    between = state.items[max(0, state.index - REACH) : state.index]
    return any(item.kind == "end_scope" and item.first > part.item.last for item in between)


def read_quality(state: State) -> None:
    """Read a quality, and the severity that its word may state.

    "Large" is a quality of a heart, and a severity of an effusion.
    """
    item, before = state.item, len(state.mentions)
    if not _join_quality(state):
        if item.attributes:
            read_modifier(state)
        elif item.names[0] in _IN_LIST_OF_FINDINGS and _is_listed(state):
            add_finding(state, _IN_LIST_OF_FINDINGS[item.names[0]], use_attributes=False)
        return
    for slot, value in item.attributes:
        of_finding = slot in ("severity", "size") or (slot, item.names[0]) == ("change", "enlarged")
        if len(state.mentions) > before and of_finding:
            if slot == "severity" and item.names[0] == "enlarged":
                continue  # a big heart is an enlarged one
            if state.mentions[-1].certainty not in DENIED:  # "the heart is not big" denies any enlargement
                state.mentions[-1].give(slot, value)  # "large heart", "larger heart"
        elif slot == "severity":
            wait(state, slot, value, item)


def _is_listed(state: State) -> bool:
    """Return whether the quality being read is one of a list of findings: "consolidation, fluid or collapse"."""
    items, i = state.items, state.index
    behind = i + 2 < len(items) and items[i + 1].kind in _JOINS and items[i + 2].kind == "observation"
    if i + 1 < len(items) and not behind and items[i + 1].kind not in (*_JOINS, "end_clause"):
        return False
    before = i > 1 and items[i - 1].kind in _JOINS and bool(state.clause.mentions)
    return (behind or before) and not state.clause.parts


def _join_quality(state: State) -> bool:
    """Join a quality with what it is said of; return whether that made or refined a finding."""
    item = state.item
    name = item.names[0]
    if name == _TOP_NORMAL:
        return _join_top_normal(state)
    if name in NORMAL:
        if _NONDISPLACED in item.attributes and _is_of_fracture(state):
            return True
        if state.scope.denied is not None and state.scope.denied.of_change and state.clause.verb:
            state.scope.denied = None  # "neither angle is sharp"
            return _join_with_previous(state, "abnormal")
        if name == "normal":
            deny_subjects(state)
        read_normal(state)
        return False
    if name == "abnormality" or (name == "abnormal" and state.scope.denied is not None):
        read_abnormality(state)
        return False
    if name == "expanded":
        read_expanded(state)
        return False
    graded = any(slot == "severity" for slot, _ in item.attributes) and speaks_of_next(state, state.index)
    if state.clause.verb and not graded and not _opens_value(state):
        # "the heart is enlarged", but not "is displaced by a large effusion"
        return _join_with_previous(state, name) or _join_with_next(state, name)
    if _join_with_next(state, name):
        return True
    return not (item.attributes and speaks_of_next(state, state.index)) and _join_with_previous(state, name)


def _join_top_normal(state: State) -> bool:
    """Read "heart size at the upper limit of normal": an enlargement is unlikely; other structures are normal."""
    count = len(state.mentions)
    joined = _join_with_previous(state, _TOP_NORMAL) or _join_with_next(state, _TOP_NORMAL)
    if not joined:
        read_normal(state)
    for mention in state.mentions[count:] if joined else ():
        if mention.certainty not in DENIED:
            mention.certainty = "unlikely"
    return joined


def _is_of_fracture(state: State) -> bool:
    """Give "not displaced" to the fracture before, if there is one: "the rib is fractured, but not displaced"."""
    last = state.mentions[-1] if state.mentions else None
    if last is None or not last.observation or last.certainty in DENIED:
        return False
    if "fracture" not in (last.observation, *state.known.observations[last.observation].ancestors):
        return False
    last.give(*_NONDISPLACED)
    return True


def _opens_value(state: State) -> bool:
    """Return whether a quality right after a colon is said of a structure after it: "mediastinum: enlarged nodes"."""
    i = state.index
    if not i or state.items[i - 1].kind != "introduce":
        return False
    following = next((item.kind for item in state.items[i + 1 : i + 1 + LOOK] if item.kind != "modifier"), "")
    return following == "structure"


def _join_with_next(state: State, name: str) -> bool:
    """Join a quality with the structure or observation after it: "enlarged heart", "calcified nodule"."""
    item, items, i = state.item, state.items, state.index
    if not state.clause.parts:
        i = _past_verb(items, i)
    j = next_of(items, i, NOUNS)
    combined = None
    while j is not None:
        target = items[j]
        combined = state.known.combinations.get((target.names[0], name))
        if combined is not None and _stands_before_noun(state, j, name, combined):
            combined = None  # "calcified right lung nodule"
        # "tortuosity and atherosclerosis of the aorta": look past the second of two that are joined
        if combined is not None or (target.kind == "observation" and items[j - 1].kind not in JOINS):
            break
        j = next_of(items, j, NOUNS)
        if j is not None and items[j].first - item.last > REACH:
            return False
    if j is None or combined is None:
        return False
    denied = target.kind == "observation" and state.scope.denied is not None
    if denied and any(between.kind in ("point", "relate") for between in items[i + 1 : j]):
        return False  # "no calcification in the nodule"
    observation, possible = combined
    if target.kind == "observation":
        if items[i + 1].kind in ("and", "comma"):  # "calcified and tortuous aorta" is two findings
            add_finding(state, observation, possible=possible, use_attributes=False)
        else:
            state.refined[j] = combined
        return True
    for between in items[i + 1 : j]:  # "blunting of the left costophrenic angle"
        for slot, value in between.attributes if between.kind == "modifier" else ():
            if slot in LOCATION:
                wait(state, slot, value, between)
    add_finding(state, observation, possible=possible, use_attributes=False)
    state.refined[j] = combined
    return True


def _past_verb(items: list[Item], i: int) -> int:
    """Return where "is seen" ends behind the quality at `i`, or `i`: "calcification is not seen in the aorta"."""
    k = i + 1
    while k < i + 3 and k < len(items) and items[k].kind == "verb":
        k += 1
    return k if k < len(items) and items[k].kind in _IS_SEEN else i


def _stands_before_noun(state: State, j: int, name: str, combined: tuple[str, bool]) -> bool:
    """Return whether the structure at `j` only locates the observation right after it, which the quality is said of.

    `combined` is what the quality makes of the structure: it must make the same of the observation.
    """
    following = state.items[j + 1] if j + 1 < len(state.items) else None
    return (
        state.items[j].kind == "structure"
        and following is not None
        and following.kind == "observation"
        and following.first - state.items[j].last == 1
        and state.known.combinations.get((following.names[0], name)) == combined
    )


def _join_with_previous(state: State, name: str) -> bool:
    """Join a quality with what came before it in the clause: "the heart is enlarged", "a nodule, calcified"."""
    item, combinations, clause = state.item, state.known.combinations, state.clause
    for part in reversed(clause.parts):
        combined = combinations.get((part.name, name))
        if combined is not None:
            if _is_change_of_last(state, part, combined[0]):
                return False
            add_finding(state, combined[0], possible=combined[1], part=part, use_attributes=False)
            if state.scope.denied is not None and state.scope.denied.of_change:
                _deny_of_others(state, part, name)
            clause.parts = [other for other in clause.parts if other is not part or name != "enlarged"]
            return True
    for mention in reversed(clause.mentions):
        combined = combinations.get((mention.observation, name))
        if combined is not None and item.first - mention.at <= REACH:
            mention.observation = combined[0]
            return True
    return False


def _is_change_of_last(state: State, part: Part, observation: str) -> bool:
    """Return whether a quality is only the change of the finding before it: "enlarged heart, increased since May"."""
    item, mentions = state.item, state.clause.mentions
    if not mentions or mentions[-1].change or mentions[-1].certainty in DENIED:
        return False
    if not any(slot == "change" for slot, _ in item.attributes):
        return False
    since = [other for other in state.clause.parts if other.item.first > mentions[-1].at]
    if mentions[-1].observation == observation:
        return not since or since == [part]
    # "indistinct heart border, increased"
    of_part = not since or (since == [part] and any(state.items[j] is part.item for j in state.refined))
    return item.names[0] == "increased" and of_part and not state.clause.verb


def _deny_of_others(state: State, part: Part, name: str) -> None:
    """Read "neither heart nor mediastinum is enlarged" of the heart, too."""
    for other in state.clause.parts:
        combined = state.known.combinations.get((other.name, name))
        if other is not part and combined is not None and other.item.first > state.denied_at - REACH:
            add_finding(state, combined[0], possible=combined[1], part=other, use_attributes=False)
