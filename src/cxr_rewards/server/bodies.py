"""Bodies of requests, read whole before anything else is done, within bounds of size, memory and time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_SLOWEST = 128 << 10
"""Bytes a second that a body must come with, on average."""
_PATIENCE_S = 1.0
"""After this long without a byte, a body gives way to others if there is no room for both."""


class Refusal(NamedTuple):
    """Why a request is refused, as its reply says it."""

    status: int
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(eq=False)
class Body:
    """A request's body, and the room that it takes."""

    room: int
    last: float
    clock: asyncio.Timeout
    content: bytearray = field(default_factory=bytearray)
    came: int = 0
    is_out: bool = False


class Bodies:
    """The bodies of all requests under way.

    A body takes room as soon as it is announced, by its `Content-Length`, and as it comes if it has none; it gives the
    room back when its request ends. If there is no room for one more, bodies from which nothing has come for a second
    are given up; if there still is none, the newcomer is refused. An eighth of the room is for small bodies alone, so
    that large ones under way never shut them out.

    Args:
        most_bytes: of one body.
        all_bytes: of all bodies together; a single larger one is taken while there is no other.
        stall_s: a body is given up after so many seconds without a byte, or if it is slower than 128 KiB/s by more.
    """

    def __init__(self, *, most_bytes: int, all_bytes: int, stall_s: float) -> None:
        self.most_bytes, self.all_bytes, self.stall_s = most_bytes, all_bytes, stall_s
        self._taken = 0
        self._coming: set[Body] = set()
        self._too_large = Refusal(413, f"a body may have {most_bytes:,} bytes; send fewer cases at a time")
        self._full = Refusal(429, "the bodies of other requests fill the memory for them", ((b"retry-after", b"1"),))

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> Body | Refusal | None:
        """Return the body of a request, to be given to `free` in the end, or why not; None if the client has gone."""
        length = headers.get(b"content-length", b"0")
        size = int(length) if length.isdigit() and len(length) < 20 else 0
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            return Refusal(415, "send the body as it is, without Content-Encoding")
        if size > self.most_bytes:
            return self._too_large
        now = asyncio.get_running_loop().time()
        if not self._has_room(size, size, now):
            return self._full
        body = Body(size, now, asyncio.timeout(self.stall_s))
        self._taken += size
        if not size and b"transfer-encoding" not in headers:
            return body
        self._coming.add(body)
        try:
            refusal = await self._fill(body, receive)
        except BaseException:
            self.free(body)
            raise
        finally:
            self._coming.discard(body)
        if refusal is None:
            return body
        self.free(body)
        return None if refusal is _GONE else refusal

    async def _fill(self, body: Body, receive: Receive) -> Refusal | None:
        loop, begin = asyncio.get_running_loop(), body.last
        try:
            async with body.clock as clock:
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return _GONE
                    part = message.get("body", b"")
                    now = loop.time()
                    refusal = self._take(body, len(part), now)
                    if refusal is not None or body.is_out:
                        return refusal or self._too_slow(body)
                    body.content += part
                    if not message.get("more_body", False):
                        return None
                    clock.reschedule(min(now, begin + body.came / _SLOWEST) + self.stall_s)
        except TimeoutError:
            return self._too_slow(body)

    def _take(self, body: Body, size: int, now: float) -> Refusal | None:
        """Count a part that came."""
        body.came, body.last = body.came + size, now
        if body.came > self.most_bytes:
            return self._too_large
        more = body.came - body.room
        if more > 0 and not body.is_out:  # not announced
            if not self._has_room(more, body.came, now):
                return self._full
            body.room += more
            self._taken += more
        return None

    def _has_room(self, more: int, size: int, now: float) -> bool:
        """Say whether there is room for more bytes of a body of this size; give up what has stalled if need be."""
        small = size <= self.all_bytes // 64
        most = self.all_bytes if small else self.all_bytes - self.all_bytes // 8
        if self._taken + more > most:
            for other in sorted(self._coming, key=lambda body: body.last):
                if self._taken + more <= most or now - other.last < _PATIENCE_S:
                    break
                self.free(other)
                self._coming.discard(other)
                if not other.clock.expired():
                    other.clock.reschedule(now)
        return not self._taken or self._taken + more <= most

    def free(self, body: Body) -> None:
        """Give back the room of a body."""
        self._taken -= body.room
        body.room, body.is_out = 0, True
        body.content = bytearray()

    def _too_slow(self, body: Body) -> Refusal:
        return Refusal(
            408,
            f"the body came too slowly: {body.came:,} bytes, and then nothing or too little for {self.stall_s:g} s",
            ((b"connection", b"close"),),
        )


_GONE = Refusal(0, "")
