"""Agreement of scores with raters: Kendall's tau-b, Spearman's rho, and the share of pairs in the right order.

Each is computed from counts, the times that each candidate was drawn, for many resamples at once. Two draws of one
candidate are a tie in both, so the numbers are exactly those of the resampled data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cxr_rewards.evaluation.figures import Figure
from cxr_rewards.evaluation.resampling import SEED, bootstrap, effective_clusters
from cxr_rewards.files.summary import MIN_CLUSTERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Codes = NDArray[np.int64]

RESAMPLES = 2000
_BLOCK = 512
_STATISTICS = 3


def kendall_tau_b(a: Numbers, b: Numbers, counts: Numbers | None = None) -> Numbers:
    """Return Kendall's tau-b of two scores, for each row of counts; NaN if one of them is constant.

    Args:
        a, b: (candidates,).
        counts: (resamples, candidates); each candidate once by default.

    Example:
        >>> kendall_tau_b(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 2])).round(3).tolist()
        [0.183]
    """
    counts = np.ones((1, len(a))) if counts is None else counts
    sums = np.zeros((_STATISTICS, len(counts)))
    for rows in _blocks(len(a)):
        x, y = np.sign(a[rows, None] - a), np.sign(b[rows, None] - b)
        for total, pairs in zip(sums, (x * y, np.abs(x), np.abs(y)), strict=True):
            total += ((counts[:, rows] @ pairs) * counts).sum(axis=1)
    with np.errstate(all="ignore"):
        tau: Numbers = sums[0] / np.sqrt(sums[1] * sums[2])
    return tau


def spearman(a: Numbers, b: Numbers, counts: Numbers | None = None) -> Numbers:
    """Return Spearman's rank correlation, ties at their middle rank; arguments and result as of `kendall_tau_b`.

    Example:
        >>> spearman(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 2])).round(3).tolist()
        [0.316]
    """
    counts = np.ones((1, len(a))) if counts is None else counts
    n = counts.sum(axis=1, keepdims=True)
    x, y = (_ranks(values, counts) for values in (a, b))
    with np.errstate(all="ignore"):
        x, y = (ranks - (counts * ranks).sum(axis=1, keepdims=True) / n for ranks in (x, y))
        rho: Numbers = (counts * x * y).sum(axis=1) / np.sqrt((counts * x**2).sum(axis=1) * (counts * y**2).sum(axis=1))
    return rho


def _ranks(values: Numbers, counts: Numbers) -> Numbers:
    """Return the middle ranks in each resample, less one half."""
    ranks = np.empty_like(counts)
    for rows in _blocks(len(values)):
        ranks[:, rows] = counts @ ((1 + np.sign(values[rows] - values[:, None])) / 2)
    return ranks


def _blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, _BLOCK):
        yield slice(start, start + _BLOCK)


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgments:
    """Judgments of candidates by raters.

    Attributes:
        values: (candidates,): the mean rating, higher is better; NaN if there is none. None if there are only
            preferences, or if ratings are comparable only within a case.
        first, second: (pairs,): the candidates of each pair of one case.
        order: (pairs,): above 0 if the first is better, below if the second, 0 if neither, NaN if nobody says.
        share: (pairs,): of the raters that prefer the first; a rater without preference counts half.
    """

    values: Numbers | None
    first: Codes
    second: Codes
    order: Numbers
    share: Numbers


def pairwise_accuracy(differences: Numbers, order: Numbers, counts: Numbers | None = None) -> Numbers:
    """Return the share of pairs that a score puts in the raters' order; equal scores count half.

    Pairs without an order do not count.

    Args:
        differences: (pairs,): the first one's score less the second one's.
        order: (pairs,): as of `Judgments`.
        counts: (resamples, pairs).

    Example:
        >>> pairwise_accuracy(np.array([0.2, -0.1, 0.0]), np.array([1.0, 1.0, -1.0])).tolist()
        [0.5]
    """
    counts = np.ones((1, len(order))) if counts is None else counts
    known = np.isfinite(order) & (order != 0) & np.isfinite(differences)
    right = (1 + np.sign(differences[known]) * np.sign(order[known])) / 2
    with np.errstate(all="ignore"):
        accuracy: Numbers = (counts[:, known] @ right) / counts[:, known].sum(axis=1)
    return accuracy


class Compared(NamedTuple):
    """Scores beside judgments.

    Attributes:
        judged: what raters say.
        values: (candidates,): the scores; NaN does not count. None if there are only preferences.
        differences: (pairs,): the first one's score less the second one's.
    """

    judged: Judgments
    values: Numbers | None
    differences: Numbers

    @classmethod
    def of(cls, values: Numbers, judged: Judgments) -> Compared:
        """Return scores of candidates beside judgments."""
        return cls(judged, values, values[judged.first] - values[judged.second])


def statistics(compared: Compared, counts: Numbers) -> Numbers:
    """Return tau-b, rho and pairwise accuracy of scores, (resamples, 3); NaN if undefined.

    Args:
        compared: the scores and the judgments.
        counts: (resamples, candidates); those of one case have the same count.
    """
    judged, values, differences = compared
    accuracy = pairwise_accuracy(differences, judged.order, counts[:, judged.first])
    if judged.values is None or values is None:
        nothing = np.full(len(counts), np.nan)
        return np.stack((nothing, nothing, accuracy), axis=1)
    known = np.isfinite(values) & np.isfinite(judged.values)
    a, b, drawn = values[known], judged.values[known], counts[:, known]
    return np.stack((kendall_tau_b(a, b, drawn), spearman(a, b, drawn), accuracy), axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Agreement of a score with raters, or the difference of two.

    Attributes:
        kendall_tau_b: with the mean rating, over all candidates.
        spearman: likewise.
        pairwise_accuracy: over pairs of candidates of one case.
    """

    kendall_tau_b: Figure
    spearman: Figure
    pairwise_accuracy: Figure

    def as_json(self) -> dict[str, object]:
        """Return the figures as JSON-compatible data."""
        return {name: getattr(self, name).as_json() for name in self.__dataclass_fields__}


