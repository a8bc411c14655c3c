"""Finds out what a judge's server supports and how fast it is, with a few small requests."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from time import monotonic
from types import MappingProxyType
from typing import Literal, NamedTuple

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from cxr_rewards.core.usage import Tally
from cxr_rewards.errors import JudgeError
from cxr_rewards.judges.address import Address
from cxr_rewards.judges.asking import JudgeClient
from cxr_rewards.judges.chat import Form, Question, Reply
from cxr_rewards.judges.refusals import RetryLater
from cxr_rewards.judges.settings import JudgeSettings

LEVELS = (1, 8, 64)
"""Numbers of requests at once at which the speed is measured."""

State = Literal["yes", "ignored", "refused", "unclear"]

_TRIES = 6
_LONGEST_PAUSE_S = 5.0
_ROUNDS = 3
"""Requests one after the other, for the latency; 64 at once are asked twice as many."""
_LONGEST_S = 60.0
"""Longest time to spend on one number of requests at once."""
_SHORT = 128
_HELLO = "Task: greeting. Reply with the one word hello."
_NUMBERS = "Task: numbers. Write ten random numbers from 1 to 1000, separated by blanks, and nothing else."
_COLOUR = "blue"
_SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": [_COLOUR]}},
    "required": ["colour"],
    "additionalProperties": False,
}


class Support(NamedTuple):
    """Whether a server supports something: yes (its effect was seen), ignored (taken without effect), refused, unclear.

    `note` says what was seen.
    """

    state: State
    note: str


class Speed(NamedTuple):
    """Speed with so many requests at once.

    Attributes:
        at_once: requests under way at a time.
        sent: requests in total; 0 if it was not tried.
        a_second: answers a second; None if it was not tried.
        failed: number of requests without an answer, by kind: `429`, `5xx`, `timeout`, `connection`, ...
        note: why it was not tried.
    """

    at_once: int
    sent: int = 0
    a_second: float | None = None
    failed: Mapping[str, int] = MappingProxyType({})
    note: str = ""


@dataclass
class ServerProbe:
    """Findings about one address of a judge.

    Attributes:
        model, address: what was asked, and where.
        error: why it cannot be asked; empty if it can.
        support: of `usage`, `logprobs`, `schema` and `seed`.
        latency_s: median time until the answer to one of the judge's own questions, alone; None if not measured.
        speeds: at each number of requests at once.
    """

    model: str
    address: str
    error: str = ""
    support: dict[str, Support] = field(default_factory=dict)
    latency_s: float | None = None
    speeds: list[Speed] = field(default_factory=list)

    @property
    def best_a_second(self) -> float | None:
        """Answers a second at the best number of requests at once; None if not measured."""
        return max((speed.a_second for speed in self.speeds if speed.a_second), default=None)


def probe(
    settings: JudgeSettings, form: Form, questions: Iterator[Question], levels: Iterable[int]
) -> list[ServerProbe]:
    """Probe each address of a judge. Not for use inside a running event loop.

    Args:
        settings: of the judge.
        form: its requests without their messages.
        questions: questions of its own for measuring the speed, no two alike; as many as are read.
        levels: numbers of requests at once to try, from low to high; none: the speed is not measured.

    Raises:
        ConfigError: a missing key or an invalid address.
    """
    at_once = tuple(levels)

    async def run() -> list[ServerProbe]:
        client = JudgeClient(settings, Tally(), asyncio.get_running_loop())
        try:
            return [await _Probing(client, address, form).result(questions, at_once) for address in client.addresses]
        finally:
            await client.aclose()

    return asyncio.run(run())


class _Probing:
    """The requests to one address."""

    def __init__(self, client: JudgeClient, address: Address, form: Form) -> None:
        self._client, self._address, self._form = client, address, form

    async def result(self, questions: Iterator[Question], levels: tuple[int, ...]) -> ServerProbe:
        found = ServerProbe(self._client.settings.model, self._address.url)
        try:
            reply = await self._send(self._question(_HELLO))
        except JudgeError as error:
            found.error = str(error)
            return found
        found.support["usage"] = _usage(reply)
        found.support["logprobs"] = await self._logprobs()
        found.support["schema"] = await self._schema()
        found.support["seed"] = await self._seed()
        if found.support["schema"].state == "refused":  # a run finds out with its first request
            questions = (question._replace(form=_without_schema(question.form)) for question in questions)
        for level in levels:
            found.speeds.append(await self._speed(questions, level, found))
        return found

    def _question(self, text: str, fields: Mapping[str, object] = MappingProxyType({}), schema: str = "") -> Question:
        """Return a small question; `fields` replace those of the judge's requests."""
        changed = json.dumps({**json.loads(self._form.fields), **fields})
        structured = "json_schema" if schema else "off"
        form = self._form._replace(fields=changed, schema=schema, name="colour", structured=structured)
        return Question(None, (("user", text),), form, 0, str)

    async def _send(self, question: Question) -> Reply:
        """Send a question, and again if the failure may pass."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, RetryLater) and error.kind != "timeout"),
            wait=_pause,
            stop=stop_after_attempt(_TRIES),
            reraise=True,
        ):
            with attempt:
                await self._client.admit(question)
                reply, _ = await self._address.ask(question)
        return reply

    async def _ask_briefly(self, text: str, fields: Mapping[str, object], schema: str = "") -> Reply | Support:
        """Return the reply to a small question, cut short; the state if the request was refused or got no answer."""
        try:
            return await self._send(self._question(text, {**self._short(), **fields}, schema))
        except RetryLater as error:
            return Support("refused" if error.kind == "5xx" else "unclear", str(error))
        except JudgeError as error:
            return Support("refused", str(error))

    def _short(self) -> dict[str, object]:
        """Return the field that limits a reply to a few tokens."""
        fields = json.loads(self._form.fields)
        name = next((name for name in ("max_completion_tokens", "max_tokens") if name in fields), "max_tokens")
        return {name: _SHORT}

    async def _logprobs(self) -> Support:
        reply = await self._ask_briefly(_HELLO, {"logprobs": True})
        if isinstance(reply, Support):
            return reply
        return Support("yes", "they come if asked for") if reply.has_logprobs else Support("ignored", "none came")

    async def _schema(self) -> Support:
        """Ask for a greeting with a schema that allows one colour only: a server that follows it names the colour."""
        reply = await self._ask_briefly(_HELLO, {}, json.dumps(_SCHEMA))
        if isinstance(reply, Support):
            return reply
        try:
            if json.loads(reply.text) == {"colour": _COLOUR}:
                return Support("yes", "replies are bound to the schema")
        except ValueError:
            pass
        if not reply.text.strip():
            return Support("unclear", f"the reply is empty (finish_reason {reply.finish!r}): perhaps all was reasoning")
        return Support("ignored", "taken, but the reply does not follow it: only the prompt asks for JSON")

    async def _seed(self) -> Support:
        fields: dict[str, object] = {"temperature": 1.0} if "temperature" in json.loads(self._form.fields) else {}
        texts = []
        for seed in (7, 7, 8):
            reply = await self._ask_briefly(_NUMBERS, {**fields, "seed": seed})
            if isinstance(reply, Support):
                return reply
            texts.append(reply.text)
        first, again, other = texts
        if first != again:
            return Support("ignored", "equal seeds gave different replies")
        if first == other:
            return Support("unclear", "taken; replies are alike whatever the seed")
        return Support("yes", "equal seeds gave equal replies, another seed another")

    async def _speed(self, questions: Iterator[Question], at_once: int, found: ServerProbe) -> Speed:
        """Keep `at_once` requests under way until enough are answered."""
        most, best = self._client.settings.concurrency, found.best_a_second
        count = _ROUNDS if at_once == 1 else 2 * at_once
        if at_once > most:
            return Speed(at_once, note=f"not tried: above concurrency = {most}")
        if at_once > 1 and best is None:
            return Speed(at_once, note="not tried: no answers with fewer")
        if best is not None and count / best > _LONGEST_S:
            return Speed(at_once, note=f"not tried: {count} answers would take about {count / best:,.0f} s")
        failed: Counter[str] = Counter()
        times: list[float] = []
        left = iter(range(count))

        async def worker() -> None:
            for _ in left:
                question = next(questions)
                await self._client.admit(question)
                start = monotonic()
                try:
                    await self._address.ask(question)
                except JudgeError as error:
                    failed[error.kind if isinstance(error, RetryLater) else type(error).__name__] += 1
                else:
                    times.append(monotonic() - start)

        start = monotonic()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        took_s = monotonic() - start
        if at_once == 1 and times:
            found.latency_s = median(times)
        return Speed(at_once, count, len(times) / took_s, failed)


def _without_schema(form: Form) -> Form:
    return form._replace(structured="off") if form.structured == "auto" else form


def _usage(reply: Reply) -> Support:
    if None in reply.usage:
        return Support("ignored", "replies count no tokens: they are estimated from the texts' lengths")
    return Support("yes", "replies count their tokens")


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.after_s if isinstance(error, RetryLater) else 0.0
    return float(min(max(asked_s, 0.05 * 2**state.attempt_number), _LONGEST_PAUSE_S))
