"""Single calls from many threads or coroutines, joined into batches: for trainers that ask for one sample at a time."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Coalescer(Generic[Item, Result]):
    """Calls `score` with what comes within `wait_s` of the first, at most `most` items at once.

    While one batch is scored the next gathers. An error of a batch is raised to each of its callers.

    Args:
        score: from a list of items to a list of results, in order.
        wait_s: the longest that a lone item waits for company, in seconds.
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
        self._queue: queue.SimpleQueue[tuple[Item, Future[Result]]] = queue.SimpleQueue()

    def submit(self, item: Item) -> Future[Result]:
        """Return the future result of an item; in a coroutine `await asyncio.wrap_future(...)`."""
        future: Future[Result] = Future()
        with self._lock:
            if self._process != os.getpid():  # a forked child has no thread of its own yet
                self._process = os.getpid()
                self._queue = queue.SimpleQueue()
                threading.Thread(target=self._run, args=(self._queue,), name="cxr-rewards-batches", daemon=True).start()
        self._queue.put((item, future))
        return future

    def _run(self, incoming: queue.SimpleQueue[tuple[Item, Future[Result]]]) -> None:
        while True:
            batch = [incoming.get()]
            end = time.monotonic() + self._wait_s
            while len(batch) < self._most and (left := end - time.monotonic()) > 0:
                try:
                    batch.append(incoming.get(timeout=left))
                except queue.Empty:
                    break
            try:
                results = self._score([item for item, _ in batch])
                for (_, future), result in zip(batch, results, strict=True):
                    future.set_result(result)
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
