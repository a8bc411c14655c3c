"""The command `training-report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxr_rewards.cli.console import note, working


def training_report(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="DIAGNOSTICS...", help="Files that `Diagnostics` wrote, one for each process."),
    ],
    out: Annotated[Path, typer.Option("--output", "-o", help="The page to write, .html.")],
    rollouts: Annotated[
        list[Path] | None,
        typer.Option(help="A file that `RolloutLog` wrote, to show reports of; repeat it for several."),
    ] = None,
    samples: Annotated[int, typer.Option(min=0, max=50, help="Reports to show of the start, middle and end each.")] = 3,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is not such a page.")] = False,
) -> None:
    """Write a page about a training run: one HTML file without scripts or loads.

    Curves of the reward, its components and the reports, warnings with the step at which they began, time and cost, and
    reports of the start, the middle and the end with their findings marked. Lines that cannot be read are left out and
    named.
    """
    from cxr_rewards.evaluation.report.write import check_page, write_page
    from cxr_rewards.evaluation.training import read_rollouts, read_steps, training_page

    problems: list[str] = []
    check_page(out, [*files, *(rollouts or ())], force=force)
    with working("reading the run"):
        steps = read_steps(files, problems)
        shown = read_rollouts(rollouts or (), samples, problems)
        names = [str(path) for path in (*files, *(rollouts or ()))]
        page = training_page(steps, shown, files=names, problems=problems, title=title)
    for problem in problems[:_SHOWN]:
        note(f"left out: {problem}")
    if len(problems) > _SHOWN:
        note(f"left out: {len(problems) - _SHOWN:,} more lines")
    write_page(out, page)
    note(f"training report -> {out}")


_SHOWN = 5
