"""F1 between two RadGraph annotations at the levels in use."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Literal, TypedDict

Level = Literal["simple", "partial", "complete"]
LEVELS: tuple[Level, ...] = ("simple", "partial", "complete")


class Entity(TypedDict):
    """One entity: its words, its label, the places of its first and last word, and its relations."""

    tokens: str
    label: str
    start_ix: int
    end_ix: int
    relations: list[list[str]]
    """Kind and the other entity's number of each."""


Annotation = Mapping[str, Entity]
"""Entities by their number ("1", "2", ...)."""


def set_f1(candidate: Set[object], reference: Set[object]) -> float:
    """Return F1 of two sets, `2 |both| / (|candidate| + |reference|)`; 0 if both are empty.

    Example:
        >>> set_f1({"effusion", "left"}, {"effusion"})
        0.6666666666666666
    """
    total = len(candidate) + len(reference)
    return 2 * len(candidate & reference) / total if total else 0.0


def entity_sets(annotation: Annotation, *, case_sensitive: bool) -> dict[Level, set[tuple[object, ...]]]:
    """Return the sets to compare at each level.

    - simple: (tokens, label) of each entity
    - partial: the same, with True added if the entity has relations
    - complete: (tokens, label, kind, tokens of the other) for each relation; (tokens, label) of entities without any

    `case_sensitive` follows radgraph 0.1.18, in which only relation tuples are in lower case.
    """
    sets: dict[Level, set[tuple[object, ...]]] = {level: set() for level in LEVELS}
    for entity in annotation.values():
        tokens, label = entity["tokens"], entity["label"]
        lowered = tokens.lower()
        if not case_sensitive:
            tokens = lowered
        sets["simple"].add((tokens, label))
        if not entity["relations"]:
            sets["partial"].add((tokens, label))
            sets["complete"].add((tokens, label))
            continue
        sets["partial"].add((tokens, label, True))
        sets["complete"].update(
            (lowered, label, kind, annotation[number]["tokens"].lower()) for kind, number in entity["relations"]
        )
    return sets


def level_f1s(candidate: Annotation, reference: Annotation, *, case_sensitive: bool) -> dict[Level, float]:
    """Return F1 at each level."""
    a = entity_sets(candidate, case_sensitive=case_sensitive)
    b = entity_sets(reference, case_sensitive=case_sensitive)
    return {level: set_f1(a[level], b[level]) for level in LEVELS}


def combined_f1(candidate: Annotation, reference: Annotation) -> tuple[float, float]:
    """Return F1 of entities and F1 of relations, whose mean is RadCliQ's RadGraph score.

    Entities are (tokens, label), relations ((tokens, label), (tokens, label), kind), case-sensitive
    (CXR-Report-Metric at 9c9ecad, radgraph_evaluate_model.py).
    """

    def sets(annotation: Annotation) -> tuple[set[tuple[str, str]], set[tuple[object, ...]]]:
        named = {number: (entity["tokens"], entity["label"]) for number, entity in annotation.items()}
        relations: set[tuple[object, ...]] = {
            (named[number], named[other], kind)
            for number, entity in annotation.items()
            for kind, other in entity["relations"]
        }
        return set(named.values()), relations

    (entities, relations), (wanted, wanted_relations) = sets(candidate), sets(reference)
    return set_f1(entities, wanted), set_f1(relations, wanted_relations)
