"""Ledger of what this process has spent on judges, and of what it can release.

Judges and models register here when they are loaded, so that whoever prints costs or frees memory needs to import
neither.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, fields


@dataclass
class Tally:
    """Cost of a judge in this process so far.

    Attributes:
        calls: requests sent, including retries.
        replies: requests answered with a verdict.
        retries: requests sent again, by reason.
        failures: cases left without a verdict, by kind of reason.
        prompt_tokens, completion_tokens: as the endpoint counts them, including replies that were not a verdict.
        usd: price of these tokens, if prices are set.
        in_flight: requests waiting for an answer now.
    """

    calls: int = 0
    replies: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    in_flight: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def as_json(self) -> dict[str, object]:
        """Return the costs as JSON-compatible data; `dataclasses.asdict` would count the entries of each counter."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in values.items()}

    def __str__(self) -> str:
        parts = [f"{self.calls:,} calls", f"{self.prompt_tokens:,} + {self.completion_tokens:,} tokens"]
        if self.usd:
            parts.append(f"{self.usd:,.4f} USD")
        if self.retries:
            parts.append(f"{self.retries.total():,} retries")
        if self.failures:
            parts.append(f"{self.failures.total():,} without a verdict")
        return ", ".join(parts)


class Ledger:
    """Tallies by model, and functions that release resources.

    Example:
        >>> ledger = Ledger()
        >>> ledger.tally("http://a/v1", "qwen").calls += 2
        >>> ledger.tally("http://b/v1", "qwen").calls += 3
        >>> ledger.tallies()["qwen"].calls, ledger.total().calls
        (5, 5)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: dict[Hashable, tuple[str, Tally]] = {}
        self._releases: list[Callable[[], None]] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._restart)

    def _restart(self) -> None:
        """In a forked child: its costs are its own, and another thread of the parent may hold the lock."""
        self._lock, self._tallies = threading.Lock(), {}

    def tally(self, key: Hashable, model: str) -> Tally:
        """Return the tally of a model at one place, such as an endpoint; equal keys share one."""
        with self._lock:
            return self._tallies.setdefault(key, (model, Tally()))[1]

    def tallies(self) -> dict[str, Tally]:
        """Return the costs so far by model; tallies of one model are added up."""
        with self._lock:
            entries = list(self._tallies.values())
        sums: dict[str, Tally] = {}
        for model, tally in entries:
            sums[model] = sums.get(model, Tally()) + tally
        return sums

    def total(self) -> Tally:
        """Return the costs so far of all models together."""
        return sum(self.tallies().values(), Tally())

    def clear(self) -> None:
        """Forget the costs so far."""
        with self._lock:
            self._tallies.clear()

    def on_release(self, release: Callable[[], None]) -> None:
        """Register a function that frees something which is loaded or opened again when next needed."""
        with self._lock:
            self._releases.append(release)

    def release(self) -> None:
        """Free everything that has been registered."""
        with self._lock:
            releases = list(self._releases)
        for release in releases:
            release()


LEDGER = Ledger()
"""The ledger of this process."""
