"""Structures, observations and qualities are joined."""

from __future__ import annotations

import pytest

from cxr_rewards.findings import read


@pytest.mark.parametrize(
    "text", ["The heart is enlarged.", "Enlarged heart.", "Enlargement of the heart.", "The heart, enlarged."]
)
def test_a_quality_is_joined_with_its_structure_on_either_side(text):
    assert [f.observation for f in read(text)] == ["cardiomegaly"]


@pytest.mark.parametrize(
    ("text", "observation"),
    [("Fracture of a rib.", "rib_fracture"), ("A rib has a fracture.", "rib_fracture"), ("Fracture.", "fracture")],
)
def test_a_structure_makes_an_observation_more_precise(text, observation):
    assert [f.observation for f in read(text)] == [observation]


@pytest.mark.parametrize("text", ["A calcified nodule.", "A nodule, calcified."])
def test_a_quality_makes_an_observation_more_precise(text):
    assert [f.observation for f in read(text)] == ["granuloma"]


def test_two_qualities_of_a_structure_are_two_findings():
    assert {f.observation for f in read("Calcified and tortuous aorta.")} == {
        "aortic_atherosclerosis",
        "tortuous_aorta",
    }


def test_a_quality_that_is_a_severity_too_is_read_as_what_it_is_said_of():
    (heart,), (effusion,) = read("Large heart."), read("Large effusion.")
    assert (heart.observation, effusion.observation, effusion.severity) == ("cardiomegaly", "pleural_effusion", 4.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Right upper lobe mass with destruction of the third rib.", {"lung_mass", "bone_lesion"}),
        ("Left apical mass eroding the second rib.", {"lung_mass", "bone_lesion"}),
        ("Mass of the left fifth rib.", {"bone_lesion"}),
        ("Lung mass with a normal spine.", {"lung_mass"}),
    ],
)
def test_a_structure_that_something_else_is_said_of_makes_nothing_of_an_observation(text, expected):
    assert {finding.observation for finding in read(text) if finding.polarity == "present"} == expected
