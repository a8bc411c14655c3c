"""Questions about the phrases that follow, or precede, one in its sentence. Nothing here changes the state."""

from __future__ import annotations

from cxr_rewards.findings.finding import OTHER_SIDE
from cxr_rewards.findings.item import Item
from cxr_rewards.findings.walker.state import State

REACH = 7
"""Most words between a finding and what is said of it."""
LOOK = 14
"""Most phrases to look ahead: bounds the work on hostile text."""
JOINS = frozenset(("comma", "and", "or"))
NOUNS = ("structure", "observation")
ONE_SIDE = ((("side", "left"),), (("side", "right"),))
"""Attributes of a phrase that names the left or the right, and nothing else."""
DATES = ("compare", "compare_back", "date_back", "date_both")
"""Kinds of phrase for an earlier image."""
NORMAL = frozenset(("normal", "sound"))
"""Qualities that rule out what is abnormal of a structure."""
ABNORMAL = frozenset(("abnormality", "abnormal"))
_ENDS_STATEMENT = frozenset(("end_clause", "comma", "verb", "open", "close"))
_ENDS_FINDING = frozenset(("end_clause", "end_scope", "explain", "link", "doubt_forward", "deny_forward", *JOINS))
_ENDS_COMPLEMENT = frozenset(("end_scope", "deny_forward", "deny_backward", "disfavor", "and"))
_COMPLEMENTS = frozenset(("observation", "quality", "repeat"))
_ENDS_LIST = frozenset(("end_clause", "verb", "and", "deny_forward"))
_BETWEEN_MODIFIER_AND_FINDING = frozenset(
    ("modifier", "read_over", "compare_places", "begin_statement", "point", "attend", "grade_comparison")
)
_SAID_OF_SIDE = frozenset(("modifier", "deny_backward", "verb", "conclude", "quality", "begin_statement"))
_BEFORE_JOINED = frozenset(("modifier", "point", *JOINS))
_SAID_OF_STRUCTURE = frozenset(("observation", "quality", "verb"))
_PREDICATES = frozenset(("verb", "quality", "deny_forward", "deny_backward"))


def next_of(items: list[Item], i: int, kinds: tuple[str, ...]) -> int | None:
    """Return the index of the next phrase of one of `kinds` within reach and in the same statement."""
    origin = items[i].last
    for j in range(i + 1, min(i + 1 + LOOK, len(items))):
        item = items[j]
        if item.first - origin > REACH or item.kind in _ENDS_STATEMENT:
            return None
        if item.kind in kinds:
            return j
    return None


def changes_next(items: list[Item], i: int) -> bool:
    """Return whether a change or degree follows right behind the phrase at `i`, and no finding behind it."""
    if (
        i + 1 == len(items)
        or items[i + 1].kind not in ("modifier", "quality")
        or items[i + 1].first - items[i].last > 1
    ):
        return False
    if not any(slot in ("change", "severity") for slot, _ in items[i + 1].attributes):
        return False
    return not any(next_is(items, i + 1, kind) for kind in ("observation", "structure", "modifier"))


def has_complement(items: list[Item], i: int) -> bool:
    """Return whether the words after the phrase at `i` name what it is about: "possible effusion"."""
    origin = items[i].last
    for j in range(i + 1, min(i + 1 + LOOK, len(items))):
        item = items[j]
        if item.first - origin > REACH or item.kind in _ENDS_STATEMENT or item.kind in _ENDS_COMPLEMENT:
            return False
        if item.kind in _COMPLEMENTS or ("descriptor", "tension") in item.attributes:
            return True
    return False


def speaks_of_next(state: State, i: int) -> bool:
    """Return whether the phrase at `i` is about a finding after it, as "small" in "small left effusion"."""
    items, origin, modifiers_only = state.items, state.items[i].last, True
    for j in range(i + 1, min(i + 1 + LOOK, len(items))):
        item = items[j]
        kind = item.kind
        if item.first - origin > REACH:
            return False
        if kind in {"observation", "repeat"}:
            return True
        if kind == "quality":
            if item.names[0] in NORMAL or item.names[0] in ABNORMAL:
                return False
            if item.names[0] == "shifted":  # "in the right upper lobe, displacing the trachea"
                return False
            if not item.attributes:
                return True
        elif kind == "structure":
            modifiers_only = False
        elif kind in JOINS:
            # "new, small effusion"; "moderate left and small right effusions"
            following = items[j + 1].kind if j + 1 < len(items) else ""
            clause = state.clause
            if clause.verb or clause.since_comma or not modifiers_only or following not in ("modifier", "quality"):
                return False
        elif kind not in _BETWEEN_MODIFIER_AND_FINDING:
            return False
    return False