def measure(
    scores: Mapping[str, Sequence[Compared]],
    codes: Codes,
    *,
    gains: Mapping[str, tuple[str, str]],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, Agreement]:
    """Return the agreement of each score, with intervals by the bootstrap of cases; all see the same resamples.

    Args:
        scores: by name; of several, the mean over those that are defined.
        codes: (candidates,): the case of each, from 0.
        gains: further agreements by name: the first named one's less the second's.
        resamples: of the bootstrap.
        seed: of the random numbers.
    """
    sizes = np.bincount(codes).astype(np.float64)

    def statistic(counts: Numbers) -> Numbers:
        drawn = np.atleast_2d(counts)[:, codes]
        columns = []
        for entries in scores.values():
            each = np.stack([statistics(entry, drawn) for entry in entries])
            known = np.isfinite(each)
            with np.errstate(all="ignore"):
                columns.append(np.where(known, each, 0).sum(axis=0) / known.sum(axis=0))
        found = np.concatenate(columns, axis=1)
        return found.reshape(*counts.shape[:-1], found.shape[1])

    drawn = bootstrap(np.eye(len(sizes)), statistic, resamples=resamples, seed=seed)
    place = {name: i * _STATISTICS for i, name in enumerate(scores)}
    pairs = {name: (name, None) for name in scores} | dict(gains)

    def figure(name: str, which: int) -> Figure:
        plus, minus = pairs[name]
        at = place[plus] + which

        def number(found: Numbers) -> Numbers:
            value: Numbers = found[..., at]
            return value if minus is None else value - found[..., place[minus] + which]

        n = _size(scores[plus], which)
        value = float(number(drawn.estimates))
        if not np.isfinite(value):
            return Figure(n, None, reason="fewer than two different values" if n else "nothing to compare")
        lowest, highest = (0.0, 1.0) if which == _STATISTICS - 1 else (-1.0, 1.0)
        bounds = (lowest, highest) if minus is None else (lowest - highest, highest - lowest)
        ends = drawn.interval(number, effective_clusters(sizes), bounds=bounds)
        if ends is None:
            return Figure(n, value, reason=f"fewer than {MIN_CLUSTERS} cases, or undefined in most resamples")
        return Figure(n, value, *ends)

    return {
        name: Agreement(kendall_tau_b=figure(name, 0), spearman=figure(name, 1), pairwise_accuracy=figure(name, 2))
        for name in pairs
    }


def _size(entries: Sequence[Compared], which: int) -> int:
    """Return the number of candidates, or of pairs, that a statistic is computed from."""
    sizes = [0]
    for judged, values, differences in entries:
        if which == _STATISTICS - 1:
            sizes.append(int((np.isfinite(differences) & np.isfinite(judged.order) & (judged.order != 0)).sum()))
        elif judged.values is not None and values is not None:
            sizes.append(int((np.isfinite(values) & np.isfinite(judged.values)).sum()))
    return max(sizes)
