"""Cache files that are damaged, forged, read-only or on a disk that fails: a warning, an error of ours, or right."""

from __future__ import annotations

import os
import random
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from cxr_rewards.cache import CacheWarning, SqliteCache, file
from cxr_rewards.cache.stored import checksum_of
from cxr_rewards.core.feature import Feature
from cxr_rewards.errors import CacheError, CxrRewardsError

pytestmark = pytest.mark.slow

ITEMS = [f"Small effusion number {i}." for i in range(40)]


class Note(Feature):
    name = "hostile_note"

    def compute(self, items, upstream):
        return [len(text) for text in items]


NOTE = Note()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cache.sqlite"
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, {item: [item, len(item)] for item in ITEMS})
    return path


def forge(path, *statements):
    """Change a cache behind its back."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(*statement if isinstance(statement, tuple) else (statement,))
    connection.close()


def use(path):
    """Do all that can be done with a file; return the values read."""
    with SqliteCache(path, busy_timeout_s=0.1) as cache:
        kept = cache.get_many(NOTE, ITEMS)
        for step in (
            cache.verify,
            cache.stats,
            lambda: cache.prune(older_than_s=1e6),
            lambda: cache.prune(max_bytes=0),
        ):
            with suppress(CxrRewardsError):
                step()
        cache.put_many(NOTE, {"new": 1})
        return kept


def test_a_file_with_flipped_bytes_gives_right_values_or_an_error_of_ours(path, tmp_path):
    data, rng, target = path.read_bytes(), random.Random(0), tmp_path / "flipped.sqlite"
    refused = absent = 0
    for turn in range(150):
        changed = bytearray(data)
        for _ in range(1 + turn % 4):
            changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        for ending in ("", "-wal", "-shm"):
            Path(f"{target}{ending}").unlink(missing_ok=True)
        target.write_bytes(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            try:
                kept = use(target)
            except CxrRewardsError:
                refused += 1
                continue
        assert kept.items() <= {item: [item, len(item)] for item in ITEMS}.items() or not kept
        assert all(value == [item, len(item)] for item, value in kept.items())
        absent += len(kept) < len(ITEMS)
    assert refused
    assert absent


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET value = 'text'",
        "UPDATE entries SET checksum = 3",
        "UPDATE entries SET checksum = x''",
        "UPDATE entries SET value = 1e300",
        "UPDATE entries SET key = id",
        "UPDATE entries SET key = 'k' || id, value = zeroblob(100)",
    ],
)
def test_a_row_of_other_types_counts_as_absent(path, change):
    forge(path, change)
    with warnings.catch_warnings(), SqliteCache(path) as cache:
        warnings.simplefilter("ignore", CacheWarning)
        assert cache.get_many(NOTE, ITEMS) == {}
        report = cache.verify()
        assert len(report.bad_entries) == len(ITEMS)
        cache.put_many(NOTE, {ITEMS[0]: 7})
    with SqliteCache(path) as cache:
        assert cache.get_many(NOTE, ITEMS[:1]) == {ITEMS[0]: 7}


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"j", b"j[", b"j" + b"[" * 100_000, b"j\xff", b"a", b"a[]\n", b'a["<f4",[99999999999999]]\n', b"z1",
        b'a["<f4",[-1]]\n1234', b'a["<f4",[1e99]]\n1234', b'a[["x","<f4"],[1]]\n1234', b'a["<M8[s]",[1]]\n12345678', b'a["<f4","2"]\n12345678',
    ],
)  # fmt: skip
def test_a_value_that_is_forged_with_its_checksum_counts_as_absent(path, payload):
    with SqliteCache(path) as cache, cache._use() as connection:
        (key,) = connection.execute("SELECT key FROM entries LIMIT 1").fetchone()
    forge(path, ("UPDATE entries SET value = ?, checksum = ? WHERE key = ?", (payload, checksum_of(key, payload), key)))
    with SqliteCache(path) as cache:
        with pytest.warns(CacheWarning, match="counts as absent and is computed again"):
            kept = cache.get_many(NOTE, ITEMS)
        assert len(kept) == len(ITEMS) - 1
        assert len(cache.verify().bad_entries) == 1


def test_invalid_times_are_reported(path):
    for time_of_writing in ("1e300", "'yesterday'", "x'00'", "-1e18"):
        forge(path, f"UPDATE entries SET written_at = {time_of_writing}")
        with SqliteCache(path) as cache:
            with pytest.raises(CacheError, match="the cache file is damaged .an entry was written at"):
                cache.stats()
            assert "its time of writing is" in cache.verify().bad_entries[0].problem
            assert len(cache.get_many(NOTE, ITEMS)) == len(ITEMS)


def test_a_signature_that_is_no_text_is_shown(path):
    forge(path, "UPDATE features SET signature = CAST(x'ff00fe' AS TEXT)")
    with SqliteCache(path) as cache:
        assert len(cache.stats().features) == 1
        assert len(cache.get_many(NOTE, ITEMS)) == len(ITEMS)


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"


@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE features", f"CREATE VIEW features AS {ENDLESS} SELECT i AS id, 'x' AS signature FROM n WHERE i < 0"),
        ("DROP TABLE entries", f"CREATE VIEW entries AS {ENDLESS} SELECT i AS id, i AS key, 1 AS feature, 0 AS written_at, "
         "x'' AS checksum, x'' AS value FROM n"),
        (f"CREATE TRIGGER t BEFORE INSERT ON entries BEGIN SELECT ({ENDLESS} SELECT count(*) FROM n); END",),
        ("CREATE TABLE other (a, b AS (hex(zeroblob(100000000))))",),
        ("CREATE INDEX slow ON entries (hex(zeroblob(id)))",),
        ("ALTER TABLE entries ADD COLUMN more AS (hex(zeroblob(1000000)))",),
        ("DROP TABLE entries",),
    ],
    ids=["view of features", "view of entries", "trigger", "generated", "index", "column", "no table"],
)  # fmt: skip
def test_a_file_with_other_tables_than_a_caches_is_refused_at_once(path, statements):
    forge(path, *statements)
    began = time.monotonic()
    with pytest.raises(CacheError, match="its tables are not those of a cache"):
        SqliteCache(path)
    assert time.monotonic() - began < 30


def forge_tree(path):
    """Make the table of entries a tree of pages that are their own grandchildren: 10^20 rows to whoever follows it."""
    data = bytearray(path.read_bytes())
    size = struct.unpack_from(">H", data, 16)[0]
    connection = sqlite3.connect(path)
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entries'").fetchone()
    connection.close()
    leaf = bytes(data[(root - 1) * size : root * size])
    pages, depth, fan = len(data) // size, 16, 300
    chain = [root, *range(pages + 1, pages + depth + 1)]
    data += bytes(size * depth)
    for page, child in pairwise(chain):
        body = bytearray(size)
        cells = b"".join(struct.pack(">I", child) + bytes([1 + i % 127]) for i in range(fan))
        start = size - len(cells)
        body[start:] = cells
        struct.pack_into(">BHHHBI", body, 0, 5, 0, fan, start, 0, child)
        for i in range(fan):
            struct.pack_into(">H", body, 12 + 2 * i, start + 5 * i)
        data[(page - 1) * size : page * size] = body
    data[(chain[-1] - 1) * size : chain[-1] * size] = leaf
    struct.pack_into(">I", data, 28, len(data) // size)
    path.write_bytes(data)


def test_a_forged_tree_of_pages_ends_every_command_in_bounded_time(tmp_path):
    path = tmp_path / "small.sqlite"
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, {"a": 1, "b": 2})
    forge_tree(path)
    began = time.monotonic()
    with SqliteCache(path) as cache:
        report = cache.verify()
        assert not report.ok
        for step in (cache.stats, lambda: cache.prune(older_than_s=1), lambda: cache.prune(max_bytes=0)):
            with pytest.raises(CacheError, match="damaged"):
                step()
    assert time.monotonic() - began < 60


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal"])
def test_a_pipe_in_the_place_of_a_file_is_refused(tmp_path, ending):
    os.mkfifo(tmp_path / f"cache.sqlite{ending}")
    with pytest.raises(CacheError, match="not a file.*[cC]hoose another path"):
        SqliteCache(tmp_path / "cache.sqlite")


# --- a file that cannot be read or written now


class Failing:
    """A connection that fails as SQLite says it does."""

    def __init__(self, message, code):
        self.error = sqlite3.OperationalError(message)
        self.error.sqlite_errorcode = code
        self.asked = 0

    def execute(self, *_):
        self.asked += 1
        raise self.error

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


FAILURES = [
    ("disk I/O error", sqlite3.SQLITE_IOERR_READ, "disk, a quota or a network file system.*local disk"),
    ("disk I/O error", sqlite3.SQLITE_IOERR_SHMMAP, "NFS, Lustre and GPFS .*local disk"),
    ("locking protocol", sqlite3.SQLITE_PROTOCOL, "NFS, Lustre and GPFS .*local disk"),
    ("database is locked", sqlite3.SQLITE_BUSY, "another process has held .*busy_timeout_s.*local disk"),
    ("database or disk is full", sqlite3.SQLITE_FULL, "no space .*Free some"),
    ("attempt to write a readonly database", sqlite3.SQLITE_READONLY, "used for reading. Check the permissions"),
    ("unable to open database file", sqlite3.SQLITE_CANTOPEN, "Check the permissions"),
    ("out of memory", sqlite3.SQLITE_NOMEM, "Free some memory"),
    ("database disk image is malformed", sqlite3.SQLITE_CORRUPT, "damaged .*Move the file away"),
    ("string or blob too big", sqlite3.SQLITE_TOOBIG, "damaged .*Move the file away"),
]


@pytest.mark.parametrize(("message", "code", "cure"), FAILURES, ids=[f"{m} {c}" for m, c, _ in FAILURES])
def test_a_file_that_fails_in_mid_run_is_reported_once_and_the_run_goes_on(path, message, code, cure, monkeypatch):
    with SqliteCache(path) as cache:
        cache.close()
        cache._connection = failing = Failing(message, code)
        with pytest.warns(CacheWarning, match=f"(?s){message}.*{cure}|{cure}") as caught:
            assert cache.get_many(NOTE, ITEMS) == {}
        assert len(caught) == 1
        cache.put_many(NOTE, {"a": 1})  # neither asked nor warned again
        assert cache.get_many(NOTE, ["a", ITEMS[0]]) == {"a": 1}
        assert failing.asked == 1
        cache._connection = Failing(message, code)
        monkeypatch.setattr(cache, "_write_again_at", 0.0)
        with pytest.warns(CacheWarning, match=cure):
            cache.put_many(NOTE, {"b": 1})
        monkeypatch.setattr(cache, "_read_again_at", 0.0)
        assert len(cache.get_many(NOTE, ITEMS)) == len(ITEMS)  # it works again


def test_a_file_system_without_locks_is_reported_when_the_cache_is_opened(path, monkeypatch):
    def fail(*_):
        raise Failing("locking protocol", sqlite3.SQLITE_PROTOCOL).error

    monkeypatch.setattr(file, "_enter_wal", fail)
    with pytest.raises(CacheError, match=r"locking protocol.*GPFS.*Put the cache on a local disk"):
        SqliteCache(path)


READ_ONLY = """
import os, sys, warnings
import numpy
from cxr_rewards.cache import CacheWarning, SqliteCache
from tests.unit.cache.test_hostile import ITEMS, NOTE
type(NOTE).code_home = NOTE.code_home  # another user may not be able to read the module's source
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    open(sys.argv[1], "r+b")
except PermissionError:
    pass
