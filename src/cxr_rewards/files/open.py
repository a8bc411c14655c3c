"""Open a table on disk: the extension picks the format."""

from __future__ import annotations

import difflib
from itertools import islice
from pathlib import Path

from cxr_rewards.errors import InputError, shorten
from cxr_rewards.files.csv_table import CsvTable
from cxr_rewards.files.jsonl_table import JsonlTable
from cxr_rewards.files.parquet_table import ParquetTable
from cxr_rewards.files.table import Table, format_of


def open_table(path: str | Path) -> Table:
    r"""Open a table; the extension gives the format.

    Reads the file once for its checksum, which reveals a later change of its content; a JSONL file also for its
    columns.

    Raises:
        InputError: the file is missing, not a regular file, unreadable, empty or of unknown extension; its header is
            broken; or it has no rows.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "reports.csv").write_text("candidate,reference\nNo effusion.,Small effusion.\n")
        >>> table = open_table(folder / "reports.csv")
        >>> table.columns
        ('candidate', 'reference')
        >>> [(row.number, row.line, row.values["reference"]) for row in table]
        [(1, 2, 'Small effusion.')]
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a file")
    if path.exists() and not path.is_file():  # opening a pipe may block for ever, and it can be read only once
        raise InputError(f"{path}: is not a regular file (a pipe or a device?); save what it gives to a file")
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file{_nearby(path)}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    kind = format_of(path)
    if not start:
        raise InputError(f"{path}: is empty; expected a {kind} file with at least one row")
    if kind == "parquet":
        return ParquetTable(path)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{path}: is UTF-16, not UTF-8; save it as UTF-8 (Excel: 'CSV UTF-8')")
    return JsonlTable(path) if kind == "jsonl" else CsvTable(path)


def _nearby(path: Path) -> str:
    try:
        names = [other.name for other in islice(path.parent.iterdir(), 1_000)]
    except OSError:
        return f", nor is there a folder {shorten(str(path.parent))}"
    nearest = difflib.get_close_matches(path.name, names, n=1)
    return f". Did you mean {nearest[0]!r}?" if nearest else "; check the path"
