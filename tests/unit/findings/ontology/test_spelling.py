"""One slip in a long word is set right; ordinary words are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.findings import read
from cxr_rewards.findings.ontology.spelling import Spelling

WORDS = ("pneumothorax", "effusion", "consolidation", "pneumonia", "edema", "hemothorax", "tumor", "granuloma")
SPELLING = Spelling(WORDS, ordinary=["infusion", "effusive"])


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("pneumthorax", "pneumothorax"),  # a letter missed
        ("pneumotthorax", "pneumothorax"),  # one more
        ("pneumothorex", "pneumothorax"),  # another
        ("pnuemothorax", "pneumothorax"),  # two swapped
        ("effusoin", "effusion"),
        ("effussion", "effusion"),
        ("pneumona", "pneumonia"),
        ("pneumonias", "pneumonia"),
        ("effusio", "effusion"),
        ("granulom", "granuloma"),
    ],
)
def test_one_slip_is_set_right(word, meant):
    assert SPELLING.correct(word) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [("oedema", "edema"), ("tumour", "tumor"), ("haemothorax", "hemothorax")],
)
def test_british_spelling_is_read_however_short_the_word(word, meant):
    assert SPELLING.correct(word) == meant


@pytest.mark.parametrize(
    "word",
    [
        "effsuoin",  # two slips
        "pneumothroxa",
        "fneumothorax",  # the first letter is wrong
        "fusion",
        "edma",  # too short to be sure
        "tumot",
        "xyzzyxyzzy",
        "",
        "effusion" * 10,
    ],
)
def test_what_is_further_off_stays_unknown(word):
    assert SPELLING.correct(word) is None


def test_ordinary_words_are_no_slips():
    assert Spelling(["effusion"]).correct("effusive") is None
    assert Spelling(["perfusion"]).correct("profusion") is None
    assert Spelling(["lingular"], ordinary=["singular"]).correct("lingulas") == "lingular"
    assert Spelling(["relates"]).correct("related") == "relates"
    assert Spelling(["relates"], ordinary=["related"]).correct("related") is None


def test_a_slip_between_two_known_words_stays_unknown():
    assert Spelling(["hilarsab", "hilarsac"]).correct("hilarsad") is None
    assert Spelling(["hilarsab", "hilarxxx"]).correct("hilarsad") == "hilarsab"


def test_short_known_words_are_not_guessed():
    assert Spelling(["mass"]).correct("masss") is None
    assert Spelling(["nodule"]).correct("nodles") is None


@given(st.sampled_from(WORDS), st.integers(1, 20), st.sampled_from("abcdefghijklmnopqrstuvwxyz"))
def test_any_letter_may_be_the_wrong_one(word, at, letter):
    at = min(at, len(word) - 1)
    wrong = word[:at] + letter + word[at + 1 :]
    if len(word) >= 7:
        assert SPELLING.correct(wrong) == word


@given(st.text(max_size=40))
def test_any_word_gets_a_known_one_or_none(word):
    assert SPELLING.correct(word) in (None, *WORDS)


@pytest.mark.parametrize(
    ("text", "observation"),
    [
        ("Small pnuemothorax.", "pneumothorax"),
        ("Left plueral effusion.", "pleural_effusion"),
        ("Right basilar atelactasis.", "atelectasis"),
        ("Cardiomegally.", "cardiomegaly"),
        ("Multifocal consolidaton.", "consolidation"),
        ("Pulmonary oedema.", "pulmonary_edema"),
        ("Haemothorax on the left.", "hemothorax"),
    ],
)
def test_misspelled_findings_are_read(text, observation):
    assert [f.observation for f in read(text) if f.polarity == "present"] == [observation]


@pytest.mark.parametrize(
    "text",
    [
        "The infusion was stopped.",
        "Radiography was difficult.",
        "The patient was presented in the meeting.",
        "Injection of contrast.",
        "Clinical correlation is advised.",
        "The operator adjusted the table.",
    ],
)
def test_ordinary_words_are_no_findings(text):
    assert [f for f in read(text) if f.observation != "comparison"] == []
