"""The lines of a section, one after the other: which of them are prose, and what the others state."""

from __future__ import annotations

import re
from functools import cache

from cxr_rewards.findings.layout.labels import (
    Label,
    attributes_of,
    heading_of,
    label_of,
    names_finding,
    noun_of,
    qualifies,
    stands_for_fracture,
)
from cxr_rewards.findings.layout.separators import Labelled, is_asking, labels_in
from cxr_rewards.findings.layout.statement import Passage, Span, Statement, compose
from cxr_rewards.findings.layout.tables import Row, cells_of, is_head, is_rule, passages_of_table
from cxr_rewards.findings.layout.values import passages_of, trimmed, value_of
from cxr_rewards.findings.layout.words import layout_words

_BULLET = re.compile(r"\s*(?:[-*+\u2022>]+\s+|[0-9]{1,2}[.)]\s+|\([0-9]{1,2}\)\s*|[a-z][.)]\s+|\u2022)*")
_EMPHASIS = re.compile(r"(#{1,6}\s+)?([*_]{2,3})?")
_IS_THERE = r"(?:is|are|was|were) there(?: (?:an?|any|the|evidence of))*"
_NEXT_QUESTION = re.compile(
    rf"[\s.;]\s*(?:q(?:uestion)?\s?[0-9]{{0,2}}\s?[:.)]\s*(?:{_IS_THERE}|is|are)?|{_IS_THERE})\s*\Z"
)
"""The beginning of the next question, at the end of an answer: "None. Q:", "No. Is there an"."""
_WRAP = 60
_PRESENT = ("present", "moderate", "severe")
"""Values of a check box that tell that a finding is there."""
_COLUMNS = re.compile(r"\t|[^\s.:;!?]\s{2,}\S")


@cache
def _box() -> re.Pattern[str]:
    signs = sorted(layout_words().boxes, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, signs)))


_SIGNS = (" -", " +", "++", "+/-", "   ", "...", " ..", "__")
_WORDS = ("absent", "none", "nil", "neg", "positive", "-ve", "+ve", "not present")
_VALUE_BEHIND = re.compile(r"(?:absent|none|nil|neg|negative|positive|[-+]ve|not present)[ *_]*(?:[.,;)]|\Z)")
_IN_BRACKETS = re.compile(r"\(\s?(?:[-+?x\u00b1)]|[a-z]{1,8}\s?\))")


@cache
def _marks_of_layout() -> re.Pattern[str]:
    return re.compile(
        f"[:|=?\n\t\u2026\u2192{''.join({re.escape(box[0]) for box in layout_words().boxes} - {re.escape('(')})}]"
    )


def _has_layout(plain: str, raw: str, start: int, end: int) -> bool:
    """Return whether there may be a label, table or check box; quick, because most reports have none."""
    if _marks_of_layout().search(plain, start, end) is not None or raw.find("\t", start, end) >= 0:
        return True
    for sign in _SIGNS:
        if plain.find(sign, start, end) >= 0:
            return True
    bracket = plain.find("(", start, end)
    if bracket >= 0 and _IN_BRACKETS.search(plain, bracket, end) is not None:
        return True
    for word in _WORDS:
        at = plain.find(word, start, end)
        if at >= 0 and _VALUE_BEHIND.search(plain, at, end) is not None:
            return True
    return False


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
    if not _has_layout(plain, raw, start, end):
        return [(start, end)]
    return _Lines(tidied, plain, raw).read(start, end)


