"""Recall of what the reference says is not there."""

from __future__ import annotations

import pytest

from cxr_rewards.components.negatives_recall import NegativesRecall
from cxr_rewards.errors import ConfigError
from cxr_rewards.testing import check_component

REFERENCE = "Mild cardiomegaly. No pleural effusion, pneumothorax or fracture."


NORMAL = "No pleural effusion, pneumothorax or fracture."


def value(candidate, reference=REFERENCE, **settings):
    return NegativesRecall(**settings).score(candidate, reference).value


def test_conforms_with_other_settings():
    check_component(NegativesRecall(part_credit=0.0, sweeping=1))


def test_each_denial_that_is_lost_costs_its_share():
    assert value("Mild cardiomegaly. No pleural effusion, pneumothorax or fracture.") == 1.0
    score = NegativesRecall().score("Mild cardiomegaly. No pleural or pneumothorax. No fracture.", REFERENCE)
    assert score.value == pytest.approx(3 / 4)
    assert score.details == {"asked": 3, "stated": 1, "told": 1.0, "lost": {"pleural_effusion": 0.0}}
    assert value("Cardiomegaly.", NORMAL) == 0.0


def test_findings_of_the_reference_leave_its_denials_a_smaller_share_unless_they_are_benign():
    assert value("Mild cardiomegaly.") == pytest.approx(1 / 4)
    assert value("Mild cardiomegaly.", f"Left effusion. {REFERENCE}") == pytest.approx(2 / 4)
    assert value("Calcified granuloma.", f"Calcified granuloma. {NORMAL}") == 0.0


def test_denials_pay_as_far_as_the_findings_are_told():
    denials = "No pleural effusion, pneumothorax or fracture."
    assert value(denials) == value("Left nodule.") == value("") == pytest.approx(1 / 4)
    two = f"Pneumonia. {REFERENCE}"
    assert value(f"Pneumonia. {denials}", two) == pytest.approx((2 + 3 * 0.5) / 5, abs=0.2)
    assert (
        value(denials, two)
        < value(f"Pneumonia. {denials}", two)
        < value(f"Pneumonia. Mild cardiomegaly. {denials}", two)
    )


def test_a_benign_finding_that_is_not_told_keeps_denials_from_paying_too():
    reference = f"Calcified granuloma. {NORMAL}"
    assert value(NORMAL, reference) == 0.0
    assert value(f"Calcified granuloma. {NORMAL}", reference) == 1.0


def test_other_words_and_order_cost_nothing():
    assert value("Mild cardiomegaly. Negative for fracture. There is neither pneumothorax nor effusion.") == 1.0
    assert value("The heart is not enlarged.", "Heart size is normal.") == 1.0


def test_a_normal_statement_about_a_structure_is_a_denial_and_a_sweeping_one_earns_less():
    asked = "The heart is normal in size. The lungs are clear. No pneumothorax."
    assert value("Lungs clear. Normal heart. No pneumothorax.", asked) == 1.0
    assert 0.1 < value("Normal chest.", asked) < 0.3
    assert value("Normal chest.", asked, sweeping=7) == 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The bones are intact.", "No acute osseous abnormality."),
        (
            "The cardiomediastinal silhouette is normal.",
            "Heart size and mediastinal contours are within normal limits.",
        ),
        ("Normal pulmonary vascularity.", "No pulmonary edema or vascular congestion."),
    ],
)
def test_a_normal_statement_is_met_by_any_of_what_it_implies(one, other):
    assert value(one, other) == value(other, one) == 1.0


def test_a_reference_that_only_sweeps_asks_for_nothing():
    assert value("Cardiomegaly.", "Normal chest.") == 1.0


def test_denying_a_kind_earns_a_part_and_denying_what_it_is_a_kind_of_earns_all():
    assert value("No consolidation.", "No lung opacity.") == 0.5
    assert value("No consolidation.", "No lung opacity.", part_credit=0.2) == pytest.approx(0.2)
    assert value("No lung opacity.", "No consolidation.") == 1.0


def test_denials_that_the_reference_lacks_neither_earn_nor_cost():
    assert value("Mild cardiomegaly. No pleural effusion, pneumothorax or fracture. No edema. No mass.") == 1.0
    assert value("No edema. No mass.", NORMAL) == 0.0


def test_what_has_resolved_is_a_change_and_not_a_pertinent_negative():
    assert value("Cardiomegaly.", "The effusion has resolved. Cardiomegaly.") == 1.0


def test_a_candidate_without_a_reading_loses_all_and_a_reference_without_one_is_unscored():
    assert value("", NORMAL) == 0.0
    assert value("", "Cardiomegaly.") == 1.0
    assert NegativesRecall().score("Normal.", "asdf").failure.kind == "nothing_to_compare"


def test_what_is_said_of_the_same_thing_and_what_is_not_new_is_denied_too():
    assert value("No consolidation.", "No airspace opacity.") == 1.0
    asked = "Resolving left consolidation. No new airspace opacity."
    assert value("Resolving left consolidation. No new consolidation.", asked) == 1.0


def test_each_structure_that_is_called_normal_is_a_statement_of_its_own():
    asked = "No consolidation. No effusion. No pneumothorax."
    assert value("The lungs and pleural spaces are clear.", asked) == 1.0
    assert value("No effusion.", "The lungs and the pleural spaces are clear.") == 0.25


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("part_credit", 1.1),
        ("part_credit", -0.1),
        ("sweeping", 0),
        ("possible_weight", 1.1),
        ("benign_weight", 0.3),
    ],
)
def test_settings_out_of_range_are_refused(key, bad):
    with pytest.raises(ConfigError, match=f"negatives_recall: {key} must be .*, got {bad}"):
        NegativesRecall(**{key: bad})
