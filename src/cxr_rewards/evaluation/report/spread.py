"""Sections: the distribution of each metric, and the score against the length."""

from __future__ import annotations

from cxr_rewards.evaluation.report.blocks import Block, Legend, Paragraph, Plots, Section, direction, number
from cxr_rewards.evaluation.report.plots import FEWEST, commonest, density, distribution
from cxr_rewards.evaluation.report.systems import NO_TEXTS, Systems

_ALIKE = 0.99
"""Share of cases with one score from which on a histogram says nothing."""


def distributions(systems: Systems) -> Section:
    """Return a histogram of each metric whose scores are not all the same."""
    plots, alike = [], []
    for label, metric in systems.metrics.items():
        values = systems.values(label)
        most = [commonest(row) for row in values]
        if all(found is None or found[1] >= _ALIKE for found in most):
            told = ", ".join("no case" if found is None else f"{number(found[0])} in {found[1]:.1%}" for found in most)
            alike.append(f"{label} ({told})")
        else:
            about = f"{label} ({direction(metric.higher_is_better)})"
            plots.append(distribution(label, about, metric.bounds, list(zip(systems.names, values, strict=True))))
    blocks: list[Block] = []
    if plots:
        about = "The outermost bins hold the few cases beyond them, too."
        blocks += [Legend(systems=systems.names), Paragraph(about), Plots(tuple(plots))]
    if alike:
        blocks.append(Paragraph(f"Not drawn, because nearly all cases have one score: {'; '.join(alike)}."))
    return Section(anchor="distributions", title="Distributions", blocks=tuple(blocks))


def length(systems: Systems) -> Section:
    """Return the main metric against the length of the candidate."""
    metric = systems.main_metric
    values, bounds = systems.values(metric), systems.metrics[metric].bounds
    plots = [
        density(
            f"{name.text}: {metric} by length",
            systems.words(i),
            values[i],
            labels=("words in the candidate", metric),
            bounds=bounds,
            look=name.look,
        )
        for i, name in enumerate(systems.names)
        if systems.joined.systems[i].candidate_column
    ]
    if not plots:
        return Section(anchor="length", title="Score and length", blocks=(NO_TEXTS,))
    about = (
        "The stronger the colour, the more cases lie there. The line joins the medians of columns with at least "
        f"{FEWEST} cases. If it climbs, longer reports score better."
    )
    return Section(anchor="length", title="Score and length", blocks=(Paragraph(about), Plots(tuple(plots))))
