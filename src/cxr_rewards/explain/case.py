"""The case to explain: from texts on the command line, or from a row of a table."""

from __future__ import annotations

from pathlib import Path

from cxr_rewards.errors import InputError, shorten
from cxr_rewards.files import ColumnMap, Table, to_case
from cxr_rewards.types import Case


def text_of(value: str) -> str:
    """Return a text given on the command line: itself, or for `@FILE` the contents of that file.

    Raises:
        InputError: the file is not UTF-8.
        OSError: the file cannot be read.

    Example:
        >>> text_of("No effusion.")
        'No effusion.'
    """
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{value[1:]}: byte 0x{error.object[error.start]:02X} is not UTF-8; save it as UTF-8"
        ) from None


def find_case(table: Table, columns: ColumnMap, *, row: int | None = None, case_id: str = "", max_chars: int) -> Case:
    """Return one case of a table, by row number (1 for the first) or by case id.

    Raises:
        InputError: there is no such row or id, several rows have the id, or the row is bad.
    """
    rows = table.rows(columns.used)
    if row is not None:
        last = 0
        for read in rows:
            last = read.number
            if last == row:
                return to_case(read, columns, max_chars=max_chars)
        raise InputError(f"{table.path}: there is no row {row:,}; the last is row {last:,}")
    if columns.case_id is None:
        raise InputError(f"{table.path}: no column for case ids; name it with --id-col, or choose with --row")
    id_column = columns.case_id
    matches = [r for r in rows if (value := r.values.get(id_column)) is not None and str(value) == case_id]
    if not matches:
        raise InputError(f"{table.path}, column {id_column!r}: there is no case id {shorten(case_id)}")
    if len(matches) > 1:
        numbers = ", ".join(str(r.number) for r in matches[:5]) + (", ..." if len(matches) > 5 else "")
        raise InputError(
            f"{table.path}, column {id_column!r}: case id {shorten(case_id)} is that of rows {numbers}; "
            f"choose with --row"
        )
    return to_case(matches[0], columns, max_chars=max_chars)
