"""Which files a run may replace."""

import os
from pathlib import Path

import pytest

from cxr_rewards.errors import InputError
from cxr_rewards.files import check_replaceable, open_table, write_table

COMPONENTS = ("bleu", "rouge_l")
MINE = ("bleu", "reward", "reason", "reason_kind")


def results(folder: Path, name: str, columns: tuple[str, ...]) -> Path:
    (folder / "in.csv").write_text("candidate,reference\na,b\n")
    kinds = {column: str if "reason" in column else float for column in columns}
    values = [["x" if kind is str else 0.5 for kind in kinds.values()]]
    write_table(folder / name, open_table(folder / "in.csv"), kinds, values)
    return folder / name


@pytest.mark.parametrize("extension", ["csv", "tsv", "jsonl", "ndjson", "parquet"])
@pytest.mark.parametrize(
    "columns",
    [
        MINE,
        ("rouge_l", "reward", "reason", "reason_kind"),
        ("x_bleu", "x_rouge_l", "x_reward", "x_reason", "x_reason_kind"),
        ("rouge_l", "reward", "reason"),
        ("x_bleu", "x_reward", "x_reason"),
    ],
    ids=["this run's", "another reward's", "with a prefix", "without kinds", "with a prefix, without kinds"],
)
def test_scores_of_an_earlier_run_may_be_replaced(tmp_path: Path, extension: str, columns: tuple[str, ...]) -> None:
    check_replaceable(results(tmp_path, f"out.{extension}", columns), MINE, COMPONENTS)


@pytest.mark.parametrize("extension", ["csv", "tsv", "jsonl", "ndjson", "parquet"])
@pytest.mark.parametrize(
    "columns",
    [
        ("score",),
        ("human", "reward", "reason"),
        (*MINE, "checked"),
        ("x_bleu", "reward", "reason"),
        ("x_bleu", "x_reward", "x_reason", "reason_kind"),
        ("reward", "reason"),
        ("reward", "reason", "reason_kind"),
        ("bleu", "reward", "reason_kind"),
        ("reason_kind",),
    ],
    ids=[
        "a table",
        "rated by hand",
        "worked on",
        "mixed",
        "mixed kinds",
        "no component",
        "nothing else",
        "no reason",
        "kinds",
    ],
)
def test_another_table_is_not_replaced(tmp_path: Path, extension: str, columns: tuple[str, ...]) -> None:
    out = results(tmp_path, f"out.{extension}", columns)
    before = out.read_bytes()
    with pytest.raises(InputError, match=rf"out\.{extension}: exists and is not a file of scores.*or --force"):
        check_replaceable(out, MINE, COMPONENTS)
    assert out.read_bytes() == before


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("content", [b"my thesis", b"\x00\xff" * 50, b"[" * 100_000, b"bleu,reward,reason"])
def test_a_file_that_cannot_be_read_is_not_replaced(tmp_path: Path, extension: str, content: bytes) -> None:
    (tmp_path / f"out.{extension}").write_bytes(content)
    with pytest.raises(InputError, match="is not a file of scores"):
        check_replaceable(tmp_path / f"out.{extension}", MINE, COMPONENTS)


def test_nothing_and_an_empty_file_may_be_replaced(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "out.csv", MINE, COMPONENTS)
    (tmp_path / "out.csv").touch()
    check_replaceable(tmp_path / "out.csv", MINE, COMPONENTS)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_never_an_output(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out.csv")
    with pytest.raises(InputError, match="is not a regular file"):
        check_replaceable(tmp_path / "out.csv", MINE, COMPONENTS)
