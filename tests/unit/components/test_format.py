"""The format guard asks for the sections of its profile, with words in them."""

from __future__ import annotations

import time

import pytest

from cxr_rewards.components.format import Format
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.errors import ConfigError
from cxr_rewards.types import Case

ORDER = "once each, findings first"
BOTH = "FINDINGS: The lungs are clear.\nIMPRESSION: Normal chest."


def form(candidate, profile="findings_impression"):
    return Format(profile=profile).score_case(Case(candidate=candidate, reference="Normal."), FeatureTable({}))


@pytest.mark.parametrize(
    "text",
    [
        BOTH,
        "**Findings:** The lungs are clear.\n\n**Impression:** Normal chest.",
        "## Findings\nThe lungs are clear.\n## Impression\nNormal chest.",
        "TECHNIQUE: Two views.\nFINDINGS: The lungs are clear.\nIMPRESSION: 1. Normal chest.",
    ],
)
def test_a_report_in_form_scores_one(text):
    score = form(text)
    assert (score.value, score.details) == (1.0, {"unmet": []})


@pytest.mark.parametrize(
    ("text", "unmet"),
    [
        ("", ["findings", "impression", ORDER]),
        ("The lungs are clear.", ["findings", "impression", ORDER]),
        ("FINDINGS: The lungs are clear.", ["impression", ORDER]),
        ("IMPRESSION: Normal chest.", ["findings", ORDER]),
        ("FINDINGS: IMPRESSION:", ["findings", "impression"]),
        ("FINDINGS: . IMPRESSION: .", ["findings", "impression"]),
        ("FINDINGS: 1. IMPRESSION: 2.", ["findings", "impression"]),
        ("FINDINGS: The lungs are clear. IMPRESSION:", ["impression"]),
        ("IMPRESSION: Normal chest.\nFINDINGS: The lungs are clear.", [ORDER]),
        (f"{BOTH}\n{BOTH}", [ORDER]),
        ("FINDINGS AND IMPRESSION: Normal chest.", ["findings", "impression", ORDER]),
    ],
)
def test_each_unmet_condition_costs_a_third(text, unmet):
    score = form(text)
    assert score.details == {"unmet": unmet}
    assert score.value == pytest.approx(1 - len(unmet) / 3)


@pytest.mark.parametrize("profile", ["findings_impression", "findings", "impression", "free"])
@pytest.mark.parametrize("text", ["", " \n\t", "...", "1. 2. 3."])
def test_a_text_without_words_never_scores_one(text, profile):
    assert form(text, profile).value == 0.0


@pytest.mark.parametrize(
    ("text", "findings", "impression"),
    [
        ("The lungs are clear.", 1.0, 1.0),
        ("FINDINGS: The lungs are clear.", 1.0, 0.0),
        ("IMPRESSION: Normal chest.", 0.0, 1.0),
        (BOTH, 0.5, 0.5),
        ("The lungs are clear. IMPRESSION: Normal.", 0.5, 1.0),
        ("The lungs are clear. IMPRESSION:", 0.5, 1.0),
        ("TECHNIQUE: Two views.", 0.0, 0.0),
        ("FINDINGS AND IMPRESSION: Normal chest.", 0.0, 0.0),
        ("FINDINGS: .", 0.0, 0.0),
    ],
)
def test_profiles_of_one_section_take_it_with_or_without_heading_and_not_the_other(text, findings, impression):
    assert form(text, "findings").value == findings
    assert form(text, "impression").value == impression


@pytest.mark.parametrize("text", ["Normal.", BOTH, "IMPRESSION: Normal.", "正常"])
def test_free_takes_any_words(text):
    assert form(text, "free").value == 1.0


def test_an_unknown_profile_is_refused():
    known = "findings_impression, findings, impression, free"
    with pytest.raises(ConfigError, match=f"format: profile must be one of {known}, got 'finding'"):
        Format(profile="finding")


@pytest.mark.shared
def test_real_reports_with_headings_are_in_form(real_reports):
    rows = [row for row in real_reports if row["findings"].strip() and row["impression"].strip()]
    labelled = [form(f"FINDINGS: {row['findings']}\nIMPRESSION: {row['impression']}").value == 1.0 for row in rows]
    assert sum(labelled) / len(rows) > 0.995
    assert sum(form(row["findings"], "findings").value == 1.0 for row in rows) / len(rows) > 0.995
    assert not any(form(row["findings"]).value == 1.0 for row in rows)


@pytest.mark.parametrize("text", ["FINDINGS: " * 10_000, "IMPRESSION: x. FINDINGS: y. " * 3500, ":" * 100_000])
def test_hostile_texts_take_linear_time(text):
    start = time.process_time()
    assert form(text).value < 1
    assert time.process_time() - start < 5
