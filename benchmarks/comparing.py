"""How often the intervals of a comparison hold the true difference, and how often its tests err.

`python benchmarks/comparing.py` draws 2,000 samples of n cases (or patients) with scores of two systems, whose true
difference is known, and prints in percent

- `covers`: samples whose 95% interval of the difference holds the true one (BCa's in the next column), with those of a
  plain percentile bootstrap for comparison;
- `below`, `above`: samples in which the truth lies below or above the interval;
- `errs`: samples in which the test rejects at 5% although the systems are alike: the two scores of each case (of all
  cases of a patient) are exchanged at random before the test. In the last row nothing is exchanged: the systems have
  the same mean, but the test's null hypothesis is that their scores could be exchanged, which is more.

The intervals are made of `--resamples` resamples; more change little.

`--files A.csv B.csv` draws the cases from two files of scores instead, metric by metric: their difference is then the
true one. `--speed` times the comparison of 10 metrics of 10,000 cases.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from cxr_rewards.core.registry import component_names
from cxr_rewards.evaluation import compare, join_scores, load_scores
from cxr_rewards.evaluation.corpus import gap_of
from cxr_rewards.evaluation.resampling import bootstrap, effective_clusters, sign_flip, sum_by_cluster

SIZES = (12, 50, 500)
Random = np.random.Generator
Numbers = np.ndarray


class Sample(NamedTuple):
    """Rows of numbers of two systems, (cases, k), and the cluster of each case; None if each is one."""

    first: Numbers
    second: Numbers
    clusters: Numbers | None = None


class Scenario(NamedTuple):
    """A way to draw samples, and the statistic of the sums of one system."""

    about: str
    draw: Callable[[Random, int], Sample]
    statistic: Callable[[Numbers], Numbers]
    bounds: tuple[float, float]
    exchanged: bool = True
    groups: int = 1


def mean(sums: Numbers) -> Numbers:
    """Return the mean; the first sum is the number of cases."""
    return sums[..., 1:] / sums[..., :1]


def scores(first: Numbers, second: Numbers, clusters: Numbers | None = None) -> Sample:
    """Return a sample of one score a case."""
    ones = np.ones(len(first))
    return Sample(np.column_stack((ones, first)), np.column_stack((ones, second)), clusters)


def normal(random: Random, n: int) -> Sample:
    """Draw scores that are unrelated and normal."""
    return scores(random.normal(0.5, 0.1, n), random.normal(0.5, 0.1, n))


def bounded(random: Random, n: int) -> Sample:
    """Draw scores around the case's own difficulty, as ROUGE-L gives them."""
    case = random.beta(5, 3, n)
    first, second = (np.clip(case + random.normal(shift, 0.15, n), 0, 1) for shift in (0.03, 0))
    return scores(first, second)


def zeros(random: Random, n: int) -> Sample:
    """Draw scores of which 40% are 0, in the same cases more often than not, as F1 of findings gives them."""
    share = random.beta(1, 1.5, n)
    first, second = (np.where(random.random(n) < share * s, 0, random.beta(5, 3, n)) for s in (1.0, 1.1))
    return scores(first, second)


def errors(random: Random, n: int) -> Sample:
    """Draw numbers of errors, of which the second system makes a fifth more."""
    rate = random.gamma(1.0, 1.2, n)
    return scores(random.poisson(rate).astype(float), random.poisson(rate * 1.2).astype(float))


def top(random: Random, n: int) -> Sample:
    """Draw scores of which nine in ten are 1, as penalties give them."""
    share = random.beta(0.5, 4, n)
    first, second = (np.where(random.random(n) < share * s, random.beta(3, 3, n), 1) for s in (1.0, 1.3))
    return scores(first, second)


def rare(random: Random, n: int) -> Sample:
    """Draw a second system that is the first one but for a fifth of the cases, which are worse."""
    case = random.beta(5, 3, n)
    return scores(np.where(random.random(n) < 0.2, case + (1 - case) * random.beta(2, 2, n), case), case)


def patients(random: Random, n: int) -> Sample:
    """Draw n patients of one to six studies; each system does better or worse on all of a patient's studies."""
    sizes = random.integers(1, 7, n)
    of = np.repeat(np.arange(n), sizes)
    case = random.beta(5, 3, len(of))
    first, second = (
        np.clip(case + random.normal(shift, 0.12, n)[of] + random.normal(0, 0.08, len(of)), 0, 1) for shift in (0.03, 0)
    )
    return scores(first, second, of)


