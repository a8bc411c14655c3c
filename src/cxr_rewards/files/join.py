"""Candidates and references in two files, joined by an id."""

from __future__ import annotations

import json
import math
import re
import sqlite3
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cxr_rewards.errors import InputError, shorten, unknown_name
from cxr_rewards.files.cases import is_placeholder
from cxr_rewards.files.columns import (
    ColumnMap,
    choose_columns,
    find_candidate,
    find_reference,
    find_shared_id,
    split_names,
)
from cxr_rewards.files.table import Row, Table, place
from cxr_rewards.files.values import plain

if TYPE_CHECKING:
    import polars as pl

PREFIX = "reference_"
"""Stands before the name of a column of the references that the candidates have, too."""

_EXACT = 2**53


class JoinedTable(Table):
    """The rows of the candidates, each with the columns of its reference.

    A row without a reference is a bad row. A reference without a candidate is a bad row after all others, so that no
    study is lost unseen. The columns of the references follow those of the candidates, without the id; the name of one
    that both have gets `PREFIX`. Values of a reference that are neither text, number nor truth value are JSON text in
    Parquet.
    """

    def __init__(self, candidates: Table, references: Table, on: str | None = None) -> None:
        """Read both files once.

        Args:
            candidates: one row or several for each reference.
            references: each id once.
            on: the column of ids, or `LEFT=RIGHT` if it has another name in the references; `None`: the usual name
                that both have.

        Raises:
            InputError: there is no such column, an id occurs twice among the references, or two columns would have one
                name.
            OSError: no space for the temporary file that holds the references.
        """
        self.path, self.name, self.kind = candidates.path, candidates.name, candidates.kind
        self.notes = [*candidates.notes, *(f"{references.name}: {note}" for note in references.notes)]
        self.key = candidates.key
        self._candidates, self._references = candidates, references
        self._id, self._other_id = _ids(candidates, references, on)
        self._renamed = self._names()
        self.columns = (*candidates.columns, *self._renamed.values())
        self._index = _Index(references, self._other_id)
        weakref.finalize(self, self._index.close)
        self._index.mark(candidates, self._id)
        self.notes.append(f"references from {references.name}, by {self._id!r}")

    @property
    def paths(self) -> tuple[Path, ...]:
        """Both files."""
        return (*self._candidates.paths, *self._references.paths)

    def _names(self) -> dict[str, str]:
        taken = set(self._candidates.columns)
        names = {
            name: PREFIX + name if name in taken else name
            for name in self._references.columns
            if name != self._other_id
        }
        new = list(names.values())
        if twice := [name for name in new if name in taken or new.count(name) > 1]:
            raise InputError(
                f"{self._references.name}: column {twice[0].removeprefix(PREFIX)!r} is in both files, and its new name "
                f"{twice[0]!r} exists, too; rename one of them"
            )
        return names

    def choose_columns(self, **named: Any) -> ColumnMap:
        """Find the columns of a case: the candidate among those of the one file, the reference among the other's.

        Args:
            **named: as of `choose_columns`; `reference` may be named as it is in its file. Cases are named by the id.
        """
        candidate = named.pop("candidate", None) or find_candidate(self._candidates.columns, self._candidates.name)
        given, own = named.pop("reference", None), self._references.columns
        sections = split_names(given, [*own, *self.columns]) or find_reference(own, self._references.name)
        for name in sections:
            if name not in own and name not in self._renamed.values():
                raise InputError(unknown_name(self._references.name, "column", name, own))
        reference = ",".join(self._renamed.get(name, name) for name in sections)
        if named.get("case_id") is None:
            named["case_id"] = self._id
        return choose_columns(self.columns, candidate=candidate, reference=reference, where=self.name, **named)

    def rows(self, columns: Collection[str] | None = None) -> Iterator[Row]:
        """Iterate over the candidates' rows, then over references without a candidate."""
        self._check_unchanged()
        return self._rows(columns)

    def fingerprint(self) -> dict[str, int | str]:
        """Return those of both files, and the columns of ids."""
        other = {f"references_{key}": value for key, value in self._references.fingerprint().items()}
        return {**self._candidates.fingerprint(), **other, "on": f"{self._id}={self._other_id}"}

    def schema(self) -> dict[str, pl.DataType]:
        """Return the types of both files' columns."""
        import polars as pl

        simple = (pl.Boolean(), pl.Int64(), pl.Float64(), pl.String())
        other = self._references.schema()
        added = {new: other[name] if other[name] in simple else pl.String() for name, new in self._renamed.items()}
        return {**self._candidates.schema(), **added}

    def _series(self, name: str, kind: pl.DataType, chunk: Sequence[Mapping[str, object]]) -> pl.Series:
        import polars as pl

        if name in self._candidates.columns:
            return self._candidates._series(name, kind, chunk)
        cells = [values.get(name) for values in chunk]
        if kind == pl.String():
            cells = [
                cell if cell is None or isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)
                for cell in cells
            ]
        elif kind == pl.Float64():
            cells = [None if cell is None else float(cell) for cell in cells]  # type: ignore[arg-type]
        return pl.Series(name, cells, dtype=kind)

    def _rows(self, columns: Collection[str] | None) -> Iterator[Row]:
        wanted = None if columns is None else {*columns, self._id} & set(self._candidates.columns)
        for row in self._candidates.rows(wanted):
            yield self._joined(row)
        for found in self._index.unused():
            values = {**dict.fromkeys(self._candidates.columns), self._id: found.id, **self._named(found.values)}
            yield Row(self._references.name, found.number, found.line, values, self._alone(found))

    def _alone(self, found: _Found) -> InputError:
        if found.error or found.id is None:
            return InputError(found.error)
        where = place(self._references.name, found.number, found.line)
        near = _nearly(self._index.near_candidate(found.id))
        return InputError(
            f"{where}, column {self._other_id!r}: {shorten(found.id)} is not in {self.name}{near}; "
            "add its candidate, or leave out the row"
        )

    def _joined(self, row: Row) -> Row:
        nothing: dict[str, object] = dict.fromkeys(self._renamed.values())
        if row.error is not None:
            return row._replace(values={**row.values, **nothing})
        try:
            own = joining_id(row.values.get(self._id), row, self._id)
            found = self._index.find(own)
        except InputError as error:
            return row._replace(values={**row.values, **nothing}, error=error)
        if found is None:
            missing = (
                f"{row.where}, column {self._id!r}: {shorten(own)} is not in {self._references.name}"
                f"{_nearly(self._index.near(own))}; add its reference, or leave out the row"
            )
            return row._replace(values={**row.values, **nothing}, error=InputError(missing))
        values = {**row.values, **nothing, **self._named(found.values)}
        return row._replace(values=values, error=InputError(found.error) if found.error else None)

    def _named(self, values: Mapping[str, object]) -> dict[str, object]:
        return {self._renamed[name]: value for name, value in values.items() if name in self._renamed}

    def _check_unchanged(self) -> None:
        self._candidates._check_unchanged()
        self._references._check_unchanged()


