"""A finding in the making."""

from __future__ import annotations

from cxr_rewards.findings import Finding
from cxr_rewards.findings.walker.mention import Mention


def mention(**attributes):
    return Mention("lung_nodule", "present", 3, 9, 1, **attributes)


def test_the_first_value_counts_but_places_add_up():
    nodule = mention()
    for slot, value in [("side", "left"), ("side", "right"), ("place", "base"), ("place", ("apex", "base"))]:
        nodule.give(slot, value)
    assert (nodule.side, nodule.place) == ("left", ("base", "apex"))


def test_the_largest_size_counts_but_the_first_distance_of_a_device():
    nodule, tube = mention(size=8.0), mention(size=30.0, position=("above_carina",))
    nodule.give("size", 12.0)
    tube.give("size", 50.0)
    assert (nodule.size, tube.size) == (12.0, 30.0)


def test_fields_are_those_of_a_finding_in_order():
    fields, start, end = mention(place=("upper", "base"), size=8.00049, change="new", implied=True).placed()
    assert Finding(*fields, start, end) == Finding(
        "lung_nodule", places=("base", "upper"), size_mm=8.0, change="new", implied=True, start=3, end=9
    )


def test_what_is_absent_has_no_change_but_to_have_resolved():
    new, resolved = mention(change="new"), mention(change="resolved")
    new.certainty = resolved.certainty = "absent"
    assert Finding(*new.placed()[0]).change == ""
    assert Finding(*resolved.placed()[0]).change == "resolved"


def test_a_copy_is_neither_located_nor_joined():
    one = mention(side="left", size=8.0, located_at=4, joint="and")
    other = one.copy()
    assert (other.side, other.size, other.located_at, other.joint) == ("left", 8.0, -1, "")
    assert other != one
