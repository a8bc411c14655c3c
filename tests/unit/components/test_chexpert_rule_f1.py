"""CheXpert labels follow CheXpert's definitions, and their F1 is the usual one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.chexpert_rule_f1 import TOP_5, ChexpertRuleF1, labels_of
from cxr_rewards.errors import ConfigError
from cxr_rewards.findings import CHEXPERT, Finding, ontology, read
from cxr_rewards.testing import check_component

REFERENCE = "The heart is enlarged. Small left pleural effusion. Possible pneumonia. No pneumothorax."
NORMAL = "The lungs are clear. The heart is normal in size. No effusion."


def value(candidate, reference, **settings):
    return ChexpertRuleF1(**settings).score(candidate, reference).value


@pytest.mark.parametrize(("labels", "uncertain"), [(5, "positive"), (14, "negative"), (5, "ignore")])
def test_conforms_with_other_settings(labels, uncertain):
    check_component(ChexpertRuleF1(labels=labels, uncertain=uncertain))


# ---------------------------------------------------------------- labels

NAMED = {
    "Enlarged Cardiomediastinum": "Widened mediastinum.",
    "Cardiomegaly": "Cardiomegaly.",
    "Lung Opacity": "Left opacity.",
    "Lung Lesion": "Lung nodule.",
    "Edema": "Pulmonary edema.",
    "Consolidation": "Consolidation.",
    "Pneumonia": "Pneumonia.",
    "Atelectasis": "Atelectasis.",
    "Pneumothorax": "Pneumothorax.",
    "Pleural Effusion": "Pleural effusion.",
    "Pleural Other": "Pleural thickening.",
    "Fracture": "Rib fracture.",
    "Support Devices": "Right chest tube.",
    "No Finding": "Normal chest.",
}


@pytest.mark.parametrize("label", CHEXPERT)
def test_each_label_can_be_had_and_no_other_comes_with_it(label):
    # neither up the hierarchy (pneumonia is no consolidation) nor down
    positive = {name for name, state in labels_of(read(NAMED[label])).items() if state == "positive"}
    assert positive == ({label, "No Finding"} if label == "Support Devices" else {label})


@pytest.mark.parametrize(
    ("text", "label", "state"),
    [
        ("Pneumonia.", "Pneumonia", "positive"),
        ("Possible pneumonia.", "Pneumonia", "uncertain"),
        ("No pneumonia.", "Pneumonia", "negative"),
        ("The heart is normal.", "Cardiomegaly", "negative"),
        ("The pneumothorax has resolved.", "Pneumothorax", "negative"),
        ("Cardiomegaly.", "Pneumonia", None),
        ("No right effusion. Left effusion.", "Pleural Effusion", "positive"),
        ("Left effusion. No right effusion.", "Pleural Effusion", "positive"),
        ("Possible left effusion. No right effusion.", "Pleural Effusion", "uncertain"),
        ("Possible left effusion. Right effusion.", "Pleural Effusion", "positive"),
        ("Opacity in the left base, likely pneumonia.", "Lung Opacity", "positive"),
    ],
)
def test_states(text, label, state):
    assert labels_of(read(text)).get(label) == state


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (NORMAL, "positive"),
        ("Right chest tube. No pneumothorax.", "positive"),
        ("Hiatal hernia. Scoliosis.", "positive"),
        ("No effusion.", "positive"),
        ("Cardiomegaly.", None),
        ("Possible pneumonia.", None),
        ("asdf qwerty", None),
        ("", None),
    ],
)
def test_no_finding(text, state):
    assert labels_of(read(text)).get("No Finding") == state


def test_nothing_read_is_no_label():
    assert labels_of(()) == {}


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(ontology().observations)), st.sampled_from(["present", "possible", "absent"]))
    )
)
def test_labels_do_not_depend_on_the_order_of_findings(pairs):
    findings = [Finding(*pair) for pair in pairs]
    labels = labels_of(findings)
    assert labels == labels_of(findings[::-1])
    assert list(labels) == [label for label in CHEXPERT if label in labels]
    pathologies = {state for label, state in labels.items() if label not in ("No Finding", "Support Devices")}
    assert ("No Finding" in labels) == (bool(findings) and pathologies <= {"negative"})


# ---------------------------------------------------------------- F1


@pytest.mark.parametrize("labels", [14, 5])
@pytest.mark.parametrize("uncertain", ["positive", "negative", "ignore"])
@pytest.mark.parametrize("text", [REFERENCE, NORMAL, "Possible pneumonia.", "Hiatal hernia."])
def test_identical_texts_score_one(text, uncertain, labels):
    assert value(text, text, uncertain=uncertain, labels=labels) == 1.0


def test_is_the_f1_of_positive_labels():
    # reference: cardiomegaly, effusion, pneumonia; candidate: cardiomegaly, fracture
    assert value("Cardiomegaly. Rib fracture.", REFERENCE) == pytest.approx(2 * 1 / (2 * 1 + 1 + 2))


def test_normal_in_other_words_scores_one():
    assert value("No acute cardiopulmonary disease.", NORMAL) == 1.0
    assert value(NORMAL, REFERENCE) == 0.0


@pytest.mark.parametrize(
    ("uncertain", "certain_candidate", "both_doubt"),
    [("positive", 1.0, 1.0), ("negative", 2 / 3, 1.0), ("ignore", 1.0, 1.0)],
)
def test_policies_for_uncertain_labels(uncertain, certain_candidate, both_doubt):
    reference = "Cardiomegaly. Possible pneumonia."
    assert value("Cardiomegaly. Pneumonia.", reference, uncertain=uncertain) == pytest.approx(certain_candidate)
    assert value(reference, reference, uncertain=uncertain) == both_doubt


@pytest.mark.parametrize(("uncertain", "expected"), [("positive", 2 / 3), ("negative", 1.0), ("ignore", 1.0)])
def test_policies_where_the_candidate_alone_is_in_doubt(uncertain, expected):
    assert value("Cardiomegaly. Possible pneumonia.", "Cardiomegaly.", uncertain=uncertain) == pytest.approx(expected)


def test_doubt_is_not_no_finding():
    assert value("Normal chest.", "Possible pneumonia.", uncertain="negative") == 0.0
    assert value("Normal chest.", "Possible pneumonia.", uncertain="ignore") == 0.0


def test_five_labels_leave_out_the_others():
    assert value("Cardiomegaly. Rib fracture.", "Cardiomegaly.", labels=5) == 1.0
    assert value("Cardiomegaly. Edema.", "Cardiomegaly.", labels=5) == pytest.approx(2 / 3)
    assert set(TOP_5) < set(CHEXPERT)


def test_no_positive_label_on_either_side_agrees():
    assert value("Normal chest.", "Rib fracture.", labels=5) == 1.0
    assert value("Edema.", "Rib fracture.", labels=5) == 0.0


@pytest.mark.parametrize("labels", [14, 5])
@pytest.mark.parametrize("reference", [REFERENCE, NORMAL])
@pytest.mark.parametrize("candidate", ["", " \n", "asdf qwerty"])
def test_a_candidate_that_says_nothing_scores_zero(candidate, reference, labels):
    assert value(candidate, reference, labels=labels) == 0.0


def test_a_reference_that_says_nothing_is_unscored():
    score = ChexpertRuleF1().score(NORMAL, "asdf qwerty")
    assert score.value is None
    assert str(score.failure) == "chexpert_rule_f1: no finding and no normal statement in the reference"


def test_details_name_the_labels():
    score = ChexpertRuleF1().score("Cardiomegaly. Rib fracture. Possible edema.", REFERENCE)
    assert json.loads(json.dumps(score.details)) == {
        "candidate": {"Cardiomegaly": "positive", "Edema": "uncertain", "Fracture": "positive"},
        "reference": {
            "Cardiomegaly": "positive",
            "Pneumonia": "uncertain",
            "Pneumothorax": "negative",
            "Pleural Effusion": "positive",
        },
        "tp": ["Cardiomegaly"],
        "fp": ["Edema", "Fracture"],
        "fn": ["Pneumonia", "Pleural Effusion"],
    }


@pytest.mark.parametrize(
    ("key", "bad", "expected"), [("labels", 13, "14 or 5"), ("uncertain", "maybe", "positive, negative or ignore")]
)
def test_settings_out_of_range_are_refused(key, bad, expected):
    with pytest.raises(ConfigError, match=f"chexpert_rule_f1: {key} must be {expected}, got {bad!r}"):
        ChexpertRuleF1(**{key: bad})
