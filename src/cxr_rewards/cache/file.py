"""Open a cache file: check that it is ours and can be written, and explain SQLite's errors.

A file may be damaged or forged, so nothing in it is trusted: its tables must match ours exactly, and a statement may
take no more steps than a sound file of that size needs.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import time
from pathlib import Path

from cxr_rewards.cache.stored import MAX_VALUE_BYTES
from cxr_rewards.errors import CacheError, shorten

_APPLICATION_ID = 0x43585252  # "CXRR": marks the file as ours, in SQLite's header
_SCHEMA_VERSION = 1
_TABLES = {
    "features": "CREATE TABLE features (id INTEGER PRIMARY KEY, signature TEXT NOT NULL UNIQUE)",
    # A replaced row gets a new id, so the order of ids is the order of writing.
    "entries": "CREATE TABLE entries (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, feature INTEGER NOT NULL,"
    " written_at REAL NOT NULL, checksum BLOB NOT NULL, value BLOB NOT NULL)",
}
_SCHEMA = {("table", name, sql) for name, sql in _TABLES.items()} | {
    ("index", f"sqlite_autoindex_{name}_1", None) for name in _TABLES
}
_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100
MOVE_AWAY = "Move the file away: a new one is made, and its values are computed again."
_LOCAL_DISK = "Put the cache on a local disk."
_TICK = 100_000
"""Steps of SQLite's virtual machine between two checks of how many were taken."""


ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""Errors of SQLite; it raises the second if its message quotes a damaged name."""


class CacheWarning(UserWarning):
    """A cache file or one of its entries cannot be used; scoring goes on without it."""


class UnusableError(CacheError):
    """The file may be sound, but cannot be read or written now."""


class DamagedError(CacheError):
    """The file is not a sound cache."""


class Steps:
    """Stops a statement that takes more steps than the file's size explains, as in a forged tree of pages."""

    def __init__(self) -> None:
        self._left = 0

    def allow(self, path: Path, items: int = 0) -> None:
        """Allow the steps that a file of this size and this many items can need."""
        try:
            about = path.stat()
            held = min(about.st_size, getattr(about, "st_blocks", about.st_size) * 512)  # holes hold no rows
        except OSError:
            held = 0
        self._left = 10_000_000 + 20 * held + 10_000 * items

    def __call__(self) -> int:
        """Return 0 to let SQLite go on, 1 to stop it."""
        self._left -= _TICK
        return int(self._left < 0)


def connect(path: Path, busy_timeout_s: float, steps: Steps) -> sqlite3.Connection:
    """Open a cache file, or create it; if it cannot be written, open it for reading only.

    Raises:
        CacheError: the file belongs to another program, is damaged, or cannot be opened.
    """
    _check_file(path)
    steps.allow(path)
    try:
        return _open(path, "rwc", busy_timeout_s, steps)
    except ERRORS as error:
        if not (_code(error) in _UNWRITABLE and path.exists()):
            raise explain(error, path, busy_timeout_s) from error
        wal = path.with_name(path.name + "-wal")
        # If its folder cannot be written, no lock can be taken; a file that nobody writes needs none.
        modes = ("ro",) if wal.exists() and wal.stat().st_size else ("ro", "ro&immutable=1")
        for mode in modes:
            try:
                return _open(path, mode, busy_timeout_s, steps)
            except ERRORS as other:
                last = other
        raise explain(last, path, busy_timeout_s) from error


