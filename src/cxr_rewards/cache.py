"""Keeps values of features, in memory or in an SQLite file: the only place where caching happens.

A value is found again by the feature's signature and the exact text it was computed from, so a changed setting,
version or model never meets an old value. Failures are never kept.
"""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import sys
import threading
import time
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cxr_rewards.errors import CacheError, ConfigError, shorten, unknown_name
from cxr_rewards.feature import Feature, Item
from cxr_rewards.types import Failure

MAX_ITEMS = 16_384
"""Values kept in memory by default: a few rollout batches of 1,000 reports for a handful of features."""

MAX_BYTES = 1 << 30
"""Bytes of arrays kept in memory by default: token embeddings of about 3,000 reports."""

RETRY_AFTER_S = 60.0
"""Seconds for which nothing is written to a file after a failed write."""

_APPLICATION_ID = 0x43585252  # "CXRR": marks the file as ours, in SQLite's header
_SCHEMA_VERSION = 1
_SCHEMA = (
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
    "CREATE TABLE features (id INTEGER PRIMARY KEY, signature TEXT NOT NULL UNIQUE)",
    # A replaced row gets a new id, so the order of ids is the order of writing.
    "CREATE TABLE entries (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, feature INTEGER NOT NULL,"
    " written_at REAL NOT NULL, checksum BLOB NOT NULL, value BLOB NOT NULL)",
)
_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100
_KEYS_PER_QUERY = 256
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_MOVE_AWAY = "Move the file away: a new one is made, and its values are computed again."
_BAD_DATA = (TypeError, ValueError, LookupError, AttributeError, RecursionError)
_MISSING = object()


class CacheWarning(UserWarning):
    """The cache's file cannot be written; scoring goes on, and new values are kept in memory only."""


class Cache(Protocol):
    """What the engine asks of a cache. Values are shared, not copied: treat them as immutable."""

    def get_many(self, feature: Feature, items: Sequence[Item]) -> dict[Item, Any]:
        """Return the values that are kept for `items`, and nothing for the others."""

    def put_many(self, feature: Feature, values: Mapping[Item, Any]) -> None:
        """Keep values, by item. Raises `CacheError` if one of them is a `Failure`."""


# A connection must not live through a fork: the child would believe in locks it does not have, and both would write.
# So before a fork every cache finishes what it is doing and closes its file; both sides open it again when needed.
_live: weakref.WeakSet[MemoryCache | SqliteCache] = weakref.WeakSet()
_paused: list[MemoryCache | SqliteCache] = []
_fork_lock = threading.Lock()


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


def _array_bytes(value: Any) -> int:
    """Return the bytes of an array or of the arrays in a tuple; other values are small: `max_items` counts them."""
    if type(value) is tuple:
        return sum(getattr(part, "nbytes", 0) for part in value)
    size: int = getattr(value, "nbytes", 0)
    return size


def _refuse_failures(feature: Feature, values: Iterable[Any]) -> None:
    for value in values:
        if type(value) is Failure:
            raise CacheError(f"cache: {feature.name}: a failure cannot be kept: {value}. Leave failures out.")


class MemoryCache:
    """Keeps the most recently used values in memory, for all threads of one process.

    Holds the texts too, as keys. A pickled copy starts empty.

    Args:
        max_items: values kept over all features; the least recently used are dropped first. 0 keeps none.
        max_bytes: the same limit for the arrays among them, alone or in a tuple.

    Attributes:
        hits: items found so far.
        misses: items asked for and not found.

    Raises:
        ConfigError: `max_items` or `max_bytes` is negative.

    Example:
        >>> from cxr_rewards.feature import Feature
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
        self._entries: OrderedDict[tuple[str, Item], Any] = OrderedDict()
        self._lock = threading.Lock()
        with _fork_lock:
            _live.add(self)

    def get_many(self, feature: Feature, items: Sequence[Item]) -> dict[Item, Any]:
        """Return the values that are kept for `items`, and nothing for the others."""
        signature, entries = feature.signature, self._entries
        found: dict[Item, Any] = {}
        with self._lock:
            for item in items:
                key = (signature, item)
                value = entries.get(key, _MISSING)
                if value is not _MISSING:
                    entries.move_to_end(key)
                    found[item] = value
            self.hits += len(found)
            self.misses += len(items) - len(found)
        return found

    def put_many(self, feature: Feature, values: Mapping[Item, Any]) -> None:
        """Keep values, by item.

        Raises:
            CacheError: a value is a `Failure`; nothing is kept then.
        """
        _refuse_failures(feature, values.values())
        signature, entries = feature.signature, self._entries
        with self._lock:
            for item, value in values.items():
                key = (signature, item)
                self._bytes += _array_bytes(value) - _array_bytes(entries.get(key))
                entries[key] = value
                entries.move_to_end(key)
            while len(entries) > self.max_items or self._bytes > self.max_bytes:
                self._bytes -= _array_bytes(entries.popitem(last=False)[1])

    def clear(self) -> None:
        """Drop all."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.max_items, self.max_bytes)

    def _disconnect(self) -> None:
        """Nothing is open here."""


