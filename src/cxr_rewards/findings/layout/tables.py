"""Tables: what their rows state, given the head of each column."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cxr_rewards.findings.layout.labels import Label, attributes_of, heading_of, label_of
from cxr_rewards.findings.layout.statement import Passage, Span
from cxr_rewards.findings.layout.values import passages_of, trimmed, value_of
from cxr_rewards.findings.layout.words import layout_words
from cxr_rewards.text.sections import sections

Row = tuple[Span, ...]
_RULE = re.compile(r"[\s|+:=_-]*\Z")
_COLUMN = re.compile(r"\t+ *| *\t[\t ]*| {2,}")
_ABOUT = ("finding", "abnormality", "structure", "denial", "normal")
"""Kinds of label that a row can be about."""
_DASHES = ("", "-", "--", "n/a", "na", "\u2014")


def cells_of(plain: str, raw: str, start: int, end: int) -> Row:
    """Return the cells of a line, parted by pipes; or else by tabs or several spaces."""
    if "|" in plain[start:end]:
        outer = start, end
        start += plain[start] == "|"
        end -= plain[end - 1] == "|" and end > start
        cuts = [at for at in range(start, end) if plain[at] == "|"]
        spans = zip([start, *(at + 1 for at in cuts)], [*cuts, end], strict=True)
        cells = tuple(_cell(plain, *span) for span in spans)
        return cells or (outer,)
    spans_: list[Span] = []
    at = start
    for match in _COLUMN.finditer(raw, start, end):
        spans_.append((at, match.start()))
        at = match.end()
    spans_.append((at, end))
    return tuple(_cell(plain, *span) for span in spans_)


def _cell(plain: str, start: int, end: int) -> Span:
    """Return the span of a cell's text; of signs alone, without spaces."""
    known = layout_words()
    while start < end and plain[start] in ' \t*_`"':
        start += 1
    while end > start and plain[end - 1] in ' \t*_`"':
        end -= 1
    sign = plain[start:end]
    return (start, end) if sign in known.marks or sign in known.boxes else trimmed(plain, start, end)


def is_rule(plain: str, start: int, end: int) -> bool:
    """Return whether a line is the rule below the head of a table."""
    return "-" in plain[start:end] and _RULE.match(plain, start, end) is not None


def is_head(plain: str, row: Row) -> bool:
    """Return whether a row without a rule below it is the head of a table: headings, and no label with its value."""
    words = [plain[start:end] for start, end in row]
    if not any(heading_of(word) for word in words):
        return False
    known = [label for word in words if (label := label_of(word)) is not None and label.states]
    return heading_of(words[0]) == "subject" or not words[0] or not known


def passages_of_table(plain: str, head: Row, rows: Sequence[Row]) -> list[Passage]:
    """Return what the rows of a table state."""
    return [passage for row in rows for passage in _of_row(plain, head, row)]


def _of_row(plain: str, head: Row, row: Row) -> list[Passage]:
    texts = [plain[start:end] for start, end in row]
    labels = [label_of(text) if text else None for text in texts]
    heads = [label_of(plain[start:end]) if start < end else None for start, end in head]
    first = next((i for i, label in enumerate(labels) if label is not None and label.kind in _ABOUT), -1)
    label = labels[first] if first >= 0 else None
    if any(head is not None and head.states for head in heads[1:]) and not (label is not None and label.states):
        return _of_columns(plain, head, heads, row, labels)
    if label is None:
        return _of_unknown(plain, row, texts)
    passages: list[Passage] = []
    span, values = row[first], list[Span]()
    for i in range(first + 1, len(row)):
        other, column = labels[i], heads[i] if i < len(heads) else None
        if not head and values and other is not None and other.kind in _ABOUT and not attributes_of(texts[i]):
            passages += passages_of(plain, label, [span], values)
            label, span, values = other, row[i], []
        elif column is not None and column.kind in layout_words().values:
            if texts[i] and _is_mark(plain, row[i]):
                values.append(head[i])
        elif column is not None and column.kind == "side":
            if texts[i] not in _DASHES:
                passages += passages_of(plain, label, [head[i], span], [row[i]])
        elif texts[i] and (texts[i] not in _DASHES or not values):
            values.append(row[i])
    if values or not passages:
        passages += passages_of(plain, label, [span], values)
    return passages


def _is_mark(plain: str, cell: Span) -> bool:
    """Return whether a cell under "Yes" or "Absent" is ticked."""
    read = value_of(plain, *cell)
    return read is None or read[0].name == "present"


def _of_columns(
    plain: str, head: Row, heads: Sequence[Label | None], row: Row, labels: Sequence[Label | None]
) -> list[Passage]:
    """Return the statements of a row if the findings are at the heads of the columns; the row may name a side."""
    side = [row[0]] if labels[0] is not None and labels[0].kind == "side" else []
    passages: list[Passage] = []
    for cell, span, label in zip(row, head, heads, strict=False):
        if label is not None and label.states and cell[0] < cell[1]:
            passages += passages_of(plain, label, [*side, span], [cell])
    return passages


def _of_unknown(plain: str, row: Row, texts: Sequence[str]) -> list[Passage]:
    """Return the cells of a row without a known label as prose, unless it is one of another section."""
    parts = sections(texts[0] + ":") if texts and texts[0] else ()
    if parts and parts[0].name not in ("", "findings", "impression", "findings_impression", "recommendation"):
        return []
    return [span for span, text in zip(row, texts, strict=True) if text and value_of(plain, *span) is None]
