"""Excel files in and out."""

from datetime import date
from pathlib import Path

import pytest

from cxr_rewards.errors import InputError
from cxr_rewards.files import excel_table, open_table, write_table

pytest.importorskip("fastexcel")
xlsxwriter = pytest.importorskip("xlsxwriter")
HEADER = ("id", "candidate", None, "age", "seen")
ROWS = [("007", 'Clear, "fine".\nBye.', 1, 63, date(2024, 5, 1)), (), ("8", "=1+1", None, 7.5, None)]


def workbook(path: Path, **sheets: list[tuple[object, ...]]) -> Path:
    book = xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd", "strings_to_formulas": False})
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name)
        for line, row in enumerate(rows):
            for at, cell in enumerate(row):
                if cell is not None:
                    sheet.write(line, at, cell)
    book.close()
    return path


def test_rows_have_the_lines_of_the_sheet_and_blank_ones_are_left_out(tmp_path: Path) -> None:
    table = open_table(workbook(tmp_path / "in.xlsx", first=[HEADER, *ROWS], second=[("x",)]))
    assert table.columns == ("id", "candidate", "Unnamed: 2", "age", "seen")
    rows = list(table)
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 4)]
    assert rows[0].values["id"] == "007", "a text stays one"
    assert [row.values["candidate"] for row in rows] == [ROWS[0][1], "=1+1"]
    assert [row.values["age"] for row in rows] == [63, 7.5]
    assert sum(frame.height for frame in table.frames()) == 2


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    table = open_table(workbook(tmp_path / "in.xlsx", first=[HEADER, *ROWS]))
    outs = [tmp_path / "a.xlsx", tmp_path / "b.xlsx"]
    for out in outs:
        write_table(out, table, {"reward": float, "reason": str}, [(0.1 + 0.2, None), (None, "=no")])
    assert outs[0].read_bytes() == outs[1].read_bytes()
    after = open_table(outs[0])
    assert [{**row.values, "reward": None, "reason": None} for row in after] == [
        {**row.values, "reward": None, "reason": None} for row in table
    ]
    assert [row.values["reward"] for row in after] == [pytest.approx(0.1 + 0.2, rel=1e-15), None], "Excel has 16 digits"
    assert [row.values["reason"] for row in after] == [None, "=no"]
    write_table(tmp_path / "out.parquet", table, {"reward": float}, [(1.0,), (None,)])
    assert [row.values["reward"] for row in open_table(tmp_path / "out.parquet")] == [1.0, None]


def test_a_sheet_can_be_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "in.xlsx", first=[("a",), ("1",)], second=[("b",), ("2",)])
    assert open_table(path, sheet="second").columns == ("b",)
    with pytest.raises(InputError, match=r"in\.xlsx: has no sheet 'third'; sheets: 'first', 'second'"):
        open_table(path, sheet="third")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "sheet 's' is empty; expected a header and at least one row"),
        ([("a", "b")], r"sheet 's' has a header \(a, b\) but no rows"),
        ([("a", "b", "a"), ("1", "2", "3")], "sheet 's': column name 'a' appears twice; rename one of them"),
    ],
)
def test_an_unusable_sheet_is_refused(tmp_path: Path, rows: list[tuple[object, ...]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_table(workbook(tmp_path / "in.xlsx", s=rows))


def test_a_file_that_is_too_large_or_not_excel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "in.xlsx", s=[("a",), ("1",)])
    monkeypatch.setattr(excel_table, "MAX_BYTES", 1_000)
    with pytest.raises(InputError, match="Excel files are read whole, up to 0 MB: save it as CSV or Parquet"):
        open_table(path)
    (tmp_path / "in.xlsx").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"cannot be read as an Excel file \(.*\); save it again as \.xlsx"):
        open_table(path)


def test_a_text_longer_than_a_cell_is_told_before_anything_is_scored(tmp_path: Path) -> None:
    from cxr_rewards import CompositeReward
    from cxr_rewards.files import score_file

    (tmp_path / "in.csv").write_text(f"candidate,reference\n{'x' * 40_000},Clear.\n")
    table = open_table(tmp_path / "in.csv")
    with pytest.raises(
        InputError, match="row 1 .*column 'candidate': has 40,000 characters, more than the 32,767 of an"
    ):
        score_file(table, table.choose_columns(), CompositeReward(["bleu"]), tmp_path / "out.xlsx")
