"""Join the words of one observation that a place stands between: "ground-glass right upper lobe opacity"."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import cast

from cxr_rewards.findings.item import Item
from cxr_rewards.findings.ontology import Ontology
from cxr_rewards.findings.ontology.model import Entry, Node

_HEADS = frozenset((("lung_opacity",), ("lung_nodule",), ("fracture",)))
"""Observations whose names end many phrases that name a kind of them."""
_LOCATION = frozenset(("side", "place", "rows"))
_STRUCTURES = frozenset((("lungs",), ("spine",), ("rib",)))
_LONGEST_LOCATION = 5
_BEFORE = re.compile(r"(?:([a-z]+)[ -])?([a-z]+)[ -]\Z")
_UNKNOWN = " "
"""Stands for a word that no phrase has."""
_REACH = 40
"""Most characters to look back for the words before a place."""


def join_parted(known: Ontology, found: list[Item], sentence: str) -> list[Item]:
    """Return the phrases of a sentence with "round left basal opacity" read as "left basal round opacity".

    Example:
        >>> from cxr_rewards.findings.ontology import ontology
        >>> from cxr_rewards.findings.phrases import items
        >>> sentence = "nodular left basal opacity"
        >>> [item.names for item in join_parted(ontology(), items(ontology(), sentence)[0], sentence) if item.names]
        [('lung_nodule',)]
    """
    result = found
    for j, head in enumerate(found):
        if head.kind != "observation" or head.names not in _HEADS or not j or not _is_location(found[j - 1], head):
            continue
        k, joined = j, None
        while joined is None and k and j - k < _LONGEST_LOCATION and _is_location(found[k - 1], found[k]):
            k -= 1
            joined = _joined(known, found[k].start, head, sentence) or _kind(known, found[k - 1 : k], found[k], head)
        if joined is None:
            continue
        item, start = joined
        if result is found:
            result = list(found)
        result[j] = item
        for i in range(k - 1, max(-1, k - 3), -1):  # what its first words mean by themselves
            if found[i].start >= start:
                result[i] = replace(found[i], kind="read_over", names=(), attributes=())
    return result


def _is_location(item: Item, following: Item) -> bool:
    """Return whether a phrase is a side or place, right before the following one."""
    if item.last + 1 != following.first:
        return False
    if item.kind == "structure":
        return item.names in _STRUCTURES
    return item.kind == "modifier" and all(slot in _LOCATION for slot, _ in item.attributes)


def _joined(known: Ontology, place: int, head: Item, sentence: str) -> tuple[Item, int] | None:
    """Return the observation that the words before a place and the head name together, and where these words start."""
    match = _BEFORE.search(sentence, max(0, place - _REACH), place)
    if match is None:
        return None
    ends = re.split("[ -]", sentence[head.start : head.end])
    for words, start in (((match[1], match[2]), match.start()), ((match[2],), match.start(2))):
        entry = _entry(known, (*words, *ends)) if words[0] else None
        if entry is not None and entry[0] == "observation" and entry[1] != head.names:
            return replace(head, names=entry[1], attributes=entry[2]), start
    return None


def _kind(known: Ontology, before: list[Item], place: Item, head: Item) -> tuple[Item, int] | None:
    """Return the same for an observation right before the place that is a kind of the head: "infiltrative"."""
    last = before[-1] if before else None
    if last is None or last.kind != "observation" or last.last + 1 != place.first or len(last.names) > 1:
        return None
    if head.names[0] not in known.observations[last.names[0]].ancestors:
        return None
    return replace(head, names=last.names, attributes=(*last.attributes, *head.attributes)), last.start


def _entry(known: Ontology, words: tuple[str, ...]) -> Entry | None:
    """Return the meaning of a phrase, or None if there is no such phrase."""
    node: Node | None = known.phrases
    for word in words:
        node = node.get(known.forms.get(word, _UNKNOWN)) if node is not None else None
    return cast("Entry | None", node.get("") if node is not None else None)
