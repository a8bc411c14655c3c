"""Cross-validation by case, and nested: what a choice of weights is worth for cases that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cxr_rewards.evaluation.calibration.agreement import Compared, statistics
from cxr_rewards.evaluation.calibration.fit import Method, Problem, fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Codes = NDArray[np.int64]

PULLS = (10.0, 1.0, 0.1, 0.01, 0.0)
"""Strengths that are tried, the strongest first."""
_GROUPS = 10
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to fit weights.

    Attributes:
        method: `ridge` or `pairwise`.
        pull: strength of the pull to the weights at the start.
    """

    method: Method
    pull: float


def folds_of(cases: Sequence[int] | Codes, folds: int, seed: int) -> list[Codes]:
    """Return the cases, shuffled, in so many parts of nearly equal size.

    Example:
        >>> [len(fold) for fold in folds_of(range(10), 4, seed=1)]
        [3, 3, 2, 2]
    """
    shuffled = np.random.default_rng(seed).permutation(np.asarray(cases, dtype=np.int64))
    return [shuffled[i::folds] for i in range(min(folds, len(shuffled)))]


def cross_validate(codes: Codes, folds: Sequence[Codes], predict: Callable[[Codes, Codes], Numbers]) -> Numbers:
    """Return a value for each candidate, predicted without its case; NaN for cases of no fold.

    Args:
        codes: (candidates,): the case of each.
        folds: cases, each in at most one.
        predict: returns the values of some candidates (the second argument) from others (the first): their places.
    """
    values = np.full(len(codes), np.nan)
    known = np.isin(codes, np.concatenate(folds))
    for fold in folds:
        held_out = np.isin(codes, fold)
        values[held_out] = predict(np.flatnonzero(known & ~held_out), np.flatnonzero(held_out))
    return values


def objective(compared: Compared, counts: Numbers) -> Numbers:
    """Return what a choice is made by: tau-b, or pairwise accuracy if there are only comparisons within cases.

    An undefined one, of constant rewards, counts as no agreement.

    Args:
        compared: rewards beside judgments.
        counts: (samples, candidates): how often each counts.
    """
    ordinal = compared.judged.values is None
    worth = statistics(compared, counts)[:, 2 if ordinal else 0]
    return np.where(np.isfinite(worth), worth, 0.5 if ordinal else 0.0)


def choose(problem: Problem, choices: Sequence[Choice], cases: Codes, folds: int, seed: int) -> Choice:
    """Return the choice that agrees with the raters in a cross-validation over some cases, with the strongest pull.

    A choice is as good as the best one if it loses no more than one standard error of the difference (by the jackknife
    over ten groups of cases), so that chance does not move the weights. Of the choices with the strongest pull that are
    as good, the best is taken.

    Args:
        problem: the parts and the judgments.
        choices: the strongest pulls first.
        cases: those to be used.
        folds: of the cross-validation.
        seed: of the folds.
    """
    if len(choices) == 1:
        return choices[0]
    parts = folds_of(cases, folds, seed)
    groups = folds_of(cases, _GROUPS, seed)
    used = np.isin(problem.codes, cases).astype(np.float64)
    counts = np.stack([used, *(used * ~np.isin(problem.codes, group) for group in groups)])
    worth = np.stack(
        [
            objective(problem.compared(cross_validate(problem.codes, parts, _predictor(problem, choice))), counts)
            for choice in choices
        ]
    )
    lost = worth[np.argmax(worth[:, 0])] - worth
    spread = lost[:, 1:] - lost[:, 1:].mean(axis=1, keepdims=True)
    error = np.sqrt((spread**2).sum(axis=1) * (len(groups) - 1) / len(groups))
    good = lost[:, 0] <= error + _NOTHING
    strongest = max(choice.pull for choice, is_good in zip(choices, good, strict=True) if is_good)
    level = [i for i, choice in enumerate(choices) if good[i] and choice.pull == strongest]
    return choices[min(level, key=lambda i: (lost[i, 0], i))]


def nested(
    problem: Problem, choices: Sequence[Choice], *, folds: int, inner_folds: int, seed: int
) -> tuple[Numbers, list[Choice]]:
    """Return each candidate's reward with weights fitted, and the way to fit them chosen, without its case.

    Returns:
        The rewards, and the choice of each fold.
    """
    made: list[Choice] = []

    def predict(known: Codes, held_out: Codes) -> Numbers:
        cases = np.unique(problem.codes[known])
        choice = choose(problem, choices, cases, inner_folds, seed + 1 + len(made))
        made.append(choice)
        return _predictor(problem, choice)(known, held_out)

    values = cross_validate(problem.codes, folds_of(np.arange(problem.cases), folds, seed), predict)
    return values, made


def _predictor(problem: Problem, choice: Choice) -> Callable[[Codes, Codes], Numbers]:
    def predict(known: Codes, held_out: Codes) -> Numbers:
        counts = np.zeros(problem.cases)
        counts[problem.codes[known]] = 1
        weights = fit(problem, choice.method, choice.pull, counts)
        values = problem.values(problem.start if weights is None else weights)
        return values[held_out]

    return predict
