"""Words that deny or doubt a verb are joined with it, and a sentence is cut where a new clause begins."""

from __future__ import annotations

import itertools

import pytest

from cxr_rewards.findings import ontology, read
from cxr_rewards.findings.clauses import clauses


def polarities(text):
    return {f.observation: f.polarity for f in read(text) if not f.implied and f.observation != "comparison"}


@pytest.mark.parametrize(
    ("verb", "polarity"),
    [
        ("is excluded", "absent"),
        ("was ruled out", "absent"),
        ("has been confidently excluded", "absent"),
        ("can be ruled out", "absent"),
        ("is not excluded", "possible"),
        ("isn't entirely excluded", "possible"),
        ("hasn't been ruled out", "possible"),
        ("can't be excluded", "possible"),
        ("cannot be reliably excluded", "possible"),
        ("couldn't be ruled out", "possible"),
        ("has yet to be excluded", "possible"),
        ("wasn't seen", "absent"),
        ("hasn't been identified", "absent"),
        ("could not be clearly demonstrated", "absent"),
        ("is no longer visible", "absent"),
        ("can no longer be seen", "absent"),
        ("was not confirmed", "absent"),
        ("couldn't be confirmed", "possible"),
        ("isn't suspected", "absent"),
        ("is doubtful", "possible"),
        ("has resolved", "absent"),
        ("had cleared", "absent"),
        ("hasn't resolved", "present"),
        ("did not resolve", "present"),
        ("has not yet cleared", "present"),
        ("is seen", "present"),
        ("has been confirmed", "present"),
    ],
)
@pytest.mark.parametrize("subject", ["pneumothorax", "consolidation"])
def test_a_verb_denies_or_doubts_in_any_tense(subject, verb, polarity):
    assert polarities(f"The {subject} {verb}.") == {subject: polarity}


@pytest.mark.parametrize("apostrophe", ["'", "\u2019", ""])
@pytest.mark.parametrize(
    ("text", "polarity"),
    [
        ("There isn't any pneumothorax.", "absent"),
        ("There aren't any signs of pneumothorax.", "absent"),
        ("We didn't see a pneumothorax.", "absent"),
        ("It doesn't show a pneumothorax.", "absent"),
        ("I can't see a pneumothorax.", "absent"),
        ("We couldn't exclude a pneumothorax.", "possible"),
        ("This doesn't definitely exclude a pneumothorax.", "possible"),
        ("The pneumothorax won't resolve.", "present"),
    ],
)
def test_contractions_are_spelled_out(apostrophe, text, polarity):
    assert polarities(text.replace("'", apostrophe)) == {"pneumothorax": polarity}


def test_a_former_absence_is_a_new_finding():
    (nodule,) = (
        f for f in read("A nodule which was not present on the prior study.") if f.observation == "lung_nodule"
    )
    assert (nodule.polarity, nodule.change) == ("present", "new")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The heart is enlarged, and the edema has cleared.", "present absent"),
        ("There is cardiomegaly and the edema is no longer seen.", "present absent"),
        ("There is cardiomegaly, edema has resolved.", "present absent"),
        ("The heart is enlarged, and edema cannot be excluded.", "present possible"),
        ("Stable cardiomegaly, and an underlying edema is possible.", "present possible"),
        ("Stable cardiomegaly, edema cannot be excluded.", "present possible"),
        ("There is no cardiomegaly, and the edema is stable.", "absent present"),
        ("Cardiomegaly and edema have resolved.", "absent absent"),
        ("Cardiomegaly or edema cannot be excluded.", "possible possible"),
        ("The cardiomegaly and the edema are not seen.", "absent absent"),
        ("No cardiomegaly, edema is seen.", "absent absent"),
    ],
)
def test_a_backward_cue_reaches_over_its_clause_and_its_list(text, expected):
    assert " ".join(polarities(text)[name] for name in ("cardiomegaly", "pulmonary_edema")) == expected


@pytest.mark.parametrize(
    "link",
    [
        "despite", "following", "after", "adjacent to", "next to", "within", "around", "superimposed on", "in the", "from the",
        "in the setting of", "because of the", "with",
    ],
)  # fmt: skip
def test_a_denial_ends_where_another_finding_is_only_referred_to(link):
    expected = {"pneumothorax": "absent", "lung_mass": "present"}
    assert polarities(f"There is no pneumothorax {link} left upper lobe mass.") == expected


@pytest.mark.parametrize("noun", ["drainage", "further imaging", "biopsy", "enlargement", "need for drainage"])
def test_what_is_done_to_a_finding_is_denied_and_not_the_finding(noun):
    assert polarities(f"No {noun} of the left effusion is needed.") == {"pleural_effusion": "present"}


@pytest.mark.parametrize(
    "text", ["No fluid within the right pleural space or pneumothorax.", "No recurrence of the pneumothorax."]
)
def test_a_place_or_a_recurrence_does_not_end_a_denial(text):
    assert polarities(text)["pneumothorax"] == "absent"


@pytest.mark.parametrize(
    "text", ["The patient could not stand, small effusion.", "Although not ideal, the film shows an effusion."]
)
def test_a_comma_ends_the_denial_of_a_verb_that_has_denied_no_finding(text):
    assert polarities(text) == {"pleural_effusion": "present"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "The opacity adjacent to the rib fracture has resolved.",
            {"lung_opacity": "absent", "rib_fracture": "present"},
        ),
        ("The opacity after rib fracture is no longer seen.", {"lung_opacity": "absent", "rib_fracture": "present"}),
        (
            "The effusion and opacity around the rib fracture have resolved.",
            {"lung_opacity": "absent", "pleural_effusion": "absent", "rib_fracture": "present"},
        ),
    ],
)
def test_a_verb_is_said_of_its_subject_and_not_of_what_that_is_near_to(text, expected):
    assert polarities(text) == expected


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("The effusion is small but unchanged.", "stable"),
        ("The effusion has neither increased nor decreased.", "stable"),
        ("The effusion has neither resolved nor increased.", "stable"),
        ("The effusion adjacent to the mass is larger.", "increased"),
    ],
)
def test_a_change_is_that_of_the_subject(text, change):
    assert [f.change for f in read(text) if f.observation == "pleural_effusion"] == [change]
    assert all(not f.change for f in read(text) if f.observation != "pleural_effusion")


def test_there_may_be_is_a_doubt():
    assert polarities("No pneumothorax, but there may be an effusion.") == {
        "pneumothorax": "absent",
        "pleural_effusion": "possible",
    }


def test_a_side_does_not_reach_over_and_no():
    assert [f.side for f in read("Small left effusion and no pneumothorax.")] == ["left", ""]


def test_what_is_said_of_a_denied_noun_is_not_said_of_the_finding():
    (fracture,) = read("No significant displacement of the rib fracture.")
    assert (fracture.certainty, fracture.severity, fracture.descriptors) == ("present", 0, ())


@pytest.mark.parametrize("text", ["no " * 3000, "not " * 3000, "heart is and " * 2000, "effusion not yet " * 2000])
def test_phrases_stay_in_order(text):
    found, count = clauses(ontology(), text)
    assert all(one.last < two.first for one, two in itertools.pairwise(found))
    assert count == len(text.split())


@pytest.mark.parametrize("between", [" ", "_", "-", "/"])
def test_what_stands_between_two_words_does_not_matter(between):
    assert polarities(f"There is an effusion for{between}the nodule.") == {"pleural_effusion": "present"}
