"""A number with its interval, and the interval of a share of cases."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cxr_rewards.evaluation.resampling import effective_clusters
from cxr_rewards.files.summary import MIN_CLUSTERS, t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_Z = t_quantile(1e9)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its 95% interval.

    Attributes:
        n: cases that it is computed from.
        value: None if it is undefined.
        low, high: ends of the interval; None if there is none.
        reason: why value or interval are missing.
    """

    n: int
    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the figure as JSON-compatible data."""
        return asdict(self)


def share(hits: Numbers, cases: Numbers, undefined: str) -> Figure:
    """Return the share of cases that are hits, with Wilson's interval for clusters.

    Wilson's interval holds what it promises for few cases and for shares near 0 and 1, where the bootstrap's is far too
    short: it covers 95% at 20 cases and a share of 0.95, the bootstrap 66%. Cases of one cluster are alike, so the
    number of cases is divided by the design effect, the variance of the share over clusters relative to that of
    independent cases.

    Args:
        hits, cases: (clusters,), of each cluster.
        undefined: the reason if there are no cases.

    Example:
        >>> import numpy as np
        >>> figure = share(np.array([1.0, 1, 1, 0]), np.array([1.0, 1, 1, 1]), "")
        >>> figure.n, figure.value, round(figure.low, 2), round(figure.high, 2)
        (4, 0.75, 0.3, 0.95)
        >>> share(np.zeros(4), np.zeros(4), "no case has it").reason
        'no case has it'
    """
    n = float(cases.sum())
    if not n:
        return Figure(0, None, reason=undefined)
    p = float(hits.sum()) / n
    clusters = int((cases > 0).sum())
    size = n
    if clusters < n:
        if effective_clusters(cases) < MIN_CLUSTERS:
            return Figure(int(n), p, reason=f"fewer than {MIN_CLUSTERS} independent clusters")
        if 0 < p < 1 and clusters > 1:
            spread = float(((hits - p * cases) ** 2).sum()) / n**2 * clusters / (clusters - 1)
            size = min(n, p * (1 - p) / spread) if spread else n
        else:
            size = effective_clusters(cases)
    low, high = _wilson(p, size)
    return Figure(int(n), p, low, high)


def _wilson(p: float, n: float) -> tuple[float, float]:
    middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
