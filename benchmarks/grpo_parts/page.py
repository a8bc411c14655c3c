"""The result as one HTML page, with the curves of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from statistics import fmean
from typing import Any

from cxr_rewards.evaluation.report.blocks import (
    LOOKS,
    Block,
    Column,
    Group,
    Legend,
    Name,
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
)  # fmt: skip
from grpo_parts.results import MAIN, READER, RULES
from grpo_parts.tables import SHOWN

_SMOOTH = 5
"""Steps of which a point of a curve is the mean."""
_CURVES = {
    "above_constant": ("Reward above a normal report", "each arm's own reward, less that of one normal report"),
    "reward": ("Reward", "each arm's own reward"),
    "words": ("Length", "words a report"),
}


def page_of(result: Mapping[str, Any]) -> Page:
    """Return the page about a run."""
    studies = result["studies"]
    return Page(
        title="What a reward teaches",
        about=f"{studies['held_out']:,} held-out studies, {studies['held_out_abnormal']:,} of them abnormal. "
        "Intervals: 95%, bootstrap over studies for these policies; by seed: Student's.",
        sections=tuple(_sections(result)),
    )


def _sections(result: Mapping[str, Any]) -> Iterator[Section]:
    arms = list(dict.fromkeys(one["unit"]["arm"] for one in result["training"].values()))
    looks = {arm: i % LOOKS for i, arm in enumerate(arms)}
    legend = Legend(systems=tuple(Name(arm, look) for arm, look in looks.items()))
    plots = [plot for key in _CURVES if (plot := _curve(result, key, looks))]
    if (loss := _loss(result)) is not None:
        plots.append(loss)
    yield Section(anchor="training", title="Training", blocks=(legend, Plots(tuple(plots))))
    for how, policies in result["policies"].items():
        yield Section(anchor=how, title=f"Policies, {how}", blocks=tuple(_policies(policies, looks)))
        yield Section(
            anchor=f"{how}-differences", title=f"Differences, {how}", blocks=tuple(_differences(result, how, looks))
        )
    yield Section(anchor="texts", title="Texts", blocks=tuple(_texts(result)))


def _curve(result: Mapping[str, Any], key: str, looks: Mapping[str, int]) -> Plot | None:
    lines = [
        (one["unit"]["arm"], [step[key] for step in one["curve"] if isfinite(step[key])])
        for one in result["training"].values()
        if "curve" in one
    ]
    smooth = [(arm, _means(values)) for arm, values in lines if values]
    if not smooth:
        return None
    x = axis_of([0.0, float(max(len(values) for _, values in smooth))])
    y = axis_of([value for _, values in smooth for _, value in values], ticks=4)
    title, label = _CURVES[key]
    ends = "; ".join(f"{arm}: {number(values[0][1])} to {number(values[-1][1])}" for arm, values in smooth)
    paths = tuple(Path(f"line s{looks[arm]}", _line(values, x, y)) for arm, values in smooth)
    return Plot(title=title, says=f"{title}. {ends}.", x=x, y=y, x_label="step", y_label=label, paths=paths)


def _loss(result: Mapping[str, Any]) -> Plot | None:
    start = next((one for one in result["training"].values() if one.get("validation_loss")), None)
    if start is None:
        return None
    values = [(float(step), loss) for step, loss in start["validation_loss"]]
    x, y = axis_of([0.0, values[-1][0]]), axis_of([loss for _, loss in values], ticks=4)
    title = "Supervised start: loss of validation studies"
    says = f"{title}. {number(values[0][1])} to {number(values[-1][1])}."
    return Plot(
        title=title, says=says, x=x, y=y, x_label="step", y_label="loss", paths=(Path("line s0", _line(values, x, y)),)
    )


def _means(values: Sequence[float]) -> list[tuple[float, float]]:
    ends = range(1, len(values) + 1)
    return [(float(end), fmean(values[max(0, end - _SMOOTH) : end])) for end in ends]


def _line(values: Sequence[tuple[float, float]], x: Any, y: Any) -> str:
    return " ".join(f"{'L' if i else 'M'}{x.place(a):.5g} {100 - y.place(b):.5g}" for i, (a, b) in enumerate(values))


def _look(name: str, looks: Mapping[str, int]) -> int:
    return looks.get(name.rpartition("-")[0] or name, looks.get(name, LOOKS - 1))


def _policies(policies: Mapping[str, Any], looks: Mapping[str, int]) -> Iterator[Block]:
    groups = []
    for measure, words in SHOWN.items():
        found = {name: one[measure] for name, one in policies.items() if measure in one}
        axis = axis_of([end for one in found.values() for end in one.values()], pad=True)
        rows = tuple(
            (
                Name(name, _look(name, looks)),
                number(one["value"]),
                Strip(axis, _look(name, looks), one["value"], one["low"], one["high"]),
                interval(one["low"], one["high"]),
            )
            for name, one in found.items()
        )
        groups.append(Group(head=words, axis=axis, rows=rows))
    columns = (Column("policy", "text"), Column("value"), Column("", "plot"), Column("95% interval", "text"))
    yield Table(caption="Each policy, by arm and seed", columns=columns, groups=tuple(groups))


def _differences(result: Mapping[str, Any], how: str, looks: Mapping[str, int]) -> Iterator[Block]:
    found = [one for one in result["differences"] if one["how"] == how]
    columns = (
        Column("arm", "text"), Column("less", "text"), Column("difference"), Column("", "plot"),
        Column("95%, by study", "text"), Column("each seed", "text"), Column("95%, by seed", "text"),
    )  # fmt: skip
    groups = []
    for measure in (
        MAIN,
        RULES,
        READER,
        *dict.fromkeys(one["measure"] for one in found if one["measure"] not in (MAIN, RULES, READER)),
    ):
        mine = [one for one in found if one["measure"] == measure]
        axis = axis_of([0.0, *(end for one in mine for end in (one["value"], one["low"], one["high"]))], pad=True)
        rows = tuple(
            (
                Name(one["first"], _look(one["first"], looks)),
                one["second"],
                number(one["value"]),
                Strip(axis, _look(one["first"], looks), one["value"], one["low"], one["high"], zero=0.0),
                interval(one["low"], one["high"]),
                ", ".join(map(number, one["by_seed"])),
                interval(one["seed_low"], one["seed_high"]),
            )
            for one in mine
        )
        if rows:
            groups.append(Group(head=SHOWN.get(measure, measure), axis=axis, rows=rows))
    yield Table(
        caption="Each arm less the start and the controls",
        columns=columns,
        groups=tuple(groups),
        note="An interval by study holds for these policies alone; other seeds give other policies. With one seed "
        "there is no interval by seed, and with two or three it is wide.",
    )


def _texts(result: Mapping[str, Any]) -> Iterator[Block]:
    for sample in result["samples"]:
        yield Paragraph(sample["prompt"])
        rows = tuple((name, text) for name, text in sample.items() if name != "prompt")
        yield Table(
            caption="What was written",
            columns=(Column("by", "text"), Column("text", "text")),
            groups=(Group(rows=rows),),
        )
    for arm, said in result["most_said"].items():
        rows = tuple((sentence, f"{count:,}") for sentence, count in said)
        columns = (Column("sentence", "text"), Column("reports"))
        yield Table(caption=f"Said most often: {arm}", columns=columns, groups=(Group(rows=rows),))
