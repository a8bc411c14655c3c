"""Texts of plain sentences alone, as most rollouts are: read without a search for sections, layout and ends."""

from __future__ import annotations

import re
from functools import lru_cache

from cxr_rewards.findings.layout import has_layout, without_legend
from cxr_rewards.text.sections import names_heading
from cxr_rewards.text.sentences import is_plain

_LONGEST = 400
"""Most characters of a plain sentence: a bound on the memory."""
_LIST_NUMBER = re.compile("[0-9]{1,2}")


def plain_sentences(text: str) -> list[tuple[str, int]] | None:
    """Return the sentences of a text in lower case, and where they begin; None if not all of them are plain.

    The last may lack its full stop. Before each there may be one number of a list.

    Example:
        >>> plain_sentences("The heart is large. 2. No effusion")
        [('the heart is large.', 0), ('no effusion', 23)]
        >>> plain_sentences("FINDINGS: No effusion.") is None
        True
    """
    pieces = text.removesuffix(" ").split(". ")
    ended = pieces[-1].endswith(".")
    if ended:
        pieces[-1] = pieces[-1][:-1]
    found: list[tuple[str, int]] = []
    at, numbered = 0, False
    for piece in pieces:
        sentence = _plain(piece) if len(piece) < _LONGEST else ""
        if sentence:
            found.append((sentence, at))
            numbered = False
        elif numbered or _LIST_NUMBER.fullmatch(piece) is None:
            return None
        else:
            numbered = True
        at += len(piece) + 2
    if numbered:
        return None
    if not ended:
        found[-1] = (found[-1][0][:-1], found[-1][1])
    return found


@lru_cache(maxsize=1 << 14)
def _plain(piece: str) -> str:
    """Return a sentence, given without its full stop, in lower case and with it; "" if it is not plain.

    A plain sentence can neither be nor hold a heading, a label, a legend or a list, nor end elsewhere.
    """
    sentence = f"{piece}."
    if not is_plain(sentence):
        return ""
    small = sentence.lower()
    if has_layout(small, sentence) or names_heading(f". {sentence}") or without_legend(sentence) != sentence:
        return ""
    return small
