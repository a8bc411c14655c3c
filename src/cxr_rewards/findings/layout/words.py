"""The values and headings of `data/layout.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cxr_rewards.errors import ConfigError, shorten, unknown_name
from cxr_rewards.findings.ontology.load import data_files, parse
from cxr_rewards.findings.ontology.vocabulary import expand

Words = tuple[str, ...]
WORD = re.compile(r"[0-9]+\.[0-9]+|[a-z0-9]+")
_FILE = "layout.toml"
_KEYS = ("values", "headings", "small_words")
_VALUE_KEYS = ("before", "after", "silent", "phrases", "marks", "boxes", "examples")
HEADINGS = ("subject", "attribute")
"""Headings besides those that are named like a group of values."""


@dataclass(frozen=True, slots=True)
class Value:
    """The statement that a value makes about the finding of its label.

    Attributes:
        name: name of its table.
        before: words that say it in prose, before the finding.
        after: words that say it in prose, after the finding.
        silent: it says nothing.
    """

    name: str
    before: str = ""
    after: str = ""
    silent: bool = False


@dataclass(frozen=True, slots=True)
class LayoutWords:
    """The contents of `layout.toml`, checked.

    Attributes:
        values: by name.
        phrases: words of a value → its name.
        marks: sign that stands alone → name of its value.
        boxes: check box → name of its value.
        headings: words of a heading → `subject`, `attribute`, or the name of a value.
        small: words that may stand beside known phrases in a label or value.
        longest: words of the longest value or heading.
    """

    values: Mapping[str, Value]
    phrases: Mapping[Words, str]
    marks: Mapping[str, str]
    boxes: Mapping[str, str]
    headings: Mapping[Words, str]
    small: frozenset[str]
    longest: int


@cache
def layout_words() -> LayoutWords:
    """Return the words of this package, loaded once."""
    return build(next(parse(file) for path, file in data_files() if path == _FILE))


def build(raw: Mapping[str, Any]) -> LayoutWords:
    """Check and index the contents of `layout.toml`.

    Raises:
        ConfigError: an unknown key, a phrase that cannot be read or that has two meanings; names the place.
    """
    for key in raw:
        if key not in _KEYS:
            raise ConfigError(unknown_name(_FILE, "key", key, _KEYS))
    values: dict[str, Value] = {}
    phrases: dict[Words, str] = {}
    signs: dict[str, dict[str, str]] = {"marks": {}, "boxes": {}}
    for name, table in raw.get("values", {}).items():
        where = f"{_FILE}: values.{name}"
        for key in table:
            if key not in _VALUE_KEYS:
                raise ConfigError(unknown_name(where, "key", key, _VALUE_KEYS))
        values[name] = Value(name, table.get("before", ""), table.get("after", ""), table.get("silent", False))
        _add(phrases, f"{where}.phrases", name, table.get("phrases", []))
        for kind, known in signs.items():
            for sign in table.get(kind, []):
                if sign in known:
                    raise ConfigError(f"{where}.{kind}: {sign!r} already belongs to {known[sign]}; keep one")
                known[sign] = name
    headings: dict[Words, str] = {}
    for name, listed in raw.get("headings", {}).items():
        if name not in (*HEADINGS, *values):
            raise ConfigError(unknown_name(f"{_FILE}: headings", "heading", name, (*HEADINGS, *values)))
        _add(headings, f"{_FILE}: headings.{name}", name, listed)
    longest = max(map(len, (*phrases, *headings)), default=0)
    small = frozenset(raw.get("small_words", ()))
    return LayoutWords(values, phrases, signs["marks"], signs["boxes"], headings, small, longest)


def _add(meanings: dict[Words, str], where: str, name: str, phrases: object) -> None:
    if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
        raise ConfigError(f"{where}: expected a list of phrases, got {shorten(phrases)}")
    for phrase in phrases:
        for words in expand(where, phrase):
            if meanings.setdefault(words, name) != name:
                raise ConfigError(f"{where}: {' '.join(words)!r} already belongs to {meanings[words]}; keep one")
