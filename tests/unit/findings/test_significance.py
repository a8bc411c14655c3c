"""What a finding matters follows from its observation, its attributes, and the patient."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from cxr_rewards.errors import ConfigError
from cxr_rewards.findings import CERTAINTIES, Finding, misplaced, ontology, significance
from cxr_rewards.findings.significance import build, rules
from cxr_rewards.text.ages import age_in_years

TUBE = "endotracheal_tube"


def finding(observation, **attributes):
    return Finding(observation, **attributes)


# Finding, context, significance: at least one case for each rule of significance.toml.
CASES = [
    (finding("pneumothorax", descriptors=("tension",)), {}, "urgent"),
    (finding("pneumothorax", severity=1.0, change="stable"), {}, "actionable"),
    (finding("pneumothorax", severity=1.0, change="decreased"), {}, "actionable"),
    (finding("pneumothorax", severity=1.0, change="increased"), {}, "urgent"),
    (finding("pneumothorax", severity=1.0), {}, "urgent"),
    (finding("pneumothorax", severity=2.0, change="stable"), {}, "urgent"),
    (finding("pneumothorax", severity=1.0, change="stable", descriptors=("tension",)), {}, "urgent"),
    (finding("pleural_effusion", severity=5.0), {}, "urgent"),
    (finding("pleural_effusion", severity=4.0), {}, "actionable"),
    (finding("pleural_effusion", severity=1.0), {}, "not_actionable"),
    (finding("pleural_effusion", severity=1.0, change="new"), {}, "actionable"),
    (finding("pleural_effusion", severity=2.0, change="stable"), {}, "actionable"),
    (finding("pleural_effusion", change="stable"), {}, "actionable"),
    (finding("pulmonary_edema", severity=4.0), {}, "urgent"),
    (finding("pulmonary_edema", severity=2.0), {}, "actionable"),
    (finding("granuloma"), {}, "benign"),
    (finding("calcified_lymph_node"), {}, "benign"),
    (finding("lung_nodule", descriptors=("calcified",)), {}, "benign"),
    (finding("lung_nodule"), {}, "actionable"),
    (finding("lung_nodule", change="increased"), {}, "actionable"),
    (finding("lung_nodule", size_mm=4.0), {"age": 25}, "not_actionable"),
    (finding("lung_nodule", size_mm=4.0), {"age": 70}, "actionable"),
    (finding("lung_nodule", size_mm=4.0), {}, "actionable"),
    (finding("lung_nodule", size_mm=6.0), {"age": 25}, "actionable"),
    (finding("lung_nodule", size_mm=4.0, change="new"), {"age": 25}, "actionable"),
    (finding("consolidation", change="new"), {"indication": "Fever and cough."}, "urgent"),
    (finding("pneumonia", change="increased"), {"history": "Renal transplant 2019"}, "urgent"),
    (finding("consolidation", change="new"), {"indication": "Chest pain."}, "actionable"),
    (finding("consolidation", change="stable"), {"indication": "Fever and cough."}, "actionable"),
    (finding("pneumonia", descriptors=("old",)), {}, "benign"),
    (finding("lobar_collapse", change="new"), {}, "urgent"),
    (finding("lobar_collapse", change="stable"), {}, "actionable"),
    (finding("aortic_aneurysm"), {"indication": "MVC, chest pain"}, "urgent"),
    (finding("mediastinal_widening"), {"indication": "high speed accident"}, "urgent"),
    (finding("mediastinal_widening"), {"indication": "cough"}, "actionable"),
    (finding("mediastinal_shift", severity=4.0), {}, "urgent"),
    (finding("cardiomegaly", severity=1.0), {}, "not_actionable"),
    (finding("cardiomegaly", severity=2.0), {}, "actionable"),
    (finding("pneumomediastinum"), {"indication": "Vomiting and chest pain"}, "urgent"),
    (finding("rib_fracture", descriptors=("acute",)), {"age": "019M"}, "urgent"),
    (finding("rib_fracture", descriptors=("old",)), {"age": "6 months"}, "urgent"),
    (finding("rib_fracture"), {"age": 2}, "actionable"),
    (finding("rib_fracture", descriptors=("old",)), {"age": 60}, "benign"),
    (finding("vertebral_fracture", descriptors=("acute",)), {}, "urgent"),
    (finding("vertebral_fracture", change="stable"), {}, "not_actionable"),
    (finding("vertebral_fracture", descriptors=("old",)), {}, "benign"),
    (finding("degenerative_spine"), {}, "benign"),
    (finding("degenerative_spine"), {"age": 70}, "benign"),
    (finding("degenerative_spine"), {"age": 24}, "not_actionable"),
    (finding("scoliosis"), {"age": 24}, "benign"),
    (finding("aortic_atherosclerosis"), {"age": 70}, "benign"),
    (finding("aortic_atherosclerosis"), {"age": 31}, "actionable"),
    (finding("picc"), {"indication": "PICC line placement"}, "actionable"),
    (finding("picc"), {"indication": "Cough"}, "not_actionable"),
    (finding("picc", change="resolved"), {"indication": "PICC line placement"}, "not_actionable"),
    (finding("endotracheal_tube"), {"indication": "Intubated"}, "actionable"),
    (finding("cardiac_device"), {"indication": "ETT placement"}, "not_actionable"),
    (finding("scoliosis", severity=4.0), {}, "benign"),
    (finding("free_air"), {}, "urgent"),
    (finding("free_air"), {"indication": "status post laparotomy"}, "actionable"),
    (finding("free_air"), {"indication": "s/p bowel surgery"}, "actionable"),
    (finding("foreign_body"), {"indication": "swallowed a coin"}, "urgent"),
    (finding("foreign_body"), {}, "not_actionable"),
    (finding(TUBE, positions=("right_main_bronchus",)), {}, "urgent"),
    (finding("enteric_tube", positions=("bronchus",)), {}, "urgent"),
    (finding("picc", positions=("jugular_vein",)), {}, "actionable"),
    (finding("picc", positions=("svc",)), {}, "not_actionable"),
    (finding(TUBE), {}, "not_actionable"),
    (finding("chest_tube", change="resolved"), {}, "not_actionable"),
]


@pytest.mark.parametrize(("found", "context", "expected"), CASES)
def test_significance(found, context, expected):
    assert significance(found, context) == expected


def test_every_rule_decides_a_case_above():
    known = ontology()
    decisive = set()
    for found, context, _ in CASES:
        indication = " ".join(str(v) for key, v in context.items() if key != "age")
        age = age_in_years(context.get("age"))
        first = next((r for r in rules()[found.observation] if r.holds(known, found, age, indication)), None)
        decisive.add(first and first.why)
    path = resources.files("cxr_rewards.findings") / "data" / "significance.toml"
    assert {rule["why"] for rule in tomllib.loads(path.read_text(encoding="utf-8"))["rules"]} <= decisive


def test_without_a_rule_it_is_that_of_the_observation():
    known = ontology().observations
    for name, expected in [
        ("pneumonia", "actionable"),
        ("atelectasis", "not_actionable"),
        ("tortuous_aorta", "benign"),
    ]:
        assert known[name].significance == significance(Finding(name)) == expected


def test_a_rule_holds_for_kinds_of_what_it_names():
    assert significance(Finding("clavicle_fracture", descriptors=("old",))) == "benign"
    assert significance(Finding("hemothorax", severity=1.0)) == significance(Finding("pleural_effusion", severity=1.0))


@pytest.mark.parametrize("context", [None, {}, {"age": None}, {"age": "unknown", "indication": ""}, {"sex": "F"}])
def test_an_unknown_context_changes_nothing(context):
    assert significance(Finding("lung_nodule", size_mm=4.0), context) == "actionable"
    assert significance(Finding("rib_fracture"), context) == "actionable"
    assert significance(Finding("mediastinal_widening"), context) == "actionable"


@pytest.mark.parametrize(
    ("indication", "expected"),
    [
        ("FEVER", "urgent"),
        ("neutropenic patient", "urgent"),
        ("Septic shock", "urgent"),
        ("antiseptic", "actionable"),  # words begin so, they do not just hold it
        ("", "actionable"),
    ],
)
def test_an_indication_is_known_by_how_its_words_begin(indication, expected):
    assert significance(Finding("consolidation", change="new"), {"indication": indication}) == expected


def test_certainty_does_not_matter():
    tension = Finding("pneumothorax", descriptors=("tension",))
    assert {significance(tension._replace(certainty=p)) for p in CERTAINTIES} == {"urgent"}


# ---------------------------------------------------------------- misplaced devices


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (finding(TUBE), False),
        (finding(TUBE, positions=("above_carina",)), False),
        (finding(TUBE, positions=("above_carina",), size_mm=40.0), False),
        (finding(TUBE, positions=("above_carina",), size_mm=15.0), False),
        (finding(TUBE, positions=("above_carina",), size_mm=80.0), False),
        (finding(TUBE, positions=("above_carina",), size_mm=14.0), True),
        (finding(TUBE, positions=("above_carina",), size_mm=5.0), True),
        (finding(TUBE, positions=("above_carina",), size_mm=90.0), True),
        (finding(TUBE, positions=("right_main_bronchus",)), True),
        (finding(TUBE, positions=("at_carina",)), True),
        (finding(TUBE, positions=("esophagus",)), True),
        (finding(TUBE, positions=("above_carina", "malpositioned"), size_mm=40.0), True),
        (finding(TUBE, positions=("too_low",)), True),
        (finding(TUBE, positions=("too_high",)), True),
        (finding(TUBE, size_mm=5.0), False),
        (finding("enteric_tube", positions=("stomach",)), False),
        (finding("enteric_tube", positions=("esophagus",)), True),
        (finding("picc", positions=("svc",)), False),
        (finding("picc", positions=("azygos_vein",)), True),
        (finding("dialysis_catheter", positions=("right_atrium",)), False),
        (finding("swan_ganz_catheter", positions=("pulmonary_artery",)), False),
        (finding("picc", positions=("pulmonary_artery",)), True),
        (finding("chest_tube", positions=("chest_wall",)), True),
        (finding("lung_nodule", size_mm=4.0), False),
    ],
)
def test_misplaced(found, expected):
    assert misplaced(ontology(), found) is expected


# ---------------------------------------------------------------- the loader

RULE = {"observations": ["pneumothorax"], "significance": "urgent", "why": "it is"}


def test_the_first_rule_that_holds_counts():
    known = ontology()
    two = [RULE, {**RULE, "significance": "benign"}]
    assert [rule.significance for rule in build({"rules": two}, known)["pneumothorax"]] == ["urgent", "benign"]
    assert [r.significance for r in build({"rules": two}, known)["tension_pneumothorax"]] == ["urgent", "benign"]
    assert build({"rules": two}, known)["scoliosis"] == ()
    assert build({}, known)["pneumothorax"] == ()


@pytest.mark.parametrize(
    ("conditions", "found", "age", "expected"),
    [
        ({}, finding("pneumothorax"), None, True),
        ({"without": ["old"]}, finding("pneumothorax"), None, True),
        ({"without": ["old"]}, finding("pneumothorax", descriptors=("old",)), None, False),
        ({"severity_from": "moderate"}, finding("pneumothorax", severity=2.5), None, False),
        ({"severity_from": "moderate"}, finding("pneumothorax", severity=3.0), None, True),
        ({"severity_from": "moderate"}, finding("pneumothorax"), None, False),
        ({"severity_to": "mild"}, finding("pneumothorax"), None, False),
        ({"severity_to": "mild"}, finding("pneumothorax", severity=2.0), None, True),
        ({"severity_to": "mild"}, finding("pneumothorax", severity=2.5), None, False),
        ({"size_from_mm": 10}, finding("pneumothorax", size_mm=10.0), None, True),
        ({"size_from_mm": 10}, finding("pneumothorax"), None, False),
        ({"size_to_mm": 10}, finding("pneumothorax", size_mm=10.5), None, False),
        ({"size_to_mm": 10}, finding("pneumothorax"), None, False),
        ({"change": ["", "stable"]}, finding("pneumothorax"), None, True),
        ({"change": ["stable"]}, finding("pneumothorax"), None, False),
        ({"misplaced": False}, finding("pneumothorax"), None, True),
        ({"misplaced": True}, finding("pneumothorax"), None, False),
        ({"age_from": 65}, finding("pneumothorax"), 65.0, True),
        ({"age_from": 65}, finding("pneumothorax"), 64.0, False),
        ({"age_from": 65}, finding("pneumothorax"), None, False),
        ({"age_below": 2}, finding("pneumothorax"), 1.9, True),
        ({"age_below": 2}, finding("pneumothorax"), 2.0, False),
        ({"age_below": 2}, finding("pneumothorax"), None, False),
        ({"age_below": 2}, finding("pneumothorax"), 0.0, True),
    ],
)
def test_all_conditions_of_a_rule_must_hold(conditions, found, age, expected):
    known = ontology()
    (rule,) = build({"rules": [{**RULE, **conditions}]}, known)["pneumothorax"]
    assert rule.holds(known, found, age, "") is expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "significance.toml: rule 1: unknown key 'colour'"),
        ({"observations": []}, "rule 1: observations is missing"),
        ({"significance": ""}, "rule 1: significance is missing"),
        ({"why": ""}, "rule 1: why is missing"),
        ({"observations": ["pneumothorx"]}, "observations: unknown observations 'pneumothorx'.*'pneumothorax'"),
        ({"change": ["bigger"]}, "rule 1.change: unknown change 'bigger'"),
        ({"significance": "urgnt"}, "unknown significance 'urgnt'.*Did you mean 'urgent'"),
        ({"severity_from": "sever"}, "severity_from: unknown severity 'sever'.*Did you mean 'severe'"),
        ({"severity_to": "big"}, "severity_to: unknown severity 'big'"),
        ({"indication": "fever"}, "rule 1.indication: expected a list of words, got 'fever'"),
        ({"indication": [1]}, "rule 1.indication: expected a list of words"),
    ],
)
def test_a_mistake_in_the_rules_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        build({"rules": [{**RULE, **change}]}, ontology())


def test_the_rule_with_the_mistake_is_counted():
    with pytest.raises(ConfigError, match="rule 2: why is missing"):
        build({"rules": [RULE, {**RULE, "why": ""}]}, ontology())
