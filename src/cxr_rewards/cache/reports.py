"""Results of inspecting, pruning and verifying a cache file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple


class FeatureUsage(NamedTuple):
    """Contents of a cache file for one feature. `bytes` counts the values alone."""

    signature: str
    entries: int
    bytes: int
    oldest: datetime
    newest: datetime


class CacheStats(NamedTuple):
    """Contents of a cache file. `file_bytes` includes its write-ahead log; times are UTC, of writing."""

    path: Path
    file_bytes: int
    entries: int
    oldest: datetime | None
    newest: datetime | None
    features: tuple[FeatureUsage, ...]


class PruneResult(NamedTuple):
    """Result of `SqliteCache.prune`: entries removed and left, size of the file before and after."""

    removed: int
    kept: int
    bytes_before: int
    bytes_after: int


class BadEntry(NamedTuple):
    """An entry that cannot be used: the feature's signature, the key in hexadecimal, and the reason."""

    signature: str
    key: str
    problem: str


class VerifyReport(NamedTuple):
    """Result of `SqliteCache.verify`. `file_problems` are SQLite's findings about the file as a whole."""

    entries: int
    bad_entries: tuple[BadEntry, ...]
    file_problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.bad_entries and not self.file_problems
