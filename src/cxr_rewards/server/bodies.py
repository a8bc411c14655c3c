"""Request bodies, read whole before anything else, with limits on size, memory and time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from starlette.types import Receive

_SLOWEST = 128 << 10
"""Lowest average speed of a body, in bytes per second."""
_PATIENCE_S = 1.0
"""After this many seconds without a byte, a body is dropped if another needs its room."""


class Refusal(NamedTuple):
    """The reply to a request that is refused."""

    status: int
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(eq=False)
class Body:
    """A request's body, and the room it takes."""

    room: int
    last: float
    clock: asyncio.Timeout
    content: bytearray = field(default_factory=bytearray)
    came: int = 0
    is_out: bool = False


class Bodies:
    """The bodies of all requests under way.

    A body takes room when its `Content-Length` announces it, or as it arrives if it has none, and gives the room back
    when its request ends. If there is no room for another, bodies that have sent nothing for a second are dropped; if
    that is not enough, the newcomer is refused. An eighth of the room is reserved for small bodies, so that large ones
    never shut them out.

    Args:
        most_bytes: limit of one body.
        all_bytes: limit of all bodies together; a single larger one is accepted while there is no other.
        stall_s: a body is dropped after this many seconds without a byte, or if it falls this far behind 128 KiB/s.
    """

    def __init__(self, *, most_bytes: int, all_bytes: int, stall_s: float) -> None:
        self.most_bytes, self.all_bytes, self.stall_s = most_bytes, all_bytes, stall_s
        self._taken = 0
        self._coming: set[Body] = set()
        self._too_large = Refusal(413, f"a body may have {most_bytes:,} bytes; send fewer cases at a time")
        self._full = Refusal(429, "the bodies of other requests fill the memory for them", ((b"retry-after", b"1"),))

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> Body | Refusal | None:
        """Return the body of a request, or why it is refused; None if the client has gone. Pass the body to `free`."""
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
        """Count a part that has arrived; return why the body is refused, if it is."""
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
        """Return whether there is room for more bytes of a body of this size; drop stalled bodies if need be."""
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
        """Drop a body and give back its room."""
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
