"""Marks for criteria of your own."""

from __future__ import annotations

import pytest
from tests.judge_server import says

from cxr_rewards.errors import ConfigError, VerdictParseError
from cxr_rewards.judges.protocols.rubric import Rubric, RubricReply

CRITERIA = ("omissions: nothing is missing", "style: it is plain")


def test_a_rubric_is_scaled_and_joined():
    rubric = says(lambda **s: Rubric(criteria=CRITERIA, low=1.0, high=5.0, **s), '{"omissions": 5, "style": 2}')
    assert rubric.value == pytest.approx((1 + 0.25) / 2)
    assert rubric.details["marks"] == {"omissions": 5.0, "style": 2.0}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ('{"omissions": 5}', "'style'. missing"),
        ('{"omissions": 5, "style": 11}', "style: expected 0 to 10, got 11"),
        ('{"omissions": 5, "style": "7"}', "style: expected 0 to 10, got '7'"),
        ('{"omissions": true, "style": 7}', "omissions: expected 0 to 10"),
        ('{"omissions": 5, "style": 7, "x": 1}', "unknown .'x'."),
    ],
)
def test_a_rubric_refuses_all_else(reply, message):
    with pytest.raises(VerdictParseError, match=message):
        RubricReply(model="m", criteria=CRITERIA).marks(reply)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"low": 10.0}, "low must be below high"),
        ({"criteria": ()}, "criteria must be texts"),
        ({"criteria": ("a: x", "a: y")}, "criteria must be texts"),
        ({"criteria": (": x",)}, "criteria must be texts"),
    ],
)
def test_bad_criteria_and_scales_are_refused_when_the_rubric_is_made(settings, message):
    with pytest.raises(ConfigError, match=message):
        Rubric(**settings)
