"""Time spent on scoring, by name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds by name, summed over calls and threads.

    Args:
        clock: returns the time in seconds.

    Example:
        >>> watch = Stopwatch()
        >>> with watch.time("bleu"):
        ...     pass
        >>> list(watch.seconds())
        ['bleu']
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a name."""
        start = self._clock()
        try:
            yield
        finally:
            took = self._clock() - start
            with self._lock:
                self._seconds[name] = self._seconds.get(name, 0.0) + took

    def seconds(self) -> dict[str, float]:
        """Return the seconds so far."""
        with self._lock:
            return dict(self._seconds)

    def __reduce__(self) -> tuple[type[Stopwatch], tuple[()]]:
        return type(self), ()  # a copy in another process counts its own
