"""Reading CSV: good rows, and every way a row or a file can be bad."""

import csv
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_rewards.errors import InputError
from cxr_rewards.files import Row, Table, choose_columns, open_table, read_cases
from cxr_rewards.files.csv_table import LOOK_AHEAD


def table(folder: Path, content: str | bytes, name: str = "in.csv") -> Table:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_table(path)


def problem(row: Row) -> str:
    assert row.error is not None
    return str(row.error).partition("in.csv: ")[2]


def cells(rows: Table) -> list[tuple[int, int | None, str]]:
    return [(row.number, row.line, "|".join(row.values.values())) for row in rows]


def test_rows_carry_numbers_and_physical_lines(tmp_path: Path) -> None:
    rows = table(tmp_path, 'candidate,reference\n"Clear,\nno effusion.",Normal.\n\nEdema.,"He said ""mild""."\n')
    assert rows.columns == ("candidate", "reference")
    assert cells(rows) == [(1, 2, "Clear,\nno effusion.|Normal."), (2, 5, 'Edema.|He said "mild".')]
    assert cells(rows) == cells(rows)  # it may be read again
    assert all(row.error is None for row in rows)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_all_line_ends_are_read(tmp_path: Path, end: str) -> None:
    assert cells(table(tmp_path, f"a,b{end}1,2{end}3,4{end}")) == [(1, 2, "1|2"), (2, 3, "3|4")]


def test_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path) -> None:
    assert table(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n").columns == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected a csv file with at least one row"),
        ("\n\n", "has only blank lines; expected a header and at least one row"),
        ("a,b\n", "has a header (a, b) but no rows; add rows below it"),
        ("a,b,a\n1,2,3\n", "header (line 1): column name 'a' appears twice; rename one of them"),
        (",, \n1,2,3\n", "header (line 1) names no column; write the names of the columns there"),
        (",Unnamed: 0\n1,2\n", "header (line 1): column name 'Unnamed: 0' appears twice; rename one of them"),
        ("a;b\n1,2;3;4\n", "header (line 1) seems to be separated by ';', but the first rows do not fit that; name"),
        ("a;b|c\n1;2|3\n", "header (line 1) seems to be separated by ';' or '|', and the first rows fit both; name"),
        ('a,"b\n1,2\n', "header (line 1) has a quote that is not closed properly; close it"),
        (b"a,b\xe9\n1,2\n", "header (line 1) has bytes that are not UTF-8; save the file as UTF-8, or name its enc"),
        ("a,b\n1,2\n".encode("utf-16-le"), "header (line 1) has NUL bytes: the file is UTF-16 or binary; name its enc"),
        (b"PK\x03\x04...", "is a ZIP or Excel file, not csv; name it .xlsx, or unpack it"),
    ],
)
def test_unusable_file_is_refused_at_once(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        table(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'in.csv'}: {message}")


def test_path_errors_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "reports.csv").write_text("a,b\n1,2\n")
    (tmp_path / "reports.xls").write_text("x")
    with pytest.raises(InputError, match=r"report\.csv: no such file\. Did you mean 'reports\.csv'\?"):
        open_table(tmp_path / "report.csv")
    with pytest.raises(InputError, match="no such file; check the path"):
        open_table(tmp_path / "zzz")
    with pytest.raises(InputError, match=r"no such file, nor is there a folder '.*nowhere'"):
        open_table(tmp_path / "nowhere" / "in.csv")
    with pytest.raises(InputError, match="is a folder; give a file"):
        open_table(tmp_path)
    known = r"\.csv, \.tsv, \.jsonl, \.ndjson, \.json, \.parquet, \.pq, \.xlsx, and \.gz or \.zst after it"
    with pytest.raises(InputError, match=rf"unknown extension '\.xls'; known: {known}\. Convert"):
        open_table(tmp_path / "reports.xls")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.parquet"])
