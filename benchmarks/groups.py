"""How often the intervals of `cxr-rewards evaluate` hold the truth: shares of cases, and gaps between groups.

`python benchmarks/groups.py [--samples 1000] [--json FILE]`. "shares": the precision or recall of a condition with as
many positive cases, drawn from 400 cases, or from 200 patients of one to four cases who differ. "ours" is Wilson's
interval for clusters, "bootstrap" the percentile interval of the same cases (patients). Coverage in percent. "gaps":
how often the interval of the gap leaves out the true gap of the two groups that were chosen, if all groups are alike
and if one of them is better; at most 5% is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cxr_rewards.evaluation.figures import share
from cxr_rewards.evaluation.groups import group_table, mean_of
from cxr_rewards.evaluation.resampling import bootstrap
from report import options_of, report

Random = np.random.Generator
RESAMPLES = 400


def shares(random: Random, samples: int, positives: int, truth: float, patients: bool) -> dict[str, float]:
    """Return the coverage of both intervals."""
    covered = {"ours": 0, "bootstrap": 0}
    for _ in range(samples):
        if patients:
            sizes = random.integers(1, 5, 200)
            chances = np.repeat(random.beta(4 * truth, 4 * (1 - truth), 200), sizes)
            codes = np.repeat(np.arange(200), sizes)
        else:
            chances, codes = np.full(400, truth), np.arange(400)
        counted = random.random(len(codes)) < positives / len(codes)
        hits = counted & (random.random(len(codes)) < chances)
        sums = np.column_stack([np.bincount(codes, column) for column in (hits, counted)])
        figure = share(sums[:, 0], sums[:, 1], "")
        covered["ours"] += figure.low is not None and figure.low <= truth <= figure.high
        drawn = bootstrap(sums, lambda s: s[..., :1] / s[..., 1:], resamples=RESAMPLES).replicates
        low, high = np.nanquantile(drawn, (0.025, 0.975)) if np.isfinite(drawn).any() else (np.nan, np.nan)
        covered["bootstrap"] += bool(low <= truth <= high)
    return {name: round(100 * count / samples, 1) for name, count in covered.items()}


def gaps(random: Random, samples: int, groups: int, size: int, better: float) -> float:
    """Return how often, in percent, the interval leaves out the true gap of the groups that were chosen."""
    names = [f"g{i}" for i in range(groups)] * size
    missed = 0
    for seed in range(samples):
        scores = random.beta(2, 3, groups * size) + np.where(np.array(names) == "g0", better, 0.0)
        gap = group_table(["group"], names, [mean_of("score", scores)], resamples=RESAMPLES, seed=seed).gaps[0]
        truth = better * ((gap.best == "g0") - (gap.worst == "g0"))
        missed += not gap.difference.low <= truth <= gap.difference.high
    return round(100 * missed / samples, 1)


def measure(samples: int, seed: int = 1) -> dict[str, Any]:
    """Return all tables."""
    random = np.random.default_rng(seed)
    return {
        "shares": [
            {
                "clusters": "patients" if patients else "cases",
                "positives": positives,
                "truth": truth,
                **shares(random, samples, positives, truth, patients),
            }
            for patients in (False, True)
            for positives in (5, 20, 50)
            for truth in (0.5, 0.8, 0.95)
        ],
        "gaps": [
            {"groups": groups, "size": size, "better": better, "missed": gaps(random, samples, groups, size, better)}
            for groups in (2, 5)
            for size in (15, 100)
            for better in (0.0, 0.1)
        ],
    }


def main() -> None:
    """Print the tables."""
    parser = options_of(__doc__)
    parser.add_argument("--samples", type=int, default=1000)
    options = parser.parse_args()
    report(measure(options.samples), options.json)


if __name__ == "__main__":
    main()
