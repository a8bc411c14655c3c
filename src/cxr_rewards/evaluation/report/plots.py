"""Plots of many cases, as paths: their size does not grow with the number of cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cxr_rewards.evaluation.report.blocks import Axis, Name, Path, Plot, axis_of, tick

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_MOST_BINS, _FEWEST_BINS = 40, 10
_SHADES = 5
_COLUMNS, _ROWS = 32, 20
_TAIL = 0.2
"""Percent of the cases at either end that may lie beyond an axis, so that a few do not squeeze the others."""
FEWEST = 10
"""Cases in a column of a density plot from which on it has a median."""


def distribution(title: str, label: str, bounds: tuple[float, float], systems: Sequence[tuple[Name, Numbers]]) -> Plot:
    """Return the histogram of a number, a stepped line for each system.

    Args:
        title: of the plot.
        label: of the number, with its unit.
        bounds: of the number.
        systems: each with the number of each case; NaN is left out.
    """
    known = [(name, values[np.isfinite(values)]) for name, values in systems]
    x = _axis(np.concatenate([values for _, values in known]), bounds)
    most = max((len(values) for _, values in known), default=0)
    bins = min(max(math.isqrt(most), _FEWEST_BINS), _MOST_BINS)
    counts = [_counts(values, x, bins) for _, values in known]
    y = axis_of([0.0, *(float(share.max(initial=0)) for share in counts)])
    paths = [
        Path(f"line s{name.look}", _steps([y.place(float(share)) for share in shares]))
        for (name, values), shares in zip(known, counts, strict=True)
        if len(values)
    ]
    says = "; ".join(f"{name.text}: {_quartiles(values)}" for name, values in known)
    return Plot(
        title=title,
        says=f"{title}. {says}.",
        x=x,
        y=y,
        x_label=label,
        y_label="% of cases",
        paths=tuple(paths),
    )


def commonest(values: Numbers) -> tuple[float, float] | None:
    """Return the most frequent number and the share of cases that have it; None if no case is scored.

    Example:
        >>> commonest(np.array([1.0, 1.0, 0.5, 1.0, np.nan]))
        (1.0, 0.75)
    """
    known, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    return (float(known[counts.argmax()]), float(counts.max() / counts.sum())) if len(known) else None


def density(
    title: str, across: Numbers, up: Numbers, *, labels: tuple[str, str], bounds: tuple[float, float], look: int
) -> Plot:
    """Return how often two numbers go together: darker where more cases lie, with a line through the medians.

    Args:
        title: of the plot.
        across, up: the numbers of each case; a case with a NaN is left out.
        labels: of both, with their units.
        bounds: of `up`.
        look: of the system.
    """
    both = np.isfinite(across) & np.isfinite(up)
    across, up = across[both], up[both]
    x, y = _axis(across, (0.0, math.inf)), _axis(up, bounds)
    columns, rows = _bin(across, x, _COLUMNS), _bin(up, y, _ROWS)
    counts = np.zeros((_COLUMNS, _ROWS), dtype=np.int64)
    np.add.at(counts, (columns, rows), 1)
    middle = [
        (100 * (column + 0.5) / _COLUMNS, float(np.median(up[columns == column])))
        for column in range(_COLUMNS)
        if counts[column].sum() >= FEWEST
    ]
    line = " ".join(f"{'L' if i else 'M'}{at:.5g} {100 - y.place(value):.5g}" for i, (at, value) in enumerate(middle))
    return Plot(
        title=title,
        says=f"{title}: {_trend(across, up, labels)}.",
        x=x,
        y=y,
        x_label=labels[0],
        y_label=labels[1],
        paths=(*_shaded(counts, look), Path("middle", line)),
    )


def _axis(values: Numbers, bounds: tuple[float, float]) -> Axis:
    ends = map(float, np.percentile(values, [_TAIL, 100 - _TAIL])) if len(values) else ()
    return axis_of(ends, ticks=4, bounds=bounds)


def _bin(values: Numbers, axis: Axis, bins: int) -> NDArray[np.int64]:
    """Return the bin of each value; what lies beyond an end is in the outermost bin."""
    places = np.floor((values - axis.low) / (axis.high - axis.low) * bins)
    return np.clip(places, 0, bins - 1).astype(np.int64)


def _counts(values: Numbers, axis: Axis, bins: int) -> Numbers:
    """Return the percentage of cases in each bin."""
    return 100 * np.bincount(_bin(values, axis, bins), minlength=bins) / max(len(values), 1)


def _steps(heights: Sequence[float]) -> str:
    width = 100 / len(heights)
    return "M0 100 " + " ".join(f"V{100 - height:.5g} H{width * (i + 1):.5g}" for i, height in enumerate(heights))


def _shaded(counts: NDArray[np.int64], look: int) -> list[Path]:
    """Return a path of cells for each shade; shades are even steps of the logarithm of the count."""
    width, height = 100 / counts.shape[0], 100 / counts.shape[1]
    top = math.log(max(int(counts.max(initial=1)), 2))
    cells: dict[int, list[str]] = {}
    for column, row in np.argwhere(counts):
        shade = max(1, math.ceil(_SHADES * math.log(int(counts[column, row]) + 1) / (top + 1e-9)))
        place = f"M{column * width:.5g} {100 - (row + 1) * height:.5g}h{width:.5g}v{height:.5g}h-{width:.5g}z"
        cells.setdefault(min(shade, _SHADES), []).append(place)
    return [Path(f"area s{look} d{shade}", "".join(cells[shade])) for shade in sorted(cells)]


def _quartiles(values: Numbers) -> str:
    if not len(values):
        return "no case is scored"
    low, middle, high = map(float, np.percentile(values, [25, 50, 75]))
    return f"median {tick(middle)}, half of the cases from {tick(low)} to {tick(high)}"


def _trend(across: Numbers, up: Numbers, labels: tuple[str, str]) -> str:
    """Return the medians of the shortest, middle and longest third in words."""
    if len(across) < 3 * FEWEST:
        return f"{len(across)} cases"
    parts = np.array_split(np.argsort(across, kind="stable"), 3)
    medians = (tick(float(np.median(up[part]))) for part in parts)
    return f"median {labels[1]} by thirds of {labels[0]}, from low to high: {', '.join(medians)}"
