"""Candidates and references in two files."""

import json
from pathlib import Path

import polars as pl
import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.errors import InputError
from cxr_rewards.files import JoinedTable, open_table, score_file, write_table

CANDIDATES = "study_id,report,sex\ns1,Clear lungs.,F\ns2,Effusion.,M\n"
REFERENCES = "report,study_id,site\nSmall effusion.,s2,north\nLungs clear.,s1,south\n"


def joined(
    folder: Path, candidates: str, references: str, on: str | None = "study_id", names: str = "csv csv"
) -> JoinedTable:
    first, second = names.split()
    (folder / f"a.{first}").write_text(candidates)
    (folder / f"b.{second}").write_text(references)
    return JoinedTable(open_table(folder / f"a.{first}"), open_table(folder / f"b.{second}"), on)


@pytest.mark.parametrize("on", ["study_id", None])
def test_each_candidate_gets_its_reference_whatever_the_order(tmp_path: Path, on: str | None) -> None:
    table = joined(tmp_path, CANDIDATES, REFERENCES, on)
    assert table.columns == ("study_id", "report", "sex", "reference_report", "site")
    assert [tuple(row.values.values()) for row in table] == [
        ("s1", "Clear lungs.", "F", "Lungs clear.", "south"),
        ("s2", "Effusion.", "M", "Small effusion.", "north"),
    ]
    columns = table.choose_columns()
    assert (columns.candidate, columns.reference, columns.case_id) == ("report", "reference_report", "study_id")
    assert columns == table.choose_columns(candidate="report", reference="report")
    assert [row.values["site"] for row in table.rows(["site"])] == ["south", "north"]


def test_scores_of_two_files_are_those_of_one(tmp_path: Path) -> None:
    table = joined(tmp_path, CANDIDATES, REFERENCES)
    reward = CompositeReward(["bleu"])
    score_file(table, table.choose_columns(), reward, tmp_path / "out.csv", by="site")
    frame = pl.read_csv(tmp_path / "out.csv")
    expected = reward.score_batch(
        candidates=["Clear lungs.", "Effusion."], references=["Lungs clear.", "Small effusion."]
    )
    assert frame["reward"].to_list() == [one.value for one in expected]
    assert frame.columns[:5] == list(table.columns)


def bad(table: JoinedTable) -> list[str]:
    return [str(row.error).partition(": ")[2] if row.error else "" for row in table]


def test_ids_that_only_one_file_has_are_bad_rows_and_none_is_lost(tmp_path: Path) -> None:
    table = joined(tmp_path, CANDIDATES + "s3,Edema.,F\n", REFERENCES + "Normal.,s4,north\nOld.,s5,north\n")
    errors = bad(table)
    assert errors[:2] == ["", ""]
    assert errors[2].startswith("row 3 (line 4), column 'study_id': 's3' is not in ")
    assert errors[2].endswith("b.csv; add its reference, or leave out the row")
    assert errors[3].startswith("row 3 (line 4), column 'study_id': 's4' is not in ")
    assert errors[3].endswith("a.csv; add its candidate, or leave out the row")
    assert [row.values["study_id"] for row in table] == ["s1", "s2", "s3", "s4", "s5"]
    with pytest.raises(InputError, match="3 of 5 rows cannot be read"):
        score_file(table, table.choose_columns(), CompositeReward(["bleu"]), tmp_path / "out.csv")
    score_file(table, table.choose_columns(), CompositeReward(["bleu"]), tmp_path / "out.csv", on_error="keep-going")
    frame = pl.read_csv(tmp_path / "out.csv")
    assert frame["reward"].is_null().to_list() == [False, False, True, True, True]
    assert frame["reference_report"].to_list() == ["Lungs clear.", "Small effusion.", None, "Normal.", "Old."]


def test_two_references_of_one_id_are_never_chosen_from(tmp_path: Path) -> None:
    table = joined(tmp_path, CANDIDATES, REFERENCES + "Other.,s1,south\n")
    errors = bad(table)
    assert (
        errors[0]
        == "row 3 (line 4), column 'study_id': 's1' is already the id of row 2 (line 3); leave one of the references"
    )
    assert errors[1:] == [""]


def test_a_repeated_candidate_is_a_bad_row_unless_ids_are_not_taken(tmp_path: Path) -> None:
    table = joined(tmp_path, CANDIDATES + "s1,Edema.,F\n", REFERENCES)
    reward = CompositeReward(["bleu"])
    with pytest.raises(InputError, match="case id 's1' is already that of row 1"):
        score_file(table, table.choose_columns(), reward, tmp_path / "out.csv")
    scored = score_file(table, table.choose_columns(case_id=""), reward, tmp_path / "out.csv")
    assert scored.rows == 3


@pytest.mark.parametrize(
    ("ids", "others", "same"),
    [
        (["7 ", "8"], ["8", " 7"], True),
        (['"7"', '"8"'], ["7", "8"], True),
        (["007", "8"], ["7", "8"], False),
        (["S1", "8"], ["s1", "8"], False),
        (["7.0", "8"], ["7", "8"], False),
    ],
)
def test_ids_are_compared_as_text_and_near_misses_are_told(
    tmp_path: Path, ids: list[str], others: list[str], same: bool
) -> None:
    a = "id,prediction\n" + "".join(f"{i},Clear.\n" for i in ids)
    b = "id,report\n" + "".join(f"{i},Clear.\n" for i in others)
    errors = bad(joined(tmp_path, a, b, "id"))
    assert (errors == ["", ""]) is same
    if not same:
        assert f"(but {others[0]!r} is: write ids the same way in both)" in errors[0]
        assert f"(but {ids[0]!r} is: write ids the same way in both)" in errors[-1]


