"""The only HTTP out while scoring: asks judges, many at once, from one event loop in a thread of its own.

One client a process for each model, endpoint and set of limits, however many judges ask through it. The loop's thread
is started when first needed, so clients work from plain threads, from inside a running event loop and in forked or
spawned workers; `close_judges` ends it.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import random
import ssl
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from cxr_rewards.core.filling import reason
from cxr_rewards.errors import (
    ConfigError,
    JudgeError,
    JudgeStopped,
    JudgeTransportError,
    VerdictParseError,
)
from cxr_rewards.judges.chat import Dialect, Question, RetryLater, read_answer
from cxr_rewards.judges.limits import Breaker, Budget, Rate, Tally
from cxr_rewards.judges.settings import KEY_VARIABLE, MODEL_VARIABLE, URL_VARIABLE, JudgeSettings
from cxr_rewards.judges.wire import Headers, Wire
from cxr_rewards.types import Failure

ASKS = 3
"""How often a case is asked in all whose replies are no verdict."""

_GATHER_S = 0.005
_IDLE_S = 0.2
_FIRST_S = 30.0
"""How long to wait for a judge that has never answered: more likely a wrong address than a pause."""


class Endpoint(NamedTuple):
    """What makes two judges use one client."""

    model: str
    urls: tuple[str, ...]
    api_version: str
    api_key_env: str
    api_key_file: str
    concurrency: int
    requests_per_minute: int
    tokens_per_minute: int
    timeout_s: float
    deadline_s: float
    budget_calls: int
    budget_tokens: int
    budget_usd: float
    usd_per_million_input: float
    usd_per_million_output: float
    stop_after: int

    @classmethod
    def of(cls, settings: JudgeSettings) -> Endpoint:
        """Return the endpoint of a judge's settings.

        Raises:
            ConfigError: no model or no address is given, here or in the environment.
        """
        for key, variable in (("model", MODEL_VARIABLE), ("base_url", URL_VARIABLE)):
            if not getattr(settings, key):
                raise ConfigError(
                    f"{settings.name}: no {key} of a judge; give it in [judge] of the reward's TOML, "
                    f"as judge={{{key!r}: ...}} or in {variable}. To rehearse without one: cxr-rewards fake-judge"
                )
        return cls(*(getattr(settings, key) for key in cls._fields))


class _Address:
    """One address of an endpoint: its connections, its breaker, and how it wants to be asked."""

    def __init__(self, url: str, api_version: str) -> None:
        self.name = url
        full = url if url.endswith("/chat/completions") else f"{url}/chat/completions"
        self.wire = Wire(f"{full}?api-version={api_version}" if api_version else full)
        self.breaker = Breaker()
        self.under_way = 0
        self.dialect = Dialect()


class JudgeClient:
    """Asks one endpoint; made by `client_for`."""

    def __init__(self, endpoint: Endpoint, tally: Tally, loop: asyncio.AbstractEventLoop) -> None:
        self.endpoint = endpoint
        self.tally = tally
        self._loop = loop
        self._addresses = [_Address(url, endpoint.api_version) for url in endpoint.urls]
        self._key = _key(endpoint)
        self._headers = _headers(self._key, is_azure=bool(endpoint.api_version))
        self._slots = asyncio.Semaphore(endpoint.concurrency)
        self._requests = Rate(endpoint.requests_per_minute)
        self._tokens = Rate(endpoint.tokens_per_minute)
        self._budget = Budget(endpoint.budget_calls, endpoint.budget_tokens, endpoint.budget_usd)
        self._under_way: dict[Any, asyncio.Future[str]] = {}
        self._failed_in_a_row = 0

    def ask(self, questions: Iterator[Question], where: str) -> Iterator[list[tuple[Any, str | Failure]]]:
        """Yield (item, reply or `Failure`) in batches as they come; an empty batch where nothing came for a while.

        Args:
            questions: taken from the loop's thread, each when it can be sent.
            where: the judge's name, for failures.

        Raises:
            JudgeStopped: the endpoint cannot work, or the budget is spent, or `stop_after` cases failed in a row.
            Exception: whatever `questions` raises.
        """
        out: queue.SimpleQueue[tuple[Any, Any] | BaseException | None] = queue.SimpleQueue()
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
                time.sleep(_GATHER_S)  # so that this thread wakes, and the cache writes, once for many
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

    async def _work(self, questions: Iterator[Question], where: str, out: queue.SimpleQueue[Any]) -> None:
        errors: list[BaseException] = []
        workers = [self._worker(questions, where, out, errors) for _ in range(self.endpoint.concurrency)]
        await asyncio.gather(*workers)
        out.put(errors[0] if errors else None)

    async def _worker(
        self, questions: Iterator[Question], where: str, out: queue.SimpleQueue[Any], errors: list[BaseException]
    ) -> None:
        while True:
            async with self._slots:
                try:
                    # After an error nothing more is asked, but what is under way, and paid, is waited for.
                    question = None if errors else next(questions, None)
                    if question is None:
                        return
                    value = await self._value(question, where)
                except Exception as error:  # noqa: BLE001 - handed to the thread that asked
                    errors.append(error)
                    return
                out.put((question.item, value))

    async def _value(self, question: Question, where: str) -> str | Failure:
        try:
            value = await self._once(question)
        except JudgeStopped:
            raise
        except JudgeError as error:
            self._note_failure(error)
            return Failure(where, f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - an error in one question must not end the others
            return Failure(where, reason(error))
        self._failed_in_a_row = 0
        return value

    def _note_failure(self, error: JudgeError) -> None:
        self.tally.failures[type(error).__name__] += 1
        self._failed_in_a_row += 1
        if self.endpoint.stop_after and self._failed_in_a_row >= self.endpoint.stop_after:
            raise JudgeStopped(
                f"{self.endpoint.model}: {self._failed_in_a_row} cases in a row without a verdict (stop_after = "
                f"{self.endpoint.stop_after}); the last: {error}. What was answered is in the cache."
            )

    async def _once(self, question: Question) -> str:
        """Ask; where the same is being asked already, wait for that answer."""
        key = question.key
        other = self._under_way.get(key)
        if other is not None:
            await asyncio.wait([other])
            if other.cancelled():  # whoever asked first was interrupted
                return await self._once(question)
            return other.result()
        mine = self._under_way[key] = self._loop.create_future()
        try:
            text = await self._persist(question)
            mine.set_result(text)
        except Exception as error:
            mine.set_exception(error)
            mine.exception()  # looked at, for nobody else may be waiting
            raise
        finally:
            if not mine.done():
                mine.cancel()
            del self._under_way[key]
        return text

    async def _persist(self, question: Question) -> str:
        """Ask until there is a verdict, or it is clear that there will be none."""
        await self._admit(question)
        end = monotonic() + self.endpoint.deadline_s
        asks = 0

        def enough(state: RetryCallState) -> bool:
            nonlocal asks
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, VerdictParseError):
                asks += 1
                return asks >= ASKS
            return isinstance(error, RetryLater) and (error.hopeless or monotonic() + error.after_s >= end)

        def count(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            kind = error.kind if isinstance(error, RetryLater) else "no verdict"
            if kind != "down":  # nothing was sent
                self.tally.retries[kind] += 1

        async def attempt() -> str:
            if first:
                raise first.pop()
            await self._admit(question)
            return await self._attempt(question)

        try:
            async with asyncio.timeout(self.endpoint.deadline_s + 1):
                try:
                    return await self._attempt(question)
                except (RetryLater, VerdictParseError) as error:
                    first = [error]
                # Made only where something failed: it costs as much CPU as the rest of a request.
                return await AsyncRetrying(
                    retry=retry_if_exception_type((RetryLater, VerdictParseError)), wait=_pause, stop=enough,
                    before_sleep=count, reraise=True,
                )(attempt)  # fmt: skip
        except RetryLater as error:
            raise JudgeTransportError(str(error)) from None
        except TimeoutError:
            raise JudgeTransportError(f"no answer within deadline_s = {self.endpoint.deadline_s:g}") from None

    async def _admit(self, question: Question) -> None:
        await self._requests.take(1)
        await self._tokens.take(question.tokens)

    def _choose(self) -> _Address:
        """Return an address whose trial is due, or else the least busy one that is up."""
        for address in self._addresses:
            if address.breaker.is_open and address.breaker.may_send():
                return address
        up = [address for address in self._addresses if not address.breaker.is_open]
        if up:
            return min(up, key=lambda address: address.under_way)
        last = max((address.breaker for address in self._addresses), key=lambda breaker: breaker.down_since)
        patience = _FIRST_S if last.never else self.endpoint.deadline_s
        raise RetryLater(
            "down", f"the judge is down: {'; '.join(a.breaker.why for a in self._addresses)}",
            hopeless=monotonic() - last.down_since > patience,
        )  # fmt: skip

    async def _attempt(self, question: Question) -> str:
        self._budget.check(self.tally, self.endpoint.model)
        address = self._choose()
        address.under_way += 1
        self.tally.calls += 1
        used = guess = question.tokens
        try:
            dialect = address.dialect
            async with asyncio.timeout(self.endpoint.timeout_s):
                answer = await address.wire.post(dialect.body(question), self._headers)
            reply = read_answer(answer, dialect, self._key, address.name)
            used = self._count(*reply.tokens)
            address.breaker.succeeded()
            reply.check()
            question.check(reply.text)
        except TimeoutError:
            error = RetryLater("timeout", f"{address.name}: no answer within timeout_s = {self.endpoint.timeout_s:g}")
            address.breaker.failed(str(error))
            raise error from None
        except ssl.SSLCertVerificationError as refused:
            raise JudgeStopped(f"{address.name}: {refused}; for a certificate of your own set SSL_CERT_FILE") from None
        except OSError as broken:
            error = RetryLater("connection", f"{address.name}: {str(broken) or type(broken).__name__}")
            address.breaker.failed(str(error))
            raise error from None
        except RetryLater as error:
            if error.kind in ("5xx", "malformed"):
                address.breaker.failed(str(error))
            if error.lesson is not None:
                address.dialect = error.lesson
            raise
        else:
            self.tally.replies += 1
            return reply.text
        finally:
            address.under_way -= 1
            self._tokens.correct(used - guess)

    def _count(self, prompt_tokens: int, completion_tokens: int) -> int:
        tally, endpoint = self.tally, self.endpoint
        tally.prompt_tokens += prompt_tokens
        tally.completion_tokens += completion_tokens
        tally.usd += 1e-6 * (
            prompt_tokens * endpoint.usd_per_million_input + completion_tokens * endpoint.usd_per_million_output
        )
        return prompt_tokens + completion_tokens

    async def aclose(self) -> None:
        """Close all connections."""
        for address in self._addresses:
            await address.wire.aclose()

    def __repr__(self) -> str:
        return f"<JudgeClient {self.endpoint.model} at {', '.join(self.endpoint.urls)}: {self.tally}>"


def _headers(key: str, *, is_azure: bool) -> Headers:
    headers = [("Content-Type", "application/json"), ("Accept", "application/json")]
    if key:
        headers.append(("api-key", key) if is_azure else ("Authorization", f"Bearer {key}"))
    return headers


def _pause(state: RetryCallState) -> float:
    """Return how long to wait: what the server asks for, else twice as long each time; with jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, VerdictParseError):
        return 0.0
    if isinstance(error, RetryLater) and error.after_s:
        return error.after_s * random.uniform(1.0, 1.1)  # noqa: S311 - jitter
    return float(min(0.25 * 2 ** min(state.attempt_number, 8), 20.0)) * random.uniform(0.5, 1.0)  # noqa: S311


