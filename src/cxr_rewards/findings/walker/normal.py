"""Read what is called normal or abnormal, and rule out what that leaves no room for."""

from __future__ import annotations

from typing import cast

from cxr_rewards.findings.finding import Side
from cxr_rewards.findings.walker.lookahead import JOINS, LOOK, NOUNS, REACH, has_side, next_is, next_of
from cxr_rewards.findings.walker.mention import Mention
from cxr_rewards.findings.walker.state import Part, State
from cxr_rewards.findings.walker.statements import rule_out

_OPERATION = "postsurgical_change"
_BEFORE_PREDICATE = frozenset(("verb", "modifier", "read_over"))

_IN_LIST = frozenset(("comma", "modifier", "begin_statement"))
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


def read_normal(state: State) -> None:
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


def read_expanded(state: State) -> None:
    """Read lungs that are well expanded as of a normal volume: they may have opacities."""
    following = next_of(state.items, state.index, NOUNS)
    named = [part.name for part in state.clause.parts[-1:]] if following is None else state.items[following].names
    if "lungs" in named and state.scope.denied is None and state.scope.set_aside is None:
        rule_out(state, "lung_volumes")


def _names_structure_next(state: State, i: int) -> bool:
    """Return whether a structure follows the side at `i`: "clear left lung", but not "lungs clear bilaterally"."""
    return next_is(state.items, i, "structure") or (
        next_is(state.items, i, "modifier") and next_is(state.items, i + 1, "structure")
    )


def deny_subjects(state: State) -> None:
    """Read a finding that is called normal as absent: "the heart and the nodule are normal".

    A device or the trace of an operation can be normal and there.
    """
    if state.scope.denied is not None or state.scope.set_aside is not None:
        return
    if next_is(state.items, state.index, "observation") and state.items[state.index + 1].first - state.item.last == 1:
        state.called_normal = state.index + 1
    for mention in _subjects(state):
        deny_as_normal(state, mention)


def deny_as_normal(state: State, mention: Mention) -> None:
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
    if k < 0 or items[k].kind not in NOUNS:
        return []
    if items[i].first - items[k].last > 1 and all(item.kind != "verb" for item in items[k + 1 : i]):
        return []
    begin = k
    closed = items[k].kind == "structure" and state.known.structures[items[k].names[0]].several
    for j in range(k - 1, max(-1, k - 1 - LOOK), -1):
        kind = items[j].kind
        if kind in NOUNS:
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


def read_abnormality(state: State) -> None:
    """Rule out what is acute, if an abnormality of a structure, or of the chest, is denied."""
    if state.scope.denied is None or state.scope.set_aside is not None:
        return
    told = [state.items[j] for j in state.refined]  # "elevated diaphragm, no acute findings"
    targets = [part for part in _targets(state.clause.parts) if part.item not in told]
    j = next_of(state.items, state.index, NOUNS)
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
    return unknown <= (state.word_count <= 2) and all(item.kind not in NOUNS for item in state.items)
