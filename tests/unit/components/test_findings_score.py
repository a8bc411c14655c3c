"""Findings are matched and weighed with CRIMSON's arithmetic."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.findings_score import FindingsScore
from cxr_rewards.core.engine import Engine
from cxr_rewards.errors import ConfigError
from cxr_rewards.testing import check_component
from cxr_rewards.types import Case

SICK = "The heart is enlarged. Small left pleural effusion. No pneumothorax."  # 0.5 and 0.5
NORMAL = "The lungs are clear. The heart is normal in size. No pleural effusion or pneumothorax."


def value(candidate, reference, **settings):
    return FindingsScore(**settings).score(candidate, reference).value


def in_context(candidate, reference, **context):
    case = Case(candidate=candidate, reference=reference, context=context)
    return Engine({"findings_score": FindingsScore()}).run([case])[0][0].value


def test_conforms_with_other_settings():
    check_component(FindingsScore(denial_cost=0.0, possible_weight=1.0, benign_weight=0.25))


@pytest.mark.parametrize(
    "text",
    [
        SICK,
        NORMAL,
        "Possible pneumonia.",
        "Rotated patient.",
        "Left and right effusions.",
        "Left effusion. No effusion.",
        "Scoliosis.",
        "Endotracheal tube in the right main bronchus. 8 mm nodule, previously 6 mm.",
    ],
)
def test_identical_texts_score_one(text):
    assert value(text, text) == 1.0


def test_other_words_for_the_same_score_one():
    assert value("No acute cardiopulmonary disease.", NORMAL) == 1.0
    assert value("Cardiomegaly. There is a small effusion on the left.", SICK) == 1.0


# ---------------------------------------------------------------- the formula by hand


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        ("Cardiomegaly. Small left effusion.", SICK, 1.0),
        ("Cardiomegaly.", SICK, 0.5),  # one of two missed
        ("Cardiomegaly. No effusion.", SICK, (0.5 - 0.25) / 1),  # and denied
        ("Cardiomegaly. Small right effusion.", SICK, (0.5 + 0.25 / (0.5 + 0.5)) / 1),  # the other side
        ("Cardiomegaly. Moderate left effusion.", SICK, (0.5 + 0.25 / (0.5 + 0.25)) / 1),
        ("Cardiomegaly. Left effusion.", SICK, (0.5 + 0.25 / (0.5 + 0.0625)) / 1),
        ("Cardiomegaly. Small left effusion. Atelectasis.", SICK, (1 - 0.25) / 1),  # a false finding
        ("Cardiomegaly. Small left effusion. Pneumothorax.", SICK, (1 - 1) / 1),
        ("Cardiomegaly. Small left effusion. Scoliosis.", SICK, 1.0),  # a benign one
        ("Pneumothorax.", SICK, -1 / 2),  # nothing right, and urgent alarm
        (NORMAL, SICK, -0.5 / 1.5),  # all denied
        ("Pneumothorax.", NORMAL, -1 / 2),
        ("Atelectasis.", NORMAL, -0.25 / 1.25),
        ("Scoliosis.", NORMAL, 1.0),
        (NORMAL, "Scoliosis.", 1.0),
        (NORMAL, "Possible pneumonia.", -0.125 / 1.125),
        ("Possible pneumonia.", NORMAL, -0.25 / 1.25),
        ("Cardiomegaly. The heart is normal.", "Cardiomegaly.", -0.75 / 1.75),  # told and denied: missed and false
        ("Acute rib fracture.", "Old rib fracture.", -0.25 / 1.25),  # half a false alarm
    ],
)
def test_formula(candidate, reference, expected):
    assert value(candidate, reference) == pytest.approx(expected)


def test_costs_shrink_with_weights_below_a_quarter():
    # a possible atelectasis weighs 0.125: half of the cost 0.5 for the other side counts
    assert value("Possible right atelectasis.", "Possible left atelectasis.") == pytest.approx(0.125 / (0.125 + 0.25))
    assert value("Right atelectasis.", "Left atelectasis.") == pytest.approx(0.25 / (0.25 + 0.5))


def test_settings_change_the_weights():
    assert value("Cardiomegaly. No effusion.", SICK, denial_cost=0.0) == pytest.approx(0.5)
    assert value("Cardiomegaly. No effusion.", SICK, denial_cost=1.0) == pytest.approx(0.0)
    assert value("Possible pneumonia.", NORMAL, possible_weight=1.0) == pytest.approx(-0.5 / 1.5)
    assert value("Possible pneumonia.", NORMAL, possible_weight=0.0) == 1.0
    assert value("Scoliosis.", NORMAL, benign_weight=0.25) == pytest.approx(-0.25 / 1.25)
    assert value(NORMAL, "Scoliosis.", benign_weight=0.25) == pytest.approx(0.0)


# ---------------------------------------------------------------- nothing read


@pytest.mark.parametrize(
    "candidate", ["", "  \n", "asdf qwerty", "Le patient se porte bien.", "\u80ba\u90e8\u6b63\u5e38"]
)
@pytest.mark.parametrize("reference", [NORMAL, SICK])
def test_a_candidate_that_says_nothing_scores_zero(candidate, reference):
    score = FindingsScore().score(candidate, reference)
    assert score.value == 0.0
    assert len(score.details["missed"]) == (2 if reference == SICK else 0)


def test_a_reference_that_says_nothing_is_unscored():
    score = FindingsScore().score(NORMAL, "asdf qwerty")
    assert score.value is None
    assert str(score.failure) == "findings_score: no finding and no normal statement in the reference"


# ---------------------------------------------------------------- better and worse


def test_each_false_finding_costs_more():
    worse = ["", " Left effusion.", " Left effusion. Nodule.", " Left effusion. Nodule. Pneumothorax."]
    scores = [value("The aorta is normal." + more, NORMAL) for more in worse]
    assert scores[0] == 1.0
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)
    assert scores[-1] > -1


@pytest.mark.parametrize(
    ("better", "worse", "reference"),
    [
        ("Pneumonia.", "Consolidation.", "Pneumonia."),
        ("Consolidation.", "Pneumothorax.", "Pneumonia."),
        ("Pneumonia.", "Possible pneumonia.", "Pneumonia."),
        ("Possible pneumonia.", "No pneumonia.", "Pneumonia."),
        ("Left effusion.", "Right effusion.", "Left effusion."),
        ("Bilateral effusions.", "Right effusion.", "Left effusion."),
        ("Effusion.", "Right effusion.", "Left effusion."),
        ("Tortuous aorta.", "Pneumothorax.", "Normal chest."),
        ("Small effusion.", "Large effusion.", "Small effusion."),
        ("8 mm nodule.", "30 mm nodule.", "8 mm nodule."),
        ("New effusion.", "Stable effusion.", "New effusion."),
    ],
)
def test_nearer_is_better(better, worse, reference):
    assert value(better, reference) > value(worse, reference)


def test_missing_what_is_urgent_costs_more():
    reference = "Left pneumothorax. Left atelectasis."
    assert value("Left pneumothorax.", reference) > value("Left atelectasis.", reference)


def test_boilerplate_denials_do_not_pay():
    assert value("Cardiomegaly. No pneumothorax. No fracture. No mass.", SICK) == value("Cardiomegaly.", SICK)


def test_a_finding_named_twice_counts_once():
    assert value("Opacity, consistent with pneumonia. Pneumonia.", "Pneumonia.") == 1.0


def test_a_kind_takes_the_side_of_the_general_finding_it_replaces():
    reference = "Right opacity, suspicious for pneumonia."
    assert value("Opacity, suspicious for pneumonia in the right lung.", reference) == 1.0
    assert value("Opacity, suspicious for pneumonia in the left lung.", reference) < 0.8


def test_context_changes_what_a_finding_matters():
    old = "Old rib fracture."
    assert in_context(NORMAL, old, age=60) == 1.0
    assert in_context(NORMAL, old, age="006M") < 1.0
    air = "Free air under the diaphragm."
    after = in_context(air, NORMAL, indication="status post laparotomy")
    assert in_context(air, NORMAL) < after < 0
    assert in_context(air, NORMAL, history="status post laparotomy") == after


# ---------------------------------------------------------------- details


def test_details_tell_what_was_matched_missed_false_and_contradicted():
    reference = "Cardiomegaly. Small left effusion. Pneumothorax."
    candidate = "Large left effusion. No pneumothorax. Rib fracture. Nodule. No nodule."
    details = FindingsScore().score(candidate, reference).details
    assert json.loads(json.dumps(details)) == details
    assert set(details) == {"matched", "missed", "false", "contradicted"}
    (pair,) = details["matched"]
    assert (pair["reference"]["observation"], pair["candidate"]["observation"]) == ("pleural_effusion",) * 2
    assert pair["differs"] == [{"kind": "severity", "cost": 0.5, "says": "mild, not severe"}]
    assert (pair["cost"], pair["excess"]) == (0.5, 0.0)
    missed = {found["observation"]: found for found in details["missed"]}
    assert set(missed) == {"cardiomegaly", "pneumothorax"}
    assert "denied_by" not in missed["cardiomegaly"]
    denial = missed["pneumothorax"]["denied_by"]
    assert candidate[slice(*denial["span"])] == "pneumothorax"
    assert (missed["pneumothorax"]["significance"], missed["pneumothorax"]["weight"]) == ("urgent", 1.0)
    assert [found["observation"] for found in details["false"]] == ["rib_fracture", "lung_nodule"]
    assert [found["observation"] for found in details["contradicted"]] == ["lung_nodule"]
    assert candidate[slice(*details["false"][0]["span"])].lower() == "rib fracture"


def test_what_the_candidate_exaggerates_is_told():
    (pair,) = FindingsScore().score("Acute rib fracture.", "Old rib fracture.").details["matched"]
    assert (pair["reference"]["weight"], pair["candidate"]["weight"], pair["excess"]) == (0.0, 0.5, 0.25)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("denial_cost", -0.1),
        ("denial_cost", float("inf")),
        ("denial_cost", float("nan")),
        ("possible_weight", 1.1),
        ("possible_weight", -0.1),
        ("benign_weight", 0.3),
        ("benign_weight", -0.1),
    ],
)
def test_settings_out_of_range_are_refused(key, bad):
    with pytest.raises(ConfigError, match=rf"findings_score: {key} must be .*, got {bad}"):
        FindingsScore(**{key: bad})


def test_every_setting_enters_the_signature():
    base = FindingsScore()
    assert len({base.signature, *(FindingsScore(**{key: 0.2}).signature for key in base.settings())}) == 4
    assert pickle.loads(pickle.dumps(FindingsScore(denial_cost=0.3))) == FindingsScore(denial_cost=0.3)


PHRASES = st.lists(
    st.sampled_from(
        [
            "Cardiomegaly.",
            "No effusion.",
            "Left effusion.",
            "Bilateral effusions.",
            "Possible pneumonia.",
            "Lungs are clear.",
            "Right opacity.",
            "Acute rib fracture.",
            "Scoliosis.",
            "Large pneumothorax.",
            "asdf.",
        ]
    ),
    min_size=1,
    max_size=6,
).map(" ".join)


@given(PHRASES, PHRASES)
def test_scores_are_in_bounds_and_never_beat_the_reference_itself(candidate, reference):
    score = FindingsScore().score(candidate, reference)
    if score.value is None:
        assert set(reference.split()) == {"asdf."}
    else:
        assert -1 < score.value <= 1
        assert score.value <= value(reference, reference)
