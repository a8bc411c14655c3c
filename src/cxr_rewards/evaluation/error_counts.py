"""Number of errors that a judge counts in each report: the mean, and the shares of reports with few and with many."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cxr_rewards.evaluation.figures import Figure, share
from cxr_rewards.evaluation.groups import group_table, mean_of
from cxr_rewards.evaluation.resampling import RESAMPLES, SEED, cluster_codes, sum_by_cluster
from cxr_rewards.judges.details import SORTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

BINS = ("<=1", "2", "3", ">=4")
"""UniRG-CXR's classes of CheXprompt's errors in a report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCounts:
    """Errors in the reports of a file.

    Attributes:
        source: the judge, or the column.
        kind: `all`, `significant` or `insignificant`.
        mean: errors in a report.
        shares: of the reports with as many errors, by `BINS`.
    """

    source: str
    kind: str
    mean: Figure
    shares: Mapping[str, Figure]

    def as_json(self) -> dict[str, object]:
        """Return the counts as JSON-compatible data."""
        shares = {name: figure.as_json() for name, figure in self.shares.items()}
        return {"source": self.source, "kind": self.kind, "mean": self.mean.as_json(), "shares": shares}


def count_errors(
    source: str,
    kind: str,
    errors: Numbers,
    *,
    clusters: Sequence[str] = (),
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> ErrorCounts:
    """Return the mean and the shares of a number of errors of each case, NaN if it is unknown.

    The mean of several votes need not be whole; it is rounded to find its class.

    Example:
        >>> counts = count_errors("chexprompt", "all", np.array([0.0, 1, 2, 5, np.nan]), resamples=100)
        >>> counts.mean.value, {name: figure.value for name, figure in counts.shares.items()}
        (2.0, {'<=1': 0.5, '2': 0.25, '3': 0.0, '>=4': 0.25})
    """
    known = np.isfinite(errors)
    codes = cluster_codes(clusters) if len(clusters) else None
    measure = mean_of("errors", errors, compared=False)
    table = group_table(["file"], ["all"] * len(errors), [measure], clusters=clusters, resamples=resamples, seed=seed)
    classes = np.clip(np.floor(np.where(known, errors, 0) + 0.5), 1, len(BINS)).astype(int) - 1
    columns = [known, *((classes == i) & known for i in range(len(BINS)))]
    sums = sum_by_cluster(np.column_stack(columns).astype(np.float64), codes)
    shares = {
        name: share(sums[:, i + 1], sums[:, 0], "no report with a number of errors") for i, name in enumerate(BINS)
    }
    return ErrorCounts(source=source, kind=kind, mean=table.overall.figures["errors"], shares=shares)


def errors_in_details(rows: Iterable[Mapping[str, Any]], cases: int) -> dict[tuple[str, str], Numbers]:
    """Return the number of errors of each case by judge and kind, from the rows of a file of details.

    Args:
        rows: from `read_details`.
        cases: how many rows the file of scores has.
    """
    found: dict[tuple[str, str], Numbers] = {}
    for row in rows:
        for label, part in row["parts"].items():
            counts = part["details"].get("counts")
            if part["value"] is None or not isinstance(counts, Mapping) or set(counts) != set(SORTS):
                continue
            numbers: dict[str, float] = {sort: float(sum(counts[sort].values())) for sort in SORTS}
            numbers["all"] = sum(numbers.values())
            for kind, number in numbers.items():
                column = found.setdefault((label, kind), np.full(cases, math.nan))
                column[row["row"] - 1] = number
    return found


def errors_in_columns(columns: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], Numbers]:
    """Return the number of errors of each case by judge and kind, from columns such as `chexprompt.significant`.

    Args:
        columns: cells by name; other columns are passed over.
    """
    found: dict[tuple[str, str], Numbers] = {}
    for name, cells in columns.items():
        label, _, kind = name.rpartition(".")
        if label and kind in SORTS:
            found[label, kind] = np.array([float(cell) if cell else math.nan for cell in cells])
    for label in {label for label, _ in found}:
        if all((label, sort) in found for sort in SORTS):
            found[label, "all"] = sum((found[label, sort] for sort in SORTS), np.zeros(1))
    return found
