"""Middleware before the application: checks the token, reads the body within limits, times each request."""

from __future__ import annotations

import hmac
import json
import logging
import time
import traceback
from typing import TYPE_CHECKING

from cxr_rewards.server.bodies import Bodies, Refusal
from cxr_rewards.server.metrics import Metrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = ("/healthz", "/readyz")
"""Paths that reveal nothing, open to probes without a token."""
_LOG = logging.getLogger(__name__)
_NO_TOKEN = Refusal(401, "send the header `Authorization: Bearer TOKEN`", ((b"www-authenticate", b"Bearer"),))


class Guard:
    """ASGI middleware: 401 without the token; 408, 413, 415 and 429 for bodies, see `Bodies`.

    The application gets the whole body in one message. An unexpected error is logged without its message, which may
    quote a report, and answered with 500.

    Args:
        app: the application to guard.
        token: the token required, compared in constant time; empty: none.
        bodies: reads and counts bodies.
        metrics: records the time of each request.
    """

    def __init__(self, app: ASGIApp, *, token: str, bodies: Bodies, metrics: Metrics) -> None:
        self.app, self.token, self.bodies, self.metrics = app, token.encode(), bodies, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 0

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._serve(scope, receive, send_and_note_status)
        except Exception as error:  # noqa: BLE001 - uvicorn would log its message
            lines = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
            _LOG.error("%s, its message withheld:\n%s", type(error).__name__, lines)
            if not status:
                await _reply(send_and_note_status, Refusal(500, "an error of the server; see its log"))
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self.metrics.latency.labels(path, str(status)).observe(time.perf_counter() - begin)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if self.token and scope["path"] not in OPEN:
            authorization = headers.get(b"authorization", b"")
            if not hmac.compare_digest(authorization, b"Bearer " + self.token):
                await _reply(send, _NO_TOKEN)
                return
        body = await self.bodies.read(headers, receive)
        if isinstance(body, Refusal):
            await _reply(send, body)
        elif body is not None:
            whole: list[bytearray] = [body.content]
            body.content = bytearray()  # only the receiver of the message keeps it

            async def received() -> Message:
                if whole:
                    return {"type": "http.request", "body": whole.pop(), "more_body": False}
                return await receive()

            try:
                await self.app(scope, received, send)
            finally:
                self.bodies.free(body)


async def _reply(send: Send, refusal: Refusal) -> None:
    content = json.dumps({"detail": refusal.detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": refusal.status, "headers": [*headers, *refusal.headers]})
    await send({"type": "http.response.body", "body": content})
