"""The caches: what is kept, for whom, and what happens when the file is foreign, damaged, full or shared."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.cache import CacheWarning, MemoryCache, SqliteCache, sqlite
from cxr_rewards.cache.stored import checksum_of, keys
from cxr_rewards.core.component import Component
from cxr_rewards.core.engine import Engine
from cxr_rewards.core.feature import CaseItem, Feature, PairItem
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import CacheError, ConfigError
from cxr_rewards.types import Case, Failure, Score


class Note(Feature):
    __module__ = Feature.__module__  # so that the same class in another process has the same signature and key
    name = "note"
    style: str = setting("plain", "Only tells signatures apart.")

    def compute(self, items, upstream):
        return [{"words": len(text.split())} for text in items]


class PairNote(Note):
    name = "pair_note"
    over = "pair"


class CaseNote(Note):
    name = "case_note"
    over = "case"


class Cheap(Note):
    name = "cheap"
    persistent = False


class Span(Feature):
    name = "span"

    def compute(self, items, upstream):
        return [(0, len(text)) for text in items]

    def encode(self, value):
        return list(value)

    def decode(self, stored):
        return (stored["start"], stored["end"]) if isinstance(stored, dict) else tuple(stored)


NOTE = Note()
TEXTS = [f"Small effusion number {i}." for i in range(1000)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache.sqlite"


def reopened(path, feature, items):
    with SqliteCache(path) as cache:
        return cache.get_many(feature, items)


PREAMBLE = """
import sys, os
from cxr_rewards.cache import SqliteCache, MemoryCache
from cxr_rewards.cache.stored import keys
from cxr_rewards.core.feature import Feature, PairItem, CaseItem
from cxr_rewards.core.settings import setting
class Note(Feature):
    __module__ = Feature.__module__
    name = "note"
    style: str = setting("plain", "")
    def compute(self, items, upstream):
        return [1 for _ in items]
"""


def run_python(code, *args, **env):
    """Start code in a fresh interpreter in which every warning is an error."""
    command = [sys.executable, "-W", "error", "-c", PREAMBLE + code, *map(str, args)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **env})


def output(process):
    with process:
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return out if (process.returncode, err) == (0, "") else f"exit {process.returncode}: {err}"


# --- in memory


def test_memory_returns_the_kept_objects_and_nothing_for_the_others():
    cache, value = MemoryCache(), {"words": 2}
    cache.put_many(NOTE, {"Clear lungs.": value, "": None})
    kept = cache.get_many(NOTE, ["Clear lungs.", "", "Effusion."])
    assert kept == {"Clear lungs.": value, "": None}
    assert kept["Clear lungs."] is value
    assert (cache.hits, cache.misses) == (2, 1)


def test_features_with_other_settings_do_not_share_values():
    cache = MemoryCache()
    cache.put_many(NOTE, {"Clear lungs.": 1})
    assert cache.get_many(Note(style="other"), ["Clear lungs."]) == {}
    assert cache.get_many(Note(), ["Clear lungs."]) == {"Clear lungs.": 1}


def test_memory_drops_what_was_least_recently_used():
    cache = MemoryCache(max_items=3)
    cache.put_many(NOTE, {"a": 1, "b": 2, "c": 3})
    cache.get_many(NOTE, ["a"])
    cache.put_many(NOTE, {"b": 20})
    cache.put_many(Note(style="other"), {"d": 4})
    assert cache.get_many(NOTE, ["a", "b", "c"]) == {"a": 1, "b": 20}
    cache.put_many(NOTE, dict.fromkeys(TEXTS, 0))
    assert cache.get_many(NOTE, TEXTS) == dict.fromkeys(TEXTS[-3:], 0)


def test_memory_drops_arrays_beyond_its_bytes():
    class Vectors(Note):
        name = "vectors"

    cache = MemoryCache(max_bytes=1000)
    arrays = {str(i): np.zeros(100, dtype=np.float32) for i in range(4)}  # 400 bytes each
    cache.put_many(Vectors(), arrays)
    assert list(cache.get_many(Vectors(), list(arrays))) == ["2", "3"]
    cache.put_many(Vectors(), {"3": np.zeros(10, dtype=np.float32), "pair": (np.zeros(130, dtype=np.float32), 1)})
    assert set(cache.get_many(Vectors(), ["2", "3", "pair"])) == {"2", "3", "pair"}  # 400 + 40 + 520 bytes
    cache.clear()
    cache.put_many(Vectors(), arrays)
    assert list(cache.get_many(Vectors(), list(arrays))) == ["2", "3"]


@pytest.mark.parametrize("make", [lambda _: MemoryCache(), SqliteCache], ids=["memory", "sqlite"])
def test_a_failure_is_refused_and_its_neighbours_are_not_kept(make, path):
    cache = make(path)
    with pytest.raises(CacheError, match=r"note: a failure cannot be kept: judge: no reply\. Leave failures out"):
        cache.put_many(NOTE, {"a": 1, "b": Failure("judge", "no reply")})
    assert cache.get_many(NOTE, ["a", "b"]) == {}


def test_settings_out_of_range_are_refused(path):
    with pytest.raises(ConfigError, match="max_items must be 0 or more, got -1"):
        MemoryCache(-1)
    with pytest.raises(ConfigError, match="busy_timeout_s must be 0 or more, got -2"):
        SqliteCache(path, busy_timeout_s=-2)
    assert not path.exists()


# --- keys

KEYS_CODE = """
class Pair(Note): __module__, over = Note.__module__, 'pair'
class Whole(Note): __module__, over = Note.__module__, 'case'
pair, case = PairItem('a', '\\ud800'), CaseItem('a', 'b', ('c',), (('age', '63'),))
for feature, item in ((Note(), 'Kein Erguss. \\u00e4 \\U0001fa7b'), (Pair(), pair), (Whole(), case)):
    print(next(keys(feature, [item]))[0].hex())