class _Lines:
    """Reads lines, and keeps the label whose value may go on in the next one."""

    def __init__(self, tidied: str, plain: str, raw: str) -> None:
        self.tidied, self.plain, self.raw = tidied, plain, raw
        self.passages: list[Passage] = []
        self.label: Label | None = None
        self.spans: list[Span] = []
        self.values: list[Span] = []
        self.waits = False
        """The label's value is in the lines to come."""
        self.table: list[Row] = []
        self.head: Row | None = None
        self.prose_open = False
        self.goes_on = False
        """The last value may go on in the next line."""

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
        self._flush()
        return self.passages

    # ------------------------------------------------------------ what is stated

    def _begin(self, label: Label, spans: list[Span]) -> None:
        self._flush()
        self.label, self.spans, self.waits = label, spans, True

    def _flush(self) -> None:
        """State what the open label and its values say."""
        label, self.label = self.label, None
        if label is not None and label.kind in layout_words().values:
            self._list(label.kind)
        elif label is not None and (self.values or label.states):
            self._state(passages_of(self.plain, label, self.spans, self.values))
        self.values, self.waits, self.goes_on = [], False, False

    def _list(self, name: str) -> None:
        """State what is listed under a value: "Absent: effusion, edema"."""
        value = layout_words().values[name]
        for start, end in self.values:
            words = (value.before, trimmed(self.plain, start, end), value.after)
            if not value.silent:
                self._state([compose(self.plain, [word for word in words if word], (start, end))])

    def _state(self, passages: list[Passage]) -> None:
        self.passages += passages
        self.prose_open = False

    def _prose(self, start: int, end: int) -> None:
        """Add prose, to that of the line before if nothing lies between."""
        self._flush()
        if start >= end:
            return
        last = self.passages[-1] if self.passages else None
        if self.prose_open and last is not None and not isinstance(last, Statement):
            self.passages[-1] = (last[0], end)
        else:
            self.passages.append((start, end))
        self.prose_open = True

    # ------------------------------------------------------------ lines

    def _line(self, span: Span, following: Span) -> None:
        start, end = span
        plain = self.plain
        if not plain[start:end].strip():
            self._end_table()
            if self.values or not self.waits:
                self._flush()
            if self.prose_open and self.passages:
                self._prose(start, end)
            return
        bullet = _BULLET.match(plain, start, end)
        assert bullet is not None  # every part of it is optional
        first = bullet.end()
        if self._cells(first, end) or self._table_line(first, end):
            return
        self._end_table()
        if self._boxes(first, end) or self._labels(first, end) or self._heading(first, end, following):
            return
        self._plain(start, first, end)

    def _plain(self, start: int, first: int, end: int) -> None:
        """Read a line without layout: the value of the label before it, more of a value, or prose."""
        if self.label is not None and self.waits:
            self._value_line(first, end, bullet=first > start + 1)
        elif self.label is not None and self.goes_on and first <= start + 1 and self._wraps(start, first):
            self.values[-1] = (self.values[-1][0], end)
        else:
            self._prose(start, end)

    def _wraps(self, start: int, first: int) -> bool:
        line_start = self.plain.rfind("\n", 0, start - 1) + 1
        line = self.plain[line_start : start - 1].rstrip()
        return self.tidied[first].islower() or (len(line) >= _WRAP and line[-1] not in ".:;")

    def _value_line(self, first: int, end: int, *, bullet: bool) -> None:
        """Read a line below a label: its value, or one of several in a list."""
        assert self.label is not None
        label, spans = self.label, self.spans
        if bullet and label.kind == "structure" and self.values:
            self._begin(label, spans)
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
        self._begin(label, [span])
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

    # ------------------------------------------------------------ labels

    def _labels(self, first: int, end: int) -> bool:
        """Read the labels of a line with their values; return whether there is one."""
        found = labels_in(self.tidied, self.plain, first, end)
        parent = (self.label, self.spans) if self.label is not None and self.label.kind != "side" else None
        at, read = first, False
        for i, labelled in enumerate(found):
            value_end = found[i + 1].span[0] if i + 1 < len(found) else end
            taken = self._labelled(labelled, value_end, parent, (at, labelled.span[0]))
            if taken is None:
                continue
            parent = taken
            read = True
            at = value_end if labelled.value_end < 0 else labelled.value_end
        if read and at < end and self.plain[at:end].strip(" .,;"):
            self._prose(at, end)
        return read

    def _labelled(
        self, labelled: Labelled, value_end: int, parent: tuple[Label, list[Span]] | None, before: Span
    ) -> tuple[Label, list[Span]] | None:
        """Read one label; return what a side that follows belongs to, or None if the label is left to prose."""
        label, spans = labelled.label, [labelled.span]
        if label.kind == "subject":
            return None
        if label.kind == "attribute":
            if self.label is None:
                return None
            self._value(labelled, value_end)
            return self.label, self.spans
        if label.kind in layout_words().values and self.label is not None and self.label.states:
            read = value_of(self.plain, *self._inner(labelled.value_start, value_end))
            if read is not None:  # "present: true"
                if read[0].name == "present":
                    self.values.append(labelled.span)
                elif label.kind == "present":
                    self._value(labelled, value_end)
                return self.label, self.spans
        kept = (label, spans)
        if label.kind == "side":
            if parent is None or not (parent[0].states or parent[0].kind == "structure"):
                return None
            kept = parent
            label, spans = parent[0], [labelled.span, noun_of(self.plain, parent[1][-1])]
            if self.label is parent[0] and not self.values:
                self.label = None
        if self.plain[before[0] : before[1]].strip(" .,;*_|\"'{}") and not is_asking(self.plain, *before):
            self._prose(*before)
        self._begin(label, spans)
        self._value(labelled, value_end)
        return kept

    def _value(self, labelled: Labelled, end: int) -> None:
        start = labelled.value_start
        end = labelled.value_end if labelled.value_end >= 0 else end
        if labelled.value_end < 0:
            start, stop = self._inner(start, end)
        else:
            stop = end
        if start < stop:
            self.values.append((start, stop))
            self.waits, self.goes_on = False, True

    def _inner(self, start: int, end: int) -> Span:
        while start < end and self.plain[start] in " \t*_\"'`{":
            start += 1
        while end > start and self.plain[end - 1] in " \t*_\"'`},;|":
            end -= 1
        asked = _NEXT_QUESTION.search(self.plain, max(start, end - 48), end)
        return start, end if asked is None else asked.start()

    # ------------------------------------------------------------ boxes

    def _boxes(self, first: int, end: int) -> bool:
        """Read the check boxes of a line; return whether there are any."""
        plain = self.plain
        boxes = [match.span() for match in _box().finditer(plain, first, end)]
        if not boxes:
            return False
        names = [layout_words().boxes[plain[a:b]] for a, b in boxes]
        before = trimmed(plain, first, boxes[0][0])
        if before[0] >= before[1]:
            ends = [*(a for a, _ in boxes[1:]), end]
            for (_, text_start), text_end, name in zip(boxes, ends, names, strict=True):
                self._box(text_start, text_end, name)
            return True
        if not plain[boxes[-1][1] : end].strip(" .,;|"):
            return False  # marks behind their labels, which `labels_in` finds
        label = label_of(plain[before[0] : before[1]])
        if label is None or not (label.states or label.kind in ("structure", "attribute")):
            return False
        if label.kind != "attribute":
            self._begin(label, [before])
        elif self.label is None:
            return False
        ends = [*(a for a, _ in boxes[1:]), end]
        chosen = [
            trimmed(plain, b, stop) if name == "present" else (a, stop)
            for (a, b), stop, name in zip(boxes, ends, names, strict=True)
            if name in _PRESENT
        ]
        self.values += chosen
        if not self.values and label.states and self._are_unchecked_kinds(boxes, ends, names):
            self.values.append(boxes[0])  # "Effusion [ ] right [ ] left"
        if not self.values:
            self.label = None
        return True

    def _are_unchecked_kinds(self, boxes: list[Span], ends: list[int], names: list[str]) -> bool:
        """Return whether no box is checked, and each is of a kind of the finding, such as its side, not of a value."""
        texts = [trimmed(self.plain, b, stop) for (_, b), stop in zip(boxes, ends, strict=True)]
        return set(names) == {"absent"} and all(
            value_of(self.plain, *span) is None and bool(attributes_of(self.plain[slice(*span)])) for span in texts
        )

    def _box(self, start: int, end: int, name: str) -> None:
        """Read the text of one check box."""
        plain = self.plain
        span = trimmed(plain, start, end)
        text = plain[span[0] : span[1]]
        if not text:
            return
        if self.label is not None and self.label.states and (value_of(plain, *span) is not None or qualifies(text)):
            if name == "present":
                self.values.append(span)
            elif not self.values:
                self.label, self.waits = self.label, True
            return
        if name == "present":
            if not self._labels(start, end):
                self._flush()
                self._state([span])
            return
        found = labels_in(self.tidied, plain, start, end)
        target = found[0] if found else None
        whole = label_of(text)
        label, spans = (whole, [span]) if whole is not None else (target.label, [target.span]) if target else (None, [])
        self._flush()
        if label is not None and label.states:
            value = layout_words().values[name]
            words: list[str | Span] = [word for word in (value.before, spans[0], value.after) if word]
            self._state([compose(plain, words, spans[0])] if not value.silent else [])

    # ------------------------------------------------------------ tables

    def _cells(self, first: int, end: int) -> bool:
        """Read a line whose cells each say something by themselves: "Heart: normal | Lungs: clear | No effusion"."""
        if "|" not in self.plain[first:end] or self.table or self.head:
            return False
        cells = [cell for cell in cells_of(self.plain, self.raw, first, end) if cell[0] < cell[1]]
        if len(cells) < 2 or not all(self._is_statement(*cell) for cell in cells):
            return False
        for cell in cells:
            self._flush()
            if not self._labels(*cell):
                self._prose(*cell)
            self._flush()
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

    def _has_box(self, first: int, end: int, row: Row) -> bool:
        """Return whether a check box stands first or within a cell: "Effusion [ ] right", but not a column of boxes."""
        if _box().match(self.plain, first, end):
            return True
        return any((box := _box().search(self.plain, *cell)) is not None and box.span() != cell for cell in row)

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
        if not pipes and (self._has_box(first, end, row) or not self._is_columns(row)):
            return False
        if not self.table and self.head is None:
            self._flush()
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
            self._state(passages_of_table(self.plain, self.head or (), self.table))
        self.table, self.head = [], None
