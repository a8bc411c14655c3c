"""Scores of one system, read from a file of `cxr-rewards score` or any table of numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_rewards.core.registry import component_names, load_component
from cxr_rewards.errors import ConfigError, InputError, shorten, unknown_name
from cxr_rewards.files import is_placeholder, open_table
from cxr_rewards.files.columns import choose_columns
from cxr_rewards.files.provenance import Provenance, read_provenance
from cxr_rewards.files.results import BETWEEN
from cxr_rewards.files.table import Row, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

ID_COLUMNS = (
    "case_id",
    "id",
    "study_id",
    "report_id",
    "image_id",
    "dicom_id",
    "accession",
    "accession_number",
    "uid",
)
"""Usual names of a column that names the cases, in lower case; the first whose values are all different is taken."""

_OTHER_IDS = "give each case its own, name another column with --on, or compare row by row with --on none"
_REWARD = "reward"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number of each case.

    Attributes:
        name: the component's label, `reward`, or a column.
        column: that holds it.
        bounds: smallest and largest value.
        higher_is_better: its direction.
        signature: how it was computed; empty if the file does not say.
        component: the name of its component; empty for the reward and for columns of other programs.
    """

    name: str
    column: str
    bounds: tuple[float, float] = (-math.inf, math.inf)
    higher_is_better: bool = True
    signature: str = ""
    component: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class SystemScores:
    """Scores of one system.

    Attributes:
        name: of the system.
        path: the file.
        ids: of the cases, in the order of the file.
        id_column: the column of ids; empty: cases are named by row.
        values: by metric, a number for each case; NaN if it is unscored.
        metrics: by name.
        kinds: unscored cases by kind of failure; a case with several counts for each.
        signature: of the reward; empty if the file does not say.
        columns: of the file.
        reference_columns: columns of the reference's text; empty if there are none.
        candidate_column: column of the candidate's text; empty if there is none.
        cluster: the column that marks cases as alike, if the file says so.
        details: the file of details; None if there is none.
    """

    name: str
    path: Path
    ids: tuple[str, ...]
    id_column: str
    values: Mapping[str, Numbers]
    metrics: Mapping[str, Metric]
    kinds: Mapping[str, int]
    signature: str
    columns: tuple[str, ...]
    reference_columns: tuple[str, ...]
    candidate_column: str
    cluster: str
    details: Path | None
    _table: Table
    _read: dict[str, list[str]] = field(default_factory=dict)

    def column(self, name: str) -> list[str]:
        """Return the cells of a column as texts; empty for a cell that says nothing is there.

        Raises:
            InputError: there is no such column.
        """
        return self.texts([name])[name]

    def texts(self, names: Sequence[str]) -> Mapping[str, list[str]]:
        """Return the cells of some columns, read from the file at once and kept."""
        for name in names:
            if name not in self.columns:
                raise InputError(unknown_name(str(self.path), "column", name, self.columns))
        missing = [name for name in names if name not in self._read]
        if missing:
            read: dict[str, list[str]] = {name: [] for name in missing}
            for row in self._table.rows(missing):
                for name, cells in read.items():
                    cells.append(_text(row.values.get(name)))
            self._read.update(read)
        return {name: self._read[name] for name in names}

    def numbers(self, name: str) -> Numbers:
        """Return the cells of a column as numbers; NaN for an empty cell.

        Raises:
            InputError: there is no such column, or a cell is not a number.
        """
        import numpy as np

        if name not in self.columns:
            raise InputError(unknown_name(str(self.path), "column", name, self.columns))
        return np.array([_number(row, name) for row in self._table.rows([name])], dtype=np.float64)


def load_scores(
    path: str | Path,
    *,
    name: str = "",
    on: str | None = None,
    metrics: Sequence[str] = (),
    lower_is_better: Collection[str] = (),
    details: str | Path | None = None,
) -> SystemScores:
    r"""Read a file of scores.

    Args:
        path: CSV, TSV, JSONL or Parquet, as `score` writes it; or any table with numbers.
        name: of the system; the file's name by default.
        on: the column of case ids; None to look for the usual ones; empty: none. Without any, cases are named by row.
        metrics: names of components or columns; by default `reward` and all components.
        lower_is_better: those of `metrics` that are columns of other programs, and better if lower.
        details: the file of details; by default the one that was written with the scores, if it is still there.

    Raises:
        InputError: a bad row, an id that is missing or occurs twice, a cell that is not a number, an unknown column, or
            a file without scores.
        OSError: the file cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "mine.csv")
        >>> _ = path.write_text("study_id,bleu,reward,reason\ns1,0.5,0.25,\ns2,,,no reference\n")
        >>> scores = load_scores(path)
        >>> scores.name, scores.ids, scores.values["bleu"].tolist(), scores.metrics["bleu"].bounds
        ('mine', ('s1', 's2'), [0.5, nan], (0.0, 1.0))
    """
    import numpy as np

    path = Path(path)
    table = open_table(path)
    made = read_provenance(path)
    found = _metrics(table, made, metrics, lower_is_better)
    known = {column.strip().lower(): column for column in reversed(table.columns)}
    if on and on not in table.columns:
        raise InputError(unknown_name(str(path), "column", on, table.columns))
    candidates = [on] if on else []
    if on is None:
        by_run = made["columns"]["id"] if made else None
        candidates = [by_run] if by_run in table.columns and by_run else []
        candidates += [known[usual] for usual in ID_COLUMNS if usual in known]
    kind = (made["prefix"] if made else "") + "reason_kind"
    kind_column = kind if kind in table.columns else ""
    ids: dict[str, list[str]] = {column: [] for column in candidates}
    values: dict[str, list[float]] = {metric: [] for metric in found}
    kinds: Counter[str] = Counter()
    rows = 0
    for row in table.rows([*candidates, *(metric.column for metric in found.values()), *filter(None, [kind_column])]):
        if row.error is not None:
            raise row.error
        rows += 1
        for column, names in ids.items():
            names.append(_text(row.values.get(column)))
        for metric in found.values():
            values[metric.name].append(_number(row, metric.column))
        if kind_column:
            kinds.update({kind for kind in _text(row.values.get(kind_column)).split(BETWEEN) if kind})
    unique = (column for column, names in ids.items() if "" not in names and len(set(names)) == rows)
    id_column = next(unique, candidates[0] if candidates else "")
    names = ids[id_column] if id_column else [f"row {number}" for number in range(1, rows + 1)]
    if id_column:
        _check_ids(names, path, id_column)
    candidate, references = _text_columns(table, made)
    cluster = (made["columns"]["cluster"] if made else None) or ""
    return SystemScores(
        name=name or path.name.partition(".")[0] or path.name,
        path=path,
        ids=tuple(names),
        id_column=id_column,
        values={metric: np.array(numbers, dtype=np.float64) for metric, numbers in values.items()},
        metrics=found,
        kinds=dict(kinds.most_common()),
        signature=made["reward"]["signature"] if made else "",
        columns=tuple(table.columns),
        reference_columns=references,
        candidate_column=candidate,
        cluster=cluster if cluster in table.columns else "",
        details=_details(path, made) if details is None else Path(details),
        _table=table,
    )


