"""The command `judge-check`: whether the judges of a reward are ready for a run, and what a run will cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cxr_rewards.cli.console import console, note, working
from cxr_rewards.cli.options import AllowCodeOption, ConfigOption, JsonOption, JudgeModelOption, JudgeUrlOption
from cxr_rewards.cli.rewards import build_reward
from cxr_rewards.errors import ConfigError

if TYPE_CHECKING:
    from cxr_rewards.judges.check import Check, JudgeCheck
    from cxr_rewards.judges.probe import ServerProbe


def judge_check(
    preset: Annotated[
        str, typer.Option("--preset", "-p", help="A preset; without preset and config, judge_only.")
    ] = "",
    config: ConfigOption = None,
    allow_code: AllowCodeOption = False,
    judge_url: JudgeUrlOption = "",
    judge_model: JudgeModelOption = "",
    cases: Annotated[int, typer.Option(min=1, help="Number of cases to tell the cost of.")] = 1000,
    most: Annotated[
        int, typer.Option(min=0, help="Most requests at once to measure the speed with, of 1, 8 and 64; 0: none.")
    ] = 64,
    as_json: JsonOption = False,
) -> None:
    """Check the judges of a reward before a run: what their servers support, how fast they are, what a run will cost,
    and whether five planted cases come out in the right order.

    It sends some 170 small requests an endpoint, or 20 with --most 0, and caches nothing.
    Exit code 1: a server does not answer, a planted case has no score, or the order is wrong.
    """
    from cxr_rewards.core.absent import absent_allowed
    from cxr_rewards.judges.check import check_judges
    from cxr_rewards.judges.component import JudgeComponent
    from cxr_rewards.judges.probe import LEVELS

    if not preset and config is None:
        preset = "judge_only"
    judge = {"base_url": judge_url, "model": judge_model}
    with absent_allowed():  # other components' weights are not needed
        reward = build_reward(preset or "rules", config, None, judge, allow_code=allow_code)
    judges = {label: part for label, part in reward.components.items() if isinstance(part, JudgeComponent)}
    if not judges:
        raise ConfigError(f"{reward.name}: has no judge to check; a reward with judges is --preset judge_only")
    with working("asking the judges"):
        check = check_judges(judges, [level for level in LEVELS if level <= most])
    if as_json:
        typer.echo(json.dumps(_as_json(check, cases), indent=2))
    else:
        _print(check, cases)
    problems = [server.error for server in check.servers if server.error]
    problems += [f"{found.label}: {problem}" for found in check.judges for problem in found.problems]
    for problem in problems:
        note(f"error: {' '.join(problem.split())}")
    if problems:
        raise typer.Exit(1)


def _as_json(check: Check, cases: int) -> dict[str, object]:
    """Return the check as JSON data, with the cost of so many cases."""
    judges = [
        {**asdict(found), "problems": found.problems, "cost": {"cases": cases, **_cost(found, cases)}}
        for found in check.judges
    ]
    servers = [
        {
            **vars(server),
            "support": {name: support._asdict() for name, support in server.support.items()},
            "speeds": [{**speed._asdict(), "failed": dict(speed.failed)} for speed in server.speeds],
        }
        for server in check.servers
    ]
    return {"is_good": check.is_good, "servers": servers, "judges": judges}


def _cost(found: JudgeCheck, cases: int) -> dict[str, float | None]:
    requests = found.calls * cases
    return {
        "requests": round(requests),
        "prompt_tokens": round(found.prompt_tokens * cases),
        "completion_tokens": round(found.completion_tokens * cases),
        "usd": found.usd * cases,
        "seconds": requests / found.a_second if found.a_second else None,
    }


def _print(check: Check, cases: int) -> None:
    for server in check.servers:
        _print_server(server)
    _print_planted(check.judges)
    for found in check.judges:
        if found.calls:
            typer.echo(f"{found.label}: {cases:,} cases like these take about {_describe_cost(found, cases)}")


def _print_server(server: ServerProbe) -> None:
    from rich.table import Table

    typer.echo(f"{server.model} at {server.address}")
    if server.error:
        return
    table = Table("supports", "", "seen")
    for name, support in server.support.items():
        table.add_row(name, support.state, support.note)
    console().print(table)
    if not server.speeds:
        return
    table = Table()
    for name in ("at once", "requests", "answers a second", "failed"):
        table.add_column(name, justify="left" if name == "failed" else "right")
    for speed in server.speeds:
        failed = ", ".join(f"{count} {kind}" for kind, count in speed.failed.items())
        rate = "-" if speed.a_second is None else f"{speed.a_second:.3g}"
        table.add_row(str(speed.at_once), str(speed.sent), rate, failed or speed.note)
    console().print(table)
    if server.latency_s is not None:
        typer.echo(f"one answer alone takes {server.latency_s:.3g} s")


def _print_planted(judges: list[JudgeCheck]) -> None:
    from rich.table import Table

    from cxr_rewards.judges.check import PLANTED

    table = Table("judge")
    for name in (*PLANTED, "order"):
        table.add_column(name, justify="right")
    for found in judges:
        values = [f"{found.values[name]:.3f}" if name in found.values else "-" for name in PLANTED]
        table.add_row(found.label, *values, "wrong" if found.problems else "right")
    console().print(table)


def _describe_cost(found: JudgeCheck, cases: int) -> str:
    cost = _cost(found, cases)
    parts = [f"{cost['requests']:,} requests", f"{cost['prompt_tokens']:,} + {cost['completion_tokens']:,} tokens"]
    if cost["usd"]:
        parts.append(f"{cost['usd']:,.2f} USD")
    if cost["seconds"]:
        parts.append(f"{cost['seconds']:,.0f} s")
    return ", ".join(parts)