def starts_statement(state: State, i: int) -> bool:
    """Return whether a statement of its own follows the comma or "and" at `i`, and not one more item of a list."""
    items, clause, scope = state.items, state.clause, state.scope
    if i + 1 >= len(items):
        return False
    first = items[i + 1]
    near = first.first - items[i].last <= 2
    if near and (_begins_statement(first) or _begins_noun(items, i + 1)):
        return (scope.denied is not None or scope.doubted is not None) and not _list_goes_on(items, i + 1)
    if not clause.predicated and scope.denied is None:
        return False
    if near and first.kind == "quality" and first.names[0] in NORMAL:
        behind = [item for item in items[i + 2 : i + 4] if item.kind == "structure"]  # ", clear right lung"
        if scope.denied is not None or (behind and behind[0].first - first.last <= 2):
            return True
    structure = named = False
    if clause.had_verb and near and has_side(first) and i + 2 < len(items) and items[i + 2].kind == "verb":
        return True  # "the left effusion is larger, the right is smaller"
    follows = items[i].kind == "comma" or scope.denied is not None or clause.had_verb
    for j in range(i + 1, min(i + 1 + LOOK, len(items))):
        item = items[j]
        if named and item.kind == "verb":  # "effusions are stable, edema is improved"
            return True
        if item.kind in JOINS or item.kind == "end_clause":
            return False
        if item.kind == "observation":
            if not clause.had_verb:
                return False
            named = True
        if item.kind == "structure":
            structure = True
            if not clause.had_verb and state.known.structures[item.names[0]].several:
                follows = False
        elif structure and item.kind in _PREDICATES:
            if item.kind == "verb" and not follows:  # "nodule, heart and hila are normal"
                return False
            return not (item.kind == "quality" and item.names[0] in ABNORMAL)
    return False


def _begins_statement(item: Item) -> bool:
    if item.kind == "begin_statement":
        return True
    return item.kind == "modifier" and any(
        slot in ("severity", "change") or (slot == "descriptor" and value == "old") for slot, value in item.attributes
    )


def _begins_noun(items: list[Item], i: int) -> bool:
    """Return whether the phrase at `i` is a degree of the structure right after it: "large heart"."""
    if items[i].kind != "quality" or i + 1 == len(items) or all(slot != "severity" for slot, _ in items[i].attributes):
        return False
    return items[i + 1].kind == "structure" and items[i + 1].first - items[i].last == 1


def _list_goes_on(items: list[Item], i: int) -> bool:
    """Return whether an "or" follows in the same list: "no effusion, small nodule, or mass"."""
    for j in range(i, min(i + LOOK, len(items))):
        kind = items[j].kind
        if kind == "or":
            return True
        if kind in _ENDS_LIST:
            return False
    return False


def parts_findings(items: list[Item], i: int) -> bool:
    """Return whether the comma at `i` parts two findings that each have words of their own.

    In "atelectasis, effusion at the left base" it parts two items of a list; in "fracture, at T7" it parts no findings.
    """
    for j in range(i + 1, min(i + 1 + LOOK, len(items))):
        kind = items[j].kind
        if kind in {"observation", "quality"}:
            return j > i + 1
        if kind in _ENDS_FINDING:
            return False
    return False


def joined_structure(state: State, j: int) -> str:
    """Return what the last finding is of the structure at `j`, if that is listed with its own; else "".

    The second of "fractures of the clavicle and scapula" is a fracture of the scapula.
    """
    clause, items, known = state.clause, state.items, state.known
    if clause.joint not in JOINS or not clause.mentions or not clause.mentions[-1].observation:
        return ""
    ancestors = known.observations[clause.mentions[-1].observation].ancestors
    combined = known.combinations.get((items[j].names[0], ancestors[0])) if ancestors else None
    if combined is None or known.observations[combined[0]].ancestors[:1] != ancestors[:1]:
        return ""
    k = j - 1
    while k >= 0 and items[k].kind in _BEFORE_JOINED:
        k -= 1
    if k < 0 or items[k].kind != "structure" or items[k].names == items[j].names:  # "a lower vertebra, about T11"
        return ""
    if all(item.kind not in JOINS for item in items[k + 1 : j]):
        return ""
    following = items[j + 1].kind if j + 1 < len(items) else ""
    return "" if following in _SAID_OF_STRUCTURE else combined[0]


def side_stands_alone(items: list[Item], i: int) -> bool:
    """Return whether the phrase at `i` is a side with nothing after it in its clause: "not on the right"."""
    if i >= len(items) or not has_side(items[i]):
        return False
    return i + 1 == len(items) or items[i + 1].kind in JOINS or items[i + 1].kind == "end_clause"


def tells_of_other_side(state: State, i: int) -> bool:
    """Return whether the "and" at `i` leads over to the other side: "absent on the left and small on the right"."""
    items, mentions = state.items, state.clause.mentions
    if not mentions or mentions[-1].located_at < 0 or mentions[-1].side not in ("left", "right"):
        return False
    before = mentions[-2] if len(mentions) > 1 else None
    if before is not None and (before.observation, before.side) == (
        mentions[-1].observation,
        OTHER_SIDE[mentions[-1].side],
    ):
        return False  # it has been read of each side
    for j in range(i + 1, min(i + 1 + LOOK, len(items))):
        if has_side(items[j]):
            return j > i + 1 and ("side", mentions[-1].side) not in items[j].attributes and side_stands_alone(items, j)
        if items[j].kind not in _SAID_OF_SIDE:
            return False
    return False


