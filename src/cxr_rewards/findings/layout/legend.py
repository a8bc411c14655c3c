"""A legend, and the codes that it explains: "0 = absent, 1 = present. Effusion 0; nodule 1.".

The codes are replaced by signs that `values.py` knows, character by character, so that positions stay.
"""

from __future__ import annotations

import re

_MEANINGS = {
    "absent": "0",
    "no": "0",
    "negative": "0",
    "not present": "0",
    "present": "1",
    "yes": "1",
    "positive": "1",
    "possible": "?",
    "uncertain": "?",
    "equivocal": "?",
    "suspected": "?",
}
"""Meaning of a code → a sign of `layout.toml` that says the same."""
_WORD = "|".join(sorted(_MEANINGS, key=len, reverse=True))
_CODE = "[0-9ynYN+-]"
_ENTRY = re.compile(
    rf"(?<![\w.])(?:(?P<code>{_CODE})\s?(?:=|:|is|means|for)?\s?(?P<word>{_WORD})"
    rf"|(?P<word2>{_WORD})\s?(?:=|:|is)\s?(?P<code2>{_CODE}))(?!\w)",
    re.IGNORECASE,
)
_FEWEST = 2
"""One entry alone is a label with its value."""
_BETWEEN = re.compile(r"\s?(?:[,;/]|and|or)?\s?", re.IGNORECASE)


def without_legend(text: str) -> str:
    """Return a report with its legend blanked out, and with the codes that it explains as "=0", "=1" or "=?".

    A legend has two entries and more side by side. Numbers that count or measure stay: "2 nodules", "1 cm".

    Example:
        >>> without_legend("0 = absent, 1 = present. Effusion 0; nodule 1.")
        '                       . Effusion=0; nodule=1.'
        >>> without_legend("There is 1 nodule.")
        'There is 1 nodule.'
    """
    if "=" not in text and " / " not in text and "0 absent" not in text:
        return text
    entries: list[re.Match[str]] = []
    for entry in _ENTRY.finditer(text):
        if not entries or _BETWEEN.fullmatch(text, entries[-1].end(), entry.start()):
            entries.append(entry)
        elif len(entries) > 1:
            break
        else:
            entries = [entry]
    if len(entries) < _FEWEST:
        return text
    signs = {(e["code"] or e["code2"]).lower(): _MEANINGS[(e["word"] or e["word2"]).lower()] for e in entries}
    if len(signs) < len(entries):
        return text
    start, end = entries[0].start(), entries[-1].end()
    codes = re.escape("".join(signs))
    used = re.compile(rf"(?<=\w)\s?[ =:]\s?([{codes}])(?=\s*(?:[,;.()\n|]|\Z))", re.IGNORECASE)

    def coded(match: re.Match[str]) -> str:
        return ("=" + signs[match[1].lower()]).ljust(len(match[0]))

    return used.sub(coded, text[:start]) + " " * (end - start) + used.sub(coded, text[end:])
