"""Read structures, observations and qualities, and join them: "enlarged" and "heart" are cardiomegaly."""

from __future__ import annotations

from typing import cast

from cxr_rewards.findings.finding import DENIED, Side
from cxr_rewards.findings.walker.attributes import LOCATION, read_modifier, wait
from cxr_rewards.findings.walker.lookahead import (
    JOINS,
    LOOK,
    NORMAL,
    REACH,
    has_side,
    joined_structure,
    next_is,
    next_of,
    speaks_of_next,
)
from cxr_rewards.findings.walker.mention import Mention
from cxr_rewards.findings.walker.state import Part, State
from cxr_rewards.findings.walker.statements import KEPT, add_finding, rule_out

_OPERATION = "postsurgical_change"
_BEFORE_PREDICATE = frozenset(("verb", "modifier", "read_over"))
_IN_LIST = frozenset(("comma", "modifier", "begin_statement"))
_NOUNS = ("structure", "observation")
_ENDS_REMARK = frozenset(
    (
        "observation",
        "quality",
        "end_clause",
        "end_scope",
        "explain",
        "doubt_forward",
        "deny_forward",
        "open",
        "close",
        *JOINS,
    )
)
"""Kinds of phrase behind which no structure is what an abnormality was denied of."""
_GOES_ON = 2
"""Most words between the end of a clause and a quality of the structure before it: "but otherwise clear"."""
_OTHER_TIMES = ("now", "date_both", "compare_back")
_JOINS = frozenset((*JOINS, "deny_forward"))
"""Kinds of phrase that join findings in a list: "fluid, edema or collapse", "neither fluid nor edema"."""
_IN_LIST_OF_FINDINGS = {"fluid": "pleural_effusion"}
"""Quality → what it is in a list of findings, where it is said of no structure."""


def read_structure(state: State) -> None:
    """Keep a structure for what the clause says of it."""
    item = state.item
    side = state.side if item.first - state.side_at <= 3 else ""
    places = tuple(str(value) for slot, value in item.attributes if slot == "place")
    waiting = state.waiting.get("place")
    if waiting is not None and item.first - waiting[1] <= 3:
        places = (*cast("tuple[str, ...]", waiting[0]), *places)
    clause = state.clause
    clause.parts = [*clause.parts[1 - KEPT :], Part(item.names[0], side, places, item)]
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
            _deny_as_normal(state, mention)
    state.clause.verb = False


def refine_by_structure(state: State, name: str) -> tuple[str, bool] | None:
    """Return what a structure nearby makes of an observation, as a rib of a "fracture", and whether only possibly."""
    item, combinations = state.item, state.known.combinations
    for part in reversed(state.clause.parts):
        combined = combinations.get((part.name, name))
        if combined is not None and item.first - part.item.last <= REACH:
            return combined
    j = next_of(state.items, state.index, _NOUNS)
    if j is None or state.items[j].kind != "structure":
        return None
    if any(between.kind in ("end_scope", "quality") for between in state.items[state.index + 1 : j]):
        return None  # "lung mass with destruction of a rib"
    return combinations.get((state.items[j].names[0], name))


# ---------------------------------------------------------------- qualities


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
    if name in NORMAL:
        if state.scope.denied is not None and state.scope.denied.of_change and state.clause.verb:
            state.scope.denied = None  # "neither angle is sharp"
            return _join_with_previous(state, "abnormal")
        if name == "normal":
            _deny_subjects(state)
        _read_normal(state)
        return False
    if name == "abnormality" or (name == "abnormal" and state.scope.denied is not None):
        _read_abnormality(state)
        return False
    if name == "expanded":
        _read_expanded(state)
        return False
    graded = any(slot == "severity" for slot, _ in item.attributes) and speaks_of_next(state, state.index)
    if state.clause.verb and not graded and not _opens_value(state):
        # "the heart is enlarged", but not "is displaced by a large effusion"
        return _join_with_previous(state, name) or _join_with_next(state, name)
    if _join_with_next(state, name):
        return True
    return not (item.attributes and speaks_of_next(state, state.index)) and _join_with_previous(state, name)


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
    j = next_of(items, i, _NOUNS)
    combined = None
    while j is not None:
        target = items[j]
        combined = state.known.combinations.get((target.names[0], name))
        if combined is not None and _stands_before_noun(state, j, name, combined):
            combined = None  # "calcified right lung nodule"
        # "tortuosity and atherosclerosis of the aorta": look past the second of two that are joined
        if combined is not None or (target.kind == "observation" and items[j - 1].kind not in JOINS):
            break
        j = next_of(items, j, _NOUNS)
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


