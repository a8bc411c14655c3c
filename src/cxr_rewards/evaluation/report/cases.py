"""Sections: the cases that are worth reading, the worst of each system, and those in which systems differ most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from cxr_rewards.evaluation.report.blocks import (
    Block,
    CaseView,
    Cell,
    Column,
    Group,
    Legend,
    MarkedPair,
    Name,
    Paragraph,
    Piece,
    Section,
    Table,
    number,
)
from cxr_rewards.evaluation.report.systems import NO_TEXTS, Systems
from cxr_rewards.explain.build import explain
from cxr_rewards.explain.explanation import Mark, MarkedReport
from cxr_rewards.explain.looks import LOOKS, cells
from cxr_rewards.reward.composite import CompositeReward
from cxr_rewards.types import Case

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_LONGEST = 3_000
"""Characters of a report that are shown."""
_MOST_ROWS = 40
"""Findings of a case that are listed."""


def chosen_cases(values: Numbers, higher_is_better: bool, most: int) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the worst cases of each system as pairs (system, case), and the cases in which systems differ most.

    Worst first, and widest spread first; equal cases come in the order of the file.

    Args:
        values: (systems, cases); NaN if unscored.
        higher_is_better: direction of the values.
        most: how many for each system, and how many with a spread.

    Example:
        >>> chosen_cases(np.array([[0.5, 0.1, 0.9], [0.5, 0.7, np.nan]]), True, 1)
        ([(0, 1), (1, 0)], [1])
    """
    sign = 1 if higher_is_better else -1
    worst = [
        (system, int(case))
        for system, row in enumerate(sign * values)
        for case in np.argsort(row, kind="stable")[: min(most, int(np.isfinite(row).sum()))]
    ]
    both = np.isfinite(values).sum(axis=0) > 1
    spread = np.zeros(values.shape[1])
    spread[both] = np.nanmax(values[:, both], axis=0) - np.nanmin(values[:, both], axis=0)
    widest = np.argsort(-spread, kind="stable")[:most]
    return worst, [int(case) for case in widest if spread[case] > 0]


def case_sections(systems: Systems, most: int) -> list[Section]:
    """Return the sections of the worst and of the most different cases by the main metric, `most` of each."""
    metric = systems.main_metric
    legend: Block = NO_TEXTS
    if any(map(systems.has_texts, range(len(systems.names)))):
        legend = Legend(marks=tuple((kind, look.sign, look.meaning) for kind, look in LOOKS.items()))
    about = Paragraph(f"The cases of each system with the worst {metric}.")
    blocks: tuple[Block, ...] = (about, legend, *_worst_cases(systems, metric, most))
    sections = [Section(anchor="worst", title="Worst cases", blocks=blocks)]
    if len(systems.names) > 1:
        about = Paragraph(f"The cases in which {metric} of the best and of the worst system are furthest apart.")
        blocks = (about, legend, *_different_cases(systems, metric, most))
        sections.append(Section(anchor="different", title="Most different cases", blocks=blocks))
    return sections


def _worst_cases(systems: Systems, metric: str, most: int) -> list[CaseView]:
    values, better = systems.values(metric), systems.metrics[metric].higher_is_better
    worst, _ = chosen_cases(values, better, most)
    whose: dict[int, list[int]] = {}
    for system, case in worst:
        whose.setdefault(case, []).append(system)
    return [
        _view(systems, case, [f"among the worst {most} of {systems.names[i].text}" for i in having], having)
        for case, having in whose.items()
    ]


def _different_cases(systems: Systems, metric: str, most: int) -> list[CaseView]:
    values, better = systems.values(metric), systems.metrics[metric].higher_is_better
    views = []
    for case in chosen_cases(values, better, most)[1]:
        order = [int(i) for i in np.argsort(values[:, case], kind="stable") if np.isfinite(values[i, case])]
        low, high = order[0], order[-1]
        best, worst = (high, low) if better else (low, high)
        difference = number(values[high, case] - values[low, case])
        why = f"{systems.names[best].text} is better than {systems.names[worst].text} by {difference}"
        views.append(_view(systems, case, [why], [best, worst]))
    return views


def _view(systems: Systems, case: int, why: list[str], shown: list[int]) -> CaseView:
    numbers = {metric: systems.values(metric)[:, case] for metric in systems.metrics}
    rows: list[tuple[Cell, ...]] = [
        (name, *(number(of[i]) for of in numbers.values())) for i, name in enumerate(systems.names)
    ]
    scores = Table(
        caption="Scores",
        columns=(Column("system", "text"), *(Column(metric) for metric in systems.metrics)),
        groups=(Group(rows=tuple(rows)),),
    )
    pairs = tuple(marked_pair(systems.names[i], *systems.texts(i, case)) for i in shown if systems.has_texts(i))
    return CaseView(case_id=systems.ids[case], why=tuple(why), scores=scores, pairs=pairs)


def marked_pair(system: Name, candidate: str, reference: str) -> MarkedPair:
    """Return a candidate beside its reference, with the findings that `findings_score` compares.

    Args:
        system: whose candidate it is.
        candidate: the report.
        reference: the report of the radiologist.
    """
    reward = CompositeReward(["findings_score"])
    explained = explain(reward, Case(candidate=candidate, reference=reference))
    assert explained.findings is not None
    rows = tuple(cells(row) for row in explained.findings.rows)
    more = len(rows) - _MOST_ROWS
    if more > 0:
        rows = (*rows[:_MOST_ROWS], (f"{more:,} more", *[""] * (len(rows[0]) - 1)))
    texts: Mapping[str, MarkedReport] = {report.role: report for report in explained.reports}
    return MarkedPair(
        system=system,
        texts=tuple((role.capitalize(), tuple(_pieces(texts[role]))) for role in ("reference", "candidate")),
        findings=rows,
    )


def _pieces(report: MarkedReport) -> Iterator[Piece]:
    text, at = report.text or "", 0
    if not text.strip():
        yield Piece("(empty)")
        return
    for mark in report.marks:
        start, end = mark.span
        if end > _LONGEST:
            break
        yield Piece(text[at:start])
        yield Piece(text[start:end], tuple(_notes(mark)))
        at = end
    yield Piece(text[at : max(at, _LONGEST)])
    if len(text) > _LONGEST:
        yield Piece(f" ... ({len(text) - _LONGEST:,} more characters)")


def _notes(mark: Mark) -> Iterator[tuple[str, str, str]]:
    for note in sorted(mark.notes, key=lambda note: list(LOOKS).index(note.kind)):
        look = LOOKS[note.kind]
        yield note.kind, f"{look.sign}{note.number or ''}", look.meaning
