"""Where sentences end."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.text.sections import sections
from cxr_rewards.text.sentences import sentences


def cut(text):
    return [text[a:b] for a, b in sentences(text)]


@given(st.text(alphabet="aA1 .\n,;!-*)(\u2022Dr", max_size=200))
def test_sentences_are_in_order_and_lose_no_letter(text):
    spans = sentences(text)
    assert all(a < b for a, b in spans)
    assert all(x[1] <= y[0] for x, y in itertools.pairwise(spans))
    kept = "".join(text[a:b] for a, b in spans)
    assert [c for c in kept if c.isalpha()] == [c for c in text if c.isalpha()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lungs clear. Heart normal.", ["Lungs clear.", "Heart normal."]),
        ("lungs clear . heart normal .", ["lungs clear .", "heart normal ."]),
        ("Seen by Dr. Example. No change.", ["Seen by Dr. Example.", "No change."]),
        ("Seen by Dr. ___ at 9 a.m. on ___.", ["Seen by Dr. ___ at 9 a.m. on ___."]),
        ("Edema vs. pneumonia, e.g. viral.", ["Edema vs. pneumonia, e.g. viral."]),
        ("Nodule of approx. 1.2 cm. in size.", ["Nodule of approx. 1.2 cm. in size."]),
        ("Nodule of 1.2 cm. No effusion.", ["Nodule of 1.2 cm.", "No effusion."]),
        ("A 5 x 3 mm nodule.", ["A 5 x 3 mm nodule."]),
        ("Shadow ? pneumonia. ?Left effusion.", ["Shadow ? pneumonia.", "?Left effusion."]),
        ("Effusion ? No. ? Nodule", ["Effusion ?", "No.", "? Nodule"]),
        ("Rib No. 5 is broken. Is there pain? No.", ["Rib No. 5 is broken.", "Is there pain?", "No."]),
        (
            "Measures Approx. 3 mm in diameter. Seen by Prof. Example.",
            ["Measures Approx. 3 mm in diameter.", "Seen by Prof. Example."],
        ),
        ("Lungs clear. heart normal", ["Lungs clear.", "heart normal"]),
        ("(Lungs clear.) Heart normal", ["(Lungs clear.)", "Heart normal"]),
        ("Lungs clear... heart normal", ["Lungs clear... heart normal"]),
        ("9) Clear lungs 10) Normal heart 100) mm", ["Clear lungs", "Normal heart 100) mm"]),
        ("1. Clear lungs. 2. Normal heart.", ["Clear lungs.", "Normal heart."]),
        ("1. Clear lungs 2. Normal heart", ["Clear lungs", "Normal heart"]),
        ("1) Clear lungs 2) Normal heart", ["Clear lungs", "Normal heart"]),
        ("1.Clear lungs.2.Normal heart.", ["Clear lungs.", "Normal heart."]),
        ("- Clear lungs\n- Normal heart", ["Clear lungs", "Normal heart"]),
        ("\u2022 Clear lungs \u2022 Normal heart", ["Clear lungs", "Normal heart"]),
        ("Opacity in the apex.There is scarring.", ["Opacity in the apex.", "There is scarring."]),
        ("XXXX opacity. XXXX XXXX. Clear.", ["XXXX opacity.", "XXXX XXXX.", "Clear."]),
        ("LUNGS CLEAR. HEART NORMAL.", ["LUNGS CLEAR.", "HEART NORMAL."]),
        ("No effusion\n\nheart normal", ["No effusion", "heart normal"]),
        ("There is no focal\nconsolidation or effusion.", ["There is no focal\nconsolidation or effusion."]),
        ("Lungs clear\nHeart normal", ["Lungs clear", "Heart normal"]),
        ("Clear.. Normal...", ["Clear..", "Normal..."]),
        ("Consol. RLZ. Effn. B/L.", ["Consol. RLZ.", "Effn. B/L."]),
        ("Clear. RLZ effusion. No consol. RLZ.", ["Clear.", "RLZ effusion.", "No consol. RLZ."]),
        ("Since 2010. Stable.", ["Since 2010.", "Stable."]),
        ("...", []),
        ("", []),
    ],
)
def test_sentences(text, expected):
    assert cut(text) == expected


def test_wrapped_line_with_a_proper_noun_is_one_sentence():
    text = "The tip of the catheter that enters from the right side of the neck\nSwan Ganz ends in the main artery."
    assert cut(text) == [text]


def test_sentences_of_a_part_of_the_text_keep_its_positions():
    text = "FINDINGS: Lungs clear. Heart normal. IMPRESSION: Normal."
    findings = sections(text)[0]
    assert [text[a:b] for a, b in sentences(text, findings.start, findings.end)] == ["Lungs clear.", "Heart normal."]
