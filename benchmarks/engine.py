"""The engine's own time a case: a `score_batch` whose components and features only look up what real ones have given.

Run: `python benchmarks/engine.py [--data reports.csv] [--json FILE]`. The data is a CSV with columns `findings` and
`impression`; without it the sample reports of `examples/` are used, varied by a running number.
The same cases are scored by the real default reward (`whole_us`) and by its replay (`engine_us`: distinct items, cache,
chunks, exception boundary, weighted sum, results), in turns in one process; figures are medians.
"""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from cxr_rewards import Case, Component, CompositeReward, Feature, Score
from cxr_rewards.cache import MemoryCache
from cxr_rewards.feature import FeatureTable
from cxr_rewards.settings import setting
from report import options_of, report

SAMPLE = Path(__file__).parent.parent / "examples" / "sample_reports.csv"


def load_pairs(data: Path | None, n: int) -> list[tuple[str, str]]:
    """Return n pairs of distinct reports."""
    with (data or SAMPLE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if data:
        texts = [f"{r['findings']} {r['impression']}" for r in rows if r["findings"].strip()]
        pairs = list(zip(texts[1:], texts, strict=False))
    else:
        usable = [r for r in rows if r["candidate"].strip()]
        pairs = [(f"{r['candidate']} Study {i}.", f"{r['reference']} Study {i}.") for i in range(n) for r in usable]
    return pairs[:n]


def clock(function: Callable[[], Any]) -> float:
    """Return the seconds one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


class ReplayedFeature(Feature):
    """Gives back what was computed before."""

    name = "replayed_feature"
    persistent = False
    of: str = setting("", "The feature's signature.")

    def compute(self, items: Sequence[Any], upstream: FeatureTable) -> list[Any]:
        """Look the values up."""
        return [VALUES[self.of][item] for item in items]


class ReplayedComponent(Component):
    """Gives back what was scored before, after asking for the features as the real component does."""

    name = "replayed_component"
    of: str = setting("", "The label.")
    features: tuple[str, ...] = setting((), "Signatures of the features.")

    @cached_property
    def needs(self) -> tuple[Feature, ...]:  # type: ignore[override]
        """The replayed features."""
        return tuple(ReplayedFeature(of=signature) for signature in self.features)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Look the score up."""
        for feature in self.needs:
            features.value(feature, case.reference)
            features.value(feature, case.candidate)
        return SCORES[self.of][case.case_id]


VALUES: dict[str, dict[str, Any]] = {}
SCORES: dict[str, dict[str, Score]] = {}


def replay(reward: CompositeReward, cases: list[Case]) -> CompositeReward:
    """Return the same reward with components and features that only look up what the real ones have given."""
    texts = list(dict.fromkeys(t for case in cases for t in (case.candidate, case.reference)))
    for component in reward.components.values():
        for feature in component.needs:
            assert feature.over == "text", "the benchmark knows features over texts only"
            VALUES[feature.signature] = dict(zip(texts, feature.compute(texts, FeatureTable({})), strict=True))
    for label in reward.components:
        scored = zip(cases, reward.score_batch(cases), strict=True)
        SCORES[label] = {case.case_id: result.parts[label] for case, result in scored}
    stand_ins = {
        label: ReplayedComponent(of=label, features=tuple(f.signature for f in component.needs))
        for label, component in reward.components.items()
    }
    weights = {label: abs(term.weight) for label, term in reward.total.terms.items()}
    return CompositeReward(stand_ins, weights=weights, cache=MemoryCache())


def measure(cases: list[Case], repeats: int) -> dict[str, float]:
    """Return microseconds a case: in all, and of the engine."""
    whole, engine = [], []
    replayed = replay(CompositeReward(), cases)
    for _ in range(repeats):
        reward = CompositeReward()
        whole.append(clock(lambda reward=reward: reward.score_batch(cases)))
        replayed.cache.clear()
        engine.append(clock(lambda: replayed.score_batch(cases)))
    scale = 1e6 / len(cases)
    return {
        "cases": len(cases),
        "components": len(replayed.components),
        "whole_us": round(statistics.median(whole) * scale, 1),
        "engine_us": round(statistics.median(engine) * scale, 1),
        "cases_per_s": round(len(cases) / statistics.median(whole)),
    }


def main() -> None:
    """Measure distinct pairs, the GRPO shape, and single calls."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    pairs = load_pairs(options.data, 1000)
    candidates = [c for c, _ in pairs]
    distinct = [Case(candidate=c, reference=r, case_id=str(i)) for i, (c, r) in enumerate(pairs)]
    grouped = [
        Case(candidate=candidates[(16 * i + j) % len(candidates)], reference=r, case_id=f"{i}-{j}")
        for i, (_, r) in enumerate(pairs[:62])
        for j in range(16)
    ]
    result = {"distinct": measure(distinct, options.repeats), "grpo_16": measure(grouped, options.repeats)}
    warm = CompositeReward()
    warm.score_batch(distinct)
    singles = [clock(lambda case=case: warm.score_batch([case])) for case in distinct]
    result["single_call_warm"] = {"whole_us": round(statistics.median(singles) * 1e6, 1)}
    report(result, options.json)


if __name__ == "__main__":
    main()
