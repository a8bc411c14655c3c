"""BLEU as the report-generation leaderboards compute it: of one report, smoothed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from math import exp, log
from typing import Any

from cxr_rewards.component import Component
from cxr_rewards.feature import FeatureTable
from cxr_rewards.settings import setting
from cxr_rewards.types import Case, Score

_EPSILON = 0.1
"""What counts as the number of matches where there are none: smoothing method 1 of Chen and Cherry (2014)."""


def _tokens(text: str) -> list[str]:
    # Split at spaces alone, as the source does: other white space stays within its token.
    return [token for token in text.lower().replace(".", " .").split(" ") if token]


def _ngrams(tokens: list[str], n: int) -> Iterable[Any]:
    return tokens if n == 1 else zip(*(tokens[i:] for i in range(n)), strict=False)


# Candidates of one prompt share a reference and come one after the other.
@lru_cache(maxsize=256)
def _reference(text: str, max_order: int) -> tuple[int, tuple[Counter[Any], ...]]:
    """Return the number of tokens of a reference, and its n-grams counted, for n from 1 to `max_order`."""
    tokens = _tokens(text)
    return len(tokens), tuple(Counter(_ngrams(tokens, n)) for n in range(1, max_order + 1))


def _matches(ngrams: Iterable[Any], wanted: Counter[Any]) -> int:
    """Return how many n-grams match one of `wanted`, each of which matches as often as it occurs there."""
    used: dict[Any, int] = {}
    matches = 0
    for ngram in ngrams:
        if ngram in wanted and (times := used.get(ngram, 0)) < wanted[ngram]:
            used[ngram] = times + 1
            matches += 1
    return matches


class Bleu(Component):
    """BLEU-2 of a report: how many of its words and word pairs are the reference's, times a penalty for brevity.

        BLEU = min(1, exp(1 - r / c)) * (p_1 * ... * p_N) ** (1 / N)

    c and r are the tokens of candidate and reference, N is `max_order`, and p_n is the share of the candidate's
    n-grams that match, each at most as often as it occurs in the reference. Where none of order n matches, 0.1 counts
    as matched; where the candidate is too short to have any, p_n is 0.1. Tokens: lower case, full stops set apart,
    split at spaces.

    Source: Papineni et al. 2002; smoothing method 1 of Chen and Cherry 2014. The default equals ReXrank's BLEU-2
    (CXRMetric/run_eval.py at 8152f99), and all orders equal nltk's `sentence_bleu` with `method1` and uniform
    weights, to 1e-12.
    Range: [0, 1], higher is better. 0 if no word matches, so also for an empty candidate.

    Example:
        >>> Bleu().score("Mild cardiomegaly with clear lungs.", "Mild cardiomegaly. No pleural effusion.").value
        0.26768102483623...
        >>> Bleu(max_order=1).score("Clear lungs.", "The lungs are clear.").value
        0.513417119032592
    """

    name = "bleu"
    summary = "shared words and word pairs (BLEU-2)"
    bounds = (0.0, 1.0)
    higher_is_better = True
    reads = ("candidate", "reference")
    identical = "texts of fewer tokens than max_order lack n-grams of that order, which counts as 0.1 matched"
    max_order: int = setting(2, "Longest n-grams that count, in tokens, 1 to 4; all orders weigh the same.")

    def __post_init__(self) -> None:
        if self.max_order not in (1, 2, 3, 4):
            raise self.invalid("max_order", "1, 2, 3 or 4")

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return BLEU, with each order's precision (as smoothed) and the brevity penalty in the details."""
        tokens = _tokens(case.candidate)
        length = len(tokens)
        reference_length, counts = _reference(case.reference, self.max_order)
        precisions: list[float] = []
        for n, wanted in enumerate(counts, start=1):
            matches = _matches(_ngrams(tokens, n), wanted)
            if not matches and n == 1:
                return Score(0.0)
            precisions.append((matches or _EPSILON) / max(1, length - n + 1))
        brevity = 1.0 if length > reference_length else exp(1 - reference_length / length)
        value = brevity * exp(sum(map(log, precisions)) / self.max_order)
        return Score(value, {"precisions": precisions, "brevity_penalty": brevity})
