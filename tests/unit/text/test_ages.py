"""Ages are read as data sets write them; what is not surely an age is none."""

from __future__ import annotations

import math

import pytest

from cxr_rewards.text.ages import age_in_years


@pytest.mark.parametrize(
    ("value", "years"),
    [
        (63, 63),
        (63.0, 63),
        (0, 0),
        ("63", 63),
        (" 63 ", 63),
        ("63 y", 63),
        ("63y", 63),
        ("63 yo", 63),
        ("63 years", 63),
        ("1 year", 1),
        ("63 years old", 63),
        ("63 YEARS OLD", 63),
        ("063Y", 63),
        ("105Y", 105),
        ("018M", 1.5),
        ("019M", 19 / 12),
        ("003W", 3 / 52),
        ("010D", 10 / 365),
        ("9 months", 0.75),
        ("1 month", 1 / 12),
        ("9 months old", 0.75),
        ("2 weeks", 2 / 52),
        ("3 days", 3 / 365),
        (">89", 89),
        ("> 89", 89),
        ("90+", 90),
        ("80 +", 80),
    ],
)
def test_ages_are_read_in_years(value, years):
    assert age_in_years(value) == pytest.approx(years)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "unknown",
        "adult",
        "63M",  # a man of 63, or 63 months
        "63F",
        "60+",  # sixty or any more: below 80 that tells nothing
        ">18",
        "<18",
        "60-69",
        "-5",
        "1e3",
        "1234",
        "63 63",
        "0x1F",
        "y",
        "months",
        math.nan,
        math.inf,
        True,
        [63],
        {"age": 63},
        b"63",
    ],
    ids=repr,
)
def test_whatever_is_not_surely_an_age_is_none(value):
    assert age_in_years(value) is None
