"""The page of a training run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import inf
from statistics import fmean

from cxr_rewards import __version__
from cxr_rewards.evaluation.report.blocks import (
    Bar,
    Block,
    CaseView,
    Cell,
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
    Table,
    axis_of,
    number,
)
from cxr_rewards.evaluation.report.cases import marked_pair
from cxr_rewards.evaluation.training.rollouts import Rollout
from cxr_rewards.evaluation.training.steps import Step
from cxr_rewards.explain.looks import LOOKS

_POINTS = 150
"""Points of a curve; of more steps, neighbours are averaged."""
_ENDS = 10
"""Steps at the start and at the end whose means are told, and steps of a smooth curve."""
_SHOWN = 20
_OURS, _THEIRS = Name("candidates", 0), Name("references", 1)
_REPORTS = {
    "findings_precision": "Precision of the findings",
    "findings_recall": "Recall of the findings",
    "normal_rate": "Reports without an abnormal finding",
    "contradiction_rate": "Reports that contradict themselves",
    "hedge_rate": "Findings called likely or possible",
    "old_rate": "Findings called old or calcified",
    "unread_rate": "Sentences that are not understood",
    "strange_rate": "Words that are none of a report",
    "odd_pair_rate": "Pairs of words that no reference has, more than in references",
    "repetition_rate": "Words that repeat themselves",
    "same_text_rate": "Studies with the commonest text",
    "copy_prior_rate": "Text copied from a prior",
    "length_ratio": "Length by that of the references",
    "zero_variance_groups": "Groups with equal rewards",
}
_SIGN_OF = {
    "normal": "normal_rate",
    "one_text": "same_text_rate",
    "length": "length_ratio",
    "copy": "copy_prior_rate",
    "hedge": "hedge_rate",
    "old": "old_rate",
    "contradiction": "contradiction_rate",
    "unread": "unread_rate",
    "strange": "strange_rate",
    "lost_words": "odd_pair_rate",
    "repetition": "repetition_rate",
    "variance": "zero_variance_groups",
    "unscored": "reward/unscored",
    "falling/precision": "findings_precision",
    "falling/recall": "findings_recall",
}
"""The number that each sign is seen in; `falling/<component>` is seen in that component's mean."""


def training_page(
    steps: Sequence[Step],
    rollouts: Sequence[Rollout] = (),
    *,
    files: Sequence[str] = (),
    problems: Sequence[str] = (),
    title: str = "",
) -> Page:
    """Return the page of a run.

    Args:
        steps: in order, at least one.
        rollouts: to be shown with their findings marked.
        files: that were read.
        problems: lines that were left out.
        title: of the page.
    """
    total = int(sum(step.metrics.get("rollouts", 0.0) for step in steps))
    about = f"{len(steps):,} steps, {steps[0].number:,} to {steps[-1].number:,}"
    if len(steps) == 1:
        about = f"Step {steps[0].number:,}"
    sections = [
        Section(anchor="warnings", title="Warnings", blocks=tuple(_warnings(steps))),
        Section(anchor="reward", title="Reward", blocks=(_CURVES, _plots(steps, _REWARD))),
        Section(anchor="components", title="Components", blocks=(_plots(steps, _components(steps)),)),
        Section(anchor="reports", title="Reports", blocks=tuple(_reports(steps))),
        Section(anchor="cost", title="Time and cost", blocks=tuple(_cost(steps))),
        Section(anchor="samples", title="Samples", blocks=tuple(_samples(rollouts))),
        Section(anchor="files", title="Files", blocks=tuple(_files(files, problems))),
    ]
    return Page(
        title=title or "Training run",
        about=f"{about}, {total:,} rollouts." if total else f"{about}.",
        sections=tuple(sections),
        generator=f"cxr_rewards {__version__}",
    )


_CURVES = Paragraph(f"Thick lines: means of {_ENDS} steps up to each; thin lines: each step.")
_REWARD = {
    "reward/mean": "Reward",
    "reward/above_constant": "Reward above that of a constant report",
    "reward/std": "Spread of the reward",
    "reward/unscored": "Unscored rollouts",
}


