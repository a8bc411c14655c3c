"""Means by subgroup with intervals, and gaps between subgroups.

All numbers of a table come from the same resamples of clusters, so that a patient with cases in several groups (kinds
of change, say) is drawn with all of them.

A **gap** is the difference between the best and the worst group. Choosing the two by their scores makes their gap look
larger than it is: among groups that are all alike, the best and the worst differ by chance. So the interval is that of
all pairs of groups at once,

    d -/+ c se,    c = the 95% quantile of max over pairs of |d* - d| / se over the resamples,

(the bootstrap's form of Tukey's range test), widened as the bootstrap's intervals for few clusters. Without any
difference between groups it leaves out 0 for one table in twenty at most. Groups of fewer cases than the minimum, and
cases whose group is unknown, are shown, but are not compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np

from cxr_rewards.errors import ConfigError
from cxr_rewards.evaluation.figures import Figure
from cxr_rewards.evaluation.resampling import (
    RESAMPLES,
    SEED,
    Resampled,
    bootstrap,
    cluster_codes,
    effective_clusters,
    sum_by_cluster,
)
from cxr_rewards.files.summary import LEVEL, MIN_CLUSTERS, age_band, check_subgroups, t_quantile
from cxr_rewards.text.ages import age_in_years

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Codes = NDArray[np.int64]

MINIMUM = 10
"""Fewest cases of a group with an interval."""
UNKNOWN = "unknown"
_FEW_CLUSTERS = f"fewer than {MIN_CLUSTERS} independent clusters"
_MAX_COLUMNS = 1_000
"""Sums that are resampled at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measure:
    """A number of a group of cases: the sum of its numerators over that of its denominators.

    A mean of scores has the scores as numerators and 1 as denominators, both 0 for an unscored case.

    Attributes:
        name: for tables.
        numerator, denominator: (cases,).
        cases: (cases,), whether each counts among the group's scored cases.
        bounds: smallest and largest value.
        higher_is_better: its direction.
        compared: whether groups are compared by it.
    """

    name: str
    numerator: Numbers
    denominator: Numbers
    cases: NDArray[np.bool_]
    bounds: tuple[float, float] = (-math.inf, math.inf)
    higher_is_better: bool = True
    compared: bool = True


def mean_of(
    name: str,
    values: Numbers,
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    higher_is_better: bool = True,
    compared: bool = True,
) -> Measure:
    """Return the measure that is the mean of scores; NaN for an unscored case."""
    known = np.isfinite(values)
    return Measure(
        name=name,
        numerator=np.where(known, values, 0.0),
        denominator=known.astype(np.float64),
        cases=known,
        bounds=bounds,
        higher_is_better=higher_is_better,
        compared=compared,
    )


