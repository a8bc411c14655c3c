"""Means with 95% intervals over a stream of scored rows, overall and by subgroup, in constant memory.

The interval is Student's t over clusters. Rows of one patient (study, prompt) are alike, so they count as one cluster;
without clusters each row is one. With `n_g` rows of sum `s_g` in cluster g, `N` rows and G clusters overall and mean
`m`:

```
variance = (G - 1) / G * sum(((s_g - m n_g) / (N - n_g)) ** 2)     the jackknife that leaves out one cluster at a time
interval = m -/+ t(0.975, K - 1) * sqrt(variance)                  K = N ** 2 / sum(n_g ** 2)
```

K is the effective number of clusters (Kish): G if all have equally many rows, less if a few hold most of them. If each
row is a cluster, it is the textbook interval `m -/+ t(0.975, n - 1) s / sqrt(n)`. The interval ends at the bounds
of the score, which the true mean cannot pass. If all clusters are alike there is no spread to estimate: a share of up
to `1 - 0.025 ** (1 / K)` of others may then have been missed (Clopper and Pearson), which may lie as far off as the
bounds allow. Below 5 effective clusters there is no interval. `benchmarks/intervals.py` measures the coverage.
"""

from __future__ import annotations

import math
import re
import sqlite3
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, islice
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from cxr_rewards.errors import InputError
from cxr_rewards.text.ages import age_in_years

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

LEVEL = 0.95
MIN_CLUSTERS = 5
"""Fewest effective clusters with an interval: with fewer it would be as wide as the scale, and skewed scores would fall
outside most often."""

MAX_GROUPS = 200
_MAX_REASONS = 100
_BLOCK = 4096
_BANDS = ((18, "0-17"), (40, "18-39"), (60, "40-59"), (80, "60-79"), (200, "80+"))


_AGE = re.compile(r"(patient[_ -]?)?age([_ -](in[_ -])?years|[_ -]at[_ -][a-z]+)?", re.IGNORECASE)  # not age_group


def is_age_column(name: str) -> bool:
    """Return whether a column's name says that it holds ages.

    Example:
        >>> [is_age_column(name) for name in ("Age", "patient_age", "age at study", "age_group")]
        [True, True, True, False]
    """
    return _AGE.fullmatch(name.strip()) is not None


def age_band(value: object) -> str:
    """Return the age band of an age in years, `"unknown"` for anything else.

    Ages are read as `cxr_rewards.text.ages.age_in_years` reads them.

    Example:
        >>> [age_band(x) for x in (63, "63 years", "019M", "080Y", ">89", "63M", "60+", None)]
        ['60-79', '60-79', '0-17', '80+', '80+', 'unknown', 'unknown', 'unknown']
    """
    years = age_in_years(value)
    if years is None:
        return "unknown"
    return next((band for limit, band in _BANDS if years < limit), "unknown")


def subgroup_columns(by: str | Sequence[str]) -> tuple[str, ...]:
    """Return the subgroup columns, each once.

    Example:
        >>> subgroup_columns("sex"), subgroup_columns(["sex", "site", "sex"]), subgroup_columns("")
        (('sex',), ('sex', 'site'), ())
    """
    return tuple(dict.fromkeys([by] if isinstance(by, str) and by else by))


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
    """A mean over `n` scored rows with its 95% interval; None if there is none (see the module)."""

    n: int
    mean: float | None
    low: float | None
    high: float | None


_Groups = dict[tuple[str, ...], tuple[int, dict[str, Estimate]]]
"""Number of rows and estimates by the names of a subgroup."""