def _key(endpoint: Endpoint) -> str:
    """Return the key for an endpoint; empty where it needs none.

    Raises:
        ConfigError: a variable or file that was named holds none.
    """
    if endpoint.api_key_file:
        try:
            key = Path(endpoint.api_key_file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"api_key_file {endpoint.api_key_file}: cannot be read: {error}") from None
        where = endpoint.api_key_file
    elif endpoint.api_key_env:
        key, where = os.environ.get(endpoint.api_key_env, "").strip(), endpoint.api_key_env
    else:
        hosts = {url.partition("://")[2].partition("/")[0].partition(":")[0] for url in endpoint.urls}
        own = ""  # another's endpoint must not be sent the key to OpenAI
        if endpoint.api_version:
            own = "AZURE_OPENAI_API_KEY"
        elif hosts == {"api.openai.com"}:
            own = "OPENAI_API_KEY"
        return os.environ.get(KEY_VARIABLE, "").strip() or os.environ.get(own, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ConfigError(f"{where}: holds no key for the judge")
    return key


class _Runtime:
    """The event loop of a process, its thread, and its clients."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.clients: dict[Endpoint, JudgeClient] = {}
        self.thread = threading.Thread(target=self.loop.run_forever, name="cxr-rewards-judges", daemon=True)
        self.thread.start()

    def call(self, work: Coroutine[Any, Any, Any], timeout_s: float) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)


class _Process:
    """What there is once a process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.runtime: _Runtime | None = None
        self.tallies: dict[Endpoint, Tally] = {}
        self.of_parents: list[_Runtime] = []

    def begin_anew(self) -> None:
        """In a forked child: the loop's thread is the parent's, and so are the sockets."""
        self.lock, self.tallies = threading.Lock(), {}
        if self.runtime is not None:
            self.of_parents.append(self.runtime)  # kept: to collect it would close what the parent uses
            self.runtime = None


_process = _Process()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.begin_anew)


