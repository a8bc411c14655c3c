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
    """The queue has no room for a request's cases; `retry_after_s` estimates when it will."""

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
        """Whether nobody waits for it any more; scoring threads read this, too."""
        return self.future.done() or time.monotonic() > self.deadline


class Batches:
    """Joins waiting requests into batches, and scores them in threads.

    A batch is full at `batch_cases` or `batch_tokens` (one token for four characters). A request is never split, so a
    larger one is a batch of its own. An idle server waits `wait_s` for more requests; a busy one never does, because
    the next batch gathers while one is scored.

    Args:
        reward: the reward that scores the cases.
        metrics: counts each batch.
        batch_cases: most cases in a batch.
        batch_tokens: most tokens in a batch.
        wait_s: seconds that an idle server waits for more requests.
        queue_cases: most cases that may wait; a larger request is accepted if nothing waits.
        threads: batches scored at a time; more than one pays if judges are asked.
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
        self._arrived = asyncio.Event()
        self._pool = ThreadPoolExecutor(threads, "cxr-rewards-score")
        self._tasks = [asyncio.create_task(self._work()) for _ in range(threads)]

    @property
    def is_alive(self) -> bool:
        """Whether all its workers still run."""
        return not any(task.done() for task in self._tasks)

    async def parts(self, cases: Sequence[Case], timeout_s: float) -> list[tuple[Score, ...]]:
        """Return the parts of a request's cases, as `CompositeReward.parts` does.

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
        self._arrived.set()
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
                self._arrived.clear()
                await self._arrived.wait()
                await asyncio.sleep(self.wait_s)
            await self._finish(self._take())  # a call, so that no local keeps a batch while idle

    async def _finish(self, batch: Sequence[_Job]) -> None:
        if not batch:
            return
        begin = time.monotonic()
        try:
            scores = await asyncio.get_running_loop().run_in_executor(self._pool, self._score, batch)
        except Exception as error:  # noqa: BLE001 - raised for each request that waits
            for job in batch:
                if not job.future.done():
                    job.future.set_exception(error)
            return
        seconds = max(1e-6, time.monotonic() - begin)
        self._rate += 0.2 * (sum(len(job.cases) for job in batch) / seconds - self._rate)
        parts = iter(scores)
        for job in batch:
            rows = list(islice(parts, len(job.cases)))
            if not job.future.done():
                job.future.set_result(rows)

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
        """Stop; requests that still wait are not scored."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)
