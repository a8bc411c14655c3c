"""Record of what made a file of scores: reward, version, columns and date, kept with the file.

Parquet holds it in its metadata, under the key `cxr_rewards`. Beside a file of another format, such as `rewards.csv`,
it is a small file of its own, `rewards.csv.meta.json`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from cxr_rewards import __version__
from cxr_rewards.errors import InputError
from cxr_rewards.files.columns import ColumnMap
from cxr_rewards.files.formats import format_of
from cxr_rewards.files.own_files import read_own, replace_own
from cxr_rewards.reward.base import BaseReward

KEY = "cxr_rewards"
"""Key of the record in Parquet's metadata."""

SUFFIX = ".meta.json"
"""Ending of the record's file, after the whole name of the file of scores."""

FORMAT: Literal["cxr_rewards scores"] = "cxr_rewards scores"


class UsedColumns(TypedDict):
    """Columns that were read; `None` if there is none.

    Attributes:
        candidate: of the reports that were scored.
        reference: one column, or several whose texts were put together.
        priors: earlier reports, oldest first.
        id: of the cases.
        cluster: rows of one value are not independent.
    """

    candidate: str
    reference: list[str]
    priors: list[str]
    id: str | None
    cluster: str | None


class UsedReward(TypedDict):
    """The reward; an end of its bounds is `None` if it is infinite."""

    name: str
    signature: str
    bounds: list[float | None]


class UsedComponent(TypedDict):
    """One component of the reward.

    Attributes:
        column: that holds its scores.
        signature: of the component.
        bounds: smallest and largest score; `None` for an infinite one.
        higher_is_better: direction of the scores.
        weight: in the reward; 0 if it is only reported.
    """

    column: str
    signature: str
    bounds: list[float | None]
    higher_is_better: bool
    weight: float


class Provenance(TypedDict):
    """Record of the reward, columns and version that made a file of scores.

    Attributes:
        format: tells it from other JSON.
        version: of this library.
        date: when the file was written, in UTC, as ISO 8601.
        input: name of the file that was scored.
        rows: number of rows.
        columns: what was read.
        prefix: before the names of all added columns: components, `reward`, `reason`, `reason_kind`.
        reward: what the column `reward` holds.
        components: by label.
        details: path of the file of details from the folder of the file of scores; `None` if there is none.
    """

    format: Literal["cxr_rewards scores"]
    version: str
    date: str
    input: str
    rows: int
    columns: UsedColumns
    prefix: str
    reward: UsedReward
    components: dict[str, UsedComponent]
    details: str | None


def describe_run(
    reward: BaseReward,
    columns: ColumnMap,
    *,
    source: str,
    rows: int,
    cluster: str = "",
    prefix: str = "",
    details: str | None = None,
) -> Provenance:
    """Return the record of a run, dated now."""
    terms = reward.total.terms
    return Provenance(
        format=FORMAT,
        version=__version__,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        input=Path(source).name,
        rows=rows,
        columns=UsedColumns(
            candidate=columns.candidate,
            reference=list(columns.references),
            priors=list(columns.priors),
            id=columns.case_id,
            cluster=cluster or None,
        ),
        prefix=prefix,
        reward=UsedReward(name=reward.name, signature=reward.signature, bounds=_ends(reward.bounds)),
        components={
            label: UsedComponent(
                column=prefix + label,
                signature=component.signature,
                bounds=_ends(component.bounds),
                higher_is_better=component.higher_is_better,
                weight=terms[label].weight,
            )
            for label, component in reward.components.items()
        },
        details=details,
    )


def relative_path(path: Path, folder: Path) -> str:
    """Return the path of a file as seen from a folder, so that both may be moved together.

    Example:
        >>> relative_path(Path("out/details/a.jsonl"), Path("out"))
        'details/a.jsonl'
    """
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive on Windows
        return path.resolve().as_posix()


def _ends(bounds: tuple[float, float]) -> list[float | None]:
    return [end if isfinite(end) else None for end in bounds]


def record_file(path: Path) -> Path:
    """Return the file beside a file of scores that holds its record, whether or not it exists.

    Example:
        >>> str(record_file(Path("out/rewards.csv")))
        'out/rewards.csv.meta.json'
    """
    return path.with_name(path.name + SUFFIX)


def read_provenance(path: str | Path) -> Provenance | None:
    """Return what made a file of scores; `None` if the file does not say.

    Files of earlier versions, and those that other programs have written again, do not say.

    Args:
        path: the file of scores.

    Raises:
        InputError: the record is broken or of another form, or the file is not Parquet although its extension says so.
    """
    path = Path(path)
    if format_of(path) == "parquet":
        return _parse(_parquet_metadata(path).get(KEY), f"{path}: its metadata {KEY!r}", "write the file again")
    beside = (record_file(path), record_file(path.resolve()))
    record = next((file for file in beside if file.is_file()), None)
    if record is None:
        return None
    return _parse(record.read_bytes(), str(record), f"delete it, or score {path.name} again")


def check_record(out: Path) -> None:
    """Raise `InputError` if the place of a record is taken by a file that is not one."""
    if format_of(out) == "parquet":
        return
    record = record_file(out)
    try:
        _parse(read_own(record), str(record), "move it, give another output, or --force")
    except InputError as error:
        raise InputError(f"{error} (it is not overwritten)") from None


def forget_provenance(out: Path) -> None:
    """Delete the record beside a file that is about to be replaced, so that it never stands beside another file."""
    record_file(out).unlink(missing_ok=True)


def write_provenance(out: Path, provenance: Provenance) -> None:
    """Write the record beside a file of scores; Parquet files hold theirs already.

    Raises:
        OSError: the disk is full, or the like.
    """
    replace_own(record_file(out), (json.dumps(provenance, indent=1, ensure_ascii=False) + "\n").encode())


def as_parquet_metadata(provenance: Provenance) -> dict[str, str]:
    """Return the metadata of a Parquet file that holds the record."""
    return {KEY: json.dumps(provenance)}


def _parquet_metadata(path: Path) -> Mapping[str, str]:
    import polars as pl

    try:
        return pl.read_parquet_metadata(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: its metadata cannot be read ({error}); write it again") from error


def _parse(content: bytes | str | None, where: str, cure: str) -> Provenance | None:
    if content is None:
        return None
    try:
        record: Any = json.loads(content)
    except (ValueError, RecursionError):
        record = None
    if isinstance(record, dict) and record.get("format") == FORMAT and record.keys() >= Provenance.__required_keys__:
        return cast("Provenance", record)
    raise InputError(f"{where}: is not a record of scores that this version can read; {cure}")
