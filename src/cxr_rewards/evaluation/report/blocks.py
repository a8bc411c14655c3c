"""Parts of a page as data: tables whose cells may be drawings, figures, marked cases.

A drawing has no pixels: places are percents of its width or height, so it fits a screen of any width while its text
keeps its size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

LOOKS = 6
"""Looks of systems: colours with markers and dashes of their own, so that none is told by colour alone."""


class Axis(NamedTuple):
    """A range of values and its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Return the place of a value in percent, from 0 to 100; beyond the ends it is at the end.

        Example:
            >>> axis_of([0, 1]).place(0.25)
            25.0
        """
        return round(100 * min(max((value - self.low) / (self.high - self.low), 0.0), 1.0), 2)


def axis_of(
    values: Iterable[float | None],
    *,
    ticks: int = 3,
    pad: bool = False,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Axis:
    """Return an axis for some values, with round numbers as ticks; None and infinity are left out.

    Args:
        values: those to be seen.
        ticks: about how many, at least.
        pad: leave some room at both ends; otherwise the axis ends at ticks.
        bounds: which the axis never crosses.

    Example:
        >>> axis_of([0.02, 0.98]), axis_of([]).ticks
        (Axis(low=0.0, high=1.0, ticks=(0.0, 0.5, 1.0)), (0.0, 0.5, 1.0))
        >>> axis_of([0.31, 0.42], pad=True).ticks, axis_of([1, 1], pad=True, bounds=(0, 1)).ticks
        ((0.35, 0.4), (0.5, 1.0))
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    elif pad:
        low, high = low - 0.08 * (high - low), high + 0.08 * (high - low)
    low, high = max(low, bounds[0]), min(high, bounds[1])
    unit = 10.0 ** math.floor(math.log10(high - low))
    for step in (unit * factor for factor in (10, 5, 2.5, 2, 1, 0.5, 0.25, 0.2, 0.1)):
        if pad:
            numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
        else:
            numbers = range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)
        if len(numbers) >= (ticks - 1 if pad else ticks):
            break
    if not pad:
        low, high = numbers[0] * step, numbers[-1] * step
    return Axis(low, high, tuple(round(number * step, 12) + 0.0 for number in numbers))


def tick(value: float) -> str:
    """Return a round number as an axis shows it.

    Example:
        >>> tick(0.5), tick(-12000.0), tick(0.0), tick(0.00005)
        ('0.5', '−12,000', '0', '0.00005')
    """
    places = 0 if abs(value) >= 1000 else 6
    text = f"{value:,.{places}f}"
    return (text.rstrip("0").rstrip(".") if places else text).replace("-", "\u2212")


def number(value: float | None) -> str:
    """Return a score as tables show it: three decimals, more if it is near 0; a dash if there is none.

    Example:
        >>> number(0.12345), number(-0.00123), number(0.0), number(None), number(math.nan)
        ('0.123', '−0.0012', '0.000', '–', '–')
    """
    if value is None or math.isnan(value):
        return "\u2013"
    places = min(-math.floor(math.log10(abs(value))) + 1, 6) if 1e-6 <= abs(value) < 0.01 else 3
    return f"{value:z,.{places}f}".replace("-", "\u2212")


def interval(low: float | None, high: float | None) -> str:
    """Return an interval as text."""
    return "\u2013" if low is None or high is None else f"{number(low)} to {number(high)}"


def direction(higher_is_better: bool | None) -> str:
    """Return which numbers are better, in words with an arrow; empty if none are."""
    return {True: "\u2191 higher is better", False: "\u2193 lower is better", None: ""}[higher_is_better]


class Name(NamedTuple):
    """A cell with a system's name and its marker."""

    text: str
    look: int
    kind: str = "name"


class Strip(NamedTuple):
    """A cell with a value and its interval on an axis; `zero` is a line to compare with."""

    axis: Axis
    look: int
    value: float | None
    low: float | None = None
    high: float | None = None
    zero: float | None = None
    kind: str = "strip"


class Bar(NamedTuple):
    """A cell with a share as a bar, and as text."""

    share: float
    text: str
    look: int
    kind: str = "bar"


Cell = str | Name | Strip | Bar


class Column(NamedTuple):
    """A column of a table; one of strips with the same axis in all rows has it in its head."""

    name: str
    align: Literal["text", "number", "plot"] = "number"
    axis: Axis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows of a table under a common head, which may be absent.

    Attributes:
        head: in a few words.
        about: more of it, in smaller type.
        axis: of the strips in these rows.
        rows: their cells; the first is the row's head.
    """

    head: str = ""
    about: str = ""
    axis: Axis | None = None
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with a caption, and a note below it."""

    macro: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    note: str = ""


class Path(NamedTuple):
    """A line or an area, as an SVG path in a box of 100 by 100; the class says how it looks."""

    css: str
    d: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A drawing with two axes.

    Attributes:
        title: what it shows.
        says: the same in words, for those who do not see it.
        x, y: the axes.
        x_label, y_label: what they measure, with the unit.
        paths: lines and areas.
    """

    title: str
    says: str
    x: Axis
    y: Axis
    x_label: str
    y_label: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Plots:
    """Plots side by side, as many as the width holds."""

    macro: ClassVar[str] = "plots"
    plots: tuple[Plot, ...]


class Piece(NamedTuple):
    """A phrase of a report; `marks` is empty for text without marks, else (kind, sign and number, meaning) of each."""

    text: str
    marks: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedPair:
    """A candidate beside its reference, marked, and the findings that were compared.

    Attributes:
        system: whose candidate it is.
        texts: the pieces of each report, by role.
        findings: the rows of the comparison.
    """

    system: Name
    texts: tuple[tuple[str, tuple[Piece, ...]], ...]
    findings: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """A case and why it is shown."""

    macro: ClassVar[str] = "case"
    case_id: str
    why: tuple[str, ...]
    scores: Table
    pairs: tuple[MarkedPair, ...] = ()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; a warning stands out."""

    macro: ClassVar[str] = "paragraph"
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Legend:
    """The systems and their markers, or the kinds of marks with their signs."""

    macro: ClassVar[str] = "legend"
    systems: tuple[Name, ...] = ()
    marks: tuple[tuple[str, str, str], ...] = ()


Block = Table | Plots | CaseView | Paragraph | Legend


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page, with a heading."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that the page shows."""

    title: str
    about: str
    sections: tuple[Section, ...]
    generator: str = field(default="cxr_rewards")