@dataclass
class Summary:
    """Collects scored rows chunk by chunk; a temporary file holds their numbers, so that memory does not grow.

    Attributes:
        labels: the columns of the numbers, e.g. the components and the reward.
        by: names of the subgroup columns: one, or several, which are also crossed.
        cluster: name of the column whose equal values are one cluster; empty: each row is one.
        bounds: lowest and highest value of each label; none by default.
        rows: how many rows were added.
        reasons: unscored rows by reason.
        kinds: unscored rows by kind of failure; a row with several counts for each.

    Example:
        >>> summary = Summary(["reward"], cluster="patient_id")
        >>> values, patients = [0.5, 1.0, None, 0.7, 0.2, 0.4, 0.9], ["a", "a", "b", "c", "d", "e", "f"]
        >>> summary.add([[value] for value in values], reasons=[""] * 2 + ["no report"] + [""] * 4, clusters=patients)
        >>> estimate = summary.overall()["reward"]
        >>> estimate.n, round(estimate.mean, 3), estimate.low  # five patients, of whom one has a third of the rows
        (6, 0.617, None)
        >>> summary.add([[0.6], [0.8]], clusters=["g", "h"])
        >>> estimate = summary.overall()["reward"]
        >>> round(estimate.low, 2), round(estimate.high, 2)
        (0.42, 0.85)
        >>> summary.reasons
        Counter({'no report': 1})
    """

    labels: Sequence[str]
    by: str | Sequence[str] = ()
    cluster: str = ""
    bounds: Sequence[tuple[float, float]] = ()
    rows: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.by = subgroup_columns(self.by)
        self._known: dict[tuple[str, ...], _Groups] = {}
        self._seen: list[set[str]] = [set() for _ in self.by]
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._db.close)
        names = [f"g{i}" for i in range(len(self.by))] + [f"v{i}" for i in range(len(self.labels))]
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            f"CREATE TABLE rows (cluster, {', '.join(names)})",
            "BEGIN",
        ):
            self._db.execute(statement)
        self._insert = f"INSERT INTO rows VALUES (?{', ?' * len(names)})"  # noqa: S608 - the names are generated above

    def add(
        self,
        values: Sequence[Sequence[float | None]],
        *,
        reasons: Sequence[str] = (),
        kinds: Iterable[Iterable[str]] = (),
        groups: Sequence[str | Sequence[str]] = (),
        clusters: Sequence[str] = (),
    ) -> None:
        """Add rows.

        Args:
            values: one number, or None, for each label of each row.
            reasons: why each row is unscored; empty if it is scored.
            kinds: the kinds of failure of each row; empty if it is scored.
            groups: each row's subgroup, or one for each column of `by`; only if `by` is set.
            clusters: each row's cluster; a row with an empty one is a cluster of its own. Only if `cluster` is set.

        Raises:
            InputError: a subgroup column has more than 200 values: it is an identifier, not a subgroup.
            OSError: no space for the temporary file.
        """
        for reason in reasons:
            if reason:
                self.reasons[reason if reason in self.reasons or len(self.reasons) < _MAX_REASONS else "others"] += 1
        for some in kinds:
            self.kinds.update(set(some))
        names = (
            [(name,) if isinstance(name, str) else tuple(name) for name in groups] if self.by else [()] * len(values)
        )
        for column, seen, new in zip(self.by, self._seen, zip(*names, strict=True), strict=False):
            seen.update(new)
            check_subgroups(column, seen)
        own = clusters if self.cluster else [""] * len(values)
        rows = [
            (cluster or self.rows + i, *name, *row)  # a number is never equal to a text
            for i, (cluster, name, row) in enumerate(zip(own, names, values, strict=True))
        ]
        with _space():
            self._db.executemany(self._insert, rows)
        self.rows += len(rows)
        self._known.clear()

    def overall(self) -> dict[str, Estimate]:
        """Return the estimate of each label over all rows."""
        estimates = self._estimates()
        return estimates[()][1] if estimates else dict.fromkeys(self.labels, Estimate(0, None, None, None))

    def tables(self) -> list[tuple[str, ...]]:
        """Return the subgroup columns, each alone and then all of them crossed if that makes no more than 200 groups.

        Example:
            >>> Summary(["reward"], by=["sex", "site"]).tables()
            [('sex',), ('site',), ('sex', 'site')]
        """
        single: list[tuple[str, ...]] = [(column,) for column in self.by]
        crossed = len(single) > 1 and self._count(tuple(self.by)) <= MAX_GROUPS
        return [*single, tuple(self.by)] if crossed else single

    def subgroups(self, *columns: str) -> dict[str, tuple[int, dict[str, Estimate]]]:
        """Return rows and estimates of each subgroup, sorted by name.

        Args:
            columns: of `by`; several are crossed. All by default.
        """
        by_names = self._estimates(*(columns or self.by))
        return {" × ".join(names): estimates for names, estimates in sorted(by_names.items())}

    def _count(self, columns: tuple[str, ...]) -> int:
        return sum(1 for _ in self._query(f"SELECT DISTINCT {self._keys(columns)} FROM rows"))  # noqa: S608

    def _keys(self, columns: tuple[str, ...]) -> str:
        return ", ".join(f"g{list(self.by).index(column)}" for column in columns)

    def _query(self, query: str) -> Iterator[tuple[Any, ...]]:
        with _space():
            yield from self._db.execute(query)

    def _estimates(self, *columns: str) -> _Groups:
        if columns not in self._known:
            self._known[columns] = self._estimate(columns)
        return self._known[columns]

    def _estimate(self, columns: tuple[str, ...]) -> _Groups:
        """Return the number of rows and the estimates by subgroup: first the means, then the spread of the clusters."""
        import numpy as np

        keys, width, labels = self._keys(columns), len(columns), range(len(self.labels))
        counts = [*(f"count(v{i})" for i in labels), *(f"total(v{i})" for i in labels)]
        select = f"SELECT {keys + ', ' if keys else ''}"
        sums: dict[tuple[str, ...], tuple[int, Numbers]] = {}
        for row in self._query(f"{select}count(*), {', '.join(counts)} FROM rows {'GROUP BY ' + keys if keys else ''}"):
            sums[row[:width]] = row[width], np.array(row[width + 1 :]).reshape(2, -1)
        order = f"ORDER BY {keys}" if keys else ""
        if self.cluster:
            query = f"{select}{', '.join(counts)} FROM rows GROUP BY {keys + ', ' if keys else ''}cluster {order}"
        else:
            query = f"{select}{', '.join(f'v{i}' for i in labels)} FROM rows {order}"
        estimates = {}
        for names, rows in groupby(self._query(query), lambda row: row[:width]):
            count, whole = sums[names]
            spread: Any = 0.0
            while some := list(islice(rows, _BLOCK)):
                numbers = np.array([row[width:] for row in some], dtype=np.float64)
                if self.cluster:
                    numbers = numbers.reshape(len(some), 2, -1)
                else:
                    known = ~np.isnan(numbers)
                    numbers = np.stack((known, np.where(known, numbers, 0.0)), axis=1)
                spread = spread + _spread(numbers, whole)
            estimates[names] = count, self._by_label(*whole, *spread)
        return estimates

    def _by_label(
        self, n: Numbers, total: Numbers, clusters: Numbers, squares: Numbers, deviations: Numbers
    ) -> dict[str, Estimate]:
        estimates = {}
        bounds = self.bounds or [(-math.inf, math.inf)] * len(self.labels)
        for i, (label, (lowest, highest)) in enumerate(zip(self.labels, bounds, strict=True)):
            mean = float(total[i] / n[i]) if n[i] else math.nan
            low = high = None
            if n[i] and n[i] ** 2 >= MIN_CLUSTERS * squares[i]:
                error = math.sqrt((clusters[i] - 1) / clusters[i] * deviations[i])
                low, high = _interval(mean, error, float(n[i] ** 2 / squares[i]), lowest, highest)
            estimates[label] = Estimate(int(n[i]), mean if math.isfinite(mean) else None, low, high)
        return estimates

    @property
    def method(self) -> str:
        """The method of the intervals, in words."""
        what = f"values of {self.cluster!r}" if self.cluster else "rows"
        return f"Student's t over {what}; none below {MIN_CLUSTERS}"

    def as_json(self) -> Mapping[str, Any]:
        """Return everything as JSON-compatible data.

        `by` is one table for one column, and a list of tables for several.
        """

        def table(estimates: Mapping[str, Estimate]) -> dict[str, object]:
            return {label: {"n": e.n, "mean": e.mean, "low": e.low, "high": e.high} for label, e in estimates.items()}

        data: dict[str, object] = {
            "rows": self.rows,
            "unscored": dict(self.reasons.most_common()),
            "unscored_kinds": dict(self.kinds.most_common()),
            "interval": {
                "level": LEVEL,
                "method": self.method,
                "cluster": self.cluster or None,
                "min_clusters": MIN_CLUSTERS,
            },
            "scores": table(self.overall()),
        }
        by = [
            {
                "column": " × ".join(columns),
                "groups": {
                    name: {"rows": rows, "scores": table(e)} for name, (rows, e) in self.subgroups(*columns).items()
                },
            }
            for columns in self.tables()
        ]
        if by:
            data["by"] = by[0] if len(self.by) == 1 else by
        return data


