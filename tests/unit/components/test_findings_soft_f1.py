"""Soft F1: findings matched, weighed by significance, with partial credit for what differs."""

from __future__ import annotations

import json
import pickle
import statistics
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.findings_soft_f1 import FindingsSoftF1
from cxr_rewards.components.rouge_l import RougeL
from cxr_rewards.core.engine import Engine
from cxr_rewards.errors import ConfigError
from cxr_rewards.testing import check_component
from cxr_rewards.types import Case

SICK = "The heart is enlarged. Small left pleural effusion. No pneumothorax."  # 0.5 and 0.5
NORMAL = "The lungs are clear. The heart is normal in size. No pleural effusion or pneumothorax."
N = FindingsSoftF1().normal_weight
DENIED = FindingsSoftF1().denial_cost
POSSIBLE = FindingsSoftF1().possible_weight
BENIGN = FindingsSoftF1().benign_weight


def value(candidate, reference, **settings):
    return FindingsSoftF1(**settings).score(candidate, reference).value


def in_context(candidate, reference, **context):
    case = Case(candidate=candidate, reference=reference, context=context)
    return Engine({"findings_soft_f1": FindingsSoftF1()}).run([case])[0][0].value


def test_conforms_with_other_settings():
    check_component(FindingsSoftF1(normal_weight=0.0, denial_cost=0.0, possible_weight=1.0, benign_weight=0.0))


@pytest.mark.parametrize("text", [SICK, NORMAL, "Possible pneumonia.", "Rotated patient.", "Left and right effusions."])
def test_identical_texts_score_one(text):
    assert value(text, text) == 1.0


def test_other_words_for_the_same_score_one():
    assert value("No acute cardiopulmonary disease.", NORMAL) == 1.0
    assert value("Cardiomegaly. There is a small effusion on the left.", SICK) == 1.0


# ---------------------------------------------------------------- the formula by hand


@pytest.mark.parametrize(
    ("candidate", "reference", "credit", "weight", "denied"),
    [
        ("Cardiomegaly. Small left effusion.", SICK, 2.0, 2.0, 0.0),
        ("Cardiomegaly.", SICK, 1.0, 1.5, 0.0),
        ("Cardiomegaly. No effusion.", SICK, 1.0, 1.5, 0.5),
        ("Cardiomegaly. Small right effusion.", SICK, 1 + 1 / 2, 2.0, 0.0),  # the other side: cost 0.5
        ("Cardiomegaly. Moderate left effusion.", SICK, 1 + 1 / 1.5, 2.0, 0.0),  # cost 0.25
        ("Cardiomegaly. Left effusion.", SICK, 1 + 1 / 1.125, 2.0, 0.0),  # cost 0.0625
        ("Cardiomegaly. Small left effusion. Pneumothorax.", SICK, 2.0, 3.0, 0.0),
        (NORMAL, SICK, 0.0, 1.0, 1.0),
        ("Pneumothorax.", NORMAL, 0.0, 1.0, 0.0),
        ("Possible pneumonia.", NORMAL, 0.0, 0.5 * POSSIBLE, 0.0),
        ("Scoliosis.", NORMAL, 0.0, BENIGN, 0.0),
        ("Cardiomegaly. The heart is normal.", "Cardiomegaly.", 0.0, 1.0, 0.5),  # told and denied: missed and false
        ("Left effusion. Normal chest radiograph.", "Left effusion.", 1.0, 1.0, 0.5),
        ("Acute rib fracture.", "Old rib fracture.", 2 * BENIGN, 0.5 + BENIGN, 0.0),  # the lesser weight twice
        ("Old rib fracture.", "Acute rib fracture.", 2 * BENIGN, 0.5 + BENIGN, 0.0),
    ],
)
def test_formula(candidate, reference, credit, weight, denied):
    score = FindingsSoftF1().score(candidate, reference)
    assert score.details == pytest.approx({"credit": credit, "weight": weight, "denied": denied})
    assert score.value == pytest.approx((credit + N) / (weight + DENIED * denied + N))


def test_without_the_rest_of_the_image_and_denials_it_is_the_f1():
    plain = {"normal_weight": 0.0, "denial_cost": 0.0}
    assert value("Cardiomegaly. No effusion.", SICK, **plain) == pytest.approx(2 * 1 / 3)
    assert value("Cardiomegaly. Edema.", SICK, **plain) == pytest.approx(2 * 1 / 4)
    assert value(NORMAL, SICK, **plain) == 0.0


