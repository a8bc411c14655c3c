"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from cxr_rewards.cli.console import note, working
from cxr_rewards.cli.options import (
    ConfigOption,
    LowerIsBetterOption,
    MetricsOption,
    NamesOption,
    OnOption,
    PriorColumn,
)


def report(
    files: Annotated[list[Path], typer.Argument(metavar="SCORES...", help="Files of scores, one for each system.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="The page to write, .html.")],
    name: NamesOption = None,
    on: OnOption = None,
    metrics: MetricsOption = None,
    lower_is_better: LowerIsBetterOption = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column of subgroups; ages in bands; also `change` and `encounter`. Repeat it for several."),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Column of patients; by default found. 'none': all cases are independent.")
    ] = None,
    prior_col: PriorColumn = None,
    order_by: Annotated[
        str, typer.Option(help="Column of dates or numbers that orders a patient's studies, for encounters.")
    ] = "",
    chexbert: Annotated[
        bool, typer.Option("--chexbert", help="Label with CheXbert's weights if the details lack its labels.")
    ] = False,
    preset: Annotated[
        str, typer.Option("--preset", "-p", help="Preset that made the scores; by default that of the files' record.")
    ] = "",
    config: ConfigOption = None,
    baseline: Annotated[str, typer.Option(help="Compare each system with this one only. Default: all pairs.")] = "",
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Let files differ in this: ids (common cases are shown), references, signatures."),
    ] = None,
    cases: Annotated[int, typer.Option(min=0, max=100, help="Worst cases a system, and most different ones.")] = 5,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "",
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the bootstrap.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of its random numbers.")] = 12345,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is not such a page.")] = False,
) -> None:
    """Write a page about one system or several: one HTML file without scripts or loads.

    Scores with intervals, differences, distributions, conditions, kinds of change, groups, the worst and the most
    different cases with their findings marked, coverage, and what made the scores.
    """
    from cxr_rewards.errors import InputError, unknown_name
    from cxr_rewards.evaluation.joining import Difference
    from cxr_rewards.evaluation.report import ReportOptions, build_report, check_page, write_page
    from cxr_rewards.evaluation.scores import load_scores

    if name and len(name) != len(files):
        raise InputError(f"{len(name)} --name for {len(files)} files; give one for each file, in their order")
    for given in allow or ():
        if given not in get_args(Difference):
            raise InputError(unknown_name("--allow", "difference", given, get_args(Difference)))
    if preset and config is not None:
        raise InputError(f"give either --preset {preset} or --config {config}, not both")
    check_page(out, files, force=force)
    options = ReportOptions(
        title=title,
        cluster="" if cluster == "none" else cluster,
        by=tuple(by or ()),
        priors=tuple(prior_col or ()),
        order_by=order_by,
        chexbert=chexbert,
        reward=preset if config is None else str(config),
        baseline=baseline,
        allow=cast("tuple[Difference, ...]", tuple(allow or ())),
        cases=cases,
        resamples=resamples,
        seed=seed,
    )
    with working("reading scores") as tell:
        scores = [
            load_scores(
                path,
                name=given,
                on="" if on == "none" else on,
                metrics=_listed(metrics),
                lower_is_better=_listed(lower_is_better),
            )
            for path, given in zip(files, name or [""] * len(files), strict=True)
        ]
        page = build_report(scores, options, tell=tell)
    write_page(out, page)
    note(f"report -> {out}")


def _listed(given: list[str] | None) -> list[str]:
    return [name for names in given or () for part in names.split(",") if (name := part.strip())]
