"""The file of details: what explains each score, a row a case, as JSONL or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypedDict, cast

from cxr_rewards.errors import InputError
from cxr_rewards.files.formats import compression_of, format_of
from cxr_rewards.files.open import open_table
from cxr_rewards.files.table import FRAME_ROWS
from cxr_rewards.files.values import plain
from cxr_rewards.files.write import in_one_step, sink_parquet
from cxr_rewards.types import Reward, Score

COLUMNS = ("row", "case_id", "reward", "reason", "reason_kind", "gates", "parts")


class FailureDetails(TypedDict):
    """A `Failure`: where it happened, its reason in words, and its kind."""

    where: str
    error: str
    kind: str


class PartDetails(TypedDict):
    """One component's `Score`; the details of a judge are a `cxr_rewards.judges.details.JudgeDetails`."""

    value: float | None
    failure: FailureDetails | None
    details: Mapping[str, Any]


class CaseDetails(TypedDict):
    """One row of a file of details.

    Attributes:
        row: number of the row in the input, 1 for the first.
        case_id: as in the input; empty for a row that cannot be read.
        reward: as in the output; None if the row is unscored.
        reason, reason_kind: why it is unscored, as in the output; None if it is not.
        gates: components whose gates closed.
        parts: each component's score; empty for a row that cannot be read.
    """

    row: int
    case_id: str
    reward: float | None
    reason: str | None
    reason_kind: str | None
    gates: list[str]
    parts: dict[str, PartDetails]


def part_details(score: Score) -> PartDetails:
    """Return a score as JSON can hold it."""
    failure = score.failure
    told = None if failure is None else FailureDetails(where=failure.where, error=failure.error, kind=failure.kind)
    details = plain(score.details)
    assert isinstance(details, dict)
    return PartDetails(value=score.value, failure=told, details=details)


def parts_of(reward: Reward) -> dict[str, PartDetails]:
    """Return the scores of a reward as JSON can hold them."""
    return {label: part_details(score) for label, score in reward.parts.items()}


def check_details(path: str | Path, others: Iterable[Path], *, force: bool) -> Path:
    """Check that a file of details can be written, and return it.

    Args:
        path: the file.
        others: the input and the output.
        force: replace a file that is not a file of details.

    Raises:
        InputError: it is another format, the input or the output, or a file that is not one of details; or its folder
            is missing.
    """
    path = Path(path)
    if compression_of(path):
        raise InputError(f"{path}: details are written uncompressed; write .jsonl or .parquet")
    if format_of(path) not in ("jsonl", "parquet"):
        raise InputError(f"{path}: details are nested, which {path.suffix} cannot hold; write .jsonl or .parquet")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a file for the details")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {str(path.parent)!r} does not exist; create it first")
    if any(path.resolve() == other.resolve() for other in others):
        raise InputError(f"{path}: is the input or the output itself; give the details another file")
    if path.exists() and path.stat().st_size and not force and not _is_details(path):
        raise InputError(
            f"{path}: exists and is not a file of details, so it is not overwritten; give another file, or --force"
        )
    return path


def _is_details(path: Path) -> bool:
    try:
        if format_of(path) == "parquet":
            return tuple(open_table(path).columns) == COLUMNS
        with path.open("rb") as file:
            return tuple(json.loads(file.readline())) == COLUMNS
    except (InputError, OSError, ValueError, TypeError, RecursionError):
        return False


def write_details(path: Path, rows: Iterable[CaseDetails]) -> None:
    """Write a file of details, in one step when it is complete; memory does not grow with the rows.

    In Parquet, `gates` and `parts` are JSON text; `read_details` reads both formats.

    Raises:
        OSError: the disk is full, or the like.
    """
    write = _write_parquet if format_of(path) == "parquet" else _write_jsonl
    with in_one_step(path) as file:
        write(file, rows)


def read_details(path: str | Path) -> Iterator[CaseDetails]:
    """Iterate over the rows of a file of details, JSONL or Parquet.

    Raises:
        InputError: it cannot be read, or is not a file of details.
    """
    path = Path(path)
    if not _is_details(path):
        raise InputError(f"{path}: is not a file of details; make one with: cxr-rewards score --details")
    if format_of(path) == "jsonl":
        with path.open("rb") as file:
            yield from map(json.loads, file)
        return
    for row in open_table(path):
        nested = {key: json.loads(str(row.values[key])) for key in ("gates", "parts")}
        yield cast("CaseDetails", {**row.values, **nested})


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _write_jsonl(file: IO[bytes], rows: Iterable[CaseDetails]) -> None:
    for row in rows:
        # A lone surrogate, which a judge's reply may hold, becomes its JSON escape.
        file.write((_text(row) + "\n").encode("utf-8", "backslashreplace"))


def _write_parquet(file: IO[bytes], rows: Iterable[CaseDetails]) -> None:
    import polars as pl

    kinds: Mapping[str, type] = {"row": int, "reward": float}
    types = {int: pl.Int64(), float: pl.Float64(), str: pl.String()}
    schema = {name: types[kinds.get(name, str)] for name in COLUMNS}

    def frames() -> Iterator[pl.DataFrame]:
        chunk: list[dict[str, object]] = []
        for row in rows:
            cells = {**row, **{key: _text(row[key]) for key in ("gates", "parts")}}
            chunk.append({key: _storable(cell) for key, cell in cells.items()})
            if len(chunk) == FRAME_ROWS // 10:
                yield pl.DataFrame(chunk, schema=schema)
                chunk = []
        yield pl.DataFrame(chunk, schema=schema)

    sink_parquet(file, frames(), schema)


def _storable(cell: object) -> object:
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell
