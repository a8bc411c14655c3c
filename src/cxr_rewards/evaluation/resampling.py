"""Intervals by the bootstrap and p-values by flipping signs, of anything computed from sums over cases.

A statistic here is a function of sums: a mean is `sum(x) / sum(1)`, a micro F1 `2 sum(tp) / (2 sum(tp) + sum(fp) +
sum(fn))`. So nothing is scored again. Each case (or cluster of cases, if rows of one patient are alike) is one row of
numbers; a resample is a row of weights, the times that each cluster was drawn; and the sums of all resamples are one
product of matrices. All statistics see the same resamples, so that they can be compared.

An interval holds the percentile interval (or BCa's) of 10,000 resamples, and Student's interval. With few clusters the
quantiles are taken further out than at 0.025 and 0.975:

```
percentile = the quantiles at Phi(z) and Phi(-z),   z = -sqrt(K / (K - 1)) t(0.975, K - 1)
Student    = estimate -/+ t(0.975, K - 1) sqrt(variance of the jackknife that leaves out one cluster at a time)
K          = N ** 2 / sum(n_g ** 2)
```

The first is the expanded percentile interval of Hesterberg ("What teachers should know about the bootstrap", The
American Statistician 69, 2015, section 4.2). K is the effective number of clusters (Kish) of `n_g` cases each: the
number of cases if each is a cluster. Student's interval reaches further if few cases differ at all: no resample of a
single difference lies beyond 0. If all cases are alike there is no spread to estimate, and the interval is Clopper and
Pearson's for what may have been missed, as in `cxr_rewards.files.summary`. Below 5 effective clusters there is none.
`benchmarks/comparing.py` measures the coverage.

P-values: under the null hypothesis it does not matter which of two systems gave which score, so the two are exchanged
in a random half of the clusters, again and again. `p = (c + 1) / (n + 1)` for c of n exchanges whose difference is at
least the observed one. If all exchanges are no more than n, they are enumerated, and `p = c / 2 ** clusters` is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

import numpy as np

from cxr_rewards.files.summary import LEVEL, MIN_CLUSTERS, t_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Codes = NDArray[np.int64]
    Statistic = Callable[[Numbers], Numbers]

Method = Literal["percentile", "bca"]
Correction = Literal["holm", "bh", "none"]

RESAMPLES = 10_000
SEED = 12345
_CHUNK_BYTES = 32_000_000
"""Size of the largest matrix of weights that is held at once."""
_ROUNDING = 1e-12
"""Relative difference below which two sums of floats count as equal."""


def cluster_codes(names: Sequence[str]) -> Codes:
    """Return a number for each case, equal for equal names; a case without a name has a number of its own.

    Example:
        >>> cluster_codes(["p1", "", "p2", "p1", ""]).tolist()
        [0, 1, 2, 0, 3]
    """
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(name or i, len(numbers)) for i, name in enumerate(names)], dtype=np.int64)


def sum_by_cluster(columns: Numbers, clusters: Codes | None) -> Numbers:
    """Return the sums of the rows of each cluster, (clusters, k); the rows themselves without clusters.

    Args:
        columns: (cases, k).
        clusters: (cases,), from `cluster_codes`.
    """
    if clusters is None:
        return columns
    sums = np.zeros((int(clusters.max(initial=-1)) + 1, columns.shape[1]))
    np.add.at(sums, clusters, columns)
    return sums


def effective_clusters(sizes: Numbers) -> float:
    """Return Kish's effective number of clusters; `sizes` are the cases of each.

    Example:
        >>> effective_clusters(np.array([1.0, 1.0, 1.0])), effective_clusters(np.array([8.0, 1.0, 1.0, 0.0]))
        (3.0, 1.5151515151515151)
    """
    squares = float((sizes**2).sum())
    return float(sizes.sum()) ** 2 / squares if squares else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Statistics of a sample, and of its resamples; NaN where one is undefined.

    Attributes:
        estimates: (m,): of the sample.
        replicates: (resamples, m).
        left_out: (clusters, m): of the sample without each cluster.
    """

    estimates: Numbers
    replicates: Numbers
    left_out: Numbers

    def interval(
        self,
        values: Statistic,
        clusters: float,
        *,
        method: Method = "percentile",
        level: float = LEVEL,
        bounds: tuple[float, float] = (-math.inf, math.inf),
    ) -> tuple[float, float] | None:
        """Return the interval of one number made of the statistics; None if there is none.

        Args:
            values: makes the number: of (..., m) an array (...,), such as `lambda s: s[..., 0] - s[..., 1]`.
            clusters: the effective number of clusters (`effective_clusters`).
            method: `percentile` or `bca`.
            level: share of the intervals that are to hold the truth; `2 * level - 1` for a bound at `level`.
            bounds: of the number; the interval ends there.
        """
        with np.errstate(all="ignore"):
            estimate = float(values(self.estimates))
            replicates, left_out = values(self.replicates), values(self.left_out)
        replicates, left_out = replicates[np.isfinite(replicates)], left_out[np.isfinite(left_out)]
        if clusters < MIN_CLUSTERS or not math.isfinite(estimate) or len(replicates) < len(self.replicates) / 2:
            return None
        error = math.sqrt(float(((left_out - left_out.mean()) ** 2).sum()) * (len(left_out) - 1) / len(left_out))
        lowest, highest = bounds
        if error <= _ROUNDING * max(abs(estimate), 1.0):
            missed = 1 - ((1 - level) / 2) ** (1 / clusters)
            low, high = estimate - missed * (estimate - lowest), estimate + missed * (highest - estimate)
            return (low, high) if math.isfinite(low) and math.isfinite(high) else None
        t, normal = t_quantile(clusters - 1, level), NormalDist()
        z = math.sqrt(clusters / (clusters - 1)) * t
        ends = (-z, z) if method == "percentile" else _accelerated(z, estimate, replicates, left_out)
        drawn = np.quantile(replicates, [normal.cdf(end) for end in ends])
        low, high = min(float(drawn[0]), estimate - t * error), max(float(drawn[1]), estimate + t * error)
        return max(low, lowest), min(high, highest)


def _accelerated(z: float, estimate: float, replicates: Numbers, left_out: Numbers) -> tuple[float, float]:
    """Return the two normal quantiles of BCa (Efron 1987): corrected for bias, and for a spread that grows."""
    normal, n = NormalDist(), len(replicates)
    near = np.isclose(replicates, estimate, rtol=_ROUNDING, atol=_ROUNDING)
    below = float(((replicates < estimate) & ~near).mean() + near.mean() / 2)
    bias = normal.inv_cdf(min(max(below, 1 / n), 1 - 1 / n))
    away = left_out.mean() - left_out
    squares = float((away**2).sum())
    acceleration = float((away**3).sum()) / (6 * squares**1.5) if squares else 0.0
    low, high = (bias + (bias + end) / (1 - acceleration * (bias + end)) for end in (-z, z))
    return low, high


def bootstrap(sums: Numbers, statistic: Statistic, *, resamples: int = RESAMPLES, seed: int = SEED) -> Resampled:
    """Draw clusters with replacement, and compute statistics of each resample.

    Memory does not grow with the number of resamples, but for their statistics.

    Args:
        sums: (clusters, k): the sums over the cases of each cluster, from `sum_by_cluster`.
        statistic: of sums (..., k) the statistics (..., m); NaN if undefined.
        resamples: how many.
        seed: of the random numbers.

    Example:
        >>> cases = np.column_stack((np.ones(50), np.arange(50.0)))
        >>> def mean(sums):
        ...     return sums[..., 1:] / sums[..., :1]
        >>> drawn = bootstrap(cases, mean)
        >>> drawn.estimates, [round(end, 1) for end in drawn.interval(lambda s: s[..., 0], 50)]
        (array([24.5]), [20.4, 28.6])
    """
    with np.errstate(all="ignore"):
        whole = sums.sum(axis=0)
        drawn = [statistic(weights @ sums) for weights in _draws(len(sums), resamples, seed)]
        return Resampled(statistic(whole), np.concatenate(drawn), statistic(whole - sums))


def _draws(clusters: int, resamples: int, seed: int) -> Iterator[Numbers]:
    """Yield weights (some, clusters): the times that each cluster is drawn."""
    random = np.random.default_rng(seed)
    step = max(1, _CHUNK_BYTES // (8 * clusters))
    for start in range(0, resamples, step):
        some = min(step, resamples - start)
        drawn = random.integers(0, clusters, (some, clusters), dtype=np.int32)
        drawn += np.arange(some, dtype=np.int32)[:, None] * clusters
        counts = np.bincount(drawn.ravel(), minlength=some * clusters)
        yield counts.reshape(some, clusters).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Exchanged:
    """Result of `sign_flip`.

    Attributes:
        p: (m,): two-sided p-values; NaN if the difference is undefined.
        trials: exchanges tried.
        exact: whether these are all there are.
    """

    p: Numbers
    trials: int
    exact: bool


def sign_flip(
    first: Numbers, second: Numbers, statistic: Statistic, *, trials: int = RESAMPLES, seed: int = SEED
) -> Exchanged:
    """Test whether two systems differ, by exchanging them in random clusters.

    Args:
        first, second: (clusters, k): the sums of each system, from `sum_by_cluster`.
        statistic: of sums (..., k) of one system the statistics (..., m).
        trials: how many exchanges to try; if there are no more than that, all are.
        seed: of the random numbers.

    Example:
        >>> ones = np.ones(6)
        >>> first, second = np.column_stack((ones, [3.0, 4, 3, 5, 4, 3])), np.column_stack((ones, [1.0, 2, 2, 1, 1, 2]))
        >>> sign_flip(first, second, lambda sums: sums[..., 1:] / sums[..., :1]).p  # 2 of 64
        array([0.03125])
    """
    with np.errstate(all="ignore"):
        middle, half = (first + second).sum(axis=0) / 2, (first - second) / 2
        observed = np.abs(statistic(first.sum(axis=0)) - statistic(second.sum(axis=0)))
        differing = half[np.any(half != 0, axis=1)]  # the others change nothing
        exact = 2 ** min(len(differing), 63) <= trials
        reached = np.zeros(observed.shape)
        scale = np.maximum(np.abs(statistic(first.sum(axis=0))), np.abs(statistic(second.sum(axis=0))))
        least = observed - _ROUNDING * scale
        for signs in _all_signs(len(differing)) if exact else _signs(len(differing), trials, seed):
            moved = signs @ differing
            reached += (np.abs(statistic(middle + moved) - statistic(middle - moved)) >= least).sum(axis=0)
    tried = 2 ** len(differing) if exact else trials
    p = reached / tried if exact else (reached + 1) / (tried + 1)
    return Exchanged(np.where(np.isfinite(observed), p, np.nan), tried, exact)


def _all_signs(clusters: int) -> Iterator[Numbers]:
    bits = (np.arange(2**clusters)[:, None] >> np.arange(clusters)) & 1
    yield 1.0 - 2.0 * bits.astype(np.float64)


def _signs(clusters: int, trials: int, seed: int) -> Iterator[Numbers]:
    random = np.random.default_rng(seed)
    step = max(1, _CHUNK_BYTES // (8 * clusters))
    for start in range(0, trials, step):
        some = min(step, trials - start)
        bits = np.unpackbits(np.frombuffer(random.bytes(-(-some * clusters // 8)), np.uint8), count=some * clusters)
        yield 1.0 - 2.0 * bits.reshape(some, clusters).astype(np.float64)


def adjust(p: Sequence[float], correction: Correction = "holm") -> list[float]:
    """Return p-values adjusted for their number, in their order; NaN stays, and does not count.

    `holm` bounds the chance of any false positive (Holm 1979), `bh` the expected share of false ones among the
    positives (Benjamini and Hochberg 1995, for independent or positively dependent tests).

    Example:
        >>> adjust([0.01, 0.04, 0.03]), adjust([0.01, 0.04, 0.03], "bh")
        ([0.03, 0.06, 0.06], [0.03, 0.04, 0.04])
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted = values.copy()
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    n = len(order)
    if correction == "holm":
        adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * (n - np.arange(n))))
    elif correction == "bh":
        stepped = values[order] * n / (1 + np.arange(n))
        adjusted[order] = np.minimum(1.0, np.minimum.accumulate(stepped[::-1])[::-1])
    return [float(value) for value in adjusted]
