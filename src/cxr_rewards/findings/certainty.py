"""Grades of certainty: how far two are apart, and how much a finding of each counts.

    ========= ======================= ========== ==============================
    grade     place on the scale      roughly    words such as
    ========= ======================= ========== ==============================
    present   0                       over 90%   is, consistent with
    likely    0.0625                  75%        probably, favored
    possible  0.125                   50%        may, cannot be excluded
    unlikely  0.5625                  under 25%  less likely, low suspicion
    absent    0.6875                  0%         no, normal
    ========= ======================= ========== ==============================

The cost of stating one grade for another is their distance on the scale: symmetric, and greater for grades further
apart. The step from possible to unlikely is the longest, because it is one from looking for a disease to setting it
aside. A likely finding and an unlikely one do not agree at all.

Source for words and percentages: Panicek and Hricak 2016, AJR 207:2-3. The scale is defined here.
"""

from __future__ import annotations

from collections.abc import Mapping

from cxr_rewards.findings.finding import Certainty

_SCALE: Mapping[Certainty, float] = {
    "present": 0.0,
    "likely": 0.0625,
    "possible": 0.125,
    "unlikely": 0.5625,
    "absent": 0.6875,
}
_TOO_FAR = 0.5
_UNLIKELY_SHARE = 0.125


def certainty_cost(one: Certainty, two: Certainty) -> float:
    """Return the cost of stating one grade for the other: their distance on the scale.

    Example:
        >>> [certainty_cost("possible", grade) for grade in ("present", "likely", "possible", "unlikely", "absent")]
        [0.125, 0.0625, 0.0, 0.4375, 0.5625]
    """
    return abs(_SCALE[one] - _SCALE[two])


def certainties_agree(one: Certainty, two: Certainty) -> bool:
    """Return whether two grades agree at least in part, so that findings with them can be partners.

    Example:
        >>> certainties_agree("unlikely", "possible"), certainties_agree("unlikely", "likely")
        (True, False)
    """
    return certainty_cost(one, two) < _TOO_FAR


def certainty_credit(one: Certainty, two: Certainty) -> float:
    """Return the credit for stating one grade for the other: 1 / (1 + 2 * cost), 0 if they do not agree at all.

    Example:
        >>> [round(certainty_credit("present", grade), 2) for grade in ("present", "likely", "possible", "unlikely")]
        [1.0, 0.89, 0.8, 0.0]
    """
    return 1 / (1 + 2 * certainty_cost(one, two)) if certainties_agree(one, two) else 0.0


def certainty_weight(grade: Certainty, possible: float) -> float:
    """Return the share of its weight that a finding has by its grade, given the share of a possible one.

    A likely finding lies halfway between a possible one and a certain one; an unlikely one has an eighth of the weight
    of a possible one, an absent one none.

    Example:
        >>> [certainty_weight(grade, 0.5) for grade in ("present", "likely", "possible", "unlikely", "absent")]
        [1.0, 0.75, 0.5, 0.0625, 0.0]
    """
    if grade == "present":
        return 1.0
    shares = {
        "likely": (1 + possible) / 2,
        "possible": possible,
        "unlikely": possible * _UNLIKELY_SHARE,
    }
    return shares.get(grade, 0.0)


def denial_weight(grade: Certainty) -> float:
    """Return how much of a denial a statement is: 1 if absent, half if unlikely, else 0."""
    return {"absent": 1.0, "unlikely": 0.5}.get(grade, 0.0)
