"""Number of requests at once for one address: lowered if it cannot keep up, then slowly raised."""

from __future__ import annotations

from collections import deque
from time import monotonic

_START = 2
"""Requests at once before anything is known about a server."""
_WINDOW_S = 60.0
_LONGEST_HOLD_S = 60.0


class Pace:
    """Additive increase, multiplicative decrease of the requests in flight at one address.

    It starts with 2 at once and triples with each round trip, up to `concurrency`. A time-out halves it, a 429 or 503
    takes 30 %, once for all requests that were under way together; after that it rises by a sixteenth of
    `concurrency` a round trip, or by a quarter if that is less. Answers that take more than a quarter of `timeout_s`
    stop the rise, more than half lower it, so that a server with a queue is not driven into time-outs.

    Args:
        concurrency: most requests at once.
        timeout_s: how long an answer may take.
    """

    def __init__(self, concurrency: int, timeout_s: float) -> None:
        self._most = concurrency
        self._timeout_s = timeout_s
        self._limit = float(min(concurrency, _START))
        self._is_starting = True
        self._lowered_at = self._free_at = 0.0
        self._full_at = float("-inf")
        self._timeouts_in_a_row = 0
        self._answers: deque[float] = deque()
        self._sent: dict[int, float] = {}
        self._number = 0
        self._since = monotonic()

    @property
    def limit(self) -> int:
        """Most requests at once, for now."""
        return int(self._limit)

    @property
    def under_way(self) -> int:
        """Requests that wait for an answer."""
        return len(self._sent)

    @property
    def has_room(self) -> bool:
        """Whether another request may be sent now."""
        return self.under_way < self.limit and monotonic() >= self._free_at

    def begin(self) -> int:
        """Record a request, and return its number."""
        self._number += 1
        if not self._sent and not self.rate:
            self._since = monotonic()
        self._sent[self._number] = monotonic()
        if self.under_way >= self.limit:
            self._full_at = monotonic()
        return self._number

    def answered(self, number: int) -> None:
        """Record a completion."""
        start, now = self._sent[number], monotonic()
        self._answers.append(now)
        self._timeouts_in_a_row = 0
        took_s = now - start
        if took_s > self._timeout_s / 2:
            self._lower(start, 0.8)
        elif took_s <= self._timeout_s / 4 and self._full_at >= start:  # the limit held us back
            rise = 2.0 if self._is_starting else min(max(1.0, self._most / 16) / self._limit, 0.25)
            self._limit = min(self._limit + rise, float(self._most))

    def refused(self, number: int, hold_s: float) -> None:
        """Record a 429 or 503; nothing is sent for `hold_s` (at most a minute), as the server asks."""
        self._lower(self._sent[number], 0.7)
        self._hold(hold_s)

    def timed_out(self, number: int) -> None:
        """Record a time-out. The server may still work on the request, so more requests add to its load."""
        self._timeouts_in_a_row += 1
        if self._lower(self._sent[number], 0.5):
            # Little's law: as many as are answered within half the time-out at the current rate.
            self._limit = max(1.0, min(self._limit, self.rate * self._timeout_s / 2))
            if self.limit == 1 and self._timeouts_in_a_row > 1:  # let it finish the requests we gave up
                self._hold(self._timeout_s / 2 * 2 ** min(self._timeouts_in_a_row - 2, 6))

    def end(self, number: int) -> None:
        """Record the end of a request, however it ended."""
        del self._sent[number]

    def _lower(self, start: float, factor: float) -> bool:
        self._is_starting = False
        if start < self._lowered_at:  # sent before the last decrease, which was meant for it too
            return False
        self._limit = max(1.0, self._limit * factor)
        self._lowered_at = monotonic()
        return True

    def _hold(self, seconds: float) -> None:
        self._free_at = max(self._free_at, monotonic() + min(seconds, _LONGEST_HOLD_S))

    @property
    def rate(self) -> float:
        """Answers per second over the last minute."""
        now = monotonic()
        while self._answers and self._answers[0] < now - _WINDOW_S:
            self._answers.popleft()
        return len(self._answers) / min(_WINDOW_S, max(now - self._since, 1e-3))

    @property
    def lags(self) -> bool:
        """Whether the requests in flight will take longer than half of `timeout_s` at the current rate."""
        return bool(self._sent) and self.under_way > self.rate * self._timeout_s / 2

    def __str__(self) -> str:
        waited_s = monotonic() - min(self._sent.values(), default=monotonic())
        return (
            f"{self.rate * _WINDOW_S:,.3g} answers a minute, {self.under_way:,} requests under way, the oldest for "
            f"{waited_s:,.0f} s, at most {self.limit:,} at once now"
        )
