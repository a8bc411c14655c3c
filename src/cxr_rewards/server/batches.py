"""Cases of many requests, scored together: a bounded queue, batches by number and length, deadlines, cancellation."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from cxr_rewards.reward.composite import CompositeReward
from cxr_rewards.server.metrics import Metrics
from cxr_rewards.types import Case, Score


class QueueFullError(Exception):
    """No room for a request's cases; `retry_after_s` is about how long it takes until there is."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the queue is full; room in about {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


@dataclass(eq=False)
class _Job:
    cases: Sequence[Case]
    tokens: int
    deadline: float
    future: asyncio.Future[list[tuple[Score, ...]]] = field(repr=False)

    @property
    def is_gone(self) -> bool:
        """Whether nobody waits for it any more; read by scoring threads, too."""
        return self.future.done() or time.monotonic() > self.deadline


class Batches:
    """Joins what waits into batches, and scores them in threads.

    A batch is full at `batch_cases` or `batch_tokens` (a token is taken for four characters); a request is never cut,
    so a larger one is a batch of its own. An idle server waits `wait_s` for company; a busy one never, for the next
    batch gathers while one is scored.

    Args:
        reward: what scores.
        metrics: told of each batch.
        threads: batches at a time; more than one where judges are waited for.
        queue_cases: most cases that wait; a single larger request is taken if nothing waits.
    """

    def __init__(
        self,
        reward: CompositeReward,
        metrics: Metrics,
        *,
        batch_cases: int = 512,
        batch_tokens: int = 262_144,
        wait_s: float = 0.002,
        queue_cases: int = 16_384,
        threads: int = 1,
    ) -> None:
        self.reward, self.metrics = reward, metrics
        self.batch_cases, self.batch_tokens, self.wait_s = batch_cases, batch_tokens, wait_s
        self.queue_cases = queue_cases
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._rate = 500.0  # cases a second, until it is known
        self._came = asyncio.Event()
        self._pool = ThreadPoolExecutor(threads, "cxr-rewards-score")
        self._tasks = [asyncio.create_task(self._work()) for _ in range(threads)]

    @property
    def is_alive(self) -> bool:
        """Whether what it does is still being done."""
        return not any(task.done() for task in self._tasks)

    async def parts(self, cases: Sequence[Case], timeout_s: float) -> list[tuple[Score, ...]]:
        """Return the parts of a request's cases, as `CompositeReward.parts`.

        Raises:
            QueueFullError: there is no room for them.
            TimeoutError: they were not scored in time.
        """
        if not cases:
            return []
        if self._waiting and self._waiting + len(cases) > self.queue_cases:
            raise QueueFullError(max(1.0, self._waiting / self._rate))
        tokens = sum(len(c.candidate) + len(c.reference) + sum(map(len, c.priors)) for c in cases) // 4
        loop = asyncio.get_running_loop()
        job = _Job(cases, tokens, time.monotonic() + timeout_s, loop.create_future())
        self._jobs.append(job)
        self._count(len(cases))
        self._came.set()
        try:
            return await asyncio.wait_for(job.future, timeout_s)
        finally:
            if job in self._jobs:  # late, or its client went away
                self._jobs.remove(job)
                self._count(-len(cases))

    def _count(self, change: int) -> None:
        self._waiting += change
        self.metrics.queue.set(self._waiting)

    async def _work(self) -> None:
        while True:
            while not self._jobs:
                self._came.clear()
                await self._came.wait()
                await asyncio.sleep(self.wait_s)
            await self._finish(self._take())  # in a call of its own, so that nothing keeps the batch while none comes

    async def _finish(self, batch: Sequence[_Job]) -> None:
        if not batch:
            return
        begin = time.monotonic()
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._pool, self._score, batch)
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            for job in batch:
                if not job.future.done():
                    job.future.set_exception(error)
            return
        took = max(1e-6, time.monotonic() - begin)
        self._rate += 0.2 * (sum(len(job.cases) for job in batch) / took - self._rate)
        parts = iter(found)
        for job in batch:
            mine = list(islice(parts, len(job.cases)))
            if not job.future.done():
                job.future.set_result(mine)

    def _take(self) -> list[_Job]:
        batch: list[_Job] = []
        cases = tokens = 0
        while self._jobs:
            job = self._jobs[0]
            if batch and (cases + len(job.cases) > self.batch_cases or tokens + job.tokens > self.batch_tokens):
                break
            self._jobs.popleft()
            self._count(-len(job.cases))
            if job.is_gone:
                continue
            batch.append(job)
            cases, tokens = cases + len(job.cases), tokens + job.tokens
        return batch

    def _score(self, batch: Sequence[_Job]) -> list[tuple[Score, ...]]:
        owners = {id(case): job for job in batch for case in job.cases}
        begin = time.monotonic()
        parts = self.reward.parts([case for job in batch for case in job.cases], lambda c: owners[id(c)].is_gone)
        self.metrics.observe(self.reward, parts, time.monotonic() - begin)
        return parts

    async def close(self) -> None:
        """Stop; what still waits is not scored."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)
