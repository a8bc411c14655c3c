"""A folder of tables, and the record of its scores."""

import json
import os
from pathlib import Path

import pytest

from cxr_rewards.errors import InputError
from cxr_rewards.files import Folder

RUN = {"reward": "bleu/1", "prefix": ""}
TABLE = "candidate,reference\na,b\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def finish(folder: Folder, name: str) -> None:
    file = next(file for file in folder.files if file.source.name == name)
    file.target.write_text("scores")
    import hashlib

    folder.finish(file, hashlib.sha256(file.source.read_bytes()).hexdigest())


def states(folder: Folder) -> dict[str, bool]:
    return {file.source.name: file.finished for file in folder.files}


def test_every_format_is_taken_in_any_case_and_the_rest_is_reported(source: Path, tmp_path: Path) -> None:
    names = ["a.csv", "b.CSV", "c.tsv", "d.jsonl", "e.NDJSON", "f.parquet", "g.pq", "h.csv.gz", "i.xlsx", "j.json"]
    for name in [*names, "notes.txt", "x.csv.bz2", "._a.csv", "~$i.xlsx", "a.csv.meta.json", "config.json"]:
        (source / name).write_text(TABLE)
    (source / "j.json").write_text('{"s1": {"candidate": "a"}}')
    (source / "config.json").write_text('{"model": "mine", "layers": {"a": 1}}')
    (source / "sub.csv").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(source / "pipe.csv")
    folder = Folder(source, tmp_path / "out", RUN)
    assert [file.source.name for file in folder.files] == names
    assert [file.target for file in folder.files] == [tmp_path / "out" / name for name in names]
    assert {"notes.txt", "x.csv.bz2", "._a.csv", "~$i.xlsx", "config.json", "sub.csv"} <= set(folder.left_out)
    assert folder.left_out["a.csv.meta.json"] == "the record of a file of scores"
    assert folder.left_out["sub.csv"] == "a folder"
    assert folder.left_out.get("pipe.csv", "not a regular file") == "not a regular file"


def test_two_inputs_of_one_output_are_refused(source: Path, tmp_path: Path) -> None:
    (source / "a.csv").write_text(TABLE)
    (source / "A.csv").write_text(TABLE)
    if len(list(source.iterdir())) == 1:
        pytest.skip("upper and lower case are the same here")
    with pytest.raises(InputError, match="'A.csv' and 'a.csv' would go to one file.*rename one"):
        Folder(source, tmp_path / "out", RUN)
    (source / "A.csv").rename(source / "b.csv")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.csv").symlink_to("a.csv")
    with pytest.raises(InputError, match="'a.csv' and 'b.csv' would go to one file"):
        Folder(source, tmp_path / "out", RUN)


def test_a_finished_file_stays_so_until_its_content_changes(source: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (source / name).write_text(TABLE)
    finish(Folder(source, tmp_path / "out", RUN), "a.csv")
    os.utime(source / "a.csv", (2e9, 2e9))
    assert states(Folder(source, tmp_path / "out", RUN)) == {"a.csv": True, "b.csv": False}
    (source / "a.csv").write_text(TABLE.replace("a,b", "c,d"))
    os.utime(source / "a.csv", (1, 1))
    assert states(Folder(source, tmp_path / "out", RUN)) == {"a.csv": False, "b.csv": False}


def test_a_file_that_nobody_has_finished_is_not_taken_for_scores(source: Path, tmp_path: Path) -> None:
    (source / "a.csv").write_text(TABLE)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.csv").write_text("mine")
    assert states(Folder(source, tmp_path / "out", RUN)) == {"a.csv": False}


def test_scores_of_another_run_are_not_mixed_in(source: Path, tmp_path: Path) -> None:
    (source / "a.csv").write_text(TABLE)
    finish(Folder(source, tmp_path / "out", RUN), "a.csv")
    other = {**RUN, "reward": "bleu/2"}
    with pytest.raises(InputError, match=r"holds scores of another reward, or with other settings \(reward\)"):
        Folder(source, tmp_path / "out", other)
    assert states(Folder(source, tmp_path / "out", other, restart=True)) == {"a.csv": False}


def test_a_run_that_finished_nothing_blocks_nothing(source: Path, tmp_path: Path) -> None:
    (source / "a.csv").write_text(TABLE)
    Folder(source, tmp_path / "out", RUN)
    assert list((tmp_path / "out").iterdir()) == []
    Folder(source, tmp_path / "out", {**RUN, "reward": "bleu/2"})


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("link", [True, False])
def test_a_record_that_is_not_ours_is_kept(source: Path, tmp_path: Path, restart: bool, link: bool) -> None:
    (source / "a.csv").write_text(TABLE)
    (tmp_path / "out").mkdir()
    (tmp_path / "victim").write_text('{"mine": 1}')
    record = tmp_path / "out" / ".run.json"
    record.symlink_to(tmp_path / "victim") if link else record.write_text('{"mine": 1}')
    with pytest.raises(InputError, match=r"\.run\.json: is not a"):
        Folder(source, tmp_path / "out", RUN, restart=restart)
    assert record.read_text() == '{"mine": 1}'


def test_a_link_put_in_place_of_the_record_is_replaced_and_not_followed(source: Path, tmp_path: Path) -> None:
    (source / "a.csv").write_text(TABLE)
    folder = Folder(source, tmp_path / "out", RUN)
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "out" / ".run.json").symlink_to(tmp_path / "victim")
    (tmp_path / "out" / ".run.json.partial").symlink_to(tmp_path / "victim")
    finish(folder, "a.csv")
    assert (tmp_path / "victim").read_text() == "mine"
    assert json.loads((tmp_path / "out" / ".run.json").read_text())["finished"].keys() == {"a.csv"}


def test_what_is_no_folder_of_scores_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.csv, \.tsv"):
        Folder(source, tmp_path / "out", RUN)
    (source / "a.csv").write_text(TABLE)
    with pytest.raises(InputError, match="is the folder of the input"):
        Folder(source, source, RUN)
    with pytest.raises(InputError, match="so this must be one"):
        Folder(source, source / "a.csv", RUN)
