"""Compare systems that were scored on the same cases: differences with intervals and tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cxr_rewards.errors import ConfigError, InputError, unknown_name
from cxr_rewards.evaluation import corpus
from cxr_rewards.evaluation.comparison import Comparison, Estimate, NonInferiority, Pair, System
from cxr_rewards.evaluation.corpus import SystemMeasure
from cxr_rewards.evaluation.groups import UNKNOWN, age_bands
from cxr_rewards.evaluation.joining import Difference, JoinedScores, join_scores
from cxr_rewards.evaluation.resampling import (
    RESAMPLES,
    SEED,
    Correction,
    Method,
    adjust,
    bootstrap,
    cluster_codes,
    effective_clusters,
    sign_flip,
    sum_by_cluster,
)
from cxr_rewards.evaluation.scores import SystemScores, load_scores
from cxr_rewards.files.columns import ColumnMap, choose_cluster
from cxr_rewards.files.summary import LEVEL, MIN_CLUSTERS, check_subgroups, is_age_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxr_rewards.evaluation.resampling import Codes, Numbers

_EQUAL = 1e-12
"""Relative difference below which two numbers are the same."""


def compare(
    systems: Sequence[str | Path | SystemScores],
    *,
    names: Sequence[str] = (),
    on: str | None = None,
    metrics: Sequence[str] = (),
    lower_is_better: Collection[str] = (),
    allow: Collection[Difference] = (),
    baseline: str = "",
    cluster: str | None = None,
    by: Sequence[str] = (),
    corpus_statistics: bool = True,
    f1: bool = False,
    margins: Mapping[str, float] | None = None,
    method: Method = "percentile",
    correction: Correction = "holm",
    resamples: int = RESAMPLES,
    seed: int = SEED,
    tell: Callable[[str], object] = lambda _: None,
) -> Comparison:
    r"""Compare systems by their files of scores.

    All measures see the same resamples of cases, or of clusters of cases. A measure counts the cases that are scored
    for all systems. See `cxr_rewards.evaluation.resampling` for intervals and p-values.

    Args:
        systems: files of `cxr-rewards score` or other tables of numbers, or what `load_scores` returned.
        names: of the systems, by file; by default the files' names.
        on: the column of case ids, as in `load_scores`.
        metrics: names of components or columns; by default `reward` and all components.
        lower_is_better: those of `metrics` that are columns of other programs, and better if lower.
        allow: what may differ between the files: `ids`, `references`, `signatures`; see `join_scores`.
        baseline: name of the system to which the others are compared; by default all pairs are.
        cluster: the column whose equal values mark cases as alike, such as patients. None: as the files say, or the
            usual names; empty: each case is independent.
        by: columns of groups, whose gaps are compared too; see `cxr_rewards.evaluation.corpus`.
        corpus_statistics: whether to add statistics that are not means of scores, if the files allow them.
        f1: also read the reports by rules for F1 over CheXpert's conditions, if the details have none. About 1 ms a
            report.
        margins: by metric, the margin of non-inferiority in its units.
        method: `percentile` or `bca`.
        correction: of p-values for their number: `holm`, `bh` (Benjamini and Hochberg) or `none`.
        resamples: number of resamples, and of exchanges for p-values.
        seed: of the random numbers.
        tell: called with a note before long work starts.

    Raises:
        InputError: the files cannot be read or joined (see `load_scores`, `join_scores`), no case is scored for all
            systems, or all cases are in one cluster of a column that was named.
        ConfigError: an unknown baseline, or a margin of an unknown metric or not above 0.
        OSError: a file cannot be read.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name, add in (("new", 0.1), ("old", 0.0)):
        ...     rows = [f"s{i},{i % 7 / 10 + add * (i % 3 > 0)}" for i in range(30)]
        ...     _ = (folder / f"{name}.csv").write_text("\n".join(["study_id,reward", *rows]))
        >>> found = compare([folder / "new.csv", folder / "old.csv"])
        >>> pair = found.pairs[0]
        >>> round(pair.difference, 3), pair.better, pair.share_better, pair.p_adjusted < 0.001
        (0.067, 'new', 0.6666666666666666, True)
    """
    if names and len(names) != len(systems):
        raise ConfigError(f"{len(names)} names for {len(systems)} systems; give one for each, in their order")
    loaded = [
        one
        if isinstance(one, SystemScores)
        else load_scores(
            one,
            name=names[i] if names else "",
            on=on,
            metrics=metrics,
            lower_is_better=lower_is_better,
        )
        for i, one in enumerate(systems)
    ]
    joined = join_scores(loaded, allow=allow)
    pairs = _pairs(joined, baseline)
    notes = list(joined.notes)
    found_cluster, codes = _clusters(joined, cluster, notes)
    if f1:
        tell("reading the reports for F1 over conditions")
    measures = _measures(joined, by, corpus_statistics, f1, notes)
    margins = _checked_margins(margins or {}, [measure.name for measure in measures])
    engine = _Engine(measures, codes, resamples, seed, method)
    p_values, exact = engine.test(pairs)
    adjusted = adjust([float(p) for p in p_values.ravel()], correction)
    by_pair = dict(zip(np.ndindex(p_values.shape), adjusted, strict=True))
    return Comparison(
        systems=tuple(
            System(name=s.name, file=str(s.path), cases=len(s.ids), signature=s.signature, kinds=s.kinds)
            for s in loaded
        ),
        cases=len(joined.ids),
        cluster=found_cluster,
        clusters=len(joined.ids) if codes is None else int(codes.max()) + 1,
        higher_is_better={measure.name: measure.higher_is_better for measure in measures},
        estimates=tuple(
            engine.estimate(m, s, system.name) for m in range(len(measures)) for s, system in enumerate(loaded)
        ),
        pairs=tuple(
            engine.pair(
                m,
                pair,
                names=[loaded[s].name for s in pair],
                p=float(p_values[m, i]),
                adjusted=by_pair[m, i],
                margin=margins.get(measure.name),
            )
            for m, measure in enumerate(measures)
            for i, pair in enumerate(pairs)
        ),
        tests=int(np.isfinite(p_values).sum()),
        exact=exact,
        method=method,
        correction=correction,
        resamples=resamples,
        seed=seed,
        level=LEVEL,
        notes=tuple(dict.fromkeys(notes)),
    )


class _Engine:
    """All measures of all systems, resampled together."""

    def __init__(
        self, measures: Sequence[SystemMeasure], codes: Codes | None, resamples: int, seed: int, method: Method
    ) -> None:
        self.measures, self._resamples, self._seed, self._method = measures, resamples, seed, method
        systems = range(len(measures[0].sums))
        self._columns = _Columns(codes)
        self._places = [[self._columns.add(measure.sums[s]) for s in systems] for measure in measures]
        self._sums = self._columns.sums()
        self._sizes = [_effective(measure, codes) for measure in measures]
        self._drawn = bootstrap(self._sums, self._statistics, resamples=resamples, seed=seed)

    def _statistics(self, sums: Numbers) -> Numbers:
        """Return (..., measures * systems)."""
        by_measure = zip(self.measures, self._places, strict=True)
        return np.stack([m.statistic(sums[..., columns]) for m, places in by_measure for columns in places], axis=-1)

    def _at(self, measure: int, system: int) -> int:
        return measure * len(self._places[0]) + system

    def estimate(self, m: int, s: int, name: str) -> Estimate:
        """Return the measure of one system."""
        measure, at = self.measures[m], self._at(m, s)
        ends = self._drawn.interval(
            lambda statistics: statistics[..., at], self._sizes[m], method=self._method, bounds=measure.bounds
        )
        value = _known(self._drawn.estimates[at])
        return Estimate(
            measure=measure.name,
            system=name,
            n=int(measure.counted.sum()),
            unscored=measure.unscored[s],
            value=value,
            low=ends[0] if ends else None,
            high=ends[1] if ends else None,
            first=self._first(m, s),
            groups=measure.by_group(s),
        )

    def _first(self, m: int, s: int) -> float | None:
        measure = self.measures[m]
        if measure.higher_is_better is None:
            return None
        values = self._drawn.replicates[:, self._at(m, 0) : self._at(m + 1, 0)]
        values = values[np.isfinite(values).all(axis=1)] * (1 if measure.higher_is_better else -1)
        if not len(values):
            return None
        best = values.max(axis=1, keepdims=True)
        ahead = values >= best - _EQUAL * np.maximum(np.abs(best), 1)
        return float((ahead[:, s] / ahead.sum(axis=1)).mean())

    def test(self, pairs: Sequence[tuple[int, int]]) -> tuple[Numbers, bool]:
        """Return the p-values, (measures, pairs), NaN for those not tested; and whether all are exact."""
        tested = [m for m, measure in enumerate(self.measures) if measure.higher_is_better is not None]
        p = np.full((len(self.measures), len(pairs)), np.nan)
        exact = True
        for i, pair in enumerate(pairs):
            first, second = (np.concatenate([self._places[m][s] for m in tested]) for s in pair)
            widths = np.cumsum([0, *(len(self._places[m][pair[0]]) for m in tested)])

            def statistics(sums: Numbers, widths: NDArray[np.int64] = widths) -> Numbers:
                parts = zip(tested, widths[:-1], widths[1:], strict=True)
                return np.stack([self.measures[m].statistic(sums[..., a:b]) for m, a, b in parts], axis=-1)

            found = sign_flip(
                self._sums[:, first], self._sums[:, second], statistics, trials=self._resamples, seed=self._seed
            )
            p[tested, i] = found.p
            exact = exact and found.exact
        return p, exact

    def pair(
        self, m: int, pair: tuple[int, int], *, names: Sequence[str], p: float, adjusted: float, margin: float | None
    ) -> Pair:
        """Return the measure's difference between two systems."""
        measure = self.measures[m]
        first, second = (self._at(m, s) for s in pair)
        span = measure.bounds[1] - measure.bounds[0]

        def ends(level: float = LEVEL) -> tuple[float, float] | tuple[None, None]:
            found = self._drawn.interval(
                lambda statistics: statistics[..., first] - statistics[..., second],
                self._sizes[m],
                method=self._method,
                level=level,
                bounds=(-span, span),
            )
            return found or (None, None)

        difference = _known(self._drawn.estimates[first] - self._drawn.estimates[second])
        low, high = ends()
        better = None
        sign = {True: 1, False: -1, None: 0}[measure.higher_is_better]
        if difference and abs(difference) > _EQUAL:
            better = names[0] if sign * difference > 0 else names[1] if sign else None
        shares = _shares(measure, pair, sign) if measure.scores is not None and sign else (None, None)
        return Pair(
            measure=measure.name,
            first=names[0],
            second=names[1],
            n=int(measure.counted.sum()),
            difference=difference,
            low=low,
            high=high,
            p=_known(p),
            p_adjusted=_known(adjusted),
            better=better,
            share_better=shares[0],
            share_equal=shares[1],
            standardised=_standardised(measure, pair),
            non_inferiority=None if margin is None else _non_inferiority(margin, ends(2 * LEVEL - 1), sign),
        )


