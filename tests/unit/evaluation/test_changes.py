"""Kinds of change."""

from __future__ import annotations

import pytest

from cxr_rewards.evaluation.changes import KINDS, change_of


@pytest.mark.parametrize(
    ("report", "kind"),
    [
        ("New left basal consolidation.", "new"),
        ("In the interval a nodule has developed in the right apex.", "new"),
        ("Possible new pneumothorax.", "new"),
        ("The right effusion has increased.", "progression"),
        ("Worsening edema.", "progression"),
        ("The left effusion has increased, the right effusion has decreased.", "progression"),
        ("Interval improvement.", "regression"),
        ("The pneumothorax has resolved.", "regression"),
        ("The effusion is smaller. The heart is unchanged.", "regression"),
        ("Aeration of the left base has improved. Stable heart.", "regression"),
        ("Clearing of the opacities in the left base.", "regression"),
        ("Worsening aeration of the right lung.", "progression"),
        ("Stable cardiomegaly.", "no_change"),
        ("No significant interval change.", "no_change"),
        ("Unchanged position of the endotracheal tube.", "no_change"),
        ("Stable mediastinal contours. The lungs are clear.", "no_change"),
        ("The lungs remain clear.", "no_change"),
        ("No new consolidation.", "no_change"),
        ("Small right effusion.", "not_stated"),
        ("The lungs are clear.", "not_stated"),
        ("", "not_stated"),
    ],
)
def test_kind_is_that_of_what_the_report_says(report: str, kind: str) -> None:
    assert change_of(report) == kind


@pytest.mark.parametrize(
    "report",
    [
        "Interval removal of the right chest tube.",
        "Interval placement of a left PICC.",
        "New sternotomy wires.",
    ],
)
def test_a_device_that_came_or_went_is_no_change_of_the_disease(report: str) -> None:
    assert change_of(report) == "not_stated"
    assert change_of(f"{report} Stable small effusion.") == "no_change"


def test_advice_to_follow_up_is_not_a_change() -> None:
    assert change_of("Right basal opacity. Recommend follow-up to resolution.") == "not_stated"


def test_the_most_severe_change_decides_whatever_the_order() -> None:
    statements = {
        "new": "New right nodule.",
        "progression": "The left effusion has increased.",
        "regression": "The atelectasis has improved.",
        "no_change": "Stable cardiomegaly.",
    }
    kinds = list(statements)
    for i, kind in enumerate(kinds):
        texts = [statements[one] for one in kinds[i:]]
        assert change_of(" ".join(texts)) == change_of(" ".join(reversed(texts))) == kind


def test_a_first_study_is_one_whatever_it_says() -> None:
    assert change_of("New left basal consolidation.", first_study=True) == "first_study"
    assert KINDS[0] == "first_study"
