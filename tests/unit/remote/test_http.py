"""How cases are cut into requests, and how long a server's `Retry-After` is heeded."""

from __future__ import annotations

import pytest

from cxr_rewards.remote.http import _chunks, _seconds
from cxr_rewards.types import Case


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("", 0.0), ("2", 2.0), ("1e9", 30.0), ("inf", 30.0), ("-5", 0.0), ("nan", 0.0), ("soon", 0.0)],
)
def test_a_pause_that_a_server_asks_for_is_bounded(said, seconds):
    assert _seconds(said) == seconds


def sizes(texts, most):
    return [len(chunk) for chunk in _chunks([Case(candidate=text, reference="") for text in texts], most)]


@pytest.mark.parametrize(("cases", "expected"), [(0, []), (2, [2]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
def test_a_request_has_at_most_as_many_cases_as_asked(cases, expected):
    assert sizes(["x"] * cases, 3) == expected


def test_a_request_of_long_cases_has_fewer_and_one_that_is_too_long_goes_alone(monkeypatch):
    monkeypatch.setattr("cxr_rewards.remote.http._MOST_CHARS", 10)
    assert sizes(["x" * 5, "x" * 5, "x", "x" * 20, "x"], 256) == [2, 1, 1, 1]
