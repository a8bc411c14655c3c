"""The lines of a section, one after the other: which of them are prose, and what the others state."""

from __future__ import annotations

import re
from functools import cache

from cxr_rewards.findings.layout.boxes import has_box, read_boxes
from cxr_rewards.findings.layout.draft import Draft
from cxr_rewards.findings.layout.labelled import read_labels
from cxr_rewards.findings.layout.labels import (
    Label,
    attributes_of,
    heading_of,
    label_of,
    names_finding,
    qualifies,
    stands_for_fracture,
)
from cxr_rewards.findings.layout.separators import labels_in
from cxr_rewards.findings.layout.statement import Passage, Span
from cxr_rewards.findings.layout.tables import Row, cells_of, is_head, is_rule, passages_of_table
from cxr_rewards.findings.layout.tags import has_tags, passages_of_tags
from cxr_rewards.findings.layout.values import trimmed, value_of
from cxr_rewards.findings.layout.words import layout_words

_BULLET = re.compile(r"\s*(?:[-*+\u2022>]+\s+|[0-9]{1,2}[.)]\s+|\([0-9]{1,2}\)\s*|[a-z][.)]\s+|\u2022)*")
_EMPHASIS = re.compile(r"(#{1,6}\s+)?([*_]{2,3})?")
_WRAP = 60
_COLUMNS = re.compile(r"\t|[^\s.:;!?]\s{2,}\S")
_VALUES = ("absent", "none", "nil", "neg", "positive", "not present")
_VALUE_BEHIND = re.compile(r"(?:absent|none|nil|neg|negative|positive|not present)[ *_]*(?:[.,;)]|\Z)")
_VE_BEHIND = r"(?<=[-+])ve[ *_]*(?:[.,;)]|\Z)"
_IN_BRACKETS = r"(?<=\()\s?(?:[-+?x\u00b1)]|[a-z]{1,8}\s?\))"


@cache
def _marks_of_layout() -> re.Pattern[str]:
    """Return what matches the marks of labels, tables and boxes; all of them begin with one set of characters."""
    marks = ":|=?\n\t\u2026\u2192" + "".join(sorted({re.escape(box[0]) for box in layout_words().boxes} - {r"\("}))
    apart = r"(?<= [-+])|(?<=\+)(?:\+|/-)|(?<=\.)\.\.|(?<= \.)\.|(?<=_)_"
    return re.compile(f"[{marks}(._+-](?:(?<=[{marks}])|{apart}|{_IN_BRACKETS}|{_VE_BEHIND})")


def has_layout(plain: str, raw: str) -> bool:
    """Return whether there may be a label, table or check box; quick, because most reports have none."""
    if _marks_of_layout().search(plain) is not None or "   " in plain or "\t" in raw:
        return True
    return any(map(plain.__contains__, _VALUES)) and _VALUE_BEHIND.search(plain) is not None


def passages(tidied: str, plain: str, raw: str, start: int, end: int) -> list[Passage]:
    """Return the parts of a section in order: prose, and what its labels, tables and check boxes state.

    Args:
        tidied: the report in plain characters.
        plain: the same in lower case.
        raw: the report as it is, where tabs have not become spaces.
        start: where the section begins.
        end: where it ends.

    Example:
        >>> text = "Effusion: none. The heart is large."
        >>> statement, prose = passages(text, text.lower(), text, 0, len(text))
        >>> statement.text, text[slice(*prose)]
        ('no effusion', 'The heart is large.')
    """
    if has_tags(plain, start, end):
        return passages_of_tags(_of_lines, (tidied, plain, raw), start, end)
    return _of_lines(tidied, plain, raw, start, end)


def _of_lines(tidied: str, plain: str, raw: str, start: int, end: int) -> list[Passage]:
    if not has_layout(plain[start:end], raw[start:end]):
        return [(start, end)]
    return _Lines(tidied, plain, raw).read(start, end)


