"""Single calls from many threads or coroutines, joined into batches: for trainers that ask for one sample at a time."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, TypeVar

from cxr_rewards.errors import SetupError

Item = TypeVar("Item")
Result = TypeVar("Result")
Outcome = TypeVar("Outcome")
_Asked = tuple[Item, Future[Result]]


class Coalescer(Generic[Item, Result]):
    """Calls `score` with the items that arrive within `wait_s` of the first, at most `most` at once.

    While one batch is scored the next gathers. Items whose futures are cancelled before their turn are left out. If a
    batch raises, its items are tried one by one, so that an error reaches only those who caused it; a `SetupError`,
    which is not the fault of one item, reaches all of them at once.

    Args:
        score: from a list of items to a list of results, in order.
        wait_s: the longest time that a lone item waits for others, in seconds.
        most: the largest batch.

    Example:
        >>> lengths = Coalescer(lambda texts: [len(text) for text in texts], wait_s=0.001)
        >>> lengths.submit("abc").result()
        3
    """

    def __init__(
        self, score: Callable[[Sequence[Item]], Sequence[Result]], *, wait_s: float = 0.02, most: int = 512
    ) -> None:
        self._score, self._wait_s, self._most = score, wait_s, most
        self._lock = threading.Lock()
        self._process = 0
        self._thread: threading.Thread | None = None
        self._queue: queue.SimpleQueue[_Asked[Item, Result]] = queue.SimpleQueue()

    def submit(self, item: Item) -> Future[Result]:
        """Return the future result of an item; in a coroutine `await asyncio.wrap_future(...)`."""
        future: Future[Result] = Future()
        with self._lock:
            if self._process != os.getpid():  # a forked child begins with a thread and a queue of its own
                self._process, self._thread = os.getpid(), None
                self._queue = queue.SimpleQueue()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, args=(self._queue,), name="cxr-rewards-batches", daemon=True
                )
                self._thread.start()
        self._queue.put((item, future))
        return future

    def _run(self, incoming: queue.SimpleQueue[_Asked[Item, Result]]) -> None:
        while True:
            batch = [incoming.get()]
            end = time.monotonic() + self._wait_s
            while len(batch) < self._most and (left := end - time.monotonic()) > 0:
                try:
                    batch.append(incoming.get(timeout=left))
                except queue.Empty:
                    break
            # From here on they cannot be cancelled, so that a result always finds its future waiting.
            wanted = [(item, future) for item, future in batch if future.set_running_or_notify_cancel()]
            if wanted:
                self._settle(wanted)

    def _settle(self, batch: Sequence[_Asked[Item, Result]]) -> None:
        """Give each future its result or its error."""
        try:
            results = self._score([item for item, _ in batch])
            if len(results) != len(batch):
                raise ValueError(f"{len(results)} results for {len(batch)} items")
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            if len(batch) == 1 or isinstance(error, SetupError):
                for _, future in batch:
                    _settle_future(future.set_exception, error)
            else:
                for one in batch:
                    self._settle([one])
        except BaseException as error:  # noqa: BLE001 - it would end this thread, and the loop of whoever waits
            for _, future in batch:
                _settle_future(
                    future.set_exception, RuntimeError(f"scoring was ended by {type(error).__name__}: {error}")
                )
        else:
            for (_, future), result in zip(batch, results, strict=True):
                _settle_future(future.set_result, result)


def _settle_future(settle: Callable[[Outcome], object], outcome: Outcome) -> None:
    """Settle a future; errors of its callbacks must not reach the others."""
    with suppress(BaseException):
        settle(outcome)
