"""How often the intervals of fitted weights hold planted ones, and what weights are worth on new cases.

Run: `python benchmarks/calibrating.py [--runs 100] [--json FILE]`. Simulated raters follow planted weights and a guard,
with noise, on a scale from 1 to 5; each case has two candidates.

- `coverage`: share of the 95% intervals that hold the planted weight, by method and number of cases.
- `new cases`: gain in Kendall's tau-b over equal weights on 400 other cases, by weights that are fitted to noisier
  raters: in the mean, in the worst run, and the share of runs that lose more than 0.01 (`worse`); with the pull that is
  chosen, and with none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxr_rewards.evaluation.calibration.agreement import Judgments, kendall_tau_b
from cxr_rewards.evaluation.calibration.calibrate import fitted_weights
from cxr_rewards.evaluation.calibration.fit import Method, Problem, fit
from cxr_rewards.evaluation.calibration.validation import PULLS, Choice, choose
from report import options_of, report

Numbers = NDArray[np.float64]

PLANTED = np.array([0.6, 0.3, 0.1])
GUARD = 0.3


def planted(
    cases: int,
    seed: int,
    *,
    weights: Numbers = PLANTED,
    noise: float = 0.6,
    raters: int = 3,
    start: Numbers | list[float] | None = None,
    guard: float = GUARD,
) -> Problem:
    """Return a problem whose raters follow these weights and the guard, with noise, on a scale from 1 to 5."""
    random = np.random.default_rng(seed)
    n, k = 2 * cases, len(weights)
    parts = np.clip(0.6 * random.random((n, 1)) + 0.6 * random.random((n, k)) - 0.1, 0, 1)
    fixed = -guard * (random.random(n) < 0.3) * random.random(n)
    quality = parts @ weights + fixed
    ratings = np.clip(np.round(1 + 4 * quality[:, None] + noise * random.normal(size=(n, raters))), 1, 5)
    mean = ratings.mean(axis=1)
    first, second = np.arange(0, n, 2), np.arange(1, n, 2)
    judged = Judgments(
        values=mean,
        first=first,
        second=second,
        order=np.sign(mean[first] - mean[second]),
        share=(np.sign(ratings[first] - ratings[second]).mean(axis=1) + 1) / 2,
    )
    return Problem(
        labels=tuple("abcdefgh"[:k]),
        parts=parts,
        fixed=fixed,
        caps=np.full(n, np.inf),
        start=np.full(k, 1 / k) if start is None else np.array(start),
        summed=np.ones(k),
        judged=judged,
        codes=np.repeat(np.arange(cases), 2),
    )


def coverage(method: Method, cases: int, runs: int, resamples: int = 500) -> float:
    """Return the share of intervals that hold the planted weight."""
    hits = []
    for seed in range(runs):
        _, intervals = fitted_weights(planted(cases, seed), Choice(method, 0.0), resamples=resamples, seed=seed)
        hits += [one is not None and one[0] <= true <= one[1] for one, true in zip(intervals, PLANTED, strict=True)]
    return round(float(np.mean(hits)), 3)


def new_cases(weights: int, cases: int, runs: int) -> dict[str, dict[str, float]]:
    """Return the gain over equal weights on other cases; the planted weights are drawn anew in each run."""
    gains: dict[str, list[float]] = {"chosen pull": [], "no pull": []}
    for seed in range(runs):
        truth = np.random.default_rng(seed).dirichlet(np.ones(weights))
        problem, new = (planted(n, at, weights=truth, noise=1.0) for n, at in ((cases, seed), (400, 10_000 + seed)))
        chosen = choose(problem, [Choice("ridge", pull) for pull in PULLS], np.arange(cases), 5, seed)
        before = kendall_tau_b(new.values(new.start), new.judged.values)[0]
        for name, pull in (("chosen pull", chosen.pull), ("no pull", 0.0)):
            found = fit(problem, "ridge", pull)
            after = kendall_tau_b(new.values(new.start if found is None else found), new.judged.values)[0]
            gains[name].append(after - before)
    return {
        name: {
            "mean": round(float(np.mean(values)), 3),
            "worst": round(min(values), 3),
            "worse": round(float(np.mean(np.array(values) < -0.01)), 3),
        }
        for name, values in gains.items()
    }


def main() -> None:
    """Simulate both and print the tables."""
    parser = options_of(__doc__)
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args()
    methods: tuple[Method, ...] = ("ridge", "pairwise")
    result = {
        "coverage": {f"{m}, {n} cases": coverage(m, n, options.runs) for m in methods for n in (20, 50, 100)},
        "new cases": {
            f"{k} weights, {n * k} cases": new_cases(k, n * k, options.runs) for k in (2, 4, 8) for n in (2, 5, 10, 20)
        },
    }
    report({"runs": options.runs, **result}, options.json)


if __name__ == "__main__":
    main()
