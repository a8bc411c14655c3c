"""BLEU's arithmetic, for the component of that name and for RadCliQ, which contains it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import lru_cache
from math import exp, log
from typing import NamedTuple

from rapidfuzz.distance import LCSseq

_EPSILON = 0.1
"""Stands for the number of matches if there are none: smoothing method 1 of Chen and Cherry (2014)."""


def _tokens(text: str) -> list[str]:
    # Split at spaces alone, as the source does: other white space stays within its token.
    return list(filter(None, text.lower().replace(".", " .").split(" ")))


def _ngrams(tokens: list[str], n: int) -> list[int]:
    """Return the hash values of all n-grams, sorted."""
    ngrams: Iterable[Hashable] = tokens if n == 1 else zip(*[tokens[i:] for i in range(n)], strict=False)
    return sorted(map(hash, ngrams))


# Candidates of one prompt share a reference and come one after the other.
@lru_cache(maxsize=256)
def _reference(text: str, max_order: int) -> tuple[int, list[list[int]]]:
    """Return the number of tokens of a reference, and its n-grams, for n from 1 to `max_order`."""
    tokens = _tokens(text)
    return len(tokens), [_ngrams(tokens, n) for n in range(1, max_order + 1)]


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
        # What two sorted lists have in common is a subsequence of both: each n-gram as often as both have it.
        matches = LCSseq.similarity(wanted, _ngrams(tokens, n))
        if not matches and n == 1:
            return BleuParts(0.0, [], None)
        precisions.append((matches or _EPSILON) / max(1, length - n + 1))
    brevity = 1.0 if length > reference_length else exp(1 - reference_length / length)
    return BleuParts(brevity * exp(sum(map(log, precisions)) / max_order), precisions, brevity)
