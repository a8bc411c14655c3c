"""Whether a reward may be built, for inspection, although something it needs is not on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ABSENT = "absent"
"""Stands in a signature for the hash of what is absent."""

_allowed: ContextVar[bool] = ContextVar("absent_allowed", default=False)


@contextmanager
def absent_allowed() -> Iterator[None]:
    """Allow a reward to be built although its weights, or its judges' prompts, are not on this machine."""
    token = _allowed.set(True)
    try:
        yield
    finally:
        _allowed.reset(token)


def may_be_absent() -> bool:
    """Return whether that is allowed here."""
    return _allowed.get()
