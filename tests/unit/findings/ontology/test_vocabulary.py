"""Phrases are expanded from their notation, and plurals are understood."""

from __future__ import annotations

import pytest

from cxr_rewards.findings.ontology.vocabulary import Vocabulary, expand, plurals


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("pleural effusion", ["pleural effusion"]),
        ("a|b c", ["a c", "b c"]),
        ("(a) b", ["a b", "b"]),
        ("(a|b) c", ["a c", "b c", "c"]),
        ("a-b|c d", ["a b d", "c d"]),
        ("(a-b) c", ["a b c", "c"]),
        ("(a) (b)", ["a b", "a", "b"]),
    ],
)
def test_notation_stands_for_word_sequences(phrase, expected):
    assert [" ".join(words) for words in expand("here", phrase)] == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("effusion", ["effusions"]),
        ("mass", ["masses"]),
        ("opacity", ["opacities"]),
        ("day", ["days"]),
        ("t7", []),
        ("no", []),
    ],
)
def test_regular_plurals(word, expected):
    assert plurals(word) == expected


def test_marks_are_phrases_too():
    tree = Vocabulary().tree({})
    assert tree[","][""] == ("comma", (), ())
    assert tree["or"][""] == ("or", (), ())
