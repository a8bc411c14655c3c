"""Transforms: values, direction, parsing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.errors import ConfigError
from cxr_rewards.reward.transforms import TRANSFORMS, Affine, Clip, Negate, Sigmoid, parse_transform
from cxr_rewards.reward.weighted_sum import Term


@given(
    st.lists(st.sampled_from(sorted(TRANSFORMS)), max_size=4),
    st.floats(-3, 3).filter(bool),
    st.lists(st.floats(-5, 5), min_size=2, max_size=2).map(sorted),
    st.floats(0, 1),
)
def test_bounds_hold_every_value_and_sign_tells_the_direction(kinds, weight, ends, share):
    term = Term(weight=weight, transforms=tuple(TRANSFORMS[k]() for k in kinds))
    low, high = term.bounds(*ends)
    inside = min(max(ends[0] + share * (ends[1] - ends[0]), ends[0]), ends[1])
    assert low <= weight * term(inside) <= high
    assert (weight * term(ends[1]) - weight * term(ends[0])) * term.sign >= 0


def test_sigmoid_does_not_overflow():
    assert Sigmoid()(-1e6) == 0.0
    assert Sigmoid()(1e6) == 1.0


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("negate", Negate()),
        ({"clip": {"low": -1}}, Clip(low=-1.0)),
        ({"affine": {"scale": 2, "offset": 0.5}}, Affine(scale=2.0, offset=0.5)),
        (Negate(), Negate()),
    ],
)
def test_transforms_are_parsed(spec, expected):
    assert parse_transform(spec, "f") == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sigmoit", "f: unknown transform 'sigmoit'; known: .* Did you mean 'sigmoid'"),
        ({"clip": {"hi": 1}}, "f: unknown argument of clip 'hi'; known: high, low. Did you mean 'high'"),
        ({"clip": {"low": "0"}}, "f: clip.low must be a finite number, got '0'"),
        ({"clip": {"low": 2.0}}, "f: transform clip: low must be below high = 1.0, got 2.0"),
        ({"clip": 3}, "f: clip takes a table of low, high, got 3"),
        ({"zscore": {"scale": 0}}, "f: transform zscore: scale must be above 0, got 0.0"),
        ({"affine": {"scale": 0}}, "f: transform affine: scale must be other than 0"),
        ({"affine": {"scale": math.inf}}, "f: affine.scale must be a finite number, got inf"),
        ({"sigmoid": {"slope": -1}}, "f: transform sigmoid: slope must be above 0"),
        ({"clip": {}, "negate": {}}, "f: a transform is a name or a table with one name"),
        (3, "f: a transform is a name or a table with one name, got 3"),
    ],
)
def test_bad_transforms_are_refused_with_the_place_and_the_value(spec, message):
    with pytest.raises(ConfigError, match=message):
        parse_transform(spec, "f")
