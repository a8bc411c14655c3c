"""A table on disk, row by row: the part that all formats share."""

from __future__ import annotations

import hashlib
import weakref
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cxr_rewards.errors import InputError
from cxr_rewards.files.columns import ColumnMap, choose_columns
from cxr_rewards.files.content import Content

if TYPE_CHECKING:
    import polars as pl

FRAME_ROWS = 5_000
"""Rows held in memory at once if a format works in batches: about 10 MB of reports."""


class Row(NamedTuple):
    """One data row, good or bad.

    Attributes:
        file: the table's path, for messages.
        number: 1 for the first data row.
        line: the physical line it starts on, 1 for the first line of the file or sheet; `None` in Parquet.
        values: cell by column: text in CSV, any value in other formats. A bad row has the values that could be read.
        error: why the row is bad; `None` for a good one.
    """

    file: str
    number: int
    line: int | None
    values: Mapping[str, object]
    error: InputError | None = None

    @property
    def where(self) -> str:
        """The place in words.

        Example:
            >>> Row("reports.csv", 12, 15, {}).where
            'reports.csv: row 12 (line 15)'
        """
        return place(self.file, self.number, self.line)


def place(file: str, number: int, line: int | None) -> str:
    """Return the place of a row in words."""
    return f"{file}: row {number}" if line is None else f"{file}: row {number} (line {line})"


class Table(ABC):
    """A file of rows with named columns; may be iterated any number of times, each time from the start.

    Attributes:
        path: the file.
        name: of the file, for messages.
        kind: its format, one of `KINDS`.
        columns: column names in order. In JSONL, the keys of all rows in order of first appearance.
        key: the column that holds the keys of a JSON object of rows; `None` for other tables.
        notes: how the file was read, if that is not plain from its name, such as a delimiter that was found.
    """

    columns: tuple[str, ...]
    kind: str = ""
    key: str | None = None

    def __init__(self, content: Content) -> None:
        """Open with `open_table`, which picks the class and checks the path."""
        self.path, self.name = content.path, content.name
        self.notes: list[str] = []
        self._content = content
        weakref.finalize(self, content.forget)
        self._state = self._now()
        self._digest = self._sha256()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that are read."""
        return (self.path,)

    def choose_columns(self, **named: Any) -> ColumnMap:
        """Find the columns of a case, as `choose_columns` does with the same arguments; cases are named by `key`."""
        if self.key is not None and named.get("case_id") is None:
            named = {**named, "case_id": self.key}
        return choose_columns(self.columns, where=self.name, **named)

    def __iter__(self) -> Iterator[Row]:
        """Iterate over all rows with all columns."""
        return self.rows()

    def rows(self, columns: Collection[str] | None = None) -> Iterator[Row]:
        """Iterate over the rows, good and bad, in the order of the file.

        Args:
            columns: the ones that are needed, all by default. Parquet then reads no others.

        Raises:
            InputError: the content of the file has changed since it was opened, or it is so damaged that no
                later row can be read (a corrupt Parquet page). A problem of one row is that row's `error` instead.
        """
        self._check_unchanged()
        return self._rows(columns)

    def fingerprint(self) -> dict[str, int | str]:
        """Return size and SHA-256 of the content: equal for equal files, wherever and whenever they were written."""
        return {"input_bytes": self._state[0], "input_sha256": self._digest}

    def schema(self) -> dict[str, pl.DataType]:
        """Return the type each column has in Parquet."""
        import polars as pl

        return {name: pl.String() for name in self.columns}

    def frames(self) -> Iterator[pl.DataFrame]:
        """Iterate over all rows as frames of up to `FRAME_ROWS` rows with the types of `schema`."""
        import polars as pl

        schema = self.schema()
        rows = self.rows()
        while chunk := [row.values for row in islice(rows, FRAME_ROWS)]:
            yield pl.DataFrame([self._series(name, kind, chunk) for name, kind in schema.items()])

    def _series(self, name: str, kind: pl.DataType, chunk: Sequence[Mapping[str, object]]) -> pl.Series:
        import polars as pl

        return pl.Series(name, [values.get(name) for values in chunk], dtype=kind)

    @abstractmethod
    def _rows(self, columns: Collection[str] | None) -> Iterator[Row]: ...

    def _check_unchanged(self) -> None:
        """Raise if the content has changed; touching a file, copying it back or changing its rights does not count."""
        try:
            now = self._now()
            same = now == self._state or (now[0] == self._state[0] and self._sha256() == self._digest)
        except FileNotFoundError:
            same = False
        if not same:
            raise InputError(
                f"{self.name}: has changed since it was opened; leave it alone, and start again with --restart"
            )
        self._state = now

    def _now(self) -> tuple[int, int, int, int]:
        state = self.path.stat()
        return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino

    def _sha256(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