class _Lines(Draft):
    """Reads lines one after the other."""

    def __init__(self, tidied: str, plain: str, raw: str) -> None:
        super().__init__(tidied, plain, raw)
        self.table: list[Row] = []
        self.head: Row | None = None

    def read(self, start: int, end: int) -> list[Passage]:
        spans: list[Span] = []
        at = start
        while at <= end:
            stop = self.plain.find("\n", at, end)
            stop = end if stop < 0 else stop
            spans.append((at, stop))
            at = stop + 1
        for i, span in enumerate(spans):
            following = spans[i + 1] if i + 1 < len(spans) else (end, end)
            self._line(span, following)
        self._end_table()
        self.flush()
        return self.passages

    # ------------------------------------------------------------ lines

    def _line(self, span: Span, following: Span) -> None:
        start, end = span
        plain = self.plain
        if not plain[start:end].strip():
            self._end_table()
            if self.values or not self.waits:
                self.flush()
            if self.prose_open and self.passages:
                self.prose(start, end)
            return
        bullet = _BULLET.match(plain, start, end)
        assert bullet is not None  # every part of it is optional
        first = bullet.end()
        if self._cells(first, end) or self._table_line(first, end):
            return
        self._end_table()
        if read_boxes(self, first, end) or read_labels(self, first, end) or self._heading(first, end, following):
            return
        self._plain(start, first, end)

    def _plain(self, start: int, first: int, end: int) -> None:
        """Read a line without layout: the value of the label before it, more of a value, or prose."""
        if self.label is not None and self.waits:
            self._value_line(first, end, bullet=first > start + 1)
        elif self.label is not None and self.goes_on and first <= start + 1 and self._wraps(start, first):
            self.values[-1] = (self.values[-1][0], end)
        else:
            self.prose(start, end)

    def _wraps(self, start: int, first: int) -> bool:
        line_start = self.plain.rfind("\n", 0, start - 1) + 1
        line = self.plain[line_start : start - 1].rstrip()
        return self.tidied[first].islower() or (len(line) >= _WRAP and line[-1] not in ".:;")

    def _value_line(self, first: int, end: int, *, bullet: bool) -> None:
        """Read a line below a label: its value, or one of several in a list."""
        assert self.label is not None
        label, spans = self.label, self.spans
        if bullet and label.kind == "structure" and self.values:
            self.begin(label, spans)
        self.values.append((first, end))
        if not bullet:
            self.waits, self.goes_on = False, True

    def _heading(self, first: int, end: int, following: Span) -> bool:
        """Read a line that is a label alone, as a heading or above its value; return whether it is one."""
        plain = self.plain
        mark = _EMPHASIS.match(plain, first, end)
        assert mark is not None  # every part of it is optional
        emphasis = mark.end() > first and (mark[1] or plain[first:end].rstrip().endswith(mark[2]))
        span = trimmed(plain, mark.end(), end)
        text = plain[span[0] : span[1]]
        if not text or plain[end - 1] in ".;,?!" or len(text.split()) > 5:
            return False
        label = label_of(text)
        if label is None or not (label.states or label.kind == "structure"):
            return False
        below = trimmed(plain, *following)
        below = trimmed(plain, _BULLET.match(plain, *below).end(), below[1])  # type: ignore[union-attr]
        if mark[1] and stands_for_fracture(plain, mark.start()):
            return False
        if not emphasis and not self._is_value(label, span, below):
            return False
        if emphasis and below[0] >= below[1] and label.states:
            return False
        self.begin(label, [span])
        return True

    def _is_value(self, label: Label, span: Span, below: Span) -> bool:
        """Return whether the line below a label tells only more of it."""
        if below[0] >= below[1] or (self.prose_open and self.passages and not self._closed(span[0])):
            return False
        first = trimmed(self.plain, below[0], self._first_end(*below))
        text = self.plain[first[0] : first[1]]
        if label.kind == "structure":
            return self.tidied[span[0] : span[1]].isupper()
        return value_of(self.plain, *first) is not None or qualifies(text)

    def _first_end(self, start: int, end: int) -> int:
        stops = [at for mark in ",;." if (at := self.plain.find(mark, start, end)) >= 0]
        return min(stops, default=end)

    def _closed(self, at: int) -> bool:
        """Return whether the prose before a line has come to its end."""
        before = self.plain[max(0, at - 80) : at].rstrip(" ")
        return not before.strip() or before.endswith("\n\n") or before.rstrip()[-1] in ".:;!?"

    # ------------------------------------------------------------ tables

    def _cells(self, first: int, end: int) -> bool:
        """Read a line whose cells each say something by themselves: "Heart: normal | Lungs: clear | No effusion"."""
        if "|" not in self.plain[first:end] or self.table or self.head:
            return False
        cells = [cell for cell in cells_of(self.plain, self.raw, first, end) if cell[0] < cell[1]]
        if len(cells) < 2 or not all(self._is_statement(*cell) for cell in cells):
            return False
        for cell in cells:
            self.flush()
            if not read_labels(self, *cell):
                self.prose(*cell)
            self.flush()
            self.prose_open = False
        return True

    def _is_statement(self, start: int, end: int) -> bool:
        """Return whether a cell is a statement, and neither a label nor a value."""
        if labels_in(self.tidied, self.plain, start, end):
            return True
        text = self.plain[start:end]
        label = label_of(text)
        if label is None or label.kind in ("denial", "normal"):
            return label is not None
        return label.kind == "finding" and (bool(attributes_of(text)) or not names_finding(text))

    def _table_line(self, first: int, end: int) -> bool:
        """Add a line to the open table, or open one; return whether it is part of a table."""
        plain = self.plain
        pipes = "|" in plain[first:end]
        if is_rule(plain, first, end) and self.table:
            if self.head is None and len(self.table) == 1:
                self.head = self.table.pop()
            return True
        if not pipes and _COLUMNS.search(self.raw, first, end) is None:
            return False
        row = cells_of(plain, self.raw, first, end)
        if len(row) < 2:
            return False
        if not pipes and (has_box(plain, first, end, row) or not self._is_columns(row)):
            return False
        if not self.table and self.head is None:
            self.flush()
            if is_head(plain, row):
                self.head = row
                return True
        self.table.append(row)
        return True

    def _is_columns(self, row: Row) -> bool:
        text = self.plain[row[0][0] : row[0][1]]
        label = label_of(text)
        if label is not None and (label.states or label.kind == "structure"):
            return True
        return heading_of(text) == "subject" or (self.head is not None and bool(text))

    def _end_table(self) -> None:
        if self.table:
            self.state(passages_of_table(self.plain, self.head or (), self.table))
        self.table, self.head = [], None
