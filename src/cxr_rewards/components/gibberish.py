"""Guard against text that is no report: how much of the candidate says nothing that can be understood?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.features.findings import Findings
from cxr_rewards.findings import Reading
from cxr_rewards.findings.unread import is_english
from cxr_rewards.text.pieces import remembered
from cxr_rewards.types import Case, Score

_READINGS = Findings()
_WORD = re.compile(r"</?\w+>|\{\{|\}\}|##+|[^\W\d_]+")
_MARKUP = re.compile("[<{}#]")
_words = remembered(_WORD.findall)


# Candidates of one prompt share a reference and come one after the other.
@lru_cache(maxsize=256)
def _words_of(reference: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(reference))


def _is_plain(text: str, span: tuple[int, int], strange: set[int]) -> bool:
    """Return whether a sentence is an English statement of words that reports may have."""
    start, end = span
    return not any(start <= at < end for at in strange) and is_english(text[start:end])


class Gibberish(Component):
    """Share of the candidate's words in sentences of which nothing is read, or that no report has.

        value = (strange words + half of the other words of unread sentences) / words

    A sentence is unread if the reader of `cxr_rewards.findings` finds nothing in it, and it is not about technique,
    communication or advice. One without strange words that is put together like an English statement costs nothing:
    "The shape of the chest is a little unusual." A strange word is unknown to the reader, no misspelling, and no
    ordinary word of reports:
    "There is a florbid wexel in the left lung." Words that the reference has, too, are not counted: what a radiologist
    wrote is report text, whether it is understood or not. Ordinary words of an unread sentence count half, because the
    reader may be at fault. Words are runs of letters; tags, double braces and double hashes are strange words.

    Unread text earns nothing anyway; this makes it cost. The share of honest reports is small but not 0, so give it a
    small weight.

    Range: [0, 1], lower is better. No words: 0. Identical candidate and reference: 0.

    Details: the numbers of `words` and of those `counted`; the spans of unread `sentences` and of `strange` words.

    Source: defined here.

    Example:
        >>> report = "Small left effusion. The heart is not enlarged."
        >>> score = Gibberish().score(f"{report} Gorge bunny xanthol quartz.", report)
        >>> round(score.value, 3), score.details["counted"], score.details["words"]
        (0.333, 4.0, 12)
        >>> Gibberish().score(report, "Normal chest.").value
        0.0
    """

    name = "gibberish"
    version = 2
    summary = "share of the text that no report would have"
    bounds = (0.0, 1.0)
    higher_is_better = False

    @property
    def needs(self) -> tuple[Findings]:
        return (_READINGS,)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Count the words that are not understood."""
        reading: Reading = features.value(_READINGS, case.candidate)
        words = sum(map(len, map(_words, case.candidate.split("."))))
        marked = any(map(case.candidate.__contains__, "<{}#"))
        strange, unread = set[int](), set[int]()
        if reading.strange or reading.unread or marked:
            strange, unread = _new_words(case, reading, marked)
        counted = len(strange) + len(unread) / 2
        return Score.explained(counted / words if words else 0.0, _details, words, counted, reading)


def _details(words: int, counted: float, reading: Reading) -> dict[str, Any]:
    return {
        "words": words,
        "counted": counted,
        "sentences": [list(span) for span in reading.unread],
        "strange": [list(span) for span in reading.strange],
    }


def _new_words(case: Case, reading: Reading, marked: bool) -> tuple[set[int], set[int]]:
    """Return where the candidate's strange words begin, and the other words of its unread sentences.

    Words that the reference has are left out. `marked` is whether the candidate has tags, braces or hashes.
    """
    known = _words_of(case.reference)

    def new_words(spans: Sequence[tuple[int, int]]) -> set[int]:
        found = (word for span in spans for word in _WORD.finditer(case.candidate, *span))
        return {word.start() for word in found if word.group().lower() not in known}

    strange = new_words(reading.strange)
    if marked:
        everywhere = [(0, len(case.candidate))]
        strange |= {start for start in new_words(everywhere) if _MARKUP.match(case.candidate, start)}
    unread = new_words([span for span in reading.unread if not _is_plain(case.candidate, span, strange)])
    return strange, unread - strange
