"""The sample reports that come with the project: complete, well-formed, free of leftovers, and varied."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "examples" / "sample_reports.csv"
COLUMNS = [
    "study_id",
    "patient_id",
    "age",
    "sex",
    "site",
    "indication",
    "prior_report",
    "reference",
    "candidate",
    "note",
]
TEXTS = ("indication", "prior_report", "reference", "candidate")


@pytest.fixture(scope="module")
def rows():
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_every_row_has_every_column(rows):
    assert len(rows) >= 40
    for row in rows:
        assert list(row) == COLUMNS
        empty = {name for name, value in row.items() if not value.strip()}
        assert empty <= {"prior_report", "candidate"}, row["study_id"]


def test_studies_are_unique_and_a_patient_stays_the_same_person(rows):
    assert len({row["study_id"] for row in rows}) == len(rows)
    people = {(row["patient_id"], row["sex"], row["site"]) for row in rows}
    patients = {row["patient_id"] for row in rows}
    assert len(people) == len(patients) < len(rows)


def test_ages_sexes_and_sites_are_varied(rows):
    ages = [int(row["age"]) for row in rows]
    assert min(ages) == 1
    assert max(ages) == 90
    assert min(sum(age < 60 for age in ages), sum(age >= 60 for age in ages)) >= 15
    sexes = [row["sex"] for row in rows]
    assert set(sexes) == {"F", "M"}
    assert min(map(sexes.count, "FM")) >= 15
    sites = [row["site"] for row in rows]
    assert 3 <= len(set(sites)) <= 4
    assert min(map(sites.count, set(sites))) >= 8


def test_about_half_of_the_rows_have_a_prior_report(rows):
    assert 15 <= sum(bool(row["prior_report"]) for row in rows) <= len(rows) - 15


def test_references_speak_of_change_only_where_there_is_a_prior_report(rows):
    change = re.compile(r"\b(unchanged|stable|new|increased|decreased|improv\w+|worsen\w+|resolved|remains?)\b", re.I)
    for row in rows:
        if not row["prior_report"]:
            assert not change.search(row["reference"]), row["study_id"]


def test_reports_come_in_several_forms(rows):
    references = [row["reference"] for row in rows]
    assert any(text.isupper() for text in references)
    assert any("\n1. " in text for text in references)
    assert any("___" in text for text in references)
    assert sum("FINDINGS:" in text and "\nIMPRESSION:" in text for text in references) >= 10
    assert sum("FINDINGS:" not in text for text in references) >= 10


def test_no_leftovers_of_de_identification_but_the_three_underscores(rows):
    leftovers = re.compile(r"XX+|\[\*\*|\*\*\]|\[(?:redacted|name|date)|<[A-Z]+>|_{4,}|(?<!_)_{1,2}(?!_)|\d{4}", re.I)
    for row in rows:
        for name in TEXTS:
            assert not leftovers.search(row[name]), (row["study_id"], name)


def test_notes_name_many_kinds_of_candidates_and_tell_the_truth(rows):
    assert len({row["note"] for row in rows}) >= 12
    for row in rows:
        same_as = {name for name in ("reference", "prior_report") if row[name] == row["candidate"]}
        assert ("reference" in same_as) == ("exact" in row["note"]), row["study_id"]
        assert (not row["candidate"]) == (row["note"] == "empty candidate"), row["study_id"]
        assert (bool(row["candidate"]) and "prior_report" in same_as) == ("copied prior" in row["note"]), row[
            "study_id"
        ]
    right = [row for row in rows if re.search("exact|good paraphrase|nearly right|but right|same facts", row["note"])]
    assert len(rows) / 4 <= len(right) <= len(rows) / 2
