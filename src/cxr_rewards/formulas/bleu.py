"""BLEU's arithmetic, for the component of that name and for RadCliQ, which contains it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from math import exp, log
from typing import NamedTuple

_Ngram = str | tuple[str, ...]
_EPSILON = 0.1
"""Stands for the number of matches if there are none: smoothing method 1 of Chen and Cherry (2014)."""


def _tokens(text: str) -> list[str]:
    # Split at spaces alone, as the source does: other white space stays within its token.
    return [token for token in text.lower().replace(".", " .").split(" ") if token]


def _ngrams(tokens: list[str], n: int) -> Iterable[_Ngram]:
    return tokens if n == 1 else zip(*(tokens[i:] for i in range(n)), strict=False)


# Candidates of one prompt share a reference and come one after the other.
@lru_cache(maxsize=256)
def _reference(text: str, max_order: int) -> tuple[int, tuple[Counter[_Ngram], ...]]:
    """Return the number of tokens of a reference, and its n-grams counted, for n from 1 to `max_order`."""
    tokens = _tokens(text)
    return len(tokens), tuple(Counter(_ngrams(tokens, n)) for n in range(1, max_order + 1))


def _matches(ngrams: Iterable[_Ngram], wanted: Counter[_Ngram]) -> int:
    """Return how many n-grams match one of `wanted`, each at most as often as it occurs there."""
    used: dict[_Ngram, int] = {}
    matches = 0
    for ngram in ngrams:
        if ngram in wanted and (times := used.get(ngram, 0)) < wanted[ngram]:
            used[ngram] = times + 1
            matches += 1
    return matches


class BleuParts(NamedTuple):
    """BLEU of a report and its factors; no factors if no word matches."""

    value: float
    precisions: list[float]
    brevity: float | None


def bleu(candidate: str, reference: str, max_order: int = 2) -> BleuParts:
    """Return smoothed BLEU of one report with n-grams up to `max_order`; the formula is `components.bleu`'s.

    Example:
        >>> bleu("Small effusion.", "Small left effusion.").value
        0.506664148...
    """
    tokens = _tokens(candidate)
    length = len(tokens)
    reference_length, counts = _reference(reference, max_order)
    precisions: list[float] = []
    for n, wanted in enumerate(counts, start=1):
        matches = _matches(_ngrams(tokens, n), wanted)
        if not matches and n == 1:
            return BleuParts(0.0, [], None)
        precisions.append((matches or _EPSILON) / max(1, length - n + 1))
    brevity = 1.0 if length > reference_length else exp(1 - reference_length / length)
    return BleuParts(brevity * exp(sum(map(log, precisions)) / max_order), precisions, brevity)