def _table(
    caption: str, names: tuple[str, ...], rows: Sequence[tuple[Cell, ...]], note: str = "", texts: int = 1
) -> Table:
    columns = tuple(Column(name, "text" if i < texts else "number") for i, name in enumerate(names))
    return Table(caption=caption, columns=columns, groups=(Group(rows=tuple(rows)),), note=note)


# ---------------------------------------------------------------- warnings


def began(steps: Sequence[Step]) -> dict[str, int]:
    """Return the step at which each sign showed first."""
    first: dict[str, int] = {}
    for step in steps:
        for name in step.signs:
            first.setdefault(name, step.number)
    return first


def _warnings(steps: Sequence[Step]) -> Iterator[Block]:
    first = began(steps)
    if not first:
        yield Paragraph("No sign of a policy that games its reward was seen.")
    else:
        rows = []
        for name, step in sorted(first.items(), key=lambda pair: pair[1]):
            having = [one for one in steps if name in one.signs]
            rows.append((name, having[-1].signs[name], f"{step:,}", f"{having[-1].number:,}", f"{len(having):,}"))
        yield _table(
            "Signs of a policy that games its reward",
            ("sign", "as last seen", "from step", "to step", "steps"),
            rows,
            "In the curves below a dashed line marks where a sign began.",
            texts=2,
        )
    yield _table(
        f"First and last {_ENDS} steps",
        ("number", "first", "last", "change"),
        list(_changes(steps)),
    )


def _changes(steps: Sequence[Step]) -> Iterator[tuple[Cell, ...]]:
    shown = {**_REWARD, **_components(steps), **_REPORTS}
    for key, title in shown.items():
        ends = _ends(steps, key)
        if ends is not None:
            first, last = ends
            yield (title, number(first), number(last), number(last - first))


def _ends(steps: Sequence[Step], key: str) -> tuple[float, float] | None:
    values = [step.metrics[key] for step in steps if key in step.metrics]
    if not values:
        return None
    first, last = values[:_ENDS], values[-_ENDS:]
    return fmean(first), fmean(last)


# ---------------------------------------------------------------- curves


def _components(steps: Sequence[Step]) -> dict[str, str]:
    keys = dict.fromkeys(key for step in steps for key in step.metrics)
    return {key: key.removesuffix("/mean") for key in keys if key.endswith("/mean") and key != "reward/mean"}


def _reports(steps: Sequence[Step]) -> Iterator[Block]:
    yield Legend(systems=(_OURS, _THEIRS))
    yield _plots(steps, _REPORTS)


def _plots(steps: Sequence[Step], titles: dict[str, str]) -> Plots:
    first = began(steps)
    return Plots(tuple(plot for key, title in titles.items() if (plot := _curve(steps, key, title, first)) is not None))


def _curve(steps: Sequence[Step], key: str, title: str, first: dict[str, int]) -> Plot | None:
    ends = _ends(steps, key)
    if ends is None:
        return None
    curves = [
        (css, _points(steps, name, width))
        for css, name, width in (
            ("raw s0", key, 1),
            ("line s1", f"reference_{key}", _ENDS),
            ("line s0", key, _ENDS),
        )
    ]
    ends_of_run = (steps[0].number, steps[-1].number)
    x = axis_of(ends_of_run, pad=True, bounds=ends_of_run if len(steps) > 1 else (-inf, inf))
    low = 0.0 if all(value >= 0 for _, points in curves for _, value in points) else -inf
    y = axis_of([value for _, points in curves for _, value in points], pad=True, bounds=(low, inf))
    paths = [
        Path(css, _path([(x.place(at), 100 - y.place(value)) for at, value in points]))
        for css, points in curves
        if points
    ]
    marks = [step for name, step in first.items() if _number_of(name) == key]
    paths += [Path("zero", f"M{x.place(step):g} 0V100") for step in marks]
    seen = f"; a warning from step {marks[0]:,} on" if marks else ""
    return Plot(
        title=title,
        says=f"{title}: {number(ends[0])} in the first {_ENDS} steps, {number(ends[1])} in the last{seen}.",
        x=x,
        y=y,
        x_label="step",
        y_label="",
        paths=tuple(paths),
    )


def _number_of(sign: str) -> str:
    kind, _, label = sign.partition("/")
    return _SIGN_OF.get(sign, f"{label}/mean" if kind == "falling" else "")


