"""Sides and places of the reference's findings are compared with those of their partners."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.location_agreement import LocationAgreement

NORMAL = "The lungs are clear. The heart is normal in size."


def value(candidate, reference):
    return LocationAgreement().score(candidate, reference).value


@pytest.mark.parametrize(
    "text", ["Left effusion.", "Left basilar opacity.", "Upper lobe nodule.", "Fractures of ribs 5 to 7.", NORMAL]
)
def test_identical_texts_score_one(text):
    assert value(text, text) == 1.0


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        # sides
        ("Right effusion.", "Left effusion.", 0.0),
        ("Effusion.", "Left effusion.", 0.0),
        ("Bilateral effusions.", "Left effusion.", 2 / 3),
        ("Left effusion.", "Bilateral effusions.", 2 / 3),
        ("Large left effusion.", "Small left effusion.", 1.0),  # severity is not looked at
        # places
        ("Lower lobe nodule.", "Upper lobe nodule.", 0.0),
        ("Nodule.", "Upper lobe nodule.", 0.0),
        ("Left nodule.", "Upper lobe nodule.", 0.0),
        ("Nodule in the upper and lower lobes.", "Upper lobe nodule.", 2 / 3),
        ("Lower lobe opacity.", "Basilar opacity.", 2 / 3),  # {base, lower} and {lower}
        ("Basilar opacity.", "Lower lobe opacity.", 2 / 3),
        ("Retrocardiac opacity.", "Basilar opacity.", 2 / 4),  # both lie in the lower zone
        # both
        ("Left lower lobe opacity.", "Left basilar opacity.", (1 + 2 / 3) / 2),
        ("Left opacity.", "Left basilar opacity.", 1 / 2),
        ("Basilar opacity.", "Left basilar opacity.", 1 / 2),
        ("Right basilar opacity.", "Left basilar opacity.", 0.0),
        ("Bilateral basilar opacities.", "Left basilar opacity.", (2 / 3 + 1) / 2),
        ("Left apical opacity.", "Left basilar opacity.", 1 / 2),
        # several findings
        ("Left effusion. Right nodule.", "Left effusion. Left nodule.", 1 / 2),
        ("Left effusion.", "Left effusion. Left nodule.", 1 / 2),
        ("Left effusion.", "Left effusion. Cardiomegaly.", 1.0),  # the heart is given no side
        ("Left pneumonia.", "Left consolidation.", 1.0),  # a kind stands in for it
        ("No effusion.", "Left effusion.", 0.0),
    ],
)
def test_agreement_by_hand(candidate, reference, expected):
    assert value(candidate, reference) == pytest.approx(expected)


@pytest.mark.parametrize("candidate", ["Effusion.", "Left effusion.", "Left nodule.", NORMAL, "", "asdf qwerty"])
@pytest.mark.parametrize("reference", ["Effusion.", NORMAL, "Cardiomegaly."])
def test_nothing_to_disagree_on_is_one(candidate, reference):
    assert value(candidate, reference) == 1.0


@pytest.mark.parametrize("candidate", ["", " \n", "asdf qwerty", NORMAL])
def test_a_candidate_without_the_finding_scores_zero(candidate):
    assert value(candidate, "Left effusion.") == 0.0


def test_a_reference_that_says_nothing_is_unscored():
    score = LocationAgreement().score(NORMAL, "asdf qwerty")
    assert score.value is None
    assert str(score.failure) == "location_agreement: no finding and no normal statement in the reference"


def test_details_tell_what_both_say():
    reference = "Left basilar opacity. Left effusion. Right nodule. Cardiomegaly."
    details = LocationAgreement().score("Left lower lobe opacity. Right effusion.", reference).details
    assert json.loads(json.dumps(details)) == details
    found = {one["reference"]["observation"]: one for one in details["findings"]}
    assert set(found) == {"lung_opacity", "pleural_effusion", "lung_nodule"}
    assert found["lung_opacity"]["agreement"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["lung_opacity"]["reference"]["places"] == ["base"]
    assert found["lung_opacity"]["candidate"]["places"] == ["lower"]
    assert (found["pleural_effusion"]["candidate"]["side"], found["pleural_effusion"]["agreement"]) == ("right", 0.0)
    assert (found["lung_nodule"]["candidate"], found["lung_nodule"]["agreement"]) == (None, 0.0)


SIDES = st.sampled_from(["", "Left", "Right", "Bilateral"])
PLACES = st.sampled_from(["", "apical", "upper lobe", "basilar", "lower lobe"])
REPORTS = st.lists(
    st.tuples(SIDES, PLACES, st.sampled_from(["opacity", "nodule", "atelectasis"])), min_size=1, max_size=4
).map(lambda told: " ".join(" ".join(words) + "." for words in told))


@given(REPORTS, REPORTS)
def test_scores_are_in_bounds_and_agree_with_themselves(candidate, reference):
    assert 0.0 <= value(candidate, reference) <= 1.0
    assert value(reference, reference) == 1.0
