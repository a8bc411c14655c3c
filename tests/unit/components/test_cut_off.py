"""Whether a report ends within a sentence."""

from __future__ import annotations

import pytest

from cxr_rewards.components.cut_off import CutOff
from cxr_rewards.testing import check_component

REPORT = "The heart is enlarged. Small left effusion. No pneumothorax."


def value(candidate, reference=REPORT):
    return CutOff().score(candidate, reference).value


def test_conforms():
    check_component(CutOff())


@pytest.mark.parametrize(
    "end",
    [
        "There is no",
        "No focal",
        "The osseous structures",
        "Heart and",
        "Small effusion,",
        "There is no evidence of pneumo-",
    ],
)
def test_a_text_that_ends_within_a_sentence_is_cut_off(end):
    assert value(f"The heart is enlarged. {end}") == 1.0


def test_the_end_is_in_the_details():
    assert CutOff().score("The lungs are clear. There is a", REPORT).details == {"end": "a"}
    assert CutOff().score("The lungs are clear.", REPORT).details == {"end": None}


@pytest.mark.parametrize(
    "text",
    [
        REPORT,
        "",
        "12",
        "Small left effusion. No pneumothorax",
        "heart enlarged, small left effusion",
        "Heart: enlarged\nPleura: small left effusion",
        "1. Cardiomegaly\n2. Small left effusion",
        "Small effusion (left)",
        "Is the tube in place?",
        "The left lung is opacified throughout",
        "Follow-up chest radiograph in two weeks",
        "Effusion. Dr. Smith was told by telephone at 10:30",
        "The effusion measures 3 cm",
        "NAD",
        "Small effusion. Findings discussed with Dr Leebrook",
    ],
)
def test_a_text_that_may_end_there_is_not(text):
    assert value(text) == 0.0


def test_a_text_that_ends_as_its_reference_does_is_not():
    assert value("Enlarged heart. There is no", "The heart is enlarged. There is no") == 0.0
    assert value("Enlarged heart. There is a", "Cardiomegaly and pneumonia") == 1.0