"""


def test_keys_are_the_same_in_every_process_and_release():
    runs = {output(run_python(KEYS_CODE, PYTHONHASHSEED=seed)) for seed in ("1", "2")}
    # To change these is to lose all that is in users' files.
    assert [run.split() for run in runs] == [
        ["13746d7a1da286806c6a71a23ceca51c", "902e3f050bc4e537c220c51f937d19ec", "7e51e66882fabae6f2d6c4046caa29ce"]
    ]


anything = st.text(st.characters(codec=None), max_size=4)  # lone surrogates too
pair_items = st.builds(PairItem, anything, anything)
case_items = st.builds(
    CaseItem,
    anything,
    anything,
    st.lists(anything, max_size=2).map(tuple),
    st.lists(st.tuples(anything, anything), max_size=2).map(tuple),
)


@pytest.mark.parametrize(
    ("feature", "items"),
    [(NOTE, anything), (PairNote(), pair_items), (CaseNote(), case_items)],
    ids=["text", "pair", "case"],
)
def test_distinct_items_have_distinctkeys(feature, items):
    @given(items, items)
    def check(a, b):
        (key_a, _), (key_b, _) = keys(feature, [a, b])
        assert (key_a == key_b) == (a == b)

    check()


def test_a_character_and_its_two_surrogates_are_told_apart(path):
    whole, halves = "\U0001fa7b", "\ud83e\ude7b"
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, {whole: whole, halves: halves})
        cache.put_many(PairNote(), {PairItem(whole, ""): 1, PairItem(halves, ""): 2})
    assert reopened(path, NOTE, [whole, halves]) == {whole: whole, halves: halves}
    assert reopened(path, PairNote(), [PairItem(halves, "")]) == {PairItem(halves, ""): 2}


def test_an_item_that_is_not_made_of_texts_is_named(path):
    item = CaseItem("a", "b", (), (("taken", datetime(2020, 1, 1, tzinfo=UTC)),))
    with SqliteCache(path) as cache, pytest.raises(CacheError, match=r"case_note: CaseItem\(.* give text"):
        cache.get_many(CaseNote(), [item])


# --- in a file


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -0.1, 1e300, "", "\ud800\x00 ä", [], {}, [1, [2.5, None]], {"a": {"b": ["c"]}}],
    ids=repr,
)
def test_json_values_come_back_from_the_file_as_they_were(path, value):
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, {"text": value})
    (restored,) = reopened(path, NOTE, ["text"]).values()
    assert restored == value
    assert type(restored) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        np.arange(10, dtype=np.float16)[::2],
        np.array(2.5),
        np.zeros((0, 768), np.float32),
        np.array([True, False]),
        np.array([np.nan, np.inf, 1 + 2j]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_come_back_from_the_file_as_they_were(path, array):
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, {"text": array})
    restored = reopened(path, NOTE, ["text"])["text"]
    assert (restored.dtype, restored.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(restored, array)
    assert not restored.flags.writeable


def test_values_pass_through_encode_and_decode(path):
    with SqliteCache(path) as cache:
        cache.put_many(Span(), {"text": (0, 4)})
    assert reopened(path, Span(), ["text"]) == {"text": (0, 4)}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "type float cannot be stored: Out of range float"),
        ({1: "a"}, "type dict cannot be stored: it comes back changed from JSON"),
        ((1, 2), "type tuple cannot be stored: it comes back changed from JSON"),
        ({"a", "b"}, "type set cannot be stored: Object of type set"),
        (np.array([object()]), "type ndarray cannot be stored: an array of object is not numeric"),
        ([np.zeros(2)], "type list cannot be stored: Object of type ndarray"),
    ],
    ids=["nan", "number keys", "tuple", "set", "objects", "array in list"],
)
def test_a_value_that_cannot_be_stored_is_named_and_nothing_is_kept(path, value, why):
    with SqliteCache(path) as cache:
        with pytest.raises(CacheError, match=f"note: a value of .*{why}(.|\n)*encode"):
            cache.put_many(NOTE, {"fine": 1, "text": value})
        assert cache.get_many(NOTE, ["fine", "text"]) == {}


@pytest.mark.parametrize("value", ["x" * 100, np.zeros(25, np.float32)], ids=["text", "array"])
def test_a_value_that_is_too_large_is_named_and_not_kept(path, value, monkeypatch):
    monkeypatch.setattr("cxr_rewards.cache.stored.MAX_VALUE_BYTES", 100)
    with SqliteCache(path) as cache:
        with pytest.raises(CacheError, match=r"cannot be stored: it takes \d+ bytes, more than 100"):
            cache.put_many(NOTE, {"text": value})
        assert cache.get_many(NOTE, ["text"]) == {}


def test_a_value_that_the_feature_no_longer_decodes_is_reported_and_computed_again(path):
    with SqliteCache(path) as cache:
        cache.put_many(Span(), {"text": (1, 2)})
        with cache._write() as connection:
            payload = b'j{"first":1}'
            (key,) = connection.execute("SELECT key FROM entries").fetchone()
            row = (payload, checksum_of(key, payload))
            connection.execute("UPDATE entries SET value = ?, checksum = ?", row)
    with SqliteCache(path) as cache:
        with pytest.warns(
            CacheWarning, match=r"span: entry .* cannot be decoded \(KeyError: 'start'\).*raise the feature"
        ):
            assert cache.get_many(Span(), ["text"]) == {}
        cache.put_many(Span(), {"text": (3, 4)})
    assert reopened(path, Span(), ["text"]) == {"text": (3, 4)}


def test_features_that_are_not_persistent_stay_in_memory(path):
    with SqliteCache(path) as cache:
        cache.put_many(Cheap(), {"text": (1, 2)})  # not even storable
        assert cache.get_many(Cheap(), ["text"]) == {"text": (1, 2)}
        assert cache.stats().entries == 0
    assert reopened(path, Cheap(), ["text"]) == {}


def test_items_in_memory_and_in_the_file_are_found_together_and_counted(path):
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, dict.fromkeys(TEXTS[:600], "old"))
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, {TEXTS[0]: "new"})
        kept = cache.get_many(NOTE, TEXTS)
        assert kept == {**dict.fromkeys(TEXTS[:600], "old"), TEXTS[0]: "new"}
        assert (cache.hits, cache.misses) == (600, 400)
        path.unlink()  # from here on only memory can answer
        cache.close()
        assert cache.get_many(NOTE, TEXTS[:600]) == kept
    assert reopened(path, NOTE, TEXTS) == {}


def test_a_value_put_again_replaces_the_old_one(path):
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, {"text": 1})
        cache.put_many(NOTE, {"text": 2})
        assert cache.stats().entries == 1
    assert reopened(path, NOTE, ["text"]) == {"text": 2}


def test_a_second_run_computes_nothing_that_the_first_computed(path):
    computed = []

    class Words(Note):
        __module__ = Feature.__module__
        name = "words"

        def compute(self, items, upstream):
            computed.extend(items)
            return [Failure("words", "unlucky") if text == "fails" else len(text.split()) for text in items]

    class Ratio(Component):
        name = "ratio"
        summary = "words of the candidate for each of the reference"
        bounds = (0.0, float("inf"))
        needs = (Words(),)

        def score_case(self, case, features):
            words = [features.value(self.needs[0], text) for text in (case.candidate, case.reference)]
            return Score(words[0] / words[1])

    cases = [Case(candidate=text, reference="Clear lungs.") for text in ("No effusion seen.", "fails")]
    scores = []
    for _ in range(2):
        with SqliteCache(path) as cache:
            scores.append([row[0].value for row in Engine({"ratio": Ratio()}).run(cases, cache)])
    assert scores == [[1.5, None]] * 2
    assert sorted(computed) == ["Clear lungs.", "No effusion seen.", "fails", "fails"]  # failures are tried again


# --- which files are accepted


def test_missing_folders_and_empty_files_become_caches(tmp_path):
    (tmp_path / "empty").touch()
    with sqlite3.connect(tmp_path / "bare") as connection:
        connection.execute("PRAGMA auto_vacuum = 2")
    connection.close()
    for path in (tmp_path / "a" / "b" / "cache.sqlite", tmp_path / "empty", tmp_path / "bare"):
        with SqliteCache(path) as cache:
            cache.put_many(NOTE, {"text": 1})
        assert reopened(str(path), NOTE, ["text"]) == {"text": 1}


def write_text(path):
    path.write_text("study_id,report\n1,Clear lungs.\n")


def write_foreign_database(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE entries (key, value)")
    connection.close()


def write_newer_cache(path):
    with SqliteCache(path) as cache, cache._use() as connection:
        connection.execute("PRAGMA user_version = 7")


def write_full_cache(path):
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, {text: text * 50 for text in TEXTS})
    assert path.stat().st_size > 1_000_000


def write_truncated_cache(path):
    write_full_cache(path)
    os.truncate(path, 100_000)


def write_stub(path):
    write_full_cache(path)
    os.truncate(path, 60)


def write_scrambled_cache(path):
    write_full_cache(path)
    with path.open("r+b") as file:
        file.seek(100)  # leaves the header, which says that the file is ours
        file.write(os.urandom(40_000))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_text, r"expected a cache file of cxr_rewards, found a file that starts with b'study_id.*choose another"),
        (write_foreign_database, "expected a cache file .* found an SQLite file of another program"),
        (write_newer_cache, "the cache file has format 7, this version of cxr_rewards reads 1. Upgrade cxr_rewards"),
        (write_truncated_cache, "the cache file is damaged .* Move the file away"),
        (write_stub, "the cache file is damaged .cut off after 60 bytes.* Move the file away"),
        (write_scrambled_cache, "the cache file is damaged .* Move the file away"),
    ],
)
def test_a_foreign_or_damaged_file_is_refused_and_left_as_it_was(path, write, message):
    write(path)
    before = path.read_bytes()
    with pytest.raises(CacheError, match=f"^{path}: {message}"):
        SqliteCache(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_places_where_no_file_can_be_are_named(tmp_path):
    with pytest.raises(CacheError, match="found a folder"):
        SqliteCache(tmp_path)
    file = tmp_path / "report.txt"
    file.write_text("Clear lungs.")
    with pytest.raises(CacheError, match=r"cannot be opened .* Choose another path"):
        SqliteCache(file / "cache.sqlite")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_permissions_decide_what_a_cache_can_do(tmp_path, path):
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, {"a": 1})
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    with pytest.raises(CacheError, match=r"cannot be (opened|used) .*[Cc]hoose another path"):
        SqliteCache(tmp_path / "other.sqlite")
    tmp_path.chmod(0o700)
    with SqliteCache(path) as cache:
        with pytest.warns(CacheWarning, match="Check the permissions"):
            cache.put_many(NOTE, {"b": 2})
        assert cache.get_many(NOTE, ["a", "b"]) == {"a": 1, "b": 2}


# --- damage


def test_a_damaged_page_met_while_reading_is_reported_and_ends_no_run(path):
    write_full_cache(path)
    with path.open("r+b") as file:
        file.seek(40_960)
        file.write(b"\xff" * 400_000)
    with SqliteCache(path) as cache:
        with pytest.warns(CacheWarning, match="the cache file is damaged .*Until then .* in memory only"):
            assert cache.get_many(NOTE, TEXTS) == {}
        cache.put_many(NOTE, {"new": 1})
        assert cache.get_many(NOTE, ["new", "old"]) == {"new": 1}  # a second warning would be an error
        report = cache.verify()
    assert not report.ok
    assert report.file_problems


def test_changed_and_misplaced_values_are_found_by_their_checksum(path):
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, {"a": 1, "b": 2, "c": 3})
        with cache._write() as connection:
            for column in ("value", "checksum"):  # b's entry now says what a's says
                connection.execute(
                    f"UPDATE entries SET {column} = (SELECT {column} FROM entries WHERE id = 1) WHERE id = 2"
                )
            connection.execute("UPDATE entries SET value = x'6a39' WHERE id = 3")
        report = cache.verify()
    assert (report.ok, report.entries, report.file_problems) == (False, 3, ())
    key_of = {item: key.hex() for key, item in keys(NOTE, ["a", "b", "c"])}
    assert [entry[:2] for entry in report.bad_entries] == [(NOTE.signature, key_of["b"]), (NOTE.signature, key_of["c"])]
    assert reopened(path, NOTE, ["a"]) == {"a": 1}
    for item in ("b", "c"):
        with pytest.warns(CacheWarning, match=f"note: entry {key_of[item]}: its checksum differs.*cache verify"):
            assert reopened(path, NOTE, [item]) == {}


def test_a_value_of_unknown_kind_is_reported_by_verify(path):
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, {"a": 1})
        with cache._write() as connection:
            (key,) = connection.execute("SELECT key FROM entries").fetchone()
            forged = b'a["|O",[1]]\n' + b"\x01" * 8  # an array of addresses
            row = (forged, checksum_of(key, forged))
            connection.execute("UPDATE entries SET value = ?, checksum = ?", row)
        (bad,) = cache.verify().bad_entries
    assert bad.problem == "it cannot be read: TypeError: an array of object is not numeric"


# --- a file that cannot be written


@pytest.mark.parametrize(
    ("obstacle", "message"),
    [
        ("PRAGMA max_page_count = 1", "no space for the cache file"),
        ("PRAGMA query_only = TRUE", "the cache file cannot be used .*readonly"),
    ],
    ids=["full", "read-only"],
)
def test_values_survive_a_file_that_cannot_be_written(path, obstacle, message, monkeypatch):
    with SqliteCache(path) as cache:
        with cache._use() as connection:
            connection.execute(obstacle).fetchall()
        with pytest.warns(CacheWarning, match=message) as caught:
            cache.put_many(NOTE, {"a": "x" * 100_000})
        assert len(caught) == 1
        with cache._use() as connection:  # opened again, it would take them
            connection.execute(obstacle).fetchall()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # it warns once only
            cache.put_many(NOTE, {"b": "x" * 100_000})  # too early for another attempt
            monkeypatch.setattr(cache, "_write_again_at", 0.0)
            cache.put_many(NOTE, {"c": "x" * 100_000})
        assert cache.get_many(NOTE, ["a", "b", "c"]) == dict.fromkeys("abc", "x" * 100_000)
        monkeypatch.setattr(cache, "_write_again_at", 0.0)
        cache.put_many(NOTE, {"d": 2})
    assert reopened(path, NOTE, ["a", "b", "c", "d"]) == {"d": 2}


def test_a_file_held_by_another_writer_is_waited_for_once(path):
    statements = []
    with SqliteCache(path, busy_timeout_s=0.05) as cache, SqliteCache(path) as other:
        with other._write():
            with pytest.warns(CacheWarning, match=r"held the cache file for more than 0\.05 s"):
                cache.put_many(NOTE, {"a": 1})
            with cache._use() as connection:
                connection.set_trace_callback(statements.append)
            cache.put_many(NOTE, {"b": 2})
        assert statements == []
        assert cache.get_many(NOTE, ["a", "b"]) == {"a": 1, "b": 2}


# --- several users of one file

WORKER_CODE = """
me = int(sys.argv[2])
with SqliteCache(sys.argv[1], max_memory_items=0) as cache:
    for batch in range(40):
        mine = {f"{me} {batch} {i}": [me, batch, i] for i in range(10)}
        shared = {f"shared {batch}": batch}
        cache.put_many(Note(), {**mine, **shared})
        assert cache.get_many(Note(), [*mine, *shared]) == {**mine, **shared}