def _effective(measure: SystemMeasure, codes: Codes | None) -> float:
    """Return the effective number of clusters; of a gap, that of the group with the fewest."""
    cases = measure.sums[0][:, : len(measure.groups) or 1]  # the first sums count cases
    return min(effective_clusters(sizes) for sizes in sum_by_cluster(cases, codes).T)


class _Columns:
    """Sums of all measures side by side, each distinct column once."""

    def __init__(self, codes: Codes | None) -> None:
        self._codes = codes
        self._columns: list[Numbers] = []
        self._places: dict[bytes, int] = {}

    def add(self, sums: Numbers) -> NDArray[np.int64]:
        """Add the columns of (cases, k) and return their places."""
        places = []
        for column in sum_by_cluster(sums, self._codes).T:
            place = self._places.setdefault(column.tobytes(), len(self._columns))
            if place == len(self._columns):
                self._columns.append(column)
            places.append(place)
        return np.array(places, dtype=np.int64)

    def sums(self) -> Numbers:
        """Return (clusters, columns)."""
        return np.column_stack(self._columns)


def _pairs(joined: JoinedScores, baseline: str) -> list[tuple[int, int]]:
    names = [system.name for system in joined.systems]
    if not baseline:
        return list(combinations(range(len(names)), 2))
    if baseline not in names:
        raise ConfigError(unknown_name("--baseline", "system", baseline, names))
    at = names.index(baseline)
    return [(i, at) for i in range(len(names)) if i != at]