def _open(path: Path, mode: str, busy_timeout_s: float, steps: Steps) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}", uri=True, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
    )
    try:
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES + 4096)  # a row, with its other columns
        connection.set_progress_handler(steps, _TICK)
        connection.execute("PRAGMA trusted_schema = OFF")
        if mode == "rwc":
            connection.execute("PRAGMA synchronous = NORMAL")  # a crash of the machine may cost the last entries
            if connection.execute("PRAGMA application_id").fetchone() != (_APPLICATION_ID,):
                _create(connection, path)
            _enter_wal(connection, busy_timeout_s)
        _check_schema(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _create(connection: sqlite3.Connection, path: Path) -> None:
    # If the file is empty, this writes a first page without tables; `_check_file` accepts such a file.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    # In one transaction, before the write-ahead log exists, so that the file's header always marks it as ours.
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA application_id").fetchone() == (_APPLICATION_ID,):
            return  # another process was faster
        if connection.execute("SELECT count(*) FROM (SELECT 1 FROM sqlite_master LIMIT 1)").fetchone() != (0,):
            raise CacheError(_foreign(path, "an SQLite file of another program"))
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        for statement in _TABLES.values():
            connection.execute(statement)


def _enter_wal(connection: sqlite3.Connection, busy_timeout_s: float) -> None:
    deadline = time.monotonic() + busy_timeout_s
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


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Raise unless the file holds our two tables and nothing else: a view or trigger could run any statement."""
    schema = connection.execute("SELECT type, name, sql FROM sqlite_master LIMIT ?", (len(_SCHEMA) + 1,)).fetchall()
    if len(schema) != len(_SCHEMA) or set(schema) != _SCHEMA:
        raise damaged(path, "its tables are not those of a cache")
    connection.execute("SELECT id FROM features LIMIT 1").fetchone()  # notices a truncated file at once


def damaged(path: Path, problem: object) -> DamagedError:
    """Return the error for a file that is not a sound cache."""
    return DamagedError(f"{path}: the cache file is damaged ({problem}). {MOVE_AWAY}")


_UNWRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)
_NO_LOCKS = (
    sqlite3.SQLITE_IOERR_LOCK,
    sqlite3.SQLITE_IOERR_UNLOCK,
    sqlite3.SQLITE_IOERR_RDLOCK,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMLOCK,
    sqlite3.SQLITE_IOERR_SHMMAP,
)


def explain(error: Exception, path: Path, busy_timeout_s: float) -> CacheError:
    """Return the `CacheError` for an error of SQLite, with the cure."""
    code = _code(error)
    unusable = f"{path}: the cache file cannot be used ({error})."
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        held = f"another process has held the cache file for more than {busy_timeout_s:g} s"
        return UnusableError(
            f"{path}: {held} ({error}). End that process, or raise busy_timeout_s. "
            f"If there is none, the file system has lost a lock, as network file systems do. {_LOCAL_DISK}"
        )
    if code == sqlite3.SQLITE_FULL:
        return UnusableError(f"{path}: no space for the cache file ({error}). Free some, or prune the cache.")
    if code == sqlite3.SQLITE_PROTOCOL or getattr(error, "sqlite_errorcode", 0) in _NO_LOCKS:
        return UnusableError(
            f"{unusable} Its file system does not bear SQLite's locks: network file systems such as NFS, Lustre and "
            f"GPFS mostly do not. {_LOCAL_DISK}"
        )
    if code == sqlite3.SQLITE_IOERR:
        return UnusableError(
            f"{unusable} The disk, a quota or a network file system fails: look at the system's log. {_LOCAL_DISK}"
        )
    if code in _UNWRITABLE:
        return UnusableError(
            f"{unusable} A read-only cache is used for reading. Check the permissions of the file and its folder to "
            "write to it, or choose another path."
        )
    if code == sqlite3.SQLITE_NOMEM:
        return UnusableError(f"{unusable} Free some memory.")
    if code == sqlite3.SQLITE_INTERRUPT:
        return damaged(path, "reading it takes more steps than a sound file of its size needs")
    return damaged(path, error)


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of the bits only refine it


def _foreign(path: Path, content: str) -> str:
    return f"{path}: expected a cache file of cxr_rewards, found {content}. It was not changed; choose another path."


def _check_file(path: Path) -> None:
    """Raise unless `path` is ours or free. Reads only the header, because opening a foreign file may change it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for ending in ("-wal", "-shm", "-journal"):  # SQLite opens these, too, and would hang on a pipe
            beside = path.with_name(path.name + ending)
            if beside.exists() and not beside.is_file():
                raise CacheError(f"{beside}: is not a file, but the cache needs this name. Choose another path.")
        if not path.exists():
            return
        if not path.is_file():
            raise CacheError(_foreign(path, "a folder" if path.is_dir() else "something that is not a file"))
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except (OSError, ValueError) as error:
        raise CacheError(f"{path}: the cache file cannot be opened ({error}). Choose another path.") from error
    if not header:
        return
    if not header.startswith(_MAGIC):
        raise CacheError(_foreign(path, f"a file that starts with {shorten(header[:16])}"))
    if len(header) < _HEADER_BYTES:
        raise damaged(path, f"cut off after {len(header)} bytes")
    schema_changes, version, application_id = (struct.unpack_from(">I", header, at)[0] for at in (40, 60, 68))
    if schema_changes == application_id == 0:
        return  # still empty: another process may be creating it right now
    if application_id != _APPLICATION_ID:
        raise CacheError(_foreign(path, "an SQLite file of another program"))
    if version != _SCHEMA_VERSION:
        raise CacheError(
            f"{path}: the cache file has format {version}, this version of cxr_rewards reads {_SCHEMA_VERSION}."
            " Upgrade cxr_rewards, or choose another path."
        )


def file_bytes(path: Path) -> int:
    """Return the size of a cache file, including its write-ahead log."""
    total = 0
    for name in (path, path.with_name(path.name + "-wal")):
        try:
            total += os.stat(name).st_size
        except OSError:
            continue
    return total
