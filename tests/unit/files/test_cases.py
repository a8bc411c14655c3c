"""From rows to cases."""

import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.errors import InputError
from cxr_rewards.files import ColumnMap, Row, choose_columns, open_table, read_cases, to_case
from cxr_rewards.files.ids import Ids
from cxr_rewards.types import Case

COLUMNS = ColumnMap(candidate="c", reference="r", priors=("p",), case_id="i", group="g", context={"age": "a"})


def row(**values: Any) -> Row:
    return Row("in.csv", 7, 9, {"c": "Clear.", "r": "Normal."} | values)


def test_case_has_every_part() -> None:
    assert to_case(row(p="Edema.", i="s1", g="g1", a="63"), COLUMNS) == Case(
        candidate="Clear.", reference="Normal.", priors=("Edema.",), case_id="s1", group="g1", context={"age": "63"}
    )


def test_numbers_may_be_ids_and_context_but_blanks_are_left_out() -> None:
    case = to_case(row(i=12, g=3, a=63), COLUMNS)
    assert (case.case_id, case.group, case.context) == ("12", "3", {"age": "63"})
    case = to_case(row(i=" ", g=None, a=math.nan), COLUMNS)
    assert (case.case_id, case.group, case.context) == ("", "", {})


def test_cases_without_an_id_column_are_named_by_row() -> None:
    assert to_case(row(), ColumnMap(candidate="c", reference="r")).case_id == "row 7"


@pytest.mark.parametrize("value", [None, math.nan])
def test_missing_report_is_none_so_that_the_engine_leaves_it_unscored(value: Any) -> None:
    case = to_case(row(c=value, r=value), COLUMNS)
    assert (case.candidate, case.reference) == (None, None)
    (reward,) = CompositeReward().score_batch([to_case(row(c=value), COLUMNS)])
    assert (reward.value, reward.reasons) == (None, "candidate: expected text, got None")


def test_empty_report_is_an_empty_text() -> None:
    assert to_case(row(c=""), COLUMNS).candidate == ""


def test_key_absent_from_a_json_row_is_a_missing_report() -> None:
    assert to_case(Row("in.jsonl", 1, 1, {"c": "Clear."}), COLUMNS).reference is None


@pytest.mark.parametrize(
    ("cell", "priors"),
    [
        (None, ()),
        ("  ", ()),
        ("[]", ()),
        ("Edema.", ("Edema.",)),
        ('["Edema.", "", "Less."]', ("Edema.", "Less.")),
        (' ["Edema."]\n', ("Edema.",)),
        (["Edema.", None, "Less."], ("Edema.", "Less.")),
        ("[Outside film] Edema.", ("[Outside film] Edema.",)),
        ("[Outside film]", ("[Outside film]",)),
    ],
)
def test_priors_in_one_column_are_a_list_or_a_text(cell: Any, priors: tuple[str, ...]) -> None:
    assert to_case(row(p=cell), COLUMNS).priors == priors


def test_priors_in_several_columns_keep_their_order_and_their_brackets() -> None:
    columns = ColumnMap(candidate="c", reference="r", priors=("p1", "p2", "p3"))
    assert to_case(row(p1='["old"]', p2="", p3="new"), columns).priors == ('["old"]', "new")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"c": 3.5}, "column 'c': expected text, got 3.5; choose another column, or write it as text"),
        ({"r": True}, "column 'r': expected text, got True; choose another column, or write it as text"),
        ({"r": ["x", "y"]}, "column 'r': expected text, got ['x', 'y']; choose another column, or write it as text"),
        ({"c": "x" * 1_001}, "column 'c': has 1,001 characters, more than 1,000; shorten it, or raise max_chars"),
        ({"c": "ab\0c"}, "column 'c': has a NUL character after 2 characters; remove it"),
        ({"p": '["x", 1]'}, "column 'p': expected text, got 1; choose another column, or write it as text"),
        ({"p": ["y" * 1_001]}, "column 'p': has 1,001 characters, more than 1,000; shorten it, or raise max_chars"),
        (
            {"p": "['x', 'y']"},
            """column 'p': looks like a list but is not JSON: "['x', 'y']"; write priors as a JSON list of texts""",
        ),
    ],
)
def test_what_is_no_text_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        to_case(row(**values), COLUMNS, max_chars=1_000)
    assert str(caught.value) == f"in.csv: row 7 (line 9), {message}"


def test_bad_row_gives_its_own_error() -> None:
    error = InputError("in.csv: row 7 (line 9) has 1 field, expected 2")
    with pytest.raises(InputError) as caught:
        to_case(Row("in.csv", 7, 9, {}, error), COLUMNS)
    assert caught.value is error


