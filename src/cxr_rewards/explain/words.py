"""Values of an explanation in words that are safe to print: numbers, findings, details."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from unicodedata import category

from cxr_rewards.findings import Finding
from cxr_rewards.findings.differences import in_words


def number(value: float | None) -> str:
    """Return a number as the page shows it: four decimals, never minus zero; `-` for None.

    Example:
        >>> number(-0.00001), number(2 / 3), number(None)
        ('0.0000', '0.6667', '-')
    """
    return "-" if value is None else f"{value:z.4f}"


def printable(text: str, encoding: str = "utf-8") -> str:
    r"""Return a text that a terminal shows and does not obey.

    Line ends become line feeds, tabs and odd spaces a space. Every other character that is not printable (controls, the
    start of ANSI codes, marks of writing direction, characters without width) becomes its escape, and so does every
    character that the terminal's encoding lacks.

    Example:
        >>> print(printable("Left\u202e effusion.\x1b[31m", "ascii"))
        Left\u202e effusion.\x1b[31m
    """
    if not text.isprintable():
        text = "".join(map(_shown, text.replace("\r\n", "\n").replace("\r", "\n")))
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _shown(char: str) -> str:
    if char == "\n" or char.isprintable():
        return char
    return " " if char == "\t" or category(char) == "Zs" else char.encode("unicode_escape").decode("ascii")


def words(value: object) -> str:
    """Return a value of a component's details in words; anything with an `observation` is described as a finding.

    Example:
        >>> words({"observation": "effusion", "side": "left", "severity": 2.0, "span": [6, 14], "agreement": 1})
        'mild left effusion [6:14]; agreement: 1'
        >>> words([["edema", "present", ""], ["pneumonia", "possible", "left"]])
        'edema present, pneumonia possible left'
    """
    if value is None or isinstance(value, float):
        return number(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        finding = [describe_finding(value)] if isinstance(value.get("observation"), str) else []
        keys = [key for key in value if not finding or key not in _DESCRIBED]
        return "; ".join([*finding, *(f"{key}: {words(value[key])}" for key in keys)]) or "none"
    if isinstance(value, list | tuple):
        flat = (" ".join(words(i) for i in v if i != "") if isinstance(v, list | tuple) else words(v) for v in value)
        return ", ".join(flat) or "none"
    return str(value)


_DESCRIBED = (*Finding._fields, "polarity", "span")


def describe_finding(finding: Mapping[str, Any]) -> str:
    """Return a finding in words, with its span."""
    get = finding.get
    severity, size, change = get("severity"), get("size_mm"), get("change") or ""
    certainty = words(get("certainty") or get("polarity") or "")
    head = [
        {"present": "", "absent": "" if change else "no"}.get(certainty, certainty),
        change,
        in_words(severity) if isinstance(severity, int | float) and 1 <= severity <= 5 else words(severity or ""),
        get("side") or "",
        finding["observation"].replace("_", " "),
    ]
    more = [words(get(key)) for key in ("places", "descriptors", "positions") if get(key)]
    more += [f"{words(size)} mm" if not isinstance(size, int | float) else f"{size:g} mm"] if size else []
    more += [f"number {get('number')}"] if get("number") else []
    more += ["implied"] if get("implied") else []
    phrase = " ".join(word for word in head if word) + (f" ({', '.join(more)})" if more else "")
    span = get("span")
    return f"{phrase} [{span[0]}:{span[1]}]" if isinstance(span, list | tuple) and len(span) == 2 else phrase


def detail_lines(details: Mapping[str, object]) -> Iterator[str]:
    """Iterate over a component's details line by line: a list of tables has one line an item."""
    for key, value in details.items():
        if isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            yield f"{key}:"
            yield from (f"  - {words(item)}" for item in value)
        else:
            yield f"{key}: {words(value)}"
