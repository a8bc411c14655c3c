"""Means, spreads and correlations that no value can make overflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import sqrt
from statistics import fmean, pstdev

SAME = 1e-9
"""Values nearer than this are equal."""
_HUGE = 1e60
"""From here on values are scaled before they are squared and summed, which would overflow."""


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    scale = _scale(values)
    return fmean(value / scale for value in values) * scale


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of all values, not of a sample."""
    scale = _scale(values)
    return pstdev(value / scale for value in values) * scale


def correlations(columns: Mapping[str, Sequence[float | None]]) -> dict[tuple[str, str], float]:
    """Return Pearson's r of each pair of columns, over the rows in which both are finite numbers.

    Pairs with fewer than three such rows, and those of which one side does not vary, are left out.

    Example:
        >>> correlations({"a": [1.0, 2.0, 3.0, None], "b": [2.0, 4.0, 6.0, 0.0], "c": [1.0, 1.0, 1.0, 1.0]})
        {('a', 'b'): 1.0}
    """
    import numpy as np

    arrays = {name: np.array(values, dtype=float) for name, values in columns.items()}
    found = {}
    for (one, x), (two, y) in combinations(arrays.items(), 2):
        both = np.isfinite(x) & np.isfinite(y)
        if both.sum() < 3:
            continue
        x, y = (of[both] / _scale((float(np.abs(of[both]).max()),)) for of in (x, y))
        x, y = x - x.mean(), y - y.mean()
        xx, yy = float(x @ x), float(y @ y)
        if xx >= SAME and yy >= SAME:
            found[one, two] = min(max(float(x @ y) / sqrt(xx * yy), -1.0), 1.0)
    return found


def means(steps: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over the steps that have it."""
    columns: dict[str, list[float]] = {}
    for step in steps:
        for key, value in step.items():
            columns.setdefault(key, []).append(value)
    return {key: mean(values) for key, values in columns.items()}


def _scale(values: Iterable[float]) -> float:
    """Return a divisor of values that keeps their squares, and the sums of those, finite."""
    largest = max(map(abs, values), default=0.0)
    return largest if largest > _HUGE else 1.0