def _deny_of_others(state: State, part: Part, name: str) -> None:
    """Read "neither heart nor mediastinum is enlarged" of the heart, too."""
    for other in state.clause.parts:
        combined = state.known.combinations.get((other.name, name))
        if other is not part and combined is not None and other.item.first > state.denied_at - REACH:
            add_finding(state, combined[0], possible=combined[1], part=other, use_attributes=False)


# ---------------------------------------------------------------- normal and abnormal


def _read_normal(state: State) -> None:
    """Rule out what the structure that is called normal lists; the whole chest if the sentence says nothing else."""
    if state.scope.denied is not None or state.scope.set_aside is not None:
        return
    item, clause, i = state.item, state.clause, state.index
    if state.dated_back >= 0 and item.first - state.dated_back <= 3:  # "previously normal, now enlarged"
        return
    if state.past and any(later.kind in _OTHER_TIMES for later in state.items[i + 1 : i + 1 + LOOK]):
        return
    if i and state.items[i - 1].kind == "grade_comparison" and item.first - state.items[i - 1].last == 1:
        return  # "less clear"
    following = state.items[i + 1] if i + 1 < len(state.items) else None
    adjacent = (
        following is not None
        and following.first - item.last <= (2 if clause.parts or clause.mentions else 3)
        and (following.kind == "structure" or (has_side(following) and _names_structure_next(state, i + 1)))
    )
    if adjacent and not (clause.verb and clause.parts):
        _rule_out_following(state)
        return
    targets = _targets(clause.parts or _parts_continued(state))
    state.side_used = state.side_used or bool(targets)
    for part in targets:
        rule_out(state, part.name, part.side, part.place, named=part.item if len(targets) > 1 else None)
    clause.parts = []
    if not targets and _says_nothing_else(state):
        rule_out(state, "chest")


def _parts_continued(state: State) -> list[Part]:
    """Return the structures of the clause before, if this one only goes on about them.

    "The lungs are expanded, but clear", "the right lung is collapsed, but the left is clear".
    """
    begins, clause = state.clause.begins, state.clause
    if begins < 0 or clause.mentions or state.item.first - state.items[begins].last > _GOES_ON + 2:
        return []
    said = state.items[begins + 1 : state.index]
    if any(item.kind not in ("modifier", "verb") for item in said):
        return []
    sides = [cast("Side", value) for item in said for slot, value in item.attributes if slot == "side"]
    if not sides and state.item.first - state.items[begins].last > _GOES_ON:
        return []
    return [part._replace(side=sides[0], place=()) for part in state.parts_before] if sides else state.parts_before


def _read_expanded(state: State) -> None:
    """Read lungs that are well expanded as of a normal volume: they may have opacities."""
    following = next_of(state.items, state.index, _NOUNS)
    named = [part.name for part in state.clause.parts[-1:]] if following is None else state.items[following].names
    if "lungs" in named and state.scope.denied is None and state.scope.set_aside is None:
        rule_out(state, "lung_volumes")


def _names_structure_next(state: State, i: int) -> bool:
    """Return whether a structure follows the side at `i`: "clear left lung", but not "lungs clear bilaterally"."""
    return next_is(state.items, i, "structure") or (
        next_is(state.items, i, "modifier") and next_is(state.items, i + 1, "structure")
    )


def _deny_subjects(state: State) -> None:
    """Read a finding that is called normal as absent: "the heart and the nodule are normal".

    A device or the trace of an operation can be normal and there.
    """
    if state.scope.denied is not None or state.scope.set_aside is not None:
        return
    if next_is(state.items, state.index, "observation") and state.items[state.index + 1].first - state.item.last == 1:
        state.called_normal = state.index + 1
    for mention in _subjects(state):
        _deny_as_normal(state, mention)


def _deny_as_normal(state: State, mention: Mention) -> None:
    name, known = mention.observation, state.known
    if name and name not in known.devices and _OPERATION not in (name, *known.observations[name].ancestors):
        mention.certainty = "absent"