print("done")
"""


def test_processes_that_make_read_and_write_one_file_lose_nothing(path):
    workers = [run_python(WORKER_CODE, path, me) for me in range(4)]
    assert [output(worker) for worker in workers] == ["done\n"] * 4
    expected = {f"{me} {batch} {i}": [me, batch, i] for me in range(4) for batch in range(40) for i in range(10)}
    with SqliteCache(path) as cache:
        assert cache.get_many(NOTE, list(expected)) == expected
        assert cache.stats().entries == len(expected) + 40
        assert cache.verify().ok


KILLED_CODE = """
cache = SqliteCache(sys.argv[1])
for batch in range(100_000):
    cache.put_many(Note(), {f"{batch} {i}": "x" * 500 for i in range(50)})
    print(batch, flush=True)
"""


def test_all_that_a_killed_writer_committed_is_there(path):
    writer = run_python(KILLED_CODE, path)
    for _ in range(30):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    with writer:
        rest, _ = writer.communicate(timeout=60)
    last = int(rest.split()[-1]) if rest.strip() else 29
    items = [f"{batch} {i}" for batch in range(last + 1) for i in range(50)]
    with SqliteCache(path) as cache:
        assert cache.verify().ok
        assert len(cache.get_many(NOTE, items)) == len(items)


def test_threads_share_a_cache(path):
    with SqliteCache(path, max_memory_items=64) as cache:
        wrong = []

        def work(me):
            for start in range(0, 400, 20):
                values = {f"{me} {text}": [me, text] for text in TEXTS[start : start + 20]}
                cache.put_many(NOTE, values)
                if cache.get_many(NOTE, list(values)) != values:
                    wrong.append((me, start))

        threads = [threading.Thread(target=work, args=(me,)) for me in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert cache.stats().entries == 1600
        assert (cache.hits, cache.misses) == (1600, 0)


def test_copies_through_pickle_share_the_file_but_not_the_memory(path):
    with SqliteCache(path, max_memory_items=7, busy_timeout_s=3.0) as cache:
        cache.put_many(NOTE, {"a": 1})
        cache.put_many(Cheap(), {"a": 1})
        with pickle.loads(pickle.dumps(cache)) as copy:
            assert (copy.path, copy._memory.max_items, copy.busy_timeout_s) == (path, 7, 3.0)
            assert copy.get_many(NOTE, ["a"]) == {"a": 1}
            assert copy.get_many(Cheap(), ["a"]) == {}
    memory = MemoryCache(7)
    memory.put_many(NOTE, {"a": 1})
    copy = pickle.loads(pickle.dumps(memory))
    assert (copy.max_items, copy.get_many(NOTE, ["a"])) == (7, {})


def test_a_pickled_cache_opens_in_a_fresh_process(path):
    with SqliteCache(path) as cache:
        cache.put_many(NOTE, {"a": 1})
        code = "import pickle\nprint(pickle.loads(bytes.fromhex(sys.argv[1])).get_many(Note(), ['a']))"
        assert output(run_python(code, pickle.dumps(cache).hex())) == "{'a': 1}\n"


# Threads keep both locks busy while the process forks, so that sooner or later a fork would inherit a held one.
FORK_CODE = """
import threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python's warning of forks beside threads, which are the point
cache, memory, stop = SqliteCache(sys.argv[1], max_memory_items=8), MemoryCache(64), threading.Event()
note = Note()
note.signature  # Python 3.11 computes it under a lock of its own, which a fork would inherit
def work(me):
    for n in range(10**9):
        if stop.wait(0.001):  # SQLite's lock is not fair: writers without a pause starve the others
            return
        items = {f"{me} {n} {i}": [me, n, i] for i in range(20)}
        for kept in (cache, memory):
            kept.put_many(note, items)
            kept.get_many(note, list(items))
