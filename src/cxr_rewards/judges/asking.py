"""Asks an endpoint many questions at once, each until it has a verdict or clearly never will."""

from __future__ import annotations

import asyncio
import logging
import queue
import random
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from cxr_rewards.core.filling import failure_of
from cxr_rewards.core.usage import Tally
from cxr_rewards.errors import JudgeError, JudgeStopped, JudgeTimeout, JudgeTransportError, VerdictParseError
from cxr_rewards.judges.address import Address
from cxr_rewards.judges.chat import Question
from cxr_rewards.judges.details import ReplyText
from cxr_rewards.judges.keys import Scrubber, key_for
from cxr_rewards.judges.limits import Budget, Rate
from cxr_rewards.judges.refusals import Lesson, RetryLater
from cxr_rewards.judges.settings import JudgeSettings
from cxr_rewards.types import Failure

ASKS = 3
"""Most attempts at a case whose replies are not verdicts; fewer if the judge says the same again."""

_LOG = logging.getLogger(__name__)
_GATHER_S = 0.005
_IDLE_S = 0.2
_FIRST_S = 30.0
"""How long to wait for a judge that has never answered: more likely a wrong address than a pause."""
_LOOK_S = 0.5
_WATCH_S = 30.0
_REPEAT_S = 300.0
_Entry = tuple[Any, str | Failure] | BaseException | None
"""An item with its reply, the error that ended a call of `ask`, or None at its end."""


@dataclass
class _Run:
    """One call of `JudgeClient.ask`."""

    questions: Iterator[Question]
    where: str
    out: queue.SimpleQueue[_Entry]
    error: BaseException | None = None
    is_over: bool = False


