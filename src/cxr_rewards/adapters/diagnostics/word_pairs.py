"""Pairs of neighbouring words that no reference of the run has: where words are lost, or are put together oddly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

_WORD = re.compile(r"[a-z0-9]+|[.:;]")
_FEWEST, _MOST = 200, 1_000_000


class WordPairs:
    """The pairs of neighbouring words of all references so far.

    "No focal or pneumothorax" has lost a word. Each of its words is known and a reader may take it for a denial, but no
    radiologist writes "focal or". Some pairs of a good report are new, too, the fewer the more references have been
    seen, so what counts is whether their share rises.

    Example:
        >>> pairs = WordPairs(fewest=1)
        >>> pairs.add(["No focal opacity.", "No pleural effusion or pneumothorax.", "Focal opacity or nodule."])
        >>> pairs.new_share(["No pleural or pneumothorax.", "Nodule."])
        0.2

    Args:
        fewest: pairs of references below which nothing is said.
    """

    def __init__(self, fewest: int = _FEWEST) -> None:
        self.fewest = fewest
        self._known: set[str] = set()

    def add(self, references: Iterable[str]) -> None:
        """Remember the pairs of references; those beyond a million are not kept."""
        for reference in references:
            if len(self._known) < _MOST:
                self._known.update(_pairs(reference))

    def new_share(self, texts: Iterable[str]) -> float | None:
        """Return the share of the texts' pairs that no reference has; None if too few are known to say."""
        new = seen = 0
        if len(self._known) < self.fewest:
            return None
        for text in texts:
            for pair in _pairs(text):
                seen += 1
                new += pair not in self._known
        return new / seen if seen else None


def _pairs(text: str) -> Iterator[str]:
    return (f"{one} {two}" for one, two in pairwise(_WORD.findall(text.lower())))
