"""The command line `cxr-rewards`: each command is a thin layer over functions of the library."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from cxr_rewards.cli.audit import audit_reward
from cxr_rewards.cli.cache import cache_app
from cxr_rewards.cli.calibrate import calibrate
from cxr_rewards.cli.catalogue import components, presets, show
from cxr_rewards.cli.compare import compare_files
from cxr_rewards.cli.console import note, os_error_message
from cxr_rewards.cli.evaluate import evaluate
from cxr_rewards.cli.explain import explain_case
from cxr_rewards.cli.judge_check import judge_check
from cxr_rewards.cli.pairs import pairs
from cxr_rewards.cli.prepare import fetch, warm
from cxr_rewards.cli.prompts import prompts_app
from cxr_rewards.cli.report import report
from cxr_rewards.cli.score import score
from cxr_rewards.cli.serve import fake_judge, serve
from cxr_rewards.cli.training_report import training_report
from cxr_rewards.errors import CxrRewardsError

app = typer.Typer(
    name="cxr-rewards",
    help="Score chest X-ray reports: one number a report, and what it is made of.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(score)
app.command()(pairs)
app.command()(evaluate)
app.command("compare")(compare_files)
app.command("explain")(explain_case)
app.command()(report)
app.command("audit")(audit_reward)
app.command("training-report")(training_report)
app.command()(components)
app.command()(presets)
app.command()(show)
app.command("fake-judge")(fake_judge)
app.command("judge-check")(judge_check)
app.command()(calibrate)
app.command()(serve)
app.command()(fetch)
app.command()(warm)
app.add_typer(cache_app, name="cache")
app.add_typer(prompts_app, name="prompts")


def _version(value: bool) -> None:
    if value:
        from cxr_rewards import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; the library's and the system's errors end it with one message and exit code 1."""
    # If the shell closed them (`>&-`) they are None, and the next file opened would take their place.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the end
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    try:
        app(standalone_mode=True)
    except CxrRewardsError as error:
        note(f"error: {error}")
        sys.exit(1)
    except OSError as error:
        note(f"error: {os_error_message(error)}")
        sys.stdout = None  # if writing to it failed, it would fail again at exit
        sys.exit(1)
