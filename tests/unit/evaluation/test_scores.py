"""Files of scores, read and joined: what differs is told, and refused unless it is allowed."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from cxr_rewards.errors import ConfigError, InputError
from cxr_rewards.evaluation.joining import join_scores
from cxr_rewards.evaluation.scores import load_scores


@pytest.fixture
def write(tmp_path):
    """Write a table of scores and load it."""

    def load(name, columns, **options):
        path = tmp_path / f"{name}.csv"
        pl.DataFrame(columns).write_csv(path)
        return load_scores(path, **options)

    return load


def scores(ids, reward, **more):
    return {"case_id": ids, "reference": [f"Report {i}." for i in ids], **more, "reward": reward, "reason_kind": ""}


def test_a_file_of_scores_is_read_with_directions_and_bounds_of_known_components(write):
    system = write("a", scores(["x", "y"], [0.5, None], radcliq_v1=[1.5, -0.5]))
    assert system.name == "a"
    assert system.ids == ("x", "y")
    assert system.values["reward"][0] == 0.5
    assert math.isnan(system.values["reward"][1])
    assert not system.metrics["radcliq_v1"].higher_is_better
    assert system.metrics["radcliq_v1"].bounds == (-math.inf, math.inf)
    assert system.reference_columns == ("reference",)


def test_kinds_of_failure_are_counted(write):
    table = scores(["x", "y", "z"], [0.5, None, None])
    table["reason_kind"] = ["", "blank_reference", "blank_reference; judge"]
    assert write("a", table).kinds == {"blank_reference": 2, "judge": 1}


def test_columns_of_other_programs_are_taken_if_named(write):
    table = {"id": ["x"], "green_score": [0.5], "errors": [3]}
    with pytest.raises(InputError, match="no column of scores; columns: id, green_score, errors. Name some with --met"):
        write("a", table)
    system = write("a", table, metrics=["green_score", "errors"], lower_is_better=["errors"])
    assert [system.metrics[name].higher_is_better for name in system.metrics] == [True, False]
    with pytest.raises(InputError, match="unknown metric 'eror'; .* Did you mean 'errors'"):
        write("a", table, metrics=["eror"])
    with pytest.raises(ConfigError, match="--lower-is-better bleu: its direction is known"):
        write("a", {"id": ["x"], "bleu": [0.5]}, metrics=["bleu"], lower_is_better=["bleu"])


def test_a_cell_that_is_not_a_number_is_an_error_with_its_place(write):
    with pytest.raises(InputError, match=r"a.csv: row 2 \(line 3\), column 'reward': expected a number or .* 'good'"):
        write("a", scores(["x", "y"], ["0.5", "good"]))
    with pytest.raises(InputError, match="expected a number or an empty cell, got 'inf'"):
        write("a", scores(["x", "y"], ["0.5", "inf"]))


def test_nan_is_unscored(write):
    assert np.isnan(write("a", scores(["x", "y"], ["nan", "N/A"])).values["reward"]).all()


def test_an_id_that_occurs_twice_is_an_error_with_both_places(write):
    with pytest.raises(InputError, match="row 3, column 'case_id': id 'x' is already that of row 1; .* --on none"):
        write("a", scores(["x", "y", "x"], [0.5, 0.5, 0.5]))
    with pytest.raises(InputError, match="row 2, column 'case_id': no id"):
        write("a", scores(["x", ""], [0.5, 0.5]))


def test_the_first_usual_column_whose_values_are_all_different_names_the_cases(write):
    table = {"id": ["a", "a"], "Study_ID": ["s", "t"], "reward": [0.5, 0.5]}
    assert write("a", table).id_column == "Study_ID"
    assert write("a", table, on="").ids == ("row 1", "row 2")


def test_cases_are_joined_by_id_in_the_order_of_the_first_file(write):
    joined = join_scores([write("a", scores(["x", "y"], [1, 2])), write("b", scores(["y", "x"], [20, 10]))])
    assert joined.ids == ("x", "y")
    assert joined.values("reward").tolist() == [[1, 2], [10, 20]]


def test_unequal_ids_are_refused_with_their_number_and_examples_unless_allowed(write):
    systems = [write("a", scores(["x", "y", "z"], [1, 2, 3])), write("b", scores(["y", "q"], [2, 4]))]
    with pytest.raises(InputError, match=r"2 of 3 cases of a \('x', 'z'\); 1 of 2 cases of b \('q'\).*--allow ids"):
        join_scores(systems)
    joined = join_scores(systems, allow=["ids"])
    assert joined.ids == ("y",)
    assert "compared on the 1 cases in all files" in joined.notes[0]


def test_files_without_a_common_id_tell_their_ids(write):
    systems = [write("a", scores(["x"], [1])), write("b", {"id": [7], "reference": ["Report x."], "reward": [1]})]
    with pytest.raises(
        InputError, match="no case is in all files; their ids are case_id of a, id of b, such as 'x', '7'"
    ):
        join_scores(systems, allow=["ids"])


def test_different_references_are_refused_unless_allowed(write):
    other = scores(["x", "y"], [1, 2])
    other["reference"] = ["Report x.", "Report  of y."]
    systems = [write("a", scores(["x", "y"], [1, 2])), write("b", other)]
    with pytest.raises(InputError, match="references of 1 of 2 cases differ between a and b, for example of 'y': 'Rep"):
        join_scores(systems)
    assert len(join_scores(systems, allow=["references"]).notes) == 1


def test_rows_are_joined_only_if_their_references_are_equal(write):
    rows = {"reference": ["One.", "Two."], "reward": [1, 2]}
    joined = join_scores([write("a", rows), write("b", rows)])
    assert joined.ids == ("row 1", "row 2")
    with pytest.raises(
        InputError, match="no column of ids and no references to check that the rows are the same cases"
    ):
        join_scores([write("a", {"reward": [1, 2]}), write("b", {"reward": [1, 2]})])


def test_metrics_that_not_all_files_have_are_left_out_and_told(write):
    systems = [write("a", scores(["x"], [1], bleu=[0.5])), write("b", scores(["x"], [1]))]
    joined = join_scores(systems)
    assert list(joined.metrics) == ["reward"]
    assert joined.notes == ("not in all files, left out: bleu of a",)
    with pytest.raises(InputError, match=r"no metric in common \(a: bleu; b: rouge_l\)"):
        join_scores([write("a", {"id": ["x"], "bleu": [0.5]}), write("b", {"id": ["x"], "rouge_l": [0.5]})])


def test_equal_names_and_a_single_file_are_refused(write):
    system = write("a", scores(["x"], [1]))
    with pytest.raises(InputError, match="two systems are named 'a'; tell them apart with --name"):
        join_scores([system, system])
    with pytest.raises(InputError, match="1 file to compare; give two or more"):
        join_scores([system])


def test_a_column_about_the_cases_comes_from_the_files_that_have_it_and_must_agree(write):
    first = write("a", scores(["x", "y"], [1, 2]))
    second = write("b", scores(["y", "x"], [1, 2], sex=["F", "M"]))
    third = write("c", scores(["x", "y"], [1, 2], sex=["F", "F"]))
    assert join_scores([first, second]).column("sex") == ["M", "F"]
    with pytest.raises(
        InputError, match="'sex' differs in 1 of 2 cases, for example 'x': 'M' in .*b.csv, 'F' in .*c.csv"
    ):
        join_scores([second, third]).column("sex")
    with pytest.raises(InputError, match="unknown column 'sexx'; .* Did you mean 'sex'"):
        join_scores([first, second]).column("sexx")
