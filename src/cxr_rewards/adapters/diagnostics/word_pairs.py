"""Pairs of neighbouring words that no reference of the run has: where words are lost, or are put together oddly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

_WORD = re.compile(r"[a-z0-9]+|[.:;]")
_MOST = 1_000_000
_SEVERAL = 0
FEWEST = 30
"""References that must be known before much can be said."""


class WordPairs:
    """The pairs of neighbouring words of all references so far.

    "No focal or pneumothorax" has lost a word. Each of its words is known and a reader may take it for a denial, but no
    radiologist writes "focal or". What a radiologist writes has new pairs, too, the fewer the more references have been
    seen, so a candidate is compared with its reference. A pair is new if no other reference has it.

    Example:
        >>> pairs = WordPairs()
        >>> for text in ("No focal opacity.", "No pleural effusion or pneumothorax.", "Focal opacity or pneumothorax."):
        ...     pairs.add(text)
        >>> reference = "No pleural effusion or pneumothorax."
        >>> pairs.new("No focal or pneumothorax.", reference), pairs.new(reference, reference)
        ((1, 4), (3, 5))
    """

    def __init__(self) -> None:
        self._owners: dict[str, int] = {}
        self.references = 0

    def add(self, reference: str) -> None:
        """Remember the pairs of a reference; those beyond a million are not kept."""
        owners, own = self._owners, _owner(reference)
        self.references += 1
        if len(owners) < _MOST:
            for pair in _pairs(reference):
                if owners.setdefault(pair, own) != own:
                    owners[pair] = _SEVERAL

    def new(self, text: str, reference: str) -> tuple[int, int]:
        """Return how many pairs of a text no reference has but its own, and how many it has."""
        own = (None, _owner(reference))
        owners = [self._owners.get(pair) for pair in _pairs(text)]
        return sum(owner in own for owner in owners), len(owners)


def _owner(reference: str) -> int:
    return hash(reference) or 1


def _pairs(text: str) -> Iterator[str]:
    return (f"{one} {two}" for one, two in pairwise(_WORD.findall(text.lower())))
