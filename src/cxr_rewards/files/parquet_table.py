"""Parquet, read a slice at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cxr_rewards.errors import InputError
from cxr_rewards.files.content import Content
from cxr_rewards.files.table import FRAME_ROWS, Row, Table

if TYPE_CHECKING:
    import polars as pl

_MAGIC = b"PAR1"


class ParquetTable(Table):
    """A Parquet file; cells are Python values of its types, lists and structs included."""

    kind = "parquet"

    def __init__(self, content: Content) -> None:
        """Read the metadata and look for a first row."""
        super().__init__(content)
        size = content.readable.stat().st_size
        with content.readable.open("rb") as file:
            start = file.read(4)
            file.seek(max(0, size - 4))
            end = file.read(4)
        if start != _MAGIC:
            raise InputError(
                f"{self.name}: is not a Parquet file: it starts with {start!r}, not {_MAGIC!r}; write it again"
            )
        if end != _MAGIC or size < 12:
            raise InputError(f"{self.name}: is truncated: a Parquet file ends with {_MAGIC!r}; copy or write it again")
        with self._reading("its metadata"):
            self._schema = dict(self._scan().collect_schema())
            empty = not self._slice(0, 1, list(self._schema)[:1]).height
        self.columns = tuple(self._schema)
        if empty:
            raise InputError(f"{self.name}: has columns ({', '.join(self.columns)}) but no rows")

    def schema(self) -> dict[str, pl.DataType]:
        """Return the file's own types."""
        return dict(self._schema)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Iterate over the file's own values, without converting them to Python."""
        self._check_unchanged()
        return self._frames(list(self.columns))

    def _rows(self, columns: Collection[str] | None) -> Iterator[Row]:
        path, number = self.name, 0
        for frame in self._frames([name for name in self.columns if columns is None or name in columns]):
            for values in frame.iter_rows(named=True):
                number += 1
                yield Row(path, number, None, values)

    def _frames(self, columns: list[str]) -> Iterator[pl.DataFrame]:
        start = 0
        while True:
            with self._reading(f"rows {start + 1} to {start + FRAME_ROWS} or so"):
                frame = self._slice(start, FRAME_ROWS, columns)
            if not frame.height:
                return
            yield frame
            start += frame.height

    def _scan(self) -> pl.LazyFrame:
        import polars as pl

        return pl.scan_parquet(self._content.readable, glob=False, hive_partitioning=False)

    def _slice(self, start: int, rows: int, columns: list[str]) -> pl.DataFrame:
        # Slices keep memory flat; polars' own batches run ahead of their reader.
        return self._scan().select(columns).slice(start, rows).collect(engine="in-memory")

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        import polars as pl

        try:
            yield
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"{self.name}: corrupt: {what} cannot be read ({error}); write it again") from error
