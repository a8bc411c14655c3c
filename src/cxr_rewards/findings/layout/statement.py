"""A sentence made of parts of a report, and words put between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

Span = tuple[int, int]


class Statement(NamedTuple):
    """A sentence that a label and its value, or a row of a table, stand for.

    Attributes:
        text: the sentence, in lower case.
        parts: where in `text` each part of the report begins, where that part begins in the report, and its length.
        label: the span of the label in the report.
    """

    text: str
    parts: tuple[tuple[int, int, int], ...]
    label: Span

    def span(self, start: int, end: int) -> Span:
        """Return where a phrase of the sentence stands in the report; the label if it stands nowhere as a whole.

        Example:
            >>> report = "Effusion: none"
            >>> compose(report.lower(), ["no", (0, 8)], (0, 8)).span(3, 11)
            (0, 8)
        """
        for at, source, length in self.parts:
            if at <= start and end <= at + length:
                return start - at + source, end - at + source
        return self.label


Passage = Span | Statement
"""A part of a report: prose, as a span, or a statement."""


def compose(plain: str, parts: Iterable[str | Span], label: Span) -> Statement:
    """Return the statement made of words, and of spans of `plain`, joined by spaces, and commas that follow them."""
    text = ""
    placed: list[tuple[int, int, int]] = []
    for part in parts:
        words = part if isinstance(part, str) else plain[part[0] : part[1]]
        if text and words[:1] not in (",", ":"):
            text += " "
        if not isinstance(part, str):
            placed.append((len(text), part[0], part[1] - part[0]))
        text += words
    return Statement(text, tuple(placed), label)
