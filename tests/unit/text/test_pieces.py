"""Words of pieces of text are remembered, and are the same as those that are not."""

from __future__ import annotations

import re

from cxr_rewards.text.pieces import remembered

_words = re.compile("[a-z]+").findall


def test_a_piece_seen_before_is_not_searched_again() -> None:
    searched: list[str] = []

    def words_of(piece: str) -> list[str]:
        searched.append(piece)
        return piece.split()

    words = remembered(words_of)
    assert words("no effusion") == words("no effusion") == ("no", "effusion")
    assert searched == ["no effusion"]


def test_long_pieces_are_not_kept_in_memory() -> None:
    words = remembered(_words)
    long = "effusion " * 100
    assert words(long) == tuple(_words(long))
    assert words(long) is not words(long)
