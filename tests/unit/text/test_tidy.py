"""Plain characters of the same length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.text.tidy import lower, tidy


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("A\r\nB\rC", "A \nB\nC"),
        ("heart\u00a0size\u2009normal\u200b", "heart size normal "),
        ("\u201cclear\u201d lungs\u2014patient\u2019s", '"clear" lungs-patient\'s'),
        ("5 \u00d7 3 mm", "5 x 3 mm"),
        ("\uff26\uff29\uff2e\uff24\uff29\uff2e\uff27\uff33\uff1a", "FINDINGS:"),
        ("\u25cf Clear", "\u2022 Clear"),
    ],
)
def test_tidy_makes_plain_characters(raw, plain):
    assert tidy(raw) == plain


@given(st.text())
def test_tidy_and_lower_keep_length(text):
    assert len(tidy(text)) == len(text)
    assert len(lower(text)) == len(text)
    assert tidy(tidy(text)) == tidy(text)
