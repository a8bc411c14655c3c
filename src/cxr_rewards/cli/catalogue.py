"""The commands `components`, `presets` and `show`: the metrics and rewards that there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from cxr_rewards.cli.console import console, finite
from cxr_rewards.cli.options import AllowCodeOption, JsonOption
from cxr_rewards.cli.rewards import judges_of, prompts_of
from cxr_rewards.errors import ModelLoadError, SetupError


def components(as_json: JsonOption = False) -> None:
    """List the components: measure, range, direction, texts they read, what they need, and whether they can be used."""
    from rich.table import Table

    from cxr_rewards.core.registry import component_names

    rows = [_describe_component(name) for name in component_names()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table()
    for name in ("name", "measures", "range", "better", "reads", "needs", "available"):
        table.add_column(name, no_wrap=name == "name", overflow="fold")
    for row in rows:
        needs = ", ".join(row["requires"]) + (f" [{row['extra']}]" if row["extra"] else "")
        available = "yes" if row["available"] else f"no: {row['install'] or row['reason']}"
        better = {True: "higher", False: "lower", None: ""}[row["higher_is_better"]]
        span = _describe_bounds(*row["bounds"]) if row["bounds"] else ""
        table.add_row(row["name"], row["measures"], span, better, ", ".join(row["reads"]), needs, available)
    console().print(table)


class _Row(TypedDict):
    """A component as `components --json` shows it."""

    name: str
    measures: str
    bounds: list[float | None] | None
    higher_is_better: bool | None
    reads: list[str]
    requires: list[str]
    extra: str
    available: bool
    install: str
    reason: str


def _describe_bounds(low: float | None, high: float | None) -> str:
    return f"[{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"


def _describe_component(name: str) -> _Row:
    """Describe a component, or say why it cannot be imported."""
    from cxr_rewards.core.registry import load_component, missing_modules, pip_line

    row: _Row = {
        "name": name,
        "measures": "",
        "bounds": None,
        "higher_is_better": None,
        "reads": [],
        "requires": [],
        "extra": "",
        "available": False,
        "install": "",
        "reason": "",
    }
    try:
        cls = load_component(name)
    except SetupError as error:
        return {**row, "reason": str(error)}
    missing = missing_modules(cls)
    return {
        **row,
        "measures": cls.summary,
        "bounds": finite(cls.bounds),
        "higher_is_better": cls.higher_is_better,
        "reads": list(cls.reads),
        "requires": list(cls.requires),
        "extra": cls.extra,
        "available": not missing,
        "install": pip_line(cls) if missing else "",
        "reason": f"needs {', '.join(missing)}" if missing else "",
    }


def presets() -> None:
    """List the presets."""
    from cxr_rewards.reward.config import parse_config, preset_names, preset_text

    for name in preset_names():
        typer.echo(f"{name}: {parse_config(preset_text(name), f'preset {name}').description}")


def show(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A preset, or the path of a reward's TOML.")],
    toml: Annotated[bool, typer.Option("--toml", help="Print the TOML, as a start for a reward of your own.")] = False,
    allow_code: AllowCodeOption = False,
) -> None:
    """Show a preset: the direction, range and weight of each component, the gates, and the range of the reward."""
    from cxr_rewards.reward.composite import load_composite
    from cxr_rewards.reward.config import is_config_path, load_config, preset_text

    is_file = is_config_path(preset)
    if toml:
        if is_file:
            load_config(preset)  # raises if it is wrong
        typer.echo(Path(preset).read_text(encoding="utf-8") if is_file else preset_text(preset), nl=False)
    else:
        from cxr_rewards.core.absent import absent_allowed
        from cxr_rewards.models.fetch import sources_of
        from cxr_rewards.models.sources import locate
        from cxr_rewards.reward.config import features_of

        with absent_allowed():
            reward = load_composite(preset, allow_code=allow_code)
        typer.echo(reward.describe())
        for needed in sources_of(features_of(preset, allow_code=allow_code)):
            try:
                where = str(locate(needed))
            except ModelLoadError:
                where = f"absent: cxr-rewards fetch {preset}"
            typer.echo(f"needs {needed.repo} ({needed.purpose}): {where}")
        for name, place in prompts_of(reward).items():
            typer.echo(f"needs the prompt of {name}: {place}")
        for model, url in judges_of(reward):
            typer.echo(f"needs a judge: {model or 'no model given'} at {url or 'no endpoint given'}")