def joining_id(value: object, row: Row, column: str) -> str:
    """Return an id as it is compared: without blanks around it, a whole number as its digits.

    A text is never taken for a number: `"007"` is not 7.

    Raises:
        InputError: there is no id, or it is a number that files cannot hold exactly.

    Example:
        >>> row = Row("in.csv", 1, 2, {})
        >>> [joining_id(value, row, "id") for value in ("007 ", 7, 7.0)]
        ['007', '7', '7']
    """
    if (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or is_placeholder(value)
        or not str(value).strip()
    ):
        raise InputError(f"{row.where}, column {column!r}: has no id; write one, or leave out the row")
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > _EXACT:
            raise InputError(
                f"{row.where}, column {column!r}: {value!r} is a number that may have lost digits; write ids as text"
            )
        return str(int(value))
    return str(value).strip()


def _ids(candidates: Table, references: Table, on: str | None) -> tuple[str, str]:
    if on is not None:
        left, _, right = (on, "", on) if on in candidates.columns else on.partition("=")
        left, right = left.strip(), right.strip() or left.strip()
        for table, name in ((candidates, left), (references, right)):
            if name not in table.columns:
                raise InputError(unknown_name(f"{table.name}: --on", "column", name, table.columns))
        return left, right
    if candidates.key and references.key:
        return candidates.key, references.key
    shared = find_shared_id(candidates.columns, references.columns)
    if len(shared) != 1:
        what = f"several columns of ids in both: {', '.join(shared)}" if shared else "no column of ids that both have"
        raise InputError(
            f"{candidates.name} and {references.name}: {what}. Name it with --on COLUMN, or --on COLUMN=COLUMN if the "
            "references call it otherwise"
        )
    return shared[0], shared[0]


