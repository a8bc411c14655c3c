"""Words for the side named before: "on the same side", "of the underlying lung"."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cxr_rewards.findings.finding import OTHER_SIDE

_SAME = r"(?:on|at|to) (?:that|this|the same|the affected) side|ipsilateral(?:ly)?"
_OTHER = r"(?:on|at|to|toward|towards|from) the (?:other|opposite|contralateral|unaffected) side|contralateral(?:ly)?"
_OF_LUNG = r"(?:underlying|adjacent)(?= (?:lung|base|parenchyma|(?:upper|middle|lower) lobe)s?\b)"
_REFERENCE = re.compile(rf"\b(?:(?P<same>{_SAME}|{_OF_LUNG})|(?P<other>{_OTHER}))\b")
_SIDE = re.compile(r"\b(?:left|right|[lr]t?|[lr][uml][lz]|bilateral(?:ly)?|both|bibasal|bibasilar|biapical)\b")
_SIDES: Mapping[str, str] = {"l": "left", "r": "right"}


def named_sides(text: str, before: str) -> str:
    """Return a sentence, in lower case, with the side in place of the words that refer to it, as long as before.

    Args:
        text: the sentence.
        before: side of the finding before the sentence; "" for none.

    Example:
        >>> named_sides("left pneumonia and an effusion on the same side", "")
        'left pneumonia and an effusion on the left     '
        >>> named_sides("the mediastinum is pushed to the opposite side", "right")
        'the mediastinum is pushed to the left         '
    """
    found = _REFERENCE.search(text)
    at = 0
    while found is not None:
        before = _last_side(text, at, found.start()) or before
        side = before if found["same"] else OTHER_SIDE.get(before, "")
        if side in OTHER_SIDE:
            words = found.group()
            preposition = words.partition(" ")[0] + " the " if words.endswith(" side") else ""
            if len(preposition) + len(side) <= len(words):
                text = text[: found.start()] + (preposition + side).ljust(len(words)) + text[found.end() :]
        at = found.end()
        found = _REFERENCE.search(text, at)
    return text


def _last_side(text: str, start: int, end: int) -> str:
    """Return the last side that is named in a part of a text, "bilateral" for both; "" for none."""
    last = ""
    for match in _SIDE.finditer(text, start, end):
        last = _SIDES.get(match.group()[0], "bilateral")
    return last
