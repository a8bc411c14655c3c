"""The commands `cache stats`, `cache prune` and `cache verify`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr_rewards.cli.console import console, fail, note, to_json_text, working
from cxr_rewards.cli.options import JsonOption
from cxr_rewards.errors import ConfigError

if TYPE_CHECKING:
    from cxr_rewards.cache import SqliteCache

cache_app = typer.Typer(help="Inspect, prune and verify an SQLite cache file.", no_args_is_help=True)

CacheArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The SQLite cache file.")]


@contextmanager
def _existing_cache(path: Path) -> Iterator[SqliteCache]:
    from cxr_rewards.cache import SqliteCache
    from cxr_rewards.errors import CacheError

    if not path.exists():
        raise CacheError(f"{path}: no such file")
    with SqliteCache(path) as cache:
        yield cache


@cache_app.command("stats")
def cache_stats(path: CacheArgument, as_json: JsonOption = False) -> None:
    """Show what a cache holds, by feature."""
    from rich.table import Table

    with _existing_cache(path) as cache:
        stats = cache.stats()
    if as_json:
        data = {**stats._asdict(), "features": [usage._asdict() for usage in stats.features]}
        typer.echo(json.dumps(data, default=to_json_text, indent=2))
        return
    table = Table(title=f"{path}: {stats.entries:,} entries, {stats.file_bytes:,} bytes", title_justify="left")
    for name in ("feature", "entries", "bytes", "oldest", "newest"):
        table.add_column(name, justify="right" if name in ("entries", "bytes") else "left", overflow="fold")
    for usage in stats.features:
        table.add_row(
            usage.signature,
            f"{usage.entries:,}",
            f"{usage.bytes:,}",
            f"{usage.oldest:%Y-%m-%d %H:%M}",
            f"{usage.newest:%Y-%m-%d %H:%M}",
        )
    console().print(table)


@cache_app.command("prune")
def cache_prune(
    path: CacheArgument,
    max_mb: Annotated[float | None, typer.Option(help="Drop the oldest entries until the rest fits, in MB.")] = None,
    older_than_days: Annotated[float | None, typer.Option(help="Drop entries written longer ago than this.")] = None,
    signature: Annotated[
        str | None, typer.Option(help="Drop only entries of this feature; without another option, all of them.")
    ] = None,
) -> None:
    """Drop entries of a cache and free their space."""
    max_bytes = _limit("--max-mb", max_mb, 1e6)
    older_than_s = _limit("--older-than-days", older_than_days, 86_400)
    with _existing_cache(path) as cache, working("pruning the cache"):
        done = cache.prune(
            max_bytes=None if max_bytes is None else int(max_bytes), older_than_s=older_than_s, signature=signature
        )
    typer.echo(
        f"{path}: dropped {done.removed:,} entries, kept {done.kept:,}; "
        f"{done.bytes_before:,} -> {done.bytes_after:,} bytes"
    )


def _limit(option: str, value: float | None, unit: float) -> float | None:
    if value is None:
        return None
    if not (value >= 0 and math.isfinite(value * unit)):
        raise ConfigError(f"{option} must be 0 or more and finite, got {value:g}")
    return value * unit


@cache_app.command("verify")
def cache_verify(path: CacheArgument) -> None:
    """Check every entry of a cache and change nothing. Exit code 1: something is wrong."""
    with _existing_cache(path) as cache, working("checking the cache"):
        report = cache.verify()
    for problem in report.file_problems:
        note(f"{path}: {problem}")
    for entry in report.bad_entries:
        note(f"{path}: entry {entry.key} of {entry.signature or 'an unknown feature'}: {entry.problem}")
    if not report.ok:
        fail(f"{path}: {len(report.bad_entries):,} of {report.entries:,} entries cannot be used; move the file away")
    typer.echo(f"{path}: {report.entries:,} entries, all good")
