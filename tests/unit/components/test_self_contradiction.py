"""Self-contradiction guard."""

from __future__ import annotations

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.components.self_contradiction import SelfContradiction


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ("", 0.0),
        ("Normal chest.", 0.0),
        ("Left effusion. No pneumothorax.", 0.0),
        ("Left effusion. No effusion.", 1.0),
        ("Left effusion. Mild cardiomegaly. No effusion.", 0.5),
        ("Pneumonia. The lungs are clear.", 1.0),
        ("Pneumonia. The lungs are otherwise clear.", 0.0),
    ],
)
def test_is_the_share_of_findings_that_are_denied(candidate, expected):
    assert SelfContradiction().score(candidate, "Normal chest.").value == expected


def test_details_tell_what_is_taken_back():
    details = SelfContradiction().score("Pneumonia. Cardiomegaly. Normal chest. No cardiomegaly.", "x").details
    assert {f["observation"]: f["taken_back"] for f in details["contradicted"]} == {
        "pneumonia": False,
        "cardiomegaly": True,
    }


def test_a_gate_caps_what_contradicts_itself():
    gate = {"component": "self_contradiction", "above": 0.0, "cap": 0.1}
    reward = CompositeReward(
        ["findings_soft_f1", "self_contradiction"],
        weights={"findings_soft_f1": 1.0, "self_contradiction": 0.0},
        gates=[gate],
    )
    assert reward.score("Pneumonia. The lungs are clear.", "Pneumonia.").value == 0.1
    assert reward.score("Pneumonia. The heart is normal.", "Pneumonia.").value > 0.9