def _clusters(joined: JoinedScores, cluster: str | None, notes: list[str]) -> tuple[str, Codes | None]:
    """Return the column of clusters and the cluster of each case."""
    name = cluster
    if cluster is None:
        found = ((s.cluster or _usual_cluster(s)) for s in joined.systems)
        name = next(filter(None, found), "")
    if not name:
        notes.append("each case counts as independent; --cluster COLUMN names the column of patients")
        return "", None
    codes = cluster_codes(joined.column(name))
    without = [s.name for s in joined.systems if name not in s.columns]
    if without:
        notes.append(f"column {name!r}, which {', '.join(without)} lack, is taken from the other files")
    if len(codes) > 1 and codes.max() == 0:
        if cluster:
            raise InputError(
                f"all {len(codes):,} cases have one {name!r}: one cluster cannot be resampled; name another column "
                "with --cluster, or none"
            )
        notes.append(f"all cases have one {name!r}, so each case counts as independent")
        return "", None
    effective = effective_clusters(np.bincount(codes).astype(np.float64))
    few = f"; with {effective:.1f} clusters in effect there are no intervals" if effective < MIN_CLUSTERS else ""
    notes.append(f"cases of one {name!r} count as one ({codes.max() + 1:,} of them){few}")
    return name, codes


def _usual_cluster(system: SystemScores) -> str:
    used = ColumnMap(
        candidate=system.candidate_column,
        reference=next(iter(system.reference_columns), ""),
        case_id=system.id_column or None,
    )
    return choose_cluster(system.columns, None, used, where=str(system.path))


