"""Severity and size of the reference's findings are compared with those of their partners."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.severity_agreement import SeverityAgreement

NORMAL = "The lungs are clear. The heart is normal in size."


def value(candidate, reference):
    return SeverityAgreement().score(candidate, reference).value


@pytest.mark.parametrize(
    "text", ["Small effusion.", "8 mm nodule.", "Small effusion. Large 8 mm nodule.", NORMAL, "Mild to moderate edema."]
)
def test_identical_texts_score_one(text):
    assert value(text, text) == 1.0


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        ("Trace effusion.", "Small effusion.", 3 / 4),
        ("Moderate effusion.", "Small effusion.", 3 / 4),
        ("Large effusion.", "Small effusion.", 2 / 4),
        ("Massive effusion.", "Trace effusion.", 0.0),
        ("Small to moderate effusion.", "Small effusion.", 1 - 0.5 / 4),
        ("Small right effusion.", "Small left effusion.", 1.0),  # the side is not looked at
        ("Effusion.", "Small effusion.", 0.0),
        ("Edema.", "Small effusion.", 0.0),
        ("No effusion.", "Small effusion.", 0.0),
        ("6 mm nodule.", "8 mm nodule.", 6 / 8),
        ("8 mm nodule.", "6 mm nodule.", 6 / 8),
        ("1.2 cm nodule.", "12 mm nodule.", 1.0),
        ("Nodule.", "8 mm nodule.", 0.0),
        ("Small 4 mm nodule.", "Large 8 mm nodule.", (2 / 4 + 4 / 8) / 2),  # both: the mean
        ("4 mm nodule.", "Large 8 mm nodule.", 4 / 8),  # one of two: that one
        ("Small nodule.", "Large 8 mm nodule.", 2 / 4),
        ("Small effusion. 6 mm nodule.", "Large effusion. 8 mm nodule.", (2 / 4 + 6 / 8) / 2),
        ("Small effusion. Cardiomegaly.", "Small effusion. 8 mm nodule.", 1 / 2),
        ("Large pneumonia.", "Large consolidation.", 1.0),  # a kind stands in for it
    ],
)
def test_agreement_by_hand(candidate, reference, expected):
    assert value(candidate, reference) == pytest.approx(expected)


@pytest.mark.parametrize("candidate", ["Effusion.", "Large effusion.", "Pneumothorax.", NORMAL, "", "asdf qwerty"])
@pytest.mark.parametrize("reference", ["Effusion.", NORMAL])
def test_nothing_to_disagree_on_is_one(candidate, reference):
    assert value(candidate, reference) == 1.0


@pytest.mark.parametrize(
    ("candidate", "reference"), [("Small nodule.", "8 mm nodule."), ("8 mm nodule.", "Small nodule.")]
)
def test_a_word_and_a_measurement_are_not_compared(candidate, reference):
    score = SeverityAgreement().score(candidate, reference)
    assert score.value == 1.0
    assert [found["agreement"] for found in score.details["findings"]] == [None]
    assert value(f"{candidate} Small effusion.", f"{reference} Moderate effusion.") == pytest.approx(3 / 4)


@pytest.mark.parametrize("candidate", ["", " \n", "asdf qwerty", NORMAL])
def test_a_candidate_without_the_finding_scores_zero(candidate):
    assert value(candidate, "Small effusion.") == 0.0


def test_a_reference_that_says_nothing_is_unscored():
    score = SeverityAgreement().score(NORMAL, "asdf qwerty")
    assert score.value is None
    assert str(score.failure) == "severity_agreement: no finding and no normal statement in the reference"


def test_details_tell_what_both_say():
    candidate = "Large effusion. Nodule."
    details = SeverityAgreement().score(candidate, "Small effusion. 8 mm nodule. Mild edema. Cardiomegaly.").details
    assert json.loads(json.dumps(details)) == details
    found = {one["reference"]["observation"]: one for one in details["findings"]}
    assert {name: one["agreement"] for name, one in found.items()} == {
        "pleural_effusion": 0.5,
        "lung_nodule": 0.0,
        "pulmonary_edema": 0.0,
    }
    assert (found["pleural_effusion"]["reference"]["severity"], found["pleural_effusion"]["candidate"]["severity"]) == (
        2.0,
        4.0,
    )
    assert found["lung_nodule"]["candidate"]["observation"] == "lung_nodule"
    assert found["pulmonary_edema"]["candidate"] is None


WORDS = ["", "Trace", "Small", "Moderate", "Large", "Massive", "8 mm", "3 cm", "Small 2 cm"]
REPORTS = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from(["effusion", "nodule", "pneumothorax"])), min_size=1, max_size=4
).map(lambda told: " ".join(f"{word} {finding}." for word, finding in told))


@given(REPORTS, REPORTS)
def test_scores_are_in_bounds_and_agree_with_themselves(candidate, reference):
    assert 0.0 <= value(candidate, reference) <= 1.0
    assert value(reference, reference) == 1.0


@given(st.integers(1, 5), st.integers(1, 5))
def test_agreement_falls_with_distance(one, two):
    words = ["Trace", "Mild", "Moderate", "Severe", "Massive"]
    score = value(f"{words[one - 1]} edema.", f"{words[two - 1]} edema.")
    assert score == pytest.approx(1 - abs(one - two) / 4)
