"""The copying guard sees an earlier report written out again, and nothing else."""

from __future__ import annotations

import statistics
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.copy_prior import CopyPrior
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.errors import ConfigError
from cxr_rewards.types import Case

PRIOR = "Large right pleural effusion with collapse of the lower lobe. The heart cannot be assessed."
REFERENCE = "The right effusion has been drained; the lung is expanded. Heart size is normal. No pneumothorax."
REPORTS = st.lists(st.sampled_from(["no", "left", "effusion", "stable", "the", "."]), max_size=12).map(" ".join)


def copied(candidate, reference, *priors, **settings):
    case = Case(candidate=candidate, reference=reference, priors=priors)
    return CopyPrior(**settings).score_case(case, FeatureTable({}))


def test_a_prior_written_out_again_scores_one():
    score = copied(PRIOR, REFERENCE, PRIOR)
    assert score.value == 1.0
    assert score.details == {"prior": 0, "copied": 12, "of": 12}


def test_case_and_punctuation_do_not_hide_a_copy():
    assert copied(PRIOR.upper().replace(".", ";\n"), REFERENCE, PRIOR).value == 1.0


@given(REPORTS, REPORTS)
def test_the_right_report_copies_nothing(report, prior):
    assert copied(report, report, prior).value == 0.0


@given(REPORTS, REPORTS)
def test_copying_is_right_where_nothing_changed(candidate, prior):
    assert copied(candidate, prior, prior).value == 0.0


def test_no_priors_copies_nothing():
    assert copied(PRIOR, REFERENCE).value == 0.0


@pytest.mark.parametrize("candidate", ["", " \n", "..."])
def test_an_empty_candidate_copies_nothing(candidate):
    assert copied(candidate, REFERENCE, PRIOR).value == 0.0


def test_own_words_copy_nothing():
    assert copied("The effusion on the right is gone after drainage.", REFERENCE, PRIOR, "").value == 0.0


def test_phrases_that_the_reference_uses_too_are_free():
    shared = "The heart is normal in size. No pneumothorax is seen."
    assert copied(shared, f"{shared} The effusion is gone.", f"{shared} Large effusion.").value == 0.0


def test_the_share_of_copied_text_counts():
    own = "A drain now lies at the right base and only a trace of fluid is left there."
    value = copied(f"{own} {PRIOR}", REFERENCE, PRIOR).value
    assert 0.3 < value < 0.5


def test_the_prior_that_was_copied_is_found_among_several():
    score = copied(PRIOR, REFERENCE, "Clear lungs.", PRIOR, "Normal chest.")
    assert score.value == 1.0
    assert score.details["prior"] == 1


def test_a_candidate_shorter_than_the_ngrams_is_compared_whole():
    assert copied("Large effusion.", "No effusion.", "Large effusion.").value == 1.0
    assert copied("Large effusion.", "Large effusion, unchanged.", "Large effusion.").value == 0.0


@given(REPORTS, REPORTS, st.lists(REPORTS, max_size=3), st.integers(1, 6))
def test_is_the_share_of_distinct_ngrams(candidate, reference, priors, n):
    def grams(text):
        words = text.replace(".", " ").split()
        return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}

    size = min(n, len(candidate.replace(".", " ").split()))
    own = grams(candidate) if size else set()
    expected = max((len((own & grams(p)) - grams(reference)) / len(own) for p in priors), default=0) if own else 0
    assert copied(candidate, reference, *priors, n=n).value == expected


@pytest.mark.shared
def test_real_reports_of_other_patients_are_no_copies_of_each_other(real_reports):
    texts = [row["findings"] for row in real_reports if row["findings"].strip()]
    triples = list(zip(texts, texts[1:], texts[2:], strict=False))
    honest = [copied(c, r, p).value for c, r, p in triples]
    copies = [copied(p, r, p).value for _, r, p in triples]
    assert statistics.mean(honest) < 0.05
    assert statistics.quantiles(copies, n=20)[0] > 0.8


@pytest.mark.parametrize("n", [0, 21])
def test_settings_out_of_range_are_refused(n):
    with pytest.raises(ConfigError, match=f"copy_prior: n must be from 1 to 20, got {n}"):
        CopyPrior(n=n)


@pytest.mark.parametrize("text", ["a " * 50_000, "." * 100_000, "x" * 100_000])
def test_hostile_texts_take_linear_time(text):
    start = time.process_time()
    assert copied(text, REFERENCE, PRIOR, text[::-1], n=20).value <= 1
    assert time.process_time() - start < 5
