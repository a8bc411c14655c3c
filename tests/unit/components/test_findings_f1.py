import json
import pickle
import statistics
import time
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.findings_f1 import FindingsF1
from cxr_rewards.engine import Engine
from cxr_rewards.errors import ConfigError
from cxr_rewards.features.findings import Findings
from cxr_rewards.types import Case

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "radpref_dev.jsonl"
SICK = "The heart is enlarged. Small left pleural effusion. No pneumothorax."
NORMAL = "The lungs are clear. The heart is normal in size. No pleural effusion or pneumothorax."


def value(candidate, reference, **settings):
    return FindingsF1(**settings).score(candidate, reference).value


@pytest.mark.parametrize("text", [SICK, NORMAL, "Possible pneumonia.", "Rotated patient.", "Left and right effusions."])
def test_identical_texts_score_one(text):
    assert value(text, text) == 1.0


def test_normal_in_other_words_scores_one():
    assert value("No acute cardiopulmonary disease.", NORMAL) == 1.0
    assert value(NORMAL, "Unremarkable chest radiograph.") == 1.0


def test_same_findings_in_other_words_score_one():
    assert value("Cardiomegaly. There is a small effusion on the left.", SICK) == 1.0


def test_formula():
    # findings: cardiomegaly (1) in both; effusion (1) in the reference alone, denied by the candidate
    assert value("Cardiomegaly. No effusion.", SICK) == pytest.approx((2 + 0.5) / (3 + 1 + 0.5))
    assert value("Cardiomegaly.", SICK) == pytest.approx((2 + 0.5) / (3 + 0.5))
    assert value("Cardiomegaly.", SICK, normal_weight=0.0) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "candidate", ["", "  \n", "asdf qwerty", "Le patient se porte bien.", "\u80ba\u90e8\u6b63\u5e38"]
)
def test_a_candidate_that_says_nothing_scores_zero(candidate):
    assert value(candidate, NORMAL) == 0.0
    assert value(candidate, SICK) == 0.0


def test_a_reference_that_says_nothing_is_unscored():
    score = FindingsF1().score(NORMAL, "asdf qwerty")
    assert score.value is None
    assert str(score.failure) == "findings_f1: no finding and no normal statement in the reference"


def test_normal_boilerplate_scores_low_against_findings():
    assert value(NORMAL, SICK) < 0.2 < value("Cardiomegaly.", SICK)


def test_each_false_finding_costs_more():
    worse = ["", " Left effusion.", " Left effusion. Nodule.", " Left effusion. Nodule. Rib fracture."]
    scores = [value("The aorta is normal." + more, NORMAL) for more in worse]
    assert scores[0] == 1.0
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)
    assert scores[-1] > 0


def test_denying_a_finding_costs_more_than_leaving_it_out():
    assert value("Cardiomegaly. No pleural effusion.", SICK) < value("Cardiomegaly.", SICK)
    assert value("Cardiomegaly. No pleural effusion.", SICK, denial_cost=0.0) == value("Cardiomegaly.", SICK)


def test_a_clear_lung_denies_every_kind_of_opacity():
    assert FindingsF1().score("The lungs are clear.", "Pneumonia.").details["contradicted"] == ["pneumonia"]
    assert FindingsF1().score("The right lung is clear.", "Left pneumonia.").details["contradicted"] == []


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
    ],
)
def test_nearer_is_better(better, worse, reference):
    assert value(better, reference) > value(worse, reference)


def test_a_finding_named_twice_counts_once():
    assert value("Opacity, consistent with pneumonia. Pneumonia.", "Pneumonia.") == 1.0


def test_boilerplate_denials_do_not_pay():
    assert value("Cardiomegaly. No pneumothorax. No fracture. No mass.", SICK) == value("Cardiomegaly.", SICK)


def test_details_name_the_findings():
    score = FindingsF1().score("Cardiomegaly. No effusion. Rib fracture.", SICK)
    assert json.loads(json.dumps(score.details)) == {
        "matched": ["cardiomegaly"],
        "missed": ["pleural_effusion"],
        "false": ["rib_fracture"],
        "contradicted": ["pleural_effusion"],
    }


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("possible_credit", 1.1),
        ("related_credit", -0.1),
        ("side_credit", 2.0),
        ("denial_cost", -1.0),
        ("normal_weight", float("inf")),
        ("normal_weight", float("nan")),
    ],
)
def test_settings_out_of_range_are_refused(key, bad):
    with pytest.raises(ConfigError, match=rf"findings_f1: {key} must be .*, got {bad}"):
        FindingsF1(**{key: bad})


def test_every_setting_enters_the_signature():
    base = FindingsF1()
    assert len({base.signature, *(FindingsF1(**{key: 0.25}).signature for key in base.settings())}) == 6
    assert "findings/1" in base.signature


def test_normal_pair_scores_one_without_normal_weight():
    assert value("Normal chest.", NORMAL, normal_weight=0.0) == 1.0


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
            "asdf.",
            "Atelectasis or scarring.",
            "Bilateral effusions.",
        ]
    ),
    max_size=6,
).map(" ".join)


@given(PHRASES, PHRASES.filter(lambda text: text not in ("", "asdf.") and set(text.split()) != {"asdf."}))
def test_scores_are_symmetric_and_in_bounds(candidate, reference):
    one = value(candidate, reference)
    assert 0.0 <= one <= 1.0
    if candidate.replace("asdf.", "").strip():
        assert one == pytest.approx(value(reference, candidate))


def test_feature_survives_a_cache_on_disk():
    feature = Findings()
    found = feature.compute([SICK, ""], None)
    stored = json.loads(json.dumps([feature.encode(one) for one in found]))
    assert [feature.decode(one) for one in stored] == found
    assert pickle.loads(pickle.dumps(FindingsF1(side_credit=0.3))) == FindingsF1(side_credit=0.3)


def test_scoring_a_case_takes_well_under_a_millisecond():
    cases = [Case(candidate=SICK, reference=f"{SICK} {NORMAL}")] * 1000
    begin = time.perf_counter()
    Engine({"findings_f1": FindingsF1()}).run(cases)
    assert time.perf_counter() - begin < 0.5


def _tau_b(xs, ys):
    agree = x_ties = y_ties = pairs = 0
    for (x1, y1), (x2, y2) in combinations(list(zip(xs, ys, strict=True)), 2):
        sign = (x1 > x2) - (x1 < x2), (y1 > y2) - (y1 < y2)
        agree += sign[0] * sign[1]
        x_ties += sign[0] == 0
        y_ties += sign[1] == 0
        pairs += 1
    return agree / ((pairs - x_ties) * (pairs - y_ties)) ** 0.5


@pytest.mark.skipif(not DATA.exists(), reason="the rated reports are not here")
def test_agrees_with_radiologists_better_than_word_overlap():
    rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    cases = [Case(candidate=row["candidate"], reference=row["reference"]) for row in rows]
    scores = [scores[0].value for scores in Engine({"findings_f1": FindingsF1()}).run(cases)]
    assert None not in scores
    assert _tau_b(scores, [statistics.mean(row["ratings"]) for row in rows]) > 0.6  # ROUGE-L on the same: .50


def test_a_kind_takes_the_side_of_the_general_finding_it_replaces():
    reference = "Right opacity, suspicious for pneumonia."
    same = FindingsF1().score("Opacity, suspicious for pneumonia in the right lung.", reference).value
    other = FindingsF1().score("Opacity, suspicious for pneumonia in the left lung.", reference).value
    assert same == 1.0
    assert other < 0.8
