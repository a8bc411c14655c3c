"""Repetition guard: does the text repeat itself?"""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.text.pieces import remembered
from cxr_rewards.types import Case, Score

# Numbers are not words here, so that a loop with a counter is still a loop.
_words = remembered(re.compile(r"[^\W\d_]+").findall)
# "XXXX" stands for any word in reports without names.
_doubled = remembered(re.compile(r"\b(?!x++\b)([^\W\d_]{3,}+)[\s,]++(?=\1\b)").findall)
_STOPS = "!?;\n"


class Repetition(Component):
    """Share of the candidate that repeats its own earlier words.

        value = max(repeated n-grams / all n-grams,  words in repeated sentences / all words,
                    doubled words / all words)

    The first `allowed` times that an n-gram or sentence occurs are free, and every further one is a repetition: a
    report may state a thing in the findings and once more in the impression. Words are runs of letters in lower case;
    sentences end at . ! ? ; or a line's end. N-grams catch loops within and across sentences, and sentences catch short
    ones that come back in another order. A word of three letters or more is doubled if it follows right behind itself
    ("effusion effusion"): 1 in 400 reports of Indiana University has one, by mistake. A report written out twice over
    scores 0 unless `allowed` is 1; its length gives it away.

    Range: [0, 1], lower is better; ordinary reports score 0 or a few hundredths, a loop near 1. Empty candidate: 0.

    Example:
        >>> Repetition().score("No pleural effusion. No pneumothorax. No pleural edema.", "Normal.").value
        0.0
        >>> Repetition().score("No pneumothorax. " * 40, "Normal.").value
        0.95
        >>> Repetition().score("Left left lung pneumonia pneumonia.", "Normal.").value
        0.4
    """

    name = "repetition"
    version = 2
    summary = "share of the text that repeats itself"
    bounds = (0.0, 1.0)
    higher_is_better = False
    reads = ("candidate",)
    identical = "it judges the candidate alone, and a reference may repeat itself"
    n: int = setting(4, "Length of the n-grams, in words, 1 to 20.")
    allowed: int = setting(2, "How often an n-gram or sentence may occur before it counts as repeated; at least 1.")

    def __post_init__(self) -> None:
        if not 1 <= self.n <= 20:
            raise self.invalid("n", "from 1 to 20")
        if self.allowed < 1:
            raise self.invalid("allowed", "at least 1")

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return the largest share, with all in the details."""
        text = case.candidate.lower()
        for stop in _STOPS:
            text = text.replace(stop, ".")
        pieces = text.split(".")
        sentences = list(filter(None, map(_words, pieces)))
        words = list(chain.from_iterable(sentences))
        ngrams = list(zip(*(words[i:] for i in range(self.n)), strict=False))
        in_ngrams = self._again(ngrams) / max(1, len(ngrams))
        in_sentences = self._again(sentences, weigh=True) / max(1, len(words))
        doubled = sum(map(len, map(_doubled, pieces))) / max(1, len(words))
        shares = {"ngrams": in_ngrams, "sentences": in_sentences, "doubled": doubled}
        return Score(max(shares.values()), shares)

    def _again(self, items: list[tuple[str, ...]], *, weigh: bool = False) -> int:
        """Count the occurrences beyond those allowed, by their words if `weigh`."""
        if len(items) - len(set(items)) < self.allowed:
            return 0  # what occurs once too often repeats itself at least that many times
        return sum(
            (times - self.allowed) * (len(item) if weigh else 1)
            for item, times in Counter(items).items()
            if times > self.allowed
        )