def test_numbers_join_with_their_digits_and_never_with_leading_zeros(tmp_path: Path) -> None:
    lines = '{"id": 7, "prediction": "a"}\n{"id": 8.0, "prediction": "b"}\n{"id": 9.5, "prediction": "c"}\n'
    lines += '{"id": 1e17, "prediction": "d"}\n'
    table = joined(tmp_path, lines, "id,report\n7,A.\n8,B.\n009,C.\n", "id", "jsonl csv")
    errors = bad(table)
    assert errors[:2] == ["", ""]
    assert "column 'id': 9.5 is a number that may have lost digits; write ids as text" in errors[2]
    assert "1e+17 is a number that may have lost digits" in errors[3]
    assert "'009' is not in" in errors[4]


@pytest.mark.parametrize("blank", ["", "  ", "nan"])
def test_a_row_without_an_id_is_bad_in_either_file(tmp_path: Path, blank: str) -> None:
    errors = bad(joined(tmp_path, CANDIDATES + f"{blank},Edema.,F\n", REFERENCES + f"Normal.,{blank},north\n"))
    assert errors[:2] == ["", ""]
    assert errors[2:] == ["row 3 (line 4), column 'study_id': has no id; write one, or leave out the row"] * 2


def test_a_bad_row_of_the_references_spoils_its_candidate_only(tmp_path: Path) -> None:
    errors = bad(joined(tmp_path, CANDIDATES, "study_id,report\ns1,too,many\ns2,Good.\n"))
    assert errors[0].startswith("row 1 (line 2) has 3 fields, expected 2")
    assert errors[1:] == [""]


@pytest.mark.parametrize(
    ("candidates", "references", "on", "message"),
    [
        (CANDIDATES, REFERENCES, "case", "a.csv: --on: unknown column 'case'; known: report, sex, study_id"),
        (
            CANDIDATES,
            REFERENCES,
            "study_id=study",
            "b.csv: --on: unknown column 'study'; known: report, site, study_id",
        ),
        (
            "a,b\n1,2\n",
            "a,c\n1,2\n",
            None,
            "no column of ids that both have. Name it with --on COLUMN, or --on COLUMN=CO",
        ),
        ("id,study_id,b\n1,2,3\n", "id,study_id,c\n1,2,3\n", None, "several columns of ids in both: id, study_id"),
        (
            "id,a,reference_a\n1,2,3\n",
            "id,a\n1,2\n",
            "id",
            "column 'a' is in both files, and its new name 'reference_a' exists",
        ),
    ],
)
def test_what_cannot_be_joined_is_told(
    tmp_path: Path, candidates: str, references: str, on: str | None, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        joined(tmp_path, candidates, references, on)
    assert message in str(caught.value)


def test_ids_may_have_two_names(tmp_path: Path) -> None:
    table = joined(tmp_path, CANDIDATES, "exam,report\ns1,A.\ns2,B.\n", "study_id = exam")
    assert table.columns == ("study_id", "report", "sex", "reference_report")
    assert bad(table) == ["", ""]


def test_a_named_column_that_does_not_exist_is_told_with_its_file(tmp_path: Path) -> None:
    table = joined(tmp_path, CANDIDATES, REFERENCES)
    with pytest.raises(InputError, match=r"b\.csv: unknown column 'gold'; known: report, site, study_id"):
        table.choose_columns(reference="gold")


def test_objects_by_id_join_by_their_keys_and_stay_objects(tmp_path: Path) -> None:
    predictions = json.dumps({"s1": "Clear lungs.", "s2": "Effusion."})
    references = json.dumps(
        {"s2": {"section_findings": "A.", "section_impression": "B."}, "s1": {"section_findings": "C."}}
    )
    table = joined(tmp_path, predictions, references, None, "json json")
    assert table.choose_columns().reference == ("section_findings", "section_impression")
    write_table(tmp_path / "out.json", table, {"reward": float}, [(1.0,), (0.5,)])
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "s1": {"report": "Clear lungs.", "section_findings": "C.", "section_impression": None, "reward": 1.0},
        "s2": {"report": "Effusion.", "section_findings": "A.", "section_impression": "B.", "reward": 0.5},
    }


def test_values_of_references_keep_their_types_in_parquet(tmp_path: Path) -> None:
    pl.DataFrame({"id": ["s1"], "prediction": ["a"]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"id": ["s1"], "report": ["b"], "n": [3], "x": [0.5], "priors": [["p", "q"]]}).write_parquet(
        tmp_path / "b.parquet"
    )
    table = JoinedTable(open_table(tmp_path / "a.parquet"), open_table(tmp_path / "b.parquet"))
    assert table.choose_columns().priors == ("priors",)
    write_table(tmp_path / "out.parquet", table, {"reward": float}, [(1.0,)])
    (row,) = pl.read_parquet(tmp_path / "out.parquet").rows(named=True)
    assert row == {
        "id": "s1",
        "prediction": "a",
        "report": "b",
        "n": 3,
        "x": 0.5,
        "priors": '["p", "q"]',
        "reward": 1.0,
    }


def test_a_change_of_either_file_is_another_run(tmp_path: Path) -> None:
    before = joined(tmp_path, CANDIDATES, REFERENCES)
    after = joined(tmp_path, CANDIDATES, REFERENCES.replace("Small", "Large"))
    assert before.fingerprint() != after.fingerprint()
    with pytest.raises(InputError, match=r"b\.csv: has changed since it was opened"):
        before.rows()
    with pytest.raises(InputError, match=r"b\.csv: is the input itself"):
        write_table(tmp_path / "b.csv", after, {"reward": float}, [])
