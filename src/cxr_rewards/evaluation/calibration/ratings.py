"""Ratings and preferences of radiologists, read from a table.

Three forms: a column for each rater (wide), a row for each rater (long), or a row for each pair of candidates with the
one that is better.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cxr_rewards.errors import ConfigError, InputError, shorten, unknown_name
from cxr_rewards.evaluation.calibration.agreement import Compared, Judgments
from cxr_rewards.evaluation.calibration.rating_columns import Layout, RatingColumns, choose_layout
from cxr_rewards.evaluation.calibration.texts import Texts, own_texts, read_texts
from cxr_rewards.files import is_placeholder, open_table
from cxr_rewards.files.table import Row, Table
from cxr_rewards.types import Case

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Codes = NDArray[np.int64]

_FIRST, _SECOND = ("a", "first", "left", "1", ">"), ("b", "second", "right", "2", "<")
_NEITHER = ("tie", "equal", "same", "both", "neither", "0", "=", "no preference")


@dataclass(frozen=True, kw_only=True, eq=False)
class Ratings:
    """Candidates, and what raters say of them.

    Attributes:
        path: the file.
        rows: of the file.
        cases: the candidates, each once, with their texts (empty if the file has none).
        groups: (candidates,): the case of each; candidates of one case are compared with each other.
        first_row: (candidates,): the row of each where it stands first, from 0.
        raters: their names.
        values: (candidates, raters): ratings, higher is better (counts of errors are negated); NaN if there is none.
            None if the file holds preferences.
        pairs: (pairs, 2): candidates that were compared. Empty if the file holds ratings.
        preferred: (pairs, raters): 1 if the first is better, -1 if the second, 0 if neither, NaN if the rater did not
            say.
        within_case: ratings of different cases cannot be compared.
    """

    path: Path
    rows: int
    cases: tuple[Case, ...]
    groups: tuple[str, ...]
    first_row: tuple[int, ...]
    raters: tuple[str, ...]
    values: Numbers | None
    pairs: Codes
    preferred: Numbers
    within_case: bool = False

    @property
    def codes(self) -> Codes:
        """(candidates,): a number for each case, from 0 in the order of the file."""
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(group, len(numbers)) for group in self.groups], dtype=np.int64)

    def judgments(self, raters: Sequence[int] | None = None) -> Judgments:
        """Return what some of the raters say together, all by default: mean ratings, and the order of pairs."""
        chosen = list(range(len(self.raters))) if raters is None else list(raters)
        if self.values is None:
            votes = self.preferred[:, chosen]
            mean = _mean(votes)
            return Judgments(
                values=None, first=self.pairs[:, 0], second=self.pairs[:, 1], order=np.sign(mean), share=(mean + 1) / 2
            )
        values = self.values[:, chosen]
        mean = _mean(values)
        first, second = self._pairs()
        share = (_mean(np.sign(values[first] - values[second])) + 1) / 2
        order = np.sign(mean[first] - mean[second])
        return Judgments(
            values=None if self.within_case else mean, first=first, second=second, order=order, share=share
        )

    def rater(self, which: int, judged: Judgments) -> Compared:
        """Return what one rater says, beside the judgments of others."""
        if self.values is None:
            return Compared(judged, None, self.preferred[:, which])
        return Compared.of(self.values[:, which], judged)

    def take(self, kept: Sequence[int]) -> Ratings:
        """Return the ratings of some candidates, by their places; of pairs those that are kept whole."""
        place = {old: new for new, old in enumerate(kept)}
        whole = [i for i, (a, b) in enumerate(self.pairs.tolist()) if a in place and b in place]
        pairs = [[place[a], place[b]] for a, b in self.pairs[whole].tolist()]
        return Ratings(
            path=self.path,
            rows=self.rows,
            cases=tuple(self.cases[i] for i in kept),
            groups=tuple(self.groups[i] for i in kept),
            first_row=tuple(self.first_row[i] for i in kept),
            raters=self.raters,
            values=None if self.values is None else self.values[list(kept)],
            pairs=np.array(pairs, dtype=np.int64).reshape(-1, 2),
            preferred=self.preferred[whole],
            within_case=self.within_case,
        )

    def _pairs(self) -> tuple[Codes, Codes]:
        members: dict[str, list[int]] = {}
        for i, group in enumerate(self.groups):
            members.setdefault(group, []).append(i)
        pairs = [(a, b) for places in members.values() for n, a in enumerate(places) for b in places[n + 1 :]]
        listed = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return listed[:, 0], listed[:, 1]


def read_ratings(
    path: str | Path,
    columns: RatingColumns | None = None,
    *,
    texts: str | Path | None = None,
    texts_needed: bool = True,
    within_case: bool = False,
) -> Ratings:
    r"""Read ratings or preferences from a CSV, TSV, JSONL or Parquet file.

    Args:
        path: the file.
        columns: what the columns hold; the usual names are looked for by default.
        texts: another file that holds the reports, if this one does not.
        texts_needed: raise if there are no reports.
        within_case: ratings are comparable only among the candidates of one case.

    Raises:
        InputError: a bad row, a rating that is not a number, an unknown preference, a rater that rates a candidate
            twice, a column that is missing, or a candidate without texts; names file, row and column.
        OSError: the file cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "ratings.csv")
        >>> _ = path.write_text("case,reference,candidate,rater_1,rater_2\n"
        ...     "s1,Effusion.,Effusion.,5,4\ns1,Effusion.,Clear lungs.,1,\n")
        >>> ratings = read_ratings(path)
        >>> ratings.raters, ratings.values.tolist(), ratings.groups
        (('rater_1', 'rater_2'), [[5.0, 4.0], [1.0, nan]], ('s1', 's1'))
    """
    columns = columns or RatingColumns()
    table = open_table(path)
    layout = choose_layout(table, columns, texts=texts is not None)
    rows = []
    for row in table.rows():
        if row.error is not None:
            raise row.error
        rows.append(row)
    found = read_texts(texts, columns) if texts is not None else own_texts(table, columns, layout, needed=texts_needed)
    read = _read_pairs if layout.preferred else _read_ratings
    return read(_Reader(table, rows, layout, found, columns), within_case)


class _Reader:
    """The rows of a file, and the candidates that have been met in them."""

    def __init__(self, table: Table, rows: Sequence[Row], layout: Layout, texts: Texts, columns: RatingColumns) -> None:
        self.table, self.rows, self.layout, self.texts, self.columns = table, rows, layout, texts, columns
        self.places: dict[object, int] = {}
        self.cases: list[Case] = []
        self.groups: list[str] = []
        self.first_row: list[int] = []

    def group(self, row: Row) -> str:
        """Return the case of a row: its cell, or the reference if no column names cases."""
        column = self.layout.case
        if not column:
            return self.texts.reference_of(row)
        name = _cell(row.values.get(column))
        if not name:
            raise InputError(f"{row.where}, column {column!r}: names no case; fill it, or name another --case-col")
        return name

    def candidate(self, row: Row, number: int, group: str, side: int = 0) -> int:
        """Return the place of the candidate of a row; of a pair, of one of the two."""
        name = self._name(row, side)
        case = self.texts.case(row, group, name, side)
        if self.layout.wide:
            key: object = number
        else:
            key = (group, name or case.candidate)
        if key not in self.places:
            self.places[key] = len(self.cases)
            self.cases.append(case)
            self.groups.append(group)
            self.first_row.append(number)
        return self.places[key]

    def _name(self, row: Row, side: int) -> str:
        if not self.layout.ids:
            return ""
        column = self.layout.ids[side]
        name = _cell(row.values.get(column))
        if not name:
            raise InputError(f"{row.where}, column {column!r}: names no candidate; fill it")
        return name

    def counted(self, row: Row) -> bool:
        """Return whether a row has the value that `only` asks for."""
        return all(_cell(row.values.get(column)) == wanted for column, wanted in self.columns.only.items())

    def ratings(self, **found: Any) -> Ratings:
        """Return the ratings of the candidates met."""
        return Ratings(
            path=self.table.path,
            rows=len(self.rows),
            cases=tuple(self.cases),
            groups=tuple(self.groups),
            first_row=tuple(self.first_row),
            **found,
        )


def _read_ratings(reader: _Reader, within_case: bool) -> Ratings:
    layout, columns = reader.layout, reader.columns
    sign = -1.0 if columns.errors else 1.0
    cells: list[dict[str, float]] = []
    raters: dict[str, None] = {} if layout.rater else dict.fromkeys(layout.ratings)
    for number, row in enumerate(reader.rows):
        place = reader.candidate(row, number, reader.group(row))
        if place == len(cells):
            cells.append({})
        given = cells[place]
        counts = reader.counted(row)
        for name, value in _ratings_of(row, layout).items():
            raters.setdefault(name)
            if math.isnan(value):
                continue
            if name in given and not columns.errors:
                raise InputError(
                    f"{row.where}: {shorten(name)} rates this candidate a second time; keep one rating, name the "
                    "candidates with --candidate-id-col, or add up counts of errors with --errors"
                )
            given[name] = given.get(name, 0.0) + (sign * value if counts else 0.0)
    named = tuple(raters)
    values = np.array([[given.get(name, math.nan) for name in named] for given in cells], dtype=np.float64)
    return reader.ratings(
        raters=named,
        values=values,
        pairs=np.empty((0, 2), dtype=np.int64),
        preferred=np.empty((0, len(named))),
        within_case=within_case,
    )


def _ratings_of(row: Row, layout: Layout) -> dict[str, float]:
    """Return the ratings in a row by rater; NaN where there is none."""
    if layout.rater:
        name = _cell(row.values.get(layout.rater))
        if not name:
            raise InputError(f"{row.where}, column {layout.rater!r}: names no rater; fill it")
        (summed,) = layout.ratings.values()
        return {name: _sum(row, summed)}
    if layout.listed:
        (column,) = layout.listed
        return {f"rater {n}": value for n, value in enumerate(_list(row, column), 1)}
    return {name: _sum(row, summed) for name, summed in layout.ratings.items()}


def _sum(row: Row, columns: Sequence[str]) -> float:
    values = [_number(row, column, row.values.get(column)) for column in columns]
    known = [value for value in values if not math.isnan(value)]
    return sum(known) if known else math.nan


def _list(row: Row, column: str) -> list[float]:
    value = row.values.get(column)
    if isinstance(value, str):
        if not _cell(value):
            return []
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"{row.where}, column {column!r}: expected a list of numbers, got {shorten(value)}")
    return [_number(row, column, one) for one in value]


def _number(row: Row, column: str, value: object) -> float:
    text = _cell(value)
    try:
        number = float(text) if text else math.nan
    except ValueError:
        number = math.inf
    if math.isinf(number) or isinstance(value, bool):
        raise InputError(
            f"{row.where}, column {column!r}: expected a number or an empty cell, got {shorten(value)}; correct the "
            "cell, or name the columns of ratings with --rating-col"
        )
    return number


def _read_pairs(reader: _Reader, within_case: bool) -> Ratings:
    layout = reader.layout
    votes: dict[tuple[int, int], dict[str, float]] = {}
    raters: dict[str, None] = {}
    if reader.columns.errors or reader.columns.only:
        raise ConfigError("preferences are not counts: leave --errors and --only out")
    for number, row in enumerate(reader.rows):
        group = reader.group(row)
        first, second = (reader.candidate(row, number, group, side) for side in (0, 1))
        if first == second:
            raise InputError(f"{row.where}: compares a candidate with itself; leave the row out")
        name = _cell(row.values.get(layout.rater)) if layout.rater else "rater"
        vote = _vote(row, layout.preferred)
        if first > second:
            first, second, vote = second, first, -vote
        given = votes.setdefault((first, second), {})
        raters.setdefault(name)
        if name in given:
            raise InputError(f"{row.where}: {shorten(name)} compares these two a second time; keep one of the rows")
        given[name] = vote
    named = tuple(raters)
    preferred = [[given.get(name, math.nan) for name in named] for given in votes.values()]
    return reader.ratings(
        raters=named,
        values=None,
        pairs=np.array(list(votes), dtype=np.int64).reshape(-1, 2),
        preferred=np.array(preferred, dtype=np.float64).reshape(-1, len(named)),
        within_case=within_case,
    )


def _vote(row: Row, column: str) -> float:
    text = _cell(row.values.get(column)).lower()
    text = text.removesuffix(".0")
    for words, vote in ((_FIRST, 1.0), (_SECOND, -1.0), (_NEITHER, 0.0)):
        if text in words or text.removeprefix("candidate_") in words or text.removeprefix("report_") in words:
            return vote
    if not text:
        return math.nan
    raise InputError(
        unknown_name(f"{row.where}, column {column!r}", "preference", text, (*_FIRST, *_SECOND, *_NEITHER))
    )


def _cell(value: object) -> str:
    """Return a cell as text; empty if it says that nothing is there."""
    if value is None or is_placeholder(value) or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()


def _mean(values: Numbers) -> Numbers:
    """Return the means of the rows over what is known; NaN if nothing is."""
    known = np.isfinite(values)
    with np.errstate(all="ignore"):
        mean: Numbers = np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)
    return mean


def count_unrated(ratings: Ratings) -> Counter[str]:
    """Return how many candidates nobody rates, by the reason."""
    if ratings.values is None:
        return Counter()
    return Counter({"no rating": int((~np.isfinite(ratings.values).any(axis=1)).sum())})
