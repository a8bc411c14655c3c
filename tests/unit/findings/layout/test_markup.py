"""A legend with its codes, and elements with tags, are read like the labels that they stand for."""

from __future__ import annotations

import time

import pytest

from cxr_rewards.findings import read
from cxr_rewards.findings.layout import without_legend

LEGENDS = {
    "0 = absent, 1 = present. Edema 0; rib fracture 1; mass 0.": [("pulmonary_edema", "absent"), ("rib_fracture", "present"), ("lung_mass", "absent")],
    "Findings (1 present / 0 absent): edema 1; mass 0": [("pulmonary_edema", "present"), ("lung_mass", "absent")],
    "absent=0, possible=1, present=2: mass 1; cavity 2; edema 0": [("lung_mass", "possible"), ("cavity", "present"), ("pulmonary_edema", "absent")],
    "Y = yes, N = no. Mass N; cavity Y.": [("lung_mass", "absent"), ("cavity", "present")],
}  # fmt: skip
TAGS = {
    "<Mass>none</Mass><Cavity>left apex</Cavity>": [("lung_mass", "absent", ""), ("cavity", "present", "left")],
    "<HeartSize>enlarged</HeartSize>": [("cardiomegaly", "present", "")],
    '<finding name="left effusion">small</finding>': [("pleural_effusion", "present", "left")],
    '<finding name="mass" present="no"/><finding name="cavity" present="yes"/>': [
        ("lung_mass", "absent", ""),
        ("cavity", "present", ""),
    ],
    "<report><rib_fracture>absent</rib_fracture></report>": [("rib_fracture", "absent", "")],
    "<p>Left effusion.</p> No mass.": [("pleural_effusion", "present", "left"), ("lung_mass", "absent", "")],
}


@pytest.mark.parametrize("text", LEGENDS)
def test_a_code_says_what_the_legend_explains(text):
    assert [(f.observation, f.certainty) for f in read(text)] == LEGENDS[text]


@pytest.mark.parametrize(
    "text", ["There is 1 mass and 0 effusions.", "Mass: 1. CTR = 0.6.", "Cavity = present. Mass 0 cm from the pleura."]
)
def test_a_number_without_a_legend_stays(text):
    assert without_legend(text) == text


def test_a_legend_is_replaced_character_by_character():
    text = "Key: 0 = absent, 1 = present. Left effusion 1 (small); mass 0."
    coded = without_legend(text)
    assert len(coded) == len(text)
    (effusion, mass) = read(text)
    assert text[effusion.start : effusion.end] == "effusion"
    assert text[mass.start : mass.end] == "mass"


@pytest.mark.parametrize("text", TAGS)
def test_an_element_states_what_its_label_and_value_do(text):
    assert [(f.observation, f.certainty, f.side) for f in read(text)] == TAGS[text]


def test_a_finding_in_an_element_points_at_its_tag():
    text = "<Edema>mild</Edema>"
    (finding,) = read(text)
    assert text[finding.start : finding.end] == "Edema"


@pytest.mark.parametrize(
    "text", ["<a>" * 20_000 + "</a>", "<mass>" * 5_000 + "no" + "</mass>" * 5_000, "0 = absent, " * 5_000]
)
def test_hostile_markup_takes_linear_time(text):
    start = time.process_time()
    read(text)
    assert time.process_time() - start < 5.0
