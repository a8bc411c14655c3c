"""The command `evaluate`: UniRG-CXR's tables of a file of scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr_rewards.cli.console import console, note, shown
from cxr_rewards.cli.options import (
    AllowCodeOption,
    CandidateColumn,
    ConfigOption,
    JsonOption,
    PriorColumn,
    ReferenceColumn,
)
from cxr_rewards.core.progress import Progress
from cxr_rewards.errors import InputError

if TYPE_CHECKING:
    from cxr_rewards.evaluation.protocol import Evaluation
    from cxr_rewards.evaluation.scores import SystemScores
    from cxr_rewards.evaluation.tables import Table


_WIDEST = 10_000
"""Width at which no table is cut, in columns."""


class Format(StrEnum):
    """Form of the tables."""

    table = "table"
    markdown = "markdown"
    latex = "latex"
    json = "json"


def evaluate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="SCORES...",
            help="Files that `score` wrote, with their texts: data sets of one system, or systems on one data set.",
        ),
    ],
    name: Annotated[
        list[str] | None,
        typer.Option(help="Name of a file in the tables, once for each file; its file name by default."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(help="Scores in the tables of groups, separated by commas; by default the reward."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of subgroups; ages in bands; also `change` and `encounter`. Repeat it for several, which are "
            "also crossed."
        ),
    ] = None,
    age_bands: Annotated[
        str,
        typer.Option(help="Where bands of ages begin, separated by commas; UniRG-CXR's are 60. [default: 18,40,60,80]"),
    ] = "",
    conditions: Annotated[
        list[str] | None,
        typer.Option(
            help="Also count these findings, by the reader's names, separated by commas: pneumothorax,rib_fracture; "
            "or all."
        ),
    ] = None,
    chexbert: Annotated[
        bool, typer.Option("--chexbert", help="Label with CheXbert's weights if the details lack its labels.")
    ] = False,
    order_by: Annotated[
        str, typer.Option(help="Column of dates or numbers that orders a patient's studies, for encounters.")
    ] = "",
    cluster: Annotated[
        str | None, typer.Option(help="Column of patients; detected by default. 'none': all rows are independent.")
    ] = None,
    candidate_col: CandidateColumn = None,
    reference_col: ReferenceColumn = None,
    prior_col: PriorColumn = None,
    details: Annotated[
        Path | None,
        typer.Option(help="File of details of a single file of scores; by default the one written with it."),
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option(help="Score a copy of the prior report and the most frequent report with the same reward."),
    ] = True,
    preset: Annotated[
        str, typer.Option("--preset", "-p", help="Preset that made the scores; by default that of the file's record.")
    ] = "",
    config: ConfigOption = None,
    allow_code: AllowCodeOption = False,
    min_cases: Annotated[int, typer.Option(min=2, help="Fewest scored cases of a group with an interval.")] = 10,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of its random numbers.")] = 12345,
    form: Annotated[Format, typer.Option("--format", help="Form of the tables.")] = Format.table,
    as_json: JsonOption = False,
) -> None:
    """Print precision, recall and F1 of each condition, and scores by kind of change, encounter and subgroup.

    All with 95% intervals, and with gaps between the best and the worst subgroup. Also counts of a judge's errors, if
    the file or its details have them.
    """
    from cxr_rewards.evaluation.across import across_files
    from cxr_rewards.evaluation.baselines import reward_of
    from cxr_rewards.evaluation.evaluating import evaluate as evaluate_file
    from cxr_rewards.evaluation.protocol import Protocol
    from cxr_rewards.evaluation.scores import load_scores

    names = name or [""] * len(files)
    if len(names) != len(files):
        raise InputError(f"--name is given {len(names)} times for {len(files)} files; give it once for each, or not")
    if details is not None and len(files) > 1:
        raise InputError("--details is for a single file of scores; the others know theirs")
    if preset and config is not None:
        raise InputError(f"give either --preset {preset} or --config {config}, not both")
    protocol = Protocol(
        metrics=_split(metrics),
        by=tuple(column for column in by or () if column),
        age_edges=_ages(age_bands),
        conditions=_split(conditions),
        chexbert=chexbert,
        order_by=order_by,
        cluster="" if cluster == "none" else cluster,
        candidate=candidate_col,
        reference=reference_col,
        priors=tuple(prior_col or ()),
        minimum=min_cases,
        resamples=resamples,
        seed=seed,
    )
    source = str(config) if config is not None else preset
    systems: list[SystemScores] = []
    evaluations: list[Evaluation] = []
    progress = Progress()
    progress.begin("reading scores")
    with shown(progress) as tell:
        for file, own in zip(files, names, strict=True):
            system = load_scores(file, name=own, metrics=protocol.metrics, details=details)
            reward, why = reward_of(system, source, allow_code=allow_code) if baselines else (None, "")
            if why:
                tell(f"{system.name}: no baselines: {why}")
            systems.append(system)
            evaluations.append(evaluate_file(system, protocol, reward=reward, progress=progress))
        across = across_files(systems, evaluations, protocol) if len(systems) > 1 else None
    if as_json or form is Format.json:
        found = {
            "evaluations": [evaluation.as_json() for evaluation in evaluations],
            "across": across and across.as_json(),
        }
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    from cxr_rewards.evaluation.protocol_tables import group_tables, tables_of

    for evaluation in evaluations:
        for line in evaluation.notes:
            note(f"{evaluation.name}: {line}")
        _show(_about(evaluation), tables_of(evaluation), form)
    if across is not None:
        _show("", group_tables(across, evaluations[0].metrics), form)


def _split(names: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(name for some in names or () for part in some.split(",") if (name := part.strip()))


def _ages(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise InputError(f"--age-bands {text}: expected ages between commas, such as 40,60") from None


def _about(evaluation: Evaluation) -> str:
    over = f"values of {evaluation.cluster!r}" if evaluation.cluster else "rows"
    return (
        f"{evaluation.name}: {evaluation.cases:,} cases of {evaluation.path}; 95% intervals over {over}, by "
        f"{evaluation.resamples:,} resamples (seed {evaluation.seed}), of single conditions by Wilson's formula"
    )


def _show(about: str, tables: Sequence[Table], form: Format) -> None:
    from cxr_rewards.evaluation.tables import as_latex, as_markdown, as_rich

    if form is Format.markdown:
        typer.echo(as_markdown(tables, [about] if about else []))
    elif form is Format.latex:
        typer.echo(as_latex(tables, [about] if about else []))
    else:
        stream = console()
        if about:
            stream.print(about, style="bold")
        for table in tables:
            drawn, wide = as_rich(table), console()
            wide.width = _WIDEST  # a number that is cut is worse than a line that wraps
            wide.width = max(stream.width, wide.measure(drawn).maximum)
            wide.print(drawn)
