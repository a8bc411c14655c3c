"""The repetition guard sees loops and spares ordinary reports."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.components.repetition import Repetition
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.errors import ConfigError
from cxr_rewards.types import Case

SHORT = ("No pneumothorax", "No effusion", "No edema", "Clear lungs", "Normal heart")


def repetition(candidate, **settings):
    return Repetition(**settings).score_case(Case(candidate=candidate, reference="Normal."), FeatureTable({}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Normal.",
        "No pleural effusion. No pneumothorax. No focal consolidation. No acute bony abnormality.",
        "FINDINGS: There is no evidence of edema. There is no evidence of pneumonia. IMPRESSION: No evidence of edema.",
        "FINDINGS: No acute cardiopulmonary abnormality. IMPRESSION: No acute cardiopulmonary abnormality.",
        "Opacity on the left. Left effusion. XXXX XXXX nodule. Fractures of ribs 5, 6. A nodule of 5 mm, one of 5 mm.",
        "Pneumonia\nPneumonia",
    ],
)
def test_ordinary_reports_do_not_repeat_themselves(text):
    assert repetition(text).value == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "No pneumothorax. " * 40,
        "the left lung and " * 30,
        "effusion " * 60,
        "There is a small left pleural effusion with adjacent atelectasis. " * 20,
        "\n".join(f"{i}. No pneumothorax." for i in range(40)),
    ],
)
def test_loops_score_near_one(text):
    assert repetition(text).value > 0.85


def test_doubled_words_count_by_their_share():
    assert repetition("Left left lung pneumonia pneumonia.").value == 2 / 5
    assert repetition("Pneumonia pneumonia pneumonia left left effusion effusion").value == 4 / 7
    assert repetition("A small small effusion lies at the left base, and the heart is normal.").value == 1 / 14


def test_short_sentences_in_changing_order_are_seen():
    chance = random.Random(1)
    score = repetition(". ".join(chance.choice(SHORT) for _ in range(60)))
    assert score.value == score.details["sentences"] > 0.8


def test_a_loop_after_a_good_start_is_weighed_by_its_share():
    start = "The heart is mildly enlarged, and both hila look full; a pacemaker lies on the left."
    values = [repetition(start + " No pneumothorax." * times).value for times in (2, 8, 32)]
    assert values[0] == 0.0
    assert values == sorted(values)
    assert 0.3 < values[1] < 0.6 < values[2]


def test_occurrences_beyond_those_allowed_count():
    score = repetition("a b. a b. a b. a b.", n=2, allowed=3)
    # bigrams: "a b" four times, "b a" three times
    assert score.details == {"ngrams": 1 / 7, "sentences": 2 / 8, "doubled": 0.0}
    assert score.value == 0.25
    assert repetition("a b. a b. a b. a b.", n=2, allowed=1).value == pytest.approx(6 / 8)


def test_a_doubled_report_is_seen_where_nothing_may_be_said_twice():
    report = "The lungs are clear. The heart is normal in size. No effusion is seen."
    assert repetition(f"{report} {report}").value == 0.0
    assert repetition(f"{report} {report}", allowed=1).value == pytest.approx(0.5, abs=0.05)


@given(st.text(max_size=200), st.integers(1, 6), st.integers(1, 3))
def test_stays_within_bounds(text, n, allowed):
    assert 0 <= repetition(text, n=n, allowed=allowed).value < 1


@pytest.mark.shared
def test_real_reports_hardly_repeat_themselves(real_reports):
    rows = [row for row in real_reports if row["findings"].strip()]
    for text in ("{findings}", "{findings} {impression}", "FINDINGS: {findings}\nIMPRESSION: {impression}"):
        values = [repetition(text.format(**row)).value for row in rows]
        assert sum(value < 0.05 for value in values) / len(values) >= 0.99
        assert max(values) < 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "repetition: n must be from 1 to 20, got 0"),
        ({"n": 21}, "repetition: n must be from 1 to 20, got 21"),
        ({"allowed": 0}, "repetition: allowed must be at least 1, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Repetition(**settings)


@pytest.mark.parametrize("text", ["a " * 50_000, "." * 100_000, "x" * 100_000, "a. " * 33_000, "\n" * 100_000])
def test_hostile_texts_take_linear_time(text):
    start = time.process_time()
    assert 0 <= repetition(text, n=20).value <= 1
    assert time.process_time() - start < 5