def patients_zeros(random: Random, n: int) -> Sample:
    """Draw n patients of one to six studies with many zeros, in the same patients more often than not."""
    sizes = random.integers(1, 7, n)
    of = np.repeat(np.arange(n), sizes)
    share = random.beta(1, 1.5, n)[of]
    first, second = (
        np.where(random.random(len(of)) < share * s, 0, random.beta(20 * q, 20 * (1 - q)))
        for s, q in ((s, random.beta(5, 3, n)[of]) for s in (1.0, 1.1))
    )
    return scores(first, second, of)


def skewed(random: Random, n: int) -> Sample:
    """Draw two systems of one mean: the second gains a little in most cases and loses much in a few."""
    case = random.normal(0.5, 0.1, n)
    return scores(case, case + 0.1 * (1 - random.gamma(1.0, 1.0, n)))


def two_groups(random: Random, n: int) -> Sample:
    """Draw scores of two groups that differ by 0.05 for one system and by 0.1 for the other."""
    case, group = random.beta(5, 3, n), random.random(n) < 0.5
    member = np.column_stack((group, ~group)).astype(float)
    tables = []
    for gap in (0.05, 0.1):
        values = np.clip(case - gap * group + random.normal(0, 0.1, n), 0, 1)
        tables.append(np.hstack((member, member * values[:, None])))
    return Sample(*tables)


PREVALENCE = np.array([0.06, 0.2, 0.3, 0.05, 0.12, 0.07, 0.06, 0.22, 0.04, 0.22, 0.03, 0.04, 0.25, 0.35])
"""Of the conditions in a hospital's reports, roughly."""


def labels(random: Random, n: int) -> Sample:
    """Draw conditions of which the systems see 70 and 65%, beside false ones; tp, fp and fn by condition."""
    truth = random.random((n, len(PREVALENCE))) < PREVALENCE
    tables = []
    for seen, false in ((0.7, 0.3), (0.65, 0.35)):
        found = np.where(truth, random.random(truth.shape) < seen, random.random(truth.shape) < PREVALENCE * false)
        tables.append(np.hstack([truth & found, ~truth & found, truth & ~found]).astype(float))
    return Sample(*tables)


def micro_f1(sums: Numbers) -> Numbers:
    """Return the F1 of all conditions together."""
    return f1(sums.reshape(*sums.shape[:-1], 3, -1).sum(axis=-1, keepdims=True))


def macro_f1(sums: Numbers) -> Numbers:
    """Return the mean of the conditions' F1."""
    return f1(sums.reshape(*sums.shape[:-1], 3, -1)).mean(axis=-1, keepdims=True)


def f1(counts: Numbers) -> Numbers:
    """Return F1 of tp, fp, fn: (..., 3, k) to (..., k); 0 without any."""
    tp, wrong = counts[..., 0, :], counts[..., 1, :] + counts[..., 2, :]
    return np.divide(2 * tp, 2 * tp + wrong, out=np.zeros_like(tp), where=2 * tp + wrong > 0)


UNIT = (-1.0, 1.0)
FREE = (-np.inf, np.inf)
SCENARIOS = {
    "normal": Scenario("normal", normal, mean, FREE),
    "bounded": Scenario("0 to 1, cases of their own difficulty", bounded, mean, UNIT),
    "zeros": Scenario("40% zeros", zeros, mean, UNIT),
    "errors": Scenario("numbers of errors, skewed", errors, mean, FREE),
    "top": Scenario("90% ones", top, mean, UNIT),
    "rare": Scenario("equal but for 20%, which are better", rare, mean, UNIT),
    "patients": Scenario("patients of 1 to 6 studies", patients, mean, UNIT),
    "patients_zeros": Scenario("the same with many zeros", patients_zeros, mean, UNIT),
    "micro_f1": Scenario("micro F1 of 14 conditions", labels, micro_f1, UNIT),
    "macro_f1": Scenario("macro F1 of 14 conditions", labels, macro_f1, UNIT),
    "gap": Scenario("gap of two groups", two_groups, lambda sums: gap_of(sums)[..., None], UNIT, groups=2),
    "skewed": Scenario("one mean, few large losses", skewed, mean, FREE, exchanged=False),
}


def difference(statistics: Numbers) -> Numbers:
    """Return the first system's statistic less the second's."""
    return statistics[..., 0] - statistics[..., 1]


def truth_of(scenario: Scenario, cases: int = 1_000_000) -> float:
    """Return the difference in a sample so large that it is the truth."""
    sample = scenario.draw(np.random.default_rng(99), cases)
    first, second = (scenario.statistic(side.sum(axis=0)) for side in (sample.first, sample.second))
    return float(first[0] - second[0])


