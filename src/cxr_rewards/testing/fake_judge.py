"""A judge for rehearsals: a real HTTP server on loopback that speaks chat completions, and can be made to fail.

It answers every protocol of this library from the rule-based reader's comparison, and gives equal questions equal
answers. Its faults are drawn from a seed and the request, so a run can be repeated.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

from cxr_rewards.testing.fake_answers import answer_to

FAULTS = (
    "429",
    "429_later",
    "500",
    "503_burst",
    "hang",
    "reset",
    "reset_body",
    "bad_http",
    "bad_json",
    "not_json",
    "truncated",
    "refusal",
    "wrong_language",
    "wrong_count",
    "duplicated_key",
    "empty",
    "slow",
)
"""Faults that can be injected: rate limits without and with Retry-After, server errors alone and in bursts, no answer,
connections cut before and within the body, a body that is not a completion, verdicts that are malformed, prose, cut
off, refused, in another language, with an impossible count or a key twice, empty, and late."""

Answer = Callable[[Sequence[Mapping[str, str]]], str]
_TOO_LONG = 4_000_000


class FakeJudge:
    """A server of completions on loopback that runs in its own thread until it is closed.

    Args:
        port: port to listen on; 0: any free one.
        latency_s: seconds until an answer: a number, or (shortest, longest) for a uniform draw.
        faults: share of requests that fail, by name of `FAULTS`, or one number split evenly among all of them. A
            request that is sent again gets a new draw.
        seed: seed of latencies and faults.
        hang_s: seconds that a hanging request hangs.
        has_schema: whether `response_format` is accepted; otherwise it gets a 400.
        api_key: key that every request must carry; empty: none.
        answer: function from messages to a reply, instead of the reader's verdicts.

    Attributes:
        url: base address, for `base_url`.
        requests: number of requests received.
        answered: number of requests answered with a complete verdict.
        faulted: number of failed requests, by fault.
        seen: number of times each question came, by a digest of its body.
        most_at_once: largest number of requests under way at a time.

    Example:
        >>> from cxr_rewards import CompositeReward
        >>> with FakeJudge() as judge:
        ...     reward = CompositeReward.from_preset("judge_only", judge={"model": "any", "base_url": judge.url})
        ...     result = reward.score("Small left effusion.", "Small left effusion. Right pneumothorax.")
        >>> result.parts["chexprompt"].value, result.parts["chexprompt"].details["counts"]["significant"]["B"]
        (0.5, 1)
    """

    def __init__(
        self,
        port: int = 0,
        *,
        latency_s: float | tuple[float, float] = 0.0,
        faults: Mapping[str, float] | float = 0.0,
        seed: int = 0,
        hang_s: float = 3600.0,
        has_schema: bool = True,
        api_key: str = "",
        answer: Answer = answer_to,
    ) -> None:
        if isinstance(faults, int | float):
            faults = dict.fromkeys(FAULTS, faults / len(FAULTS))
        if unknown := faults.keys() - set(FAULTS):
            raise ValueError(f"FakeJudge: unknown faults {sorted(unknown)}; known: {', '.join(FAULTS)}")
        self._low, self._high = latency_s if isinstance(latency_s, tuple) else (latency_s, latency_s)
        self._faults = dict(faults)
        self._seed, self._hang_s, self._has_schema, self._api_key = seed, hang_s, has_schema, api_key
        self._answer = answer
        self.requests = self.answered = self.most_at_once = 0
        self.faulted: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self._now = 0
        self._burst = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-judge", daemon=True)
        self._thread.start()
        start = asyncio.start_server(self._connection, "127.0.0.1", port, backlog=1024)
        try:
            self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(10)
        except OSError:
            self._end()
            raise
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def close(self) -> None:
        """Stop; requests under way are cut off."""
        if self._loop.is_closed():
            return

        async def stop() -> None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(10)
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> FakeJudge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError, OSError, ValueError):
            pass  # the client has gone or does not speak HTTP, or we are closed
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return False if the connection ends."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.rstrip().split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (h.partition(":") for h in rest)}
        size = int(headers.get("content-length", "0"))
        if size > _TOO_LONG:
            return await self._send(writer, 413, {"error": {"message": "request too long"}})
        body = await reader.readexactly(size)
        path = line.split(" ")[1].partition("?")[0]
        if path.endswith("/models"):
            return await self._send(writer, 200, {"object": "list", "data": [{"id": "fake-judge", "object": "model"}]})
        if not path.endswith("/completions") or not path.startswith(("/v1/", "/openai/")):
            return await self._send(writer, 404, {"error": {"message": f"there is nothing at {path}"}})
        key = headers.get("api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if self._api_key and key != self._api_key:
            return await self._send(
                writer, 401, {"error": {"message": f"wrong key {key!r}", "code": "invalid_api_key"}}
            )
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            return await self._reply(writer, body, is_chat=path.endswith("/chat/completions"))
        finally:
            self._now -= 1

    async def _reply(self, writer: asyncio.StreamWriter, body: bytes, *, is_chat: bool) -> bool:
        self.requests += 1
        digest = blake2b(body, digest_size=8).hexdigest()
        self.seen[digest] += 1
        draw = blake2b(f"{self._seed} {digest} {self.seen[digest]}".encode(), digest_size=16).digest()
        latency, chance = (int.from_bytes(part, "big") / 2**64 for part in (draw[:8], draw[8:]))
        fault = self._fault(chance)
        await asyncio.sleep(self._low + latency * (self._high - self._low))
        if fault:
            self.faulted[fault] += 1
            if fault != "slow":
                handled = await self._fail(writer, fault)
                if handled is not None:
                    return handled
            else:
                await asyncio.sleep(10 * self._high)
        try:
            data = json.loads(body)
            messages = data["messages"] if is_chat else [{"role": "user", "content": data["prompt"]}]
            if "response_format" in data and not self._has_schema:
                return await self._send(writer, 400, {"error": {"message": "response_format is not supported here"}})
            text = self._answer(messages)
        except (ValueError, KeyError, TypeError) as error:
            return await self._send(writer, 400, {"error": {"message": f"{type(error).__name__}: {error}"}})
        refusal, finish = None, "stop"
        if fault == "refusal":
            text, refusal = "", "I cannot help with that."
        elif fault == "truncated":
            text, finish = text[: len(text) // 2], "length"
        elif fault:
            text = _SPOILED.get(fault, str)(text)
        self.answered += fault in (None, "slow")
        usage = {"prompt_tokens": len(body) // 4, "completion_tokens": len(text) // 4 + 1}
        said = {"message": {"role": "assistant", "content": text, "refusal": refusal}} if is_chat else {"text": text}
        return await self._send(
            writer,
            200,
            {
                "id": f"chatcmpl-{digest}",
                "object": "chat.completion",
                "created": 0,
                "model": str(data.get("model")),
                "choices": [{"index": 0, "finish_reason": finish, **said}],
                "usage": usage,
            },
            cut=fault == "reset_body",
        )

    def _fault(self, chance: float) -> str | None:
        if self._burst:
            self._burst -= 1
            return "503_burst"
        for name, share in self._faults.items():
            chance -= share
            if chance < 0:
                self._burst = 4 if name == "503_burst" else 0
                return name
        return None

    async def _fail(self, writer: asyncio.StreamWriter, fault: str) -> bool | None:
        """Fail at the level of HTTP and return whether the connection stays; None if the fault is in the verdict."""
        error = {"error": {"message": f"made to fail: {fault}", "type": "fake"}}
        if fault in ("429", "429_later"):
            later = "Retry-After: 0.2\r\n" if fault == "429_later" else ""
            return await self._send(writer, 429, error, later)
        if fault in ("500", "503_burst"):
            return await self._send(writer, int(fault[:3]), error)
        if fault == "hang":
            await asyncio.sleep(self._hang_s)
            return False
        if fault == "reset":
            writer.transport.abort()
            return False
        if fault == "bad_http":
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Type: application/json\r\n\r\n{"choices')
            await writer.drain()
            return True
        return None

    async def _send(
        self,
        writer: asyncio.StreamWriter,
        status: int,
        data: Mapping[str, object],
        headers: str = "",
        *,
        cut: bool = False,
    ) -> bool:
        body = json.dumps(data).encode()
        head = (
            f"HTTP/1.1 {status} {_PHRASES.get(status, 'Error')}\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + (body[: len(body) // 2] if cut else body))
        await writer.drain()
        if cut:
            writer.transport.abort()
        return not cut


_PHRASES = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


def _twice(text: str) -> str:
    """Return a verdict with one of its parts repeated."""
    if text.startswith("{"):
        return text[:-1] + ", " + text[1:] if len(text) > 2 else '{"x": 1, "x": 1}'
    return f"{text}\n{text}"


def _impossible(text: str) -> str:
    """Return a verdict with impossible numbers or words."""
    spoiled = re.sub(r"(?<=[:,] )\d+|^\d+(?=\.)", "-3", text, flags=re.MULTILINE)
    spoiled = re.sub(r'"(significant|entailed)": (true|false)', r'"\1": 7', spoiled)
    spoiled = re.sub(r'"clinical_significance": "\w+"', '"clinical_significance": "9"', spoiled)
    if spoiled == text:
        spoiled = re.sub(r"\bNo \w+ errors\b|\bNo matched findings\b", "(a) Errors: 1000. x", text)
    return spoiled if spoiled != text else text.replace("[]", "[-1]")


_SPOILED: Mapping[str, Callable[[str], str]] = {
    "bad_json": lambda text: text.replace('"', "", 1).replace("[Clinically", "[Clinical"),
    "not_json": lambda text: "The candidate is a fair account of the examination, with few mistakes.",  # noqa: ARG005
    "wrong_language": lambda text: "Der Befund ist im Wesentlichen korrekt; zwei Fehler.",  # noqa: ARG005
    "wrong_count": _impossible,
    "duplicated_key": _twice,
    "empty": lambda text: "",  # noqa: ARG005
}
