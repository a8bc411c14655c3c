"""Statements of change are judged by the earlier reports, and by what the reference states too."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.prior_consistency import PriorConsistency
from cxr_rewards.errors import ConfigError

PRIOR = "Small left effusion. The heart is enlarged. No pneumothorax. Right basilar opacity. Possible left hilar mass."
EFFUSION, CLEAR = "Left effusion. Cardiomegaly.", "No effusion. Cardiomegaly."
SILENT = "Mild scoliosis. The lungs are clear."
NEUTRAL = "Large left effusion. Acute rib fracture. No pneumothorax. The lungs are clear."


def score(candidate, *priors, **settings):
    return PriorConsistency(**settings).score(candidate, SILENT, priors)


def verdicts(candidate, *priors):
    return [told["verdict"] for told in score(candidate, *priors).details["statements"]]


# ---------------------------------------------------------------- no priors


@pytest.mark.parametrize(
    "candidate",
    [
        "New left effusion.",
        "Stable cardiomegaly.",
        "The effusion has increased.",
        "Improved edema.",
        "The pneumothorax has resolved.",
        "No interval change.",
        "Interval improvement.",
    ],
)
def test_any_change_without_a_prior_is_unsupported(candidate):
    assert verdicts(candidate) == ["unsupported"]
    assert score(candidate).value == 0.5


@pytest.mark.parametrize("priors", [(), (PRIOR,), ("",)])
@pytest.mark.parametrize("candidate", [NEUTRAL, "", " \n", "asdf qwerty", "No prior film for comparison."])
def test_no_change_scores_one(candidate, priors):
    result = score(candidate, *priors)
    assert result.value == 1.0
    assert result.details["statements"] == []


@pytest.mark.parametrize("priors", [("",), (" \n", "")])
def test_blank_priors_are_none(priors):
    assert score("Stable cardiomegaly.", *priors) == score("Stable cardiomegaly.")


def test_more_invented_comparisons_cost_more():
    sentences = ["Stable cardiomegaly.", "New nodule.", "Improved edema.", "Larger effusion.", "No interval change."]
    values = [score(" ".join(sentences[:n])).value for n in range(6)]
    assert values == [pytest.approx(1 / (1 + n)) for n in range(6)]


# ---------------------------------------------------------------- with priors


@pytest.mark.parametrize(
    ("candidate", "verdict", "by"),
    [
        ("New left effusion.", "contradicted", "pleural_effusion"),
        ("New effusion.", "contradicted", "pleural_effusion"),
        ("New right effusion.", "supported", None),
        ("New pneumothorax.", "supported", "pneumothorax"),
        ("New rib fracture.", "supported", None),
        ("New right pneumonia.", "unknown", "lung_opacity"),
        ("Stable left effusion.", "supported", "pleural_effusion"),
        ("Larger left effusion.", "supported", "pleural_effusion"),
        ("Smaller left effusion.", "supported", "pleural_effusion"),
        ("The left effusion has resolved.", "supported", "pleural_effusion"),
        ("Improved right pneumonia.", "supported", "lung_opacity"),
        ("Stable right effusion.", "unknown", None),
        ("Stable rib fracture.", "unknown", None),
        ("Stable pneumothorax.", "contradicted", "pneumothorax"),
        ("Smaller left pneumothorax.", "contradicted", "pneumothorax"),
        ("The pneumothorax has resolved.", "contradicted", "pneumothorax"),
    ],
)
def test_the_last_prior_decides(candidate, verdict, by):
    for priors in ((PRIOR,), ("Normal chest.", PRIOR)):
        (told,) = score(candidate, *priors).details["statements"]
        assert told["verdict"] == verdict
        assert (told["by"] or {"observation": None})["observation"] == by
        assert told["prior"] == (len(priors) - 1 if by else None)


@pytest.mark.parametrize(
    ("prior", "candidate", "verdict"),
    [
        ("Left pneumonia.", "New left opacity.", "contradicted"),
        ("Left pneumonia.", "Stable left opacity.", "supported"),
        ("Left opacity.", "Stable left pneumonia.", "supported"),
        ("Atelectasis.", "Stable pneumonia.", "unknown"),
        ("The lungs are clear.", "Stable pneumonia.", "contradicted"),
        ("The right lung is clear.", "Stable left pneumonia.", "unknown"),
        ("Possible pneumonia.", "New pneumonia.", "unknown"),
        ("Possible pneumonia.", "Stable pneumonia.", "supported"),
        ("Right upper lobe nodule.", "New right lower lobe nodule.", "supported"),
        ("Right basilar opacity.", "New right lower lobe opacity.", "contradicted"),
        ("The effusion has resolved.", "Stable effusion.", "contradicted"),
        ("Right chest tube.", "The right chest tube has been removed.", "supported"),
    ],
)
def test_kinds_sides_and_places(prior, candidate, verdict):
    assert verdicts(candidate, prior) == [verdict]


@pytest.mark.parametrize(
    ("candidate", "verdict", "prior"),
    [
        ("Stable edema.", "supported", 0),
        ("Larger edema.", "supported", 0),
        ("The edema has resolved.", "supported", 0),
        ("New edema.", "supported", None),
        ("Stable effusion.", "contradicted", 1),
        ("The effusion has resolved.", "supported", 0),
    ],
)
def test_an_older_prior_speaks_where_the_last_is_silent_and_for_what_resolved(candidate, verdict, prior):
    (told,) = score(candidate, "Edema. Effusion.", CLEAR).details["statements"]
    assert (told["verdict"], told["prior"]) == (verdict, prior)


def test_the_same_observation_is_named_before_its_kinds():
    (told,) = score("Stable pneumonia.", "Right opacity. Left pneumonia.").details["statements"]
    assert told["by"]["observation"] == "pneumonia"


def test_the_latest_of_older_priors_is_named():
    (told,) = score("Stable effusion.", EFFUSION, EFFUSION, "Cardiomegaly.").details["statements"]
    assert told["prior"] == 1


def test_an_unreadable_prior_is_passed_over():
    assert verdicts("Stable effusion.", EFFUSION, "asdf qwerty") == ["supported"]
    assert score("Stable effusion.", EFFUSION, "asdf qwerty").details["statements"][0]["prior"] == 0
    assert verdicts("Stable effusion.", "asdf qwerty", CLEAR) == ["contradicted"]


def test_nothing_can_be_judged_by_unreadable_priors_alone():
    result = score("Stable effusion. No interval change.", "asdf qwerty")
    assert result.value == 1.0
    assert [told["verdict"] for told in result.details["statements"]] == ["unknown"]


@pytest.mark.parametrize("candidate", ["No interval change.", "Interval improvement."])
def test_a_change_of_no_named_finding_is_fair_where_there_is_a_prior(candidate):
    assert score(candidate, PRIOR).value == 1.0
    # and makes up for nothing
    assert score(f"New left effusion. {candidate}", PRIOR).value == score("New left effusion.", PRIOR).value


# ---------------------------------------------------------------- the value


def test_is_the_share_smoothed_by_one():
    candidate = "New left effusion. Stable cardiomegaly. Stable rib fracture."  # contradicted, supported, unknown
    assert score(candidate, PRIOR).value == pytest.approx((1 + 0 + 1 + 0.5) / (1 + 3))
    assert score(candidate, PRIOR, unknown_credit=0.0).value == pytest.approx(2 / 4)
    assert score(candidate, PRIOR, unknown_credit=1.0).value == pytest.approx(3 / 4)


def test_all_supported_scores_one():
    assert score("Larger left effusion. Stable cardiomegaly. New pneumothorax.", PRIOR).value == 1.0


def test_one_slip_among_many_costs_less():
    right = "Stable cardiomegaly. New pneumothorax. Stable right basilar opacity."
    assert score("New left effusion.", PRIOR).value < score(f"New left effusion. {right}", PRIOR).value < 1.0


def test_repeating_a_statement_changes_nothing():
    slip, right = "New left effusion.", "Stable cardiomegaly."
    once = score(f"{slip} {right}", PRIOR).value
    assert score(f"{slip} {right} {right} {right}", PRIOR).value == once
    assert score(f"{slip} {slip} {right}", PRIOR).value == once


def test_statements_that_contradict_each_other_are_both_judged():
    assert verdicts("New left effusion. The left effusion is stable.", PRIOR) == ["contradicted", "supported"]


def test_a_bilateral_finding_is_judged_on_each_side():
    told = score("Stable bilateral effusions.", "Left effusion. No right effusion.").details["statements"]
    assert [(one["side"], one["verdict"]) for one in told] == [("left", "supported"), ("right", "contradicted")]


@pytest.mark.parametrize(
    ("candidate", "reference", "verdict"),
    [
        ("Stable effusion.", "The effusion is unchanged.", "supported"),
        ("New opacity.", "New pneumonia.", "supported"),
        ("Stable effusion.", "The effusion has increased.", "unsupported"),
        ("Stable left effusion.", "Stable right effusion.", "unsupported"),
        ("Stable effusion.", "Stable cardiomegaly.", "unsupported"),
        ("Stable effusion.", "No interval change.", "unsupported"),
        ("No interval change.", "No change.", "supported"),
        ("No interval change.", "Stable cardiomegaly.", "supported"),
        ("No interval change.", "The effusion has increased.", "unsupported"),
        ("Left effusion as compared to the prior study.", "Stable cardiomegaly.", "supported"),
        ("The effusion has resolved.", "Resolved effusion.", "supported"),
    ],
)
def test_what_the_reference_states_too_is_supported(candidate, reference, verdict):
    (told,) = PriorConsistency().score(candidate, reference).details["statements"]
    assert told["verdict"] == verdict
    assert (told["by"] is not None) == (verdict == "supported")


def test_the_reference_counts_before_the_priors():
    text = "New left effusion."
    assert PriorConsistency().score(text, SILENT, (EFFUSION,)).value == 0.5
    assert PriorConsistency().score(text, text, (EFFUSION,)).value == 1.0


@pytest.mark.parametrize("priors", [(), (PRIOR,), ("",)])
@pytest.mark.parametrize(
    "report",
    [
        "Stable cardiomegaly. New left effusion. No interval change in the edema.",
        "Compared to the prior study, the effusions have resolved. The opacity is worse.",
    ],
)
def test_a_report_is_consistent_with_itself(report, priors):
    assert PriorConsistency().score(report, report, priors).value == 1.0


def test_details_have_the_spans_of_both_texts():
    candidate, prior = "Clear lungs. New left effusion.", "Rotated patient. Small left effusion."
    (told,) = json.loads(json.dumps(score(candidate, prior).details))["statements"]
    assert candidate[slice(*told["span"])] == "effusion"
    assert prior[slice(*told["by"]["span"])] == "effusion"
    assert (told["observation"], told["side"], told["change"], told["prior"]) == ("pleural_effusion", "left", "new", 0)


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ConfigError, match=f"prior_consistency: unknown_credit must be from 0 to 1, got {bad}"):
        PriorConsistency(unknown_credit=bad)


SENTENCES = st.lists(
    st.sampled_from(
        [
            "New left effusion.",
            "Stable effusion.",
            "The effusion has resolved.",
            "Larger opacity.",
            "No interval change.",
            "Clear lungs.",
            "Left effusion.",
            "No effusion.",
            "Pneumonia.",
        ]
    ),
    max_size=5,
).map(" ".join)


@given(SENTENCES, st.lists(SENTENCES, max_size=3))
def test_is_in_bounds_and_one_without_statements(candidate, priors):
    result = score(candidate, *priors)
    assert 0.0 < result.value <= 1.0
    if not result.details["statements"]:
        assert result.value == 1.0


@pytest.mark.parametrize(
    ("reference", "verdict"),
    [
        ("Left effusion. The edema has improved.", "supported"),
        ("Left effusion. Edema.", "unsupported"),
        ("Right effusion. The edema has improved.", "unsupported"),
        ("New left effusion.", "unsupported"),
        ("New left effusion. Left effusion.", "unsupported"),
        ("No left effusion. The edema has improved.", "unsupported"),
    ],
)
def test_stable_is_borne_out_by_a_reference_that_compares_and_has_the_finding(reference, verdict):
    told = PriorConsistency().score("Stable left effusion.", reference).details["statements"]
    assert [one["verdict"] for one in told] == [verdict]
