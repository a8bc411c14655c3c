"""A calibration in words: the comments of its TOML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cxr_rewards.evaluation.figures import Figure

if TYPE_CHECKING:
    from cxr_rewards.evaluation.calibration.agreement import Agreement
    from cxr_rewards.evaluation.calibration.result import Calibration

NUMBERS = {
    "kendall_tau_b": "Kendall's tau-b",
    "spearman": "Spearman's rho",
    "pairwise_accuracy": "pairwise accuracy",
}
_WIDTH = 110


def describe(figure: Figure, *, sign: bool = False) -> str:
    """Return a figure with its interval as text.

    Example:
        >>> describe(Figure(50, 0.5, 0.25, 0.75)), describe(Figure(0, None))
        ('0.500 [0.250, 0.750]', '-')
    """
    if figure.value is None:
        return "-"
    form = "+.3f" if sign else ".3f"
    interval = "" if figure.low is None else f" [{figure.low:{form}}, {figure.high:{form}}]"
    return f"{figure.value:{form}}{interval}"


def lines_of(result: Calibration) -> list[tuple[str, Agreement]]:
    """Return the agreements to show, with what each is."""
    listed = [
        (f"{result.started_from}, as it was", result.before),
        ("calibrated, unseen cases", result.after),
        ("gain", result.gain),
        ("calibrated, its own cases", result.fitted),
    ]
    if result.raters is not None and result.like_rater is not None:
        listed += [
            ("a rater, by the other raters", result.raters),
            ("calibrated, by the same", result.like_rater),
        ]
    return listed


def comments_of(result: Calibration) -> list[str]:
    """Return the lines of the comment above the TOML."""
    return [part for line in _comments(result) for part in textwrap.wrap(line, _WIDTH, subsequent_indent="  ") or [""]]


def _comments(result: Calibration) -> Iterator[str]:
    names = ", ".join(result.names)
    yield f"Calibrated by cxr_rewards {result.version} on {result.date}, seed {result.seed}."
    yield (
        f"Data: {result.source}: {result.cases} cases, {result.candidates} candidates, {result.pairs} pairs in order, "
        f"raters: {names}."
    )
    for reason, count in result.left_out.items():
        yield f"Left out: {count} candidates ({reason})."
    yield f"Method: {result.choice.method}, pull to the weights of {result.started_from}: {result.choice.pull:g}."
    yield ""
    yield (
        "Agreement with the raters, with 95% intervals by the bootstrap of cases. Unseen: in nested cross-validation. "
        "By the other raters: each rater against the mean of the others, averaged; by the same: the reward against "
        "these means."
    )
    for key, number in NUMBERS.items():
        for what, agreement in lines_of(result):
            figure: Figure = getattr(agreement, key)
            if figure.value is not None:
                yield f"{number}: {what}: {describe(figure, sign=what == 'gain')}"
    if result.scale:
        levels = ", ".join(f"{at:g}: {rating:.2f}" for at, rating in result.scale)
        yield ""
        yield f"Mean rating from a reward on (isotonic regression, on unseen cases): {levels}"
    if result.quiet is not None:
        quiet = result.quiet
        yield ""
        yield (
            f"The best constant text earns {quiet.constant:.3f} for {quiet.references} references that call for "
            f"action, a report without one of their findings {quiet.honest:.3f}."
        )
    for warning in result.warnings:
        yield f"WARNING: {warning}"
