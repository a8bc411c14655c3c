"""Means with bootstrap intervals over a stream of scored rows, in all and by subgroup, in constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cxr_rewards.age import age_in_years
from cxr_rewards.errors import InputError

if TYPE_CHECKING:
    import numpy as np

REPLICATES = 1000
MAX_GROUPS = 200
_MAX_REASONS = 100
_BANDS = ((18, "0-17"), (40, "18-39"), (60, "40-59"), (80, "60-79"), (200, "80+"))


def age_band(value: object) -> str:
    """Return the age band of an age in years, `"unknown"` for whatever is not surely one.

    Ages are taken as `cxr_rewards.age.age_in_years` takes them.

    Example:
        >>> [age_band(x) for x in (63, "63 years", "019M", "080Y", ">89", "63M", "60+", None)]
        ['60-79', '60-79', '0-17', '80+', '80+', 'unknown', 'unknown', 'unknown']
    """
    years = age_in_years(value)
    if years is None:
        return "unknown"
    return next((band for limit, band in _BANDS if years < limit), "unknown")


def check_subgroups(column: str, names: Iterable[str]) -> None:
    """Raise `InputError` if a column has more than 200 distinct values: it is an identifier, not a subgroup."""
    seen: set[str] = set()
    for name in names:
        seen.add(name)
        if len(seen) > MAX_GROUPS:
            raise InputError(
                f"column {column!r} has more than {MAX_GROUPS} distinct values; "
                f"subgroups need a column such as sex, age, site or dataset"
            )


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` scored rows with its 95% bootstrap interval; None where there is none.

    Nothing scored has no mean, and one row no interval: it says nothing of how far other rows would lie.
    """

    n: int
    mean: float | None
    low: float | None
    high: float | None


@dataclass(slots=True)
class _Sums:
    """Running sums of one subgroup: plain, and under each replicate's weights."""

    rows: int
    n: np.ndarray[Any, Any]
    total: np.ndarray[Any, Any]
    weight: np.ndarray[Any, Any]
    weighted: np.ndarray[Any, Any]


@dataclass
class Summary:
    """Collects scored rows chunk by chunk.

    The interval is the percentile interval of a Poisson bootstrap (each row enters each of 1,000 replicates with a
    Poisson(1) weight; Chamandy et al., "Estimating uncertainty for massive data streams", 2012), which needs each row
    once and no row kept. Seeded: equal rows in equal order give equal intervals.

    Attributes:
        labels: the columns of the numbers, e.g. the components and the reward.
        by: name of the subgroup column; empty for none.

    Example:
        >>> summary = Summary(["reward"])
        >>> summary.add([[0.5], [1.0], [None]], reasons=["", "", "reference: is empty"])
        >>> estimate = summary.overall()["reward"]
        >>> estimate.n, estimate.mean, estimate.low <= 0.75 <= estimate.high
        (2, 0.75, True)
        >>> summary.reasons
        Counter({'reference: is empty': 1})
    """

    labels: Sequence[str]
    by: str = ""
    rows: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        import numpy as np

        self._random = np.random.default_rng(0)
        self._groups: dict[str, _Sums] = {}

    def add(
        self, values: Sequence[Sequence[float | None]], *, reasons: Sequence[str] = (), groups: Sequence[str] = ()
    ) -> None:
        """Add rows.

        Args:
            values: one number, or None, for each label of each row.
            reasons: why a row is unscored, empty where it is not.
            groups: each row's subgroup; only where `by` is set.

        Raises:
            InputError: more than 200 subgroups: the column is an identifier, not a subgroup.
        """
        import numpy as np

        if not values:
            return
        matrix = np.array(values, dtype=np.float64).reshape(len(values), len(self.labels))
        known = ~np.isnan(matrix)
        matrix = np.where(known, matrix, 0.0)
        weights = self._random.poisson(1.0, size=(len(values), REPLICATES)).astype(np.float64)
        self.rows += len(values)
        for reason in reasons:
            if reason:
                self.reasons[reason if reason in self.reasons or len(self.reasons) < _MAX_REASONS else "others"] += 1
        names = list(groups) if self.by else [""] * len(values)
        for name in dict.fromkeys(names):
            index = np.array([i for i, other in enumerate(names) if other == name])
            sums = self._group(name)
            sums.rows += len(index)
            sums.n += known[index].sum(axis=0)
            sums.total += matrix[index].sum(axis=0)
            sums.weight += weights[index].T @ known[index]
            sums.weighted += weights[index].T @ matrix[index]

    def _group(self, name: str) -> _Sums:
        import numpy as np

        if name not in self._groups:
            check_subgroups(self.by, [*self._groups, name])
            width = len(self.labels)
            self._groups[name] = _Sums(
                0, np.zeros(width), np.zeros(width), np.zeros((REPLICATES, width)), np.zeros((REPLICATES, width))
            )
        return self._groups[name]

    def overall(self) -> dict[str, Estimate]:
        """Return the estimate of each label over all rows."""
        parts = list(self._groups.values()) or [self._group("")]
        return self._estimates(
            sum(p.n for p in parts), sum(p.total for p in parts),
            sum(p.weight for p in parts), sum(p.weighted for p in parts),
        )  # fmt: skip

    def subgroups(self) -> dict[str, tuple[int, dict[str, Estimate]]]:
        """Return rows and estimates of each subgroup, sorted by name."""
        return {
            name: (s.rows, self._estimates(s.n, s.total, s.weight, s.weighted))
            for name, s in sorted(self._groups.items())
        }

    def _estimates(self, n: Any, total: Any, weight: Any, weighted: Any) -> dict[str, Estimate]:
        import numpy as np

        estimates = {}
        for i, label in enumerate(self.labels):
            if not n[i]:
                estimates[label] = Estimate(0, None, None, None)
                continue
            mean = float(total[i] / n[i])
            if n[i] < 2:
                estimates[label] = Estimate(1, mean, None, None)
                continue
            drawn = weight[:, i] > 0  # a replicate may leave out every row of a tiny subgroup
            means = weighted[drawn, i] / weight[drawn, i]
            low, high = np.quantile(means, (0.025, 0.975))
            estimates[label] = Estimate(int(n[i]), mean, float(low), float(high))
        return estimates

    def as_json(self) -> Mapping[str, Any]:
        """Return everything as JSON-compatible data."""

        def table(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
            return {label: {"n": e.n, "mean": e.mean, "low": e.low, "high": e.high} for label, e in estimates.items()}

        data: dict[str, Any] = {
            "rows": self.rows,
            "unscored": dict(self.reasons.most_common()),
            "scores": table(self.overall()),
        }
        if self.by:
            data["by"] = {
                "column": self.by,
                "groups": {name: {"rows": rows, "scores": table(e)} for name, (rows, e) in self.subgroups().items()},
            }
        return data
