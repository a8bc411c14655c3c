"""The command `explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cxr_rewards.cli.console import console, fail, note, to_json_text
from cxr_rewards.cli.options import (
    AllowCodeOption,
    CandidateColumn,
    ConfigOption,
    ContextColumn,
    IdColumn,
    JsonOption,
    PresetOption,
    PriorColumn,
    ReferenceColumn,
)
from cxr_rewards.cli.rewards import build_reward
from cxr_rewards.errors import InputError


def explain_case(
    candidate: Annotated[str | None, typer.Option(help="The report to score; @FILE reads it from a file.")] = None,
    reference: Annotated[str | None, typer.Option(help="The reference report, or @FILE.")] = None,
    prior: Annotated[
        list[str] | None, typer.Option(help="An earlier report, or @FILE; repeat it for several, oldest first.")
    ] = None,
    context: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Context such as age=63; repeat it for several.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--input", "-i", help="Take the case from a table instead, in any format of `score`.")
    ] = None,
    row: Annotated[int | None, typer.Option(min=1, help="Row of the input, 1 for the first.")] = None,
    case_id: Annotated[str | None, typer.Option("--id", help="Case of the input, by its id.")] = None,
    candidate_col: CandidateColumn = None,
    reference_col: ReferenceColumn = None,
    prior_col: PriorColumn = None,
    id_col: IdColumn = None,
    context_col: ContextColumn = None,
    preset: PresetOption = "rules",
    config: ConfigOption = None,
    allow_code: AllowCodeOption = False,
    component: Annotated[
        str, typer.Option(help="Explain one component alone: one of the reward, or any other with its defaults.")
    ] = "",
    no_color: Annotated[bool, typer.Option("--no-color", help="Mark findings with signs instead of colours.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Explain a reward: findings marked in the reports, their weights, and what each component adds.

    Exit code 1: the case is unscored.
    """
    from cxr_rewards.explain.build import explain
    from cxr_rewards.explain.case import find_case, text_of
    from cxr_rewards.explain.page import show
    from cxr_rewards.files import open_table
    from cxr_rewards.types import Case

    reward = build_reward(preset, config, None, allow_code=allow_code)
    if source is not None:
        if candidate is not None or reference is not None or prior or context:
            raise InputError(f"give either --input {source} or texts (--candidate, --prior, --context, ...), not both")
        if (row is None) == (case_id is None):
            raise InputError(f"{source}: choose one case with --row or with --id")
        table = open_table(source)
        columns = table.choose_columns(
            candidate=candidate_col,
            reference=reference_col,
            priors=prior_col or (),
            case_id="" if row is not None and id_col is None else id_col,
            context=context_col or (),
        )
        note(f"{source}: {columns}")
        case = find_case(table, columns, row=row, case_id=case_id or "", max_chars=reward.max_chars)
    elif candidate is None or reference is None or row is not None or case_id is not None:
        raise InputError("give --candidate and --reference, or --input with --row or --id")
    else:
        pairs = [pair.partition("=") for pair in context or ()]
        for key, given, _ in pairs:
            if not (key.strip() and given):
                raise InputError(f"--context {key!r}: expected KEY=VALUE, such as age=63")
        case = Case(
            candidate=text_of(candidate),
            reference=text_of(reference),
            priors=tuple(map(text_of, prior or ())),
            context={key.strip(): value for key, _, value in pairs},
        )
    explanation = explain(reward, case, only=component)
    if as_json:
        typer.echo(json.dumps(explanation.as_json(), indent=2, default=to_json_text))
    else:
        show(explanation, console(color=not no_color))
    if explanation.unscored is not None:
        fail(f"unscored: {explanation.unscored}")