def test_settings_change_the_weights():
    assert value("Possible pneumonia.", NORMAL, possible_weight=0.0) == 1.0
    assert value("Possible pneumonia.", NORMAL, possible_weight=1.0) == pytest.approx(N / (0.5 + N))
    assert value("Scoliosis.", NORMAL, benign_weight=0.0) == 1.0
    assert value("Scoliosis.", NORMAL, benign_weight=0.25) == pytest.approx(N / (0.25 + N))
    assert value(NORMAL, SICK, denial_cost=2.0) == pytest.approx(N / (1 + 2 + N))
    assert value(NORMAL, SICK, normal_weight=1.0) == pytest.approx(1 / (1 + DENIED + 1))


# ---------------------------------------------------------------- nothing read, nothing of weight


@pytest.mark.parametrize(
    "candidate", ["", "  \n", "asdf qwerty", "Le patient se porte bien.", "\u80ba\u90e8\u6b63\u5e38"]
)
@pytest.mark.parametrize("reference", [NORMAL, SICK])
def test_a_candidate_that_says_nothing_scores_zero(candidate, reference):
    assert value(candidate, reference) == 0.0


def test_a_reference_that_says_nothing_is_unscored():
    score = FindingsSoftF1().score(NORMAL, "asdf qwerty")
    assert score.value is None
    assert str(score.failure) == "findings_soft_f1: no finding and no normal statement in the reference"


@pytest.mark.parametrize("normal_weight", [0.0, 0.25])
def test_two_reports_without_a_finding_of_weight_score_one(normal_weight):
    assert value("Normal chest.", NORMAL, normal_weight=normal_weight) == 1.0
    assert value("Scoliosis.", NORMAL, normal_weight=normal_weight, benign_weight=0.0) == 1.0


# ---------------------------------------------------------------- better and worse


def test_normal_boilerplate_scores_low_against_findings():
    assert value(NORMAL, SICK) < 0.2 < value("Cardiomegaly.", SICK)


def test_each_false_finding_costs_more_and_never_all():
    worse = ["", " Left effusion.", " Left effusion. Nodule.", " Left effusion. Nodule. Pneumothorax."]
    scores = [value("The aorta is normal." + more, NORMAL) for more in worse]
    assert scores[0] == 1.0
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)
    assert scores[-1] > 0


def test_denying_a_finding_costs_more_than_leaving_it_out():
    assert value("Cardiomegaly. No pleural effusion.", SICK) < value("Cardiomegaly.", SICK)
    assert value("Cardiomegaly. No pleural effusion.", SICK, denial_cost=0.0) == value("Cardiomegaly.", SICK)


def test_a_clear_lung_denies_every_kind_of_opacity_on_its_side():
    assert FindingsSoftF1().score("The lungs are clear.", "Pneumonia.").details["denied"] == 0.5
    assert FindingsSoftF1().score("The right lung is clear.", "Left pneumonia.").details["denied"] == 0.0


@pytest.mark.parametrize(
    ("better", "worse", "reference"),
    [
        ("Pneumonia.", "Consolidation.", "Pneumonia."),
        ("Consolidation.", "Pneumothorax.", "Pneumonia."),
        ("Possible pneumonia.", "No pneumonia.", "Pneumonia."),
        ("Pneumonia.", "Possible pneumonia.", "Pneumonia."),
        ("Left effusion.", "Right effusion.", "Left effusion."),
        ("Bilateral effusions.", "Right effusion.", "Left effusion."),
        ("Effusion.", "Right effusion.", "Left effusion."),
        ("Tortuous aorta.", "Pneumothorax.", "Normal chest."),
        ("Small effusion.", "Large effusion.", "Small effusion."),
    ],
)
def test_nearer_is_better(better, worse, reference):
    assert value(better, reference) > value(worse, reference)


@pytest.mark.parametrize(
    ("plain", "hedge"),
    [
        ("Fracture of the sixth rib.", "Old fracture of the sixth rib."),
        ("Nodule in the right lung.", "Calcified nodule in the right lung."),
        ("Nodule in the right lung.", "Granuloma in the right lung."),
        ("Compression fracture of T8.", "Chronic compression fracture of T8."),
    ],
)
def test_a_word_that_makes_a_guess_harmless_does_not_make_it_cheap(plain, hedge):
    def breaks_even(guess):
        gain = value(guess, plain) - value("Normal heart.", plain)
        loss = 1 - value(f"Normal heart. {guess}", "Normal heart.")
        return loss / (loss + gain)

    assert breaks_even(hedge) > breaks_even(plain) > 0.4


