"""The calibration as parts of an HTML page; `cxr_rewards.evaluation.report` draws and writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxr_rewards.evaluation.calibration.summary import NUMBERS, lines_of
from cxr_rewards.evaluation.report.blocks import (
    Axis,
    Cell,
    Column,
    Group,
    Page,
    Paragraph,
    Path,
    Plot,
    Plots,
    Section,
    Strip,
    Table,
    axis_of,
    interval,
    number,
)

if TYPE_CHECKING:
    from cxr_rewards.evaluation.calibration.result import Calibration, Weight

_BEFORE, _AFTER, _OTHER = 1, 0, 2


def page_of(result: Calibration) -> Page:
    """Return the page of a calibration."""
    about = (
        f"{result.source}: {result.cases:,} cases, {result.candidates:,} candidates, {result.pairs:,} pairs in order, "
        f"raters {', '.join(result.names)}. {result.choice.method}, pull {result.choice.pull:g}, seed {result.seed}, "
        f"{result.date}."
    )
    sections = [_agreement(result), _weights(result)]
    if len(result.scale) > 1:
        sections.append(_scale(result.scale))
    if result.left_out:
        rows = tuple((reason, f"{count:,}") for reason, count in result.left_out.items())
        columns = (Column("reason", "text"), Column("candidates"))
        table = Table(caption="Candidates left out", columns=columns, groups=(Group(rows=rows),))
        sections.append(Section(anchor="left-out", title="Left out", blocks=(table,)))
    return Page(title=f"Calibration of {result.started_from}", about=about, sections=tuple(sections))


def _agreement(result: Calibration) -> Section:
    warnings = [Paragraph(text, warning=True) for text in result.warnings]
    groups = []
    for key, name in NUMBERS.items():
        figures = [(what, getattr(agreement, key)) for what, agreement in lines_of(result)]
        known = [(what, figure) for what, figure in figures if figure.value is not None]
        if not known:
            continue
        axis = axis_of([0.0, 1.0, *(end for _, figure in known for end in (figure.low, figure.high))])
        rows: list[tuple[Cell, ...]] = []
        for what, figure in known:
            look = _AFTER if what.startswith("calibrated") else _BEFORE if what.endswith("as it was") else _OTHER
            strip = Strip(axis, look, figure.value, figure.low, figure.high, zero=0.0)
            rows.append((what, number(figure.value), interval(figure.low, figure.high), strip, f"{figure.n:,}"))
        groups.append(Group(head=name, axis=axis, rows=tuple(rows)))
    columns = (Column("", "text"), Column("value"), Column("95% interval"), Column("", "plot"), Column("n"))
    note = (
        "Unseen: in nested cross-validation. By the other raters: each rater against the mean of the others, averaged; "
        "by the same: the reward against these means."
    )
    table = Table(caption="Agreement with the raters", columns=columns, groups=tuple(groups), note=note)
    return Section(anchor="agreement", title="Agreement", blocks=(*warnings, table))


def _weights(result: Calibration) -> Section:
    ends = [value for one in result.weights for value in (0.0, one.before, one.after, one.low, one.high)]
    axis = axis_of(ends)
    rows = tuple(_weight(one, axis) for one in result.weights)
    columns = (
        Column("component", "text"),
        Column("before"),
        Column("after"),
        Column("by the data alone"),
        Column("after", "plot", axis),
        Column("kept", "text"),
    )
    note = "By the data alone: the 95% interval of the weight without a pull to the weights at the start."
    table = Table(caption="Weights", columns=columns, groups=(Group(rows=rows),), note=note)
    return Section(anchor="weights", title="Weights", blocks=(table,))


def _weight(one: Weight, axis: Axis) -> tuple[Cell, ...]:
    strip = Strip(axis, _BEFORE if one.kept else _AFTER, one.after, one.low, one.high, zero=0.0)
    alone = "" if one.kept else interval(one.low, one.high)
    return (one.label, number(one.before), number(one.after), alone, strip, one.kept)


def _scale(scale: tuple[tuple[float, float], ...]) -> Section:
    x, y = axis_of([reward for reward, _ in scale]), axis_of([rating for _, rating in scale])
    points = [(x.place(reward), 100 - y.place(rating)) for reward, rating in scale]
    steps = "".join(f"H{a:g}V{b:g}" for a, b in points[1:])
    says = "; ".join(f"from {reward:g}: {rating:.2f}" for reward, rating in scale)
    plot = Plot(
        title="Mean rating by the reward",
        says=f"Isotonic regression on unseen cases, {says}.",
        x=x,
        y=y,
        x_label="reward",
        y_label="mean rating",
        paths=(Path(f"line s{_AFTER}", f"M{points[0][0]:g} {points[0][1]:g}{steps}H100"),),
    )
    return Section(anchor="scale", title="Scale", blocks=(Plots((plot,)),))
