"""Find the labels within a line: "Pneumothorax: no. Effusion? Small. Edema - none, consolidation (-)"."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from cxr_rewards.findings.layout.labels import (
    LONGEST,
    LONGEST_VALUE,
    Label,
    attributes_of,
    describes,
    label_of,
    qualifies,
)
from cxr_rewards.findings.layout.statement import Span
from cxr_rewards.findings.layout.values import trimmed, value_of
from cxr_rewards.findings.layout.words import layout_words

_BOUNDARY = re.compile(r"[.;!?,|()\]}\n][*_\"'\s]*|\s{2,}")
_STOPS = ".;!?\n"
_WORD_START = re.compile(r"(?<=\s)[A-Z]")
_QUESTION = re.compile(
    r"(?:(?:is|are|was|were) (?:there )?|(?:can|could) (?:you|we|one) see |any "
    r"|(?:does|do|did) (?:the |this )?(?:patient|image|film|study|you|we|he|she|it) (?:have|show|see) )"
    r"(?:(?:an?|any|the|evidence of|signs? of) )*"
)
_ITEM = re.compile(r"\s*\(?(?:[a-z]|[0-9]{1,2})[.)]\s+")
_ASKED = re.compile(r"\s*q(?:uestion)?\s?[0-9]{0,2}\s?[:.)]\s*")
_ANSWERED = re.compile(r"[*_\"'\s]*a(?:ns(?:wer)?)?\s?[0-9]{0,2}\s?[:.)][*_\"'\s]*")
"""The words before a question and before its answer: "Q: Effusion? A: None."."""
_DESCRIBED = frozenset(("side", "place", "severity", "size", "change", "position"))
_FIRST_SEGMENT = re.compile(r"[^,;.()\n|]*?(?=\s+-\s|[,;.()\n|]|\Z)")


class Labelled(NamedTuple):
    """A label in a line, and where its value may begin."""

    label: Label
    span: Span
    value_start: int
    value_end: int
    """-1: the value ends where the next label begins."""


@cache
def _separator() -> re.Pattern[str]:
    known = layout_words()
    signs = sorted((sign for sign in (*known.boxes, *known.marks) if sign[0] in "[("), key=len, reverse=True)
    words = "absent|nil|none|negative|neg|positive|[-+]ve|not present"
    return re.compile(
        r"(?P<colon>(?<![*_\"'`])[*_\"'`]*+\s?\??\s?[*_\"'`]*+\s?:(?![0-9/])[*_\"'`]*)"
        r"|(?P<question>\?[*_\"'`]*(?=\s|\Z))"
        rf"|(?P<mark>\s*(?:{'|'.join(map(re.escape, signs))}|\(\s*(?:{words}|no|yes|present)\s*\)|\s\u2713|\s\u2717"
        r"|(?:\+{1,4}|\+/-)(?=\s*(?:[.,;|\n]|\Z))))"
        r"|(?P<weak>\s+(?:-{1,2}>?|=>|\u2192)\s+|\s?=\s?|\s+\.{2,}\s*|\.{3,}\s*|\s*\u2026\s*|\s*_{3,}\s*)"
        rf"|(?P<word>[ ](?=(?:{words})\s*(?:[.,;]|\Z|\n)))"
    )


def labels_in(tidied: str, plain: str, start: int, end: int) -> list[Labelled]:
    """Return the labels of a line, in order.

    Args:
        tidied: the report in plain characters.
        plain: the same in lower case.
        start: where the line begins.
        end: where it ends.
    """
    found: list[Labelled] = []
    low = start
    for match in _separator().finditer(plain, start, end):
        before = plain[max(start, match.start() - 1) : match.start()]
        if match.start() < low or not (before.isalnum() or before in tuple(",;)]*_\"'`/")):
            continue
        kind = match.lastgroup
        labelled = _before(tidied, plain, low, match.start(), after_label=bool(found))
        if labelled is not None and kind == "word":
            labelled = _without_described(plain, *labelled)
        if labelled is None:
            continue
        label, span = labelled
        value_start, value_end = match.end(), -1
        answered = _ANSWERED.match(plain, value_start, end) if kind == "question" else None
        if answered is not None:
            value_start = answered.end()
        if kind != "colon":
            if not label.states and not (kind in ("weak", "question") and label.kind in ("structure", "normal")):
                continue
            if kind == "mark":
                value_start, value_end = match.start(), match.end()
                while plain[value_start].isspace():
                    value_start += 1
            elif not _has_value(plain, value_start, end, answers=answered is not None):
                if kind != "question" or not label.states:
                    continue
                value_start, value_end = match.start(), match.start() + 1  # "Pneumonia?" alone leaves it in doubt
        found.append(Labelled(label, span, value_start, value_end))
        low = value_start if value_end < 0 else value_end
    return found


def _without_described(plain: str, label: Label, span: Span) -> tuple[Label, Span] | None:
    """Return only the last of a list before "absent", if what stands before it is described, and so is there.

    "Atelectasis, effusion absent" denies both, "left basal atelectasis, effusion absent" the second.
    """
    comma = plain.rfind(",", *span)
    if comma < 0 or not _DESCRIBED & attributes_of(plain[span[0] : comma]).keys():
        return label, span
    return _label_at(plain, comma + 1, span[1])


def _has_value(plain: str, start: int, end: int, *, answers: bool) -> bool:
    """Return whether a value begins at `start`, and no ordinary words. An answer may tell only more: "small, left"."""
    while start < end and plain[start] in " \t:*_":
        start += 1
    first = _FIRST_SEGMENT.match(plain, start, min(end, start + LONGEST_VALUE))
    if first is None:
        return False
    span = trimmed(plain, *first.span())
    return value_of(plain, *span) is not None or (answers and qualifies(plain[slice(*span)]))


def is_asking(plain: str, start: int, end: int) -> bool:
    """Return whether only what begins a question stands here: "Q: Is there a"."""
    asked = _ASKED.match(plain, start, end)
    at = start if asked is None else asked.end()
    question = _QUESTION.match(plain, at, end)
    at = at if question is None else question.end()
    return at > start and not plain[at:end].strip()


def _before(tidied: str, plain: str, low: int, end: int, *, after_label: bool) -> tuple[Label, Span] | None:
    """Return the label that ends at `end`, and its span: from the earliest place where one can begin."""
    first = max(low, end - LONGEST - 8)
    starts: list[int] = []
    cut = False
    for match in _BOUNDARY.finditer(plain, _last_stop(plain, first, end), end):
        if match.group()[0] in _STOPS and match.end() < end:
            starts, cut = [], True  # a label does not run on from another sentence
        starts.append(match.end())
    if first == low and not after_label and not cut:
        starts.insert(0, low)
    for at in starts:
        labelled = _label_at(plain, at, end)
        if labelled is not None and (not after_label or labelled[0].kind not in ("denial", "normal")):
            return labelled
    if after_label:
        for match in _WORD_START.finditer(tidied, first, end):
            labelled = _label_at(plain, match.start(), end)
            if labelled is None:
                continue
            value = trimmed(plain, low, match.start())
            if value_of(plain, *value) is not None or describes(plain[value[0] : value[1]]):
                return labelled
        if first == low and not cut:
            labelled = _label_at(plain, low, end)
            if labelled is not None and labelled[0].kind not in ("denial", "normal"):
                return labelled
    return None


def _last_stop(plain: str, start: int, end: int) -> int:
    """Return where to begin to look for boundaries: at the last full stop with text behind it, or at `start`."""
    at = max(plain.rfind(stop, start, end) for stop in ".;!?")
    boundary = _BOUNDARY.match(plain, at, end) if at >= 0 else None
    return at if boundary is not None and boundary.end() < end else start


def _label_at(plain: str, start: int, end: int) -> tuple[Label, Span] | None:
    item = _ITEM.match(plain, start, end) or _ASKED.match(plain, start, end)
    span = trimmed(plain, start if item is None else item.end(), end)
    question = _QUESTION.match(plain, *span)
    if question is not None:
        span = question.end(), span[1]
    if plain[span[0] : span[0] + 1] == "(" and plain.find(")", *span) in (-1, span[1] - 1):
        span = span[0], span[1] - (plain[span[1] - 1] == ")")
        span = trimmed(plain, span[0] + 1, span[1])
    if span[0] >= span[1]:
        return None
    label = label_of(plain[span[0] : span[1]])
    return (label, span) if label is not None else None