threads = [threading.Thread(target=work, args=(me,)) for me in range(2)]
for thread in threads:
    thread.start()
children = []
for n in range(25):
    child = os.fork()
    if child == 0:
        cache.put_many(note, {f"child {n}": n, "last child": n})
        memory.put_many(note, {f"child {n}": n})
        found = cache.get_many(note, [f"child {n}"]), memory.get_many(note, [f"child {n}"])
        cache.close()
        os._exit(0 if found == ({f"child {n}": n},) * 2 else 1)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
stop.set()
for thread in threads:
    thread.join()
assert codes == [0] * 25, codes
found = cache.get_many(note, [f"child {n}" for n in range(25)])
print(len(found), cache.verify().ok)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forks_beside_busy_threads_neither_hang_nor_lose_anything(path):
    assert output(run_python(FORK_CODE, path)) == "25 True\n"


def test_a_cache_that_nobody_closes_warns_of_nothing(path):
    code = """
import gc
kept = SqliteCache(sys.argv[1])
SqliteCache(sys.argv[1]).put_many(Note(), {"a": 1})
gc.collect()
print(kept.get_many(Note(), ["a"]))
"""
    assert output(run_python(code, path)) == "{'a': 1}\n"


def test_a_closed_cache_opens_again_on_use(path):
    cache = SqliteCache(path)
    cache.put_many(NOTE, {"a": 1})
    cache.close()
    cache.close()
    assert list(path.parent.iterdir()) == [path]  # the log is merged into the file
    assert reopened(path, NOTE, ["a"]) == cache.get_many(NOTE, ["a"]) == {"a": 1}
    cache.put_many(NOTE, {"b": 2})
    cache.close()
    assert reopened(path, NOTE, ["b"]) == {"b": 2}


