"""Temporal F1: which words of change two reports use."""

from __future__ import annotations

import re

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.types import Case, Score

_LISTED = (
    "bigger change cleared constant decrease decreased decreasing elevated elevation enlarged enlargement enlarging "
    "expanded greater growing improved improvement improving increase increased increasing larger new persistence "
    "persistent persisting progression progressive reduced removal resolution resolved resolving smaller stability "
    "stable stably unaltered unchanged unfolded worse worsen worsened worsening"
)
KEYWORDS = frozenset(_LISTED.split())
"""Words of change and of its absence, as RadEval lists them."""

_WORD = re.compile(r"[^\W_]+")
_EPSILON = 1e-10


def _keywords(text: str) -> frozenset[str]:
    return KEYWORDS.intersection(_WORD.findall(text.lower()))


class TemporalF1(Component):
    """F1 between the words of change that the two reports use, such as "new", "worsened" or "stable".

        P = (both + e) / (candidate's + e),  R = (both + e) / (reference's + e),  F = 2 P R / (P + R + e)

    Each counts distinct words out of `KEYWORDS`, in any case; e is 1e-10. A word is an unbroken run of letters and
    digits, so "newly" is not "new", and "stable/unchanged" and "new-onset" hold the words that one expects. Which
    finding changed does not matter: "new effusion, stable edema" and "stable effusion, new edema" agree.

    Source: RadEval's f1temporal (e0a3909), after Bannur et al. 2023 (arXiv 2301.04558) and Libra (ACL 2025). RadEval
    deletes signs such as "/" before it looks for words, which joins the words beside them; here they separate words.
    Range: [0, 1], higher is better. Neither has such a word: 1. The reference alone has none: 1e-10. The candidate
    alone has none, or they share none: below 1e-9, never quite 0.

    Example:
        >>> score = TemporalF1().score("Stable effusion. New left opacity.", "Unchanged effusion. New opacity.")
        >>> round(score.value, 6)
        0.5
        >>> score.details
        {'shared': ['new'], 'missed': ['unchanged'], 'extra': ['stable']}
    """

    name = "temporal_f1"
    summary = "shared words of change"
    bounds = (0.0, 1.0)
    higher_is_better = True
    reads = ("candidate", "reference")

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return the F1, with the shared, missed and extra words in the details."""
        candidate, reference = _keywords(case.candidate), _keywords(case.reference)
        shared = candidate & reference
        details = {
            "shared": sorted(shared),
            "missed": sorted(reference - shared),
            "extra": sorted(candidate - shared),
        }
        if not reference:
            return Score(_EPSILON if candidate else 1.0, details)
        precision = (len(shared) + _EPSILON) / (len(candidate) + _EPSILON)
        recall = (len(shared) + _EPSILON) / (len(reference) + _EPSILON)
        return Score(2 * precision * recall / (precision + recall + _EPSILON), details)
