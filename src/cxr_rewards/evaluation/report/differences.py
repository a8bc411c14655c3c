"""Section: the differences between systems, with intervals and tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cxr_rewards.evaluation.comparison import Comparison, Pair
from cxr_rewards.evaluation.report.blocks import (
    Axis,
    Block,
    Cell,
    Column,
    Group,
    Paragraph,
    Plot,
    Plots,
    Section,
    Strip,
    Table,
    axis_of,
    interval,
    number,
)
from cxr_rewards.evaluation.report.plots import distribution
from cxr_rewards.evaluation.report.systems import Systems
from cxr_rewards.evaluation.tables import p_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_CLEAR = 0.05
_MOST_PLOTS = 12


def is_clear(pair: Pair) -> bool:
    """Return whether the adjusted p-value is below 0.05."""
    return pair.p_adjusted is not None and pair.p_adjusted < _CLEAR


def differences(systems: Systems, comparison: Comparison) -> Section:
    """Return a table for each pair of systems, and the distribution of its differences."""
    pairs = list(dict.fromkeys((pair.first, pair.second) for pair in comparison.pairs))
    drawn = [end for pair in comparison.pairs for end in _effect(pair, comparison)]
    axis = axis_of([0.0, *drawn], ticks=5, pad=True)
    tables = [_table(systems, comparison, pair, axis) for pair in pairs]
    metric = systems.main_metric
    plots = [_plot(systems, metric, pair) for pair in pairs[:_MOST_PLOTS]]
    correction = {"holm": "Holm", "bh": "Benjamini and Hochberg", "none": "no correction"}[comparison.correction]
    about = (
        "All numbers are over the cases that are scored for all systems. p: two-sided, by sign flips; adjusted: "
        f"{correction}, for {comparison.tests:,} tests. A system is named as better if the adjusted p is below "
        f"{_CLEAR:g}."
    )
    blocks: tuple[Block, ...] = (Paragraph(about), *tables, Plots(tuple(plots)))
    return Section(anchor="differences", title="Differences", blocks=blocks)


def gap_tables(systems: Systems, comparison: Comparison) -> list[Table]:
    """Return the differences of gaps between groups, a table for each pair of systems; none without groups."""
    gaps = tuple(pair for pair in comparison.pairs if " gap by " in pair.measure)
    return [
        _gap_table(systems, [pair for pair in gaps if (pair.first, pair.second) == names])
        for names in dict.fromkeys((pair.first, pair.second) for pair in gaps)
    ]


def _gap_table(systems: Systems, pairs: Sequence[Pair]) -> Table:
    looks = {name.text: name for name in systems.names}
    axis = axis_of([0.0, *(end for pair in pairs for end in (pair.difference, pair.low, pair.high))], pad=True)
    rows: list[tuple[Cell, ...]] = []
    for pair in pairs:
        drawn = Strip(axis, looks[pair.first].look, pair.difference, pair.low, pair.high, 0.0)
        better = looks[pair.better] if pair.better and is_clear(pair) else "not clear"
        rows.append((pair.measure, _signed(pair.difference), interval(pair.low, pair.high), drawn, better))
    return Table(
        caption=f"Differences of gaps: {pairs[0].first} less {pairs[0].second}",
        columns=(
            Column("gap", "text"),
            Column("difference"),
            Column("95% interval"),
            Column("difference and interval", "plot", axis),
            Column("smaller gap", "text"),
        ),
        groups=(Group(rows=tuple(rows)),),
        note="Each resample picks its own best and worst group. Smaller is better.",
    )


def _sign(pair: Pair, comparison: Comparison) -> int:
    return -1 if comparison.higher_is_better[pair.measure] is False else 1


def _effect(pair: Pair, comparison: Comparison) -> tuple[float, float, float] | tuple[()]:
    """Return difference and interval in standard deviations of a case's difference, above 0 if the first is better."""
    if not pair.standardised or not pair.difference or pair.low is None or pair.high is None:
        return ()
    unit = _sign(pair, comparison) * pair.standardised / pair.difference
    low, high = sorted((unit * pair.low, unit * pair.high))
    return low, unit * pair.difference, high


def _table(systems: Systems, comparison: Comparison, names: tuple[str, str], axis: Axis) -> Table:
    first, second = names
    looks = {name.text: name for name in systems.names}
    rows: list[tuple[Cell, ...]] = []
    for pair in comparison.pairs:
        if (pair.first, pair.second) != names:
            continue
        better = looks[pair.better] if pair.better else None
        effect = _effect(pair, comparison)
        drawn: Cell = ""
        if effect:
            drawn = Strip(axis, better.look if better else looks[first].look, effect[1], effect[0], effect[2], 0.0)
        rows.append(
            (
                pair.measure,
                _signed(pair.difference),
                interval(pair.low, pair.high),
                drawn,
                p_value(pair.p).replace("-", "\u2013"),
                p_value(pair.p_adjusted).replace("-", "\u2013"),
                better if better and is_clear(pair) else "not clear",
                _shares(pair),
            )
        )
    return Table(
        caption=f"{first} less {second}",
        columns=(
            Column("measure", "text"),
            Column("difference"),
            Column("95% interval"),
            Column(f"\u2190 {second} better, {first} better \u2192, in standard deviations", "plot", axis),
            Column("p"),
            Column("adjusted"),
            Column("better", "text"),
            Column("cases better, equal, worse"),
        ),
        groups=(Group(rows=tuple(rows)),),
    )


def _signed(value: float | None) -> str:
    return f"+{number(value)}" if value is not None and value > 0 else number(value)


def _shares(pair: Pair) -> str:
    if pair.share_better is None or pair.share_equal is None or pair.share_worse is None:
        return "\u2013"
    return f"{pair.share_better:z.0%}, {pair.share_equal:z.0%}, {pair.share_worse:z.0%}"


def _plot(systems: Systems, metric: str, names: tuple[str, str]) -> Plot:
    texts = [name.text for name in systems.names]
    first, second = (texts.index(name) for name in names)
    values = systems.values(metric)
    about = systems.metrics[metric]
    span = about.bounds[1] - about.bounds[0]
    away = values[first] - values[second]
    label = f"{metric} of {names[0]} less {names[1]}"
    return distribution(
        f"{names[0]} less {names[1]}, case by case", label, (-span, span), [(systems.names[first], away)]
    )
