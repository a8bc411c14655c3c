"""Rewards and frames: score the rows of a pandas or polars DataFrame, and put rewards into one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cxr_rewards.errors import InputError, shorten
from cxr_rewards.files.cases import CaseRow, Placeholders, read_cases
from cxr_rewards.files.existing import SUMS
from cxr_rewards.files.results import Keep, RowResult, score_rows
from cxr_rewards.files.scoring import OnError, bad_rows_error
from cxr_rewards.files.table import Row, Table
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.types import Reward

if TYPE_CHECKING:
    import polars as pl

Frame = TypeVar("Frame")

_NAME = "frame"


def score_frame(
    frame: Frame,
    reward: BaseReward | None = None,
    *,
    prefix: str = "",
    on_error: OnError = "stop",
    placeholders: Placeholders = "absent",
    **columns: Any,
) -> Frame:
    """Return a DataFrame with the columns that `cxr-rewards score` adds: components, `reward`, `reason`, `reason_kind`.

    Nulls (None, NaN, NA) are absent reports, which are unscored. The frame itself is not changed.

    Args:
        frame: of pandas or polars.
        reward: by default `CompositeReward()`.
        prefix: prefix of the names of the new columns.
        on_error: treatment of a bad row, as of `score_file`.
        placeholders: meaning of cells such as `nan`, as of `score_file`.
        **columns: names of columns, as of `choose_columns`.

    Returns:
        A frame of the same kind with the same rows, for pandas with the same index.

    Raises:
        InputError: it is not such a frame, it lacks a column or has a result's already, or rows are bad under `stop`.

    Example:
        >>> import polars as pl
        >>> from cxr_rewards import CompositeReward
        >>> frame = pl.DataFrame({"candidate": ["Clear lungs.", None], "reference": ["Clear lungs.", "Effusion."]})
        >>> score_frame(frame, CompositeReward(["bleu"]))["reward"].to_list()
        [1.0, None]
    """
    if reward is None:
        from cxr_rewards.reward.composite import CompositeReward

        reward = CompositeReward()
    table = FrameTable(frame)
    chosen = table.choose_columns(**columns)
    names = [prefix + name for name in (*reward.components, *SUMS)]
    if clash := [name for name in names if name in table.columns]:
        raise InputError(
            f"{_NAME}: already has the result column {', '.join(map(repr, clash))}; drop it, or give a prefix"
        )
    rows = list(read_cases(table, chosen, max_chars=reward.max_chars, placeholders=placeholders))
    _check(rows, on_error)
    results = score_rows(rows, reward, chosen, placeholders, Keep((), details=False))
    return cast("Frame", _with_columns(frame, table.is_polars, names, results))


def to_frame(rewards: Iterable[Reward]) -> pl.DataFrame:
    """Return rewards as a polars DataFrame, a row each, with the columns that `cxr-rewards score` adds.

    `to_frame(rewards).to_pandas()` is one of pandas (which needs pyarrow).

    Example:
        >>> from cxr_rewards import CompositeReward
        >>> rewards = CompositeReward(["bleu"]).score_batch(candidates=["Clear."], references=["Clear."])
        >>> to_frame(rewards).to_dicts()
        [{'bleu': 1.0, 'reward': 1.0, 'reason': None, 'reason_kind': None}]
    """
    import polars as pl

    rows = [reward.to_dict() for reward in rewards]
    labels = dict.fromkeys(name for row in rows for name in row if name not in SUMS)
    schema = {
        **dict.fromkeys(labels, pl.Float64()),
        **dict(zip(SUMS, (pl.Float64(), pl.String(), pl.String()), strict=True)),
    }
    return pl.DataFrame([pl.Series(name, [row.get(name) for row in rows], dtype=kind) for name, kind in schema.items()])


class FrameTable(Table):
    """A DataFrame as a table; it is not copied."""

    def __init__(self, frame: Any) -> None:
        """Take a frame of pandas or polars.

        Raises:
            InputError: it is something else.
        """
        kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(frame).__mro__}
        self.is_polars = ("polars", "DataFrame") in kinds
        if not self.is_polars and ("pandas", "DataFrame") not in kinds:
            cure = (
                "collect() it first"
                if ("polars", "LazyFrame") in kinds
                else "make one of it, such as pl.DataFrame(...)"
            )
            raise InputError(f"score_frame: expected a pandas or polars DataFrame, got {shorten(frame)}; {cure}")
        self.name = _NAME
        self.notes = []
        self._frame = frame
        self.columns = tuple(name for name in frame.columns if isinstance(name, str))

    def rows(self, columns: Collection[str] | None = None) -> Iterator[Row]:
        """Iterate over the rows; nulls are `None`."""
        return self._rows(columns)

    def _rows(self, columns: Collection[str] | None) -> Iterator[Row]:
        names = [name for name in dict.fromkeys(self.columns) if columns is None or name in columns]
        cells = [self._cells(name) for name in names]
        for number, values in enumerate(zip(*cells, strict=True), 1):
            yield Row(_NAME, number, None, dict(zip(names, values, strict=True)))

    def _cells(self, name: str) -> list[object]:
        if self.columns.count(name) > 1:
            raise InputError(f"{_NAME}: column name {shorten(name)} appears twice; rename one of them")
        column = self._frame[name]
        if self.is_polars:
            return cast("list[object]", column.to_list())
        # A list in a cell may be an array, as pandas reads it from Parquet.
        values = [value.tolist() if hasattr(value, "tolist") else value for value in column.tolist()]
        return [None if absent else value for value, absent in zip(values, column.isna().tolist(), strict=True)]


def _check(rows: Sequence[CaseRow], on_error: OnError) -> None:
    errors = [row.error for row in rows if row.error is not None]
    if errors and on_error == "stop":
        raise bad_rows_error(errors, len(errors), len(rows))


def _with_columns(frame: Any, is_polars: bool, names: Sequence[str], results: Sequence[RowResult]) -> Any:
    cells = list(zip(*(row.cells for row in results), strict=True)) or [()] * len(names)
    added: Mapping[str, Sequence[object]] = dict(zip(names, cells, strict=True))
    if is_polars:
        import polars as pl

        return frame.with_columns(
            pl.Series(name, values, dtype=pl.String() if name in names[-2:] else pl.Float64())
            for name, values in added.items()
        )
    import numpy as np

    columns: dict[str, object] = {}
    for name, values in added.items():
        if name in names[-2:]:
            columns[name] = np.array(values, dtype=object)
        else:
            columns[name] = np.array([nan if value is None else value for value in values], dtype=float)
    return frame.assign(**columns)
