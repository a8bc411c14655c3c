"""Progress of long work, shown from time to time, even while no item is finished."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

EVERY_S = 30.0
"""Seconds between two lines."""


class Progress:
    """Progress of some work: the work updates it, a display reads it from another thread.

    Attributes:
        work: name of the work, such as `scoring`; empty: none.
        unit: name of the counted items.
        done: number of finished items.
        total: number of all items; 0 if unknown.
        unscored: number of finished items without a score.

    Example:
        >>> now = 0.0
        >>> progress = Progress(clock=lambda: now)
        >>> progress.begin("scoring", total=1000, done=200)
        >>> now = 60.0
        >>> progress.advance(300, unscored=2)
        >>> progress.line(in_flight=8)
        'scoring: 500 of 1,000 rows, 5 rows/s, 1 min 40 s left, 2 unscored, 8 judge calls in flight'
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with no work; `clock` returns seconds."""
        self._clock = clock
        self.begin("")

    def begin(self, work: str, *, total: int = 0, done: int = 0, unit: str = "rows") -> None:
        """Start some work on `total` items, of which `done` were finished before."""
        self.work, self.unit, self.total, self.done, self.unscored = work, unit, total, done, 0
        self._first, self._since = done, self._clock()

    def advance(self, count: int, *, unscored: int = 0) -> None:
        """Add finished items, of which `unscored` have no score."""
        self.unscored += unscored
        self.done += count

    @property
    def rate(self) -> float:
        """Items finished per second since the work began; 0 at first."""
        seconds = self._clock() - self._since
        return (self.done - self._first) / seconds if seconds > 0 else 0.0

    def line(self, *, in_flight: int = 0) -> str:
        """Return the state of the work in words.

        Args:
            in_flight: requests to judges that wait for an answer.
        """
        of = f" of {self.total:,}" if self.total else ""
        rate, took = self.rate, _duration(self._clock() - self._since)
        if rate > 0:
            parts = [
                f"{self.done:,}{of} {self.unit}",
                f"{rate:,.3g} {self.unit}/s" if rate < 100 else f"{rate:,.0f} {self.unit}/s",
            ]
            if self.total > self.done:
                parts.append(f"{_duration((self.total - self.done) / rate)} left")
        elif self.total or self.done:
            parts = [f"{self.done:,}{of} {self.unit}", f"none finished in the last {took}"]
        else:
            parts = [f"{took} so far"]
        if self.unscored:
            parts.append(f"{self.unscored:,} unscored")
        if in_flight:
            parts.append(f"{in_flight:,} judge calls in flight")
        return f"{self.work}: {', '.join(parts)}"


def _duration(seconds: float) -> str:
    """Return a duration in two units at most.

    Example:
        >>> [_duration(s) for s in (0.2, 59, 60, 61, 119.9, 3600, 7384, 90000)]
        ['0 s', '59 s', '1 min', '1 min 1 s', '2 min', '1 h', '2 h 3 min', '25 h']
    """
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes_left, "min"), (rest if not hours else 0, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"


class Display:
    """Timer that calls a function every few seconds while a block runs, from a thread of its own.

    So it works even during one long step that counts nothing. The first call comes after `every_s` seconds.

    Example:
        >>> progress, shown = Progress(), []
        >>> with Display(lambda: shown.append(progress.line()), every_s=0.01) as display:
        ...     progress.begin("scoring", total=6)
        ...     while not shown:
        ...         time.sleep(0.01)
        >>> shown[0]
        'scoring: 0 of 6 rows, none finished in the last 0 s'
    """

    def __init__(self, show: Callable[[], object], *, every_s: float = EVERY_S) -> None:
        """Call `show` from another thread every `every_s` seconds."""
        self._show, self._every_s, self._ended = show, every_s, threading.Event()
        self._thread = threading.Thread(target=self._run, name="cxr_rewards progress", daemon=True)

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            with suppress(OSError, ValueError):  # nobody is listening: a closed pipe or stream
                self._show()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