def test_a_relative_path_keeps_its_meaning_when_the_folder_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with SqliteCache(Path("cache.sqlite")) as cache:
        monkeypatch.chdir(tmp_path.parent)
        cache.close()
        cache.put_many(NOTE, {"a": 1})
    assert reopened(tmp_path / "cache.sqlite", NOTE, ["a"]) == {"a": 1}


# --- stats and prune


@pytest.fixture
def filled(path, monkeypatch):
    """A cache with 400 old values of one feature, 200 of another, and 400 fresh ones of the first."""
    other = Note(style="other")
    with SqliteCache(path) as cache:
        with monkeypatch.context() as past:
            past.setattr(sqlite.time, "time", lambda: 1_000_000.0)
            cache.put_many(NOTE, dict.fromkeys(TEXTS[:400], "x" * 1000))
        cache.put_many(other, dict.fromkeys(TEXTS[:200], "y" * 300))
        cache.put_many(NOTE, dict.fromkeys(TEXTS[400:800], "x" * 1000))
        yield cache


def left(cache, feature=NOTE):
    cache._memory.clear()
    return sorted(cache.get_many(feature, TEXTS), key=TEXTS.index)


def test_stats_say_what_the_file_holds(filled, path):
    stats = filled.stats()
    assert (stats.path, stats.entries) == (path, 1000)
    assert [(f.signature, f.entries, f.bytes) for f in stats.features] == [
        ('note/1?style="plain"', 800, 800 * 1003),
        ('note/1?style="other"', 200, 200 * 303),
    ]
    assert stats.oldest == stats.features[0].oldest == datetime(1970, 1, 12, 13, 46, 40, tzinfo=UTC)
    assert datetime.now(UTC) - stats.newest < timedelta(minutes=5)
    assert 800_000 < stats.file_bytes < 8_000_000


