"""Stated changes are compared by finding, side and direction."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.change_f1 import ChangeF1
from cxr_rewards.errors import ConfigError
from cxr_rewards.testing import check_component

REFERENCE = "The left effusion has increased. Stable cardiomegaly. New right pneumothorax."
SILENT = "Small left effusion. Mild cardiomegaly."


def value(candidate, reference, **settings):
    return ChangeF1(**settings).score(candidate, reference).value


def told(statements):
    return [(statement["observation"], statement.get("side", ""), statement["change"]) for statement in statements]


def test_conforms_with_other_settings():
    check_component(ChangeF1(directions="coarse"))


@pytest.mark.parametrize(
    "text",
    [
        REFERENCE,
        SILENT,
        "No interval change.",
        "The right effusion has resolved.",
        "Bilateral effusions have decreased.",
        "New opacity. New pneumonia. Interval improvement.",
    ],
)
def test_identical_texts_score_one(text):
    assert value(text, text) == 1.0


def test_is_the_f1_of_statements():
    # shared: effusion, cardiomegaly; missed: pneumothorax; extra: edema, nodule
    candidate = "Larger left effusion. Unchanged cardiomegaly. Improved edema. New nodule."
    assert value(candidate, REFERENCE) == pytest.approx(2 * 2 / (4 + 3))


def test_other_words_for_the_same_change_score_one():
    assert value("New right pneumothorax. Heart is enlarged, unchanged. Worsened left effusion.", REFERENCE) == 1.0


@pytest.mark.parametrize(
    ("candidate", "exact", "coarse"),
    [
        ("New left effusion.", 0.0, 1.0),
        ("Larger left effusion.", 1.0, 1.0),
        ("Smaller left effusion.", 0.0, 0.0),
        ("Stable left effusion.", 0.0, 0.0),
        ("The left effusion has resolved.", 0.0, 0.0),
    ],
)
def test_directions(candidate, exact, coarse):
    reference = "Increased left effusion."
    assert value(candidate, reference) == exact
    assert value(candidate, reference, directions="coarse") == coarse
    for directions in ("exact", "coarse"):
        details = ChangeF1(directions=directions).score(candidate, reference).details
        assert (details["exact"], details["coarse"]) == (exact, coarse)


def test_resolved_is_decreased_by_coarse_directions_alone():
    assert value("The effusion has resolved.", "The effusion has decreased.") == 0.0
    assert value("The effusion has resolved.", "The effusion has decreased.", directions="coarse") == 1.0


def test_a_resolved_finding_is_a_statement_and_a_denied_one_is_not():
    assert value("The pneumothorax has resolved.", "Interval resolution of the pneumothorax.") == 1.0
    assert value("No pneumothorax.", "The pneumothorax has resolved.") == 0.0
    assert value("No pneumothorax.", "No effusion.") == 1.0


def test_opposite_sides_do_not_match():
    assert value("New right effusion.", "New left effusion.") == 0.0
    assert value("New effusion.", "New left effusion.") == 1.0


def test_a_bilateral_finding_is_one_on_each_side():
    assert value("New right effusion. New left effusion.", "New bilateral effusions.") == 1.0
    assert value("New right effusion.", "New bilateral effusions.") == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("candidate", "reference"),
    [
        ("New opacity.", "New pneumonia."),
        ("New pneumonia.", "New opacity."),
        ("No interval change.", "Stable cardiomegaly."),
        ("Stable cardiomegaly.", "No interval change."),
    ],
)
def test_a_more_general_statement_gets_part_of_the_credit(candidate, reference):
    assert value(candidate, reference) == 0.5
    assert value(candidate, reference, related_credit=0.2) == pytest.approx(0.2)
    assert value(candidate, reference, related_credit=0.0) == 0.0
    assert ChangeF1(related_credit=0.0).score(candidate, reference).details["matched"] == []


def test_kinds_of_the_same_thing_are_not_kinds_of_each_other():
    assert value("New atelectasis.", "New pneumonia.") == 0.0


def test_each_statement_matches_one_other():
    assert value("No interval change.", "Stable cardiomegaly. Stable left effusion.") == pytest.approx(2 * 0.5 / 3)
    assert value("New opacity.", "New pneumonia. New atelectasis.") == pytest.approx(2 * 0.5 / 3)


def test_the_best_pairs_are_found_whatever_the_order():
    # "no change" could take either, the cardiomegaly its own kind alone
    for candidate in ("Stable cardiomegaly. No interval change.", "No interval change. Stable cardiomegaly."):
        score = ChangeF1().score(candidate, "Stable left effusion. Stable cardiomegaly.")
        assert score.value == pytest.approx(2 * 1.5 / 4)
        assert sorted(pair["credit"] for pair in score.details["matched"]) == [0.5, 1.0]


def test_saying_it_twice_changes_nothing():
    twice = f"FINDINGS: {REFERENCE} IMPRESSION: {REFERENCE}"
    assert value(twice, REFERENCE) == 1.0
    assert value("No interval change. Unchanged since the prior study.", "No interval change.") == 1.0
    again = "FINDINGS: The effusion has resolved. IMPRESSION: Interval resolution of the effusion."
    assert len(ChangeF1().score(again, "New nodule.").details["extra"]) == 1


def test_a_wrong_direction_is_worse_than_silence_beside_a_right_one():
    right = "Stable cardiomegaly."
    assert value(f"{right} Smaller left effusion.", REFERENCE) < value(right, REFERENCE)


def test_two_silent_reports_agree():
    score = ChangeF1().score("No effusion.", SILENT)
    assert score.value == 1.0
    assert score.details == {"exact": 1.0, "coarse": 1.0, "matched": [], "missed": [], "extra": []}


def test_inventing_a_change_and_leaving_all_out_score_zero():
    assert value("New left effusion.", SILENT) == 0.0
    assert value(SILENT, REFERENCE) == 0.0


@pytest.mark.parametrize("candidate", ["", " \n", "asdf qwerty"])
@pytest.mark.parametrize("reference", [REFERENCE, SILENT])
def test_a_candidate_that_says_nothing_scores_zero(candidate, reference):
    score = ChangeF1().score(candidate, reference)
    assert score.value == score.details["exact"] == score.details["coarse"] == 0.0


def test_a_reference_that_says_nothing_is_unscored():
    score = ChangeF1().score(REFERENCE, "asdf qwerty")
    assert score.value is None
    assert str(score.failure) == "change_f1: no finding and no normal statement in the reference"


def test_priors_change_nothing():
    component = ChangeF1()
    assert component.score(REFERENCE, REFERENCE, ["Clear lungs."]) == component.score(REFERENCE, REFERENCE)


def test_details_tell_the_statements_with_their_spans():
    candidate = "Larger left effusion. New nodule."
    details = json.loads(json.dumps(ChangeF1().score(candidate, REFERENCE).details))
    (pair,) = details["matched"]
    assert told([pair["reference"], pair["candidate"]]) == [("pleural_effusion", "left", "increased")] * 2
    assert pair["credit"] == 1.0
    assert told(details["missed"]) == [("cardiomegaly", "", "stable"), ("pneumothorax", "right", "new")]
    assert told(details["extra"]) == [("lung_nodule", "", "new")]
    start, end = details["extra"][0]["span"]
    assert candidate[start:end] == "nodule"


def test_details_are_in_the_order_of_the_report():
    details = (
        ChangeF1().score("The effusion has resolved. New nodule. No interval change. Edema is worse.", SILENT).details
    )
    assert [change for _, _, change in told(details["extra"])] == ["resolved", "new", "stable", "increased"]


def test_details_list_pairs_by_the_chosen_directions():
    exact, coarse = (
        ChangeF1(directions=d).score("New effusion.", "Larger effusion.").details for d in ("exact", "coarse")
    )
    assert (len(exact["matched"]), len(exact["extra"])) == (0, 1)
    assert (len(coarse["matched"]), len(coarse["extra"])) == (1, 0)


@pytest.mark.parametrize(
    ("key", "bad", "expected"),
    [
        ("directions", "both", "exact or coarse"),
        ("related_credit", 1.1, "from 0 to 1"),
        ("related_credit", -0.1, "from 0 to 1"),
        ("related_credit", float("nan"), "from 0 to 1"),
    ],
)
def test_settings_out_of_range_are_refused(key, bad, expected):
    with pytest.raises(ConfigError, match=f"change_f1: {key} must be {expected}, got {bad!r}"):
        ChangeF1(**{key: bad})


SENTENCES = (
    "New left effusion.",
    "Larger effusion.",
    "The right effusion has resolved.",
    "Stable cardiomegaly.",
    "No interval change.",
    "New pneumonia.",
    "New opacity.",
    "Smaller opacity.",
    "Clear lungs.",
)
REPORTS = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=6, unique=True)


@given(REPORTS, REPORTS)
def test_scores_are_symmetric_and_in_bounds(candidate, reference):
    one = value(" ".join(candidate), " ".join(reference))
    assert 0.0 <= one <= 1.0
    assert one == pytest.approx(value(" ".join(reference), " ".join(candidate)))
