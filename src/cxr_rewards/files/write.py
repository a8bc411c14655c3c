"""Write a table again with result columns added: streamed, and put in place in one step."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cxr_rewards.errors import InputError
from cxr_rewards.files.content import writing
from cxr_rewards.files.drawn import DrawnResults, Result
from cxr_rewards.files.formats import TEXT_FORMATS, compression_of, format_of
from cxr_rewards.files.own_files import create_new, sync_folder
from cxr_rewards.files.provenance import Provenance, as_parquet_metadata, forget_provenance, write_provenance
from cxr_rewards.files.table import Table
from cxr_rewards.files.values import cell_text, plain
from cxr_rewards.files.write_excel import write_excel

if TYPE_CHECKING:
    import polars as pl

ROW_GROUP = 10_000
"""Rows of a Parquet row group: polars holds several in memory at once."""


def check_output(out: str | Path, table: Table, columns: Iterable[str]) -> Path:
    """Check everything that can be checked before writing, and return the file to write, with links followed.

    Raises:
        InputError: the extension is unknown, the folder is missing or not writable, the path is a folder or the input
            itself, or the input already has a column of the same name as a result.
    """
    out = Path(os.path.realpath(out))
    if compression_of(out) and format_of(out) not in TEXT_FORMATS:
        raise InputError(f"{out}: {format_of(out)} files are compressed as they are; leave out {out.suffix}")
    format_of(out)
    if out.is_dir():
        raise InputError(f"{out}: is a folder; give a file")
    if not out.parent.is_dir():
        raise InputError(f"{out}: the folder {str(out.parent)!r} does not exist; create it first")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"{out}: the folder {str(out.parent)!r} is not writable; choose another output")
    if out.exists() and any(path.exists() and out.samefile(path) for path in table.paths):
        raise InputError(f"{out}: is the input itself; give another output")
    clash = [name for name in columns if name in table.columns]
    if clash:
        raise InputError(
            f"{table.name}: already has the result column{'s' * (len(clash) > 1)} {', '.join(map(repr, clash))}; "
            "rename or drop them in the input, or give the new names a prefix with --prefix"
        )
    return out


def write_table(
    out: str | Path,
    table: Table,
    columns: Mapping[str, type[float] | type[str]],
    results: Iterable[Result],
    provenance: Provenance | None = None,
) -> int:
    r"""Write the input's columns, unchanged, and the results beside them; return the number of rows.

    The file appears under its name in one step when it is complete; if anything fails, an earlier file stays. Numbers
    are written so that they read back exactly. A missing result is an empty cell in CSV, null elsewhere.

    A JSON file is an object of objects if the input was one, and else a list. A text format whose name ends in `.gz` or
    `.zst` is compressed.

    Between formats: CSV cells are strings. JSONL columns get one Parquet type each (Boolean, Int64, Float64,
    String), mixed and nested ones JSON text. In CSV, nested values are JSON text, dates ISO 8601, binary base64.
    In JSONL, a NaN of a Parquet file is null. Parquet to Parquet keeps the types.

    Args:
        out: `.csv`, `.tsv`, `.jsonl`, `.json`, `.parquet` or `.xlsx`.
        table: the input.
        columns: `float` or `str` by name of the result column.
        results: one item for each row of the input, bad rows included. For Parquet another thread draws them.
        provenance: what made the results: kept in a Parquet file, and beside any other.

    Raises:
        InputError: as `check_output`; the input has changed; there are more or fewer results than rows; or
            one is a NaN or infinite, which JSONL cannot hold.
        OSError: the disk is full, or the like.

    Example:
        >>> import tempfile
        >>> from cxr_rewards.files import open_table
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "in.csv").write_text("candidate,reference\nNo effusion.,Effusion.\nClear.,Clear.\n")
        >>> table = open_table(folder / "in.csv")
        >>> write_table(folder / "out.csv", table, {"reward": float, "reason": str}, [(None, "timeout"), (1.0, None)])
        2
        >>> print((folder / "out.csv").read_text())
        candidate,reference,reward,reason
        No effusion.,Effusion.,,timeout
        Clear.,Clear.,1.0,
    """
    out = check_output(out, table, columns)
    kind = format_of(out)
    drawn = DrawnResults(results, len(columns), table)
    with in_one_step(out) as file:
        if kind == "parquet":
            metadata = {} if provenance is None else as_parquet_metadata(provenance)
            rows = _write_parquet(file, table, columns, drawn, metadata)
        else:
            with writing(file, compression_of(out)) as packed:
                rows = _WRITERS[kind](packed, table, columns, drawn)
        forget_provenance(out)
    if provenance is not None and kind != "parquet":
        write_provenance(out, provenance)
    return rows


@contextmanager
def in_one_step(out: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears under its name when it is complete; if anything fails, an earlier file
    stays.
    """
    # One fixed name, so that the next run deletes the file of a killed one.
    unfinished = out.with_name(f".{out.name}.partial")
    try:
        with create_new(unfinished) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, out)
    except BaseException:
        if not unfinished.is_dir():
            unfinished.unlink(missing_ok=True)
        raise
    sync_folder(out.parent)