def micro_f1_of(name: str, counts: Numbers, known: NDArray[np.bool_]) -> Measure:
    """Return the measure that is the micro F1 of conditions.

    Args:
        name: for tables.
        counts: tp, fp and fn, (cases, conditions, 3); 0 for a case without labels.
        known: (cases,), whether each has labels.
    """
    tp, fp, fn = np.moveaxis(counts.sum(axis=1), -1, 0)
    return Measure(name=name, numerator=2 * tp, denominator=2 * tp + fp + fn, cases=known, bounds=(0.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of cases.

    Attributes:
        name: its value, or values joined by ` × `.
        cases: all of it, scored or not.
        figures: by measure.
    """

    name: str
    cases: int
    figures: Mapping[str, Figure]

    def as_json(self) -> dict[str, object]:
        """Return the group as JSON-compatible data."""
        return {"name": self.name, "cases": self.cases, "figures": _as_json(self.figures)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The gap of a measure.

    Attributes:
        measure: its name.
        best, worst: names of the groups; empty if no two can be compared.
        difference: by how much the best is better, with the interval of all pairs at once.
    """

    measure: str
    best: str
    worst: str
    difference: Figure

    def as_json(self) -> dict[str, object]:
        """Return the gap as JSON-compatible data."""
        return {
            "measure": self.measure,
            "best": self.best,
            "worst": self.worst,
            "difference": self.difference.as_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """Groups by one column, or by several crossed.

    Attributes:
        by: the columns.
        minimum: fewest scored cases of a group with an interval.
        groups: in order.
        overall: all cases.
        gaps: of the measures by which groups are compared.
    """

    by: tuple[str, ...]
    minimum: int
    groups: tuple[Group, ...]
    overall: Group
    gaps: tuple[Gap, ...]

    @property
    def title(self) -> str:
        """The columns in words."""
        return " × ".join(self.by)

    def as_json(self) -> dict[str, object]:
        """Return the table as JSON-compatible data."""
        return {
            "by": list(self.by),
            "minimum": self.minimum,
            "groups": [group.as_json() for group in self.groups],
            "overall": self.overall.as_json(),
            "gaps": [gap.as_json() for gap in self.gaps],
        }


def _as_json(figures: Mapping[str, Figure]) -> dict[str, object]:
    return {name: figure.as_json() for name, figure in figures.items()}


def age_bands(values: Sequence[object], edges: Sequence[float] = ()) -> list[str]:
    """Return the band of each age, `unknown` for what is not clearly one.

    Args:
        values: ages as `cxr_rewards.text.ages.age_in_years` reads them.
        edges: where bands begin, in years; by default those of the summaries: 18, 40, 60 and 80.

    Raises:
        ConfigError: the edges do not rise.

    Example:
        >>> age_bands(["63 years", "059Y", "?"], [60])
        ['60+', '<60', 'unknown']
    """
    if list(edges) != sorted(set(edges)) or any(edge <= 0 for edge in edges):
        raise ConfigError(f"age bands {', '.join(f'{edge:g}' for edge in edges)}: expected rising ages above 0")
    if not edges:
        return [age_band(value) for value in values]
    names = band_names(edges)
    years = [age_in_years(value) for value in values]
    return [UNKNOWN if year is None else names[sum(year >= edge for edge in edges)] for year in years]


def band_names(edges: Sequence[float]) -> tuple[str, ...]:
    """Return the names of the bands of ages, youngest first.

    Example:
        >>> band_names([18, 65])
        ('<18', '18-64', '65+')
    """
    between = (f"{a:g}-{b - 1:g}" for a, b in pairwise(edges))
    return (f"<{edges[0]:g}", *between, f"{edges[-1]:g}+") if edges else ()


def crossed(columns: Sequence[Sequence[str]]) -> list[str]:
    """Return the group of each case from its values in several columns; an empty one is unknown.

    Example:
        >>> crossed([["F", "M", ""], ["60+", "<60", "60+"]])
        ['F × 60+', 'M × <60', 'unknown × 60+']
    """
    return [" × ".join(value or UNKNOWN for value in values) for values in zip(*columns, strict=True)]


def group_table(
    by: Sequence[str],
    groups: Sequence[str],
    measures: Sequence[Measure],
    *,
    clusters: Sequence[str] = (),
    order: Sequence[str] = (),
    minimum: int = MINIMUM,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> GroupTable:
    """Return each measure by group, and its gaps.

    Args:
        by: names of the columns that make the groups.
        groups: of each case, from `crossed`; empty ones are unknown.
        measures: over the same cases.
        clusters: name of each case's cluster; an empty one is a cluster of its own. None at all: each case is one.
        order: of the groups; those that are not in it follow, sorted, and unknown ones come last.
        minimum: fewest scored cases of a group with an interval.
        resamples: of the bootstrap.
        seed: of its random numbers.

    Raises:
        InputError: more than 200 groups.

    Example:
        >>> scores = np.linspace(0, 1, 40)
        >>> table = group_table(["sex"], ["F", "M"] * 20, [mean_of("reward", scores)], resamples=500)
        >>> [(group.name, group.cases, round(group.figures["reward"].value, 2)) for group in table.groups]
        [('F', 20, 0.49), ('M', 20, 0.51)]
        >>> gap = table.gaps[0]
        >>> gap.best, gap.worst, gap.difference.low < 0 < gap.difference.high
        ('M', 'F', True)
    """
    cells = [name or UNKNOWN for name in groups]
    check_subgroups(" × ".join(by), cells)
    names = _sorted(set(cells), order)
    place = {name: i for i, name in enumerate(names)}
    codes = np.array([place[name] for name in cells], dtype=np.int64)
    of_cluster = cluster_codes(clusters) if len(clusters) else None
    size = max(1, _MAX_COLUMNS // (2 * (len(names) + 1)))
    table = _Table(names, codes, of_cluster, minimum, resamples, seed)
    found: list[dict[str, Figure]] = [{} for _ in range(len(names) + 1)]
    gaps: list[Gap] = []
    for start in range(0, len(measures), size):
        table.add(measures[start : start + size], found, gaps)
    counts = np.bincount(codes, minlength=len(names))
    *rows, overall = (
        Group(name=name, cases=int(count), figures=figures)
        for name, count, figures in zip([*names, "all"], [*counts, len(cells)], found, strict=True)
    )
    return GroupTable(by=tuple(by), minimum=minimum, groups=tuple(rows), overall=overall, gaps=tuple(gaps))


def _sorted(names: set[str], order: Sequence[str]) -> list[str]:
    first = [name for name in order if name in names]
    # "<60" before "60+"
    rest = sorted(names.difference(first), key=lambda name: (_is_unknown(name), name.replace("<", "\0")))
    return [*(name for name in first if not _is_unknown(name)), *rest, *filter(_is_unknown, first)]


def _is_unknown(name: str) -> bool:
    return UNKNOWN in name.split(" × ")


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Computes the figures of some measures at a time."""

    names: Sequence[str]
    codes: Codes
    of_cluster: Codes | None
    minimum: int
    resamples: int
    seed: int

    def add(self, measures: Sequence[Measure], found: list[dict[str, Figure]], gaps: list[Gap]) -> None:
        """Add the figures of each group, then of all cases, and the gaps."""
        groups, count = len(self.names), len(self.codes)
        sums = np.zeros((count, len(measures), groups + 1, 2))
        rows = np.arange(count)
        for m, measure in enumerate(measures):
            for part, numbers in enumerate((measure.numerator, measure.denominator)):
                sums[rows, m, self.codes, part] = numbers
                sums[:, m, groups, part] = numbers
        shape = sums.shape[1:]
        sums = sum_by_cluster(sums.reshape(count, -1), self.of_cluster)
        drawn = bootstrap(sums, lambda flat: _ratios(flat, shape), resamples=self.resamples, seed=self.seed)
        estimates = drawn.estimates.reshape(shape[:2])
        for m, measure in enumerate(measures):
            sizes = self._sizes(measure)
            scored = sizes.sum(axis=0).astype(int)
            effective = [effective_clusters(column) for column in sizes.T]
            for g, figures in enumerate(found):
                figures[measure.name] = self._figure(
                    int(scored[g]),
                    drawn,
                    m * (groups + 1) + g,
                    effective[g],
                    measure.bounds,
                )
            if measure.compared:
                replicates = drawn.replicates.reshape(-1, *shape[:2])[:, m, :groups]
                gaps.append(self._gap(measure, estimates[m, :groups], replicates, scored[:groups], effective))

    def _sizes(self, measure: Measure) -> Numbers:
        """Return the scored cases of each cluster in each group, then in all, (clusters, groups + 1)."""
        groups = len(self.names)
        cases = np.zeros((len(self.codes), groups + 1))
        cases[np.arange(len(self.codes)), self.codes] = measure.cases
        cases[:, groups] = measure.cases
        return sum_by_cluster(cases, self.of_cluster)

    def _figure(self, n: int, drawn: Resampled, at: int, effective: float, bounds: tuple[float, float]) -> Figure:
        value = float(drawn.estimates[at])
        if not n:
            return Figure(0, None, reason="no scored case")
        if not math.isfinite(value):
            return Figure(n, None, reason="undefined: nothing to count")
        if n < self.minimum:
            return Figure(n, value, reason=f"fewer than {self.minimum} cases")
        ends = drawn.interval(lambda statistics: statistics[..., at], effective, bounds=bounds)
        if ends is not None:
            return Figure(n, value, *ends)
        few = effective < MIN_CLUSTERS
        return Figure(n, value, reason=_FEW_CLUSTERS if few else "all cases are alike, and the score has no bounds")

    def _gap(
        self, measure: Measure, estimates: Numbers, replicates: Numbers, scored: Codes, effective: Sequence[float]
    ) -> Gap:
        chosen = [
            g
            for g, name in enumerate(self.names)
            if scored[g] >= self.minimum and math.isfinite(estimates[g]) and not _is_unknown(name)
        ]
        if len(chosen) < 2:
            reason = f"fewer than two groups of {self.minimum} scored cases"
            return Gap(measure=measure.name, best="", worst="", difference=Figure(0, None, reason=reason))
        sign = 1 if measure.higher_is_better else -1
        ranked = sorted(chosen, key=lambda g: -sign * estimates[g])
        best, worst = ranked[0], ranked[-1]
        clusters = min(effective[best], effective[worst])
        n, value = int(scored[best] + scored[worst]), float(abs(estimates[best] - estimates[worst]))
        names = {"measure": measure.name, "best": self.names[best], "worst": self.names[worst]}
        if clusters < MIN_CLUSTERS:
            return Gap(**names, difference=Figure(n, value, reason=_FEW_CLUSTERS))
        half = _half_width(estimates[chosen], replicates[:, chosen], chosen.index(best), chosen.index(worst), clusters)
        if not half:
            return Gap(**names, difference=Figure(n, value, reason="all cases of these groups are alike"))
        return Gap(**names, difference=Figure(n, value, value - half, value + half))


def _ratios(flat: Numbers, shape: tuple[int, ...]) -> Numbers:
    sums = flat.reshape(*flat.shape[:-1], *shape)
    return (sums[..., 0] / sums[..., 1]).reshape(*flat.shape[:-1], -1)


def _half_width(estimates: Numbers, replicates: Numbers, best: int, worst: int, clusters: float) -> float:
    """Return half the width of the interval of a pair of groups that is right for all pairs at once."""
    deviations = replicates[np.isfinite(replicates).all(axis=1)] - estimates
    if len(deviations) < len(replicates) / 2:
        return 0.0
    largest = np.zeros(len(deviations))
    spread = 0.0
    for i, j in combinations(range(len(estimates)), 2):
        difference = deviations[:, i] - deviations[:, j]
        se = float(difference.std())
        if {i, j} == {best, worst}:
            spread = se
        if se:
            np.maximum(largest, np.abs(difference) / se, out=largest)
    widened = math.sqrt(clusters / (clusters - 1)) * t_quantile(clusters - 1) / t_quantile(1e9)
    return float(np.quantile(largest, LEVEL)) * spread * widened