def other_side_follows(state: State, i: int) -> bool:
    """Return whether the other side of the last finding follows with a word for it: "left larger, right stable"."""
    items, mentions = state.items, state.clause.mentions
    if i + 2 >= len(items) or items[i + 1].attributes not in ONE_SIDE:
        return False
    side, told = mentions[-1].side if mentions else state.side if state.mentions else "", items[i + 2]
    if not side or ("side", side) in items[i + 1].attributes or told.first - items[i + 1].last > 2:
        return False
    if told.kind != "modifier" or all(slot not in ("change", "severity") for slot, _ in told.attributes):
        return False
    return i + 3 == len(items) or items[i + 3].kind in JOINS or items[i + 3].kind == "end_clause"


def side_follows(items: list[Item], i: int) -> bool:
    """Return whether a side of its own follows the comma at `i` before the next finding."""
    for j in range(i + 1, min(i + 1 + LOOK, len(items))):
        if has_side(items[j]):
            return True
        if items[j].kind not in ("modifier", "begin_statement", "and"):
            return False
    return False


def grades_change(items: list[Item], i: int) -> bool:
    """Return whether the severity at `i` is that of a change: "slightly increased", "has increased slightly"."""
    after = items[i + 1] if i + 1 < len(items) else None
    if after is not None and after.first - items[i].last <= 1 and _is_growth(after):
        return True
    before = items[i - 1] if i else None
    if before is None or items[i].first - before.last > 1 or not _is_growth(before):
        return False
    return after is None or after.kind in _ENDS_STATEMENT or after.first - items[i].last > 1


def doubts_change(items: list[Item], i: int) -> bool:
    """Return whether the doubt at `i` is only about a change of a finding that is there.

    "Possible worsening of the effusion", "the effusion may have increased slightly".
    """
    j = i + 1
    while j < len(items) and items[j].first - items[j - 1].last <= 2 and _is_between_doubt_and_change(items[j]):
        j += 1
    if j == len(items) or items[j].first - items[j - 1].last > 2:
        return False
    changed = items[j].attributes
    if items[j].kind not in ("modifier", "quality") or not any(s == "change" and v in _OF_KNOWN for s, v in changed):
        return False
    j += any(slot == "severity" for item in items[j + 1 : j + 2] for slot, _ in item.attributes)  # "increased slightly"
    if j + 1 == len(items) or items[j + 1].kind in _ENDS_PREDICATE or items[j + 1].kind in DATES:
        return True
    gap = items[j + 1].first - items[j].last  # "of the" is no phrase
    return items[j + 1].kind == "point" or (1 < gap <= _OF_THE and items[j + 1].kind in _NAMES_KNOWN)


_OF_KNOWN = ("increased", "decreased", "stable")
"""Changes that only what is known can undergo."""
_ENDS_PREDICATE = frozenset(("end_clause", "and", "comma", "open", "close"))
_NAMES_KNOWN = frozenset(("observation", "modifier"))
_OF_THE = 3
"""By how much the words around "of the" are apart."""


def _is_between_doubt_and_change(item: Item) -> bool:
    graded = any(slot == "severity" for slot, _ in item.attributes)
    grows = any(slot == "change" for slot, _ in item.attributes)
    return item.kind in ("verb", "read_over", "now", "begin_statement") or (graded and not grows)


def _is_growth(item: Item) -> bool:
    return any(slot == "change" and value in ("increased", "decreased") for slot, value in item.attributes)


def next_is(items: list[Item], i: int, kind: str) -> bool:
    """Return whether a phrase of a kind follows right after that at `i`, but for one word."""
    return i + 1 < len(items) and items[i + 1].kind == kind and items[i + 1].first - items[i].last <= 2


def dated_behind(items: list[Item], i: int) -> bool:
    """Return whether the words right after a value date it, and not the next one: "small on the last film, now ..."."""
    if not (next_is(items, i, "date_both") or next_is(items, i, "compare_back")):
        return False
    return not (next_is(items, i + 1, "modifier") or next_is(items, i + 1, "quality"))


def belongs_to_structure(items: list[Item], i: int) -> bool:
    """Return whether the change at `i` is that of a structure: "leads and an unchanged cardiac silhouette"."""
    following = items[i + 1] if i + 1 < len(items) else None
    return following is not None and following.kind == "structure" and following.first - items[i].last == 1


def follows_severity(items: list[Item], i: int) -> bool:
    """Return whether another severity stands right before the phrase at `i`: "mild to moderate"."""
    first = items[i].first
    for j in range(i - 1, -1, -1):
        other = items[j]
        if other.last < first - 2:
            return False
        if other.kind == "modifier" and any(slot == "severity" for slot, _ in other.attributes):
            return True
    return False


def has_side(item: Item) -> bool:
    """Return whether the phrase is a modifier that names a side."""
    return item.kind == "modifier" and any(slot == "side" for slot, _ in item.attributes)
