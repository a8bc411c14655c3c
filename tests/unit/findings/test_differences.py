"""Each difference between two findings has its kind and its cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.findings import Finding, compare, merge, ontology, read
from cxr_rewards.findings.differences import differences, in_words

KNOWN = ontology()


def reports(reference, candidate):
    return compare(merge(read(reference)), merge(read(candidate)))


def differ(reference, candidate):
    return [(d.kind, d.cost) for d in differences(KNOWN, reference, candidate)]


NODULE, TUBE, FRACTURE = Finding("lung_nodule"), Finding("endotracheal_tube"), Finding("rib_fracture")
EFFUSION, PNEUMONIA, EDEMA = Finding("pleural_effusion"), Finding("pneumonia"), Finding("pulmonary_edema")
RIGHT_TIP, WRONG_TIP = TUBE._replace(positions=("mid_trachea",)), TUBE._replace(positions=("right_main_bronchus",))


FEEDING = Finding("enteric_tube")


def nodule(**attributes):
    return NODULE._replace(**attributes)


def _above_carina(distance):
    return TUBE._replace(positions=("above_carina",), size_mm=distance)


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
        (NODULE, Finding("granuloma"), [("overinterpretation", 0.375), ("descriptor", 0.5)]),  # and benign
        (Finding("consolidation"), Finding("airspace_opacity"), [("unspecific", 0.015625)]),  # said of one thing
        (Finding("airspace_opacity"), Finding("consolidation"), [("unspecific", 0.015625)]),
        # a doubtful kind
        (PNEUMONIA._replace(certainty="possible"), Finding("lung_opacity"), [("unspecific", 0.25)]),
        (Finding("lung_opacity"), PNEUMONIA._replace(certainty="likely"), [("overinterpretation", 0.25)]),
        (
            PNEUMONIA._replace(certainty="possible"),
            Finding("lung_opacity", certainty="likely"),
            [("unspecific", 0.25), ("certainty", 0.0625)],
        ),
        (
            PNEUMONIA,
            Finding("lung_opacity", certainty="possible"),
            [("unspecific", 0.5), ("certainty", 0.125)],
        ),
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
        # what goes without saying
        (EFFUSION._replace(places=("base",)), EFFUSION, []),
        (EFFUSION._replace(places=("apex",)), EFFUSION, [("location", 0.0625)]),
        (EDEMA._replace(side="bilateral", places=("diffuse",)), EDEMA, []),
        (EDEMA._replace(side="left"), EDEMA, [("location", 0.125)]),
        (EDEMA._replace(side="bilateral"), EDEMA._replace(side="left"), [("location", 0.25)]),
        (TUBE._replace(positions=("in_place",)), TUBE, []),
        # tips of devices
        (RIGHT_TIP, WRONG_TIP, [("location", 0.5)]),
        (WRONG_TIP, RIGHT_TIP, [("location", 0.5)]),
        (FEEDING._replace(positions=("stomach",)), FEEDING._replace(positions=("below_diaphragm",)), []),
        (FEEDING._replace(positions=("below_diaphragm",)), FEEDING._replace(positions=("stomach", "in_place")), []),
        (FEEDING._replace(positions=("stomach",)), FEEDING._replace(positions=("duodenum",)), [("location", 0.25)]),
        (RIGHT_TIP, TUBE, [("location", 0.0625)]),
        (RIGHT_TIP, TUBE._replace(positions=("above_carina",)), [("location", 0.25)]),
        (RIGHT_TIP, TUBE._replace(positions=("in_place",)), [("location", 0.0625)]),
        (TUBE, RIGHT_TIP, []),
        (WRONG_TIP, TUBE._replace(positions=("left_main_bronchus",)), [("location", 0.25)]),
        # severity and size
        (nodule(severity=2.0), nodule(severity=4.0), [("severity", 0.5)]),
        (nodule(severity=4.0), nodule(severity=1.0), [("severity", 0.5)]),
        (nodule(severity=2.0), nodule(severity=3.0), [("severity", 0.25)]),
        (nodule(severity=1.0), nodule(severity=2.0), []),  # "tiny" and "small"
        (nodule(severity=1.0), nodule(severity=2.5), [("severity", 0.25)]),
        (nodule(severity=1.0), nodule(severity=3.0), [("severity", 0.5)]),
        (nodule(severity=2.0), nodule(severity=2.5), [("severity", 0.125)]),
        (nodule(severity=4.0), nodule(severity=5.0), [("severity", 0.125)]),
        (nodule(severity=2.0), NODULE, [("severity", 0.0625)]),
        (NODULE, nodule(severity=2.0), []),
        (nodule(size_mm=10.0), nodule(size_mm=5.0), [("measurement", 0.5)]),
        (nodule(size_mm=5.0), nodule(size_mm=20.0), [("measurement", 0.5)]),
        (nodule(size_mm=20.0), nodule(size_mm=13.0), [("measurement", 0.25)]),
        (nodule(size_mm=34.0), nodule(size_mm=14.0), [("measurement", 0.5)]),
        (nodule(size_mm=3.0), nodule(size_mm=5.0), []),  # within the precision of reading
        (_above_carina(30.0), _above_carina(60.0), [("measurement", 0.125)]),
        (_above_carina(30.0), _above_carina(5.0), [("measurement", 0.125), ("location", 0.5)]),
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
        (nodule(change="stable"), NODULE, [("temporal", 0.015625)]),
        (NODULE, nodule(change="stable"), [("temporal", 0.015625)]),
        (nodule(change="increased"), NODULE, [("temporal", 0.0625)]),
        (NODULE, nodule(change="new"), [("temporal", 0.0625)]),  # invented
        # descriptors, number
        (FRACTURE._replace(descriptors=("acute",)), FRACTURE._replace(descriptors=("old",)), [("descriptor", 0.5)]),
        (FRACTURE._replace(descriptors=("old",)), FRACTURE._replace(descriptors=("acute",)), [("descriptor", 0.5)]),
        (
            FRACTURE._replace(descriptors=("displaced",)),
            FRACTURE._replace(descriptors=("nondisplaced",)),
            [("descriptor", 0.25)],
        ),
        (Finding("pneumothorax", descriptors=("tension",)), Finding("pneumothorax"), [("descriptor", 0.5)]),
        (Finding("pneumothorax"), Finding("pneumothorax", descriptors=("tension",)), [("descriptor", 0.5)]),
        (
            EFFUSION._replace(descriptors=("larger_left",)),
            EFFUSION._replace(descriptors=("larger_right",)),
            [("descriptor", 0.125)],
        ),
        (EFFUSION._replace(descriptors=("loculated",)), EFFUSION, [("descriptor", 0.0625)]),
        (EFFUSION._replace(descriptors=("layering", "loculated")), EFFUSION, [("descriptor", 0.0625)]),
        (EFFUSION, EFFUSION._replace(descriptors=("loculated",)), []),
        (FRACTURE, FRACTURE._replace(descriptors=("old",)), [("descriptor", 0.0625), ("descriptor", 0.5)]),  # benign
        (FRACTURE._replace(descriptors=("old",)), FRACTURE, [("descriptor", 0.0625), ("descriptor", 0.5)]),
        (EFFUSION, EFFUSION._replace(descriptors=("acute",)), [("descriptor", 0.0625)]),
        (nodule(number=2), nodule(number=3), [("descriptor", 0.125)]),
        (nodule(number=2), nodule(number=6), [("descriptor", 0.125)]),
        (nodule(number=3), nodule(number=6), []),  # three are several
        (nodule(number=2), NODULE, [("descriptor", 0.0625)]),
        (nodule(number=6), NODULE, [("descriptor", 0.0625)]),
        (nodule(number=6, side="bilateral"), nodule(side="bilateral"), []),  # on both sides are several
        (NODULE, nodule(number=2), []),
        # certainty
        (NODULE, nodule(certainty="possible"), [("certainty", 0.125)]),
        (nodule(certainty="possible"), NODULE, [("certainty", 0.125)]),
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
    assert all(0.015625 <= d.cost <= 0.5 and d.says for d in differences(KNOWN, one, two))
