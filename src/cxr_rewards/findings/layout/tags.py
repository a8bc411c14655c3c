"""Markup with tags: `<HeartSize>enlarged</HeartSize>` states what "heart size: enlarged" does."""

from __future__ import annotations

import re
from collections.abc import Callable

from cxr_rewards.findings.layout.labels import LONGEST, Label, label_of
from cxr_rewards.findings.layout.statement import Passage, Span, Statement

_TAG = re.compile(r"<(/?)([A-Za-z][\w.:-]{0,60})((?:\s[^<>]{0,300}?)?)(/?)>")
_NAMED = re.compile(r"""(?:name|label|finding|type|key)\s?=\s?["']([^"'<>]{1,80})["']""", re.IGNORECASE)
_VALUED = re.compile(
    r"""(?:value|status|present|presence|state|result)\s?=\s?["']([^"'<>]{1,200})["']""", re.IGNORECASE
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
Read = Callable[[str, str, str, int, int], list[Passage]]
"""The function that reads the lines of a section."""


def has_tags(plain: str, start: int, end: int) -> bool:
    """Return whether there may be tags; quick, because nearly no report has any."""
    return plain.find("</", start, end) >= 0 or plain.find("/>", start, end) >= 0


def passages_of_tags(read: Read, texts: tuple[str, str, str], start: int, end: int) -> list[Passage]:
    """Return what the elements of a text with tags state, and the text outside of labels as `read` reads it.

    `texts` are the report in plain characters, the same in lower case, and the report as it is.
    """
    tidied = texts[0]
    found: list[Passage] = []
    open_labels: list[tuple[str, Label | None, Span, str]] = []
    at = start
    for tag in _TAG.finditer(tidied, start, end):
        _read_text(read, texts, (at, tag.start()), open_labels, found)
        at = tag.end()
        closing, name, rest, alone = tag.groups()
        if closing:
            while open_labels and open_labels.pop()[0] != name.lower():
                pass
            continue
        words, span = _named(tag)
        label = label_of(words) if len(words) <= LONGEST else None
        if alone:
            value = _VALUED.search(rest)
            if label is not None and value is not None:
                value_span = (tag.start(3) + value.start(1), tag.start(3) + value.end(1))
                found += _stated(read, tidied, words, span, value_span)
        else:
            open_labels.append((name.lower(), label, span, words))
    _read_text(read, texts, (at, end), open_labels, found)
    return found


def _named(tag: re.Match[str]) -> tuple[str, Span]:
    """Return the words that a tag is named by, in lower case, and their span: `<finding name="left effusion">`."""
    named = _NAMED.search(tag[3])
    if named is not None:
        return named[1].lower().replace("_", " "), (tag.start(3) + named.start(1), tag.start(3) + named.end(1))
    return " ".join(_WORDS.findall(tag[2])).lower(), tag.span(2)


def _read_text(
    read: Read,
    texts: tuple[str, str, str],
    span: Span,
    open_labels: list[tuple[str, Label | None, Span, str]],
    found: list[Passage],
) -> None:
    """Read the text between two tags: as a value, if the innermost element is a label."""
    if not texts[1][slice(*span)].strip():
        return
    _, label, label_span, words = open_labels[-1] if open_labels else ("", None, (0, 0), "")
    if label is not None and (label.states or label.kind == "structure"):
        found += _stated(read, texts[0], words, label_span, span)
    else:
        found += read(*texts, *span)


def _stated(read: Read, tidied: str, words: str, label: Span, value: Span) -> list[Passage]:
    """Return what a label and its value state, read as a line of their own, with the places in the report."""
    text = f"{words}: {tidied[slice(*value)]}"
    shift = len(words) + 2
    same = label[1] - label[0] == len(words)
    stated: list[Passage] = []
    for passage in read(text, text.lower(), text, 0, len(text)):
        if isinstance(passage, Statement):
            statement = passage
        else:
            start, stop = passage
            statement = Statement(text[start:stop].lower(), ((0, start, stop - start),), (0, len(words)))
        parts: list[tuple[int, int, int]] = []
        for at, source, length in statement.parts:
            in_label = max(0, min(shift, source + length) - source)
            if in_label and same:
                parts.append((at, label[0] + source, min(in_label, len(words) - source)))
            if in_label < length:
                parts.append((at + in_label, value[0] + source + in_label - shift, length - in_label))
        stated.append(Statement(statement.text, tuple(parts), label))
    return stated
