"""Correct misspelled words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache

_AMERICAN = {"ae": "e", "oe": "e", "our": "or", "tre": "ter", "ise": "ize", "isation": "ization"}
_BRITISH = re.compile("isation|our|tre$|ise|[ao]e")
_LONGEST = 30
_SHORTEST = 7
"""Words shorter than this have too many others one letter away."""


class Spelling:
    """Finds the known word that an unknown one stands for.

    That is its American spelling ("oedema"), or the word that is one slip away: a letter missing, added or changed, or
    two swapped. The first letter must be right, and only one known word may be that close.

    Example:
        >>> spelling = Spelling(["pneumothorax", "effusion"], ordinary=["infusion"])
        >>> [spelling.correct(word) for word in ("pnuemothorax", "effussion", "infusion", "fusion")]
        ['pneumothorax', 'effusion', None, None]
        >>> Spelling(["edema"]).correct("oedema")
        'edema'
    """

    def __init__(self, words: Iterable[str], ordinary: Iterable[str] = ()) -> None:
        """Index the known words; `ordinary` words are never corrected."""
        self._words = frozenset(words)
        self._ordinary = frozenset(ordinary)
        self._shortened: Callable[[str], dict[str, str]] = cache(self._index)
        self.correct: Callable[[str], str | None] = lru_cache(maxsize=1 << 14)(self._correct)
        """Return the known word that a word stands for, or None."""

    def _index(self, letter: str) -> dict[str, str]:
        """Return the known words that begin with a letter, by what is left if one letter is dropped.

        The words are joined by spaces, because thousands of lists would burden the garbage collector.
        """
        index: dict[str, str] = {}
        for word in self._words:
            if word[0] == letter and len(word) >= _SHORTEST and word.isalpha():
                for short in {word, *_shorter(word)}:
                    index[short] = f"{index.get(short, '')} {word}"
        return index

    def _correct(self, word: str) -> str | None:
        if len(word) > _LONGEST or word in self._ordinary:
            return None
        american = _BRITISH.sub(lambda match: _AMERICAN[match.group()], word)
        if american in self._words:
            return american
        if len(word) < _SHORTEST - 1:
            return None
        index = self._shortened(word[0])
        near = {
            known
            for short in {word, *_shorter(word)}
            if short in index
            for known in index[short].split()
            if _one_slip(word, known)
        }
        return near.pop() if len(near) == 1 else None


def _shorter(word: str) -> Iterator[str]:
    return (word[:i] + word[i + 1 :] for i in range(len(word)))


def _one_slip(one: str, two: str) -> bool:
    """Return whether two words are one slip apart: compares what is left between their common beginning and end."""
    first, shortest = 0, min(len(one), len(two))
    while first < shortest and one[first] == two[first]:
        first += 1
    last = 0
    while last < shortest - first and one[-1 - last] == two[-1 - last]:
        last += 1
    a, b = one[first : len(one) - last], two[first : len(two) - last]
    return len(a) + len(b) <= 1 or (len(a) == len(b) == 1) or (len(a) == 2 and a == b[::-1])
