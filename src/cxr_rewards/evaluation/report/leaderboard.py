"""Section: the mean of each metric, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cxr_rewards.evaluation.report.blocks import (
    Column,
    Group,
    Section,
    Strip,
    Table,
    axis_of,
    direction,
    interval,
    number,
)
from cxr_rewards.evaluation.report.systems import Systems
from cxr_rewards.evaluation.resampling import bootstrap, effective_clusters, sum_by_cluster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean of a metric over the scored cases of a system, with its 95% interval."""

    n: int
    mean: float | None
    low: float | None = None
    high: float | None = None


def means(systems: Systems, clusters: Codes | None, *, resamples: int, seed: int) -> dict[str, list[Estimate]]:
    """Return the mean of each metric, an estimate for each system."""
    values = np.concatenate([systems.values(metric) for metric in systems.metrics])
    scored = np.isfinite(values)
    sums = sum_by_cluster(np.concatenate((np.where(scored, values, 0.0), scored)).T, clusters)
    k = len(values)

    def mean(sums: Numbers) -> Numbers:
        return sums[..., :k] / sums[..., k:]

    drawn = bootstrap(sums, mean, resamples=resamples, seed=seed)
    estimates = [
        Estimate(
            int(scored[i].sum()),
            float(drawn.estimates[i]) if scored[i].any() else None,
            *(drawn.interval(partial(_one, i=i), effective_clusters(sums[:, k + i])) or ()),
        )
        for i in range(k)
    ]
    n = len(systems.names)
    return {metric: estimates[n * i : n * (i + 1)] for i, metric in enumerate(systems.metrics)}


def _one(statistics: Numbers, i: int) -> Numbers:
    return statistics[..., i]


def leaderboard(systems: Systems, estimates: dict[str, list[Estimate]]) -> Section:
    """Return the mean of each metric, the best marked."""
    groups = []
    for label, metric in systems.metrics.items():
        of = estimates[label]
        axis = axis_of([end for e in of for end in (e.mean, e.low, e.high)], pad=True, bounds=metric.bounds)
        sign = 1 if metric.higher_is_better else -1
        order = sorted((sign * e.mean for e in of if e.mean is not None), reverse=True)
        rows = tuple(
            (
                name,
                number(e.mean),
                interval(e.low, e.high),
                Strip(axis, name.look, e.mean, e.low, e.high),
                f"{e.n:,}",
                "\u2013" if e.mean is None else str(1 + order.index(sign * e.mean)),
            )
            for name, e in zip(systems.names, of, strict=True)
        )
        groups.append(Group(head=label, about=direction(metric), axis=axis, rows=rows))
    columns = ("system", "mean", "95% interval", "mean and interval", "scored", "rank")
    table = Table(
        caption="Mean of each metric",
        columns=tuple(
            Column(name, "plot" if i == 3 else "text" if i == 0 else "number") for i, name in enumerate(columns)
        ),
        groups=tuple(groups),
        note="Each metric has an axis of its own. Dot: mean; line: interval. A short line means many cases, not a good "
        "system. Rank is by the mean, whether or not the difference is clear.",
    )
    return Section(anchor="scores", title="Scores", blocks=(table,))