class JudgeClient:
    """Asks one endpoint; made by `client_for`.

    Args:
        settings: of a judge; its model, addresses, key, limits and prices are used.
        tally: counts calls, tokens, money and failures.
        loop: its thread runs everything but `ask`.

    Raises:
        ConfigError: a missing key or an invalid address.
    """

    def __init__(self, settings: JudgeSettings, tally: Tally, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.tally = tally
        self._loop = loop
        self._key = key_for(settings)
        scrub = Scrubber(self._key)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers |= {"api-key": self._key} if settings.api_version else {"Authorization": f"Bearer {self._key}"}
        self.addresses = [Address(url, settings, headers, scrub) for url in settings.urls]
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._requests = Rate(settings.requests_per_minute)
        self._tokens = Rate(settings.tokens_per_minute)
        self._budget = Budget(settings.budget_calls, settings.budget_tokens, settings.budget_usd)
        self._same: dict[object, asyncio.Future[str]] = {}
        self._entering: deque[asyncio.Future[None]] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._entrants = 0
        self._failed_in_a_row = 0
        self._warned_at = float("-inf")

    def ask(self, questions: Iterator[Question], where: str) -> Iterator[list[tuple[Any, str | Failure]]]:
        """Yield (item, reply or `Failure`) in batches as they come; an empty batch if nothing came for a while.

        Args:
            questions: read in the loop's thread, each only when it can be sent.
            where: the judge's name, for failures.

        Raises:
            JudgeStopped: the endpoint cannot work, or the budget is spent, or `stop_after` cases failed in a row.
            Exception: whatever `questions` raises.
        """
        out: queue.SimpleQueue[_Entry] = queue.SimpleQueue()
        work = asyncio.run_coroutine_threadsafe(self._work(questions, where, out), self._loop)
        try:
            while True:
                try:
                    first = out.get(timeout=_IDLE_S)
                except queue.Empty:
                    if work.done() and out.empty():
                        raise JudgeStopped(f"{where}: the judges were closed meanwhile") from None
                    yield []
                    continue
                time.sleep(_GATHER_S)  # gather replies: fewer wake-ups and writes to the cache
                got = [first]
                while not out.empty():
                    got.append(out.get())
                yield [entry for entry in got if isinstance(entry, tuple)]
                for entry in got:
                    if isinstance(entry, BaseException):
                        raise entry
                    if entry is None:
                        return
        finally:
            work.cancel()

    async def _work(self, questions: Iterator[Question], where: str, out: queue.SimpleQueue[_Entry]) -> None:
        run = _Run(questions, where, out)
        workers = [self._worker(run) for _ in range(self.settings.concurrency)]
        watch = asyncio.create_task(self._watch())
        try:
            await asyncio.gather(*workers)
        finally:
            watch.cancel()
        out.put(run.error)

    async def _worker(self, run: _Run) -> None:
        while True:
            async with self._slots:
                while not run.is_over and not self._has_room():
                    await self._wait_for_room(self._idle)
                try:
                    # After an error, ask nothing more, but wait for requests under way: they are paid for.
                    question = None if run.is_over else next(run.questions, None)
                    reply = await self._value(question, run.where) if question else None
                except Exception as error:  # noqa: BLE001 - handed to the thread that asked
                    run.error = run.error or error
                    question = None
                if question is None or reply is None:
                    run.is_over = True
                    self._wake(everyone=True)
                    return
                run.out.put((question.item, reply))

    async def _value(self, question: Question, where: str) -> str | Failure:
        try:
            value = await self._once(question)
        except JudgeStopped:
            raise
        except JudgeError as error:
            self._note_failure(error)
            return failure_of(where, error)
        except Exception as error:  # noqa: BLE001 - an error in one question must not end the others
            return failure_of(where, error)
        self._failed_in_a_row = 0
        return value

    def _note_failure(self, error: JudgeError) -> None:
        self.tally.failures[type(error).__name__] += 1
        self._failed_in_a_row += 1
        stop_after = self.settings.stop_after
        if stop_after and self._failed_in_a_row >= stop_after:
            raise JudgeStopped(
                f"{self.settings.model}: {self._failed_in_a_row} cases in a row without a verdict (stop_after = "
                f"{stop_after}); the last: {error}. What was answered is in the cache."
            )

    async def _once(self, question: Question) -> str:
        """Ask, or wait for the answer if the same question is under way already."""
        key = question.key
        other = self._same.get(key)
        if other is not None:
            await asyncio.wait([other])
            if other.cancelled():  # whoever asked first was interrupted
                return await self._once(question)
            return other.result()
        mine = self._same[key] = self._loop.create_future()
        try:
            text = await _Inquiry(self, question).verdict()
            mine.set_result(text)
        except Exception as error:
            mine.set_exception(error)
            mine.exception()  # mark it as retrieved: perhaps nobody else waits for it
            raise
        finally:
            if not mine.done():
                mine.cancel()
            del self._same[key]
        return text

    async def admit(self, question: Question) -> None:
        """Wait until the limits of requests and tokens per minute allow a question."""
        await self._requests.take(1)
        await self._tokens.take(question.tokens)

    async def enter(self) -> Address:
        """Return an address that may be asked now; wait if all are busy.

        Raises:
            RetryLater: all are down.
        """
        self._entrants += 1
        try:
            while (address := self._choose()) is None:
                await self._wait_for_room(self._entering)
        finally:
            self._entrants -= 1
        return address

    def _choose(self) -> Address | None:
        """Return an address whose trial is due, or else the least busy one that is up and has room."""
        for address in self.addresses:
            if address.breaker.is_open and address.pace.has_room and address.breaker.may_send():
                return address
        up = [address for address in self.addresses if not address.breaker.is_open]
        if up:
            free = [address for address in up if address.pace.has_room]
            return min(free, key=lambda address: address.pace.under_way, default=None)
        last = max((address.breaker for address in self.addresses), key=lambda breaker: breaker.down_since)
        patience_s = _FIRST_S if last.never else self.settings.deadline_s
        raise RetryLater(
            "down",
            f"the judge is down: {'; '.join(a.breaker.why for a in self.addresses)}",
            is_hopeless=monotonic() - last.down_since > patience_s,
        )

    def _has_room(self) -> bool:
        """Return whether to take a new question: an address is free, and no older question waits for it.

        Also true if all are down: the question is taken, and its case fails.
        """
        if self._entrants:
            return False
        up = [address for address in self.addresses if not address.breaker.is_open]
        return not up or any(address.pace.has_room for address in up)

    async def _wait_for_room(self, waiting: deque[asyncio.Future[None]]) -> None:
        place = self._loop.create_future()
        waiting.append(place)
        try:
            await asyncio.wait([place], timeout=_LOOK_S)  # look again now and then: a pause may have ended
        finally:
            place.cancel()
            with suppress(ValueError):
                waiting.remove(place)

    def _wake(self, *, everyone: bool = False) -> None:
        """Wake a few of those who wait, because an answer may have made room for them, or everyone."""
        for _ in range(len(self._entering) + len(self._idle) if everyone else 4):
            waiting = self._entering or self._idle
            if waiting and not (place := waiting.popleft()).done():
                place.set_result(None)

    async def attempt(self, question: Question, address: Address, lesson: Lesson | None) -> str:
        """Ask an address once.

        Args:
            question: to ask.
            address: from `enter`.
            lesson: the part of the request that the address may refuse, changed as a trial.

        Returns:
            The text of a verdict.
        """
        self._budget.check(self.tally, self.settings.model)
        self.tally.calls += 1
        self.tally.in_flight += 1
        used = guess = question.tokens
        start = monotonic()
        try:
            reply, request = await address.ask(question, address.plain() if lesson else None)
            if lesson is not None:
                address.learn_from_trial(lesson)
            prompt, completion = reply.prompt_tokens(request), reply.completion_tokens(question.form.most_tokens)
            self._count(prompt, completion)
            used = prompt + completion
            try:
                reply.check(cut_off=question.form.reads_cut_off)
                question.check(reply.text)
            except VerdictParseError as error:
                error.reply = reply.text
                raise
        finally:
            self.tally.in_flight -= 1
            self._tokens.correct(used - guess)
            self._wake()
        self.tally.replies += 1
        return ReplyText(reply.text, prompt, completion, monotonic() - start)

    def _count(self, prompt_tokens: int, completion_tokens: int) -> None:
        tally, settings = self.tally, self.settings
        tally.prompt_tokens += prompt_tokens
        tally.completion_tokens += completion_tokens
        tally.usd += 1e-6 * (
            prompt_tokens * settings.usd_per_million_input + completion_tokens * settings.usd_per_million_output
        )

    async def _watch(self) -> None:
        """Warn if the judge cannot keep up: not only when the first requests time out."""
        while True:
            await asyncio.sleep(_WATCH_S)
            slow = [address for address in self.addresses if address.pace.lags]
            if slow and monotonic() > self._warned_at + _REPEAT_S:
                self._warned_at = monotonic()
                _LOG.warning(
                    "judge %s is slow: %s. It has timeout_s = %g for each; raise it, or set concurrency to what the "
                    "server works on at once",
                    self.settings.model,
                    "; ".join(f"{address.url}: {address.pace}" for address in slow),
                    self.settings.timeout_s,
                )

    async def aclose(self) -> None:
        """Close all connections."""
        for address in self.addresses:
            await address.aclose()

    def __repr__(self) -> str:
        return f"<JudgeClient {self.settings.model} at {', '.join(self.settings.urls)}: {self.tally}>"


class _Inquiry:
    """One question, asked until it has a verdict, clearly never will, or runs out of time."""

    def __init__(self, client: JudgeClient, question: Question) -> None:
        self._client, self._question = client, question
        self._deadline_s = client.settings.deadline_s
        self._end = 0.0
        self._asks = 0
        self._unread: set[str] = set()
        self._trial: tuple[Address, Lesson] | None = None
        self._last: Exception | None = None

    async def verdict(self) -> str:
        """Return the text of the verdict.

        Raises:
            JudgeError: there is no verdict.
        """
        await self._client.admit(self._question)
        address = await self._enter()
        self._end = monotonic() + self._deadline_s  # waiting for the others does not count
        try:
            async with asyncio.timeout(self._deadline_s + 1):
                return await self._until_verdict(address)
        except RetryLater as error:
            raise self._gave_up(str(error)) from None
        except TimeoutError:
            last = f"; the last: {self._last}" if self._last else ""
            raise self._gave_up(f"no answer within deadline_s = {self._deadline_s:g}{last}") from None

    def _gave_up(self, message: str) -> JudgeTransportError:
        """Return the error of a question that ran out of time, according to its last failure."""
        is_slow = not isinstance(self._last, RetryLater) or self._last.kind == "timeout"
        return JudgeTimeout(message) if is_slow else JudgeTransportError(message)

    async def _enter(self) -> Address | RetryLater:
        try:
            return await self._client.enter()
        except RetryLater as down:
            return down

    async def _until_verdict(self, address: Address | RetryLater) -> str:
        try:
            return await self._attempt(address)
        except (RetryLater, VerdictParseError) as error:
            first = [error]

        async def attempt() -> str:
            if first:
                raise first.pop()
            await self._client.admit(self._question)
            return await self._attempt(self._trial[0] if self._trial else await self._enter())

        # Made only after a failure: it costs as much CPU as the rest of a request.
        return await AsyncRetrying(
            retry=retry_if_exception_type((RetryLater, VerdictParseError)),
            wait=_pause,
            stop=self._is_enough,
            before_sleep=self._count,
            reraise=True,
        )(attempt)

    async def _attempt(self, address: Address | RetryLater) -> str:
        if isinstance(address, RetryLater):
            self._last = address
            raise address
        lesson = self._trial[1] if self._trial else None
        self._trial = None
        try:
            return await self._client.attempt(self._question, address, lesson)
        except VerdictParseError as error:
            self._last = error
            raise
        except JudgeError as error:
            self._last = error
            if lesson is not None and lesson.otherwise is not None:
                raise lesson.otherwise from None  # it fails without a schema too
            if isinstance(error, RetryLater) and error.lesson is not None and error.lesson.otherwise is not None:
                self._trial = address, error.lesson
            raise

    def _is_enough(self, state: RetryCallState) -> bool:
        error = _error_of(state)
        if isinstance(error, VerdictParseError):
            self._asks += 1
            says_it_again = error.reply in self._unread
            if error.reply:
                self._unread.add(error.reply)
            return says_it_again or self._asks >= ASKS
        return isinstance(error, RetryLater) and (error.is_hopeless or monotonic() + error.after_s >= self._end)

    def _count(self, state: RetryCallState) -> None:
        error = _error_of(state)
        kind = error.kind if isinstance(error, RetryLater) else "no verdict"
        if kind != "down":  # nothing was sent
            self._client.tally.retries[kind] += 1


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _pause(state: RetryCallState) -> float:
    """Return the next wait: as long as the server asks, else twice the last; with jitter."""
    error = _error_of(state)
    if isinstance(error, VerdictParseError) or (isinstance(error, RetryLater) and error.lesson is not None):
        return 0.0
    if isinstance(error, RetryLater) and error.after_s:
        return error.after_s * random.uniform(1.0, 1.1)  # noqa: S311 - jitter
    return float(min(0.25 * 2 ** min(state.attempt_number, 8), 20.0)) * random.uniform(0.5, 1.0)  # noqa: S311
