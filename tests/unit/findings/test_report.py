"""The mentions of each finding in a report are joined into what it says in all."""

from __future__ import annotations

from itertools import permutations

import pytest

from cxr_rewards.findings import MANY, Finding, Report, merge, ontology, read, regions
from cxr_rewards.findings.places import places_meet, sides_meet
from cxr_rewards.findings.report import join


def told(text):
    """Return observation, polarity and side of each finding that a text tells in all."""
    return {(f.observation, f.polarity, f.side) for f in merge(read(text)).abnormal}


def only(text):
    (finding,) = merge(read(text)).abnormal
    return finding


# ---------------------------------------------------------------- meeting and joining


@pytest.mark.parametrize(
    ("one", "two", "meet"),
    [
        ("", "", True),
        ("left", "", True),
        ("left", "left", True),
        ("left", "bilateral", True),
        ("left", "right", False),
    ],
)
def test_sides_meet(one, two, meet):
    first, second = Finding("pneumonia", side=one), Finding("pneumonia", side=two)
    assert sides_meet(first, second) is sides_meet(second, first) is meet


@pytest.mark.parametrize(
    ("one", "two", "meet"),
    [
        ((), ("upper",), True),
        (("upper",), ("upper",), True),
        (("upper",), ("lower",), False),
        (("upper", "lower"), ("lower",), True),
        (("base",), ("lower",), True),
        (("apex",), ("upper",), True),
        (("apex",), ("base",), False),
        (("base",), ("retrocardiac",), True),
        (("diffuse",), ("upper",), True),
        (("rib_5",), ("rib_6",), False),
        (("rib_5", "rib_6"), ("rib_6",), True),
        (("lateral",), ("rib_6",), True),
        (("lateral",), ("anterior",), False),
        (("lateral",), ("lower",), True),
        (("lower", "lateral"), ("lower", "anterior"), False),
        (("t7",), ("t8",), False),
    ],
)
def test_places_meet(one, two, meet):
    first, second = Finding("fracture", places=one), Finding("fracture", places=two)
    assert places_meet(ontology(), first, second) is places_meet(ontology(), second, first) is meet


def test_regions_are_places_and_the_larger_ones_they_lie_in():
    assert regions(ontology(), ("apex", "middle")) == {"apex", "upper", "middle"}
    assert regions(ontology(), ()) == set()


def test_a_mention_is_completed_by_another():
    one = Finding("lung_nodule", "possible", places=("upper",), severity=1.0, number=MANY, start=3, end=9)
    two = Finding(
        "lung_nodule",
        "present",
        "left",
        ("apex",),
        severity=2.0,
        size_mm=8.0,
        change="new",
        descriptors=("calcified",),
        positions=("in_place",),
        start=20,
        end=26,
    )
    assert join(one, two) == Finding(
        "lung_nodule",
        "present",
        "left",
        ("apex", "upper"),
        2.0,
        8.0,
        MANY,
        "new",
        ("calcified",),
        ("in_place",),
        start=3,
        end=9,
    )


def test_joining_left_and_right_is_both_and_the_first_change_counts():
    joined = join(Finding("picc", side="left", change="new"), Finding("picc", side="right", change="stable"))
    assert (joined.side, joined.change) == ("bilateral", "new")


# ---------------------------------------------------------------- mentions of one observation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Left effusion. Effusion.", {("pleural_effusion", "present", "left")}),
        ("Effusion. Left effusion.", {("pleural_effusion", "present", "left")}),
        ("Left effusion. Left effusion.", {("pleural_effusion", "present", "left")}),
        ("Bilateral effusions. Left effusion.", {("pleural_effusion", "present", "bilateral")}),
        ("Left effusion. Right effusion. Bilateral effusions.", {("pleural_effusion", "present", "bilateral")}),
        ("Possible pneumonia. Pneumonia.", {("pneumonia", "present", "")}),
        ("Pneumonia. Possible pneumonia.", {("pneumonia", "present", "")}),
        ("Possible pneumonia. Suspected pneumonia.", {("pneumonia", "possible", "")}),
        (
            "Left effusion. Right effusion.",
            {("pleural_effusion", "present", "left"), ("pleural_effusion", "present", "right")},
        ),
    ],
)
def test_mentions_on_one_side_are_one_finding(text, expected):
    assert told(text) == expected
    assert len(merge(read(text)).abnormal) == len(expected)


