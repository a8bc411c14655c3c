"""CRIMSON's lists, their arithmetic, and what contradicts itself."""

from __future__ import annotations

import json

import pytest
from tests.judge_server import says

from cxr_rewards import Case, CompositeReward
from cxr_rewards.errors import VerdictParseError
from cxr_rewards.formulas.crimson import crimson_score
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.protocols.crimson import Crimson, CrimsonReply
from cxr_rewards.testing.fake_judge import FakeJudge


def crimson(reference=(), predicted=(), matched=(), false=(), missing=None, attributes=()):
    def listed(weights, letter):
        return [
            {"id": f"{letter}{i}", "finding": "x", "clinical_significance": weight}
            for i, weight in enumerate(weights, 1)
        ]

    left = [f"R{i}" for i in range(1, len(reference) + 1) if f"R{i}" not in dict(matched)]
    return json.dumps({
        "reference_findings": listed(reference, "R"),
        "predicted_findings": listed(predicted, "P"),
        "matched_findings": [{"ref_id": r, "pred_id": p} for r, p in matched],
        "errors": {
            "false_findings": list(false),
            "missing_findings": left if missing is None else list(missing),
            "attribute_errors": [{"ref_id": r, "severity": s, "error_types": list(t)} for r, s, *t in attributes],
        },
    })  # fmt: skip


ACTIONABLE = "actionable_not_urgent"
CHECKS = {
    "normal, normal": (crimson(), 1.0),
    "actionable false": (crimson((), (ACTIONABLE,), false=("P1",)), -1 / 3),
    "urgent false": (crimson((), ("urgent",), false=("P1",)), -0.5),
    "benign missed": (crimson(("benign_expected",)), 1.0),
    "attribute": (
        crimson((ACTIONABLE,), (ACTIONABLE,), (("R1", "P1"),), attributes=(("R1", "significant", "location"),)), 0.5,
    ),
    "attribute, urgent": (
        crimson(("urgent",), ("urgent",), (("R1", "P1"),), attributes=(("R1", "significant", "location"),)), 2 / 3,
    ),
    "negligible attribute": (
        crimson(("urgent",), ("urgent",), (("R1", "P1"),), attributes=(("R1", "negligible", "descriptor"),)), 1.0,
    ),
    "one of two missed": (crimson((ACTIONABLE,) * 2, (ACTIONABLE,), (("R1", "P1"),)), 0.5),
    "all missed": (crimson((ACTIONABLE,)), 0.0),
    "two and an urgent false one": (
        crimson((ACTIONABLE,) * 2, (ACTIONABLE, ACTIONABLE, "urgent"), (("R1", "P1"), ("R2", "P2")), ("P3",)), 0.0,
    ),
    "urgent missed, actionable false": (crimson(("urgent",), (ACTIONABLE,), false=("P1",)), -1 / 3),
    "other words": (crimson(("Actionable, not urgent", "not actionable"), ("Urgent",)), 0.0),
    "unknown": (crimson(("unknown",)), 0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_crimsons_published_checks(name):
    reply, value = CHECKS[name]
    assert crimson_score(*CrimsonReply.parse(reply)) == pytest.approx(value, abs=1e-12)


def test_crimson_scores_what_the_judge_says():
    reply, value = CHECKS["attribute, urgent"]
    score = says(Crimson, reply)
    assert score.value == pytest.approx(value)
    assert score.details["matched"] == [{"text": "x", "grade": "urgent"}]
    assert score.details["errors"] == [
        {"type": "location", "significant": True, "grade": "significant", "text": "x"},
    ]
    assert score.details["missed"] == []


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (crimson(("grave",)), "a known significance"),
        (crimson(("urgent",), matched=(("R1", "P9"),)), "pred_id: expected one of .., got 'P9'"),
        (crimson(("urgent",), ("urgent",), matched=(("R9", "P1"),)), "ref_id: expected one of"),
        (crimson(("urgent",), ("urgent",), (("R1", "P1"),), missing=("R1",)), "both matched and missing"),
        (crimson(("urgent",), ("urgent",), (("R1", "P1"),), false=("P1",)), "both matched and missing or false"),
        (crimson((), ("urgent",), false=("P1", "P1")), "an id is given twice"),
        (crimson((), (), false=("P1",)), "false_findings: expected one of"),
        (crimson(("urgent",), attributes=(("R1", "significant", "location"),)), "ref_id: expected one of"),
        (crimson(("urgent",), ("urgent",), (("R1", "P1"),), attributes=(("R1", "bad", "location"),)), "severity"),
        (crimson(("urgent",), ("urgent",), (("R1", "P1"),), attributes=(("R1", "significant", "x"),)), "error_types"),
        (crimson(("urgent",), ("urgent",), (("R1", "P1"),), attributes=(("R1", ["bad"], "location"),)), "severity"),
        (crimson(("urgent",), ("urgent",), (("R1", "P1"),), attributes=(("R1", "significant", {}),)), "error_types"),
        (crimson().replace('"errors"', '"mistakes"'), "missing in"),
        (crimson().replace('"false_findings": []', '"false_findings": 1'), "expected a list of ids"),
        (crimson(("urgent", "urgent")).replace("R2", "R1"), "an id of its own"),
    ],
)
def test_crimson_refuses_all_else(reply, message):
    with pytest.raises(VerdictParseError, match=message):
        CrimsonReply.parse(reply)


def test_crimson_tells_the_judge_of_the_patient():
    seen = []

    def answer(messages):
        seen.append(messages[-1]["content"])
        return crimson()

    with FakeJudge(answer=answer) as fake:
        case = Case(candidate="x", reference="y", context={"age": "80", "indication": "fall]", "site": "A"})
        CompositeReward([Crimson(model="m", base_url=fake.url)]).score_batch([case])
    close_judges()
    assert "age: 80\nindication: fall)" in seen[0]
    assert "site" not in seen[0]
