"""Section: how many cases are scored, why others are not, and how much of the reports is understood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxr_rewards.evaluation.report.blocks import Block, Cell, Column, Group, Paragraph, Section, Table
from cxr_rewards.evaluation.report.systems import NO_TEXTS, Systems
from cxr_rewards.findings import reading


def coverage(systems: Systems) -> Section:
    """Return how many cases are scored, why others are not, and how much of the reports is understood."""
    n = len(systems.ids)
    scored = {label: np.isfinite(systems.values(label)).sum(axis=1) for label in systems.metrics}
    blocks: list[Block] = [
        Table(
            caption=f"Scored cases, of {n:,}",
            columns=(Column("metric", "text"), *(Column(name.text) for name in systems.names)),
            groups=(Group(rows=tuple((label, *map("{:,}".format, counts)) for label, counts in scored.items())),),
        )
    ]
    kinds = sorted({kind for system in systems.joined.systems for kind in system.kinds})
    if kinds:
        rows = tuple((kind, *(f"{s.kinds.get(kind, 0):,}" for s in systems.joined.systems)) for kind in kinds)
        blocks.append(
            Table(
                caption="Unscored rows of each file, by kind of failure",
                columns=(Column("kind", "text"), *(Column(name.text) for name in systems.names)),
                groups=(Group(rows=rows),),
                note="A row with several kinds counts for each.",
            )
        )
    elif all((counts == n).all() for counts in scored.values()):
        blocks.append(Paragraph("Every case is scored."))
    else:
        blocks.append(Paragraph("No file says why a row is unscored."))
    blocks.append(_unread(systems))
    return Section(anchor="coverage", title="Coverage", blocks=tuple(blocks))


def _unread(systems: Systems) -> Block:
    rows: list[tuple[Cell, ...]] = []
    for i, name in enumerate(systems.names):
        if systems.has_texts(i):
            pairs = [systems.texts(i, case) for case in range(len(systems.ids))]
            rows.append((name, *(_unread_share([pair[side] for pair in pairs]) for side in (0, 1))))
    if not rows:
        return NO_TEXTS
    return Table(
        caption="Sentences about the image of which the rule-based reader reads nothing",
        columns=(Column("system", "text"), Column("candidates"), Column("references")),
        groups=(Group(rows=tuple(rows)),),
        note="What is not read counts as normal. Reports by people have 1 to 2%; far above that, scores of findings "
        "say less.",
    )


def _unread_share(texts: Sequence[str]) -> str:
    read = [reading(text) for text in texts]
    sentences = sum(one.sentences for one in read)
    return f"{sum(len(one.unread) for one in read) / sentences:.1%} of {sentences:,}" if sentences else "\u2013"