def test_attributes_of_all_mentions_are_kept():
    finding = only("FINDINGS: Small effusion at the left base, unchanged. IMPRESSION: Loculated left effusion.")
    assert (finding.side, finding.places, finding.severity) == ("left", ("base",), 2.0)
    assert (finding.change, finding.descriptors) == ("stable", ("loculated",))


def test_findings_in_other_places_stay_apart():
    findings = merge(read("Nodule in the right upper lobe. Nodule in the right lower lobe.")).abnormal
    assert [(f.observation, f.places) for f in findings] == [("lung_nodule", ("upper",)), ("lung_nodule", ("lower",))]
    assert len(merge(read("Right apical nodule. Right upper lobe nodule.")).abnormal) == 1
    assert len(merge(read("Left fifth rib fracture. Left seventh rib fracture.")).abnormal) == 2


def test_a_mention_that_could_be_of_two_findings_is_of_neither():
    findings = merge(read("Small left effusion. Large right effusion. The effusions.")).abnormal
    assert {(f.side, f.severity) for f in findings} == {("left", 2.0), ("right", 4.0)}


def test_findings_are_in_order_of_reading():
    text = "Cardiomegaly. Left effusion. Rib fracture. Cardiomegaly. Picc."
    findings = merge(read(text)).abnormal
    assert [f.observation for f in findings] == ["cardiomegaly", "pleural_effusion", "rib_fracture", "picc"]
    assert [f.start for f in findings] == sorted(f.start for f in findings)


def test_the_order_of_sentences_does_not_change_what_is_told():
    sentences = ("Small left effusion.", "Right upper lobe opacity.", "Right upper lobe pneumonia.", "No edema.")
    assert len({frozenset(told(" ".join(order))) for order in permutations(sentences)}) == 1


# ---------------------------------------------------------------- kinds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Left opacity, likely pneumonia.", {("pneumonia", "present", "left")}),
        ("Opacity. Left pneumonia.", {("pneumonia", "present", "left")}),
        ("Pneumonia. Left opacity.", {("pneumonia", "present", "left")}),
        ("Left opacity. Right pneumonia.", {("lung_opacity", "present", "left"), ("pneumonia", "present", "right")}),
        ("Fracture. Rib fracture.", {("rib_fracture", "present", "")}),
        ("Opacity. Possible pneumonia.", {("pneumonia", "possible", "")}),
        ("Pneumonia. Atelectasis.", {("pneumonia", "present", ""), ("atelectasis", "present", "")}),
    ],
)
def test_a_kind_takes_over_the_general_finding_of_its_place(text, expected):
    assert told(text) == expected


def test_a_kind_takes_what_the_general_mention_alone_said():
    finding = only("New large opacity at the left base. Pneumonia.")
    assert (finding.observation, finding.side, finding.places) == ("pneumonia", "left", ("base",))
    assert (finding.change, finding.severity) == ("new", 4.0)


def test_a_kind_keeps_the_side_it_was_told_with():
    assert ("pneumonia", "present", "left") in told("Bilateral opacities. Left pneumonia.")


# ---------------------------------------------------------------- denials


def test_denials_are_kept_unless_their_finding_is_told():
    report = merge(read("Left effusion. No pneumothorax. The right effusion has resolved."))
    assert {(f.observation, f.side) for f in report.absent} == {("pneumothorax", ""), ("pleural_effusion", "right")}
    assert report.contradicted == ()