def _metrics(table: Table, made: Provenance | None, wanted: Sequence[str], lower: Collection[str]) -> dict[str, Metric]:
    known = _recorded(table, made) if made else _by_name(table)
    if not wanted and not known:
        raise InputError(
            f"{table.path}: no column of scores; columns: {', '.join(table.columns)}. Name some with --metrics"
        )
    found = {}
    for name in wanted or known:
        if name in known:
            if name in lower:
                raise ConfigError(f"--lower-is-better {name}: its direction is known")
            found[name] = known[name]
        elif name in table.columns:
            found[name] = Metric(name=name, column=name, higher_is_better=name not in lower)
        else:
            raise InputError(unknown_name(str(table.path), "metric", name, {*known, *table.columns}))
    return found


def _recorded(table: Table, made: Provenance) -> dict[str, Metric]:
    """Return the metrics that the record of a file of scores describes, the reward first."""
    column, about = made["prefix"] + _REWARD, made["reward"]
    reward = Metric(name=_REWARD, column=column, bounds=_bounds(about["bounds"]), signature=about["signature"])
    found = {_REWARD: reward} if column in table.columns else {}
    for label, part in made["components"].items():
        if part["column"] in table.columns:
            found[label] = Metric(
                name=label,
                column=part["column"],
                bounds=_bounds(part["bounds"]),
                higher_is_better=part["higher_is_better"],
                signature=part["signature"],
                component=part["signature"].partition("/")[0],
            )
    return found


def _bounds(ends: Sequence[float | None]) -> tuple[float, float]:
    low, high = ends
    return -math.inf if low is None else low, math.inf if high is None else high


def _by_name(table: Table) -> dict[str, Metric]:
    """Return the columns with the names of components and of the reward."""
    found = {_REWARD: Metric(name=_REWARD, column=_REWARD)} if _REWARD in table.columns else {}
    for name in component_names():
        if name in table.columns:
            component = load_component(name)
            found[name] = Metric(
                name=name,
                column=name,
                bounds=component.bounds,
                higher_is_better=component.higher_is_better,
                component=name,
            )
    return {name: found[name] for name in (_REWARD, *table.columns) if name in found}


def _details(path: Path, made: Provenance | None) -> Path | None:
    if made is None or made["details"] is None:
        return None
    beside = path.parent / made["details"]
    return beside if beside.is_file() else None


def _text(value: object) -> str:
    if value is None or is_placeholder(value) or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()


def _number(row: Row, column: str) -> float:
    value = row.values.get(column)
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = math.inf if _text(value) else math.nan
    elif value is None:
        number = math.nan
    else:
        number = float(value) if isinstance(value, (int, float)) else math.inf
    if math.isinf(number):
        raise InputError(
            f"{row.where}, column {column!r}: expected a number or an empty cell, got {shorten(value)}; "
            "correct the cell, or choose columns with --metrics"
        )
    return number


def _check_ids(names: Sequence[str], path: Path, column: str) -> None:
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name:
            raise InputError(
                f"{path}: row {number}, column {column!r}: no id; give each case one, or name another --on"
            )
        if name in first:
            raise InputError(
                f"{path}: row {number}, column {column!r}: id {shorten(name)} is already that of row {first[name]}; "
                + _OTHER_IDS
            )
        first[name] = number


def _text_columns(table: Table, made: Provenance | None) -> tuple[str, tuple[str, ...]]:
    """Return the columns of candidate and reference, those that are there."""
    if made and {made["columns"]["candidate"], *made["columns"]["reference"]} <= set(table.columns):
        return made["columns"]["candidate"], tuple(made["columns"]["reference"])
    try:
        columns = choose_columns(table.columns, where=str(table.path))
    except InputError:
        try:
            return "", choose_columns(table.columns, where=str(table.path), references_only=True).references
        except InputError:
            return "", ()
    return columns.candidate, columns.references
