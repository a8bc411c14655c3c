"""Reading Parquet."""

import os
from datetime import date
from itertools import islice
from pathlib import Path

import pytest

from cxr_rewards.errors import InputError
from cxr_rewards.files import open_table
from cxr_rewards.files.formats import format_of
from cxr_rewards.files.table import FRAME_ROWS

pl = pytest.importorskip("polars")


def saved(folder: Path, **columns: object) -> Path:
    path = folder / "in[1].parquet"  # a name that a glob would misread
    pl.DataFrame(columns).write_parquet(path)
    return path


def test_rows_hold_native_values_and_no_lines(tmp_path: Path) -> None:
    path = saved(tmp_path, candidate=["Clear.", None], priors=[["Edema.", "Less."], []], on=[date(2020, 1, 2), None])
    rows = open_table(path)
    assert rows.columns == ("candidate", "priors", "on")
    assert [(row.number, row.line, row.values) for row in rows] == [
        (1, None, {"candidate": "Clear.", "priors": ["Edema.", "Less."], "on": date(2020, 1, 2)}),
        (2, None, {"candidate": None, "priors": [], "on": None}),
    ]
    assert next(iter(rows)).where == f"{path}: row 1"


def test_only_asked_columns_are_read(tmp_path: Path) -> None:
    rows = open_table(saved(tmp_path, a=["x"], image=[b"\x00" * 100], b=["y"]))
    assert next(rows.rows({"b", "a"})).values == {"a": "x", "b": "y"}


def test_all_rows_come_in_order_over_many_slices(tmp_path: Path) -> None:
    count = 2 * FRAME_ROWS + 7
    path = tmp_path / "in.parquet"
    pl.DataFrame({"n": range(count)}).write_parquet(path, row_group_size=1_000)
    assert [(row.number, row.values["n"]) for row in open_table(path)] == [(i + 1, i) for i in range(count)]


def test_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has columns \(a, b\) but no rows"):
        open_table(saved(tmp_path, a=[], b=[]))


def test_foreign_truncated_and_corrupt_files_are_told_apart(tmp_path: Path) -> None:
    whole = saved(tmp_path, a=[os.urandom(20).hex() for _ in range(5_000)]).read_bytes()
    path = tmp_path / "bad.parquet"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InputError, match="is not a Parquet file: it starts with b'a,b"):
        open_table(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="is truncated: a Parquet file ends with b'PAR1'"):
        open_table(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(InputError, match="is truncated"):
        open_table(path)
    path.write_bytes(whole[:-8] + b"\xff\xff\xff\x7f" + whole[-4:])
    with pytest.raises(InputError, match=r"bad\.parquet: corrupt: its metadata cannot be read \(.*\); write it again"):
        open_table(path)


def test_corrupt_page_is_reported_with_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxr_rewards.files.parquet_table.FRAME_ROWS", 100)
    path = tmp_path / "in.parquet"
    pl.DataFrame({"a": [os.urandom(20).hex() for _ in range(1_000)]}).write_parquet(path, row_group_size=100)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2_000] = os.urandom(2_000)
    path.write_bytes(data)
    rows = iter(open_table(path))
    assert [row.number for row in islice(rows, 300)] == list(range(1, 301))
    with pytest.raises(InputError, match=r"corrupt: rows \d+ to \d+ or so cannot be read"):
        list(rows)


def test_changed_file_is_refused_as_frames_too(tmp_path: Path) -> None:
    rows = open_table(saved(tmp_path, a=["x"]))
    saved(tmp_path, a=["x", "yyy"])
    with pytest.raises(InputError, match="has changed since it was opened"):
        rows.frames()
    assert format_of(Path("x.PQ")) == "parquet"
