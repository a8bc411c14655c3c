"""CRIMSON's arithmetic: one number from weighted matches and errors."""

from __future__ import annotations

from collections.abc import Iterable

WEIGHTS = {"urgent": 1.0, "actionable": 0.5, "not_actionable": 0.25, "benign": 0.0}
"""Weight of a finding by clinical significance."""


def crimson_score(
    matched: Iterable[tuple[float, float]], missed: Iterable[float], false: Iterable[float], penalty: float = 0.0
) -> float:
    r"""Return the score of a candidate report.

        N = sum of the weights of the reference's findings (matched and missed)
        C = sum over matched findings of b * b / (b + a), b the weight and a the weight of its attribute errors
        E = sum of the weights of false findings + `penalty`
        S = (C - E) / N;  if N = 0:  1 if E = 0, else -(E + 1)
        score = S if S >= 0, else -d / (1 + d) with d = E - C, and 0 if d <= 0

    With N = 0, C is 0 too, so that d is E.

    Args:
        matched: (b, a) of each reference finding that the candidate has.
        missed: weight of each reference finding that it does not have.
        false: weight of each finding it should not have.
        penalty: further costs, for example of denying a finding that is there.

    Returns:
        A number in (-1, 1]. 1: every finding of weight is matched without error, and nothing is false.

    Source: CRIMSON (arXiv 2603.06183), generate_score.py at 07e3331.

    Example:
        >>> crimson_score([(0.5, 0.5)], [], [])
        0.5
        >>> round(crimson_score([], [], [0.5]), 4)
        -0.3333
    """
    total = correct = 0.0
    for weight, errors in matched:
        total += weight
        if weight:
            correct += weight * (weight / (weight + errors))  # in this order: squares of tiny weights vanish
    total += sum(missed)
    wrong = sum(false) + penalty
    if total == 0:
        score = 1.0 if wrong == 0 else -1.0
    else:
        score = (correct - wrong) / total
    if score >= 0:
        return score
    excess = wrong - correct
    return -excess / (1 + excess) if excess > 0 else 0.0
