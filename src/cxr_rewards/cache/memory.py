"""Cache in memory, for all threads of one process; and how every cache behaves around a fork."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Protocol

from cxr_rewards.core.feature import Feature, Item
from cxr_rewards.errors import CacheError, ConfigError
from cxr_rewards.types import Failure

MAX_ITEMS = 16_384
"""Values kept in memory by default: a few rollout batches of 1,000 reports for a handful of features."""

MAX_BYTES = 1 << 30
"""Bytes of arrays kept in memory by default: token embeddings of about 3,000 reports."""

_MISSING = object()


class Cache(Protocol):
    """Interface of a cache for the engine. Values are shared, not copied: treat them as immutable."""

    def get_many(self, feature: Feature, items: Sequence[Item]) -> dict[Item, object]:
        """Return the values of those `items` that are kept."""

    def put_many(self, feature: Feature, values: Mapping[Item, object]) -> None:
        """Keep values, by item. Raises `CacheError` if one of them is a `Failure`."""


class Pausable(Protocol):
    """A cache that is paused during forks."""

    @property
    def _lock(self) -> threading.Lock | threading.RLock: ...

    def _disconnect(self) -> None: ...


# A connection must not survive a fork: the child would count on locks it does not hold, and both would write.
# So before a fork every cache finishes its work and closes its file; both processes reopen it when needed.
_live: weakref.WeakSet[Pausable] = weakref.WeakSet()
_paused: list[Pausable] = []
_fork_lock = threading.Lock()


def register(cache: Pausable) -> None:
    """Pause a cache during forks: take its `_lock`, and call its `_disconnect`."""
    with _fork_lock:
        _live.add(cache)


def _before_fork() -> None:
    _fork_lock.acquire()
    for cache in list(_live):
        cache._lock.acquire()
        _paused.append(cache)
        cache._disconnect()


def _after_fork() -> None:
    while _paused:
        _paused.pop()._lock.release()
    _fork_lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def _may_hold_arrays(cls: type) -> bool:
    return cls is tuple or hasattr(cls, "nbytes")


def _array_bytes(value: object) -> int:
    """Return the bytes of an array or of the arrays in a tuple; 0 for other values, which are small."""
    if type(value) is tuple:
        return sum(getattr(part, "nbytes", 0) for part in value)
    size: int = getattr(value, "nbytes", 0)
    return size


def refuse_failures(feature: Feature, values: Iterable[object]) -> None:
    for value in values:
        if type(value) is Failure:
            raise CacheError(f"cache: {feature.name}: a failure cannot be kept: {value}. Leave failures out.")


def _identity(feature: Feature) -> Hashable:
    """Return the identity of a feature in this process, class included: a notebook may redefine it."""
    return feature.signature, type(feature), tuple(map(_identity, feature.needs))


class MemoryCache:
    """Keeps the most recently used values in memory, for all threads of one process.

    Holds the texts too, as keys. A pickled copy starts empty.

    Args:
        max_items: most values kept over all features; the least recently used are dropped first. 0 keeps none.
        max_bytes: most bytes of the arrays among them, alone or in tuples.

    Attributes:
        hits: items found so far.
        misses: items asked for and not found.

    Raises:
        ConfigError: `max_items` or `max_bytes` is negative.

    Example:
        >>> from cxr_rewards.core.feature import Feature
        >>> class WordCount(Feature):
        ...     name = "word_count"
        ...     def compute(self, items, upstream):
        ...         return [len(text.split()) for text in items]
        >>> cache = MemoryCache(max_items=1000)
        >>> cache.put_many(WordCount(), {"No effusion.": 2})
        >>> cache.get_many(WordCount(), ["No effusion.", "Clear lungs."])
        {'No effusion.': 2}
        >>> cache.hits, cache.misses
        (1, 1)
    """

    def __init__(self, max_items: int = MAX_ITEMS, max_bytes: int = MAX_BYTES) -> None:
        for name, limit in (("max_items", max_items), ("max_bytes", max_bytes)):
            if limit < 0:
                raise ConfigError(f"MemoryCache: {name} must be 0 or more, got {limit!r}")
        self.max_items = max_items
        self.max_bytes = max_bytes
        self._bytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[tuple[int, Item], object] = OrderedDict()
        self._numbers: dict[Hashable, int] = {}  # of features, by their identity: a number is hashed quickly
        self._lock = threading.Lock()
        register(self)

    def get_many(self, feature: Feature, items: Sequence[Item]) -> dict[Item, object]:
        """Return the values of those `items` that are kept."""
        identity, entries = _identity(feature), self._entries
        kept: dict[Item, object] = {}
        with self._lock:
            number = self._numbers.setdefault(identity, len(self._numbers))
            for item in items:
                key = (number, item)
                value = entries.get(key, _MISSING)
                if value is not _MISSING:
                    entries.move_to_end(key)
                    kept[item] = value
            self.hits += len(kept)
            self.misses += len(items) - len(kept)
        return kept

    def put_many(self, feature: Feature, values: Mapping[Item, object]) -> None:
        """Keep values, by item.

        Raises:
            CacheError: a value is a `Failure`; nothing is kept then.
        """
        refuse_failures(feature, values.values())
        identity, entries = _identity(feature), self._entries
        with self._lock:
            number = self._numbers.setdefault(identity, len(self._numbers))
            weigh = self._bytes > 0 or any(map(_may_hold_arrays, set(map(type, values.values()))))
            for item, value in values.items():
                key = (number, item)
                old = entries.pop(key, None)
                if weigh:
                    self._bytes += _array_bytes(value) - (0 if old is None else _array_bytes(old))
                entries[key] = value
            while len(entries) > self.max_items or self._bytes > self.max_bytes:
                self._bytes -= _array_bytes(entries.popitem(last=False)[1])

    def clear(self) -> None:
        """Drop all values."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.max_items, self.max_bytes)

    def _disconnect(self) -> None:
        """Do nothing, because no file is open."""
