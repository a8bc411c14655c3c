"""Statements of a section, in the making."""

from __future__ import annotations

from cxr_rewards.findings.layout.labels import Label
from cxr_rewards.findings.layout.statement import Passage, Span, Statement, compose
from cxr_rewards.findings.layout.values import passages_of, trimmed
from cxr_rewards.findings.layout.words import layout_words


class Draft:
    """The passages so far, and the open label, whose value may go on in the next line.

    Attributes:
        tidied: the report in plain characters.
        plain: the same in lower case.
        raw: the report as it is.
        passages: what was read.
        label: the open label.
        spans: its words.
        values: its values so far.
        waits: its value is in the lines to come.
        goes_on: its last value may go on in the next line.
        prose_open: the last passage is prose, and the next may belong to it.
    """

    def __init__(self, tidied: str, plain: str, raw: str) -> None:
        self.tidied, self.plain, self.raw = tidied, plain, raw
        self.passages: list[Passage] = []
        self.label: Label | None = None
        self.spans: list[Span] = []
        self.values: list[Span] = []
        self.waits = self.goes_on = self.prose_open = False

    def begin(self, label: Label, spans: list[Span]) -> None:
        """State what the open label says, and open another."""
        self.flush()
        self.label, self.spans, self.waits = label, spans, True

    def flush(self) -> None:
        """State what the open label and its values say, and close it."""
        label, self.label = self.label, None
        if label is not None and label.kind in layout_words().values:
            self._list(label.kind)
        elif label is not None and (self.values or label.states):
            self.state(passages_of(self.plain, label, self.spans, self.values))
        self.values, self.waits, self.goes_on = [], False, False

    def _list(self, name: str) -> None:
        """State what is listed under a value: "Absent: effusion, edema"."""
        value = layout_words().values[name]
        for start, end in self.values:
            words = (value.before, trimmed(self.plain, start, end), value.after)
            if not value.silent:
                self.state([compose(self.plain, [word for word in words if word], (start, end))])

    def state(self, passages: list[Passage]) -> None:
        """Add passages that no prose goes on from."""
        self.passages += passages
        self.prose_open = False

    def prose(self, start: int, end: int) -> None:
        """Add prose, to that of the line before if nothing lies between."""
        self.flush()
        if start >= end:
            return
        last = self.passages[-1] if self.passages else None
        if self.prose_open and last is not None and not isinstance(last, Statement):
            self.passages[-1] = (last[0], end)
        else:
            self.passages.append((start, end))
        self.prose_open = True
