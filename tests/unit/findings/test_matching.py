"""Findings of two reports are matched so that most is credited; what differs has its price."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.findings import Finding, Report, compare, merge, ontology, read, significance
from cxr_rewards.findings.matching import differences, in_words, kinship
from cxr_rewards.formulas.crimson import WEIGHTS

KNOWN = ontology()


def report(*findings):
    return Report(findings, (), (), ())


def reports(reference, candidate):
    return compare(merge(read(reference)), merge(read(candidate)))


def differ(reference, candidate):
    return [(d.kind, d.cost) for d in differences(KNOWN, reference, candidate)]


# ---------------------------------------------------------------- kinship


@pytest.mark.parametrize(
    ("one", "two", "kin"),
    [
        ("pneumonia", "pneumonia", ("unspecific", 0)),
        ("pneumonia", "consolidation", ("unspecific", 1)),
        ("pneumonia", "airspace_opacity", ("unspecific", 2)),
        ("pneumonia", "lung_opacity", ("unspecific", 3)),
        ("lung_opacity", "pneumonia", ("overinterpretation", 3)),
        ("consolidation", "pneumonia", ("overinterpretation", 1)),
        ("lung_nodule", "granuloma", ("overinterpretation", 2)),  # often taken for each other
        ("granuloma", "lung_nodule", ("overinterpretation", 2)),
        ("lung_mass", "granuloma", None),  # though one is taken for what the other is a kind of
        ("pneumonia", "atelectasis", None),  # two kinds of the same
        ("pneumonia", "scoliosis", None),
        ("pneumothorax", "pleural_effusion", None),
    ],
)
def test_kinship(one, two, kin):
    assert kinship(one, two) == kin


def test_kinship_is_as_close_one_way_as_the_other():
    for one, two in product(sorted(KNOWN.observations)[::5], sorted(KNOWN.observations)):
        there, back = kinship(one, two), kinship(two, one)
        assert (there and there[1]) == (back and back[1])


# ---------------------------------------------------------------- the table of differences

NODULE, TUBE, FRACTURE = Finding("lung_nodule"), Finding("endotracheal_tube"), Finding("rib_fracture")
EFFUSION, PNEUMONIA = Finding("pleural_effusion"), Finding("pneumonia")
RIGHT_TIP, WRONG_TIP = TUBE._replace(positions=("mid_trachea",)), TUBE._replace(positions=("right_main_bronchus",))


def nodule(**attributes):
    return NODULE._replace(**attributes)


@pytest.mark.parametrize(
    ("reference", "candidate", "expected"),
    [
        # kind
        (PNEUMONIA, Finding("consolidation"), [("unspecific", 0.25)]),
        (PNEUMONIA, Finding("airspace_opacity"), [("unspecific", 0.375)]),
        (PNEUMONIA, Finding("lung_opacity"), [("unspecific", 0.5)]),
        (Finding("consolidation"), PNEUMONIA, [("overinterpretation", 0.25)]),
        (Finding("airspace_opacity"), PNEUMONIA, [("overinterpretation", 0.375)]),
        (Finding("lung_opacity"), PNEUMONIA, [("overinterpretation", 0.5)]),
        (NODULE, Finding("granuloma"), [("overinterpretation", 0.375)]),
        # side and place
        (nodule(side="left"), nodule(side="right"), [("location", 0.5)]),
        (nodule(side="left"), nodule(side="bilateral"), [("location", 0.25)]),
        (nodule(side="bilateral"), nodule(side="left"), [("location", 0.25)]),
        (nodule(side="left"), NODULE, [("location", 0.125)]),
        (NODULE, nodule(side="left"), []),
        (nodule(places=("upper",)), nodule(places=("lower",)), [("location", 0.25)]),
        (nodule(places=("upper",)), NODULE, [("location", 0.0625)]),
        (nodule(places=("apex",)), nodule(places=("upper",)), []),
        (NODULE, nodule(places=("upper",)), []),
        (nodule(side="left", places=("upper",)), nodule(side="right", places=("lower",)), [("location", 0.5)]),
        (
            nodule(side="left", places=("upper",)),
            nodule(side="bilateral", places=("lower",)),
            [("location", 0.25), ("location", 0.25)],
        ),
        # tips of devices
        (RIGHT_TIP, WRONG_TIP, [("location", 0.5)]),
        (WRONG_TIP, RIGHT_TIP, [("location", 0.5)]),
        (RIGHT_TIP, TUBE, [("location", 0.0625)]),
        (RIGHT_TIP, TUBE._replace(positions=("above_carina",)), [("location", 0.25)]),
        (RIGHT_TIP, TUBE._replace(positions=("in_place",)), [("location", 0.0625)]),
        (TUBE, RIGHT_TIP, []),
        (WRONG_TIP, TUBE._replace(positions=("left_main_bronchus",)), [("location", 0.25)]),
        # severity and size
        (nodule(severity=2.0), nodule(severity=4.0), [("severity", 0.5)]),
        (nodule(severity=4.0), nodule(severity=1.0), [("severity", 0.5)]),
        (nodule(severity=2.0), nodule(severity=3.0), [("severity", 0.25)]),
        (nodule(severity=2.0), nodule(severity=2.5), [("severity", 0.125)]),
        (nodule(severity=4.0), nodule(severity=5.0), [("severity", 0.125)]),
        (nodule(severity=2.0), NODULE, [("severity", 0.0625)]),
        (NODULE, nodule(severity=2.0), []),
        (nodule(size_mm=10.0), nodule(size_mm=5.0), [("measurement", 0.5)]),
        (nodule(size_mm=5.0), nodule(size_mm=20.0), [("measurement", 0.5)]),
        (nodule(size_mm=10.0), nodule(size_mm=7.0), [("measurement", 0.25)]),
        (nodule(size_mm=10.0), nodule(size_mm=8.0), []),
        (nodule(size_mm=10.0), NODULE, [("measurement", 0.0625)]),
        (NODULE, nodule(size_mm=10.0), []),
        (nodule(size_mm=10.0), nodule(severity=2.0), []),  # not comparable
        (nodule(severity=2.0), nodule(size_mm=10.0), []),
        # change
        (nodule(change="increased"), nodule(change="decreased"), [("temporal", 0.5)]),
        (nodule(change="new"), nodule(change="decreased"), [("temporal", 0.5)]),
        (nodule(change="increased"), nodule(change="stable"), [("temporal", 0.25)]),
        (nodule(change="stable"), nodule(change="new"), [("temporal", 0.25)]),
        (nodule(change="stable"), NODULE, [("temporal", 0.0625)]),
        (NODULE, nodule(change="new"), [("temporal", 0.0625)]),  # invented
        # descriptors, number
        (FRACTURE._replace(descriptors=("acute",)), FRACTURE._replace(descriptors=("old",)), [("descriptor", 0.5)]),
        (FRACTURE._replace(descriptors=("old",)), FRACTURE._replace(descriptors=("acute",)), [("descriptor", 0.5)]),
        (
            FRACTURE._replace(descriptors=("displaced",)),
            FRACTURE._replace(descriptors=("nondisplaced",)),
            [("descriptor", 0.25)],
        ),
        (Finding("pneumothorax", descriptors=("tension",)), Finding("pneumothorax"), [("descriptor", 0.25)]),
        (Finding("pneumothorax"), Finding("pneumothorax", descriptors=("tension",)), [("descriptor", 0.25)]),
        (
            EFFUSION._replace(descriptors=("larger_left",)),
            EFFUSION._replace(descriptors=("larger_right",)),
            [("descriptor", 0.125)],
        ),
        (EFFUSION._replace(descriptors=("loculated",)), EFFUSION, [("descriptor", 0.0625)]),
        (EFFUSION._replace(descriptors=("layering", "loculated")), EFFUSION, [("descriptor", 0.0625)]),
        (EFFUSION, EFFUSION._replace(descriptors=("loculated",)), []),
        (nodule(number=2), nodule(number=3), [("descriptor", 0.125)]),
        (nodule(number=2), nodule(number=6), [("descriptor", 0.125)]),
        (nodule(number=3), nodule(number=6), []),  # three are several
        (nodule(number=2), NODULE, [("descriptor", 0.0625)]),
        (NODULE, nodule(number=2), []),
        # certainty
        (NODULE, nodule(polarity="possible"), [("certainty", 0.125)]),
        (nodule(polarity="possible"), NODULE, [("certainty", 0.125)]),
        (NODULE, NODULE, []),
    ],
)
def test_what_differs_and_its_cost(reference, candidate, expected):
    assert differ(reference, candidate) == expected


def test_new_and_increased_differ_less_than_stable_and_increased():
    ((kind, cost),) = differ(nodule(change="new"), nodule(change="increased"))
    assert kind == "temporal"
    assert 0 < cost < 0.25


def test_a_wrong_tip_left_out_costs_more_than_a_right_one_and_less_than_calling_it_right():
    ((kind, cost),) = differ(WRONG_TIP, TUBE)
    assert kind == "location"
    assert 0.0625 < cost < 0.5


def test_calling_a_wrong_tip_well_placed_costs_though_its_place_is_told():
    placed = WRONG_TIP._replace(positions=("in_place", "right_main_bronchus"))
    assert differ(WRONG_TIP, placed) == [("location", 0.25)]


def test_differences_add_up_and_are_told_in_words():
    (match,) = reports("Large new left effusion.", "Possible small right effusion.").matched
    assert [d.kind for d in match.differences] == ["location", "severity", "temporal", "certainty"]
    assert match.cost == sum(d.cost for d in match.differences) == 0.5 + 0.5 + 0.0625 + 0.125
    assert [d.says for d in match.differences][:2] == ["left, not right", "severe, not mild"]


@pytest.mark.parametrize(
    ("severity", "words"), [(1.0, "trace"), (2.0, "mild"), (2.5, "mild to moderate"), (5.0, "massive")]
)
def test_severity_in_words(severity, words):
    assert in_words(severity) == words


SOME_FINDING = st.tuples(
    st.sampled_from(["lung_nodule", "pneumonia", "consolidation", "endotracheal_tube"]),
    st.sampled_from(["present", "possible"]),
    st.sampled_from(["", "left", "right", "bilateral"]),
    st.sampled_from([(), ("upper",), ("base", "lateral")]),
    st.sampled_from([0.0, 1.0, 2.5, 5.0]),
    st.sampled_from([0.0, 5.0, 40.0]),
    st.sampled_from([0, 1, 2, 6]),
    st.sampled_from(["", "new", "stable", "decreased"]),
    st.sampled_from([(), ("acute",), ("old",), ("tension",)]),
    st.sampled_from([(), ("mid_trachea",), ("right_main_bronchus",)]),
).map(lambda attributes: Finding(*attributes))


@given(SOME_FINDING, SOME_FINDING)
def test_costs_are_positive_and_equal_findings_do_not_differ(one, two):
    assert differences(KNOWN, one, one) == ()
    assert all(0.0625 <= d.cost <= 0.5 and d.says for d in differences(KNOWN, one, two))


# ---------------------------------------------------------------- assignment

FAMILY = ("lung_opacity", "airspace_opacity", "consolidation", "pneumonia", "lung_nodule", "pneumothorax")
SEVERAL = st.lists(
    st.tuples(st.sampled_from(FAMILY), st.sampled_from(["", "left", "right"]), st.sampled_from([0.0, 1.0, 4.0])).map(
        lambda told: Finding(told[0], side=told[1], severity=told[2])
    ),
    max_size=4,
    unique_by=lambda finding: finding.observation,  # two of one kind may be joined to match one
).map(lambda found: [finding._replace(start=i) for i, finding in enumerate(found)])


def worth(one, two):
    """Return what CRIMSON credits for a pair, with the false finding it avoids."""
    weight = WEIGHTS[significance(one)]
    cost = sum(d.cost for d in differences(KNOWN, one, two))
    return weight * weight / (weight + cost) + WEIGHTS[significance(two)]


def best_of_all(ours, theirs):
    """Return the most that any one-to-one pairing of kin is worth."""
    if not ours:
        return 0.0
    first, rest = ours[0], ours[1:]
    options = [best_of_all(rest, theirs)]
    for i, other in enumerate(theirs):
        if kinship(first.observation, other.observation) is not None:
            options.append(worth(first, other) + best_of_all(rest, theirs[:i] + theirs[i + 1 :]))
    return max(options)


@given(SEVERAL, SEVERAL)
def test_the_pairs_are_those_that_are_worth_most(ours, theirs):
    comparison = compare(report(*ours), report(*theirs))
    pairs = [(match.reference, match.candidate) for match in comparison.matched]
    assert sum(worth(*pair) for pair in pairs) == pytest.approx(best_of_all(ours, theirs))
    assert sorted([*(one for one, _ in pairs), *comparison.missed]) == sorted(ours)
    assert sorted([*(two for _, two in pairs), *comparison.false]) == sorted(theirs)


@given(SEVERAL, SEVERAL, st.randoms())
def test_the_order_of_findings_does_not_matter(ours, theirs, random):
    def credited(first, second):
        return sum(worth(m.reference, m.candidate) for m in compare(report(*first), report(*second)).matched)

    shuffled = random.sample(ours, len(ours)), random.sample(theirs, len(theirs))
    assert credited(*shuffled) == pytest.approx(credited(ours, theirs))


def test_a_finding_takes_the_nearest_partner_whatever_stands_first():
    for candidate in ("Opacity. Right pneumothorax.", "Right pneumothorax. Opacity."):
        (match,) = reports("Pneumonia.", candidate).matched
        assert match.candidate.observation == "lung_opacity"
    for candidate in ("Large left effusion. Small right effusion.", "Small right effusion. Large left effusion."):
        matches = reports("Small right effusion. Large left effusion.", candidate).matched
        assert [match.cost for match in matches] == [0, 0]


def test_a_partner_is_given_up_where_another_needs_it_more():
    ours = [Finding("lung_opacity", start=0), Finding("pneumonia", start=1)]
    theirs = [Finding("consolidation", start=0), Finding("lung_opacity", side="left", start=1)]
    matched = compare(report(*ours), report(*theirs)).matched
    assert [(m.reference.observation, m.candidate.observation) for m in matched] == [
        ("lung_opacity", "lung_opacity"),
        ("pneumonia", "consolidation"),
    ]


def test_matches_are_in_the_order_of_the_reference():
    matched = reports("Cardiomegaly. Rib fracture. Edema.", "Edema. Rib fracture. Cardiomegaly.").matched
    assert [m.reference.observation for m in matched] == ["cardiomegaly", "rib_fracture", "pulmonary_edema"]


def test_benign_findings_find_their_partner_too():
    comparison = reports("Scoliosis.", "Scoliosis.")
    assert (len(comparison.matched), comparison.missed, comparison.false) == (1, (), ())


def test_unrelated_findings_are_missed_and_false():
    comparison = reports("Pneumonia.", "Pneumothorax.")
    assert comparison.matched == ()
    assert [f.observation for f in comparison.missed] == ["pneumonia"]
    assert [f.observation for f in comparison.false] == ["pneumothorax"]


def test_opposite_sides_are_one_finding_told_wrongly():
    (match,) = reports("Left effusion.", "Right effusion.").matched
    assert [(d.kind, d.cost) for d in match.differences] == [("location", 0.5)]


# ---------------------------------------------------------------- parts and the whole


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        ("Bilateral effusions.", "Left effusion. Right effusion."),
        ("Left effusion. Right effusion.", "Bilateral effusions."),
        ("Bilateral nodules.", "Nodule in the left upper lobe. Nodule in the right lower lobe."),
        ("Rib fractures.", "Left fifth rib fracture. Left seventh rib fracture."),
    ],
)
def test_findings_told_in_parts_are_joined_to_match_the_whole(reference, candidate):
    comparison = reports(reference, candidate)
    (match,) = comparison.matched
    assert (comparison.missed, comparison.false) == ((), ())
    assert not [d for d in match.differences if d.cost > 0.0625]  # the places of the parts may be left out


def test_parts_are_not_joined_where_both_reports_tell_them():
    comparison = reports("Left effusion. Right effusion.", "Right effusion. Left effusion.")
    assert [match.cost for match in comparison.matched] == [0, 0]


# ---------------------------------------------------------------- denials and contradictions


@pytest.mark.parametrize(
    ("reference", "candidate", "denied"),
    [
        ("Left effusion.", "No effusion.", "pleural_effusion"),
        ("Pneumonia.", "The lungs are clear.", "lung_opacity"),
        ("Cardiomegaly.", "The heart is normal.", "cardiomegaly"),
        ("Left effusion.", "No right effusion.", None),
        ("Left effusion.", "No pneumothorax.", None),
        ("Left effusion.", "No large effusion.", None),
        ("Large left effusion.", "No large effusion.", "pleural_effusion"),
        ("Left effusion.", "Cardiomegaly.", None),
    ],
)
def test_missed_findings_are_denied_or_left_out(reference, candidate, denied):
    comparison = reports(reference, candidate)
    assert len(comparison.missed) == len(comparison.denied) == 1
    assert (comparison.denied[0] and comparison.denied[0].observation) == denied


def test_each_missed_finding_has_its_own_denial():
    comparison = reports("Left effusion. Cardiomegaly. Pneumothorax.", "No pneumothorax. No effusion.")
    denied = {m.observation: d and d.observation for m, d in zip(comparison.missed, comparison.denied, strict=True)}
    assert denied == {
        "pleural_effusion": "pleural_effusion",
        "cardiomegaly": None,
        "pneumothorax": "pneumothorax",
    }


def test_a_contradiction_counts_where_the_reference_has_it_not():
    both = "Left effusion. No effusion."
    assert [f.observation for f in reports("Left effusion.", both).contradicted] == ["pleural_effusion"]
    assert reports(both, both).contradicted == ()
    assert reports(both, "Left effusion.").contradicted == ()


def test_two_normal_reports_have_nothing_to_compare():
    assert reports("Normal chest.", "The lungs are clear.") == ((), (), (), (), ())
