"""HTTP to one address of a judge, through httpx2: each POST returns one whole response."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from contextlib import AsyncExitStack
from math import ceil
from time import monotonic
from typing import NamedTuple
from weakref import WeakKeyDictionary

import httpx2

from cxr_rewards.errors import ConfigError

Headers = Mapping[str, str]

_MOST_BYTES = 4 << 20
"""Largest body of a response, before and after unpacking; a reply of 200,000 characters fits several times."""
_CONNECT_S = 10.0
_KEEP_ALIVE_S = 4.0  # uvicorn, on which most model servers run, closes idle connections after 5 s
_CLIENT_SIZE = 16
"""Requests under way in one httpx2 client, which searches all of its connections at each request."""
_SHORTEST_CHECK_S, _LONGEST_CHECK_S = 0.5, 10.0


class Answer(NamedTuple):
    """A whole HTTP response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ResponseUnreadable(Exception):  # noqa: N818 - says what happened
    """The response came, but its body is too large or its compression is unknown."""


class Connections:
    """Keep-alive connections to the server of a URL; proxies, certificates and NO_PROXY come from the environment.

    A connection that holds bytes nobody asked for is dropped, so that no reply is taken for the next question's.

    Raises:
        ConfigError: the URL, or a proxy variable of the environment, is invalid.
    """

    def __init__(self, url: str, concurrency: int) -> None:
        try:
            httpx2.URL(url)  # raises if it is not one
            context = httpx2.create_ssl_context()
            limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=_KEEP_ALIVE_S)
            timeout = httpx2.Timeout(None, connect=_CONNECT_S)  # `post` limits the whole request
            # Several, because a client slows down with its number of connections (benchmarks/judges.py).
            self._clients = [
                httpx2.AsyncClient(verify=context, limits=limits, timeout=timeout)
                for _ in range(ceil(min(concurrency, 1024) / _CLIENT_SIZE))
            ]
        except (ValueError, OSError, ImportError, httpx2.InvalidURL) as error:
            raise ConfigError(
                f"{url}: {error}; look at base_url and at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE"
            ) from None
        self._under_way = [0] * len(self._clients)
        self._last: WeakKeyDictionary[object, bytes] = WeakKeyDictionary()
        self._usual_s = 0.0
        self._repeats = self._is_alike = False

    async def post(self, body: bytes, headers: Headers, timeout_s: float, url: str) -> Answer:
        """Return the response to a request to a URL of the server.

        Raises:
            TimeoutError: the whole response did not arrive within `timeout_s`.
            ssl.SSLCertVerificationError: the server's certificate is not trusted.
            OSError: the connection fails, or the response is not HTTP.
            ResponseUnreadable: the body is larger than 4 MiB, or compressed in a way that was not asked for.
        """
        place = min(range(len(self._clients)), key=self._under_way.__getitem__)
        client = self._clients[place]
        self._under_way[place] += 1
        start = monotonic()
        try:
            request = client.build_request(
                "POST",
                url,
                content=body,
                headers={**headers, "Accept-Encoding": "identity"},
                extensions={"trace": _refuse_early_response()},
            )
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(timeout_s):
                    response = await client.send(request, stream=True)
                    stack.push_async_callback(response.aclose)
                    raw = await _read(response)
                took_s = monotonic() - start
                await self._check_repetition(response, raw)
        except httpx2.TransportError as error:
            raise _os_error(error) from None
        finally:
            self._under_way[place] -= 1
        self._usual_s = took_s if not self._usual_s else 0.9 * self._usual_s + 0.1 * took_s
        fields = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, fields, _unpack(raw, fields.get("content-encoding", "")))

    async def _check_repetition(self, response: httpx2.Response, body: bytes) -> None:
        """Refuse a repetition of the connection's last response if the real one follows.

        HTTP/1.1 has no number that ties a response to its request. If a server repeats a response after the next
        request has left, every question from then on gets the reply to the one before. So if a response equals the last
        one to the byte, we wait to see whether another follows. If one does, the connection is dropped, and from then
        on each request gets a connection of its own. If not, the server's responses are just alike (real servers number
        theirs), and we never wait again. A repetition that is read together with the real response is not seen.
        """
        stream = response.extensions["network_stream"]
        last, self._last[stream] = self._last.get(stream), body
        if last != body or self._is_alike or response.status_code != 200:
            return
        end = monotonic() + min(2 * self._usual_s + _SHORTEST_CHECK_S, _LONGEST_CHECK_S)
        while monotonic() < end:
            if stream.get_extra_info("is_readable"):
                self._repeats = True
                raise ConnectionError("the server sent a response twice; the connection is dropped")
            await asyncio.sleep(0.005)
        self._is_alike = not self._repeats

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.aclose()


def _refuse_early_response() -> object:
    """Return a trace function for httpx2 that refuses a response that arrived before its request was sent.

    Such a response lies in a buffer, so httpx2 returns it without giving the event loop a turn; a real one has to
    come through the socket first.
    """
    loop = asyncio.get_running_loop()
    turned = False

    def turn() -> None:
        nonlocal turned
        turned = True

    async def trace(event: str, _: Mapping[str, object]) -> None:
        nonlocal turned
        if event == "http11.receive_response_headers.started":
            turned = False
            loop.call_soon(turn)
        elif event == "http11.receive_response_headers.complete" and not turned:
            raise ConnectionError("the server sent more than was asked for; the connection is dropped")

    return trace


async def _read(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > _MOST_BYTES:
            raise ResponseUnreadable(f"the response has more than {_MOST_BYTES:,} bytes")
    return bytes(body)


def _unpack(body: bytes, encoding: str) -> bytes:
    """Return the body, decompressed up to a limit: httpx2 would decompress any amount."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ResponseUnreadable(f"the response is compressed by {encoding[:20]!r}, which was not asked for")
    decoder = zlib.decompressobj(wbits=47)  # the header tells gzip from zlib
    try:
        data = decoder.decompress(body, _MOST_BYTES)
    except zlib.error as error:
        raise ResponseUnreadable(f"the response's compression is damaged: {error}") from None
    if decoder.unconsumed_tail:
        raise ResponseUnreadable(f"the response has more than {_MOST_BYTES:,} bytes once unpacked")
    if not decoder.eof:
        raise ResponseUnreadable("the response's compression is cut off")
    return data


def _os_error(error: httpx2.TransportError) -> OSError:
    """Return the system's own error for a failed connection, which httpx2 wraps several times."""
    seen: BaseException = error
    words = str(error)
    while (below := seen.__cause__ or seen.__context__) is not None:
        seen = below.exceptions[0] if isinstance(below, BaseExceptionGroup) else below
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen
        if isinstance(seen, OSError) and str(seen):
            words = str(seen)
    return ConnectionError(words or type(error).__name__)
