"""Write an Excel file, row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import IO, Any

from cxr_rewards.errors import InputError, MissingDependencyError
from cxr_rewards.files.drawn import DrawnResults
from cxr_rewards.files.table import Table
from cxr_rewards.files.values import cell_text

MAX_ROWS, MAX_COLUMNS, MAX_CHARS = 1_048_575, 16_384, 32_767
"""Limits of a sheet: rows below the header, columns, and characters of a cell."""

_EXACT = 2**53
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "default_date_format": "yyyy-mm-dd hh:mm:ss",
}


def check_fits_excel(table: Table, added: int) -> None:
    """Raise `InputError` if a sheet cannot hold the table with `added` more columns; say what to write instead."""
    cure = "write .csv, .jsonl or .parquet"
    width = len(table.columns) + added
    if width > MAX_COLUMNS:
        raise InputError(
            f"{table.name}: has {width:,} columns with the results, but an Excel sheet {MAX_COLUMNS:,}; {cure}"
        )
    for row in table:
        if row.number > MAX_ROWS:
            raise InputError(f"{table.name}: has more than the {MAX_ROWS:,} rows of an Excel sheet; {cure}")
        for name, value in row.values.items():
            if len(text := value if isinstance(value, str) else cell_text(value)) > MAX_CHARS:
                raise InputError(
                    f"{row.where}, column {name!r}: has {len(text):,} characters, more than the {MAX_CHARS:,} of an "
                    f"Excel cell; {cure}"
                )


def write_excel(file: IO[bytes], table: Table, columns: Mapping[str, type], results: DrawnResults) -> int:
    """Write a table and its results as one sheet; a text that is too long for a cell is cut."""
    try:
        from xlsxwriter import Workbook
    except ImportError as error:
        raise MissingDependencyError(f'Excel files need: pip install "cxr_rewards[xlsx]" ({error})') from error
    book = Workbook(file, _OPTIONS)
    book.set_properties({"created": datetime(2000, 1, 1)})  # noqa: DTZ001 - equal results give equal bytes
    sheet = book.add_worksheet("scores")
    for at, name in enumerate([*table.columns, *columns]):
        sheet.write_string(0, at, name)
    for line, (row, result) in enumerate(results.beside(table), 1):
        for at, value in enumerate([*map(row.values.get, table.columns), *result]):
            _write(sheet, line, at, value)
    rows = results.end()
    book.close()
    return rows


def _write(sheet: Any, line: int, at: int, value: object) -> None:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return
    if isinstance(value, bool):
        sheet.write_boolean(line, at, value)
    elif isinstance(value, (int, float)) and abs(value) <= _EXACT:
        sheet.write_number(line, at, value)
    elif isinstance(value, (datetime, date, time)) and getattr(value, "tzinfo", None) is None:
        sheet.write_datetime(line, at, value)
    else:
        sheet.write_string(line, at, cell_text(value)[:MAX_CHARS])
