"""BLEU equals ReXrank's numbers and nltk's."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from cxr_rewards.components.bleu import Bleu
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.errors import ConfigError
from cxr_rewards.types import Case

TESTS = Path(__file__).parents[2]
GOLDEN = json.loads((TESTS / "golden" / "bleu.json").read_text(encoding="utf-8"))
SMOOTHING = SmoothingFunction().method1
WORDS = st.lists(
    st.sampled_from(["no", "No", "left", "effusion", "effusion.", ".", "1.2", "a.b", "\n", "ß"]), max_size=14
)


def bleu(candidate, reference, max_order=2):
    return Bleu(max_order=max_order).score_case(Case(candidate=candidate, reference=reference), FeatureTable({})).value


def tokens(text):
    return [token for token in text.lower().replace(".", " .").split(" ") if token]


def nltk_bleu(candidate, reference, max_order=2):
    weights = (1 / max_order,) * max_order
    return sentence_bleu([tokens(reference)], tokens(candidate), weights=weights, smoothing_function=SMOOTHING)


@pytest.mark.parametrize(("candidate", "reference", "value"), GOLDEN["pairs"])
def test_equals_rexrank(candidate, reference, value):
    assert bleu(candidate, reference) == pytest.approx(value, abs=GOLDEN["tolerance"], rel=0)


@given(WORDS.map(" ".join), WORDS.map(" ".join), st.integers(1, 4))
@example("no effusion", "no effusion", 4)  # orders longer than both texts
@example("no no no no", "no effusion", 2)  # a word matches as often as the reference has it
@example("left", "no left effusion", 3)
@example("no left effusion . no", "no", 4)  # the reference is shorter
def test_equals_nltk(candidate, reference, max_order):
    expected = nltk_bleu(candidate, reference, max_order)
    assert bleu(candidate, reference, max_order) == pytest.approx(expected, abs=1e-12, rel=0)


@given(st.text(max_size=60), st.text(max_size=60))
def test_equals_nltk_on_any_text(candidate, reference):
    assert bleu(candidate, reference) == pytest.approx(nltk_bleu(candidate, reference), abs=1e-12, rel=0)


@pytest.mark.shared
@pytest.mark.parametrize("max_order", [1, 2, 4])
def test_equals_nltk_on_real_reports(max_order, real_reports):
    texts = [row["findings"] for row in real_reports if row["findings"].strip()][:1001]
    pairs = list(zip(texts[1:], texts, strict=False))
    deviations = [abs(bleu(c, r, max_order) - nltk_bleu(c, r, max_order)) for c, r in pairs]
    assert len(deviations) == 1000
    assert max(deviations) <= 1e-12


@pytest.mark.parametrize("candidate", ["", " ", "Cardiomegaly", "."])
def test_no_shared_word_is_zero(candidate):
    assert bleu(candidate, "Clear lungs") == 0.0


def test_a_loop_gains_nothing():
    once, often = (bleu("No effusion " * times, "No effusion or edema is seen here") for times in (1, 40))
    assert often < once


def test_details_explain_the_value():
    score = Bleu().score("Clear lungs", "Clear lungs and heart")
    assert score.details == {"precisions": [1.0, 1.0], "brevity_penalty": pytest.approx(0.36787944117144233)}
    assert score.value == pytest.approx(score.details["brevity_penalty"])


def test_references_seen_before_do_not_change_scores():
    pairs = [(f"Clear lungs {i % 7}.", f"The lungs are clear {i % 300}.") for i in range(900)]
    assert [bleu(c, r) for c, r in pairs] == [bleu(c, r) for c, r in reversed(pairs)][::-1]
    assert bleu("Clear lungs.", "Clear lungs.", 1) == bleu("Clear lungs.", "Clear lungs.", 2) == 1.0


@pytest.mark.parametrize("max_order", [0, 5, -1])
def test_an_order_out_of_range_is_refused(max_order):
    with pytest.raises(ConfigError, match=f"bleu: max_order must be 1, 2, 3 or 4, got {max_order}"):
        Bleu(max_order=max_order)


@pytest.mark.parametrize("text", ["a " * 50_000, "." * 100_000, "x" * 100_000, " " * 100_000])
def test_hostile_texts_take_linear_time(text):
    start = time.process_time()
    assert 0 <= bleu(text, "The lungs are clear.", 4) <= 1
    assert time.process_time() - start < 5
