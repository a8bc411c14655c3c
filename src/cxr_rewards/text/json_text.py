"""JSON from outside."""

from __future__ import annotations

import re

_SMALL = 64 << 10
_VALUE = re.compile(r'[^"\[{\w.+-]*+(?:"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{]|[\w.+-]++|\Z)', re.DOTALL)


def too_many_values(text: str, most: int) -> bool:
    """Return whether a JSON text holds more texts, numbers, lists and objects than `most`, without parsing it.

    Parsed into Python objects, `[[],[],...]` takes twenty times the memory of its text. A text below 64 kB may hold any
    number.

    Example:
        >>> too_many_values("[" + "[]," * 50_000 + "0]", most=50_000)
        True
        >>> too_many_values('["' + "[]," * 50_000 + '"]', most=50_000)
        False
    """
    if len(text) <= _SMALL:
        return False
    at = 0
    for _ in range(most + 1):
        value = _VALUE.match(text, at)
        if value is None or value.end() == len(text):
            return False
        at = value.end()
    return True
