"""The command `score`: a file, or each of a folder, and its summary as tables or as one JSON document."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cxr_rewards.cli.console import console, fail, finite, note, os_error, shown, tallies
from cxr_rewards.core.progress import Progress
from cxr_rewards.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from cxr_rewards.files.score_file import Scored
    from cxr_rewards.files.summary import Estimate
    from cxr_rewards.reward.composite import CompositeReward

_WIDE = 110
"""Columns of a terminal from which on a summary table also says what each score measures."""


def score_files(
    source: Path,
    out: Path,
    reward: CompositeReward,
    named: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    """Score a file, or each file of a folder that has no scores yet, and print the summary.

    A file of a folder that cannot be scored is told and leaves the others their scores.

    Args:
        source: a file or a folder.
        out: likewise.
        reward: what to score with.
        named: arguments of `choose_columns`.
        options: arguments of `score_file`.
        as_json: print one JSON document, of a folder with a list of `files`.
    """
    if not source.is_dir():
        scored, _ = _score(source, out, reward, named, options)
        if as_json:
            typer.echo(json.dumps(_as_json(scored, reward), indent=2, ensure_ascii=False))
        else:
            _print_summary(scored, reward)
        if _nothing_scored(scored):
            fail(f"none of the {scored.rows:,} rows was scored; the reasons are in {scored.out}")
        return
    from cxr_rewards.files import Folder

    settings = {key: options[key] for key in ("on_error", "placeholders", "prefix")}
    run = {"reward": reward.signature, "columns": named, **settings}
    folder = Folder(source, out, run, restart=options["restart"])
    for name, why in folder.left_out.items():
        note(f"{source / name}: left out: {why}")
    told: list[dict[str, Any]] = []
    failed = []
    try:
        for file in folder.files:
            if file.finished:
                note(f"{file.source}: has its scores; --restart scores it again")
                told.append({"in": str(file.source), "out": str(file.target), "finished_before": True})
                continue
            try:
                scored, sha256 = _score(file.source, file.target, reward, named, options)
            except InputError as error:
                note(f"error: {error}")
                told.append({"in": str(file.source), "error": str(error)})
                failed.append(file.source.name)
                continue
            told.append({"in": str(file.source), **_as_json(scored, reward)})
            if _nothing_scored(scored):
                failed.append(file.source.name)
            else:
                folder.finish(file, sha256)
            if not as_json:
                _print_summary(scored, reward)
    finally:  # whatever ends the run, the finished files are told
        if as_json:
            typer.echo(json.dumps({"files": told, "left_out": folder.left_out}, indent=2, ensure_ascii=False))
    if failed:
        fail(f"{len(failed)} of {len(folder.files)} files without a score: {', '.join(failed)}")


def _score(
    source: Path, out: Path, reward: CompositeReward, named: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[Scored, str]:
    """Return the result, and the checksum of the input."""
    from cxr_rewards.files import choose_columns, open_table
    from cxr_rewards.files.score_file import score_file

    progress = Progress()
    progress.begin("opening")
    try:
        with shown(progress) as tell:
            table = open_table(source)
            columns = choose_columns(table.columns, where=str(source), **named)
            tell(f"{source}: {columns}")
            scored = score_file(table, columns, reward, out, progress=progress, tell=tell, **options)
    except KeyboardInterrupt:
        fail("interrupted; give the same command again to go on where it was", 130)
    except OSError as error:  # a full disk, mostly
        fail(f"{os_error(error, out)}; mend that, and give the same command again to go on where it was")
    finally:
        for model, tally in tallies().items():
            note(f"judge {model}: {tally}")
    summary = scored.summary
    if len(summary.by) > len(summary.tables()) - 1 > 0:
        note(f"{' × '.join(summary.by)}: more than 200 groups; shown only by each column alone")
    return scored, table.fingerprint()["input_sha256"]


def _nothing_scored(scored: Scored) -> bool:
    return scored.summary.overall()["reward"].n == 0


def _interval(e: Estimate) -> tuple[str, str, str]:
    mean = "-" if e.mean is None else f"{e.mean:.3f}"
    return f"{e.n:,}", mean, "-" if e.low is None else f"[{e.low:.3f}, {e.high:.3f}]"


def _columns(table: Table, *names: str) -> None:
    for name in names:
        right = name in ("rows", "weight", "scored", "mean")
        table.add_column(name, justify="right" if right else "left", no_wrap=right or name == "95% interval")


def _print_summary(scored: Scored, reward: CompositeReward) -> None:
    from rich.table import Table

    stream, summary = console(), scored.summary
    fresh = scored.rows - scored.resumed
    rate = f", {fresh / scored.seconds:,.0f} rows/s" if fresh and scored.seconds else ""
    before = f" ({scored.resumed:,} of them by an earlier run)" if scored.resumed else ""
    table = Table(
        title=f"{scored.rows:,} rows{before}{rate} -> {scored.out}",
        title_justify="left",
        caption=f"interval: {summary.method}",
        caption_justify="left",
    )
    measures = ("measures",) if stream.width >= _WIDE else ()
    _columns(table, "score", *measures, "better", "weight", "scored", "mean", "95% interval")
    for label, estimate in summary.overall().items():
        if label == "reward":
            low, high = reward.bounds
            table.add_section()
            what, better, weight = f"weighted sum, {low:g} to {high:g}", "higher", ""
        else:
            component = reward.components[label]
            what, better = component.summary, "higher" if component.higher_is_better else "lower"
            weight = f"{reward.total.terms[label].weight:g}"
        about = (what, better, weight) if measures else (better, weight)
        table.add_row(label, *about, *_interval(estimate), style="bold" if label == "reward" else "")
    stream.print(table)
    if scored.corpus:
        table = Table(title="over the whole file", title_justify="left")
        for name in ("score", "statistic", "value"):
            table.add_column(name, justify="right" if name == "value" else "left")
        for label, statistics in scored.corpus.items():
            for statistic, value in statistics.items():
                table.add_row(label, statistic, "-" if value is None else f"{value:.3f}")
        stream.print(table)
    for columns in summary.tables():
        by = " × ".join(columns)
        table = Table(title=f"by {by}", title_justify="left")
        table.add_column(by)
        _columns(table, "rows", "score", "scored", "mean", "95% interval")
        for name, (rows, estimates) in summary.subgroups(*columns).items():
            table.add_section()
            for i, (label, estimate) in enumerate(estimates.items()):
                head = (name, f"{rows:,}") if i == 0 else ("", "")
                table.add_row(*head, label, *_interval(estimate), style="bold" if label == "reward" else "")
        stream.print(table)
    if summary.reasons:
        table = Table(title="unscored, by reason", title_justify="left")
        table.add_column("rows", justify="right")
        table.add_column("reason", overflow="fold")
        for reason, count in summary.reasons.most_common():
            table.add_row(f"{count:,}", reason)
        stream.print(table)


def _as_json(scored: Scored, reward: CompositeReward) -> Mapping[str, Any]:
    return {
        "out": str(scored.out),
        "reward": {"name": reward.name, "signature": reward.signature, "bounds": finite(reward.bounds)},
        "resumed_rows": scored.resumed,
        "seconds": round(scored.seconds, 3),
        **scored.summary.as_json(),
        "corpus": scored.corpus,
        "judges": {model: dataclasses.asdict(tally) for model, tally in tallies().items()},
    }