def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(
        InputError, match=rf"{name}: is not a regular file \(a pipe or a device\?\); save what it gives"
    ):
        open_table(tmp_path / name)
    with pytest.raises(InputError, match="/dev/null: is not a regular file"):
        open_table("/dev/null")


@pytest.mark.parametrize(("line", "count"), [("1", "1 field,"), ("1,2,3", "3 fields,"), ("1,2,3,4,5,6,7", "7 fields,")])
def test_wrong_number_of_fields_spoils_one_row(tmp_path: Path, line: str, count: str) -> None:
    rows = list(table(tmp_path, f"a,b\nx,y\n{line}\nz,w\n"))
    assert [row.error is None for row in rows] == [True, False, True]
    assert problem(rows[1]).startswith(f"row 2 (line 3) has {count} expected 2; quote fields that hold commas")
    assert rows[1].values == {"a": "1", "b": "2" if "2" in line else ""}


def test_unclosed_quote_costs_one_physical_line(tmp_path: Path) -> None:
    good = "".join(f"x{i},y{i}\n" for i in range(200))
    rows = list(table(tmp_path, f'a,b\nfirst,"open\n{good}'))
    assert problem(rows[0]).startswith("row 1 (line 2) has a quote that is not closed properly; close it, or")
    assert rows[0].values == {"a": "first", "b": "open"}
    assert [row.values["a"] for row in rows[1:]] == [f"x{i}" for i in range(200)]
    assert all(row.error is None for row in rows[1:])
    assert rows[-1].line == 202


def test_unclosed_quote_before_quoted_rows_costs_one_physical_line(tmp_path: Path) -> None:
    rows = list(table(tmp_path, 'a,b\n1,"open\n2,"closed"\n3,"over\ntwo lines"\n4,last\n'))
    assert [row.error is None for row in rows] == [False, True, True, True]
    assert cells(table(tmp_path, 'a,b\n1,"open\n2,"closed"\n3,"x\ny"\n'))[1:] == [(2, 3, "2|closed"), (3, 4, "3|x\ny")]