def test_prune_to_a_size_removes_what_was_written_first_and_shrinks_the_file(filled, path):
    before = filled.stats().file_bytes
    result = filled.prune(max_bytes=400_000)
    assert (result.removed + result.kept, result.bytes_before) == (1000, before)
    assert 300_000 < result.bytes_after == filled.stats().file_bytes <= 400_000
    assert path.stat().st_size <= 400_000
    assert left(filled) == TEXTS[800 - result.kept : 800]
    assert left(filled, Note(style="other")) == []
    assert filled.verify().ok


def test_prune_by_age_removes_the_old(filled):
    result = filled.prune(older_than_s=3600)
    assert (result.removed, result.kept) == (400, 600)
    assert left(filled) == TEXTS[400:800]


def test_prune_by_signature_leaves_the_other_features(filled):
    result = filled.prune(signature=NOTE.signature)
    assert (result.removed, result.kept) == (800, 200)
    assert [usage.signature for usage in filled.stats().features] == ['note/1?style="other"']
    assert filled.get_many(NOTE, TEXTS) == {}


def test_prune_limits_combine(filled):
    assert filled.prune(signature='note/1?style="other"', older_than_s=3600).removed == 0
    assert filled.prune(signature='note/1?style="other"', max_bytes=0).removed == 200
    result = filled.prune(max_bytes=0)
    assert (result.removed, result.kept) == (800, 0)
    assert result.bytes_after < 50_000


def test_prune_refuses_what_would_be_a_mistake(filled):
    with pytest.raises(ConfigError, match="give max_bytes, older_than_s or signature"):
        filled.prune()
    with pytest.raises(ConfigError, match="max_bytes must be 0 or more, got -1"):
        filled.prune(max_bytes=-1)
    with pytest.raises(ConfigError, match="unknown signature 'note'; known: note/1"):
        filled.prune(signature="note")
    assert filled.stats().entries == 1000


def test_prune_works_beside_other_users_of_the_file(filled, path):
    with SqliteCache(path) as other:
        assert len(other.get_many(NOTE, TEXTS)) == 800
        filled.prune(max_bytes=0)
        assert len(other.get_many(NOTE, TEXTS)) == 800  # from memory
        other.put_many(NOTE, {"later": 1})
    assert reopened(path, NOTE, [*TEXTS, "later"]) == {"later": 1}