@pytest.mark.parametrize(
    ("text", "contradicted"),
    [
        ("Left effusion. No effusion.", ["pleural_effusion"]),
        ("Left effusion. No left effusion.", ["pleural_effusion"]),
        ("Cardiomegaly. The heart is normal.", ["cardiomegaly"]),
        ("Left effusion. No right effusion.", []),
        ("Left effusion. No pneumothorax.", []),
        ("Small effusion. No large effusion.", []),
        ("Possible effusion. No effusion.", []),
        ("Left effusion. The effusion has resolved.", []),
        ("Left upper lobe nodule. No nodule in the lower lobes.", []),
        ("Left effusion. No effusion. No pleural effusion.", ["pleural_effusion"]),
        ("Left effusion. No effusion other than that.", []),
        ("Old rib fracture. No acute fracture.", []),
        ("Possible pneumonia. Pneumonia is unlikely.", []),
        ("Right pneumonia. Normal chest radiograph.", ["pneumonia"]),
        ("Right pneumonia. The lungs are clear.", ["pneumonia"]),
        ("Right pneumonia. The left lung is clear.", []),
        ("Right pneumonia. Clear left lung.", []),
        ("Right pneumonia. The lungs are otherwise clear.", []),
        ("Right pneumonia. Otherwise normal chest.", []),
        ("Right pneumonia. The heart is normal.", []),
        ("Right calcified granuloma. The lungs are clear.", []),
        ("Stable cardiomegaly. No acute cardiopulmonary abnormality.", []),
        ("Chronic interstitial disease. No acute findings.", []),
        ("Large right pneumothorax. No acute cardiopulmonary abnormality.", ["pneumothorax"]),
        ("Large right pneumothorax, stable. No acute cardiopulmonary abnormality.", []),
    ],
)
def test_a_finding_that_is_also_denied_is_contradicted(text, contradicted):
    report = merge(read(text))
    assert [f.observation for f in report.contradicted] == contradicted
    assert all(f in report.abnormal for f in report.contradicted)


@pytest.mark.parametrize(
    ("text", "taken_back"),
    [
        ("Left effusion. No effusion.", ["pleural_effusion"]),
        ("Cardiomegaly. The heart is normal.", ["cardiomegaly"]),
        ("Right pneumonia. Normal chest radiograph.", []),
        ("Opacity at the left base. The lungs are clear.", []),
    ],
)
def test_a_finding_is_taken_back_by_a_denial_as_precise_as_itself(text, taken_back):
    report = merge(read(text))
    assert [f.observation for f in report.taken_back] == taken_back
    assert len(report.contradicted) == 1


# ---------------------------------------------------------------- comparisons


def test_statements_of_change_without_a_finding_are_kept_apart():
    report = merge(read("No interval change. Left effusion."))
    assert [(f.observation, f.change) for f in report.comparisons] == [("comparison", "stable")]
    assert [f.observation for f in report.abnormal] == ["pleural_effusion"]


def test_nothing_read_is_nothing_told():
    assert merge(()) == Report((), (), (), ())


@pytest.mark.parametrize(
    ("text", "observation", "certainty"),
    [
        ("Right costophrenic blunting, consistent with a trace effusion.", "pleural_effusion", "present"),
        ("Small left effusion. The left costophrenic angle is blunted.", "pleural_effusion", "present"),
        ("Blunted left costophrenic angle, possibly an effusion.", "pleural_effusion", "possible"),
        ("Blunted left costophrenic angle.", "costophrenic_blunting", "present"),
        ("Pulmonary edema with Kerley B lines.", "pulmonary_edema", "present"),
    ],
)
def test_a_sign_is_dropped_beside_what_it_is_a_sign_of(text, observation, certainty):
    (finding,) = merge(read(text)).abnormal
    assert (finding.observation, finding.certainty) == (observation, certainty)


def test_a_sign_on_the_other_side_is_kept():
    found = merge(read("Small right effusion. The left costophrenic angle is blunted.")).abnormal
    assert [(f.observation, f.side) for f in found] == [
        ("pleural_effusion", "right"),
        ("costophrenic_blunting", "left"),
    ]


def test_tension_that_is_said_of_a_shift_is_that_of_the_pneumothorax():
    report = merge(read("Left pneumothorax. The mediastinum is shifted to the right, in keeping with tension."))
    assert [(f.observation, f.descriptors) for f in report.abnormal] == [
        ("pneumothorax", ("tension",)),
        ("mediastinal_shift", ()),
    ]
