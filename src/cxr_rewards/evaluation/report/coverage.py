"""Section: how many cases are scored, why others are not, and how much of the reports is understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cxr_rewards.evaluation.report.blocks import Block, Cell, Column, Group, Paragraph, Section, Table
from cxr_rewards.evaluation.report.systems import NO_TEXTS, Systems
from cxr_rewards.findings import reading


def coverage(systems: Systems, notes: Mapping[str, Sequence[str]]) -> Section:
    """Return how many cases are scored, why others are not, how much of the reports is understood, and notes.

    Args:
        systems: the systems.
        notes: what else was left out and why, with the systems that it concerns; none: all.
    """
    n = len(systems.ids)
    scored = {label: np.isfinite(systems.values(label)).sum(axis=1) for label in systems.metrics}
    by_system = [Column(name.text) for name in systems.names]
    blocks: list[Block] = []
    if all((counts == n).all() for counts in scored.values()):
        blocks.append(Paragraph(f"All {n:,} cases are scored by all metrics."))
    else:
        rows = tuple((label, *map("{:,}".format, counts)) for label, counts in scored.items())
        columns = (Column("metric", "text"), *by_system)
        blocks.append(Table(caption=f"Scored cases, of {n:,}", columns=columns, groups=(Group(rows=rows),)))
    kinds = sorted({kind for system in systems.joined.systems for kind in system.kinds})
    if kinds:
        rows = tuple((kind, *(f"{s.kinds.get(kind, 0):,}" for s in systems.joined.systems)) for kind in kinds)
        blocks.append(
            Table(
                caption="Unscored rows of each file, by kind of failure",
                columns=(Column("kind", "text"), *by_system),
                groups=(Group(rows=rows),),
                note="A row with several kinds counts for each.",
            )
        )
    blocks.append(_unread(systems))
    if notes:
        told = tuple((note, ", ".join(names) or "all") for note, names in notes.items())
        columns = (Column("note", "text"), Column("systems", "text"))
        blocks.append(Table(caption="Left out, and why", columns=columns, groups=(Group(rows=told),)))
    return Section(anchor="coverage", title="Coverage", blocks=tuple(blocks))


def _unread(systems: Systems) -> Block:
    counts: dict[str, tuple[int, int]] = {}  # of each distinct text: sentences, unread ones
    rows: list[tuple[Cell, ...]] = []
    for i, name in enumerate(systems.names):
        if systems.has_texts(i):
            pairs = [systems.texts(i, case) for case in range(len(systems.ids))]
            rows.append((name, *(_share([_count(pair[side], counts) for pair in pairs]) for side in (0, 1))))
    if not rows:
        return NO_TEXTS
    return Table(
        caption="Sentences about the image of which the rule-based reader reads nothing",
        columns=(Column("system", "text"), Column("candidates"), Column("references")),
        groups=(Group(rows=tuple(rows)),),
        note="What is not read counts as normal. Reports by people have 1 to 2%; far above that, scores of findings "
        "say less.",
    )


def _count(text: str, counts: dict[str, tuple[int, int]]) -> tuple[int, int]:
    if text not in counts:
        read = reading(text)
        counts[text] = read.sentences, len(read.unread)
    return counts[text]


def _share(counts: Sequence[tuple[int, int]]) -> str:
    sentences = sum(count for count, _ in counts)
    return f"{sum(unread for _, unread in counts) / sentences:.1%} of {sentences:,}" if sentences else "\u2013"
