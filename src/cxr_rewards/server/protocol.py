"""uvicorn's HTTP protocol, with limits on the request line and headers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MOST_BYTES = 64 << 10


class Protocol(HttpToolsProtocol):
    """Drops connections whose request line and headers exceed 64 KiB or take longer than 10 seconds.

    Without these limits they could grow, and stay open, forever.
    """

    head_s = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first request."""
        super().connection_made(transport)
        self._await_head()

    def on_message_begin(self) -> None:
        """Wait for the rest of the headers."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """Stop waiting for headers."""
        self._stop_timer()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Count the bytes before a body."""
        timer = self._timer
        super().data_received(data)
        if timer is not None and timer is self._timer:  # all of it belongs to one head
            self._bytes += len(data)
            if self._bytes > MOST_BYTES:
                self._refuse(431, f"the request line and headers may have {MOST_BYTES:,} bytes")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting for headers."""
        self._stop_timer()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._timer is None:
            self._bytes = 0
            late = f"the headers did not come within {self.head_s:g} s"
            self._timer = self.loop.call_later(self.head_s, self._refuse, 408, late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int, detail: str) -> None:
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:  # it would be read as another request's reply
            self.transport.close()
            return
        body = json.dumps({"detail": detail}).encode()
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
