"""Copying guard: does the candidate repeat an earlier report?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.types import Case, Score

_WORD = re.compile(r"\w+")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


# Candidates of one prompt share the reference and the priors and come one after the other.
_given = lru_cache(maxsize=512)(_words)


def _ngrams(words: list[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[i:] for i in range(n)), strict=False)


class CopyPrior(Component):
    """Share of the candidate that is copied from one earlier report and is not in the reference.

        value = max over priors of  |(G(candidate) & G(prior)) - G(reference)| / |G(candidate)|

    G are the distinct n-grams of words (lower case; runs of letters, digits and underscores). N-grams that the
    reference has too are not copying, wherever they come from: stock phrases cost nothing, and if the reference equals
    the prior, because nothing changed, the value is 0. A prior copied whole scores the share of it that the reference
    no longer holds. If the candidate has fewer than `n` words, n is their number.

    Range: [0, 1], lower is better. No priors, or an empty candidate: 0. Identical candidate and reference: 0.

    Example:
        >>> prior = "Large right effusion. Heart size is normal. No pneumothorax."
        >>> reference = "The right effusion has resolved. Heart size is normal. No pneumothorax."
        >>> CopyPrior().score(prior, reference, [prior]).details
        {'prior': 0, 'copied': 3, 'of': 6}
        >>> CopyPrior().score(reference, reference, [prior]).value
        0.0
    """

    name = "copy_prior"
    summary = "share copied from an earlier report against the reference"
    bounds = (0.0, 1.0)
    higher_is_better = False
    reads = ("candidate", "reference", "priors")
    n: int = setting(4, "Length of the n-grams, in words, 1 to 20. Longer ones forgive more stock phrases.")

    def __post_init__(self) -> None:
        if not 1 <= self.n <= 20:
            raise self.invalid("n", "from 1 to 20")

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return the share; the details say which prior (its index), and how many n-grams out of how many."""
        words = _words(case.candidate) if case.priors else []
        if not words:
            return Score(0.0)
        n = min(self.n, len(words))
        own = set(_ngrams(words, n))
        copied = [self._copied(own, case, prior, n) for prior in case.priors]
        most = max(copied)
        return Score(most / len(own), {"prior": copied.index(most), "copied": most, "of": len(own)})

    @staticmethod
    def _copied(own: set[tuple[str, ...]], case: Case, prior: str, n: int) -> int:
        shared = own.intersection(_ngrams(_given(prior), n))
        return len(shared.difference(_ngrams(_given(case.reference), n))) if shared else 0
