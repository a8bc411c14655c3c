"""Whether a few words are a label, and of what."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from cxr_rewards.findings.clauses import clauses
from cxr_rewards.findings.finding import DENIED
from cxr_rewards.findings.item import Item
from cxr_rewards.findings.layout.words import WORD, layout_words
from cxr_rewards.findings.ontology import ontology
from cxr_rewards.findings.phrases import items
from cxr_rewards.findings.walker import Sentence, walk

LONGEST = 80
"""A label has at most this many characters."""
LONGEST_VALUE = 200
"""A value has at most this many characters up to the next comma or full stop: keeps reading linear."""
_MOST_UNKNOWN = 2
"""A label has at most this many words that the reader does not know."""
_OF_LABEL = frozenset(
    ("observation", "structure", "quality", "modifier", "comma", "and", "or", "open", "close", "conclude",
     "begin_statement", "end_scope", "introduce", "read_over", "deny_forward", "attend")
)  # fmt: skip
_OF_QUALIFIER = frozenset(("modifier", "structure", "quality", "and", "or", "comma", "begin_statement", "conclude"))


class Label(NamedTuple):
    """The subject of a label.

    Attributes:
        kind: `finding`, `abnormality` ("acute findings"), `normal` ("lungs clear"), `denial` ("no effusion"),
            `structure`, `side`, or one of the headings of `layout.toml`.
        observations: the observations that it names.
    """

    kind: str
    observations: frozenset[str] = frozenset()

    @property
    def states(self) -> bool:
        """Whether it names something that can be there or not."""
        return self.kind in ("finding", "abnormality")


@lru_cache(maxsize=1 << 12)
def label_of(text: str) -> Label | None:
    """Return what a label is about, given in lower case; None if it is none.

    Example:
        >>> label_of("left pleural effusion").kind, label_of("heart size").kind, label_of("weather")
        ('finding', 'structure', None)
    """
    if len(text) > LONGEST:
        return None
    heading = heading_of(text)
    if heading in layout_words().values:
        return Label(heading)
    return _of_chest(text) or (Label(heading) if heading else None)


def heading_of(text: str) -> str:
    """Return what the words at the head of a column, or before a colon, mean; "" if they are no heading."""
    return layout_words().headings.get(tuple(WORD.findall(text)), "")


def _of_chest(text: str) -> Label | None:
    """Return what a label is about, if it is about a finding, a structure or a side."""
    found, _ = items(ontology(), text)
    kinds = {item.kind for item in found}
    if not found or not kinds <= _OF_LABEL or _unknown(text, found) > _MOST_UNKNOWN:
        return None
    if "comma" in kinds and any((label := label_of(part)) is None or label.kind == "side" for part in _listed(text)):
        return None
    said = [fields for fields, _, _ in _walked(text).findings if fields[0] not in ("", "comparison")]
    named = frozenset(fields[0] for fields in said)
    if "deny_forward" in kinds:
        return Label("denial", named) if said and found[0].kind == "deny_forward" else None
    if any(fields[1] not in DENIED for fields in said):
        return Label("finding", named)
    if said:
        return Label("normal", named)
    if any(item.kind == "quality" and "abnormality" in item.names for item in found):
        return Label("abnormality")
    if "structure" in kinds:
        return Label("structure")
    sides = [item for item in found if any(slot == "side" for slot, _ in item.attributes)]
    return Label("side") if sides and len(sides) == len(found) else None


def _listed(text: str) -> list[str]:
    return [part for part in re.split(r",\s*(?:and|or)?", text) if part.strip()]


def _walked(text: str) -> Sentence:
    known = ontology()
    return walk(known, *clauses(known, text))


def finds(text: str) -> list[tuple[str, str]]:
    """Return observation and certainty of what a few words say."""
    return [(fields[0], fields[1]) for fields, _, _ in _walked(text).findings if fields[0] != "comparison"]


def _unknown(text: str, found: list[Item]) -> int:
    """Return the number of words outside the known phrases, without small words."""
    covered = [(item.start, item.end) for item in found]
    return sum(
        1
        for match in WORD.finditer(text)
        if match.group() not in layout_words().small and not any(start <= match.start() < end for start, end in covered)
    )


@lru_cache(maxsize=1 << 12)
def qualifies(text: str) -> bool:
    """Return whether words tell more of a finding and name none: "small, on the left", "8 mm in the upper lobe"."""
    found, _ = items(ontology(), text)
    if not found or any(item.kind not in _OF_QUALIFIER or item.names == ("abnormality",) for item in found):
        return False
    if all(item.kind not in ("modifier", "structure", "quality") for item in found):
        return False
    return _unknown(text, found) <= 1 and not finds(text)


def describes(text: str) -> bool:
    """Return whether words only say how something is: "normal", "mildly enlarged"."""
    if len(text) > LONGEST_VALUE:
        return False
    found, _ = items(ontology(), text)
    return (
        bool(found) and all(item.kind in ("quality", "modifier", "and") for item in found) and not _unknown(text, found)
    )


def noun_of(plain: str, span: tuple[int, int]) -> tuple[int, int]:
    """Return the span of what a label names, without its side: the effusion of "left effusion", if it has one."""
    named = [item for item in items(ontology(), plain[slice(*span)])[0] if item.kind in ("observation", "structure")]
    return (span[0] + named[0].start, span[0] + named[-1].end) if named else span


def names_finding(text: str) -> bool:
    """Return whether words name a finding outright: "cardiomegaly", but not "enlarged heart"."""
    return any(item.kind == "observation" for item in items(ontology(), text)[0])


def stands_for_fracture(plain: str, at: int) -> bool:
    """Return whether the "#" at a place means a fracture, and no heading: it is that of a certain bone.

    Example:
        >>> [stands_for_fracture(text, 0) for text in ("# left 5th rib", "# of clavicle", "# bones", "## left ribs")]
        [True, True, False, False]
    """
    if "#" in (plain[at - 1 : at], plain[at + 1 : at + 2]):
        return False
    known, text = ontology(), plain[at + 1 : at + LONGEST].partition("\n")[0]
    found, _ = items(known, text)
    bone = next((item for item in found if item.kind not in ("modifier", "and", "comma", "point")), None)
    if bone is None or bone.kind != "structure" or (bone.names[0], "fracture") not in known.combinations:
        return False
    return len(found) > 1 or bone.first > 0 or bool(bone.attributes)


@lru_cache(maxsize=1 << 12)
def attributes_of(text: str) -> dict[str, set[object]]:
    """Return the attributes that the phrases of a few words state."""
    stated: dict[str, set[object]] = {}
    for item in items(ontology(), text)[0]:
        for slot, value in item.attributes:
            stated.setdefault(slot, set()).add(value)
    return stated
