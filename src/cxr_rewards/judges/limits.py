"""Limits on requests: rates, a budget, and a breaker for an address that is down."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic

from cxr_rewards.core.usage import Tally
from cxr_rewards.errors import BudgetExceeded


@dataclass(frozen=True)
class Budget:
    """Limits on spending; 0 means no limit. Requests in flight when tokens or money run out are still paid for."""

    calls: int
    tokens: int
    usd: float

    def check(self, tally: Tally, what: str) -> None:
        """Raise `BudgetExceeded` if nothing more may be sent."""
        spent = (
            ("calls", self.calls, tally.calls),
            ("tokens", self.tokens, tally.prompt_tokens + tally.completion_tokens),
            ("usd", self.usd, tally.usd),
        )
        for name, limit, used in spent:
            if limit and used >= limit:
                raise BudgetExceeded(
                    f"{what}: budget_{name} = {limit:g} is spent ({tally}); what was answered is in the cache. "
                    f"Raise budget_{name} and start again to go on."
                )


class Rate:
    """Spreads units (requests, tokens) evenly over time."""

    def __init__(self, per_minute: int) -> None:
        self._seconds = 60 / per_minute if per_minute else 0.0
        self._free_at = 0.0

    async def take(self, units: float) -> None:
        """Wait until these units may be used."""
        if self._seconds:
            now = monotonic()
            start = max(self._free_at, now)
            self._free_at = start + units * self._seconds
            await asyncio.sleep(start - now)

    def correct(self, units: float) -> None:
        """Take the units used beyond those taken already; give units back if negative."""
        self._free_at += units * self._seconds


class Breaker:
    """Keeps requests from an address that is down: after 10 failures in a row it is tried only now and then.

    The pauses between trials grow from 0.5 s to 30 s.
    """

    FAILURES = 10

    def __init__(self) -> None:
        self.failures = 0
        self.never = True
        """Whether it has never answered."""
        self.why = ""
        self.down_since = 0.0
        self._try_at = 0.0
        self._trials = 0

    @property
    def is_open(self) -> bool:
        """Whether the address is considered down."""
        return self.failures >= self.FAILURES

    def may_send(self) -> bool:
        """Return whether a request may be sent now; an open breaker lets one through as a trial."""
        if not self.is_open:
            return True
        if monotonic() < self._try_at:
            return False
        self._trials += 1
        self._try_at = monotonic() + self._pause()
        return True

    def _pause(self) -> float:
        return float(min(0.5 * 2**self._trials, 30.0))

    def succeeded(self) -> None:
        """Record an answer of any kind: the address is up."""
        self.failures = self._trials = 0
        self.never = False

    def failed(self, why: str) -> None:
        """Record that no answer came."""
        self.failures += 1
        self.why = why
        if self.failures == self.FAILURES:
            self.down_since = monotonic()
            self._try_at = self.down_since + self._pause()