def _groups(joined: JoinedScores, column: str) -> list[str]:
    """Return the group of each case, ages in bands; empty if it is unknown."""
    cells = joined.column(column)
    if is_age_column(column):
        cells = ["" if band == UNKNOWN else band for band in age_bands(cells)]
    check_subgroups(column, cells)
    return cells


def _measures(
    joined: JoinedScores, by: Sequence[str], corpus_statistics: bool, f1: bool, notes: list[str]
) -> list[SystemMeasure]:
    """Return the means, the corpus statistics and the gaps."""
    measures = corpus.means(joined, inverses=corpus_statistics)
    if not any(measure.counted.any() for measure in measures):
        told = "; ".join(f"{s.name}: {_kinds(s)}" for s in joined.systems)
        raise InputError(f"no case is scored for all systems by any metric; unscored: {told}")
    gaps: list[SystemMeasure] = []
    for column in by:
        found = corpus.gaps(column, _groups(joined, column), measures)
        gaps += found
        notes += [] if found else [f"no gap by {column}: fewer than two groups of {corpus.MIN_GROUP} cases"]
    if corpus_statistics or f1:
        more, missing = corpus.statistics(joined, details=corpus_statistics, read_texts=f1)
        measures += more
        notes += missing
    for measure in measures:
        if not measure.counted.any():
            without = [s.name for s, n in zip(joined.systems, measure.unscored, strict=True) if n == len(joined.ids)]
            notes.append(f"{measure.name}: unscored for {' and '.join(without) or 'some system'} in every case")
    return measures + gaps


def _kinds(system: SystemScores) -> str:
    return ", ".join(f"{n:,} {kind}" for kind, n in system.kinds.items()) or "no reason given"


def _checked_margins(margins: Mapping[str, float], known: Sequence[str]) -> Mapping[str, float]:
    for name, margin in margins.items():
        if name not in known:
            raise ConfigError(unknown_name("--margin", "metric", name, known))
        if not (margin > 0 and math.isfinite(margin)):
            raise ConfigError(f"--margin {name}={margin:g}: a margin is above 0, in the metric's units")
    return margins


def _shares(measure: SystemMeasure, pair: tuple[int, int], sign: int) -> tuple[float | None, float | None]:
    """Return the shares of cases that the first system scores better, and equally."""
    away = _differences(measure, pair)
    if not len(away):
        return None, None
    return float((sign * away > 0).mean()), float((away == 0).mean())


def _differences(measure: SystemMeasure, pair: tuple[int, int]) -> Numbers:
    """Return the difference of each case's scores; exactly 0 if they are equal but for rounding."""
    assert measure.scores is not None
    first, second = (measure.scores[s][measure.counted] for s in pair)
    return np.where(np.isclose(first, second, rtol=_EQUAL, atol=_EQUAL), 0.0, first - second)


def _standardised(measure: SystemMeasure, pair: tuple[int, int]) -> float | None:
    if measure.scores is None:
        return None
    away = _differences(measure, pair)
    spread = float(away.std(ddof=1)) if len(away) > 1 else 0.0
    return float(away.mean()) / spread if spread > _EQUAL else None


def _non_inferiority(margin: float, ends: tuple[float, float] | tuple[None, None], sign: int) -> NonInferiority:
    low, high = ends
    if low is None or high is None:
        return NonInferiority(margin=margin, low=None, high=None, first=None, second=None)
    above, below = low > -margin, high < margin
    first, second = (above, below) if sign > 0 else (below, above)
    return NonInferiority(margin=margin, low=low, high=high, first=first, second=second)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