def measured(scenario: Scenario, n: int, *, samples: int, resamples: int) -> dict[str, float | str | int]:
    """Return the shares of samples, in percent."""
    truth, random = truth_of(scenario), np.random.default_rng([n, len(scenario.about)])
    counts = dict.fromkeys(("covers", "bca", "plain", "below", "above", "errs"), 0)
    for seed in range(samples):
        sample = scenario.draw(random, n)
        first, second = (sum_by_cluster(side, sample.clusters) for side in (sample.first, sample.second))
        sizes = np.ones(len(first)) if sample.clusters is None else np.bincount(sample.clusters).astype(float)
        width = first.shape[1]

        def both(sums: Numbers, width: int = width) -> Numbers:
            return np.concatenate([scenario.statistic(sums[..., :width]), scenario.statistic(sums[..., width:])], -1)

        drawn = bootstrap(np.hstack((first, second)), both, resamples=resamples, seed=seed)
        effective = effective_clusters(sizes) / scenario.groups
        for key, method in (("covers", "percentile"), ("bca", "bca")):
            interval = drawn.interval(difference, effective, method=method, bounds=scenario.bounds)
            low, high = interval or (np.nan, np.nan)
            counts[key] += low <= truth <= high
            if key == "covers":
                counts["below"] += truth < low
                counts["above"] += truth > high
        low, high = np.quantile(difference(drawn.replicates), (0.025, 0.975))
        counts["plain"] += low <= truth <= high
        swap = random.random(len(first)) < (0.5 if scenario.exchanged else 0.0)
        a, b = np.where(swap[:, None], first, second), np.where(swap[:, None], second, first)
        counts["errs"] += sign_flip(a, b, scenario.statistic, trials=resamples, seed=seed).p[0] <= 0.05
    return {"scores": scenario.about, "n": n, **{key: 100 * count / samples for key, count in counts.items()}}


def from_files(paths: Sequence[Path], metrics: Sequence[str]) -> dict[str, Scenario]:
    """Return scenarios that draw the cases of two files of scores."""
    joined = join_scores([load_scores(path, metrics=metrics) for path in paths])
    found = {}
    for name, metric in joined.metrics.items():
        values = joined.values(name)
        values = values[:, np.isfinite(values).all(axis=0)]

        def draw(random: Random, n: int, values: Numbers = values) -> Sample:
            drawn = random.integers(0, values.shape[1], n)
            return scores(values[0, drawn], values[1, drawn])

        span = metric.bounds[1] - metric.bounds[0]
        found[name] = Scenario(name, draw, mean, (-span, span))
    return found


def speed(cases: int = 10_000, metrics: int = 10) -> None:
    """Print how long a comparison takes, files and all."""
    random = np.random.default_rng(0)
    names = ["reward", *component_names()[: metrics - 1]]
    own = random.beta(5, 3, (cases, metrics))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{name}.csv") for name in "ab"]
        for path in paths:
            values = np.clip(own + random.normal(0, 0.1, own.shape), 0, 1)
            pl.DataFrame({"study_id": range(cases), **dict(zip(names, values.T, strict=True))}).write_csv(path)
        start, cpu = time.perf_counter(), time.process_time()
        compare(paths, cluster="")
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    what = f"{metrics} metrics, {cases:,} cases, 10,000 resamples and sign flips"
    print(f"{what}: {wall:.1f} s, {cpu:.1f} s of CPU, {peak:.0f} MB")


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--json", type=Path, help="write the numbers here, too")
    parser.add_argument("--files", type=Path, nargs=2, help="two files of scores to draw cases from")
    parser.add_argument("--metrics", nargs="+", default=(), help="of these files; all by default")
    parser.add_argument("--speed", action="store_true", help="time a comparison instead")
    given = parser.parse_args()
    if given.speed:
        speed()
        return
    scenarios = (
        from_files(given.files, given.metrics) if given.files else {name: SCENARIOS[name] for name in given.only}
    )
    keys = ("covers", "bca", "plain", "below", "above", "errs")
    print(f"{given.samples:,} samples, {given.resamples:,} resamples each; in %\n"
          f"{'scores':38} {'n':>4} {' '.join(f'{key:>7}' for key in keys)} {'s':>5}")  # fmt: skip
    rows = []
    for scenario in scenarios.values():
        for n in given.sizes:
            start = time.perf_counter()
            row = measured(scenario, n, samples=given.samples, resamples=given.resamples)
            rows.append(row)
            seconds = time.perf_counter() - start
            print(f"{row['scores']:38} {n:4} {' '.join(f'{row[key]:7.1f}' for key in keys)} {seconds:5.0f}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
