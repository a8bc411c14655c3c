"""A known phrase of a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_rewards.findings.ontology import Attribute


@dataclass(slots=True)
class Item:
    """A known phrase of a sentence; read-only.

    Attributes:
        kind: `observation`, `structure`, `quality`, `modifier`, or the kind of a cue or mark.
        names: the observations, structure, quality or cue that it stands for.
        attributes: attributes that it states.
        first: index of its first word in the sentence.
        last: index of its last word.
        start: where it begins in the sentence.
        end: where it ends.
    """

    kind: str
    names: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    first: int
    last: int
    start: int
    end: int

    def of_kind(self, kind: str) -> Item:
        """Return the same phrase as one of another kind."""
        return Item(kind, self.names, self.attributes, self.first, self.last, self.start, self.end)