else:
    sys.exit("the file can be written")
with warnings.catch_warnings(record=True) as caught, SqliteCache(sys.argv[1]) as cache:
    warnings.simplefilter("always")
    assert len(cache.get_many(NOTE, ITEMS)) == len(ITEMS)
    assert not caught, [str(one.message) for one in caught]
    cache.put_many(NOTE, {"new": 1})
    assert cache.get_many(NOTE, ["new"]) == {"new": 1}
    (warning,) = caught
    assert warning.category is CacheWarning
    assert "used for reading" in str(warning.message), warning.message
    assert cache.verify().ok
    assert cache.stats().entries == len(ITEMS)
print("ok")
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="permissions are Unix's")
@pytest.mark.parametrize("with_empty_log", [False, True], ids=["no log", "empty log"])
@pytest.mark.parametrize("folder_mode", [0o555, 0o777], ids=["folder read-only", "folder writable"])
def test_a_read_only_cache_is_read_and_warns_when_there_is_something_to_write(folder_mode, with_empty_log):
    with tempfile.TemporaryDirectory() as place:  # not tmp_path, whose parents only their owner may enter
        folder = Path(place)
        path = folder / "cache.sqlite"
        with SqliteCache(path) as cache:
            cache.put_many(NOTE, {item: [item, len(item)] for item in ITEMS})
        if with_empty_log:  # as a reader that was killed leaves it
            path.with_name("cache.sqlite-wal").touch(0o444)
        path.chmod(0o444)
        folder.chmod(folder_mode)
        try:
            command = [sys.executable, "-c", READ_ONLY, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        finally:
            folder.chmod(0o755)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