def test_boilerplate_denials_do_not_pay():
    assert value("Cardiomegaly. No pneumothorax. No fracture. No mass.", SICK) == value("Cardiomegaly.", SICK)


def test_a_finding_named_twice_counts_once():
    assert value("Opacity, consistent with pneumonia. Pneumonia.", "Pneumonia.") == 1.0


def test_a_kind_takes_the_side_of_the_general_finding_it_replaces():
    reference = "Right opacity, suspicious for pneumonia."
    assert value("Opacity, suspicious for pneumonia in the right lung.", reference) == 1.0
    assert value("Opacity, suspicious for pneumonia in the left lung.", reference) < 0.8


def test_context_changes_what_a_finding_matters():
    old = "Old rib fracture."
    assert in_context(NORMAL, old, age="006M") < in_context(NORMAL, old, age=60) < 1.0


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("normal_weight", -0.1),
        ("normal_weight", float("inf")),
        ("normal_weight", float("nan")),
        ("denial_cost", -1.0),
        ("denial_cost", float("inf")),
        ("possible_weight", 1.1),
        ("possible_weight", -0.1),
        ("benign_weight", 0.3),
        ("benign_weight", -0.1),
    ],
)
def test_settings_out_of_range_are_refused(key, bad):
    with pytest.raises(ConfigError, match=rf"findings_soft_f1: {key} must be .*, got {bad}"):
        FindingsSoftF1(**{key: bad})


def test_every_setting_enters_the_signature():
    base = FindingsSoftF1()
    assert len({base.signature, *(FindingsSoftF1(**{key: 0.2}).signature for key in base.settings())}) == 5
    assert pickle.loads(pickle.dumps(FindingsSoftF1(denial_cost=0.3))) == FindingsSoftF1(denial_cost=0.3)


PHRASES = st.lists(
    st.sampled_from(
        [
            "Cardiomegaly.",
            "No effusion.",
            "Left effusion.",
            "Possible pneumonia.",
            "Lungs are clear.",
            "Right opacity.",
            "Rib fracture.",
            "Rotated.",
            "Normal chest.",
            "Atelectasis or scarring.",
            "Bilateral effusions.",
        ]
    ),
    min_size=1,
    max_size=6,
).map(" ".join)


@given(PHRASES, PHRASES)
def test_scores_are_in_bounds_and_details_are_data(candidate, reference):
    score = FindingsSoftF1().score(candidate, reference)
    assert 0.0 <= score.value <= 1.0
    assert json.loads(json.dumps(score.details)) == score.details
    assert score.value <= value(reference, reference)


# ---------------------------------------------------------------- radiologists


def _tau_b(xs, ys):
    agree = x_ties = y_ties = pairs = 0
    for (x1, y1), (x2, y2) in combinations(list(zip(xs, ys, strict=True)), 2):
        sign = (x1 > x2) - (x1 < x2), (y1 > y2) - (y1 < y2)
        agree += sign[0] * sign[1]
        x_ties += sign[0] == 0
        y_ties += sign[1] == 0
        pairs += 1
    return agree / ((pairs - x_ties) * (pairs - y_ties)) ** 0.5


@pytest.mark.shared
def test_agrees_with_radiologists_better_than_word_overlap(shared_data):
    lines = (shared_data / "radpref_dev.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    cases = [Case(candidate=row["candidate"], reference=row["reference"]) for row in rows]
    ratings = [statistics.mean(row["ratings"]) for row in rows]
    scored = Engine({"findings_soft_f1": FindingsSoftF1(), "rouge_l": RougeL()}).run(cases)
    ours, overlap = ([scores[i].value for scores in scored] for i in (0, 1))
    assert None not in ours
    assert _tau_b(ours, ratings) > 0.6
    assert _tau_b(ours, ratings) > _tau_b(overlap, ratings) + 0.1


def test_a_candidate_that_only_compares_says_nothing_of_the_image():
    assert (
        FindingsSoftF1().score("Stable. No interval change.", "The lungs are clear. The heart is normal.").value == 0.0
    )
    assert FindingsSoftF1().score("No interval change.", "No interval change.").value == 1.0
