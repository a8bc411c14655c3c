"""Weights that agree with raters: least squares or pairwise logistic regression, none negative, pulled to a start.

The reward is `sum of w_k z_k + g`, then gates. The fitted parts `z_k` are turned so that higher is better; `g` holds
the guards, which keep their weights. The fitted weights are not negative. The sum over those of metrics (not of
penalties) is kept, because only proportions matter, among the weights and to the guards; so the best report earns what
it earned. Both conditions hold by construction: with `u_k = z_k + g / sum(w)` for metrics and `u_k = z_k` for
penalties, any `beta >= 0` stands for the weights `w = sum(w) beta / sum(beta)`, sums over metrics, whose reward is
`sum of beta_k u_k` but for a factor.

- `ridge`: least squares of the mean ratings on `u`; strength 0 is NNLS (Lawson and Hanson).
- `pairwise`: for each two candidates of a case the logit of the share of raters that prefer the first is
  `sum of beta_k (u_k(first) - u_k(second))`, as in Bradley and Terry's model. Only differences within a case count.

The pull adds `strength * |D (beta - s start)| ** 2`, D the standard deviations of the parts, with the best `s >= 0`: a
weak part moves away from its weight at the start only if the ratings say so. Strengths are relative to the number of
candidates (or pairs), so they mean the same for data of any size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from cxr_rewards.errors import MissingDependencyError
from cxr_rewards.evaluation.calibration.agreement import Compared, Judgments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Codes = NDArray[np.int64]

Method = Literal["ridge", "pairwise"]

_LEAST = 1e-9
"""Relative ridge that keeps the arithmetic sound where two parts are the same."""
_SEPARATED = 1e-4
"""Ridge of the logistic regression, which has no optimum if the parts put all pairs in order."""
_STEPS = 50
_NEAR = 1e-8
_TIED = 10
"""Digits after which rewards are cut, so that sums in another order stay ties."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Parts of a reward for rated candidates, to which weights are fitted.

    Attributes:
        labels: of the fitted parts.
        parts: (candidates, k): transformed scores, higher is better.
        fixed: (candidates,): the share of the reward that keeps its weights.
        caps: (candidates,): of the gates that close; infinite if none does.
        start: (k,): the weights to start from, not negative.
        summed: (k,): 1 for the weights whose sum is kept, else 0.
        judged: what the raters say.
        codes: (candidates,): the case of each, from 0.
    """

    labels: tuple[str, ...]
    parts: Numbers
    fixed: Numbers
    caps: Numbers
    start: Numbers
    summed: Numbers
    judged: Judgments
    codes: Codes

    @property
    def cases(self) -> int:
        """Number of cases."""
        return int(self.codes.max(initial=-1)) + 1

    @cached_property
    def scale(self) -> Numbers:
        """(k,): standard deviation of each part."""
        deviations: Numbers = self.parts.std(axis=0)
        return deviations

    @cached_property
    def whole(self) -> Numbers:
        """(candidates, k): the standardised `u`."""
        guards = self.fixed - self.fixed.mean()
        moved: Numbers = (self.parts + np.outer(guards, self.summed) / self.total) / self.scale
        return moved

    @property
    def total(self) -> float:
        """The sum of weights that is kept."""
        return float(self.start @ self.summed)

    @property
    def methods(self) -> tuple[Method, ...]:
        """Methods that the data allow."""
        fitting: list[Method] = ["ridge"] if self.judged.values is not None else []
        return (*fitting, "pairwise") if len(self.judged.first) else tuple(fitting)

    def values(self, weights: Numbers) -> Numbers:
        """Return the rewards of the candidates."""
        values: Numbers = np.minimum(self.parts @ weights + self.fixed, self.caps).round(_TIED)
        return values

    def compared(self, values: Numbers) -> Compared:
        """Return rewards beside the judgments."""
        return Compared.of(values, self.judged)

    def with_codes(self, codes: Codes) -> Problem:
        """Return the problem with other cases."""
        return replace(self, codes=codes)


def fit(problem: Problem, method: Method, pull: float, counts: Numbers | None = None) -> Numbers | None:
    """Return the weights of the fitted parts; None if no part agrees with the raters.

    Args:
        problem: the parts and the judgments.
        method: `ridge` or `pairwise`.
        pull: strength, from 0.
        counts: (cases,): how often each counts; once by default.
    """
    counts = np.ones(problem.cases) if counts is None else counts
    solve = _least_squares if method == "ridge" else _logistic
    gamma = solve(problem, pull, counts[problem.codes])
    if gamma is None:
        return None
    beta = gamma / problem.scale
    total = float(beta @ problem.summed)
    if not np.isfinite(total) or total <= _LEAST * beta.sum():
        return None
    weights: Numbers = problem.total * beta / total
    return weights


def _least_squares(problem: Problem, pull: float, counts: Numbers) -> Numbers | None:
    ratings = problem.judged.values
    if ratings is None:
        return None
    used = np.isfinite(ratings) & np.isinf(problem.caps) & (counts > 0)
    if not used.any():
        return None
    weights = counts[used] / counts[used].sum()
    u, y = problem.whole[used], ratings[used]
    u, y = u - weights @ u, y - weights @ y
    k = u.shape[1]
    matrix = _pulled(problem, pull)
    right = np.zeros(len(matrix))
    matrix[:k, :k] += (u.T * weights) @ u
    right[:k] += (u.T * weights) @ y
    return _minimum(matrix, right)[:k]


def _logistic(problem: Problem, pull: float, counts: Numbers) -> Numbers | None:
    """Return the minimum by Newton's method, whose steps are least squares, halved until the loss falls."""
    judged = problem.judged
    is_open = np.isinf(problem.caps)
    used = np.isfinite(judged.share) & is_open[judged.first] & is_open[judged.second] & (counts[judged.first] > 0)
    if not used.any():
        return None
    first, second, share = judged.first[used], judged.second[used], judged.share[used]
    weights = counts[first] / counts[first].sum()
    apart = problem.whole[first] - problem.whole[second]
    k = apart.shape[1]
    bent = _pulled(problem, pull)
    bent[:k, :k] += _SEPARATED * np.eye(k)

    def loss(x: Numbers) -> float:
        logits = apart @ x[:k]
        return float(weights @ (np.logaddexp(0, logits) - share * logits) + x @ bent @ x / 2)

    x = np.concatenate((problem.start * problem.scale, [1.0]))[: len(bent)]
    for _ in range(_STEPS):
        chance = np.exp(-np.logaddexp(0, -(apart @ x[:k])))
        matrix, right = bent.copy(), np.zeros(len(bent))
        matrix[:k, :k] += (apart.T * (weights * chance * (1 - chance))) @ apart
        right[:k] -= apart.T @ (weights * (chance - share))
        right += (matrix - bent) @ x
        step = _minimum(matrix, right) - x
        now = loss(x)
        while loss(x + step) > now and np.abs(step).max() > _NEAR:
            step /= 2
        x = x + step
        if np.abs(step).max() <= _NEAR:
            break
    return x[:k]