def test_unclosed_quote_is_not_looked_after_for_ever(tmp_path: Path) -> None:
    line = "x" * 999 + ",y\n"
    rows = table(tmp_path, 'a,b\n1,"open\n' + line * (12 * LOOK_AHEAD // 1000))
    tracemalloc.start()
    bad = sum(row.error is not None for row in rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert bad == 1
    assert peak < 8 * LOOK_AHEAD  # some copies of what was looked at, not the 12 of the file


def test_record_over_several_lines_with_wrong_count_costs_its_first_line(tmp_path: Path) -> None:
    rows = list(table(tmp_path, 'a,b\n1,"two\nlines",3\n4,5\n'))
    assert problem(rows[0]).startswith("row 1 (line 2) has 3 fields over lines 2 to 3, expected 2: a quote is not cl")
    assert (rows[-1].number, rows[-1].line, rows[-1].values) == (3, 4, {"a": "4", "b": "5"})


def test_text_after_a_closing_quote_is_reported(tmp_path: Path) -> None:
    rows = list(table(tmp_path, 'a,b\n"The "heart" is fine",2\n3,4\n'))
    assert problem(rows[0]).startswith("row 1 (line 2) has text after the closing quote of a field; quote fields")
    assert rows[1].error is None


def test_quote_inside_an_unquoted_field_is_plain_text(tmp_path: Path) -> None:
    assert cells(table(tmp_path, 'a,b\n5" nail,x\n3,4\n')) == [(1, 2, '5" nail|x'), (2, 3, "3|4")]


def test_byte_that_is_not_utf8_spoils_one_row(tmp_path: Path) -> None:
    rows = list(table(tmp_path, b"a,b\nok,caf\xc3\xa9\nok,caf\xe9 x\nok,fine\n"))
    assert [row.error is None for row in rows] == [True, False, True]
    assert problem(rows[1]).startswith(
        "row 2 (line 3), column 'b': byte 0xE9 after 3 characters is not UTF-8; save the"
    )
    assert rows[1].values["b"] == "caf\ufffd x"
    assert rows[0].values["b"] == "café"


def test_bad_byte_within_a_broken_record_leaves_its_values_writable(tmp_path: Path) -> None:
    row = next(iter(table(tmp_path, b"a,b\n\xe9,1,2\n3,4\n")))
    assert "has 3 fields, expected 2" in problem(row)
    assert row.values == {"a": "\ufffd", "b": "1"}


def test_very_long_cell_is_read(tmp_path: Path) -> None:
    text = "x" * 300_000  # the csv module's own limit is 131,072
    assert next(iter(table(tmp_path, f"a,b\n{text},1\n"))).values["a"] == text


def test_file_changed_since_it_was_opened_is_refused(tmp_path: Path) -> None:
    rows = table(tmp_path, "a,b\n1,2\n")
    (tmp_path / "in.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(InputError, match="has changed since it was opened; .* start again with --restart"):
        rows.rows()
    (tmp_path / "in.csv").unlink()
    with pytest.raises(InputError, match="has changed since it was opened"):
        rows.rows()


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.parquet"])
def test_a_file_that_is_only_touched_or_copied_back_is_the_same(tmp_path: Path, name: str) -> None:
    if name == "in.parquet":
        pytest.importorskip("polars").DataFrame({"a": [1]}).write_parquet(tmp_path / name)
    else:
        (tmp_path / name).write_text('{"a": 1}\n' if name == "in.jsonl" else "a\n1\n")
    opened = open_table(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    rows = opened.rows()
    next(rows)
    os.utime(tmp_path / name, (1, 1))
    (tmp_path / name).chmod(0o600)
    assert len(list(opened.rows())) == 1
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(content)
    assert sum(frame.height for frame in opened.frames()) == 1
    changed = content.replace(b"1", b"2") if name != "in.parquet" else content[:-9] + b"\x07" + content[-8:]
    before = (tmp_path / name).stat()
    (tmp_path / name).write_bytes(changed)
    os.utime(tmp_path / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(InputError, match="has changed since it was opened"):
        opened.rows()


def test_fingerprint_depends_on_the_content_alone(tmp_path: Path) -> None:
    one, same, other = (table(tmp_path, f"a,b\n1,{i}\n", f"{n}.csv") for n, i in enumerate([2, 2, 3]))
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    assert set(one.fingerprint()) == {"input_bytes", "input_sha256"}


TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(',"\n\r;\t\x00\u2028 '), max_size=30)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=8))
def test_whatever_the_csv_module_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    path = tmp_path_factory.mktemp("csv") / "in.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("a", "b", "c"), *rows])
    assert [tuple(row.values.values()) for row in open_table(path)] == rows


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from('ab,"\n'), max_size=12), min_size=1, max_size=6))
def test_good_last_line_survives_any_mess_before_it(tmp_path_factory: pytest.TempPathFactory, mess: list[str]) -> None:
    path = tmp_path_factory.mktemp("csv") / "in.csv"
    path.write_text("x,y\n" + "\n".join(mess) + "\nlast,row\n")
    rows = list(open_table(path))
    if rows[-1].error is None and "last,row" not in rows[-1].values["y"]:  # else the mess is a well-formed record
        assert rows[-1].values == {"x": "last", "y": "row"}
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    if '"' not in "".join(mess):
        assert rows[-1].values == {"x": "last", "y": "row"}


@pytest.mark.shared
def test_real_reports_are_read_without_loss(shared_data: Path) -> None:
    path = shared_data / "iu_xray_reports.csv"
    with path.open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file))
    assert [row.values for row in open_table(path)] == expected


@pytest.mark.shared
def test_rated_reports_become_cases(shared_data: Path) -> None:
    rows = open_table(shared_data / "radpref_dev.jsonl")
    columns = choose_columns(rows.columns)
    assert (columns.candidate, columns.reference, set(columns.context)) == (
        "candidate",
        "reference",
        {"age", "sex", "indication"},
    )
    assert [item.error for item in read_cases(rows, columns)] == [None] * 100