def _points(steps: Sequence[Step], key: str, width: int) -> list[tuple[float, float]]:
    """Return the curve of a number as (step, value).

    Args:
        steps: of the run.
        key: of the number.
        width: steps up to each one that are averaged.
    """
    known = [(step.number, step.metrics[key]) for step in steps if key in step.metrics]
    values = [value for _, value in known]
    means = [fmean(values[max(0, i + 1 - width) : i + 1]) for i in range(len(values))]
    size = -(-len(known) // _POINTS)
    parts = [range(i, min(i + size, len(known))) for i in range(0, len(known), size or 1)]
    return [(fmean(known[i][0] for i in part), fmean(means[i] for i in part)) for part in parts]


def _path(points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:
        return f"M{points[0][0]:g} {points[0][1]:g}h1"
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


# ---------------------------------------------------------------- time and cost


def _cost(steps: Sequence[Step]) -> Iterator[Block]:
    totals: Counter[str] = Counter()
    for step in steps:
        totals.update(
            {key: value for key, value in step.metrics.items() if key.startswith(("seconds", "judge/", "cache/"))}
        )
    yield _plots(steps, {"seconds": "Seconds of scoring a step", "share_of_step": "Share of a step that scoring takes"})
    spent = {key.removeprefix("seconds/"): value for key, value in totals.items() if key.startswith("seconds/")}
    whole = sum(spent.values())
    if whole > 0:
        rows: list[tuple[Cell, ...]] = [
            (name, f"{value:,.1f}", Bar(value / whole, f"{value / whole:.0%}", 0))
            for name, value in sorted(spent.items(), key=lambda pair: -pair[1])
        ]
        yield Table(
            caption="Time by feature and component",
            columns=(Column("of", "text"), Column("seconds"), Column("share", "text")),
            groups=(Group(rows=tuple(rows)),),
            note="Judges run beside the others, so these may add up to more than the time of scoring.",
        )
    counts = [
        ("Judges' calls", f"{totals['judge/calls']:,.0f}"),
        ("Judges' retries", f"{totals['judge/retries']:,.0f}"),
        ("Judges' cost, USD", f"{totals['judge/usd']:,.2f}"),
        ("Values from the cache", f"{totals['cache/hits']:,.0f}"),
        ("Values computed", f"{totals['cache/misses']:,.0f}"),
    ]
    keys = ("judge/calls", "judge/retries", "judge/usd", "cache/hits", "cache/misses")
    rows_of_counts = [row for row, key in zip(counts, keys, strict=True) if key in totals]
    if rows_of_counts:
        yield _table("Judges and cache", ("what", "total"), rows_of_counts)
    unscored: Counter[str] = Counter()
    for step in steps:
        unscored.update(step.unscored)
    if unscored:
        rows_of_reasons = [(reason, f"{count:,}") for reason, count in unscored.most_common(_SHOWN)]
        yield _table("Unscored rollouts", ("reason", "rollouts"), rows_of_reasons)


# ---------------------------------------------------------------- samples, files


def _samples(rollouts: Sequence[Rollout]) -> Iterator[Block]:
    if not rollouts:
        yield Paragraph("No rollouts were given: write them with rollout_log=, and name the file with --rollouts.")
        return
    yield Legend(marks=tuple((kind, look.sign, look.meaning) for kind, look in LOOKS.items()))
    for rollout in rollouts:
        labels = list(rollout.components)
        scores = _table(
            "Scores",
            ("reward", *labels),
            [(number(rollout.reward), *(number(rollout.components[label]) for label in labels))],
            rollout.reason,
        )
        yield CaseView(
            case_id=f"{rollout.group}, step {rollout.step:,}",
            why=(f"{rollout.moment} of the run",),
            scores=scores,
            pairs=(marked_pair(Name("the policy", 0), rollout.candidate, rollout.reference),),
        )


def _files(files: Sequence[str], problems: Sequence[str]) -> Iterator[Block]:
    if files:
        yield _table("Files", ("file",), [(name,) for name in files])
    if problems:
        shown = [(problem,) for problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            shown.append((f"{len(problems) - _SHOWN:,} more",))
        yield _table("Lines that were left out", ("line",), shown)
