"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from cxr_rewards.cli.console import note


def report(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="SCORES...", help="Files of scores, one for each system."),
    ],
    out: Annotated[Path, typer.Option("--output", "-o", help="The page to write, .html.")],
    name: Annotated[
        list[str] | None, typer.Option(help="Name of a system, instead of its file's; repeat it, once for each file.")
    ] = None,
    on: Annotated[str | None, typer.Option(help="Column of case ids, by which files are joined.")] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(help="Show only this column; repeat it for several."),
    ] = None,
    lower_is_better: Annotated[
        list[str] | None, typer.Option(help="A column of `--metrics` that is better if lower; repeat it for several.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Column that marks cases as alike, such as patient_id: intervals heed it.")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Let files differ in this: ids (common cases are shown), references, signatures."),
    ] = None,
    cases: Annotated[int, typer.Option(min=0, max=100, help="Worst cases a system, and most different ones.")] = 5,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap's random numbers.")] = 12345,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is not such a page.")] = False,
) -> None:
    """Write a page about one system or several: scores, plots, worst cases, coverage. One HTML file, no network."""
    from cxr_rewards.errors import InputError, unknown_name
    from cxr_rewards.evaluation.report import build_report, check_page, write_page
    from cxr_rewards.evaluation.report.systems import Systems
    from cxr_rewards.evaluation.scores import Difference, join_scores, load_scores

    if name and len(name) != len(files):
        raise InputError(f"{len(name)} --name for {len(files)} files; give one for each file, in their order")
    for given in allow or ():
        if given not in get_args(Difference):
            raise InputError(unknown_name("--allow", "difference", given, get_args(Difference)))
    check_page(out, files, force=force)
    scores = [
        load_scores(path, name=given, on=on, metrics=metrics or (), lower_is_better=lower_is_better or ())
        for path, given in zip(files, name or [""] * len(files), strict=True)
    ]
    if len(scores) == 1:
        systems = Systems.of_one(scores[0])
    else:
        systems = Systems(join_scores(scores, allow=cast("list[Difference]", allow or [])))
    for line in systems.joined.notes:
        note(line)
    write_page(out, build_report(systems, title=title, cluster=cluster, most=cases, seed=seed))
    note(f"report -> {out}")
