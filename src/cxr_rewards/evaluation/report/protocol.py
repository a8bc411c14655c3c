"""Sections of UniRG-CXR's protocol: conditions, kinds of change, encounters, subgroups, errors of judges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cxr_rewards.evaluation.conditions import Condition, ConditionTable
from cxr_rewards.evaluation.error_counts import BINS
from cxr_rewards.evaluation.figures import Figure
from cxr_rewards.evaluation.groups import GroupTable
from cxr_rewards.evaluation.protocol import CHANGE, Evaluation, of_baseline
from cxr_rewards.evaluation.report.blocks import (
    LOOKS,
    Axis,
    Bar,
    Block,
    Cell,
    Column,
    Group,
    Name,
    Paragraph,
    Section,
    Strip,
    Table,
    axis_of,
    interval,
    number,
)

_SHARE = axis_of([0.0, 1.0], ticks=5)
_LABELERS = {"rules": "CheXpert's labels by rules", "observations": "findings"}


def protocol_sections(
    names: Sequence[Name], evaluations: Sequence[Evaluation], gaps: Sequence[Block] = ()
) -> list[Section]:
    """Return the sections; one is left out if no file has what it needs.

    Args:
        names: of the systems.
        evaluations: of each.
        gaps: comparisons of gaps, shown after the groups.
    """
    systems = list(zip(names, evaluations, strict=True))
    found = [
        ("conditions", "Conditions", list(_conditions(systems))),
        ("changes", "Kinds of change", _longitudinal(systems, "changes", "kind of change")),
        ("encounters", "Encounters", _longitudinal(systems, "encounters", "encounter")),
        ("groups", "Groups", [*_groups(systems), *gaps]),
        ("errors", "Errors that a judge counts", list(_errors(systems))),
    ]
    return [Section(anchor=anchor, title=title, blocks=tuple(blocks)) for anchor, title, blocks in found if blocks]


_Systems = Sequence[tuple[Name, Evaluation]]


def _estimate(figure: Figure, axis: Axis, look: int) -> tuple[Cell, Cell, Cell]:
    """Return value, interval and drawing of a number."""
    missing = figure.value is None or figure.low is None
    ends = figure.reason if missing and figure.reason else interval(figure.low, figure.high)
    return number(figure.value), ends, Strip(axis, look, figure.value, figure.low, figure.high)


def _ends(figures: Iterable[Figure]) -> Iterator[float | None]:
    for figure in figures:
        yield from (figure.value, figure.low, figure.high)


# ---------------------------------------------------------------- conditions


def _conditions(systems: _Systems) -> Iterator[Block]:
    every = [(name, table) for name, evaluation in systems for table in evaluation.conditions]
    tables = [(name, table) for name, table in every if table.uncertain == "positive"]
    for labeler in dict.fromkeys(table.labeler for _, table in tables):
        of_labeler = [(name, table) for name, table in tables if table.labeler == labeler]
        others = {
            name: {row.name: row for row in _rows(other)}
            for name, other in every
            if other.labeler == labeler and other.uncertain == "negative"
        }
        conditions = dict.fromkeys(row.name for _, table in of_labeler for row in _rows(table))
        groups = []
        for condition in conditions:
            rows: list[tuple[Cell, ...]] = []
            for name, table in of_labeler:
                row = next((row for row in _rows(table) if row.name == condition), None)
                if row is not None:
                    rows.append(_condition(name, row, others.get(name, {}).get(condition)))
            support = next(row.support for _, table in of_labeler for row in _rows(table) if row.name == condition)
            groups.append(
                Group(head=condition, about=f"in {support:,} reference{'s' * (support != 1)}", rows=tuple(rows))
            )
        cases = ", ".join(f"{name.text} {table.cases:,}" for name, table in of_labeler)
        unread = ", ".join(f"{name.text} {table.unread:,}" for name, table in of_labeler)
        yield Table(
            caption=f"{_LABELERS.get(labeler, f'CheXpert labels by {labeler}')}, uncertain as positive",
            columns=(
                Column("system", "text"),
                Column("F1"),
                Column("95% interval"),
                Column("F1 and interval", "plot", _SHARE),
                Column("precision"),
                Column("recall"),
                Column("predicted"),
                Column("F1, uncertain as negative"),
            ),
            groups=tuple(groups),
            note=f"Cases: {cases}; left out because a text or its labels are missing: {unread}.",
        )


def _rows(table: ConditionTable) -> tuple[Condition, ...]:
    return (*table.conditions, *table.averages)


def _condition(name: Name, row: Condition, as_negative: Condition | None) -> tuple[Cell, ...]:
    return (
        name,
        *_estimate(row.f1, _SHARE, name.look),
        number(row.precision.value),
        number(row.recall.value),
        f"{row.predicted:,}",
        number(as_negative.f1.value if as_negative else None),
    )


# ---------------------------------------------------------------- groups


def _longitudinal(systems: _Systems, attribute: str, title: str) -> list[Block]:
    tables = [(name, getattr(evaluation, attribute)) for name, evaluation in systems]
    having = [(name, table) for name, table in tables if table is not None]
    if not having:
        return []
    metrics, baselines = systems[0][1].metrics, systems[0][1].baselines
    blocks: list[Block] = [_by_group(having, metric, f"{metric} by {title}", baselines) for metric in metrics]
    if baselines:
        about = f"A model that reads the image beats {' and '.join(f'the {name}' for name in baselines)}."
        blocks.insert(0, Paragraph(about))
    return blocks


def _groups(systems: _Systems) -> Iterator[Block]:
    for i, first in enumerate(systems[0][1].groups):
        tables = [(name, evaluation.groups[i]) for name, evaluation in systems]
        for metric in systems[0][1].metrics:
            yield _by_group(tables, metric, f"{metric} by {first.title}")
        if any(gap.best for _, table in tables for gap in table.gaps):
            yield _gaps(tables, first.title)


def _by_group(
    tables: Sequence[tuple[Name, GroupTable]], metric: str, title: str, baselines: Sequence[str] = ()
) -> Table:
    """Return a metric by group; a row for each system, and for each baseline."""
    first = tables[0][1]
    measures = [(name, table, metric) for name, table in tables]
    for i, baseline in enumerate(baselines):
        look = Name(baseline, (len(tables) + i) % LOOKS)
        measures.append((look, first, of_baseline(metric, baseline)))
    measures = [(name, table, measure) for name, table, measure in measures if measure in table.overall.figures]
    every = [group.figures[measure] for _, table, measure in measures for group in (*table.groups, table.overall)]
    axis = axis_of(_ends(every), ticks=4, pad=True)
    groups = []
    for group in (*first.groups, first.overall):
        rows: list[tuple[Cell, ...]] = []
        for name, table, measure in measures:
            own = next((g for g in (*table.groups, table.overall) if g.name == group.name), None)
            if own is not None:
                figure = own.figures[measure]
                rows.append((name, *_estimate(figure, axis, name.look), f"{figure.n:,}"))
        groups.append(
            Group(
                head=group.name.replace("_", " ") if first.by == (CHANGE,) else group.name,
                about=f"{group.cases:,} case{'s' * (group.cases != 1)}",
                rows=tuple(rows),
            )
        )
    return Table(
        caption=title,
        columns=(
            Column("system", "text"),
            Column("value"),
            Column("95% interval"),
            Column("value and interval", "plot", axis),
            Column("scored"),
        ),
        groups=tuple(groups),
    )


def _gaps(tables: Sequence[tuple[Name, GroupTable]], title: str) -> Table:
    gaps = [(name, gap) for name, table in tables for gap in table.gaps]
    groups = []
    for measure in dict.fromkeys(gap.measure for _, gap in gaps):
        of_measure = [(name, gap) for name, gap in gaps if gap.measure == measure]
        axis = axis_of([0.0, *_ends(gap.difference for _, gap in of_measure)], pad=True)
        rows: list[tuple[Cell, ...]] = []
        for name, gap in of_measure:
            value, ends, _ = _estimate(gap.difference, axis, name.look)
            drawn = Strip(axis, name.look, gap.difference.value, gap.difference.low, gap.difference.high, 0.0)
            rows.append((name, gap.best or "\u2013", gap.worst or "\u2013", value, ends, drawn))
        groups.append(Group(head=measure, axis=axis, rows=tuple(rows)))
    return Table(
        caption=f"Gaps by {title}: the best group less the worst",
        columns=(
            Column("system", "text"),
            Column("best", "text"),
            Column("worst", "text"),
            Column("gap"),
            Column("95% interval"),
            Column("gap and interval", "plot"),
        ),
        groups=tuple(groups),
        note="The interval is that of all pairs of groups at once, because best and worst are chosen by their scores. "
        "A gap is clear if its interval leaves out 0.",
    )


# ---------------------------------------------------------------- errors


def _errors(systems: _Systems) -> Iterator[Block]:
    counted = [(name, counts) for name, evaluation in systems for counts in evaluation.errors]
    if not counted:
        return
    groups = []
    for source, kind in dict.fromkeys((counts.source, counts.kind) for _, counts in counted):
        rows: list[tuple[Cell, ...]] = []
        for name, counts in counted:
            if (counts.source, counts.kind) != (source, kind):
                continue
            shares = [counts.shares[name].value for name in BINS]
            bars = [Bar(share or 0.0, "\u2013" if share is None else f"{share:.0%}", name.look) for share in shares]
            rows.append((name, *_estimate(counts.mean, _SHARE, name.look)[:2], *bars))
        groups.append(Group(head=source, about=f"{kind} errors", rows=tuple(rows)))
    yield Table(
        caption="Errors in a report, and the share of reports with as many",
        columns=(
            Column("system", "text"),
            Column("mean"),
            Column("95% interval"),
            *(Column(f"{name.replace('<=', '≤ ').replace('>=', '≥ ')} errors", "text") for name in BINS),
        ),
        groups=tuple(groups),
    )
