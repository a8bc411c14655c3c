"""Formats of tables, by a file's name or by its first bytes."""

from __future__ import annotations

import json
from pathlib import Path

from cxr_rewards.errors import InputError

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
}
"""Format by extension, in lower case."""

TEXT_FORMATS = ("csv", "tsv", "jsonl", "json")
"""Formats that are text, so that they have an encoding and may be compressed."""

KINDS = (*TEXT_FORMATS, "parquet", "xlsx")

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""Compression by the extension after that of the format."""

MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""Compression by the first bytes of a file."""

_PARQUET, _ZIP = b"PAR1", b"PK\x03\x04"


def format_of(path: Path) -> str:
    """Return the format of a file by its name: one of `KINDS`.

    Example:
        >>> [format_of(Path(name)) for name in ("a.CSV", "b.jsonl.gz", "c.pq")]
        ['csv', 'jsonl', 'parquet']

    Raises:
        InputError: another extension.
    """
    suffix = _suffix(path)
    try:
        return FORMATS[suffix]
    except KeyError:
        raise InputError(
            f"{path}: unknown extension {path.suffix!r}; known: {', '.join(FORMATS)}, and {' or '.join(COMPRESSIONS)} "
            "after it. Convert the file or rename it"
        ) from None


def compression_of(path: Path) -> str:
    """Return the compression of a file by its name; empty if there is none.

    Example:
        >>> compression_of(Path("a.csv.gz")), compression_of(Path("a.csv"))
        ('gzip', '')
    """
    return COMPRESSIONS.get(path.suffix.lower(), "")


def is_table(path: Path) -> bool:
    """Return whether a file's name is that of a table."""
    return _suffix(path) in FORMATS


def _suffix(path: Path) -> str:
    return (Path(path.stem) if compression_of(path) else path).suffix.lower()


def kind_of_content(start: bytes) -> str:
    r"""Return the format of a file without a name, by its first bytes (a megabyte or all of it).

    Example:
        >>> [kind_of_content(start) for start in (b"a,b\n1,2\n", b'{"a": 1}\n{"a": 2}\n', b'{"s1": {"a": 1}}', b"PAR1")]
        ['csv', 'jsonl', 'json', 'parquet']
    """
    if start.startswith(_PARQUET):
        return "parquet"
    if start.startswith(_ZIP):
        return "xlsx"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"[") and text[1:].lstrip().startswith((b"{", b"]")):
        return "json"
    return json_kind(text) if text.startswith(b"{") else "csv"


def json_kind(start: bytes) -> str:
    """Return `jsonl` if the first line is a whole object of cells, `json` if not."""
    value, alone = _first_line(start)
    if value is None:
        return "json"
    rows = bool(value) and all(isinstance(cell, dict) for cell in value.values())
    return "json" if alone and rows else "jsonl"


def holds_lines(start: bytes) -> bool:
    """Return whether the first of several lines is a whole object, so that the file is JSONL whatever its name."""
    value, alone = _first_line(start)
    return value is not None and not alone


def _first_line(start: bytes) -> tuple[dict[str, object] | None, bool]:
    """Return the object that the first line is, `None` if it is none, and whether nothing follows."""
    first, _, more = start.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        value = None
    return value if type(value) is dict else None, not more.strip()


def looks_like_json_table(start: bytes) -> bool:
    """Return whether a `.json` file may hold rows: objects in a list, or by their ids."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if holds_lines(text):
        return True
    if text.startswith(b"["):
        return text[1:].lstrip().startswith(b"{")
    _, colon, value = text.partition(b":")
    return text.startswith(b"{") and bool(colon) and value.lstrip().startswith(b"{")


def looks_zipped(start: bytes) -> bool:
    """Return whether the first bytes are those of a ZIP archive, as which Excel saves its files."""
    return start.startswith(_ZIP)
