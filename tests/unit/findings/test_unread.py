"""A reading knows which sentences and words it did not understand."""

from __future__ import annotations

import pytest

from cxr_rewards.components.findings_soft_f1 import FindingsSoftF1
from cxr_rewards.errors import ConfigError
from cxr_rewards.findings import read, reading
from cxr_rewards.findings.unread import build


def shown(text, spans):
    return [text[start:end] for start, end in spans]


def test_a_sentence_of_which_nothing_is_read_is_unread():
    text = "FINDINGS: The heart is enlarged. There is zanzibar in the left base. No effusion."
    found = reading(text)
    assert shown(text, found.unread) == ["There is zanzibar in the left base."]
    assert found.sentences == 3
    assert found.unread_share == pytest.approx(1 / 3)
    assert found.findings == read(text)


@pytest.mark.parametrize(
    "aside",
    [
        "PA and lateral views of the chest were obtained.",
        "The findings were discussed with Dr. XXXX by telephone.",
        "Clinical correlation is recommended.",
        "CT may be helpful for further evaluation.",
        "Left knee.",
        "Chest.",
        "Comparison is made with the prior study.",
        "XXXX XXXX the XXXX.",
        "The XXXX are normal.",
        "History of pneumonia.",
        "This may be due to technique.",
        "2 images.",
    ],
)
def test_technique_communication_advice_and_titles_are_not_unread(aside):
    assert not reading(f"The heart is enlarged. {aside}").unread


def test_a_strange_word_makes_an_aside_unread():
    text = "The patient has Zanzibar changes in the apex."
    assert shown(text, reading(text).unread) == [text]


def test_words_that_no_report_has_are_strange_and_misspellings_are_not():
    text = "Gorge bunny 55 xanthol quartz. Pnuemothorax. Nonobstructive, patchy oedema; the patient's lungs."
    assert shown(text, reading(text).strange) == ["Gorge", "bunny", "xanthol", "quartz"]


def test_strange_words_that_look_like_clinical_terms_are_clinical():
    text = "Small effusion with pleurofibrotitis."
    assert shown(text, reading(text).clinical) == ["pleurofibrotitis"]


def test_sections_that_are_not_read_are_not_unread():
    assert reading("INDICATION: zanzibar fever. FINDINGS: No effusion.").sentences == 1


def test_labels_and_table_rows_count_as_sentences():
    text = "| Effusion | none |\n| Edema | N/A |\nZanzibar: present\nHeart: normal."
    found = reading(text)
    assert (found.sentences, len(found.unread)) == (3, 1)


@pytest.mark.parametrize("text", ["", " ", "\n", "...", "| | |"])
def test_a_text_without_sentences_has_no_unread_share(text):
    assert reading(text).unread_share == 0.0


def test_a_component_that_reads_findings_tells_what_was_not_understood():
    reference = "The heart is enlarged. There is zanzibar in the left base."
    score = FindingsSoftF1().score("The heart is enlarged.", reference)
    assert score.details["unread"] == {"reference": {"sentences": 2, "unread": [[23, 58]], "words": []}}


def test_details_do_not_mention_what_was_all_understood():
    assert "unread" not in FindingsSoftF1().score("The heart is enlarged.", "No effusion.").details


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"aside": {}}, "unread.toml: unknown key 'aside'"),
        ({"asides": {"technique": "view"}}, "unread.toml: asides.technique: expected a list of texts, got 'view'"),
        ({"asides": {"technique": ["(view"]}}, "unread.toml: asides.technique: "),
        ({"ordinary": {"grammar": [1]}}, "unread.toml: ordinary.grammar: expected a list of texts"),
    ],
)
def test_a_mistake_in_the_data_is_reported_with_its_place(raw, message):
    with pytest.raises(ConfigError, match="unread.toml") as error:
        build(raw)
    assert message in str(error.value)