def test_bad_rows_cost_no_good_ones(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b'candidate,reference\nA,B\nC\n"D,E\nF,\xff\nG\0,H\nI,J\n')
    table = open_table(path)
    items = list(read_cases(table, choose_columns(table.columns)))
    assert [item.case.candidate if item.case else None for item in items] == ["A", None, None, None, None, "I"]
    assert all((item.case is None) == (item.error is not None) for item in items)
    assert [item.row.number for item in items] == [1, 2, 3, 4, 5, 6]


def test_repeated_id_names_both_rows(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,candidate,reference\ns1,A,B\n,C,D\n,E,F\ns1,G,H\ns2,I,J\n")
    table = open_table(path)
    items = list(read_cases(table, choose_columns(table.columns)))
    assert [item.error is None for item in items] == [True, True, True, False, True]
    assert str(items[3].error) == (
        f"{path}: row 4 (line 5), column 'id': case id 's1' is already that of row 1 (line 2); "
        "make ids unique, name another column with --id-col, or take none with --no-ids"
    )


def test_ids_repeat_freely_where_none_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,candidate,reference\ns1,A,B\ns1,C,D\n")
    table = open_table(path)
    items = list(read_cases(table, choose_columns(table.columns, case_id="")))
    assert [item.case.case_id if item.case else None for item in items] == ["row 1", "row 2"]


def test_no_space_for_the_ids_is_no_fault_of_a_row() -> None:
    ids = Ids()
    ids._db.execute("PRAGMA max_page_count = 2")

    def fill() -> None:
        for i in range(1_000):
            ids.add(f"study {i}", i, None, "in.csv")

    with pytest.raises(OSError, match="temporary file of case ids: database or disk is full; .* --no-ids"):
        fill()
    ids.close()


def test_repeated_id_in_a_table_without_lines_names_both_rows(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    path = tmp_path / "in.parquet"
    pl.DataFrame({"id": [5, 5], "candidate": ["A", "B"], "reference": ["C", "D"]}).write_parquet(path)
    table = open_table(path)
    error = list(read_cases(table, choose_columns(table.columns)))[1].error
    assert f"{path}: row 2, column 'id': case id '5' is already that of row 1; make" in str(error)


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, name: str) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / name
        with path.open("w") as file:
            file.write("id,candidate,reference\n" * (name == "in.csv"))
            for i in range(rows):
                text = f"{i:08} " + "lungs " * 50
                file.write(
                    f"{i},{text},{text}\n"
                    if name == "in.csv"
                    else f'{{"id": {i}, "candidate": "{text}", "reference": "{text}"}}\n'
                )
        table = open_table(path)
        tracemalloc.start()
        count = sum(item.case is not None for item in read_cases(table, choose_columns(table.columns)))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == rows
        return top

    peak(10)  # imports
    assert peak(6_000) < peak(600) + 100_000  # held in memory they would take 4 MB


PLACEHOLDERS = [
    "nan",
    "NaN",
    "-nan",
    "NAN ",
    "N/A",
    "n/a",
    "#N/A",
    "#NA",
    "NA",
    "<NA>",
    "None",
    "<none>",
    "(null)",
    "#N/A N/A",
    "\\N",
    "-1.#IND",
    "n.a.",
    "undefined",
    "NULL",
    "null",
    "NaT",
    "-",
    "--",
    "—",
]


@pytest.mark.parametrize("cell", PLACEHOLDERS)
def test_a_cell_that_says_that_nothing_is_there_is_absent(cell: str) -> None:
    case = to_case(row(c=cell, p=cell, i=cell, g=cell, a=cell), COLUMNS)
    assert (case.candidate, case.priors, case.case_id, case.group, case.context) == (None, (), "", "", {})
    assert to_case(row(r=cell), COLUMNS).reference is None
    assert to_case(row(p=json.dumps(["Edema.", cell])), COLUMNS).priors == ("Edema.",)
    assert to_case(row(p=["Edema.", cell]), COLUMNS).priors == ("Edema.",)


def test_such_a_cell_may_be_the_text_it_is() -> None:
    case = to_case(row(c="None", r="nan", p="N/A", a="-"), COLUMNS, placeholders="text")
    assert (case.candidate, case.reference, case.priors, case.context) == ("None", "nan", ("N/A",), {"age": "-"})


@pytest.mark.parametrize("text", ["None.", "No.", "Normal", "Clear", "", "NA study", "nano", "- No effusion", "n", "0"])
def test_short_reports_are_reports(text: str) -> None:
    assert to_case(row(c=text), COLUMNS).candidate == text


def test_rows_tell_where_such_cells_are(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("c,r,p\nClear.,Clear.,nan\nnull,Clear.,\nClear.,Clear.,\n")
    columns = ColumnMap(candidate="c", reference="r", priors=("p",))
    rows = list(read_cases(open_table(tmp_path / "in.csv"), columns))
    assert [row.placeholders for row in rows] == [("p",), ("c",), ()]
    assert [row.absent(columns) for row in rows] == ["", "column 'c': 'null' stands for no report", ""]
