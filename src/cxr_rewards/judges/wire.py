"""HTTP connections for many small requests at once.

httpx's pool looks through all its connections at each request: with 64 under way that takes 11 ms of CPU a request
(benchmarks/judges.py), as much as the judge itself may take. So this speaks HTTP/1.1 by h11, as httpx does, over plain
asyncio streams, and takes the connection used last. Through a proxy it is httpx.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import h11

if TYPE_CHECKING:
    import ssl

    import httpx

Headers = list[tuple[str, str]]
_READ_BYTES = 65536


class Answer(NamedTuple):
    """A whole HTTP response; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.state = h11.Connection(h11.CLIENT)

    @property
    def is_usable(self) -> bool:
        """Whether the other side has not closed it while it was idle."""
        return self.state.our_state is h11.IDLE and not self.reader.at_eof()

    async def post(self, target: str, body: bytes, headers: Headers) -> Answer:
        state = self.state
        request = h11.Request(method="POST", target=target, headers=headers)
        parts = [state.send(event) for event in (request, h11.Data(body), h11.EndOfMessage())]
        self.writer.write(b"".join(part for part in parts if part))  # in one packet
        response: h11.Response | None = None
        chunks: list[bytes] = []
        while True:
            event = state.next_event()
            if event is h11.NEED_DATA:
                state.receive_data(await self.reader.read(_READ_BYTES))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                chunks.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                break
        if state.our_state is h11.DONE and state.their_state is h11.DONE:
            state.start_next_cycle()
        assert response is not None  # h11 has no end without a beginning
        told = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
        return Answer(response.status_code, told, b"".join(chunks))


class Wire:
    """A pool of connections to one address."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = url
        self._target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        self._host, self._is_tls = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._is_tls else 80)
        self._authority = parts.netloc
        proxies = {} if proxy_bypass(self._host) else getproxies()
        self._proxy = proxies.get(parts.scheme) or proxies.get("all")
        self._tls: ssl.SSLContext | None = None
        self._idle: list[_Connection] = []
        self._client: httpx.AsyncClient | None = None

    async def post(self, body: bytes, headers: Headers) -> Answer:
        """Send a POST and return the whole response; how long it may take is the caller's to say.

        Raises:
            OSError: the connection could not be made, or broke, or what came was no HTTP.
        """
        if self._proxy:
            return await self._post_by_proxy(body, headers)
        connection = self._take() or await self._connect()
        sent = [("Host", self._authority), ("Content-Length", str(len(body))), *headers]
        try:
            answer = await connection.post(self._target, body, sent)
        except BaseException as error:
            connection.writer.close()
            if isinstance(error, h11.ProtocolError):
                raise ConnectionError(f"the connection broke: {error}") from None
            raise
        if connection.is_usable:
            self._idle.append(connection)
        else:
            connection.writer.close()
        return answer

    def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            connection.writer.close()
        return None

    async def _connect(self) -> _Connection:
        if self._is_tls and self._tls is None:
            import httpx

            self._tls = httpx.create_ssl_context()
        return _Connection(*await asyncio.open_connection(self._host, self._port, ssl=self._tls))

    async def _post_by_proxy(self, body: bytes, headers: Headers) -> Answer:
        import httpx

        if self._client is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
            self._client = httpx.AsyncClient(proxy=self._proxy, timeout=None, limits=limits)  # noqa: S113 - the caller's
        try:
            response = await self._client.post(self._url, content=body, headers=headers)
        except httpx.TransportError as error:
            raise ConnectionError(str(error) or type(error).__name__) from None
        return Answer(response.status_code, dict(response.headers), response.content)

    async def aclose(self) -> None:
        """Close the connections."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.writer.close()
        for connection in idle:
            with suppress(OSError):  # the other side was faster
                await connection.writer.wait_closed()
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()
