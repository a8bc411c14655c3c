"""Words that refer to the side named before are read as that side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.findings import read
from cxr_rewards.findings.same_side import named_sides


def sides(text):
    return [(f.observation, f.side) for f in read(text) if f.certainty == "present"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Left pneumonia and an effusion on the same side.", [("pneumonia", "left"), ("pleural_effusion", "left")]),
        ("RLL pneumonia. Effusion on that side.", [("pneumonia", "right"), ("pleural_effusion", "right")]),
        ("Right pneumonia, ipsilateral effusion.", [("pneumonia", "right"), ("pleural_effusion", "right")]),
        ("Left effusion. Collapse of the underlying lung.", [("pleural_effusion", "left"), ("lobar_collapse", "left")]),
        (
            "Large left pneumothorax. The mediastinum is pushed to the opposite side.",
            [("pneumothorax", "left"), ("mediastinal_shift", "right")],
        ),
    ],
)
def test_a_reference_to_a_side_is_read_as_the_side_named_before(text, expected):
    assert sides(text) == expected


@pytest.mark.parametrize("text", ["Effusion on the same side.", "Bilateral pneumonia. Effusion on that side."])
def test_without_one_side_before_there_is_none(text):
    assert sides(text)[-1] == ("pleural_effusion", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Right pneumonia with a small effusion on the left.", ["right", "left"]),
        ("Left effusion and atelectasis in the right base.", ["left", "right"]),
        ("Right lower lobe consolidation with a small accompanying effusion.", ["right", "right"]),
        ("A drain is at the right base with a moderate effusion.", ["right", "right"]),
        ("Lingular opacity, atelectasis versus pneumonia.", ["left"]),
    ],
)
def test_what_accompanies_a_finding_has_its_side_unless_it_has_its_own(text, expected):
    assert [side for _, side in sides(text)] == expected


@given(st.text(alphabet="abdefgilnorst ,.", max_size=80), st.sampled_from(["", "left", "right", "bilateral"]))
def test_a_text_keeps_its_length(text, side):
    assert len(named_sides(f"{text} on the same side {text} contralateral", side)) == 2 * len(text) + 32


def test_spans_point_at_the_report():
    text = "Left pneumonia, effusion on the same side, and cardiomegaly."
    assert [text[f.start : f.end] for f in read(text)] == ["pneumonia", "effusion", "cardiomegaly"]
