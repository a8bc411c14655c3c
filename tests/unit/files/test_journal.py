"""The progress journal: resumed wherever the run was cut off, never overwritten by another run."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cxr_rewards.errors import InputError
from cxr_rewards.files import Journal

RUN = {"input_sha256": "abc", "reward": "bleu/1", "options": ["x", 1]}
ROWS = [[0.1 + 0.2, None], [-1e-310, "no reference"], [None, "judge: timed out\nafter 3 s"]]


def test_results_come_back_exactly_and_in_order(tmp_path: Path) -> None:
    with Journal(tmp_path / "out.csv", RUN) as journal:
        assert journal.done == 0
        journal.append(ROWS[:2])
        journal.append([])
        journal.append(ROWS[2:])
        assert journal.done == 3
        assert list(journal.results()) == ROWS
    assert journal.path == tmp_path / ".out.csv.progress"
    with Journal(tmp_path / "out.csv", {**RUN, "options": ("x", 1)}) as journal:  # a tuple is a list in JSON
        assert journal.done == 3
        journal.append([[9.0, None]])
        assert list(journal.results()) == [*ROWS, [9.0, None]]


def test_finish_deletes_the_file(tmp_path: Path) -> None:
    with Journal(tmp_path / "out.csv", RUN) as journal:
        journal.append(ROWS)
        journal.finish()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("torn", ['[0.5, "cut', "[0.5]", "\0\0\0\0", "\0\0\n[1]\n"])
def test_torn_end_is_cut_off(tmp_path: Path, torn: str) -> None:
    with Journal(tmp_path / "out.csv", RUN) as journal:
        journal.append(ROWS)
    with journal.path.open("a") as file:
        file.write(torn)
    with Journal(tmp_path / "out.csv", RUN) as journal:
        assert journal.done == 3
        journal.append([[7.0, None]])
        assert list(journal.results()) == [*ROWS, [7.0, None]]
    assert torn.strip("\n") not in journal.path.read_text()


def test_any_prefix_of_the_file_can_be_resumed(tmp_path: Path) -> None:
    with Journal(tmp_path / "out.csv", RUN) as journal:
        journal.append(ROWS)
    whole = journal.path.read_bytes()
    for size in range(len(whole) + 1):
        journal.path.write_bytes(whole[:size])
        with Journal(tmp_path / "out.csv", RUN) as journal:
            done = max(0, whole[:size].count(b"\n") - 1)
            assert journal.done == done
            journal.append(ROWS[done:])
        assert journal.path.read_bytes() == whole


def test_another_run_is_refused_and_its_progress_kept(tmp_path: Path) -> None:
    with Journal(tmp_path / "out.csv", RUN) as journal:
        journal.append(ROWS)
    with pytest.raises(InputError) as caught:
        Journal(tmp_path / "out.csv", {"input_sha256": "abc", "reward": "bleu/2", "options": ["x", 1], "new": 1})
    assert str(caught.value) == (
        f"{journal.path}: holds the progress of another run; they differ in reward (was 'bleu/1', is 'bleu/2'); "
        "new (was None, is 1). Pass --restart (or delete the file) to start over, or give another output"
    )
    with Journal(tmp_path / "out.csv", RUN) as journal:
        assert journal.done == 3


def test_progress_without_a_finished_row_never_blocks(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "out.csv", RUN)
    left = journal.path.read_bytes()
    journal.close()
    assert list(tmp_path.iterdir()) == [], "nothing to go on from is not kept"
    journal.path.write_bytes(left)  # as a killed run leaves it
    with Journal(tmp_path / "out.csv", {"reward": "other"}) as journal:
        journal.append(ROWS)
    with Journal(tmp_path / "out.csv", {"reward": "other"}) as journal:
        assert list(journal.results()) == ROWS


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("content", [b"my notes", b'{"cxr_rewards_progress": 2, "fingerprint": {}}\n[1]\n'])
@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_link_in_the_place_of_progress_is_refused_and_its_target_kept(
    tmp_path: Path, restart: bool, content: bytes, link: str
) -> None:
    (tmp_path / "victim").write_bytes(content)
    getattr(tmp_path / ".out.csv.progress", link)(tmp_path / "victim")
    with pytest.raises(InputError, match=r"\.out\.csv\.progress: (is a link|has a second name).*delete it"):
        Journal(tmp_path / "out.csv", {}, restart=restart)
    assert (tmp_path / "victim").read_bytes() == content


def test_a_dangling_link_creates_nothing(tmp_path: Path) -> None:
    (tmp_path / ".out.csv.progress").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        Journal(tmp_path / "out.csv", RUN)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_folder_in_the_place_of_progress_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".a.csv.progress")
    with pytest.raises(InputError, match="is not a regular file"):
        Journal(tmp_path / "a.csv", RUN)
    (tmp_path / ".b.csv.progress").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        Journal(tmp_path / "b.csv", RUN)


def test_progress_that_is_replaced_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    with Journal(tmp_path / "out.csv", RUN) as journal:
        journal.append(ROWS)
        content = journal.path.read_bytes()
        journal.path.unlink()
        journal.path.write_bytes(content)
        with pytest.raises(InputError, match="was replaced while it was in use"):
            list(journal.results())


def test_restart_begins_anew(tmp_path: Path) -> None:
    with Journal(tmp_path / "out.csv", RUN) as journal:
        journal.append(ROWS)
    with Journal(tmp_path / "out.csv", {"reward": "other"}, restart=True) as journal:
        assert journal.done == 0
        assert list(journal.results()) == []
    with Journal(tmp_path / "out.csv", {"reward": "other"}) as journal:
        assert journal.done == 0


@pytest.mark.parametrize("content", ["my notes\n", "my notes", '{"fingerprint": {}}\n'])
def test_foreign_file_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / ".out.csv.progress").write_text(content)
    for restart in (False, True):
        with pytest.raises(
            InputError, match=r"\.out\.csv\.progress: is not a progress file this version can read; move or"
        ):
            Journal(tmp_path / "out.csv", RUN, restart=restart)
    assert (tmp_path / ".out.csv.progress").read_text() == content


def test_progress_of_a_version_with_other_lines_is_refused_until_a_restart(tmp_path: Path) -> None:
    earlier = '{"cxr_rewards_progress": 1, "fingerprint": {"reward": "bleu/1"}}\n[0.5, null, {}]\n'
    (tmp_path / ".out.csv.progress").write_text(earlier)
    with pytest.raises(InputError, match="is not a progress file this version can read; move or delete it"):
        Journal(tmp_path / "out.csv", {"reward": "bleu/1"})
    assert (tmp_path / ".out.csv.progress").read_text() == earlier
    with Journal(tmp_path / "out.csv", {"reward": "bleu/1"}, restart=True) as journal:
        assert journal.done == 0


def test_corrupt_first_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".out.csv.progress").write_text('{"cxr_rewards_progress": 3, "finger\n[1]\n')
    with pytest.raises(InputError, match="its first line is corrupt; delete the file, or pass --restart"):
        Journal(tmp_path / "out.csv", RUN)


def test_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written: No such file or directory; choose another output"):
        Journal(tmp_path / "nowhere" / "out.csv", RUN)


def test_two_runs_cannot_write_the_same_output(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with Journal(tmp_path / "out.csv", RUN) as journal:
        journal.append(ROWS)
        for restart in (False, True):
            with pytest.raises(InputError, match=r"out\.csv: another run is writing it; wait for that, or give"):
                Journal(tmp_path / "out.csv", RUN, restart=restart)
        assert list(journal.results()) == ROWS
    with Journal(tmp_path / "out.csv", RUN) as journal:
        assert journal.done == 3


def test_run_that_waited_for_a_deleted_journal_gets_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    first = Journal(tmp_path / "out.csv", RUN)
    first.append(ROWS)
    lock = fcntl.flock

    def finish_in_between(file: object, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        first.finish()
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", finish_in_between)
    with Journal(tmp_path / "out.csv", RUN) as second:
        assert second.done == 0
        assert second.path.exists()


WRITER = """
import sys
from cxr_rewards.files import Journal
with Journal(sys.argv[1], {"reward": "bleu/1"}) as journal:
    while True:
        journal.append([[i / 7, None] for i in range(journal.done, journal.done + 50)])
        sys.stdout.write(f"{journal.done}\\n")
        sys.stdout.flush()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    reported = 0
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(out)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(5):
                line = process.stdout.readline()
            assert int(line) >= reported + 250  # it went on, it did not begin again
            os.kill(process.pid, signal.SIGKILL)
            reported = int((line + process.stdout.read()).splitlines()[-1])
        with Journal(out, {"reward": "bleu/1"}) as journal:
            assert journal.done >= reported  # what was reported as done is on the disk
            assert list(journal.results()) == [[i / 7, None] for i in range(journal.done)]
            reported = journal.done
    assert json.loads((tmp_path / ".out.csv.progress").read_text().splitlines()[0])["fingerprint"] == {
        "reward": "bleu/1"
    }
