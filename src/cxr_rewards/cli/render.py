"""The summary of a scored file, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cxr_rewards.cli.console import console, finite
from cxr_rewards.core.usage import LEDGER

if TYPE_CHECKING:
    from rich.table import Table

    from cxr_rewards.files import Scored
    from cxr_rewards.files.summary import Estimate
    from cxr_rewards.reward.base import BaseReward

_MUCH_UNREAD = 0.1
"""Share of unread sentences above which the summary warns: human reports have 1 to 2%."""
_WIDE = 110
"""Width of a terminal, in columns, from which a summary table also shows what each score measures."""


def _interval(e: Estimate) -> tuple[str, str, str]:
    mean = "-" if e.mean is None else f"{e.mean:.3f}"
    return f"{e.n:,}", mean, "-" if e.low is None else f"[{e.low:.3f}, {e.high:.3f}]"


def _columns(table: Table, *names: str) -> None:
    for name in names:
        right = name in ("rows", "weight", "scored", "mean")
        table.add_column(name, justify="right" if right else "left", no_wrap=right or name == "95% interval")


def print_summary(scored: Scored, reward: BaseReward, *, error: bool = False) -> None:
    """Print tables of all scores, of the statistics over the whole file, by subgroup, and of the failures.

    Args:
        scored: the result.
        reward: what it was scored with.
        error: print to stderr.
    """
    from rich.table import Table

    stream, summary = console(error=error), scored.summary
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
    if any(scored.unread.values()):
        shares = ", ".join(f"{share:.1%} of the {role}s'" for role, share in scored.unread.items())
        stream.print(f"not understood: {shares} sentences")
        if max(scored.unread.values()) > _MUCH_UNREAD:
            stream.print("what is not understood counts as normal: scores of findings say less here", style="bold")
    if scored.details is not None:
        stream.print(f"details -> {scored.details}")
    if summary.reasons:
        table = Table(title="unscored, by reason", title_justify="left")
        table.add_column("rows", justify="right")
        table.add_column("reason", overflow="fold")
        for reason, count in summary.reasons.most_common():
            table.add_row(f"{count:,}", reason)
        stream.print(table)


def summary_as_json(scored: Scored, reward: BaseReward) -> Mapping[str, object]:
    """Return the summary as JSON-compatible data."""
    return {
        "out": str(scored.out),
        **({} if scored.details is None else {"details": str(scored.details)}),
        "reward": {"name": reward.name, "signature": reward.signature, "bounds": finite(reward.bounds)},
        "resumed_rows": scored.resumed,
        "seconds": round(scored.seconds, 3),
        **scored.summary.as_json(),
        "corpus": scored.corpus,
        "unread": dict(scored.unread),
        "judges": {model: tally.as_json() for model, tally in LEDGER.tallies().items()},
    }
