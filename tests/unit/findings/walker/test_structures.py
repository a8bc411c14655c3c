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


@pytest.mark.parametrize(
    ("text", "observation", "certainty"),
    [
        ("Crescents of gas are visible beneath both hemidiaphragms.", "free_air", "present"),
        ("A sliver of air can be seen under the diaphragm.", "free_air", "present"),
        ("Gas is not seen below the diaphragm.", "free_air", "absent"),
        ("Calcification is seen in the aortic arch.", "aortic_atherosclerosis", "present"),
        ("Calcification has not been identified in the aorta.", "aortic_atherosclerosis", "absent"),
        ("Thickening cannot be excluded at the right pleura.", "pleural_thickening", "possible"),
        ("Widening is noted of the mediastinum.", "mediastinal_widening", "present"),
        ("Blunting is present at the left costophrenic angle.", "costophrenic_blunting", "present"),
        ("Prominence is seen in both hila.", "hilar_enlargement", "present"),
        ("Enlargement is seen, and the lungs are clear.", "", ""),
    ],
)
def test_a_quality_that_is_seen_is_joined_with_the_structure_behind_the_verb(text, observation, certainty):
    named = [(f.observation, f.certainty) for f in read(text) if not f.implied]
    assert named == ([(observation, certainty)] if observation else [])


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


@pytest.mark.parametrize(
    ("text", "observations"),
    [
        ("Fractures of the clavicle and scapula.", ["clavicle_fracture", "shoulder_fracture"]),
        (
            "Fractures of the left fifth rib, clavicle and T7.",
            ["rib_fracture", "clavicle_fracture", "vertebral_fracture"],
        ),
        ("Degenerative change of the spine and shoulders.", ["degenerative_spine", "shoulder_degeneration"]),
        ("Wedging of a lower vertebral body, about T11.", ["vertebral_fracture"]),
        ("Fractures of the fifth rib and the sixth rib.", ["rib_fracture"]),
        ("Fracture of the clavicle, scapula normal.", ["clavicle_fracture"]),
    ],
)
def test_each_of_the_structures_that_are_listed_has_the_finding(text, observations):
    assert [f.observation for f in read(text) if not f.implied] == observations


@pytest.mark.parametrize(
    ("text", "observation", "certainty"),
    [
        ("The left lung is abnormal.", "lung_opacity", "present"),
        ("The cardiac silhouette is abnormal.", "enlarged_cardiomediastinum", "present"),
        ("No abnormal opacity.", "lung_opacity", "absent"),
        ("Mediastinum: enlarged nodes.", "lymphadenopathy", "present"),
        ("Heart: enlarged.", "cardiomegaly", "present"),
    ],
)
def test_an_abnormal_structure_has_the_least_that_can_be_wrong_with_it(text, observation, certainty):
    assert [(f.observation, f.certainty) for f in read(text)] == [(observation, certainty)]


@pytest.mark.parametrize(
    ("text", "side"),
    [("Lungs clear bilaterally.", ""), ("The lungs are clear on the left.", "left"), ("Clear right lung.", "right")],
)
def test_lungs_are_clear_on_the_side_that_is_named(text, side):
    assert {(f.observation, f.certainty, f.side) for f in read(text) if f.observation == "lung_opacity"} == {
        ("lung_opacity", "absent", side)
    }


@pytest.mark.parametrize("text", ["No abnormality of the {} or {}.", "No abnormality is seen in the {} or the {}."])
@pytest.mark.parametrize(("one", "two"), [("lungs", "bones"), ("pleura", "lungs"), ("bones", "pleura")])
def test_an_abnormality_is_denied_of_each_structure_listed_behind_it(text, one, two):
    denied = {"lungs": "airspace_opacity", "bones": "fracture", "pleura": "pleural_abnormality"}
    observations = {f.observation for f in read(text.format(one, two))}
    assert {denied[one], denied[two]} <= observations
    assert "heart_failure" not in observations


@pytest.mark.parametrize("text", ["The lungs are of normal volume.", "The lungs are normal in volume."])
def test_a_normal_volume_does_not_clear_the_lungs(text):
    assert {f.observation for f in read(text)} == {"low_lung_volumes", "hyperinflation"}


@pytest.mark.parametrize("when", ["post-biopsy", "post drainage", "significant post-extubation"])
def test_a_finding_after_a_procedure_can_be_denied(when):
    assert {(f.observation, f.certainty) for f in read(f"No {when} pneumothorax.")} == {("pneumothorax", "absent")}
