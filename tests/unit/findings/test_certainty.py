"""Five grades of certainty: what is read, and what confusing two of them costs."""

from __future__ import annotations

import itertools

import pytest

from cxr_rewards.components.change_f1 import ChangeF1
from cxr_rewards.components.findings_score import FindingsScore
from cxr_rewards.components.findings_soft_f1 import FindingsSoftF1
from cxr_rewards.findings import CERTAINTIES, Finding, compare, merge, read
from cxr_rewards.findings.certainty import certainties_agree, certainty_cost, certainty_credit, certainty_weight

SAID = {
    "present": "Left pneumonia.",
    "likely": "Left pneumonia is likely.",
    "possible": "Left pneumonia is possible.",
    "unlikely": "Left pneumonia is unlikely.",
    "absent": "No left pneumonia.",
}


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        *((text, grade) for grade, text in SAID.items()),
        ("Findings consistent with pneumonia.", "present"),
        ("Pneumonia probable.", "likely"),
        ("Pneumonia is favored.", "likely"),
        ("High suspicion for pneumonia.", "likely"),
        ("Very likely pneumonia.", "likely"),
        ("Changes likely due to pneumonia.", "likely"),
        ("Changes may be due to pneumonia.", "possible"),
        ("Changes possibly representing pneumonia.", "possible"),
        ("Query pneumonia.", "possible"),
        ("Doubtful pneumonia.", "possible"),
        ("Pneumonia is doubtful.", "possible"),
        ("Low suspicion for pneumonia.", "unlikely"),
        ("Low likelihood of pneumonia.", "unlikely"),
        ("Pneumonia is felt to be less likely.", "unlikely"),
        ("Pneumonia is not favored.", "unlikely"),
        ("Pneumonia seems improbable.", "unlikely"),
        ("Pneumonia is not likely.", "unlikely"),
        ("Possible but unlikely pneumonia.", "unlikely"),
        ("Pneumonia cannot be excluded, but is less likely.", "unlikely"),
        ("? pneumonia", "possible"),
        ("Something in the lung base ?pneumonia", "possible"),
        ("Pneumonia?", "possible"),
    ],
)
def test_words_of_doubt_have_a_grade(text, grade):
    assert [finding.certainty for finding in read(text)] == [grade]


def test_what_is_favored_over_something_is_likely_and_that_is_not():
    for text in (
        "Atelectasis favored over pneumonia.",
        "Atelectasis is more likely than pneumonia.",
        "Favor atelectasis rather than pneumonia.",
        "Likely atelectasis, less likely pneumonia.",
    ):
        assert [(f.observation, f.certainty) for f in read(text)] == [
            ("atelectasis", "likely"),
            ("pneumonia", "unlikely"),
        ]


def test_a_doubt_is_said_of_the_finding_before_it_only_if_none_follows():
    opacity, pneumonia = read("Left opacity, likely pneumonia.")
    assert (opacity.certainty, pneumonia.certainty) == ("present", "likely")
    assert [f.certainty for f in read("Opacity with pneumonia likely.")] == ["present", "likely"]


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("Nodule at the right base, consistent with a nipple shadow.", "absent"),
        ("Nodule at the right base, likely a nipple shadow.", "unlikely"),
        ("Nodule at the right base may represent a nipple shadow.", "possible"),
        ("Nodule at the right base and a nipple shadow.", "present"),
    ],
)
def test_what_is_explained_by_a_mimic_is_left_in_doubt(text, grade):
    assert [f.certainty for f in read(text) if f.observation == "lung_nodule"] == [grade]


def test_polarity_is_the_certainty_in_three_steps():
    polarities = [Finding("pneumonia", grade).polarity for grade in CERTAINTIES]
    assert polarities == ["present", "present", "possible", "absent", "absent"]


def test_cost_is_symmetric_and_grows_with_distance():
    for one, two in itertools.product(CERTAINTIES, CERTAINTIES):
        assert certainty_cost(one, two) == certainty_cost(two, one)
        assert certainties_agree(one, two) == (certainty_credit(one, two) > 0)
    for i, one in enumerate(CERTAINTIES):
        after = [certainty_cost(one, two) for two in CERTAINTIES[i:]]
        before = [certainty_cost(one, two) for two in CERTAINTIES[i::-1]]
        assert after == sorted(set(after))
        assert before == sorted(set(before))


def test_weight_falls_with_certainty():
    weights = [certainty_weight(grade, 0.8) for grade in CERTAINTIES]
    assert weights == sorted(set(weights), reverse=True)


@pytest.mark.parametrize("beside", ["", "Small right effusion. "])
@pytest.mark.parametrize("component", [FindingsSoftF1(), FindingsScore()], ids=lambda component: component.name)
def test_a_closer_grade_never_earns_less(component, beside):
    for i, grade in enumerate(CERTAINTIES):
        values = [component.score(beside + SAID[other], beside + SAID[grade]).value for other in CERTAINTIES]
        assert values[i] == 1.0
        assert values[: i + 1] == sorted(values[: i + 1])
        assert values[i:] == sorted(values[i:], reverse=True)


def test_unlikely_is_closest_to_unlikely_then_to_possible_then_to_present():
    for component in (FindingsSoftF1(), FindingsScore()):
        reference = "Mild cardiomegaly. Low suspicion of pneumonia."
        texts = ("Pneumonia is unlikely.", "Possible pneumonia.", "Pneumonia.")
        values = [component.score(f"Mild cardiomegaly. {text}", reference).value for text in texts]
        assert values == sorted(set(values), reverse=True)


def test_holding_unlikely_what_is_there_costs_more_than_silence_and_less_than_denial():
    for component in (FindingsSoftF1(), FindingsScore()):
        texts = ("", "Pneumonia is unlikely.", "No pneumonia.")
        values = [component.score(f"Cardiomegaly. {text}", "Cardiomegaly. Pneumonia.").value for text in texts]
        assert values == sorted(set(values), reverse=True)


def test_an_unlikely_finding_is_matched_with_a_denial_of_it_and_is_no_false_finding():
    reference, candidate = (merge(read(text)) for text in ("Pneumonia is unlikely.", "The lungs are clear."))
    for one, two in ((reference, candidate), (candidate, reference)):
        comparison = compare(one, two)
        (match,) = comparison.matched
        assert {match.reference.certainty, match.candidate.certainty} == {"unlikely", "absent"}
        assert [(d.kind, d.cost) for d in match.differences] == [("certainty", 0.125)]
        assert (comparison.missed, comparison.false) == ((), ())


def test_a_change_of_a_possible_finding_earns_part_of_that_of_a_certain_one():
    assert ChangeF1().score("Possible new pneumonia.", "New pneumonia.").value == pytest.approx(0.8)
    assert ChangeF1().score("Possible new pneumonia.", "Possible new pneumonia.").value == 1.0
