"""Temporal F1: formula, edge values, and which words count."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.temporal_f1 import KEYWORDS, TemporalF1
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.types import Case

SETS = st.frozensets(st.sampled_from(sorted(KEYWORDS)), max_size=6)


def temporal(candidate, reference):
    return TemporalF1().score_case(Case(candidate=candidate, reference=reference), FeatureTable({}))


def found(text):
    """The words of change that a text, as its own reference, is found to hold."""
    return temporal(text, text).details["shared"]


@given(SETS, SETS.filter(bool))
def test_is_the_f1_of_sets_up_to_epsilon(candidate, reference):
    score = temporal(" ".join(candidate), " ".join(reference))
    expected = 2 * len(candidate & reference) / (len(candidate) + len(reference))
    assert score.value == pytest.approx(expected, abs=1e-9)
    assert score.details == {
        "shared": sorted(candidate & reference),
        "missed": sorted(reference - candidate),
        "extra": sorted(candidate - reference),
    }


def test_epsilon_is_where_upstream_has_it():
    e = 1e-10
    precision, recall = (1 + e) / (2 + e), (1 + e) / (3 + e)
    expected = 2 * precision * recall / (precision + recall + e)
    assert temporal("New, stable.", "New and larger; worse.").value == expected


def test_no_word_of_change_on_either_side_is_agreement():
    assert temporal("Clear lungs.", "Normal heart.").value == 1.0


def test_words_of_change_that_the_reference_lacks_score_epsilon():
    assert temporal("New effusion.", "Small effusion.").value == 1e-10
    assert temporal("New, larger, worse.", "Small effusion.").value == 1e-10


@pytest.mark.parametrize("candidate", ["", "Small effusion.", "Stable effusion."])
def test_missing_the_words_of_change_is_all_but_zero(candidate):
    assert 0 < temporal(candidate, "New effusion.").value < 1e-9


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("NEW effusion, Stable heart", ["new", "stable"]),
        ("newly seen; renewed; unstable; changes", []),
        ("new-onset, _worse_ (larger) stable/unchanged", ["larger", "new", "stable", "unchanged", "worse"]),
        ("new2 2new", []),
        ("new new new", ["new"]),
    ],
)
def test_whole_words_count_in_any_case(text, words):
    assert found(text) == words


def test_the_list_of_words_is_complete():
    assert len(KEYWORDS) == 44
    assert found(" ".join(KEYWORDS)) == sorted(KEYWORDS)


@pytest.mark.shared
def test_finds_what_one_pattern_a_word_finds_in_real_reports(real_reports):
    patterns = {word: re.compile(rf"(?<![^\W_]){word}(?![^\W_])", re.IGNORECASE) for word in KEYWORDS}
    texts = [row["findings"] for row in real_reports if row["findings"].strip()][:500]
    results = [(found(text), sorted(w for w, p in patterns.items() if p.search(text))) for text in texts]
    assert all(ours == theirs for ours, theirs in results)
    assert sum(bool(ours) for ours, _ in results) > 50


@pytest.mark.parametrize("text", ["new " * 25_000, "-" * 100_000, "n" * 100_000])
def test_hostile_texts_take_linear_time(text):
    start = time.process_time()
    assert 0 <= temporal(text, "New effusion.").value <= 1
    assert time.process_time() - start < 5