def _spread(clusters: Numbers, whole: Numbers) -> Numbers:
    """Return by label the number of clusters, the squares of their rows, and those of the jackknife's deviations.

    Args:
        clusters: (clusters, 2, labels): rows and sum of each.
        whole: (2, labels): the same for the whole subgroup.
    """
    import numpy as np

    n, total = clusters[:, 0], clusters[:, 1]
    with np.errstate(all="ignore"):
        rest = whole[0] - n
        deviations = np.where((n > 0) & (rest > 0), (total - whole[1] / whole[0] * n) / rest, 0.0)
        return np.stack(((n > 0).sum(axis=0), (n**2).sum(axis=0), (deviations**2).sum(axis=0)))


def _interval(
    mean: float, error: float, clusters: float, lowest: float, highest: float
) -> tuple[float | None, float | None]:
    if error > 1e-12 * abs(mean):
        half = t_quantile(clusters - 1) * error
        low, high = max(mean - half, lowest), min(mean + half, highest)
    else:
        missed = 1 - ((1 - LEVEL) / 2) ** (1 / clusters)
        low, high = mean - missed * (mean - lowest), mean + missed * (highest - mean)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else (None, None)


def t_quantile(df: float, level: float = LEVEL) -> float:
    """Return the quantile of Student's t that ends a two-sided interval, by default the 0.975 quantile.

    The expansion of Cornish and Fisher around the normal quantile (Abramowitz and Stegun 26.7.5), to 0.001 for 4
    degrees of freedom or more (not necessarily whole).

    Example:
        >>> [round(t_quantile(df), 3) for df in (4, 10, 1e9)]
        [2.776, 2.228, 1.96]
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / df**power for power, term in enumerate(terms))


@contextmanager
def _space() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(f"the temporary file of the summary: {error}; free some space") from error