def _write_csv(
    file: IO[bytes], table: Table, columns: Mapping[str, type], results: DrawnResults, separator: str = ","
) -> int:
    names = table.columns
    text = TextIOWrapper(file, encoding="utf-8", newline="")
    text.write(_csv_line([*names, *columns], separator))
    for row, result in results.beside(table):
        get = row.values.get
        text.write(_csv_line([get(name) for name in names] + list(result), separator))
    text.detach()
    return results.end()


def _csv_line(cells: Iterable[object], separator: str) -> str:
    # Twice as fast as csv.writer on reports; unlike that, it quotes a lone carriage return, which ends a row too.
    texts = [cell if type(cell) is str else cell_text(cell) for cell in cells]
    for i, text in enumerate(texts):
        if '"' in text:
            texts[i] = '"' + text.replace('"', '""') + '"'
        elif separator in text or "\n" in text or "\r" in text:
            texts[i] = f'"{text}"'
    return separator.join(texts) + "\n"


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(", ", ": ")).encode


def _write_jsonl(file: IO[bytes], table: Table, columns: Mapping[str, type], results: DrawnResults) -> int:
    for values in _objects(table, columns, results):
        file.write((_encode(values) + "\n").encode())
    return results.end()


def _write_json(file: IO[bytes], table: Table, columns: Mapping[str, type], results: DrawnResults) -> int:
    """Write an object of objects by the input's key if it has one, else a list of objects."""
    key = table.key
    file.write(b"[" if key is None else b"{")
    for number, values in enumerate(_objects(table, columns, results)):
        before = "" if key is None else f"{_encode(str(values.pop(key)))}: "
        file.write((f"{',' * (number > 0)}\n{before}{_encode(values)}").encode())
    file.write(b"\n]\n" if key is None else b"\n}\n")
    return results.end()


def _objects(table: Table, columns: Mapping[str, type], results: DrawnResults) -> Iterator[dict[str, object]]:
    for row, result in results.beside(table):
        values = {name: value if type(value) is str else plain(value) for name, value in row.values.items()}
        for name, item in zip(columns, result, strict=True):
            if isinstance(item, float) and not math.isfinite(item):
                raise InputError(f"{row.where}: {name} is {item!r}, which JSON cannot hold; write .csv or .parquet")
            values[name] = item
        yield values


def _write_parquet(
    file: IO[bytes], table: Table, columns: Mapping[str, type], results: DrawnResults, metadata: Mapping[str, str]
) -> int:
    import polars as pl

    added = {name: pl.Float64() if kind is float else pl.String() for name, kind in columns.items()}

    def frames() -> Iterator[pl.DataFrame]:
        for frame in table.frames():
            cells = zip(*results.take(frame.height), strict=True)
            yield frame.with_columns(
                pl.Series(name, list(column), dtype=kind)
                for (name, kind), column in zip(added.items(), cells, strict=True)
            )
        results.end()

    sink_parquet(file, frames(), {**table.schema(), **added}, metadata)
    return results.drawn


def sink_parquet(
    file: IO[bytes],
    frames: Iterable[pl.DataFrame],
    schema: Mapping[str, pl.DataType],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write frames as Parquet, one after the other, with metadata of the file; another thread draws them.

    Raises:
        Exception: whatever `frames` raises.
        OSError: the disk is full, or the like.
    """
    import polars as pl
    from polars.io.plugins import register_io_source

    failed: list[Exception] = []

    def drawn(*_: object) -> Iterator[pl.DataFrame]:
        try:
            yield from frames
        except Exception as error:
            failed.append(error)
            raise

    source = register_io_source(drawn, schema=dict(schema))
    try:
        source.sink_parquet(
            file, maintain_order=True, row_group_size=ROW_GROUP, metadata=dict(metadata) if metadata else None
        )
    except pl.exceptions.PolarsError as error:
        if failed:  # polars may wrap what the generator raised
            raise failed[0] from None
        raise OSError(f"cannot be written: {error}") from error  # the system's fault, such as a full disk


_WRITERS: Mapping[str, Callable[[IO[bytes], Table, Mapping[str, type], DrawnResults], int]] = {
    "csv": _write_csv,
    "tsv": partial(_write_csv, separator="\t"),
    "jsonl": _write_jsonl,
    "json": _write_json,
    "xlsx": write_excel,
}
