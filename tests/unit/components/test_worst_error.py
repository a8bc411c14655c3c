"""The gravest error of a report, which no number of right statements makes up for."""

from __future__ import annotations

import pytest

from cxr_rewards.components.findings_soft_f1 import FindingsSoftF1
from cxr_rewards.components.worst_error import WorstError
from cxr_rewards.core.engine import Engine
from cxr_rewards.errors import ConfigError
from cxr_rewards.testing import check_component
from cxr_rewards.types import Case

AROUND = (
    "Mild cardiomegaly. Small left effusion. Atelectasis at both bases. Old rib fracture. Scoliosis. PICC in the SVC."
)


def value(candidate, reference, **settings):
    return WorstError(**settings).score(candidate, reference).value


def test_conforms_with_other_settings():
    check_component(WorstError(possible_weight=1.0, benign_weight=0.0))


@pytest.mark.parametrize(
    ("candidate", "reference", "expected", "kind"),
    [
        ("Cardiomegaly.", "Cardiomegaly. Right pneumothorax.", 1.0, "missed"),
        ("Cardiomegaly. No pneumothorax.", "Cardiomegaly. Right pneumothorax.", 1.0, "missed"),
        ("Cardiomegaly. Right pneumothorax.", "Cardiomegaly.", 1.0, "false"),
        ("Cardiomegaly. Left effusion.", "Cardiomegaly.", 0.5, "false"),
        ("Cardiomegaly. Possible left effusion.", "Cardiomegaly.", 0.4, "false"),
        ("Cardiomegaly. Scoliosis.", "Cardiomegaly.", 0.05, "false"),
        ("Left pneumothorax.", "Right pneumothorax.", 0.5, "differs"),  # the other side: credit 1/2
    ],
)
def test_the_gravest_error_by_hand(candidate, reference, expected, kind):
    score = WorstError().score(candidate, reference)
    assert score.value == pytest.approx(expected)
    assert score.details["error"]["kind"] == kind


def test_no_error_is_zero():
    for text in (AROUND, "Normal chest.", "No change."):
        assert value(text, text) == 0.0
    assert WorstError().score("Normal.", "Clear lungs.").details == {"error": None}


def test_an_error_weighs_the_same_in_a_long_report_where_the_f1_loses_it():
    found, missed = "Right tension pneumothorax.", "Normal ribs."
    short, long = (WorstError().score(f"{around} {missed}", f"{around} {found}") for around in ("", AROUND))
    assert short.value == long.value == 1.0
    diluted = [1 - FindingsSoftF1().score(f"{a} {missed}", f"{a} {found}").value for a in ("", AROUND)]
    assert diluted[1] < diluted[0] / 2


def test_more_right_statements_and_lesser_errors_change_nothing():
    reference = "Right pneumothorax. Left effusion. Cardiomegaly."
    assert value("Cardiomegaly.", reference) == value("Cardiomegaly. Left effusion.", reference) == 1.0


def test_nothing_read_misses_the_gravest_finding():
    assert value("", "Left effusion. Right pneumothorax.") == 1.0
    assert value("", "The lungs are clear.") == 0.0


def test_context_changes_what_an_error_matters():
    case = Case(candidate="Normal chest.", reference="Old rib fracture.", context={"age": "006M"})
    in_a_child = Engine({"worst_error": WorstError()}).run([case])[0][0].value
    assert in_a_child > value("Normal chest.", "Old rib fracture.")


def test_a_reference_without_a_reading_is_unscored():
    assert WorstError().score("Normal.", "asdf").failure.kind == "nothing_to_compare"


@pytest.mark.parametrize(("key", "bad"), [("possible_weight", 1.1), ("benign_weight", 0.3), ("benign_weight", -0.1)])
def test_settings_out_of_range_are_refused(key, bad):
    with pytest.raises(ConfigError, match=f"worst_error: {key} must be .*, got {bad}"):
        WorstError(**{key: bad})
