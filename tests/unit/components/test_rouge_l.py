"""ROUGE-L equals rouge-score's, to the last bit."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from cxr_rewards.components import rouge_l
from cxr_rewards.components.rouge_l import RougeL
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.types import Case

PEERS = {stemmer: RougeScorer(["rougeL"], use_stemmer=stemmer) for stemmer in (True, False)}
STEMS = st.sampled_from(["effus", "consolid", "relat", "y", "die", "s", "opac", "İ", "é", "k", "ﬁ", "9"])
ENDINGS = st.sampled_from(["", "s", "ed", "ing", "ies", "ational", "y", "sses", "ly", "ness", "_", "-", ".", "\n"])
REPORTS = st.lists(st.builds(str.__add__, STEMS, ENDINGS), max_size=12).map(" ".join)


def rouge(candidate, reference, stemmer=True):
    return RougeL(stemmer=stemmer).score_case(Case(candidate=candidate, reference=reference), FeatureTable({}))


def peer(candidate, reference, stemmer=True):
    return PEERS[stemmer].score(reference, candidate)["rougeL"]


@given(REPORTS, REPORTS, st.booleans())
@example("", "", True)
@example("\u212a lung", "k lung", True)  # the Kelvin sign is a k in lower case
def test_equals_rouge_score(candidate, reference, stemmer):
    expected = peer(candidate, reference, stemmer)
    score = rouge(candidate, reference, stemmer)
    assert score.value == expected.fmeasure
    if score.details:
        assert score.details == {"precision": expected.precision, "recall": expected.recall}


@given(st.text(max_size=80), st.text(max_size=80), st.booleans())
def test_equals_rouge_score_on_any_text(candidate, reference, stemmer):
    assert rouge(candidate, reference, stemmer).value == peer(candidate, reference, stemmer).fmeasure


@given(st.text(alphabet="aeiouylstdgnrxz", min_size=4, max_size=60))
def test_words_are_stemmed_as_rouge_score_does(word):
    assert rouge_l._tokens(word, True) == PEERS[True]._tokenizer.tokenize(word)


@pytest.mark.shared
@pytest.mark.parametrize("stemmer", [True, False])
def test_equals_rouge_score_on_real_reports(stemmer, real_reports):
    texts = [row["findings"] for row in real_reports if row["findings"].strip()][:501]
    pairs = list(zip(texts[1:], texts, strict=False))
    assert [rouge(c, r, stemmer).value for c, r in pairs] == [peer(c, r, stemmer).fmeasure for c, r in pairs]


@pytest.mark.parametrize("candidate", ["", " \n", "...", "胸部正常"])
def test_a_text_without_words_is_zero(candidate):
    assert rouge(candidate, "Clear lungs").value == 0.0
    assert rouge("Clear lungs", candidate or ".").value == 0.0


def test_order_counts():
    assert rouge("lungs clear heart normal", "heart normal lungs clear").value == 0.5


def test_the_stemmer_is_a_setting():
    assert rouge("effusions", "effusion").value == 1.0
    assert rouge("effusions", "effusion", stemmer=False).value == 0.0


def test_hostile_words_do_not_fill_the_memory():
    before = rouge_l._stem.cache_info().currsize
    for i in range(50):
        rouge(f"{'x' * 60}{i}", "Clear lungs")
    assert rouge_l._stem.cache_info().currsize <= before + 2  # the words of the reference


@pytest.mark.parametrize(
    "text", ["a " * 50_000, "." * 100_000, "consolidated" * 8000, "y" * 1000, "new effusion " * 7000]
)
def test_hostile_texts_take_linear_time(text):
    rouge("warm", "up")
    start = time.process_time()
    assert 0 <= rouge(text, "A new effusion is seen. The lungs are clear.").value <= 1
    assert time.process_time() - start < 5
