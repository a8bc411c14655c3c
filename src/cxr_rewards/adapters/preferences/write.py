"""Write training data as JSONL or Parquet, with a record of how it was made beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from cxr_rewards import __version__
from cxr_rewards.adapters.preferences.rows import Row
from cxr_rewards.errors import InputError
from cxr_rewards.files.content import writing
from cxr_rewards.files.formats import compression_of, format_of
from cxr_rewards.files.own_files import read_own, replace_own
from cxr_rewards.files.provenance import record_file
from cxr_rewards.files.table import Table
from cxr_rewards.files.values import plain
from cxr_rewards.files.write import check_output, in_one_step

FORMAT = "cxr_rewards pairs"
"""Tells the record of a file of pairs from other JSON."""


def check_target(out: Path, table: Table, *, force: bool = False) -> Path:
    """Check everything that can be checked before writing, and return the file to write.

    Raises:
        InputError: the format is neither JSONL nor Parquet, or as `check_output`; or a file exists that is not one of
            pairs, which only `force` replaces.
    """
    target = check_output(out, table, ())
    if format_of(target) not in ("jsonl", "parquet"):
        raise InputError(f"{out}: trainers read JSONL and Parquet; name it .jsonl or .parquet")
    if target.exists() and target.stat().st_size and not force and not _has_record(target):
        raise InputError(
            f"{out}: exists and is not a file of pairs, so it is not overwritten; give another output, or --force"
        )
    return target


def _has_record(target: Path) -> bool:
    try:
        record = json.loads(read_own(record_file(target)) or b"{}")
    except ValueError:
        return False
    return isinstance(record, dict) and record.get("format") == FORMAT


def write_rows(target: Path, rows: Iterable[Row], made: Mapping[str, object]) -> int:
    """Write the rows in one step, and beside them the record `NAME.meta.json`; return the number of rows.

    Args:
        target: from `check_target`.
        rows: what to write.
        made: how: input, options, numbers.

    Raises:
        OSError: the disk is full, or the like.
    """
    record = record_file(target)
    with in_one_step(target) as file:
        count = _write_parquet(file, rows) if format_of(target) == "parquet" else _write_packed(file, target, rows)
        record.unlink(missing_ok=True)
    told = {"format": FORMAT, "version": __version__, "date": datetime.now(UTC).isoformat(timespec="seconds")}
    replace_own(record, (json.dumps({**told, **made}, indent=1, ensure_ascii=False) + "\n").encode())
    return count


def write_lines(file: IO[bytes], rows: Iterable[Row]) -> int:
    """Write rows as lines of JSON."""
    count = 0
    for row in rows:
        file.write((json.dumps(plain(row), ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))
        count += 1
    return count


def _write_packed(file: IO[bytes], target: Path, rows: Iterable[Row]) -> int:
    with writing(file, compression_of(target)) as packed:
        return write_lines(packed, rows)


def _write_parquet(file: IO[bytes], rows: Iterable[Row]) -> int:
    import polars as pl

    given: list[Any] = [plain(row) for row in rows]
    pl.DataFrame(given, infer_schema_length=None).write_parquet(file)
    return len(given)
