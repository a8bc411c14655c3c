"""An `Evaluation` as tables of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from cxr_rewards.evaluation.baselines import COPY, FREQUENT
from cxr_rewards.evaluation.conditions import Condition, ConditionTable
from cxr_rewards.evaluation.error_counts import BINS, ErrorCounts
from cxr_rewards.evaluation.figures import Figure
from cxr_rewards.evaluation.groups import Gap, Group, GroupTable
from cxr_rewards.evaluation.protocol import Evaluation, above_baseline, of_baseline
from cxr_rewards.evaluation.tables import Table, interval, number

_ABOVE = {COPY: "better than the copy by", FREQUENT: "better than that by"}
_LABELERS = {"rules": "CheXpert labels by rules", "chexbert": "CheXpert labels by CheXbert", "observations": "findings"}


def tables_of(evaluation: Evaluation) -> list[Table]:
    """Return all tables of an evaluation, in the order of UniRG-CXR's figures."""
    found = [_conditions(table) for table in evaluation.conditions]
    for what, table in (("kind of change", evaluation.changes), ("encounter", evaluation.encounters)):
        if table is not None:
            found += [_groups(table, f"by {what}", evaluation.metrics), *_baselines(evaluation, table, what)]
    for table in evaluation.groups:
        found += group_tables(table, evaluation.metrics)
    sources = dict.fromkeys(counts.source for counts in evaluation.errors)
    found += [_errors(name, [counts for counts in evaluation.errors if counts.source == name]) for name in sources]
    return found


def group_tables(table: GroupTable, metrics: Sequence[str]) -> list[Table]:
    """Return the tables of groups, and of their gaps."""
    names = [name for name in metrics if name in table.overall.figures]
    found = [_groups(table, f"by {table.title}", names)]
    return [*found, _gaps(table)] if table.gaps else found


def written(figure: Figure, digits: int = 3) -> str:
    """Return a figure as it stands in a table: the value and its interval.

    Example:
        >>> written(Figure(20, 0.5, 0.25, 0.75)), written(Figure(3, 0.5, reason="few")), written(Figure(0, None))
        ('0.500 [0.250, 0.750]', '0.500', '-')
    """
    value = number(figure.value, digits)
    return value if figure.low is None else f"{value} {interval(figure.low, figure.high, digits)}"


def _table(
    title: str, head: Sequence[str], rows: Iterable[tuple[str, ...]], notes: Iterable[str], texts: int = 1
) -> Table:
    """Return a table whose first columns hold text and the others numbers."""
    return Table(
        title=title, head=tuple(head), rows=tuple(rows), numbers=frozenset(head[texts:]), caption=". ".join(notes)
    )


def _conditions(table: ConditionTable) -> Table:
    labeler = _LABELERS.get(table.labeler, f"CheXpert labels by {table.labeler}")
    found = _table(
        f"{labeler}, uncertain as {table.uncertain}: {table.cases:,} cases",
        ("condition", "support", "predicted", "precision", "recall", "F1"),
        (_condition(row) for row in (*table.conditions, *table.averages)),
        [f"left out: {table.unread:,} cases without text or labels"] if table.unread else [],
    )
    return replace(found, sections=frozenset((len(table.conditions),)))


def _condition(row: Condition) -> tuple[str, ...]:
    numbers = map(written, (row.precision, row.recall, row.f1))
    return (row.name, f"{row.support:,}", f"{row.predicted:,}", *numbers)


def _groups(table: GroupTable, title: str, metrics: Sequence[str]) -> Table:
    found = _table(
        title,
        (table.title, "cases", *metrics),
        (_group(group, metrics) for group in (*table.groups, table.overall)),
        _reasons(table, metrics),
    )
    return replace(found, sections=frozenset((len(table.groups),)))


def _group(group: Group, metrics: Sequence[str]) -> tuple[str, ...]:
    return (group.name, f"{group.cases:,}", *(written(group.figures[name]) for name in metrics))


def _reasons(table: GroupTable, metrics: Sequence[str]) -> Iterator[str]:
    """Yield why numbers or intervals are missing, each reason once with the groups it is of."""
    groups: dict[str, list[str]] = {}
    for group in table.groups:
        for reason in dict.fromkeys(group.figures[name].reason for name in metrics):
            if reason:
                groups.setdefault(reason, []).append(group.name)
    for reason, names in groups.items():
        yield f"{reason}: {', '.join(names)}"


def _baselines(evaluation: Evaluation, table: GroupTable, what: str) -> Iterator[Table]:
    """Yield for each metric the baselines, and by how much the system is better."""
    for metric in evaluation.metrics:
        columns: dict[str, str] = {}
        for baseline in evaluation.baselines:
            columns[baseline] = of_baseline(metric, baseline)
            columns[_ABOVE[baseline]] = above_baseline(metric, baseline)
        columns = {head: name for head, name in columns.items() if name in table.overall.figures}
        if columns:
            row = partial(_group, metrics=list(columns.values()))
            found = _table(
                f"{metric} by {what}, of reports that need no image",
                (table.title, *columns),
                ((name, *figures) for name, _, *figures in map(row, (*table.groups, table.overall))),
                ["better by: mean difference on cases that are scored for both"] if len(columns) > 2 else [],
            )
            yield replace(found, sections=frozenset((len(table.groups),)))


def _gaps(table: GroupTable) -> Table:
    reasons = dict.fromkeys(f"{gap.measure}: {gap.difference.reason}" for gap in table.gaps if gap.difference.reason)
    return _table(
        f"gaps by {table.title}",
        ("metric", "best", "worst", "gap"),
        (_gap(gap) for gap in table.gaps),
        ["gap: best minus worst group, with the interval of all pairs of groups at once", *reasons],
        texts=3,
    )


def _gap(gap: Gap) -> tuple[str, ...]:
    return (gap.measure, gap.best or "-", gap.worst or "-", written(gap.difference))


def _errors(source: str, errors: Sequence[ErrorCounts]) -> Table:
    cases = max(counts.mean.n for counts in errors)
    return _table(
        f"errors in a report by {source}: {cases:,} cases",
        ("errors", *(counts.kind for counts in errors)),
        [
            ("mean", *(written(counts.mean, 2) for counts in errors)),
            *((f"share with {name}", *(written(counts.shares[name]) for counts in errors)) for name in BINS),
        ],
        [],
    )
