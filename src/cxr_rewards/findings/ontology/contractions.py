"""Contractions of "not" and "is", spelled out, in reports and in the phrases of the data files alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

_VERBS = {
    **{verb + "n": verb for verb in ("is", "are", "was", "were", "has", "have", "had", "does", "do", "did")},
    **{verb + "n": verb for verb in ("could", "would", "should", "must", "might", "need")},
    "can": "can",
    "won": "will",
}
_APART = {f"{stem}t": (verb, "not") for stem, verb in _VERBS.items()} | {"cannot": ("can", "not")}
"""One word → the two that it stands for. Reports often lack the apostrophe."""
_ENDINGS = frozenset(("t", "s", *_APART))
"""Words that a sequence of words with a contraction has."""
_S = frozenset(("there", "it", "here", "that"))
_CONTRACTED = re.compile(rf"n't|(?:{'|'.join(sorted(_S))})'s|(?<![a-z])(?:{'|'.join(_APART)})(?![a-z])")


def is_contracted(text: str, words: Iterable[str]) -> bool:
    """Return whether a text has a contraction, given its words, too."""
    if "'" in text:
        return _CONTRACTED.search(text) is not None
    return ("nt " in text or "cannot" in text) and not _APART.keys().isdisjoint(words)


def spell_out(tokens: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return words with their positions, contractions spelled out.

    Example:
        >>> spell_out([("isn", 0), ("t", 4), ("cannot", 6), ("there", 13), ("s", 19)])
        [('is', 0), ('not', 2), ('can', 6), ('not', 9), ('there', 13), ('is', 19)]
    """
    result: list[tuple[str, int]] = []
    for word, at in tokens:
        before = result[-1][0] if result else ""
        if word == "t" and before in _VERBS:
            result[-1] = (_VERBS[before], result[-1][1])
            result.append(("not", at - 2))  # so that it ends with the contraction
        elif word == "s" and before in _S:
            result.append(("is", at))
        elif word in _APART:
            verb, negation = _APART[word]
            result += [(verb, at), (negation, at + len(word) - len(negation))]
        else:
            result.append((word, at))
    return result


def spelled_out(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return words with contractions spelled out.

    Example:
        >>> spelled_out(("cannot", "exclude"))
        ('can', 'not', 'exclude')
    """
    if _ENDINGS.isdisjoint(words):
        return words
    return tuple(word for word, _ in spell_out([(word, 0) for word in words]))
