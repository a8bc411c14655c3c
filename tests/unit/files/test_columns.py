"""Finding the columns of a case."""

import pytest

from cxr_rewards.errors import InputError
from cxr_rewards.files import ColumnMap, choose_cluster, choose_columns


@pytest.mark.parametrize(
    "name", ["candidate", "Candidate Report", "prediction", "PRED", "generated-report", "hyp", "model_output"]
)
def test_usual_candidate_names_are_found(name: str) -> None:
    assert choose_columns([name, "reference"]).candidate == name


@pytest.mark.parametrize("name", ["reference", "Ground Truth", "ground_truth", "gt", "target", "Report", " reference "])
def test_usual_reference_names_are_found(name: str) -> None:
    assert choose_columns(["candidate", name]).reference == name


def test_better_name_wins_over_lesser() -> None:
    columns = choose_columns(["prediction", "candidate", "report", "target", "reference", "id", "case_id"])
    assert (columns.candidate, columns.reference, columns.case_id) == ("candidate", "reference", "case_id")


def test_everything_is_found_and_said_in_words() -> None:
    columns = choose_columns(["id", "pred", "gt", "Prior 10", "prior_2", "prompt_id", "Age", "Sex", "study_id"])
    assert columns == ColumnMap(
        candidate="pred",
        reference="gt",
        priors=("prior_2", "Prior 10"),
        case_id="id",
        context={"age": "Age", "sex": "Sex"},
    )
    assert str(columns) == (
        "candidate from 'pred', reference from 'gt', priors from 'prior_2', 'Prior 10', case ids from 'id', "
        "context from 'Age', 'Sex'"
    )
    assert columns.used == ("pred", "gt", "prior_2", "Prior 10", "id", "Age", "Sex")


@pytest.mark.parametrize("names", [["group"], ["group_id"], ["prompt_id"], ["group", "Group"]])
def test_group_columns_are_taken_only_if_named(names: list[str]) -> None:
    columns = ["candidate", "reference", *names]
    assert choose_columns(columns).group is None
    chosen = choose_columns(columns, group=names[0])
    assert chosen.group == names[0]
    assert f"groups from {names[0]!r}" in str(chosen)


def test_no_case_ids_are_taken_for_an_empty_name() -> None:
    columns = ["candidate", "reference", "id"]
    assert choose_columns(columns).case_id == "id"
    assert choose_columns(columns, case_id="").case_id is None
    assert choose_columns([*columns, "ID"], case_id="").case_id is None


def test_nothing_beyond_the_texts_is_needed() -> None:
    assert str(choose_columns(["hyp", "ref_text"], reference="ref_text")) == (
        "candidate from 'hyp', reference from 'ref_text', no priors, no case ids"
    )


def test_named_columns_win() -> None:
    columns = choose_columns(
        ["candidate", "reference", "prior", "c2", "r2", "old", "older", "key", "g", "Pain Score"],
        candidate="c2",
        reference="r2",
        priors=["older", "old"],
        case_id="key",
        group="g",
        context=["Pain Score"],
    )
    assert columns.used == ("c2", "r2", "older", "old", "key", "g", "Pain Score")
    assert columns.context == {"pain_score": "Pain Score"}


def test_same_column_for_both_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        choose_columns(["report"], candidate="report", reference="report", where="in.csv")
    assert str(caught.value) == (
        "in.csv: column 'report' is named for both candidate and reference; "
        "name two with --candidate-col and --reference-col"
    )
    with pytest.raises(InputError, match=r"input: no column for the reference; columns: 'report'\. Name it with --ref"):
        choose_columns(["report"], candidate="report")


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (
            ["text", "reference"],
            {},
            "in.csv: no column for the candidate; columns: 'text', 'reference'. Name it with --candidate-col, "
            "or rename it 'candidate'",
        ),
        (
            ["pred", "hyp", "reference"],
            {},
            "in.csv: several columns could be the candidate: 'hyp', 'pred'. Name one with --candidate-col",
        ),
        (
            ["candidate", "gt", "target"],
            {},
            "in.csv: several columns could be the reference: 'gt', 'target'. Name one with --reference-col",
        ),
        (
            ["candidate", "Candidate", "reference"],
            {},
            "in.csv: several columns could be the candidate: 'candidate', 'Candidate'. Name one with --candidate-col",
        ),
        (
            ["candidate", "reference", "priors", "prior_1"],
            {},
            "in.csv: several columns could be the priors: 'priors', 'prior_1'. Name one with --prior-col",
        ),
        (
            ["candidate", "reference", "prior_1", "prior_report_1"],
            {},
            "in.csv: several columns could be the priors: 'prior_1', 'prior_report_1'. Name one with --prior-col",
        ),
        (
            ["candidate", "reference", "ID", "id"],
            {},
            "in.csv: several columns could be the case ids: 'ID', 'id'. Name one with --id-col",
        ),
        (
            ["candidate", "reference"],
            {"candidate": "canddate"},
            "in.csv: unknown column 'canddate'; known: candidate, reference. Did you mean 'candidate'?",
        ),
        (
            ["candidate", "reference"],
            {"priors": ["zzz"]},
            "in.csv: unknown column 'zzz'; known: candidate, reference.",
        ),
    ],
)
def test_doubt_is_reported_with_the_option_to_give(columns: list[str], options: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        choose_columns(columns, where="in.csv", **options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("columns", "cluster"),
    [
        (["group", "study_id", "Patient ID"], "Patient ID"),
        (["group", "StudyID", "prompt_id"], "StudyID"),
        (["subject_id", "study_id"], "subject_id"),
        (["prompt_id"], "prompt_id"),
        (["AccessionNumber", "PatientID", "subject-id"], "PatientID"),
        (["site", "sex"], ""),
        (["id"], ""),  # case ids, each there once
    ],
)
def test_rows_that_belong_together_are_found_by_the_usual_names(columns: list[str], cluster: str) -> None:
    columns = ["candidate", "reference", *columns]
    assert choose_cluster(columns, None, choose_columns(columns)) == cluster


def test_a_cluster_can_be_named_or_switched_off() -> None:
    columns = ["candidate", "reference", "id", "patient_id", "ward"]
    used = choose_columns(columns)
    assert choose_cluster(columns, "ward", used) == "ward"
    assert choose_cluster(columns, "", used) == ""
    assert choose_cluster(columns, None, choose_columns(columns, group="ward")) == "ward"
    assert choose_cluster(["candidate", "reference", "id"], None, choose_columns(columns[:3], case_id="")) == "id"
    with pytest.raises(InputError, match="in.csv: unknown column 'wards'; known: .* Did you mean 'ward'"):
        choose_cluster(columns, "wards", used, where="in.csv")
