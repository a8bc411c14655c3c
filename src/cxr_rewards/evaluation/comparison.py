"""Result of a comparison, as data and as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cxr_rewards.evaluation.resampling import Correction, Method
from cxr_rewards.evaluation.tables import Table, interval, number, p_value

_CORRECTIONS = {"holm": "Holm", "bh": "Benjamini and Hochberg", "none": "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One of the systems.

    Attributes:
        name: of the system.
        file: of its scores.
        cases: in the file.
        signature: of its reward; empty if the file does not say.
        kinds: unscored cases of the file by kind of failure.
    """

    name: str
    file: str
    cases: int
    signature: str
    kinds: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One measure of one system, over the cases that are scored for all systems.

    Attributes:
        measure, system: names.
        n: number of these cases.
        unscored: common cases without a score of this system.
        value: None if it is undefined, as without any case.
        low, high: ends of the 95% interval; None if there is none.
        first: share of the resamples in which this system is the best (ties are shared); None without a direction.
        groups: of a gap, number of cases and mean by group; else empty.
    """

    measure: str
    system: str
    n: int
    unscored: int
    value: float | None
    low: float | None
    high: float | None
    first: float | None
    groups: Mapping[str, tuple[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NonInferiority:
    """Whether a system is at most a margin worse than the other, by one-sided 95% bounds.

    Attributes:
        margin: in the metric's units.
        low, high: bounds of the difference, each one-sided at 95%; None if there are none.
        first: whether the first system is not worse by the margin or more; None without bounds.
        second: the same of the second system. If both hold, the two are equivalent within the margin.
    """

    margin: float
    low: float | None
    high: float | None
    first: bool | None
    second: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One measure of two systems.

    Attributes:
        measure, first, second: names.
        n: number of cases.
        difference: the first system's value less the second's, in the measure's units; None if one is undefined.
        low, high: ends of the 95% interval of the difference; None if there is none.
        p: two-sided p-value; None if the difference is undefined or the measure has no direction.
        p_adjusted: adjusted for all tests of the comparison.
        better: the system that the difference favours; None if it is 0 or the measure has no direction.
        share_better: share of the cases that the first system scores better, of measures that are means.
        share_equal: share of the cases that both score equally.
        standardised: mean difference of the cases by its standard deviation, signed as `difference`; None if all cases
            differ by the same amount, or the measure is not a mean.
        non_inferiority: None if no margin was given for the measure.
    """

    measure: str
    first: str
    second: str
    n: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    better: str | None
    share_better: float | None
    share_equal: float | None
    standardised: float | None
    non_inferiority: NonInferiority | None = None

    @property
    def share_worse(self) -> float | None:
        """Share of the cases that the second system scores better."""
        if self.share_better is None or self.share_equal is None:
            return None
        return 1.0 - self.share_better - self.share_equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Result of `compare`.

    Attributes:
        systems: in the order of the files.
        cases: number of cases that all files have.
        cluster: the column whose equal values are drawn and exchanged together; empty: each case is alone.
        clusters: number of clusters.
        higher_is_better: by measure; None for a measure without a direction.
        estimates: by measure, then system.
        pairs: by measure, then pair.
        tests: number of p-values, for which each is adjusted.
        exact: whether all exchanges were enumerated in every test.
        method, correction, resamples, seed, level: how the numbers were made.
        notes: what the reader should know.
    """

    systems: tuple[System, ...]
    cases: int
    cluster: str
    clusters: int
    higher_is_better: Mapping[str, bool | None]
    estimates: tuple[Estimate, ...]
    pairs: tuple[Pair, ...]
    tests: int
    exact: bool
    method: Method
    correction: Correction
    resamples: int
    seed: int
    level: float
    notes: tuple[str, ...]

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures."""
        return tuple(self.higher_is_better)

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON-compatible data."""
        return {
            "systems": [asdict(system) for system in self.systems],
            "cases": self.cases,
            "cluster": self.cluster or None,
            "clusters": self.clusters,
            "method": self.method,
            "level": self.level,
            "resamples": self.resamples,
            "seed": self.seed,
            "correction": self.correction,
            "tests": self.tests,
            "exact": self.exact,
            "notes": list(self.notes),
            "measures": [
                {
                    "name": name,
                    "higher_is_better": better,
                    "systems": [_estimate(e) for e in self.estimates if e.measure == name],
                    "pairs": [
                        {**_without(asdict(pair), "measure"), "share_worse": pair.share_worse}
                        for pair in self.pairs
                        if pair.measure == name
                    ],
                }
                for name, better in self.higher_is_better.items()
            ],
        }

    def tables(self) -> list[Table]:
        """Return the tables that the command prints."""
        found = [_systems(self), _pairs(self)]
        if any(pair.non_inferiority for pair in self.pairs):
            found.append(_margins(self))
        if any(estimate.groups for estimate in self.estimates):
            found.append(_groups(self))
        return found


def _better(comparison: Comparison, measure: str) -> str:
    return {True: "higher", False: "lower", None: ""}[comparison.higher_is_better[measure]]


def _starts(names: Iterator[str]) -> frozenset[int]:
    """Return the numbers of the rows where another name begins."""
    starts, last = set(), ""
    for i, name in enumerate(names):
        if name != last:
            starts.add(i)
        last = name
    return frozenset(starts)


def _blanked(rows: Sequence[tuple[str, ...]], starts: frozenset[int], columns: int) -> tuple[tuple[str, ...], ...]:
    """Return the rows with the first columns only where a section starts."""
    return tuple(row if i in starts else ("",) * columns + row[columns:] for i, row in enumerate(rows))


def _systems(comparison: Comparison) -> Table:
    rows = [
        (
            e.measure,
            _better(comparison, e.measure),
            e.system,
            f"{e.n:,}",
            f"{e.unscored:,}",
            number(e.value),
            interval(e.low, e.high),
            "-" if e.first is None else f"{e.first:.0%}",
        )
        for e in comparison.estimates
    ]
    starts = _starts(e.measure for e in comparison.estimates)
    of = f"{comparison.clusters:,} {comparison.cluster!r}" if comparison.cluster else f"{comparison.cases:,} cases"
    bootstrap = "percentile" if comparison.method == "percentile" else "BCa"
    return Table(
        title=f"{len(comparison.systems)} systems, {comparison.cases:,} cases",
        head=("measure", "better", "system", "cases", "unscored", "value", "95% interval", "first"),
        rows=_blanked(rows, starts, 2),
        numbers=frozenset({"cases", "unscored", "value", "first"}),
        sections=starts,
        caption=f"interval: {bootstrap} bootstrap, {comparison.resamples:,} resamples of {of}, seed {comparison.seed}; "
        "first: share of the resamples in which the system is best",
    )


def _pairs(comparison: Comparison) -> Table:
    pairs = comparison.pairs
    one = len(pairs) == len(comparison.measures)  # its names are in the title
    rows = [
        (
            pair.measure,
            *(() if one else (_name(pair),)),
            number(pair.difference, sign=True),
            interval(pair.low, pair.high, sign=True),
            p_value(pair.p),
            p_value(pair.p_adjusted),
            pair.better or "-",
            _shares(pair),
            number(pair.standardised, 2, sign=True),
        )
        for pair in pairs
    ]
    starts = _starts(pair.measure for pair in pairs)
    flips = "all" if comparison.exact else f"{comparison.resamples:,}"
    head = ("measure", "pair", "difference", "95% interval", "p", "adjusted", "better", "cases", "d")
    return Table(
        title=f"difference: {_name(pairs[0])}" if one else "differences",
        head=tuple(name for name in head if name != "pair" or not one),
        rows=_blanked(rows, starts, 1),
        numbers=frozenset({"difference", "p", "adjusted", "d"}),
        bold=frozenset(i for i, pair in enumerate(pairs) if pair.p_adjusted is not None and pair.p_adjusted < 0.05),
        sections=frozenset() if one else starts,
        caption=f"p: two-sided, {flips} sign flips, seed {comparison.seed}; adjusted: "
        f"{_CORRECTIONS[comparison.correction]}, {comparison.tests:,} tests, bold below 0.05; cases: better / equal / "
        "worse for the first system; d: mean difference by its standard deviation",
    )


def _name(pair: Pair) -> str:
    return f"{pair.first} − {pair.second}"


def _shares(pair: Pair) -> str:
    if pair.share_better is None or pair.share_equal is None or pair.share_worse is None:
        return "-"
    return f"{pair.share_better:.0%} / {pair.share_equal:.0%} / {pair.share_worse:.0%}"


def _margins(comparison: Comparison) -> Table:
    answers = {True: "yes", False: "not shown", None: "-"}
    rows = tuple(
        (
            pair.measure,
            _name(pair),
            number(found.margin, 4),
            interval(found.low, found.high, 4, sign=True),
            answers[found.first],
            answers[found.second],
        )
        for pair in comparison.pairs
        if (found := pair.non_inferiority)
    )
    return Table(
        title="non-inferiority",
        head=("measure", "pair", "margin", "90% interval", "first not worse", "second not worse"),
        rows=rows,
        numbers=frozenset({"margin"}),
        caption="not worse: the one-sided 95% bound of the difference lies within the margin; both: equivalent",
    )


def _groups(comparison: Comparison) -> Table:
    rows = [
        (e.measure, e.system, group, f"{n:,}", number(mean))
        for e in comparison.estimates
        for group, (n, mean) in e.groups.items()
    ]
    starts = _starts("\n".join(row[:2]) for row in rows)
    return Table(
        title="groups of the gaps",
        head=("measure", "system", "group", "cases", "mean"),
        rows=_blanked(rows, starts, 2),
        numbers=frozenset({"cases", "mean"}),
        sections=starts,
        caption="gap: mean of the best group minus that of the worst; each resample picks its own",
    )


def _estimate(estimate: Estimate) -> dict[str, Any]:
    groups = {name: {"n": n, "mean": mean} for name, (n, mean) in estimate.groups.items()}
    return {**_without(asdict(estimate), "measure"), "groups": groups}


def _without(data: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != key}
