"""Output of the command line: tables to stdout, notes and progress to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from cxr_rewards.core.progress import EVERY_S, Display, Progress
from cxr_rewards.core.usage import LEDGER

if TYPE_CHECKING:
    from rich.console import Console


def console(*, error: bool = False, color: bool = True) -> Console:
    """Return a console on stdout or stderr."""
    from rich.console import Console

    # If this is not a terminal: wide enough that no table is folded in a log file.
    stream = sys.stderr if error else sys.stdout
    return Console(
        file=stream,
        width=None if stream.isatty() else 120,
        color_system="auto" if color else None,
        highlight=False,
        markup=False,
        soft_wrap=error,
    )


def note(text: str) -> None:
    """Write a line to stderr."""
    typer.echo(text, err=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """Write an error to stderr and end the command."""
    note(f"error: {message}")
    raise typer.Exit(code)


def in_flight() -> int:
    """Return the number of requests that wait for a judge's answer."""
    return LEDGER.total().in_flight


@contextmanager
def shown(progress: Progress, *, every_s: float = EVERY_S) -> Iterator[Callable[[str], None]]:
    """Show progress while a block runs: a bar on a terminal, otherwise a line every 30 s.

    Yields:
        A function that writes a note to stderr, above the bar.
    """
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    stream = console(error=True)
    if not stream.is_terminal:
        with Display(lambda: note(progress.line(in_flight=in_flight())), every_s=every_s):
            yield note
        return
    bar = Bar(BarColumn(), TextColumn("{task.description}", markup=False), console=stream, transient=True)
    task = bar.add_task("", total=None)

    def show() -> None:
        line = progress.line(in_flight=in_flight())
        bar.update(task, completed=progress.done, total=progress.total or None, description=line)

    with bar, Display(show, every_s=0.2):
        yield stream.print


def os_error_message(error: OSError, path: Path | None = None) -> str:
    """Return the message of a system error with its path; a failed write does not know its own, so pass it."""
    where = error.filename or path
    what = error.strerror or str(error)
    return f"{where}: {what}" if where else what


def finite(bounds: tuple[float, float]) -> list[float | None]:
    """Return bounds with `None` for infinity, which JSON lacks."""
    return [end if abs(end) != float("inf") else None for end in bounds]


def to_json_text(value: object) -> str:
    """Return a value that JSON does not have as text: a time in ISO format, anything else as `str` has it."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


@contextmanager
def working(work: str) -> Iterator[Callable[[str], None]]:
    """Show that uncounted work is under way while a block runs; yields a function that writes a note."""
    progress = Progress()
    progress.begin(work)
    with shown(progress) as tell:
        yield tell
