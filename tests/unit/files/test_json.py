"""JSON in one piece: lists of objects, and objects by their ids as ReXrank writes them."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.errors import InputError
from cxr_rewards.files import Table, json_table, open_table, read_cases, read_provenance, score_file, write_table
from cxr_rewards.files.patients import patient_of

REXRANK: dict[str, dict[str, Any]] = {
    "s1": {
        "image_path": ["a/1.png"],
        "section_findings": "Small left pleural effusion.",
        "section_impression": "Small effusion.",
        "context": "Age:50-60.Gender:M.Indication: Cough.",
        "model_prediction": "Findings: Small left pleural effusion.",
    },
    "s2": {
        "image_path": ["a/2.png", "a/3.png"],
        "section_findings": "The lungs are clear.",
        "section_impression": None,
        "context": "Age:None.Gender:F.Indication: None",
        "model_prediction": "The lungs are clear.",
    },
    "s3": {
        "image_path": [],
        "section_findings": "",
        "section_impression": "",
        "context": "",
        "model_prediction": "No pneumothorax.",
    },
}


def saved(folder: Path, content: object, name: str = "in.json") -> Path:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content, indent=4))
    return folder / name


def rows(table: Table) -> list[dict[str, object]]:
    return [dict(row.values) for row in table]


def test_an_object_of_rexrank_has_its_keys_as_ids_and_the_parts_of_its_context(tmp_path: Path) -> None:
    table = open_table(saved(tmp_path, REXRANK))
    assert table.columns == ("study_id", *REXRANK["s1"], "age", "sex", "indication")
    assert table.key == "study_id"
    assert [(row["study_id"], row["age"], row["sex"], row["indication"]) for row in rows(table)] == [
        ("s1", "50-60", "M", "Cough."),
        ("s2", None, "F", None),
        ("s3", None, None, None),
    ]
    assert [row.line for row in table] == [2, 11, 21]
    columns = table.choose_columns()
    assert columns.case_id == "study_id"
    assert columns.candidate == "model_prediction"
    assert columns.reference == ("section_findings", "section_impression")


def test_both_settings_of_rexrank_have_its_references(tmp_path: Path) -> None:
    table = open_table(saved(tmp_path, REXRANK))
    both = [row.case for row in read_cases(table, table.choose_columns())]
    assert [case and case.reference for case in both] == [
        "Findings: Small left pleural effusion. Impression: Small effusion.",
        "Findings: The lungs are clear. Impression: None",
        "",
    ]
    findings = [row.case for row in read_cases(table, table.choose_columns(reference="section_findings"))]
    assert [case and case.reference for case in findings] == [
        "Small left pleural effusion.",
        "The lungs are clear.",
        "",
    ]
    assert both[0] is not None
    assert (both[0].context, both[0].case_id) == ({"age": "50-60", "sex": "M", "indication": "Cough."}, "s1")


def test_the_output_keeps_what_was_there_and_adds_the_scores(tmp_path: Path) -> None:
    table = open_table(saved(tmp_path, REXRANK))
    score_file(table, table.choose_columns(), CompositeReward(["bleu"]), tmp_path / "out.json")
    after = json.loads((tmp_path / "out.json").read_text())
    assert list(after) == list(REXRANK)
    assert [{key: row[key] for key in REXRANK[name]} for name, row in after.items()] == list(REXRANK.values())
    assert [set(row) - set(REXRANK["s1"]) for row in after.values()] == [
        {"age", "sex", "indication", "bleu", "reward", "reason", "reason_kind"}
    ] * 3
    assert [row["reward"] is None for row in after.values()] == [False, False, True]
    made = read_provenance(tmp_path / "out.json")
    assert made is not None
    assert made["columns"]["reference"] == ["section_findings", "section_impression"]
    assert open_table(tmp_path / "out.json").columns[-4:] == ("bleu", "reward", "reason", "reason_kind")
    score_file(table, table.choose_columns(), CompositeReward(["bleu"]), tmp_path / "out.json")  # replaced unasked


@pytest.mark.parametrize(
    "content",
    [
        [{"a": 1, "b": "x"}, {"a": 2, "b": None}],
        '[ {"a" : 1, "b": "x"} ,\r\n\r\n {"a":2,"b":NaN}\n]\n',
        '{"a": 1, "b": "x"}\n{"a": 2, "b": null}\n',
    ],
    ids=["list", "spaced", "lines"],
)
def test_a_list_of_objects_is_a_table_and_so_are_lines_under_the_name_json(tmp_path: Path, content: object) -> None:
    table = open_table(saved(tmp_path, content))
    assert table.key is None
    assert rows(table) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    write_table(tmp_path / "out.json", table, {"reward": float}, [(1.0,), (None,)])
    assert json.loads((tmp_path / "out.json").read_text()) == [
        {"a": 1, "b": "x", "reward": 1.0},
        {"a": 2, "b": None, "reward": None},
    ]


def test_texts_by_id_are_reports(tmp_path: Path) -> None:
    table = open_table(saved(tmp_path, {"s1": "Clear [lungs].", "s2": 'Efüsion "x".'}))
    assert rows(table) == [{"study_id": "s1", "report": "Clear [lungs]."}, {"study_id": "s2", "report": 'Efüsion "x".'}]


def test_ids_do_not_hide_a_column_of_the_same_name(tmp_path: Path) -> None:
    table = open_table(saved(tmp_path, {"p1_s1": {"study_id": 1, "report": "a"}}))
    assert rows(table) == [{"id": "p1_s1", "study_id": 1, "report": "a"}]


def test_a_row_that_is_not_an_object_spoils_itself_only(tmp_path: Path) -> None:
    table = open_table(saved(tmp_path, '{"s1": 3,\n "s2": {"report": "a", "report": "b"},\n "s3": {"report": "c"}}'))
    first, second, third = table
    assert "row 1 (line 1): expected a JSON object" in str(first.error)
    assert "row 2 (line 2): the key 'report' appears twice" in str(second.error)
    assert (third.error, third.line, third.values["report"]) == (None, 3, "c")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"s1": {"a": 1}, "s1": {"a": 2}}', "row 2 (line 1): the key: case id 's1' is already that of row 1"),
        ('{"s1": {"a": 1},\n "s2": {"a": 2}', "line 2: broken JSON: expected ',' or '}', found the end of the file"),
        ('{"s1": {"a": 1},\n "s2": {"a": 2', "line 2: broken JSON: Expecting ',' delimiter, found the end of the file"),
        ('[{"a": 1}\n {"a": 2}]', "line 2: broken JSON: expected ',' or ']', found '{\"a\": 2}]'"),
        ('[{"a": 1}] x', "line 1: broken JSON: expected the end of the file, found 'x'"),
        ('{"s1": {"a": tru}}', "line 1: broken JSON: Expecting value, found 'tru}}'"),
        ('"text"', "line 1: broken JSON: expected a list of objects, or objects by their ids, found"),
        ("{s1: 1}", "line 1: broken JSON: expected an id in double quotes"),
        ("[]", "has only blank lines; expected at least one row"),
        ("[" * 100_000, "line 1: broken JSON: is nested too deeply"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        open_table(saved(tmp_path, content))
    assert message in str(caught.value)


def test_entries_are_read_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {f"s{i}": {"report": f'Text {i}, "é" ' * (i % 7), "n": [i, {"x": None}]} for i in range(200)}
    whole = rows(open_table(saved(tmp_path, content)))
    assert [row["study_id"] for row in whole] == list(content)
    assert [{key: row[key] for key in ("report", "n")} for row in whole] == list(content.values())
    for size in (1, 7, 64):
        monkeypatch.setattr(json_table, "_BLOCK", size)
        assert rows(open_table(saved(tmp_path, content))) == whole
    monkeypatch.setattr(json_table, "LONGEST_ENTRY", 100)
    with pytest.raises(InputError, match="broken JSON"):
        open_table(saved(tmp_path, '{"s1": {"report": "' + "x" * 5_000 + '"}}'))


@pytest.mark.parametrize("context", ["Age:{}:", "Age:5.Indication:{}", "{}Age:5.Gender:F."])
def test_blanks_in_a_context_take_linear_time(context):
    start = time.process_time()
    patient_of(context.format(" " * 200_000))
    assert time.process_time() - start < 15