def _nearly(near: str) -> str:
    return f" (but {shorten(near)} is: write ids the same way in both)" if near else ""


def _loosely(text: str) -> str:
    """Return an id without what programs change: case, leading zeros, the `.0` of a float."""
    text = re.sub(r"\s+", "", text).casefold().removesuffix(".0")
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


class _Found(NamedTuple):
    id: str | None
    number: int
    line: int | None
    values: dict[str, object]
    error: str


class _Index:
    """The rows of the references by id, in a temporary file if they are many."""

    def __init__(self, references: Table, column: str) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE rows (number INTEGER PRIMARY KEY, line INTEGER, id TEXT UNIQUE, cells TEXT, error TEXT, "
            "used INTEGER)",
            "CREATE TABLE near (loose TEXT, side INTEGER, id TEXT, PRIMARY KEY (loose, side)) WITHOUT ROWID",
            "BEGIN",
        ):
            self._db.execute(statement)
        for row in references.rows():
            self._add(row, column)

    def _add(self, row: Row, column: str) -> None:
        error, name = str(row.error or ""), None
        try:
            name = joining_id(row.values.get(column), row, column)
        except InputError as lost:
            error = error or str(lost)
        cells = json.dumps(plain(row.values))
        new = self._run(
            "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, 0)", (row.number, row.line, name, cells, error)
        )
        if name is None:
            return
        if not new.rowcount:
            first = self.find(name)
            assert first is not None
            twice = (
                f"{row.where}, column {column!r}: {shorten(name)} is already the id of "
                f"{place('', first.number, first.line)[2:]}; leave one of the references"
            )
            self._run("UPDATE rows SET error = ? WHERE id = ?", (twice, name))
        self._run("INSERT OR IGNORE INTO near VALUES (?, 1, ?)", (_loosely(name), name))

    def close(self) -> None:
        self._db.close()

    def mark(self, candidates: Table, column: str) -> None:
        """Note which rows have a candidate."""
        for row in candidates.rows([column]):
            try:
                name = joining_id(row.values.get(column), row, column)
            except InputError:
                continue
            if not self._run("UPDATE rows SET used = 1 WHERE id = ?", (name,)).rowcount:
                self._run("INSERT OR IGNORE INTO near VALUES (?, 0, ?)", (_loosely(name), name))

    def find(self, name: str) -> _Found | None:
        """Return the row of an id."""
        return self._found("id = ?", name)

    def near(self, name: str, side: int = 1) -> str:
        """Return the id of a reference that differs only in case, zeros or blanks; empty if there is none."""
        found = self._run("SELECT id FROM near WHERE loose = ? AND side = ?", (_loosely(name), side)).fetchone()
        return found[0] if found else ""

    def near_candidate(self, name: str) -> str:
        """Return the id of such a candidate that has no reference."""
        return self.near(name, 0)

    def unused(self) -> Iterator[_Found]:
        """Iterate over rows without a candidate, in the order of the file."""
        last = 0
        while (found := self._found("NOT used AND number > ? ORDER BY number LIMIT 1", last)) is not None:
            last = found.number
            yield found

    def _found(self, which: str, value: object) -> _Found | None:
        columns = "id, number, line, cells, error"
        found = self._run(f"SELECT {columns} FROM rows WHERE {which}", (value,)).fetchone()  # noqa: S608 - our own text
        if found is None:
            return None
        name, number, line, cells, error = found
        return _Found(name, number, line, json.loads(cells), error)

    def _run(self, statement: str, values: Sequence[object]) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise OSError(f"the temporary file of references: {error}; free some space") from error
