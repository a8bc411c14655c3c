"""The command `audit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr_rewards.cli.console import console, fail, note, shown
from cxr_rewards.cli.options import AllowCodeOption, CacheOption, JsonOption, JudgeModelOption, JudgeUrlOption
from cxr_rewards.core.progress import Progress
from cxr_rewards.core.usage import LEDGER
from cxr_rewards.errors import CxrRewardsError

if TYPE_CHECKING:
    from rich.table import Table

    from cxr_rewards.evaluation import Audit
    from cxr_rewards.reward.base import BaseReward


def audit_reward(
    reward: Annotated[
        str,
        typer.Argument(help="A preset, a component, a reward's TOML, a server's URL or ray:NAME."),
    ],
    references: Annotated[
        Path,
        typer.Option("--references", help="Reference reports: a file that `score` reads; candidates are not used."),
    ],
    candidates: Annotated[
        list[Path] | None,
        typer.Option(help="Reports of yours with their references, to rank them; repeat it for several files."),
    ] = None,
    max_calls: Annotated[
        int | None, typer.Option(min=1, help="Texts to score at most; by default 2000 if the reward asks a judge.")
    ] = None,
    max_references: Annotated[int, typer.Option(min=1, help="References to read at most, drawn at random.")] = 500,
    template: Annotated[
        str, typer.Option(help="Put each report into this text, for a reward that wants a format.")
    ] = "{report}",
    seed: Annotated[int, typer.Option(help="Of all that is drawn by chance.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Also write an HTML page; needs the extra `report`.")] = None,
    cache: CacheOption = None,
    judge_url: JudgeUrlOption = "",
    judge_model: JudgeModelOption = "",
    allow_code: AllowCodeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find out what a reward pays a policy that looks for holes in it, before it is optimised.

    Exit code 0: no check failed; 1: a check failed; 2: the audit could not be made.
    """
    from cxr_rewards.evaluation import audit
    from cxr_rewards.evaluation.auditing.page import page_of
    from cxr_rewards.evaluation.report.write import check_page, write_page

    progress = Progress()
    try:
        if html is not None:
            check_page(html, [references, *(candidates or ())], force=False)
        judge = {key: value for key, value in {"base_url": judge_url, "model": judge_model}.items() if value}
        changes = {"cache": cache, "judge": judge, "allow_code": allow_code}
        audited = load_audited(reward, {key: value for key, value in changes.items() if value})
        with shown(progress) as tell:
            found = audit(
                audited,
                references,
                candidates={path.name: path for path in candidates or ()},
                max_calls=max_calls,
                max_references=max_references,
                template=template,
                seed=seed,
                progress=progress,
                tell=tell,
            )
    except CxrRewardsError as error:
        fail(str(error), 2)
    finally:
        for model, tally in LEDGER.tallies().items():
            note(f"judge {model}: {tally}")
    if html is not None:
        write_page(html, page_of(found))
        note(f"page -> {html}")
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        _print(found)
    if not found.passed:
        raise typer.Exit(1)


def load_audited(name: str, changes: dict[str, Any]) -> BaseReward:
    """Return the reward of a name, which can also be that of a component: it alone is the reward then.

    A component that is better if it is lower gets the weight -1.
    """
    from cxr_rewards.core.registry import component_names, load_component
    from cxr_rewards.remote.load import load_reward
    from cxr_rewards.reward.composite import CompositeReward
    from cxr_rewards.reward.config import preset_names

    if name in preset_names() or name not in component_names():
        return load_reward(name, **changes)
    changes.pop("allow_code", None)
    sign = 1.0 if load_component(name).higher_is_better else -1.0
    return CompositeReward([name], weights={name: sign}, name=name, **changes)


def _print(found: Audit) -> None:
    from cxr_rewards.explain.words import printable

    stream = console()
    about = f"{found.reward}: {found.sick} sick of {found.references:,} references, {found.calls:,} texts scored"
    stream.print(_checks(found, about))
    stream.print(_policies(found))
    if found.doses:
        table = _table("words corrupted", "share of clinical words", "clinical", "as many others")
        for dose in found.doses:
            table.add_row(f"{dose.share:.0%}", f"{dose.clinical:.3f}", f"{dose.others:.3f}")
        stream.print(table)
    stream.print(_guesses(found))
    for check in found.checks:
        if check.passed is False:
            stream.print(f"{check.name}: {check.why} {check.cure}", soft_wrap=True)
    for reason, count in list(found.unscored.items())[:5]:
        stream.print(f"{count:,} texts unscored: {printable(reason)}", soft_wrap=True)
    stream.print(f"{len(found.failed)} of {len(found.checks)} checks failed", style="bold")


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    return table


def _checks(found: Audit, title: str) -> Table:
    from rich.table import Table

    from cxr_rewards.explain.words import printable

    table = Table(title=title, title_justify="left")
    for name in ("check", "verdict", "value", "limit", "worst"):
        table.add_column(name, justify="right" if name == "value" else "left", no_wrap=name in ("check", "value"))
    styles = {"pass": "green", "FAIL": "bold red", "not judged": "dim"}
    for check in found.checks:
        limit = f"{'≥' if check.passes == 'at_least' else '≤'} {check.limit:g}"
        value = "-" if check.value is None else f"{check.value:.3f}"
        worst = printable(check.worst)
        worst = worst if len(worst) <= _LONGEST else worst[: _LONGEST - 1] + "…"
        table.add_row(check.name, check.verdict, value, limit, worst, style=styles[check.verdict])
    return table


_LONGEST = 60


def _policies(found: Audit) -> Table:
    from cxr_rewards.explain.words import printable

    groups = [group for group in ("normal", "actionable", "urgent") if any(group in p.by_group for p in found.policies)]
    table = _table(
        "mean rewards; level: 0 nothing right, 1 the report itself", "policy", "kind", "mean", "level", *groups
    )
    for policy in found.policies:
        if policy.kind == "other":  # they are in the checks, and all in the JSON and on the page
            continue
        cells = ("-" if number is None else f"{number:.2f}" for number in (policy.value, policy.level))
        means = (f"{policy.by_group[group]:.2f}" if group in policy.by_group else "" for group in groups)
        styles = {"honest": "bold", "candidates": "cyan"}
        table.add_row(printable(policy.name), policy.kind, *cells, *means, style=styles.get(policy.kind, ""))
    return table


def _guesses(found: Audit) -> Table:
    from cxr_rewards.evaluation.auditing.guesses import by_form

    table = _table("guessed sentences", "form", "break-even probability")
    for form, share in by_form(found.guesses).items():
        table.add_row(form, f"{share:.0%}")
    return table
