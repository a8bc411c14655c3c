"""Read "at the bases" as on both sides: places and structures that each lung has one of."""

from __future__ import annotations

import re
from dataclasses import replace

from cxr_rewards.findings.item import Item

_BOTH = re.compile(r"\b(?:bases|apices|(lobes|zones))\Z")
_PLURALS = ("bases", "apices", "lobes", "zones")
_LOOK = 4
"""How many phrases before a plural can name the side it is on: "right middle and lower lobes"."""
_JOINS = frozenset(("and", "comma", "or"))
_BETWEEN = _JOINS | {"modifier", "structure"}


def on_both_sides(found: list[Item], sentence: str) -> list[Item]:
    """Return the phrases of a sentence, with plural places without a side on both sides.

    Example:
        >>> from cxr_rewards.findings.ontology import ontology
        >>> from cxr_rewards.findings.phrases import items
        >>> sentence = "atelectasis at the lung bases"
        >>> on_both_sides(items(ontology(), sentence)[0], sentence)[-1].attributes
        (('side', 'bilateral'), ('place', 'base'))
    """
    if not any(map(sentence.__contains__, _PLURALS)):  # as most
        return found
    result = found
    for i, item in enumerate(found):
        if item.kind not in ("modifier", "structure") or not any(slot == "place" for slot, _ in item.attributes):
            continue
        plural = _BOTH.search(sentence, item.start, item.end)
        if plural is None or _has_side(found, i):
            continue
        if plural[1] and i and found[i - 1].kind in _JOINS:  # "the upper and lower lobes" can be those of one lung
            continue
        if result is found:
            result = list(found)
        result[i] = replace(item, attributes=(("side", "bilateral"), *item.attributes))
    return result


def _has_side(found: list[Item], i: int) -> bool:
    """Return whether a place, or one listed with it, has a side."""
    for j in range(i, max(-1, i - _LOOK), -1):
        if found[j].kind not in _BETWEEN:
            break
        if any(slot == "side" for slot, _ in found[j].attributes):
            return True
    following = found[i + 1 : i + 2]
    return bool(following) and any(slot == "side" for slot, _ in following[0].attributes)
