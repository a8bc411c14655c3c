"""HTTP to servers of rewards, in a thread of its own: replies within limits of time and size."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TypeVar

import httpx2

from cxr_rewards.core.filling import reason
from cxr_rewards.errors import ConfigError, SetupError
from cxr_rewards.text.json_text import too_many_values

Result = TypeVar("Result")
_CONNECT_S = 10.0
_MOST_BYTES = (4 << 20, 64)
"""Most bytes of a reply: a constant, plus a number per byte of the request. Our servers send at most 20."""
_MOST_VALUES = (250_000, 8)
"""Most texts, numbers, lists and objects of a reply, in the same way. Our servers send at most 3 per byte."""
_LONG_TOKEN = 12
"""A token of this length or more cannot occur in a reply by chance."""
_RELEASED = "RemoteReward: it was released while it scored"


class ForeignReply(Exception):  # noqa: N818 - it says what happened
    """A reply that a cxr-rewards server would not send."""


@dataclass(frozen=True)
class Reply:
    """A complete reply."""

    status: int
    text: str
    retry_after: str
    asked: int

    def json(self) -> object:
        """Return the parsed JSON.

        Raises:
            ForeignReply: it is not JSON, or holds too many values.
        """
        if too_many_values(self.text, _most(_MOST_VALUES, self.asked)):
            raise ForeignReply("it holds too many values")
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise ForeignReply(reason(error)) from None
        except RecursionError:
            raise ForeignReply("its lists and objects are nested too deeply") from None


class Connection:
    """Connections to servers, in their own thread, so that deadlines hold whatever a server does."""

    def __init__(self, token: str, most: int) -> None:
        self.process = os.getpid()
        self.token = token
        self.places = asyncio.Semaphore(most)
        headers = {"Accept-Encoding": "identity"}  # a reply is as large as it says
        if token:
            headers["Authorization"] = f"Bearer {token}"
        limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most)
        timeout = httpx2.Timeout(None, connect=_CONNECT_S)  # for the rest see `ask`
        try:
            self._http = httpx2.AsyncClient(headers=headers, limits=limits, timeout=timeout)
        except (ValueError, ImportError, httpx2.InvalidURL) as error:
            raise ConfigError(
                f"RemoteReward: {error}; look at the variables HTTP_PROXY, HTTPS_PROXY, ALL_PROXY"
            ) from None
        self._loop, self._ended = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="cxr-rewards-remote", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with self._http:
            await self._ended.wait()

    def wait(self, work: Coroutine[object, object, Result]) -> Result:
        """Return what a coroutine returns."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # closed
            work.close()
            raise SetupError(_RELEASED) from None
        try:
            return future.result()
        except CancelledError:
            raise SetupError(_RELEASED) from None
        finally:
            future.cancel()

    async def ask(self, method: str, url: str, content: bytes, seconds: float) -> Reply:
        """Return a reply, read completely within limits of time and size.

        Raises:
            TimeoutError: the reply is late.
            httpx2.HTTPError: there is no reply.
            ForeignReply: it is too large, compressed, or not text.
        """
        headers = {"Content-Type": "application/json"} if content else {}
        most, body = _most(_MOST_BYTES, len(content)), bytearray()
        async with asyncio.timeout(seconds):
            stream = self._http.stream(method, url, content=content or None, headers=headers)
            async with stream as reply:
                if reply.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise ForeignReply("it is compressed, which was not asked for")
                async for part in reply.aiter_raw():
                    body += part
                    if len(body) > most:
                        raise ForeignReply(f"it has more than {most:,} bytes")
        later = reply.headers.get("Retry-After", "")
        if reply.status_code != 200:
            text = self.without_token(body.decode("utf-8", "replace"))
            return Reply(reply.status_code, text, later, len(content))
        try:
            text = body.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise ForeignReply(f"byte {error.start:,} is not UTF-8") from None
        if len(self.token) >= _LONG_TOKEN and self.token in text:
            raise ForeignReply("it repeats the token")
        return Reply(200, text, later, len(content))

    def without_token(self, text: str) -> str:
        """Return a server's text with the token masked."""
        return text.replace(self.token, "***") if self.token else text

    def close(self) -> None:
        """Close the connections and end the thread."""
        if self.process == os.getpid() and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self._loop.call_soon_threadsafe(self._ended.set)
            if threading.current_thread() is not self._thread:
                self._thread.join(_CONNECT_S)


def _most(limits: tuple[int, int], asked: int) -> int:
    return limits[0] + limits[1] * asked
