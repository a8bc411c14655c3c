"""The command `calibrate`: weights of a reward from radiologists' ratings or preferences."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr_rewards.cli.console import console, note, working
from cxr_rewards.cli.options import (
    AllowCodeOption,
    CacheOption,
    ConfigOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    JudgeModelOption,
    JudgeUrlOption,
    PresetOption,
    PriorColumn,
    ReferenceColumn,
)
from cxr_rewards.cli.rewards import preset_or_config
from cxr_rewards.errors import ConfigError, InputError

if TYPE_CHECKING:
    from cxr_rewards.evaluation.calibration.result import Calibration


class MethodName(StrEnum):
    """How weights are fitted."""

    auto = "auto"
    ridge = "ridge"
    pairwise = "pairwise"


def calibrate(
    source: Annotated[
        Path,
        typer.Argument(metavar="RATINGS", help="Ratings or preferences: .csv, .tsv, .jsonl or .parquet."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the calibrated reward: a .toml.")],
    preset: PresetOption = "rules",
    config: ConfigOption = None,
    component: Annotated[
        list[str] | None,
        typer.Option(help="Start from equal weights of components instead of a preset; repeat it for each."),
    ] = None,
    fit: Annotated[
        list[str] | None,
        typer.Option(
            help="Fit the weight of this component; repeat it for each. By default those with a weight, but no penalty."
        ),
    ] = None,
    free_guards: Annotated[
        bool, typer.Option("--free-guards", help="Fit the weights of penalties, too; by default they are kept.")
    ] = False,
    method: Annotated[
        MethodName, typer.Option(help="Least squares of ratings, comparisons within a case, or the better one.")
    ] = MethodName.auto,
    pull: Annotated[
        float | None,
        typer.Option(min=0, help="Strength of the pull to the weights at the start; by default cross-validated."),
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Scores of RATINGS by `cxr-rewards score`, to score nothing now.")
    ] = None,
    texts: Annotated[Path | None, typer.Option(help="File of the reports, if RATINGS holds none.")] = None,
    case_col: Annotated[
        str, typer.Option(help="Column of the case; by default a usual name, else the reference.")
    ] = "",
    candidate_col: Annotated[
        list[str] | None,
        typer.Option(help="Column of the candidate; in --texts several, whose names are those of the candidates."),
    ] = None,
    candidate_id_col: Annotated[str, typer.Option(help="Column that names the candidate within its case.")] = "",
    reference_col: ReferenceColumn = None,
    prior_col: PriorColumn = None,
    rating_col: Annotated[
        list[str] | None,
        typer.Option(help="Column of ratings, repeated for each rater; NAME=A+B adds up columns."),
    ] = None,
    rater_col: Annotated[str, typer.Option(help="Column that names the rater, if each rating is a row.")] = "",
    preferred_col: Annotated[str, typer.Option(help="Column that says which of two is better: a, b or tie.")] = "",
    pair_col: Annotated[
        list[str] | None, typer.Option(help="Columns of the two candidates that are compared: give it twice.")
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Ratings count errors: lower is better, and rows of a rater add up.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=VALUE: count only errors of such rows, for example significant ones."),
    ] = None,
    within_case: Annotated[
        bool, typer.Option("--within-case", help="Ratings of different cases cannot be compared.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Check whether a constant text earns too much.")
    ] = True,
    name: Annotated[str, typer.Option(help="Name of the calibrated reward.")] = "",
    html: Annotated[Path | None, typer.Option(help="Also write an HTML page; needs the extra `report`.")] = None,
    folds: Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")] = 10,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats of the cross-validation.")] = 5,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the bootstrap.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of folds and resamples.")] = 12345,
    allow_code: AllowCodeOption = False,
    cache: CacheOption = None,
    device: DeviceOption = "",
    dtype: DtypeOption = "",
    judge_url: JudgeUrlOption = "",
    judge_model: JudgeModelOption = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fit a reward's weights to radiologists' ratings or preferences, and write it as a TOML that scores at once.

    What it is worth is measured on cases that it has not seen, beside the reward that it started from and the raters
    themselves. Penalties and gates keep what they have, because ratings of honest reports say little about them.
    """
    from cxr_rewards.evaluation.calibration.calibrate import calibrate as run
    from cxr_rewards.evaluation.calibration.rating_columns import RatingColumns
    from cxr_rewards.evaluation.calibration.ratings import read_ratings

    if out.suffix.lower() != ".toml":
        raise InputError(f"{out}: the calibrated reward is a TOML; name it {out.with_suffix('.toml')}")
    if out.exists() and not force:
        raise InputError(f"{out}: exists and is not overwritten; give another output, or --force")
    if not out.parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.parent}")
    if html is not None:
        from cxr_rewards.evaluation.calibration.page import page_of
        from cxr_rewards.evaluation.report.write import check_page, write_page

        check_page(html, [path for path in (source, scores, texts) if path is not None], force=force)
    start = _start(preset, config, component)
    columns = RatingColumns(
        case=case_col,
        candidate=tuple(candidate_col or ()),
        reference=reference_col or "",
        priors=tuple(prior_col or ()),
        candidate_id=candidate_id_col,
        ratings=tuple(rating_col or ()),
        rater=rater_col,
        preferred=preferred_col,
        pair=tuple(pair_col or ()),
        errors=errors,
        only=_only(only or ()),
    )
    judge = {key: value for key, value in {"base_url": judge_url, "model": judge_model}.items() if value}
    settings: dict[str, Any] = {"device": device, "dtype": dtype, "allow_code": allow_code, "judge": judge}
    settings |= {"cache": cache} if cache else {}
    with working("calibrating") as tell:
        result = run(
            read_ratings(source, columns, texts=texts, texts_needed=scores is None, within_case=within_case),
            start,
            fit=fit or (),
            free_guards=free_guards,
            scores=scores,
            method=method.value,
            pull=pull,
            check=check,
            folds=folds,
            repeats=repeats,
            resamples=resamples,
            seed=seed,
            name=name,
            tell=tell,
            **{key: value for key, value in settings.items() if value},
        )
        result.write(out)
    if html is not None:
        write_page(html, page_of(result))
        note(f"page -> {html}")
    if as_json:
        typer.echo(json.dumps({"out": str(out), **result.as_json()}, indent=2, ensure_ascii=False))
    else:
        _print(result)
    for warning in result.warnings:
        note(f"warning: {warning}")
    note(f"{out}: written; cxr-rewards score IN --config {out} -o OUT scores with it")


