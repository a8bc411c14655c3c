"""Guard against reports that end within a sentence."""

from __future__ import annotations

import re

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.features.findings import Findings
from cxr_rewards.findings import Reading
from cxr_rewards.types import Case, Score

_READINGS = Findings()
_CLOSED = re.compile(r"[^\w\s,;\-–—/(\[{<&+]\s*\Z")
_OPEN = re.compile(r"[,;\-–—/(\[{<&+]\s*\Z")
_END_OF_SENTENCE = re.compile(r"[.!?]\s")
_LAST_WORD = re.compile(r"[^\W\d_]+\W*\Z")
_NEVER_LAST = {
    *("a", "an", "the", "this", "these", "those", "its", "their", "no", "any", "both", "either", "neither", "very"),
    *("and", "or", "nor", "but", "than", "which", "that", "there", "versus"),
    *("of", "at", "with", "without", "from", "for", "into", "onto", "due"),
    *("is", "are", "was", "were", "be", "been", "has", "have", "had", "does"),
    *("may", "might", "can", "could", "will", "would", "should", "must"),
}
"""Words after which an English sentence goes on; prepositions that can also end one ("opacified throughout") are not
here."""


class CutOff(Component):
    """1 if the candidate ends within a sentence, as text does that runs into a limit of tokens; else 0.

    A text ends within a sentence if no mark closes it, and

    - its last word is one after which a sentence goes on ("There is no"), or its last mark is ("effusion,"); or
    - marks close its other sentences, and nothing is read in the last one ("The lungs are clear. No focal"), or its
      last word is strange to the reader of `cxr_rewards.findings`; unless that word begins with a capital, as names do.

    So notes without full stops are not cut off, and some texts that are pass unseen: "No pleural effusion" may have
    been meant to go on. A candidate that ends as its reference does is not cut off.

    A policy that is paid for what it says, and not for where it ends, learns to write until it is stopped. A trainer
    that masks such texts does not teach it to stop, either.

    Range: 0 or 1, lower is better. Empty candidate: 0.

    Details: `end`, the last word or mark of a text that is cut off; else None.

    Source: defined here.

    Example:
        >>> score = CutOff().score("The heart is normal. There is no pleural", "Normal heart. No effusion.")
        >>> score.value, score.details
        (1.0, {'end': 'pleural'})
        >>> CutOff().score("Normal heart, no effusion", "Normal heart. No effusion.").value
        0.0
    """

    name = "cut_off"
    version = 1
    summary = "whether the text ends within a sentence"
    bounds = (0.0, 1.0)
    higher_is_better = False

    @property
    def needs(self) -> tuple[Findings]:
        return (_READINGS,)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Look at the last sentence."""
        text, reading = case.candidate.rstrip(), features.value(_READINGS, case.candidate)
        if not text or _CLOSED.search(text):
            return Score(0.0, {"end": None})
        end = text.split()[-1]
        if not _goes_on(text, reading) or case.reference.split()[-1:] == [end]:
            return Score(0.0, {"end": None})
        return Score(1.0, {"end": end})


def _goes_on(text: str, reading: Reading) -> bool:
    """Return whether a text that no mark closes ends within a sentence."""
    word = _LAST_WORD.search(text)
    if _OPEN.search(text) or (word and word.group().lower() in _NEVER_LAST):
        return True
    closed = max((mark.end() for mark in _END_OF_SENTENCE.finditer(text)), default=0)
    last = text.rsplit(maxsplit=1)[-1]
    if not closed or not last[0].islower():  # a name or an abbreviation can end it: "seen with Dr Lee"
        return False
    is_unread = any(start >= closed for start, _ in reading.unread)
    return is_unread or any(end >= len(text) for _, end in reading.strange)
