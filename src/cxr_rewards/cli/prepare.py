"""The commands `fetch` and `warm`, which prepare a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cxr_rewards.cli.console import console, fail, note, shown, working
from cxr_rewards.cli.options import (
    AllowCodeOption,
    CacheOption,
    ConfigOption,
    DelimiterOption,
    DeviceOption,
    DtypeOption,
    EncodingOption,
    JsonOption,
    PresetOption,
    PriorColumn,
    ReferenceColumn,
    SheetOption,
)
from cxr_rewards.cli.rewards import build_reward
from cxr_rewards.core.progress import Progress


def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Presets, rewards' TOML files, components.")],
    to: Annotated[Path | None, typer.Option(help="The models folder to fill, if not the default one.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Download nothing; check that all files are there and undamaged.")
    ] = False,
    allow_code: AllowCodeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Download the weights that a reward needs, for example for machines without internet, and show where they are.

    Exit code 1: a file cannot be downloaded or, with --check, is absent or damaged.
    """
    from rich.table import Table

    from cxr_rewards.models import fetch as fetching
    from cxr_rewards.models.sources import FOLDER_VARIABLE
    from cxr_rewards.reward.config import features_of

    sources = fetching.sources_of(feature for name in names for feature in features_of(name, allow_code=allow_code))
    if check:
        with working("checking weights"):
            problems = fetching.check(sources, to)
        for problem in problems:
            note(problem)
        if problems:
            fail(f"{len(problems)} problems; delete damaged files and fetch them again")
    elif not sources:
        note(f"{', '.join(names)}: needs no weights")
    with working("fetching weights") as tell:
        fetched = fetching.fetch(sources, to, tell)
    if as_json:
        rows = [{**item._asdict(), "source": item.source._asdict(), "folder": str(item.folder)} for item in fetched]
        typer.echo(json.dumps(rows, indent=2))
        return
    if sources:
        table = Table()
        for name in ("repository", "for", "files", "MB", "where"):
            table.add_column(name, justify="right" if name in ("files", "MB") else "left", overflow="fold")
        for item in fetched:
            mb = f"{item.bytes / 1e6:,.1f}"
            table.add_row(item.source.repo, item.source.purpose, str(item.files), mb, str(item.folder))
        console().print(table)
    if to is not None:
        note(f"use it with: export {FOLDER_VARIABLE}={to.expanduser().absolute()}")


def warm(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Reports: .csv, .tsv, .jsonl, .json, .parquet or .xlsx.")
    ],
    preset: PresetOption = "rules",
    config: ConfigOption = None,
    allow_code: AllowCodeOption = False,
    cache: CacheOption = None,
    reference_col: ReferenceColumn = None,
    prior_col: PriorColumn = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    sheet: SheetOption = None,
    device: DeviceOption = "",
    dtype: DtypeOption = "",
) -> None:
    """Fill a cache file with all features of the references (and priors) of IN, before a training run."""
    from cxr_rewards.files import open_table
    from cxr_rewards.files.warm import warm_file

    reward = build_reward(preset, config, cache, device=device, dtype=dtype, allow_code=allow_code)
    progress = Progress()
    progress.begin("opening")
    with shown(progress):
        table = open_table(source, encoding=encoding, delimiter=delimiter, sheet=sheet)
        columns = table.choose_columns(
            reference=reference_col, priors=prior_col or (), case_id="", references_only=True
        )
        done = warm_file(table, columns, reward, progress)
    bad = f", {done.bad_rows:,} rows left out" if done.bad_rows else ""
    typer.echo(f"{source}: {done.rows:,} rows, {done.texts:,} distinct texts{bad}")
    for name, count in done.computed.items():
        typer.echo(f"{name}: {count:,} computed now")
    if not done.computed:
        typer.echo(f"{reward.name}: has no feature worth keeping on disk")
