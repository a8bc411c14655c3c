"""Excel: one sheet of an .xlsx file, its first row the header; read whole, because the format cannot be streamed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from cxr_rewards.errors import InputError, MissingDependencyError, shorten
from cxr_rewards.files.content import Content
from cxr_rewards.files.table import FRAME_ROWS, Row, Table

if TYPE_CHECKING:
    import polars as pl

MAX_BYTES = 50_000_000
"""Largest file that is read: its content needs several times as much memory."""


class ExcelTable(Table):
    """A sheet; cells are texts, numbers, truth values and dates. A column with texts and numbers is text."""

    kind = "xlsx"

    def __init__(self, content: Content, sheet: str | None = None) -> None:
        """Read the sheet.

        Args:
            content: the file.
            sheet: its name; `None`: the first one.
        """
        super().__init__(content)
        size = content.readable.stat().st_size
        if size > MAX_BYTES:
            raise InputError(
                f"{self.name}: has {size / 1e6:,.0f} MB; Excel files are read whole, up to {MAX_BYTES / 1e6:,.0f} MB: "
                "save it as CSV or Parquet"
            )
        self._sheet, cells, self._frame = _load(content, sheet)
        names = _checked(cells, f"{self.name}: sheet {self._sheet!r}")
        self._frame.columns = names
        self.columns = tuple(names)
        if self._empty.all():
            raise InputError(f"{self.name}: sheet {self._sheet!r} has a header ({', '.join(names)}) but no rows")

    @property
    def _empty(self) -> pl.Series:
        import polars as pl

        return self._frame.select(pl.all_horizontal(pl.all().is_null())).to_series()

    def fingerprint(self) -> dict[str, int | str]:
        """Return size and SHA-256 of the file, and the name of the sheet."""
        return {**super().fingerprint(), "sheet": self._sheet}

    def schema(self) -> dict[str, pl.DataType]:
        """Return the types of the columns as they were read."""
        return dict(self._frame.schema)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Iterate over the values, without converting them to Python."""
        self._check_unchanged()
        return self._frame.filter(~self._empty).iter_slices(FRAME_ROWS)

    def _rows(self, columns: Collection[str] | None) -> Iterator[Row]:  # noqa: ARG002 - all cells are in memory
        number = 0
        for line, (values, empty) in enumerate(
            zip(self._frame.iter_rows(named=True), self._empty, strict=True), 2
        ):  # the header is line 1
            if not empty:
                number += 1
                yield Row(self.name, number, line, values)


def _load(content: Content, sheet: str | None) -> tuple[str, list[object], pl.DataFrame]:
    """Return the name of the sheet, the cells of its first row, and the other rows."""
    import polars as pl

    try:
        import fastexcel
    except ImportError as error:
        raise MissingDependencyError(f'Excel files need: pip install "cxr_rewards[xlsx]" ({error})') from error
    try:
        book: Any = fastexcel.read_excel(str(content.readable))
        names: list[str] = book.sheet_names
        if sheet is not None and sheet not in names:
            raise InputError(f"{content.name}: has no sheet {sheet!r}; sheets: {', '.join(map(repr, names))}")
        name = sheet or names[0]
        header = book.load_sheet(name, header_row=None, n_rows=1).to_polars()
        options: dict[str, Any] = {"header_row": None, "skip_rows": 1, "schema_sample_rows": None}
        rows: pl.DataFrame = book.load_sheet(name, **options).to_polars() if header.height else pl.DataFrame()
    except fastexcel.FastExcelError as error:
        raise InputError(
            f"{content.name}: cannot be read as an Excel file ({_first_line(error)}); save it again as .xlsx"
        ) from error
    if not header.height:
        raise InputError(f"{content.name}: sheet {name!r} is empty; expected a header and at least one row")
    return name, list(header.row(0)), rows


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _checked(cells: list[object], where: str) -> list[str]:
    names = ["" if cell is None else str(cell) for cell in cells]
    names = [name if name.strip() else f"Unnamed: {i}" for i, name in enumerate(names)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{where}: column name {shorten(twice[0])} appears twice; rename one of them")
    return names
