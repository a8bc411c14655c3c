"""Devices are compared by kind, side and position."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.device_f1 import DeviceF1
from cxr_rewards.errors import ConfigError

REFERENCE = "Endotracheal tube 4 cm above the carina. Right PICC tip in the SVC. Left chest tube."
NONE = "Small left effusion. The heart is normal."


def value(candidate, reference, **settings):
    return DeviceF1(**settings).score(candidate, reference).value


@pytest.mark.parametrize(
    "text",
    [
        REFERENCE,
        NONE,
        "Endotracheal tube in the right main bronchus.",
        "Bilateral chest tubes. Pacemaker.",
        "Lines and tubes are unchanged.",
        "The chest tube has been removed.",
    ],
)
def test_identical_texts_score_one(text):
    assert value(text, text) == 1.0


def test_is_the_f1_of_credits():
    # tube right, PICC right with its tip not told, chest tube missed, pacemaker extra
    candidate = "ETT 3 cm above the carina. Right PICC. Pacemaker."
    assert value(candidate, REFERENCE) == pytest.approx(2 * 1.5 / (3 + 3))
    assert value(candidate, REFERENCE, position_credit=0.2) == pytest.approx(2 * 1.2 / 6)


@pytest.mark.parametrize(
    ("candidate", "reference", "credit"),
    [
        ("ETT 3 cm above the carina.", "ETT 5 cm above the carina.", 1.0),
        ("ETT in standard position.", "ETT 4 cm above the carina.", 1.0),
        ("ETT 4 cm above the carina.", "ETT in standard position.", 1.0),
        ("ETT 4 cm above the carina.", "ETT.", 1.0),
        ("ETT.", "ETT 4 cm above the carina.", 0.5),
        ("ETT in the upper trachea.", "ETT 4 cm above the carina.", 0.5),
        ("ETT in standard position.", "ETT in the right main bronchus.", 0.0),
        ("ETT in the right main bronchus.", "ETT 4 cm above the carina.", 0.0),
        ("ETT 4 cm above the carina.", "ETT 0.5 cm above the carina.", 0.0),
        ("ETT.", "ETT in the right main bronchus.", 0.5),
        ("ETT in the right main bronchus.", "ETT.", 0.5),
        ("Malpositioned ETT.", "ETT in the right main bronchus.", 1.0),
        ("ETT in the left main bronchus.", "ETT in the right main bronchus.", 0.5),
        ("PICC in standard position.", "PICC tip in the brachiocephalic vein.", 0.5),
        ("Lines and tubes in standard position.", "ETT in the right main bronchus.", 0.0),
    ],
)
def test_position(candidate, reference, credit):
    assert value(candidate, reference) == credit


@pytest.mark.parametrize(
    ("candidate", "reference", "credit"),
    [
        ("Right chest tube.", "Right chest tube.", 1.0),
        ("Left chest tube.", "Right chest tube.", 0.0),
        ("Chest tube.", "Right chest tube.", 0.5),
        ("Right chest tube.", "Chest tube.", 1.0),
        ("Left chest tube. Right chest tube.", "Bilateral chest tubes.", 1.0),
        ("Left chest tube.", "Bilateral chest tubes.", 2 / 3),
    ],
)
def test_side(candidate, reference, credit):
    assert value(candidate, reference) == pytest.approx(credit)


def test_kind():
    assert value("Right central venous catheter.", "Right PICC.") == 0.5
    assert value("Right PICC.", "Right central venous catheter.", related_credit=0.25) == 0.25
    assert value("Right chest tube.", "Right PICC.") == 0.0
    # both the kind and the position fall short
    assert value("Right central venous catheter.", "Right PICC in the SVC.") == 0.25


def test_each_device_matches_one_other():
    assert value("Support devices in place.", REFERENCE) <= 2 * 0.5 / 4
    assert value("Right PICC. Right PICC.", "Right PICC.") == 1.0


def test_the_best_pairs_are_found_whatever_the_order():
    reference = "Right PICC. Left central venous catheter."
    assert value("Left central venous catheter. Right PICC.", reference) == value(reference, reference) == 1.0


def test_removed_devices_are_not_there():
    assert value("The chest tube has been removed.", NONE) == 1.0
    assert value("Left chest tube.", "The left chest tube has been removed.") == 0.0
    assert value("The endotracheal tube has been removed. Right PICC.", "Right PICC.") == 1.0


def test_possible_devices_count():
    assert value("Possible pacemaker.", "Pacemaker.") == 1.0


def test_other_findings_do_not_matter():
    assert value(f"{REFERENCE} {NONE}", f"{REFERENCE} Large pneumothorax.") == 1.0


def test_no_devices_agree_and_inventing_or_leaving_out_scores_zero():
    assert value("Normal chest.", NONE) == 1.0
    assert value("Right PICC.", NONE) == 0.0
    assert value("Support devices.", NONE) == 0.0
    assert value(NONE, REFERENCE) == 0.0


@pytest.mark.parametrize("candidate", ["", " \n", "asdf qwerty"])
@pytest.mark.parametrize("reference", [REFERENCE, NONE])
def test_a_candidate_that_says_nothing_scores_zero(candidate, reference):
    assert value(candidate, reference) == 0.0


def test_a_reference_that_says_nothing_is_unscored():
    score = DeviceF1().score(REFERENCE, "asdf qwerty")
    assert score.value is None
    assert str(score.failure) == "device_f1: no finding and no normal statement in the reference"


def test_details_tell_the_devices_with_their_spans():
    candidate = "ETT in the right main bronchus. Pacemaker. Left chest tube."
    details = json.loads(json.dumps(DeviceF1().score(candidate, REFERENCE).details))
    assert [(pair["reference"]["observation"], pair["credit"]) for pair in details["matched"]] == [
        ("endotracheal_tube", 0.0),
        ("chest_tube", 1.0),
    ]
    assert [device["observation"] for device in details["missed"]] == ["picc"]
    (extra,) = details["extra"]
    assert extra["observation"] == "cardiac_device"
    assert candidate[slice(*extra["span"])] == "Pacemaker"


@pytest.mark.parametrize("key", ["position_credit", "related_credit"])
@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_settings_out_of_range_are_refused(key, bad):
    with pytest.raises(ConfigError, match=f"device_f1: {key} must be from 0 to 1, got {bad}"):
        DeviceF1(**{key: bad})


DEVICES = ["Right PICC in the SVC.", "Left PICC.", "ETT.", "Malpositioned ETT.", "Bilateral chest tubes.", "Pacemaker."]
REPORTS = st.lists(st.sampled_from(DEVICES), min_size=1, max_size=5, unique=True)


@given(REPORTS, st.randoms())
def test_the_order_of_devices_does_not_matter(devices, random):
    reference = "Right PICC in the SVC. ETT in standard position. Left chest tube."
    shuffled = list(devices)
    random.shuffle(shuffled)
    one = value(" ".join(devices), reference)
    assert 0.0 <= one <= 1.0
    if not {"ETT.", "Malpositioned ETT."} <= set(devices):  # two mentions that are joined complete each other
        assert value(" ".join(shuffled), reference) == pytest.approx(one)