def client_for(settings: JudgeSettings) -> JudgeClient:
    """Return this process's client for a judge's endpoint.

    Raises:
        ConfigError: no model, address or key, where one is needed.
    """
    endpoint = Endpoint.of(settings)
    with _process.lock:
        runtime = _process.runtime = _process.runtime or _Runtime()
        if endpoint not in runtime.clients:
            tally = _process.tallies.setdefault(endpoint, Tally())
            runtime.clients[endpoint] = JudgeClient(endpoint, tally, runtime.loop)
        return runtime.clients[endpoint]


def tallies() -> dict[str, Tally]:
    """Return what each judge has cost this process so far, by model; clients of one model are added up."""
    found: dict[str, Tally] = {}
    for endpoint, tally in list(_process.tallies.items()):
        found[endpoint.model] = found.get(endpoint.model, Tally()) + tally
    return found


@atexit.register
def close_judges() -> None:
    """Close all connections to judges and end the loop's thread; the next question opens them again.

    What is being asked at this moment is cancelled.
    """
    with _process.lock:
        runtime, _process.runtime = _process.runtime, None
    if runtime is None:
        return

    async def close() -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in runtime.clients.values():
            await client.aclose()

    runtime.call(close(), 10.0)
    runtime.loop.call_soon_threadsafe(runtime.loop.stop)
    runtime.thread.join(10.0)
    runtime.loop.close()