class FeatureUsage(NamedTuple):
    """What a cache file holds of one feature. `bytes` counts the values alone."""

    signature: str
    entries: int
    bytes: int
    oldest: datetime
    newest: datetime


class CacheStats(NamedTuple):
    """What a cache file holds. `file_bytes` includes its write-ahead log; times are UTC, of writing."""

    path: Path
    file_bytes: int
    entries: int
    oldest: datetime | None
    newest: datetime | None
    features: tuple[FeatureUsage, ...]


class PruneResult(NamedTuple):
    """What `SqliteCache.prune` did: entries removed and left, size of the file before and after."""

    removed: int
    kept: int
    bytes_before: int
    bytes_after: int


class BadEntry(NamedTuple):
    """An entry that cannot be used: its feature, its key in hexadecimal, why."""

    signature: str
    key: str
    problem: str


class VerifyReport(NamedTuple):
    """What `SqliteCache.verify` found. `file_problems` are SQLite's findings about the file as a whole."""

    entries: int
    bad_entries: tuple[BadEntry, ...]
    file_problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.bad_entries and not self.file_problems


class SqliteCache:
    """Keeps values in an SQLite file, for any number of runs, processes and threads, with a `MemoryCache` in front.

    Values of features that are not `persistent` stay in memory. The file, and missing folders above it, are made when
    the cache is. Nothing but `prune` ever removes an entry, and a file that is not a sound cache is left as it is.
    The file must lie on a local disk: SQLite's locks do not hold on most network file systems.

    If the file cannot be written (disk full, read-only, locked too long), a `CacheWarning` is given once, values are
    kept in memory only, and writing is tried again after `RETRY_AFTER_S`.

    A pickled copy holds the path and the settings, and opens the file itself. After `close`, or in a forked process,
    the next use opens the file again.

    Args:
        path: the file; `~` stands for the home folder.
        max_memory_items: as `MemoryCache.max_items`.
        busy_timeout_s: seconds to wait for other processes that hold the file.

    Raises:
        CacheError: the path is a folder, a foreign or damaged file, a cache of a newer version, or cannot be opened.
        ConfigError: a negative setting.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, SqliteCache(folder + "/cache.sqlite") as cache:
        ...     cache.stats().entries
        0
    """

    shared = True
    """Other processes write to it: what was not there a moment ago may be now."""
    _connection: sqlite3.Connection | None = None  # so that __del__ finds one, however early __init__ failed

    def __init__(self, path: str | Path, *, max_memory_items: int = MAX_ITEMS, busy_timeout_s: float = 30.0) -> None:
        if busy_timeout_s < 0:
            raise ConfigError(f"SqliteCache: busy_timeout_s must be 0 or more, got {busy_timeout_s!r}")
        self.path = Path(path).expanduser().absolute()
        self.busy_timeout_s = busy_timeout_s
        self._memory = MemoryCache(max_memory_items)
        self._disk_hits = 0
        self._write_again_at = 0.0
        self._warned = False
        self._lock = threading.Lock()
        with _fork_lock:
            _live.add(self)
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

    def get_many(self, feature: Feature, items: Sequence[Item]) -> dict[Item, Any]:
        """Return the values that are kept for `items`, and nothing for the others.

        Raises:
            CacheError: the file or an entry asked for is damaged, or the feature cannot decode what it once encoded.
        """
        found = self._memory.get_many(feature, items)
        if not feature.persistent or len(found) == len(items):
            return found
        wanted = dict(_keys(feature, [item for item in items if item not in found]))
        keys = list(wanted)
        rows: list[tuple[bytes, bytes, bytes]] = []
        with self._use() as connection:
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                part = keys[start : start + _KEYS_PER_QUERY]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, checksum, value FROM entries WHERE key IN ({marks})"  # noqa: S608 - marks only
                rows += connection.execute(query, part)
            self._disk_hits += len(rows)
        loaded = {wanted[key]: self._load(feature, key, checksum, value) for key, checksum, value in rows}
        self._memory.put_many(feature, loaded)
        found.update(loaded)
        return found

    def put_many(self, feature: Feature, values: Mapping[Item, Any]) -> None:
        """Keep values, by item. Those of one call are written all or not at all.

        Raises:
            CacheError: a value is a `Failure` or cannot be encoded (nothing is kept then), or the file is damaged.
        """
        _refuse_failures(feature, values.values())
        stored: list[tuple[bytes, bytes]] = []
        if feature.persistent and time.monotonic() >= self._write_again_at:
            stored = [(key, _pack(feature, values[item])) for key, item in _keys(feature, values)]
        self._memory.put_many(feature, values)
        if not stored:
            return
        now = time.time()
        try:
            with self._write() as connection:
                connection.execute("INSERT OR IGNORE INTO features (signature) VALUES (?)", (feature.signature,))
                query = "SELECT id FROM features WHERE signature = ?"
                (feature_id,) = connection.execute(query, (feature.signature,)).fetchone()
                connection.executemany(
                    "INSERT OR REPLACE INTO entries (key, feature, written_at, checksum, value) VALUES (?, ?, ?, ?, ?)",
                    ((key, feature_id, now, _checksum(key, payload), payload) for key, payload in stored),
                )
        except _UnusableError as error:  # the values were computed: they must not be lost with the file
            self._write_again_at = time.monotonic() + RETRY_AFTER_S
            if not self._warned:
                self._warned = True
                warnings.warn(f"{error} Until then new values are kept in memory only.", CacheWarning, stacklevel=2)

    def stats(self) -> CacheStats:
        """Return what the file holds, by feature, most bytes first.

        Raises:
            CacheError: the file is damaged.
        """
        with self._use() as connection:
            rows = connection.execute(
                "SELECT signature, count(*), sum(length(value)), min(written_at), max(written_at)"
                " FROM entries JOIN features ON features.id = feature GROUP BY feature ORDER BY 3 DESC, 1"
            ).fetchall()
        usage = tuple(
            FeatureUsage(name, count, size, datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC))
            for name, count, size, first, last in rows
        )
        return CacheStats(
            path=self.path,
            file_bytes=self._file_bytes(),
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
            signature: remove entries of this feature only; alone: all of them.

        Raises:
            CacheError: the file is damaged, cannot be written, or is in use for longer than `busy_timeout_s`.
            ConfigError: no limit was given, a limit is negative, or no entry has this signature.
        """
        if max_bytes is None and older_than_s is None and signature is None:
            raise ConfigError("prune: give max_bytes, older_than_s or signature; to remove everything, max_bytes=0")
        for name, limit in (("max_bytes", max_bytes), ("older_than_s", older_than_s)):
            if limit is not None and limit < 0:
                raise ConfigError(f"prune: {name} must be 0 or more, got {limit!r}")
        before = self._file_bytes()
        removed = 0
        with self._write() as connection:
            only = "TRUE"
            if signature is not None:
                known = dict(connection.execute("SELECT signature, id FROM features"))
                if signature not in known:
                    raise ConfigError(unknown_name(str(self.path), "signature", signature, known))
                only = f"feature = {known[signature]:d}"
            if older_than_s is not None:
                query = f"DELETE FROM entries WHERE {only} AND written_at < ?"  # noqa: S608 - an integer of ours
                removed += connection.execute(query, (time.time() - older_than_s,)).rowcount
            if max_bytes is not None:
                removed += _shrink(connection, max_bytes, only)
            if max_bytes is None and older_than_s is None:
                removed += connection.execute(f"DELETE FROM entries WHERE {only}").rowcount  # noqa: S608 - as above
            connection.execute("DELETE FROM features WHERE id NOT IN (SELECT feature FROM entries)")
            (kept,) = connection.execute("SELECT count(*) FROM entries").fetchone()
        with self._use() as connection:
            # A script, for `execute` would take the first step of the vacuum only: one page.
            connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
        self._memory.clear()
        return PruneResult(removed, kept, before, self._file_bytes())

    def verify(self) -> VerifyReport:
        """Read the whole file and report every entry that could not be used; changes nothing.

        Checks SQLite's structures, each entry's checksum, and that its stored form can be read.

        Raises:
            CacheError: the file is so damaged that it cannot be opened.
        """
        entries = 0
        bad: list[BadEntry] = []
        problems: list[str] = []
        with self._use() as connection:
            try:
                problems += [line for (line,) in connection.execute("PRAGMA integrity_check(20)") if line != "ok"]
                for key, checksum, payload, signature in connection.execute(
                    "SELECT key, checksum, value, signature FROM entries LEFT JOIN features ON features.id = feature"
                ):
                    entries += 1
                    problem = "its feature is not recorded" if signature is None else _defect(key, checksum, payload)
                    if problem:
                        bad.append(BadEntry(signature or "", bytes(key).hex(), problem))
            except sqlite3.DatabaseError as error:
                if _code(error) not in _DAMAGE:
                    raise
                problems.append(f"reading stopped after {entries} entries: {error}")
        return VerifyReport(entries, tuple(bad), tuple(problems))

    def close(self) -> None:
        """Close the file. May be called again, and does not end the cache's use."""
        with self._lock:
            self._disconnect()

    def __enter__(self) -> SqliteCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._disconnect()

    def __reduce__(self) -> tuple[Any, ...]:
        items, timeout_s = self._memory.max_items, self.busy_timeout_s
        return partial(type(self), self.path, max_memory_items=items, busy_timeout_s=timeout_s), ()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # all is committed: closing can only fail to tidy up
                connection.close()

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        """Give one thread at a time the connection; SQLite's errors leave as `CacheError`."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                yield self._connection
            except sqlite3.Error as error:
                raise self._explain(error) from error

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._use() as connection, connection:  # the second commits, or rolls back on an error
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def _connect(self) -> sqlite3.Connection:
        _check_file(self.path)
        connection = sqlite3.connect(
            self.path, timeout=self.busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA synchronous = NORMAL")  # a crash of the machine may cost the last entries
            if connection.execute("PRAGMA application_id").fetchone() != (_APPLICATION_ID,):
                self._create(connection)
            self._enter_wal(connection)
            connection.execute("SELECT count(*) FROM features").fetchone()  # notices a truncated file at once
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        # This writes a first page without a table, if the file is empty; `_check_file` lets such a file pass.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        # In one transaction, before the write-ahead log exists, so that the file's header always says whose it is.
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA application_id").fetchone() == (_APPLICATION_ID,):
                return  # another process was faster
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
                raise CacheError(_foreign(self.path, "an SQLite file of another program"))
            for statement in _SCHEMA:
                connection.execute(statement)

    def _enter_wal(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self.busy_timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError as error:
                # SQLite itself does not wait for this lock when processes start together.
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _explain(self, error: sqlite3.Error) -> CacheError:
        code = _code(error)
        if code in _DAMAGE:
            return CacheError(f"{self.path}: the cache file is damaged ({error}). {_MOVE_AWAY}")
        if code == sqlite3.SQLITE_BUSY:
            held = f"another process has held the cache file for more than {self.busy_timeout_s:g} s"
            return _UnusableError(f"{self.path}: {held} ({error}). End that process, or raise busy_timeout_s.")
        if code == sqlite3.SQLITE_FULL:
            return _UnusableError(f"{self.path}: no space for the cache file ({error}). Free some, or prune the cache.")
        cure = "Check the permissions and the space of its folder, or choose another path."
        return _UnusableError(f"{self.path}: the cache file cannot be used ({error}). {cure}")

    def _load(self, feature: Feature, key: bytes, checksum: bytes, payload: bytes) -> Any:
        cure = f"Remove this feature's entries with prune(signature={feature.signature!r})."
        if _checksum(key, payload) != checksum:
            raise CacheError(f"{self.path}: {feature.name}: entry {key.hex()} fails its checksum. {cure}")
        try:
            return feature.decode(_unpack(payload))
        except _BAD_DATA as error:
            raise CacheError(
                f"{self.path}: {feature.name}: entry {key.hex()} cannot be decoded ({type(error).__name__}: {error})."
                f" If the stored form has changed, raise the feature's version. {cure}"
            ) from error

    def _file_bytes(self) -> int:
        total = 0
        for name in (self.path, self.path.with_name(self.path.name + "-wal")):
            with suppress(FileNotFoundError):
                total += name.stat().st_size
        return total


class _UnusableError(CacheError):
    """The file is sound, but cannot be read or written now."""


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of the bits only refine it


def _foreign(path: Path, found: str) -> str:
    return f"{path}: expected a cache file of cxr_rewards, found {found}. It was not changed; choose another path."


def _check_file(path: Path) -> None:
    """Raise unless `path` is ours or free. Looks at the header only: to open a foreign file may change it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            return
        if not path.is_file():
            raise CacheError(_foreign(path, "a folder" if path.is_dir() else "something that is not a file"))
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise CacheError(f"{path}: the cache file cannot be opened ({error}). Choose another path.") from error
    if not header:
        return
    if not header.startswith(_MAGIC):
        raise CacheError(_foreign(path, f"a file that starts with {shorten(header[:16])}"))
    if len(header) < _HEADER_BYTES:
        raise CacheError(f"{path}: the cache file is damaged (cut off after {len(header)} bytes). {_MOVE_AWAY}")
    schema_changes, version, application_id = (struct.unpack_from(">I", header, at)[0] for at in (40, 60, 68))
    if schema_changes == application_id == 0:
        return  # nothing is in it yet: another process may be making it at this moment
    if application_id != _APPLICATION_ID:
        raise CacheError(_foreign(path, "an SQLite file of another program"))
    if version != _SCHEMA_VERSION:
        raise CacheError(
            f"{path}: the cache file has format {version}, this version of cxr_rewards reads {_SCHEMA_VERSION}."
            " Upgrade cxr_rewards, or choose another path."
        )


_item_json = json.JSONEncoder(ensure_ascii=False).encode
_value_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _keys(feature: Feature, items: Iterable[Item]) -> Iterator[tuple[bytes, Item]]:
    """Yield each item with its key: a hash of the signature and the item, the same in every process."""
    base = blake2b(_item_json([feature.over, feature.signature]).encode("utf-8", "surrogatepass"), digest_size=16)
    for item in items:
        hasher = base.copy()
        try:
            # Not ASCII: escaped, a character and its two surrogates would look alike.
            text = item if isinstance(item, str) else _item_json(item)
        except (TypeError, ValueError) as error:
            raise CacheError(f"cache: {feature.name}: {shorten(item)} cannot be a key ({error}); give text.") from error
        hasher.update(text.encode("utf-8", "surrogatepass"))
        yield hasher.digest(), item


def _checksum(key: bytes, payload: bytes) -> bytes:
    return blake2b(payload, key=key, digest_size=8).digest()  # keyed: a value under the wrong key does not pass


def _pack(feature: Feature, value: Any) -> bytes:
    """Return the stored form of a value: `j` and JSON, or `a`, a JSON line [dtype, shape] and the array's bytes."""
    try:
        encoded = feature.encode(value)
        np = sys.modules.get("numpy")  # where it was never loaded, nothing is an array
        if np is not None and type(encoded) is np.ndarray:
            header = _value_json([_numeric(encoded.dtype).str, encoded.shape])
            return b"a" + header.encode() + b"\n" + bytes(encoded.tobytes())
        text = _value_json(encoded)
        if json.loads(text) != encoded:
            raise TypeError("it comes back changed from JSON, as tuples and keys that are no text do")
        return b"j" + text.encode("utf-8", "surrogatepass")
    except _BAD_DATA as error:
        raise CacheError(
            f"cache: {feature.name}: a value of type {type(value).__name__} cannot be stored: {error}."
            " Let the feature's encode return JSON data or a numeric array, and decode invert it,"
            " or set persistent = False."
        ) from error


def _unpack(payload: bytes) -> Any:
    if payload[:1] == b"j":
        return json.loads(payload[1:].decode("utf-8", "surrogatepass"))
    if payload[:1] != b"a":
        raise ValueError(f"unknown kind of value {payload[:1]!r}")
    import numpy as np

    header, _, raw = payload[1:].partition(b"\n")
    dtype, shape = json.loads(header)
    return np.ndarray(tuple(shape), _numeric(np.dtype(dtype)), raw)  # read-only, as its bytes are


def _numeric(dtype: Any) -> Any:
    if dtype.kind not in "biufc":  # an object's bytes would be taken for an address
        raise TypeError(f"an array of {dtype} is not numeric")
    return dtype


def _defect(key: bytes, checksum: bytes, payload: bytes) -> str:
    """Say what is wrong with a stored entry; empty if nothing is."""
    try:
        if _checksum(key, payload) != checksum:
            return "its checksum differs"
        _unpack(payload)
    except _BAD_DATA as error:
        return f"it cannot be read: {type(error).__name__}: {error}"
    return ""


def _shrink(connection: sqlite3.Connection, max_bytes: int, only: str) -> int:
    """Delete the first-written entries until the pages in use fit into `max_bytes`; return how many."""
    removed = 0
    while True:
        pages, free, page_bytes = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        excess = (pages - free) * page_bytes - max_bytes
        if excess <= 0:
            return removed
        last, goal = 0, excess / 2  # by halves, for an entry may free up to twice what its value takes
        query = f"SELECT id, length(value) FROM entries WHERE {only} ORDER BY id"  # noqa: S608 - an integer of ours
        for entry, size in connection.execute(query):
            last, goal = entry, goal - size
            if goal <= 0:
                break
        if not last:
            return removed
        query = f"DELETE FROM entries WHERE {only} AND id <= ?"  # noqa: S608 - as above
        removed += connection.execute(query, (last,)).rowcount
