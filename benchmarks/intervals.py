"""How often the 95% interval of a summary covers the true mean, beside two intervals of the bootstrap.

`python benchmarks/intervals.py`: samples of n rows are drawn from scores whose mean is known. "ours" is the interval of
`cxr_rewards.files.summary`, "Poisson" the percentile interval of a Poisson bootstrap of rows, "BCa" the bias-corrected
and accelerated bootstrap of rows (with clusters: of clusters). The coverage is in percent of the samples; those that
are all alike have no bootstrap interval, and are counted as not covered. "given": the share of samples that ours gives
an interval at all, for clusters that differ in size may be fewer than they seem.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np

from cxr_rewards.files.summary import MAX_GROUPS, MIN_CLUSTERS, Summary

SIZES = (3, 5, 8, 12, 24, 100)
REPLICATES = 1000
Random = np.random.Generator
Draw = Callable[[Random, int], np.ndarray]

SCORES: dict[str, tuple[Draw, float]] = {
    "normal": (lambda random, n: random.normal(0.5, 0.1, n), 0.5),
    "Beta(5, 3)": (lambda random, n: random.beta(5, 3, n), 5 / 8),
    "Beta(5, 1), near the top": (lambda random, n: random.beta(5, 1, n), 5 / 6),
    "Beta(0.5, 2), near 0": (lambda random, n: random.beta(0.5, 2, n), 0.2),
    "30% zeros, else Beta(5, 3)": (lambda random, n: random.beta(5, 3, n) * (random.random(n) > 0.3), 0.7 * 5 / 8),
    "60% zeros, else Beta(5, 3)": (lambda random, n: random.beta(5, 3, n) * (random.random(n) > 0.6), 0.4 * 5 / 8),
    "90% ones, else Beta(5, 3)": (lambda random, n: np.where(random.random(n) < 0.9, 1, random.beta(5, 3, n)), 0.9625),
}


def clustered(random: Random, n: int) -> tuple[np.ndarray, list[str]]:
    """Draw n patients of one to six studies, whose scores lie around the patient's own mean; the mean of all is 0.5."""
    sizes = random.integers(1, 7, n)
    values = np.repeat(random.normal(0.5, 0.12, n), sizes) + random.normal(0, 0.06, sizes.sum())
    return values, np.repeat([f"p{i}" for i in range(n)], sizes).tolist()


def poisson(random: Random, values: np.ndarray) -> tuple[float, float]:
    """Return the percentile interval of a Poisson bootstrap."""
    weights = random.poisson(1.0, (REPLICATES, len(values)))
    weights = weights[weights.sum(axis=1) > 0]
    low, high = np.quantile(weights @ values / weights.sum(axis=1), (0.025, 0.975))
    return float(low), float(high)


def bca(random: Random, sums: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Return the bias-corrected and accelerated interval of clusters with these sums and rows."""
    normal, drawn = NormalDist(), random.integers(0, len(sums), (REPLICATES, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    mean = sums.sum() / sizes.sum()
    below = np.clip((means < mean).mean() + (means == mean).mean() / 2, 1 / REPLICATES, 1 - 1 / REPLICATES)
    bias = normal.inv_cdf(below)
    left_out = (sums.sum() - sums) / (sizes.sum() - sizes)
    away = left_out.mean() - left_out
    squares = (away**2).sum()
    acceleration = (away**3).sum() / (6 * squares**1.5) if squares > 0 else 0.0
    shifted = [bias + normal.inv_cdf(share) for share in (0.025, 0.975)]
    low, high = np.quantile(means, [normal.cdf(bias + z / (1 - acceleration * z)) for z in shifted])
    return float(low), float(high)


def ours(
    samples: Sequence[tuple[np.ndarray, list[str]]], bounds: tuple[float, float]
) -> list[tuple[float, float] | None]:
    """Return the summary's interval of each sample, which is a subgroup of one summary; `None` if there is none."""
    found: list[tuple[float, float] | None] = []
    for start in range(0, len(samples), MAX_GROUPS):
        some = samples[start : start + MAX_GROUPS]
        summary = Summary(["score"], by="sample", cluster="patient", bounds=[bounds])
        for number, (values, names) in enumerate(some):
            summary.add([[float(x)] for x in values], groups=[f"{number:04}"] * len(values), clusters=names)
        for _, estimates in summary.subgroups().values():
            score = estimates["score"]
            found.append(None if score.low is None or score.high is None else (score.low, score.high))
    return found


def coverage(intervals: Sequence[tuple[float, float] | None], truth: float) -> float | None:
    """Return the percentage of intervals that hold the truth; `None` if there are no intervals."""
    found = [low < high and low <= truth <= high for low, high in filter(None, intervals)]
    return 100 * float(np.mean(found)) if found else None


def measured(name: str, n: int, samples: int) -> dict[str, float | str | int | None]:
    """Return the coverage of the three intervals for samples of n rows, or of n patients."""
    random = np.random.default_rng([n, len(name)])
    if name == "clusters":
        drawn, truth, bounds = [clustered(random, n) for _ in range(samples)], 0.5, (-np.inf, np.inf)
    else:
        draw, truth = SCORES[name]
        drawn = [(draw(random, n), [""] * n) for _ in range(samples)]
        bounds = (-np.inf, np.inf) if name == "normal" else (0.0, 1.0)
    accelerated = []
    for values, names in drawn:
        keys = np.unique(names, return_inverse=True)[1] if name == "clusters" else np.arange(n)
        accelerated.append(bca(random, np.bincount(keys, values), np.bincount(keys)))
    intervals = ours(drawn, bounds)
    return {
        "scores": name, "n": n, "ours": coverage(intervals, truth),
        "given": 100 * float(np.mean([interval is not None for interval in intervals])),
        "poisson": coverage([poisson(random, values) for values, _ in drawn], truth),
        "bca": coverage(accelerated, truth),
    }  # fmt: skip


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--json", type=Path, help="write the numbers here, too")
    given = parser.parse_args()
    print(
        f"coverage in %, {given.samples:,} samples\n"
        f"{'scores':28} {'n':>4} {'ours':>6} {'given':>6} {'Poisson':>8} {'BCa':>6}"
    )
    rows = []
    for name in [*SCORES, "clusters"]:
        for n in SIZES:
            row = measured(name, n, given.samples)
            rows.append(row)
            shown = f"{row['ours']:6.1f}" if row["ours"] is not None else f"{'none':>6}"
            print(f"{name:28} {n:4} {shown} {row['given']:6.0f} {row['poisson']:8.1f} {row['bca']:6.1f}", flush=True)
    print(f"ours gives none below {MIN_CLUSTERS} rows, or as many clusters in effect")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
