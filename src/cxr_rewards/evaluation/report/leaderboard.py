"""Sections: the result in short, and each measure of each system with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cxr_rewards.evaluation.comparison import Comparison, Estimate, Pair
from cxr_rewards.evaluation.report.blocks import (
    Block,
    Cell,
    Column,
    Group,
    Paragraph,
    Section,
    Strip,
    Table,
    axis_of,
    direction,
    interval,
    number,
)
from cxr_rewards.evaluation.report.differences import is_clear
from cxr_rewards.evaluation.report.systems import Systems
from cxr_rewards.evaluation.resampling import bootstrap, effective_clusters, sum_by_cluster
from cxr_rewards.evaluation.tables import p_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Codes = NDArray[np.int64]


def means(systems: Systems, clusters: Codes | None, *, resamples: int, seed: int) -> list[Estimate]:
    """Return the mean of each metric of each system, over its own scored cases, for systems that are not compared."""
    values = np.concatenate([systems.values(metric) for metric in systems.metrics])
    scored = np.isfinite(values)
    sums = sum_by_cluster(np.concatenate((np.where(scored, values, 0.0), scored)).T, clusters)
    k = len(values)

    def mean(sums: Numbers) -> Numbers:
        return sums[..., :k] / sums[..., k:]

    drawn = bootstrap(sums, mean, resamples=resamples, seed=seed)
    estimates = []
    labels = [(name, metric, system) for name, metric in systems.metrics.items() for system in systems.names]
    for i, (name, metric, system) in enumerate(labels):
        n = int(scored[i].sum())
        effective = effective_clusters(sums[:, k + i])
        ends = drawn.interval(partial(_one, i=i), effective, bounds=metric.bounds) if n else None
        low, high = ends or (None, None)
        estimates.append(
            Estimate(
                measure=name,
                system=system.text,
                n=n,
                unscored=len(systems.ids) - n,
                value=float(drawn.estimates[i]) if n else None,
                low=low,
                high=high,
                first=None,
            )
        )
    return estimates


def _one(statistics: Numbers, i: int) -> Numbers:
    return statistics[..., i]


def in_short(systems: Systems, estimates: Sequence[Estimate], comparison: Comparison | None) -> Section:
    """Return the main metric in sentences."""
    metric = systems.main_metric
    texts = list(_sentences(metric, [e for e in estimates if e.measure == metric], comparison))
    warnings = (Paragraph(note, warning=True) for note in systems.joined.notes)
    blocks = (*map(Paragraph, texts), *warnings)
    return Section(anchor="short", title="In short", blocks=blocks)


def _sentences(metric: str, estimates: Sequence[Estimate], comparison: Comparison | None) -> Iterator[str]:
    known = [e for e in estimates if e.value is not None]
    if not known:
        yield f"No case has a {metric}."
        return
    told = (f"{e.system} {number(e.value)} ({interval(e.low, e.high)})" for e in known)
    yield f"Mean {metric} of {known[0].n:,} cases, with 95% intervals: {'; '.join(told)}."
    for pair in comparison.pairs if comparison else ():
        if pair.measure == metric:
            yield _difference(pair)


def _difference(pair: Pair) -> str:
    if pair.difference is None:
        return f"{pair.first} and {pair.second} have no case in common that is scored for both."
    adjusted = p_value(pair.p_adjusted)
    p = f"adjusted p {adjusted}" if adjusted.startswith("<") else f"adjusted p = {adjusted}"
    if pair.better is None or not is_clear(pair):
        ends = interval(pair.low, pair.high)
        return f"{pair.first} and {pair.second} do not clearly differ: {number(pair.difference)} ({ends}), {p}."
    other = pair.second if pair.better == pair.first else pair.first
    low, high = pair.low, pair.high
    if pair.difference < 0 and low is not None and high is not None:
        low, high = -high, -low
    shares = ""
    if pair.share_better is not None and pair.share_worse is not None:
        ahead, behind = pair.share_better, pair.share_worse
        ahead, behind = (ahead, behind) if pair.better == pair.first else (behind, ahead)
        shares = f" It is better in {ahead:z.0%} of the cases and worse in {behind:z.0%}."
    away = f"{number(abs(pair.difference))} ({interval(low, high)})"
    return f"{pair.better} is better than {other} by {away}, {p}.{shares}"


def leaderboard(
    systems: Systems, estimates: Sequence[Estimate], higher_is_better: Mapping[str, bool | None]
) -> Section:
    """Return each measure of each system, with ranks."""
    names = {name.text: name for name in systems.names}
    several = len(names) > 1
    groups = []
    for measure, better in higher_is_better.items():
        of = [e for e in estimates if e.measure == measure]
        bounds = systems.metrics[measure].bounds if measure in systems.metrics else (-math.inf, math.inf)
        axis = axis_of([end for e in of for end in (e.value, e.low, e.high)], pad=True, bounds=bounds)
        sign = -1 if better is False else 1
        order = sorted((sign * e.value for e in of if e.value is not None), reverse=True)
        rows: list[tuple[Cell, ...]] = []
        for e in of:
            name = names[e.system]
            row = (name, number(e.value), interval(e.low, e.high), Strip(axis, name.look, e.value, e.low, e.high))
            ranked = better is not None and e.value is not None
            rank = str(1 + order.index(sign * e.value)) if ranked and e.value is not None else "\u2013"
            first = "\u2013" if e.first is None else f"{e.first:.0%}"
            rows.append((*row, f"{e.n:,}", f"{e.unscored:,}", *((rank, first) if several else ())))
        groups.append(Group(head=measure, about=direction(better), axis=axis, rows=tuple(rows)))
    columns = [
        Column("system", "text"),
        Column("value"),
        Column("95% interval"),
        Column("value and interval", "plot"),
        Column("cases"),
        Column("unscored"),
        *((Column("rank"), Column("first")) if several else ()),
    ]
    note = "Each measure has an axis of its own. Dot: value; line: interval."
    if several:
        note += (
            " Rank is by the value, whether or not the difference is clear; first: how often the system is the best of "
            "all in resamples of the cases. All numbers are over the cases that are scored for all systems."
        )
    table = Table(caption="Each measure", columns=tuple(columns), groups=tuple(groups), note=note)
    blocks: tuple[Block, ...] = (table,)
    return Section(anchor="scores", title="Scores", blocks=blocks)
