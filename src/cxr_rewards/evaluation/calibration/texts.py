"""Reports of the candidates that raters rate: in the file of ratings, or in another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cxr_rewards.errors import InputError, shorten
from cxr_rewards.evaluation.calibration.rating_columns import Layout, RatingColumns, choose_case, choose_id
from cxr_rewards.files import ColumnMap, choose_columns, is_placeholder, open_table, to_case
from cxr_rewards.files.table import Row, Table
from cxr_rewards.types import Case


class Texts(Protocol):
    """Where the reports are."""

    def reference_of(self, row: Row) -> str:
        """Return the reference of a row, which stands for the case if no column names it."""

    def case(self, row: Row, group: str, name: str, side: int) -> Case:
        """Return the candidate of a row.

        Args:
            row: of the ratings.
            group: its case.
            name: of the candidate; may be empty.
            side: of a pair: 0 or 1.
        """


@dataclass(frozen=True)
class OwnTexts:
    """Reports in the file of ratings itself: a map of columns for each candidate of a row; none without texts."""

    maps: tuple[ColumnMap, ...]

    def reference_of(self, row: Row) -> str:
        """Return the reference of a row."""
        if not self.maps:
            raise InputError(f"{row.where}: no column names the case; name it with --case-col")
        return to_case(row, self.maps[0]).reference or ""

    def case(self, row: Row, group: str, name: str, side: int) -> Case:  # noqa: ARG002 - as `OtherTexts`
        """Return the candidate of a row."""
        return to_case(row, self.maps[side]) if self.maps else Case(candidate="", reference="")


@dataclass(frozen=True)
class OtherTexts:
    """Reports of another file, by case and name of the candidate; without names, the only one of the case."""

    path: Path
    cases: Mapping[tuple[str, str], Case]

    def reference_of(self, row: Row) -> str:
        """Raise, because nothing says which reference a row means."""
        raise InputError(f"{row.where}: no column names the case in {self.path}; name it with --case-col")

    def case(self, row: Row, group: str, name: str, side: int) -> Case:  # noqa: ARG002 - as `OwnTexts`
        """Return the candidate of a row."""
        case = self.cases.get((group, name))
        if case is None:
            known = [candidate for of, candidate in self.cases if of == group]
            cure = f"it has {', '.join(map(repr, known))}" if known else "the case is not there"
            raise InputError(
                f"{row.where}: no report of candidate {shorten(name)} of case {shorten(group)} in {self.path}: {cure}"
            )
        return case


def own_texts(table: Table, named: RatingColumns, layout: Layout, *, needed: bool) -> OwnTexts:
    """Return the columns of reports of a file of ratings."""
    where = str(table.path)
    if len(named.candidate) > 1:
        raise InputError(f"{where}: several columns of candidates are for a file of texts; give --texts, or one column")
    columns = [name for name in table.columns if name not in layout.pair]
    about = {"reference": named.reference or None, "priors": named.priors, "case_id": "", "where": where}
    try:
        if layout.preferred:
            listed = choose_columns(columns, references_only=True, **about)  # type: ignore[arg-type]
            maps = [
                ColumnMap(candidate=name, reference=listed.reference, priors=listed.priors, context=listed.context)
                for name in layout.pair
            ]
            return OwnTexts(tuple(maps))
        candidate = named.candidate[0] if named.candidate else None
        return OwnTexts((choose_columns(columns, candidate=candidate, **about),))  # type: ignore[arg-type]
    except InputError:
        if needed or named.candidate or named.reference:
            raise
        return OwnTexts(())


def read_texts(path: str | Path, named: RatingColumns) -> OtherTexts:
    """Read the reports of another file.

    Raises:
        InputError: a bad row, or a candidate that occurs twice.
    """
    table = open_table(path)
    where = str(table.path)
    case_column = choose_case(table, named)
    if not case_column:
        raise InputError(f"{where}: no column names the case; columns: {', '.join(table.columns)}. Use --case-col")
    candidates = named.candidate or (None,)
    reference = named.reference or None
    maps = {
        name or "": choose_columns(
            table.columns, candidate=name, reference=reference, priors=named.priors, case_id="", where=where
        )
        for name in candidates
    }
    id_column = "" if len(maps) > 1 else choose_id(table, named)
    cases: dict[tuple[str, str], Case] = {}
    for row in table.rows():
        if row.error is not None:
            raise row.error
        group = _text(row.values.get(case_column))
        for name, columns in maps.items():
            given = name if len(maps) > 1 else _text(row.values.get(id_column)) if id_column else ""
            if (group, given) in cases:
                raise InputError(
                    f"{row.where}: candidate {shorten(given)} of case {shorten(group)} is there a second time; name "
                    "candidates apart with --candidate-id-col"
                )
            cases[group, given] = to_case(row, columns)
    return OtherTexts(table.path, cases)


def _text(value: object) -> str:
    return "" if value is None or is_placeholder(value) else str(value).strip()