def _subjects(state: State) -> list[Mention]:
    """Return the findings that the quality being read is said of: the noun before it, and those listed with it."""
    items, i = state.items, state.index
    k = i - 1
    while k >= 0 and items[k].kind in _BEFORE_PREDICATE:
        if ("descriptor", "other") in items[k].attributes:  # "an effusion, otherwise normal"
            return []
        k -= 1
    if k < 0 or items[k].kind not in _NOUNS:
        return []
    if items[i].first - items[k].last > 1 and all(item.kind != "verb" for item in items[k + 1 : i]):
        return []
    begin = k
    closed = items[k].kind == "structure" and state.known.structures[items[k].names[0]].several
    for j in range(k - 1, max(-1, k - 1 - LOOK), -1):
        kind = items[j].kind
        if kind in _NOUNS:
            if items[j + 1].kind not in JOINS and not closed:
                break
            begin = j
        elif kind in ("and", "or"):
            closed = True
        elif kind not in _IN_LIST or ("descriptor", "other") in items[j].attributes:
            break
    first = items[begin if closed else k].first
    return [mention for mention in state.clause.mentions if mention.at >= first]


def _rule_out_following(state: State) -> None:
    """Read "normal heart size and mediastinal contours", "clear left lung"."""
    side: Side = ""
    for i in range(state.index + 1, len(state.items)):
        following = state.items[i]
        side = next((cast("Side", value) for slot, value in following.attributes if slot == "side"), side)
        if following.kind == "structure":
            rule_out(state, following.names[0], side, named=following)
            side = ""
        elif following.kind not in JOINS and following.kind != "modifier":
            break


def _read_abnormality(state: State) -> None:
    """Rule out what is acute, if an abnormality of a structure, or of the chest, is denied."""
    if state.scope.denied is None or state.scope.set_aside is not None:
        return
    told = [state.items[j] for j in state.refined]  # "elevated diaphragm, no acute findings"
    targets = [part for part in _targets(state.clause.parts) if part.item not in told]
    j = next_of(state.items, state.index, _NOUNS)
    if j is not None and state.items[j].kind == "observation" and not _joined(state, j):
        return  # "no findings of edema"
    if targets:
        for part in targets:
            rule_out(state, part.name, acute=True, named=part.item if len(targets) > 1 else None)
    else:
        for name, side in _structures_after(state) or [("chest", _side_after(state))]:
            rule_out(state, name, cast("Side", side), acute=True)
    state.clause.parts = []


def _side_after(state: State) -> str:
    """Return the side named right behind a quality, and before the next comma or noun: "no disease on the left"."""
    for item in state.items[state.index + 1 : state.index + 3]:
        if item.first - state.item.last > 3 or item.kind != "modifier":
            break
        for slot, value in item.attributes:
            if slot == "side":
                return str(value)
    return ""


def _structures_after(state: State) -> list[tuple[str, str]]:
    """Return the structures listed behind a quality, with their sides: "no abnormality in the left lung or bones"."""
    listed: list[tuple[str, str]] = []
    side, last = "", state.item.last
    for item in state.items[state.index + 1 : state.index + 1 + LOOK]:
        if item.first - last > (2 if listed else REACH):
            break
        side = next((str(value) for slot, value in item.attributes if slot == "side"), side)
        if item.kind == "structure":
            listed.append((item.names[0], side))
            side = ""
        elif item.kind != "modifier" and (item.kind not in JOINS if listed else item.kind in _ENDS_REMARK):
            break
        last = item.last
    return listed


def _joined(state: State, j: int) -> bool:
    """Return whether a comma, "and" or "or" stands between the current phrase and the one at `j`."""
    return any(item.kind in JOINS for item in state.items[state.index + 1 : j])


def _targets(parts: list[Part]) -> list[Part]:
    """Return the structures that a statement is about; the chest as a whole only if there is no other."""
    return [part for part in parts if part.name != "chest"] or parts


def _says_nothing_else(state: State) -> bool:
    """Return whether the sentence names nothing that "normal" could be said of, as "Unremarkable."."""
    if state.word_count > 4:
        return False
    unknown = state.word_count - sum(1 + item.last - item.first for item in state.items)
    return unknown <= (state.word_count <= 2) and all(item.kind not in _NOUNS for item in state.items)