def _start(preset: str, config: Path | None, components: list[str] | None) -> str | Path | list[str]:
    if not components:
        return preset_or_config(preset, config)
    if config is not None or preset != "rules":
        raise ConfigError("give either --component, or --preset or --config, not both")
    return components


def _only(given: list[str] | tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for one in given:
        column, equals, value = one.partition("=")
        if not equals:
            raise ConfigError(f"--only {one}: expected COLUMN=VALUE")
        pairs[column] = value
    return pairs


def _print(result: Calibration) -> None:
    from rich.table import Table

    from cxr_rewards.evaluation.calibration.summary import NUMBERS, describe, lines_of

    weights = Table("component", title=f"{result.started_from}, calibrated by {result.choice.method}")
    for head in ("before", "after", "by the data alone", "kept"):
        weights.add_column(head, justify="left" if head == "kept" else "right")
    for one in result.weights:
        alone = "" if one.low is None or one.high is None else f"{one.low:.3g} to {one.high:.3g}"
        weights.add_row(one.label, f"{one.before:g}", f"{one.after:g}", alone, one.kept)
    console().print(weights)
    table = Table(f"{result.cases} cases, {result.candidates} candidates")
    for head in NUMBERS.values():
        table.add_column(head, justify="right")
    for what, agreement in lines_of(result):
        table.add_row(what, *(describe(getattr(agreement, key), sign=what == "gain") for key in NUMBERS))
    console().print(table)
    for reason, count in result.left_out.items():
        typer.echo(f"left out: {count:,} candidates ({reason})")
