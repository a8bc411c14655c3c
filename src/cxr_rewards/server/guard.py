"""What stands before the application: the token, the size of bodies, and the time of each request."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from cxr_rewards.server.metrics import Metrics

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

OPEN = ("/healthz", "/readyz")
"""Paths that tell nothing, for probes without a token."""


class Guard:
    """ASGI middleware: 401 without the token, 413 for a large body, 429 where bodies under way fill their memory.

    Args:
        app: what it guards.
        token: compared in constant time; empty: none is asked for.
        most_bytes: of a body.
        all_bytes: of all bodies under way.
        metrics: told the time of each request.
    """

    def __init__(self, app: App, *, token: str, most_bytes: int, all_bytes: int, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics
        self.token, self.most_bytes, self.all_bytes = token.encode(), most_bytes, all_bytes
        self._too_large = f"a body may have {most_bytes:,} bytes; send fewer cases at a time"
        self._held = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, status, mine = time.perf_counter(), 500, 0

        async def limited() -> Message:
            nonlocal mine
            message = await receive()
            size = len(message.get("body", b""))
            mine += size
            self._held += size
            if mine > self.most_bytes:
                raise HTTPException(413, self._too_large)
            return message

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await _reply(noting, *refusal)
                return
            await self.app(scope, limited, noting)
        finally:
            self._held -= mine
            path = getattr(scope.get("route"), "path", "other")
            self.metrics.latency.labels(path, str(status)).observe(time.perf_counter() - begin)

    def _refusal(self, scope: Message) -> tuple[int, str] | None:
        headers = dict(scope["headers"])
        if self.token and scope["path"] not in OPEN:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, b"Bearer " + self.token):
                return 401, "send the header `Authorization: Bearer TOKEN`"
        length = headers.get(b"content-length", b"0")
        size = int(length) if length.isdigit() else 0
        if size > self.most_bytes:
            return 413, self._too_large
        if self._held and self._held + size > self.all_bytes:
            return 429, "the bodies of other requests fill the memory for them"
        return None


async def _reply(send: Send, status: int, detail: str) -> None:
    headers = [(b"content-type", b"application/json")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": detail}).encode()})
