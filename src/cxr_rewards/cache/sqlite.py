"""Cache in an SQLite file, for any number of runs, processes and threads."""

from __future__ import annotations

import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from cxr_rewards.cache.file import ERRORS, CacheWarning, Steps, connect, damaged, explain, file_bytes
from cxr_rewards.cache.memory import MAX_ITEMS, MemoryCache, refuse_failures, register
from cxr_rewards.cache.reports import BadEntry, CacheStats, FeatureUsage, PruneResult, VerifyReport
from cxr_rewards.cache.stored import BadValueError, checksum_of, defect, keys, load, pack, show_key
from cxr_rewards.core.feature import Feature, Item
from cxr_rewards.errors import CacheError, ConfigError, shorten, unknown_name

RETRY_AFTER_S = 60.0
"""Seconds before a file is tried again after reading or writing it has failed."""

_KEYS_PER_QUERY = 256


class SqliteCache:
    """Keeps values in an SQLite file, for any number of runs, processes and threads, with a `MemoryCache` in front.

    Values stay in memory if their feature is not `persistent`, or if no other process can import it (defined in a
    script, a notebook or a function), because two scripts may give one name to different code. The constructor creates
    the file and missing folders above it. Only `prune` ever removes an entry, and a file that is not a sound cache is
    never changed. The file must be on a local disk: SQLite's locks do not hold on most network file systems.

    Once open, the file never ends a run. If it cannot be written (disk full, read-only, locked too long) or read (a
    failing disk, damage), a `CacheWarning` is given once, values are computed and kept in memory only, and the file is
    tried again after `RETRY_AFTER_S`. A damaged entry counts as absent, with a `CacheWarning`, and is written again. A
    read-only file, even in a read-only folder, is used for reading.

    A pickled copy holds the path and the settings, and opens the file itself. After `close`, or in a forked process,
    the next use reopens the file.

    Attributes:
        write_error: why the last attempt to write failed; None if it succeeded.

    Args:
        path: the file; `~` stands for the home folder.
        max_memory_items: as `MemoryCache.max_items`.
        busy_timeout_s: seconds to wait for other processes that hold the file.

    Raises:
        CacheError: the path is a folder, a foreign or damaged file, a cache of a newer version, or cannot be opened.
        ConfigError: a setting is negative.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, SqliteCache(folder + "/cache.sqlite") as cache:
        ...     cache.stats().entries
        0
    """

    shared = True
    """Other processes write to the file, so a value that was missing a moment ago may be there now."""
    _connection: sqlite3.Connection | None = None  # so that __del__ finds one, however early __init__ failed

    def __init__(self, path: str | Path, *, max_memory_items: int = MAX_ITEMS, busy_timeout_s: float = 30.0) -> None:
        if busy_timeout_s < 0:
            raise ConfigError(f"SqliteCache: busy_timeout_s must be 0 or more, got {busy_timeout_s!r}")
        self.path = Path(path).expanduser().absolute()
        self.busy_timeout_s = busy_timeout_s
        self._memory = MemoryCache(max_memory_items)
        self._disk_hits = 0
        self.write_error: CacheError | None = None
        self._read_again_at = self._write_again_at = 0.0
        self._warned: set[str] = set()
        self._steps = Steps()
        self._lock = threading.Lock()
        register(self)
        with self._use():
            pass  # reports an unusable file now

    @property
    def hits(self) -> int:
        """Items found so far, in memory or in the file."""
        return self._memory.hits + self._disk_hits

    @property
    def misses(self) -> int:
        """Items asked for and not found."""
        return self._memory.misses - self._disk_hits

    def get_many(self, feature: Feature, items: Sequence[Item]) -> dict[Item, object]:
        """Return the values of those `items` that are kept.

        Raises:
            CacheError: an item is not made of texts.
        """
        kept = self._memory.get_many(feature, items)
        if len(kept) == len(items) or time.monotonic() < self._read_again_at or not self._goes_into_file(feature):
            return kept
        wanted = dict(keys(feature, [item for item in items if item not in kept]))
        try:
            rows = self._rows(list(wanted))
        except CacheError as error:  # missing values are computed
            self._suspend(error, "read")
            return kept
        loaded: dict[Item, object] = {}
        for key, checksum, payload in rows:
            try:
                value = load(feature, key, checksum, payload)
                loaded[wanted[key]] = value  # an index that is damaged leads to other rows
            except (BadValueError, KeyError) as error:
                self._warn(
                    "entry",
                    f"{self.path}: {feature.name}: entry {show_key(key)}: {error}. It counts as absent and is computed "
                    f"again; `cxr-rewards cache verify {self.path}` lists all that cannot be used.",
                )
        self._disk_hits += len(loaded)
        self._memory.put_many(feature, loaded)
        kept.update(loaded)
        return kept

    def put_many(self, feature: Feature, values: Mapping[Item, object]) -> None:
        """Keep values, by item. Those of one call are written all or not at all.

        Raises:
            CacheError: a value is a `Failure` or cannot be encoded; nothing is kept then.
        """
        refuse_failures(feature, values.values())
        stored: list[tuple[bytes, bytes]] = []
        if time.monotonic() >= self._write_again_at and self._goes_into_file(feature):
            stored = [(key, pack(feature, values[item])) for key, item in keys(feature, values)]
        self._memory.put_many(feature, values)
        if not stored:
            return
        now = time.time()
        try:
            with self._write(len(stored)) as connection:
                connection.execute("INSERT OR IGNORE INTO features (signature) VALUES (?)", (feature.signature,))
                query = "SELECT id FROM features WHERE signature = ?"
                row = connection.execute(query, (feature.signature,)).fetchone()
                if row is None or type(row[0]) is not int:
                    raise damaged(self.path, "a feature that is recorded cannot be found")
                connection.executemany(
                    "INSERT OR REPLACE INTO entries (key, feature, written_at, checksum, value) VALUES (?, ?, ?, ?, ?)",
                    ((key, row[0], now, checksum_of(key, payload), payload) for key, payload in stored),
                )
        except CacheError as error:  # the values were computed: they must not be lost with the file
            self.write_error = error
            self._suspend(error, "write")
        else:
            self.write_error = None

    def _goes_into_file(self, feature: Feature) -> bool:
        """Return whether a feature's values may go into a file; warn if its code is the reason that they may not."""
        if not feature.persistent:
            return False
        if feature.code_home is not None:
            return True
        self._warn(
            f"home of {feature.name}",
            f"{self.path}: {feature.name}: no other process can import its code, {type(feature).__module__}."
            f"{type(feature).__qualname__}, so its values are kept in memory only. Put it into a module to share them.",
        )
        return False

    def _rows(self, wanted: list[bytes]) -> list[tuple[Any, Any, Any]]:
        rows: list[tuple[Any, Any, Any]] = []
        with self._use(len(wanted)) as connection:
            for start in range(0, len(wanted), _KEYS_PER_QUERY):
                part = wanted[start : start + _KEYS_PER_QUERY]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, checksum, value FROM entries WHERE key IN ({marks})"  # noqa: S608 - marks only
                rows += connection.execute(query, part)
        return rows

    def _suspend(self, error: CacheError, what: str) -> None:
        """Stop using the file for a while, and warn once."""
        again = time.monotonic() + RETRY_AFTER_S
        self._write_again_at = again
        if what == "read":
            self._read_again_at = again
        self.close()  # a file that can be written again is reopened
        self._warn(what, f"{error} Until then new values are kept in memory only.")

    def _warn(self, what: str, message: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            warnings.warn(message, CacheWarning, stacklevel=3)

    def stats(self) -> CacheStats:
        """Return the contents of the file by feature, most bytes first.

        Raises:
            CacheError: the file is damaged.
        """
        with self._use() as connection:
            rows = connection.execute(
                "SELECT signature, count(*), sum(coalesce(length(value), 0)), min(written_at), max(written_at)"
                " FROM entries JOIN features ON features.id = feature GROUP BY feature ORDER BY 3 DESC, 1"
            ).fetchall()
        usage = tuple(
            FeatureUsage(str(name), count, size, self._moment(first), self._moment(last))
            for name, count, size, first, last in rows
        )
        return CacheStats(
            path=self.path,
            file_bytes=file_bytes(self.path),
            entries=sum(feature.entries for feature in usage),
            oldest=min((feature.oldest for feature in usage), default=None),
            newest=max((feature.newest for feature in usage), default=None),
            features=usage,
        )

    def prune(
        self, *, max_bytes: int | None = None, older_than_s: float | None = None, signature: str | None = None
    ) -> PruneResult:
        """Remove entries, those written longest ago first, and give the space back to the disk.

        Args:
            max_bytes: remove entries until the file fits into this size.
            older_than_s: remove entries written more than this many seconds ago.
            signature: remove entries of this feature only; without another limit, all of them.

        Raises:
            CacheError: the file is damaged, cannot be written, or is in use for longer than `busy_timeout_s`.
            ConfigError: no limit was given, a limit is negative, or no entry has this signature.
        """
        if max_bytes is None and older_than_s is None and signature is None:
            raise ConfigError("prune: give max_bytes, older_than_s or signature; to remove everything, max_bytes=0")
        for name, limit in (("max_bytes", max_bytes), ("older_than_s", older_than_s)):
            if limit is not None and limit < 0:
                raise ConfigError(f"prune: {name} must be 0 or more, got {limit!r}")
        before = file_bytes(self.path)
        removed = 0
        with self._write() as connection:
            only = "TRUE"
            if signature is not None:
                known = {
                    str(name): int(number) for name, number in connection.execute("SELECT signature, id FROM features")
                }
                if signature not in known:
                    raise ConfigError(unknown_name(str(self.path), "signature", signature, known))
                only = f"feature = {known[signature]:d}"
            if older_than_s is not None:
                query = f"DELETE FROM entries WHERE {only} AND written_at < ?"  # noqa: S608 - an integer of ours
                removed += connection.execute(query, (time.time() - older_than_s,)).rowcount
            if max_bytes is not None:
                removed += _shrink(self.path, connection, max_bytes, only)
            if max_bytes is None and older_than_s is None:
                removed += connection.execute(f"DELETE FROM entries WHERE {only}").rowcount  # noqa: S608 - as above
            connection.execute("DELETE FROM features WHERE id NOT IN (SELECT feature FROM entries)")
            (kept,) = connection.execute("SELECT count(*) FROM entries").fetchone()
        with self._use() as connection:
            # A script, because `execute` would take only the first step of the vacuum: one page.
            connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
        self._memory.clear()
        return PruneResult(removed, kept, before, file_bytes(self.path))

    def verify(self) -> VerifyReport:
        """Read the whole file and report every entry that cannot be used; changes nothing.

        Checks SQLite's structures and each entry's checksum, and that its stored form can be read.

        Raises:
            CacheError: the file is so damaged that it cannot be opened.
        """
        entries = 0
        bad: list[BadEntry] = []
        problems: list[str] = []
        with self._use() as connection:
            try:
                for (line,) in connection.execute("PRAGMA integrity_check(20)"):
                    problems += [str(line)] if line != "ok" else []
                self._steps.allow(self.path)
                for key, checksum, payload, written_at, signature in connection.execute(
                    "SELECT key, checksum, value, written_at, signature"
                    " FROM entries LEFT JOIN features ON features.id = feature"
                ):
                    entries += 1
                    problem = "its feature is not recorded" if signature is None else defect(key, checksum, payload)
                    if not problem and _moment(written_at) is None:
                        problem = f"its time of writing is {shorten(written_at)}"
                    if problem:
                        bad.append(BadEntry(str(signature or ""), show_key(key), problem))
            except ERRORS as error:
                problems.append(
                    f"reading stopped after {entries} entries: {explain(error, self.path, self.busy_timeout_s)}"
                )
        return VerifyReport(entries, tuple(bad), tuple(problems))

    def close(self) -> None:
        """Close the file. May be called more than once; the cache can still be used."""
        with self._lock:
            self._disconnect()

    def __enter__(self) -> SqliteCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._disconnect()

    def __reduce__(self) -> tuple[object, ...]:
        items, timeout_s = self._memory.max_items, self.busy_timeout_s
        return partial(type(self), self.path, max_memory_items=items, busy_timeout_s=timeout_s), ()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # everything is committed: only the clean-up can fail
                connection.close()

    @contextmanager
    def _use(self, items: int = 0) -> Iterator[sqlite3.Connection]:
        """Give the connection to one thread at a time; SQLite's errors become `CacheError`."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = connect(self.path, self.busy_timeout_s, self._steps)
                self._steps.allow(self.path, items)
                yield self._connection
            except ERRORS as error:
                raise explain(error, self.path, self.busy_timeout_s) from error

    @contextmanager
    def _write(self, items: int = 0) -> Iterator[sqlite3.Connection]:
        with self._use(items) as connection, connection:  # the second commits, or rolls back on an error
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def _moment(self, seconds: Any) -> datetime:
        moment = _moment(seconds)
        if moment is None:
            raise damaged(self.path, f"an entry was written at {shorten(seconds)}")
        return moment


def _moment(seconds: Any) -> datetime | None:
    """Return a time of writing as UTC; None if it is not a valid time."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _shrink(path: Path, connection: sqlite3.Connection, max_bytes: int, only: str) -> int:
    """Delete the oldest entries until the pages in use fit into `max_bytes`; return how many."""
    removed = 0
    while True:
        pages, free, page_bytes = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        excess = (pages - free) * page_bytes - max_bytes
        if excess <= 0:
            return removed
        last, goal = 0, excess / 2  # by halves, because an entry may free up to twice its value's size
        query = f"SELECT id, coalesce(length(value), 0) FROM entries WHERE {only} ORDER BY id"  # noqa: S608 - an integer of ours
        for entry, size in connection.execute(query):
            last, goal = entry, goal - size
            if goal <= 0:
                break
        if not last:
            return removed
        query = f"DELETE FROM entries WHERE {only} AND id <= ?"  # noqa: S608 - as above
        gone = connection.execute(query, (last,)).rowcount
        if gone <= 0:
            raise damaged(path, "entries that are there cannot be removed")
        removed += gone
