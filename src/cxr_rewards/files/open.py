"""Open a table on disk or from the standard input: the name gives the format, or the first bytes."""

from __future__ import annotations

import difflib
from itertools import islice
from pathlib import Path

from cxr_rewards.errors import InputError, shorten
from cxr_rewards.files.content import STDIN, Content, content_of, content_of_stdin, recoded
from cxr_rewards.files.csv_table import DELIMITERS, CsvTable
from cxr_rewards.files.excel_table import ExcelTable
from cxr_rewards.files.formats import KINDS, TEXT_FORMATS, format_of, holds_lines, kind_of_content, looks_zipped
from cxr_rewards.files.json_table import JsonTable
from cxr_rewards.files.jsonl_table import JsonlTable
from cxr_rewards.files.parquet_table import ParquetTable
from cxr_rewards.files.table import Table

_STDIN = Path("-")


def open_table(
    path: str | Path,
    *,
    kind: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
) -> Table:
    r"""Open a table: CSV, TSV, JSONL, JSON, Parquet or Excel, the text formats also compressed (`.gz`, `.zst`).

    Reads the file once for its checksum, which reveals a later change of its content; a JSONL or JSON file also for its
    columns. What is compressed, or is not UTF-8, is copied to a temporary file first, and so is the standard input.

    Args:
        path: the file; `-` for the standard input.
        kind: the format (`csv`, `tsv`, `jsonl`, `json`, `parquet` or `xlsx`); `None`: by the file's extension; of the
            standard input, by its first bytes.
        encoding: of a text format; `None`: UTF-8, or UTF-16 or UTF-32 if the file begins with their mark.
        delimiter: of a CSV file: one character, or `comma`, `semicolon`, `tab` or `pipe`; `None`: commas (of a TSV,
            tabs), or what the header shows.
        sheet: of an Excel file; `None`: the first.

    Raises:
        InputError: the file is missing, not a regular file, unreadable, empty or of unknown extension; it is not in
            this format, encoding or compression; its header is broken; or it has no rows.
        MissingDependencyError: an optional package is needed for this format or compression.

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
    if kind is not None and kind not in KINDS:
        raise InputError(f"{path}: unknown format {kind!r}; known: {', '.join(KINDS)}")
    if delimiter is not None:
        delimiter = _delimiter(delimiter)
    content = _opened(path, kind)
    try:
        return _table(content, kind, encoding, delimiter, sheet)
    except BaseException:
        content.forget()
        raise


def _opened(path: Path, kind: str | None) -> Content:
    if path == _STDIN:
        content = content_of_stdin()
    else:
        _check_regular(path)
        if kind is None and path.exists():
            format_of(path)
        try:
            content = content_of(path)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file{_nearby(path)}") from None
        except PermissionError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return content


def _table(content: Content, kind: str | None, encoding: str | None, delimiter: str | None, sheet: str | None) -> Table:
    start = content.start()
    if not start:
        content.forget()
        what = "a table" if content.name == STDIN and kind is None else f"a {kind or format_of(content.path)} file"
        raise InputError(f"{content.name}: is empty; expected {what} with at least one row")
    kind = kind or (kind_of_content(start) if content.name == STDIN else format_of(content.path))
    _check_options(content.name, kind, encoding, delimiter, sheet)
    if kind == "parquet":
        return ParquetTable(content)
    if kind == "xlsx":
        return ExcelTable(content, sheet)
    if looks_zipped(start):
        raise InputError(f"{content.name}: is a ZIP or Excel file, not {kind}; name it .xlsx, or unpack it")
    given = content
    content = recoded(content, encoding)
    if kind == "jsonl":
        table: Table = JsonlTable(content)
    elif kind == "json":
        table = JsonlTable(content) if holds_lines(content.start()) else JsonTable(content)
    else:
        table = CsvTable(content, delimiter, "\t" if kind == "tsv" else ",")
    table.kind = "jsonl" if isinstance(table, JsonlTable) and not isinstance(table, JsonTable) else kind
    if content is not given and encoding is None:
        table.notes.append(f"is in {content.encoding.upper()}")
    return table


def _check_options(name: str, kind: str, encoding: str | None, delimiter: str | None, sheet: str | None) -> None:
    for option, value, kinds in (
        ("--encoding", encoding, TEXT_FORMATS),
        ("--delimiter", delimiter, ("csv", "tsv")),
        ("--sheet", sheet, ("xlsx",)),
    ):
        if value is not None and kind not in kinds:
            raise InputError(f"{name}: {option} is for {', '.join(kinds)}, but this is {kind}; leave it out")


def _delimiter(given: str) -> str:
    delimiter = DELIMITERS.get(given.lower(), "\t" if given == "\\t" else given)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise InputError(f"--delimiter: expected one character, or {', '.join(DELIMITERS)}, got {shorten(given)}")
    return delimiter


def _check_regular(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a file")
    if path.exists() and not path.is_file():  # opening a pipe may block for ever, and it can be read only once
        raise InputError(
            f"{path}: is not a regular file (a pipe or a device?); save what it gives to a file, or pipe it to -"
        )


def _nearby(path: Path) -> str:
    try:
        names = [other.name for other in islice(path.parent.iterdir(), 1_000)]
    except OSError:
        return f", nor is there a folder {shorten(str(path.parent))}"
    nearest = difflib.get_close_matches(path.name, names, n=1)
    return f". Did you mean {nearest[0]!r}?" if nearest else "; check the path"
