"""F1 of what two reports say is there, by observation, certainty and side."""

from __future__ import annotations

import json
import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.findings_f1 import FindingsF1
from cxr_rewards.core.engine import Engine
from cxr_rewards.features.findings import Findings
from cxr_rewards.features.matched_findings import MatchedFindings
from cxr_rewards.features.reports import Reports
from cxr_rewards.testing import check_component
from cxr_rewards.types import Case

SICK = "The heart is enlarged. Small left pleural effusion. No pneumothorax."
NORMAL = "The lungs are clear. The heart is normal in size. No pleural effusion or pneumothorax."


def value(candidate, reference, **settings):
    return FindingsF1(**settings).score(candidate, reference).value


def test_conforms_with_other_settings():
    check_component(FindingsF1(absences=True))


@pytest.mark.parametrize("absences", [False, True])
@pytest.mark.parametrize("text", [SICK, NORMAL, "Possible pneumonia.", "Rotated patient.", "Left and right effusions."])
def test_identical_texts_score_one(text, absences):
    assert value(text, text, absences=absences) == 1.0


def test_normal_in_other_words_scores_one():
    assert value("No acute cardiopulmonary disease.", NORMAL) == 1.0
    assert value(NORMAL, "Unremarkable chest radiograph.") == 1.0


def test_same_findings_in_other_words_score_one():
    assert value("Cardiomegaly. There is a small effusion on the left.", SICK) == 1.0


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        ("Cardiomegaly.", SICK, 2 / 3),
        ("Cardiomegaly. No effusion.", SICK, 2 / 3),
        ("Cardiomegaly. Left effusion. Nodule.", SICK, 4 / 5),
        ("Left effusion. Nodule. Edema.", SICK, 2 / 5),
        ("Large left effusion.", "Small left effusion.", 1.0),  # severity is not looked at
        ("Left lower lobe nodule.", "Left upper lobe nodule.", 1.0),  # nor the place
        ("Right effusion.", "Left effusion.", 0.0),
        ("Effusion.", "Left effusion.", 0.0),
        ("Left effusion.", "Bilateral effusions.", 2 / 3),
        ("Left effusion. Right effusion.", "Bilateral effusions.", 1.0),
        ("Possible pneumonia.", "Pneumonia.", 0.8),
        ("Consolidation.", "Pneumonia.", 0.0),
        ("Scoliosis. Pneumothorax.", "Pneumothorax.", 2 / 3),  # all weigh the same
        (NORMAL, SICK, 0.0),
        (SICK, NORMAL, 0.0),
    ],
)
def test_is_the_f1_of_observation_certainty_and_side(candidate, reference, expected):
    assert value(candidate, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        ("No effusion. No pneumothorax.", "No effusion.", 2 / 3),
        ("No effusion.", "Effusion.", 0.0),
        ("Cardiomegaly. No effusion.", "Cardiomegaly. No edema.", 1 / 2),
        ("The heart is normal.", "No effusion.", 0.0),
        ("The heart is normal.", "The lungs are clear.", 1.0),  # what is only implied never counts
        ("No cardiomegaly.", "The heart is normal.", 0.0),
    ],
)
def test_named_absences_may_count(candidate, reference, expected):
    assert value(candidate, reference, absences=True) == pytest.approx(expected)


def test_denials_count_only_where_they_are_asked_for():
    assert value("No effusion. No edema.", "No pneumothorax.") == 1.0
    assert value("No effusion. No edema.", "No pneumothorax.", absences=True) == 0.0


@pytest.mark.parametrize(
    "candidate", ["", "  \n", "asdf qwerty", "Le patient se porte bien.", "\u80ba\u90e8\u6b63\u5e38"]
)
@pytest.mark.parametrize("reference", [NORMAL, SICK])
def test_a_candidate_that_says_nothing_scores_zero(candidate, reference):
    assert value(candidate, reference) == 0.0


def test_a_reference_that_says_nothing_is_unscored():
    score = FindingsF1().score(NORMAL, "asdf qwerty")
    assert score.value is None
    assert str(score.failure) == "findings_f1: no finding and no normal statement in the reference"


def test_each_false_finding_costs_more():
    worse = ["", " Left effusion.", " Left effusion. Nodule.", " Left effusion. Nodule. Rib fracture."]
    scores = [value("Cardiomegaly." + more, "Cardiomegaly.") for more in worse]
    assert scores == pytest.approx([1, 2 / 3, 2 / 4, 2 / 5])


def test_a_finding_named_twice_counts_once():
    assert value("Opacity, consistent with pneumonia. Pneumonia.", "Pneumonia.") == 1.0


def test_boilerplate_denials_do_not_pay():
    assert value("Cardiomegaly. No pneumothorax. No fracture. No mass.", SICK) == value("Cardiomegaly.", SICK)


def test_a_kind_takes_the_side_of_the_general_finding_it_replaces():
    reference = "Right opacity, suspicious for pneumonia."
    assert value("Opacity, suspicious for pneumonia in the right lung.", reference) == 1.0
    assert value("Opacity, suspicious for pneumonia in the left lung.", reference) == 0.0


def test_details_name_the_findings():
    score = FindingsF1().score("Cardiomegaly. No effusion. Right rib fracture. Possible pneumonia.", SICK)
    assert json.loads(json.dumps(score.details)) == {
        "credit": 1.0,
        "shared": [["cardiomegaly", "present", ""]],
        "missed": [["pleural_effusion", "present", "left"]],
        "extra": [["pneumonia", "possible", ""], ["rib_fracture", "present", "right"]],
    }


def test_details_split_bilateral_findings_and_list_absences():
    details = FindingsF1(absences=True).score("No pneumothorax.", "Bilateral effusions. No edema.").details
    assert details == {
        "credit": 0.0,
        "shared": [],
        "missed": [
            ["pleural_effusion", "present", "left"],
            ["pleural_effusion", "present", "right"],
            ["pulmonary_edema", "absent", ""],
        ],
        "extra": [["pneumothorax", "absent", ""]],
    }


def test_every_setting_enters_the_signature():
    assert FindingsF1().signature != FindingsF1(absences=True).signature
    assert "findings/" in FindingsF1().signature
    assert "reports/" in FindingsF1().signature


PHRASES = st.lists(
    st.sampled_from(
        [
            "Cardiomegaly.",
            "No effusion.",
            "Left effusion.",
            "Possible pneumonia.",
            "Lungs are clear.",
            "Right opacity.",
            "Rib fracture.",
            "Rotated.",
            "Normal chest.",
            "Atelectasis or scarring.",
            "Bilateral effusions.",
        ]
    ),
    min_size=1,
    max_size=6,
).map(" ".join)


@pytest.mark.parametrize("absences", [False, True])
@given(candidate=PHRASES, reference=PHRASES)
def test_scores_are_symmetric_and_in_bounds(absences, candidate, reference):
    one = value(candidate, reference, absences=absences)
    assert 0.0 <= one <= 1.0
    assert one == pytest.approx(value(reference, candidate, absences=absences))


@pytest.mark.parametrize("feature", [Findings(), Reports(), MatchedFindings()])
def test_what_is_read_is_not_kept_on_disk(feature):
    assert not feature.persistent
    assert pickle.loads(pickle.dumps(feature)) == feature


def test_scoring_a_case_takes_well_under_a_millisecond():
    cases = [Case(candidate=SICK, reference=f"{SICK} {NORMAL}")] * 1000
    begin = time.process_time()
    Engine({"findings_f1": FindingsF1()}).run(cases)
    assert time.process_time() - begin < 0.5
