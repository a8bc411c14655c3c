"""The commands `prompts list`, `prompts add`, `prompts show` and `prompts verify`: prompts of published judges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr_rewards.cli.console import console, fail, note
from cxr_rewards.cli.options import JsonOption
from cxr_rewards.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from cxr_rewards.judges.official.store import PromptFiles

prompts_app = typer.Typer(
    help="Prompts of published judges, for the presets `..._official`: read from a checkout or an installed package.",
    no_args_is_help=True,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="chexprompt, crimson, green or radfact.")]


@prompts_app.command("list")
def prompts_list(as_json: JsonOption = False) -> None:
    """List the published judges: source and licence, whether the prompt is here, and which version it is."""
    from rich.table import Table

    from cxr_rewards.judges.official.store import PUBLISHED, load, place_of

    rows: list[dict[str, Any]] = []
    for name, about in PUBLISHED.items():
        row: dict[str, Any] = {
            "name": name,
            "source": about.source,
            "here": False,
            "place": "",
            "files": [],
            "cure": "",
        }
        try:
            row |= {"files": _describe_files(load(name)), "here": True, "place": str(place_of(name))}
        except (ConfigError, MissingDependencyError) as error:
            row["cure"] = str(error)
        rows.append(row)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table()
    for title in ("name", "source", "here", "version"):
        table.add_column(title, overflow="fold")
    for row in rows:
        versions = dict.fromkeys(file["version"] or "unknown" for file in row["files"])
        table.add_row(row["name"], row["source"], row["place"] or f"no: {row['cure']}", ", ".join(versions))
    console().print(table)


@prompts_app.command("add")
def prompts_add(
    name: NameArgument,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A checkout of the judge's repository, or its file.")],
) -> None:
    """Read a published judge's prompt from a checkout and keep it. Its code is read, never run."""
    from cxr_rewards.judges.official.store import add, place_of

    files = add(name, path)
    _tell(files)
    typer.echo(f"{name}: kept in {place_of(name)}; see it with `cxr-rewards prompts show {name}`")


@prompts_app.command("show")
def prompts_show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show the messages that a published judge is sent, with words of a template in place of the reports."""
    from cxr_rewards.judges.official.store import load, sample

    requests = sample(load(name))
    if as_json:
        typer.echo(json.dumps(requests, indent=2, ensure_ascii=False))
        return
    for title, messages in requests.items():
        for role, text in messages:
            typer.echo(f"--- {title}: {role}\n{text}")


@prompts_app.command("verify")
def prompts_verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Which; all that are here.")] = None,
) -> None:
    """Check that prompts are here and can be read, and say which versions they are.

    Exit code 1: one cannot be used.
    """
    from cxr_rewards.judges.official.store import PUBLISHED, load, published, sample

    problems = 0
    for name in names or PUBLISHED:
        published(name)
        try:
            files = load(name)
            sample(files)
        except MissingDependencyError as error:
            if names:
                note(str(error))
                problems += 1
            continue
        except ConfigError as error:
            note(str(error))
            problems += 1
            continue
        _tell(files)
    if problems:
        fail(f"{problems} of the prompts cannot be used")


def _tell(files: PromptFiles) -> None:
    for file in _describe_files(files):
        version = f"as published: {file['version']}" if file["version"] else "no version that is known here"
        typer.echo(f"{files.name}: {file['name']}: sha256 {file['sha256']}: {version}")


def _describe_files(files: PromptFiles) -> list[dict[str, str]]:
    known = files.known_as()
    return [{"name": name, "sha256": sha256, "version": known[name]} for name, sha256 in files.sha256.items()]
