"""The length guard: a band that costs nothing, and a symmetric fall outside it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.length import Length
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.errors import ConfigError
from cxr_rewards.types import Case


def length(words, reference_words, **settings):
    case = Case(candidate="clear " * words, reference="lungs " * reference_words)
    return Length(**settings).score_case(case, FeatureTable({})).value


@pytest.mark.parametrize(
    ("words", "reference_words", "value"),
    [
        (60, 60, 1),
        (90, 60, 1),
        (40, 60, 1),
        (180, 60, 0.5),
        (20, 60, 0.5),
        (360, 60, 1 / 16),
        (10, 60, 1 / 16),
        (0, 60, 0),
    ],
)
def test_falls_as_documented(words, reference_words, value):
    assert length(words, reference_words) == pytest.approx(value, abs=1e-12)


@given(st.integers(1, 500), st.integers(1, 500))
def test_longer_and_shorter_count_the_same(a, b):
    assert length(a, b) == pytest.approx(length(b, a), abs=1e-12)


def test_falls_steadily_and_without_a_jump():
    values = [length(words, 100) for words in range(100, 2000)]
    assert all(a >= b for a, b in itertools.pairwise(values))
    assert max(a - b for a, b in itertools.pairwise(values)) < 0.01
    assert values[-1] < 0.001


def test_settings_move_the_band_and_the_fall():
    assert length(19, 10, tolerance=2.0) == 1.0
    assert length(11, 10, tolerance=1.0) < 1.0
    assert length(40, 10, tolerance=1.0, halving=4.0) == pytest.approx(0.5)


def test_a_text_of_any_length_is_scored():
    assert 0 <= length(50_000, 1) < 1e-12
    assert 0 <= length(1, 50_000) < 1e-12
    assert length(1, 50_000, halving=1.0000001) == 0.0


def test_details_hold_both_lengths():
    assert Length().score("Clear lungs.", "The lungs are\nclear.").details == {"words": 2, "reference_words": 4}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tolerance": 0.9}, "length: tolerance must be a finite number of at least 1, got 0.9"),
        ({"tolerance": float("nan")}, "length: tolerance must be a finite number of at least 1, got nan"),
        ({"halving": 1.0}, "length: halving must be a finite number above 1, got 1.0"),
        ({"halving": float("inf")}, "length: halving must be a finite number above 1, got inf"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Length(**settings)
