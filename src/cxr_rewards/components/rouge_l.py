"""ROUGE-L: the longest common subsequence of words."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import chain
from typing import Any

from rapidfuzz.distance import LCSseq

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.text.pieces import remembered
from cxr_rewards.types import Case, Score

_TOKEN = re.compile("[a-z0-9]+")
_LONGEST_KEPT = 40
"""Stems of longer words are not remembered: real words are shorter, and a hostile text cannot fill the memory."""


@cache
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer  # takes up to seconds to import

    return PorterStemmer()


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    stem: str = _stemmer().stem(word)
    return stem


def _stemmed(word: str) -> str:
    if len(word) <= 3:
        return word
    return _stem(word) if len(word) <= _LONGEST_KEPT else _stem.__wrapped__(word)


_WORDS = remembered(_TOKEN.findall)
_STEMS = remembered(lambda piece: map(_stemmed, _TOKEN.findall(piece)))


def _tokens(text: str, stemmer: bool) -> list[str]:
    return list(chain.from_iterable(map(_STEMS if stemmer else _WORDS, text.lower().split("."))))


# Candidates of one prompt share a reference and come one after the other.
@lru_cache(maxsize=256)
def _reference(text: str, stemmer: bool) -> list[str]:
    return _tokens(text, stemmer)


class RougeL(Component):
    """ROUGE-L: F-measure of the longest sequence of words that both reports hold in the same order.

        P = LCS / c,  R = LCS / r,  F = 2 P R / (P + R)

    c and r are the words of candidate and reference, LCS the length of their longest common subsequence. Words are
    runs of a-z and 0-9 in lower case; those of more than three letters are cut to their Porter stem.

    Source: Lin 2004. Equals `rougeL` of the rouge-score package, with and without its stemmer, to the last bit; this
    is also RadEval's ROUGE-L.
    Range: [0, 1], higher is better. 0 if a side has no word in the sense above.

    Example:
        >>> RougeL().score("Pleural effusions, small.", "Small pleural effusion.").value
        0.6666666666666666
        >>> RougeL(stemmer=False).score("Pleural effusions, small.", "Small pleural effusion.").value
        0.3333333333333333
    """

    name = "rouge_l"
    summary = "longest common subsequence of words (ROUGE-L)"
    bounds = (0.0, 1.0)
    higher_is_better = True
    reads = ("candidate", "reference")
    identical = "texts without a letter a-z or digit score 0"
    stemmer: bool = setting(True, "Whether words are cut to their Porter stem before they are compared.")

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return the F-measure, with precision and recall in the details."""
        candidate = _tokens(case.candidate, self.stemmer)
        reference = _reference(case.reference, self.stemmer)
        if not candidate or not reference:
            return Score(0.0)
        common = LCSseq.similarity(reference, candidate)
        precision, recall = common / len(candidate), common / len(reference)
        # As rouge-score divides, for the same last bit.
        value = 2 * precision * recall / (precision + recall) if common else 0.0
        return Score(value, {"precision": precision, "recall": recall})