def _minimum(matrix: Numbers, right: Numbers) -> Numbers:
    """Return the `x >= 0` at which `x' matrix x / 2 - right' x` is least."""
    try:
        from scipy.optimize import nnls
    except ImportError as error:
        raise needs_scipy(error) from error
    size = len(matrix)
    lower = np.linalg.cholesky(matrix + np.eye(size) * max(_LEAST * np.trace(matrix) / size, _LEAST))
    x: Numbers = nnls(lower.T, np.linalg.solve(lower, right))[0]  # |L'x - L^-1 right|^2, but for a constant
    return x


def _pulled(problem: Problem, pull: float) -> Numbers:
    """Return the quadratic form of the pull over (gamma, s), or over gamma if there is none."""
    k = len(problem.start)
    if not pull:
        return np.zeros((k, k))
    start = problem.start * problem.scale
    matrix = np.zeros((k + 1, k + 1))
    matrix[:k, :k] = pull * np.eye(k)
    matrix[:k, k] = matrix[k, :k] = -pull * start
    matrix[k, k] = pull * start @ start
    return matrix


def needs_scipy(error: ImportError) -> MissingDependencyError:
    """Return the error that says how to get scipy."""
    return MissingDependencyError(f'calibrate: needs scipy: pip install "cxr_rewards[calibrate]" ({error})')
