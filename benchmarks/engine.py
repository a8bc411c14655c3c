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
from pathlib import Path
from typing import Any

from cxr_rewards import Case, Component, CompositeReward, Feature, Score
from cxr_rewards.cache import MemoryCache
from cxr_rewards.core.engine import Engine
from cxr_rewards.core.feature import FeatureTable, PairItem
from cxr_rewards.core.settings import setting
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


class ReplayedText(Feature):
    """Gives back what was computed of a text before."""

    name = "replayed_text"
    persistent = False
    of: str = setting("", "The feature's signature.")

    def compute(self, items: Sequence[Any], upstream: FeatureTable) -> list[Any]:
        """Look the values up."""
        return [VALUES[self.of][item] for item in items]


class ReplayedPair(ReplayedText):
    """Gives back what was computed of a pair before."""

    name = "replayed_pair"
    over = "pair"


class ReplayedComponent(Component):
    """Gives back what was scored before, after asking for the features as the real component does."""

    name = "replayed_component"
    reads = ("candidate", "reference", "priors")
    of: str = setting("", "The label.")

    @property
    def needs(self) -> tuple[Feature, ...]:
        """The replayed features, those that others need among them."""
        return NEEDS[self.of]

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Look the score up."""
        for feature in self.needs:
            for of in (case,) if feature.over == "pair" else (case.reference, case.candidate):
                features.value(feature, of)
        return SCORES[self.of][case.case_id]


NEEDS: dict[str, tuple[Feature, ...]] = {}
VALUES: dict[str, dict[Any, Any]] = {}
SCORES: dict[str, dict[str, Score]] = {}


def stand_ins(feature: Feature, cases: list[Case], table: FeatureTable) -> list[Feature]:
    """Return features that look up what the real one, and those it needs, have given."""
    below = [other for need in feature.needs for other in stand_ins(need, cases, table)]
    signature = feature.signature
    if feature.over == "pair":
        pairs = (PairItem(case.candidate, case.reference) for case in cases)
        VALUES[signature] = {pair: table.value(feature, pair) for pair in pairs}
        return [*below, ReplayedPair(of=signature)]
    assert feature.over == "text", "the benchmark knows features over texts and pairs only"
    texts = (text for case in cases for text in (case.candidate, case.reference))
    VALUES[signature] = {text: table.value(feature, text) for text in texts}
    return [*below, ReplayedText(of=signature)]


def replay(reward: CompositeReward, cases: list[Case]) -> CompositeReward:
    """Return the same reward with components and features that only look up what the real ones have given."""
    table = Engine(reward.components).features(cases)
    for label, component in reward.components.items():
        needed = [other for feature in component.needs for other in stand_ins(feature, cases, table)]
        NEEDS[label] = tuple(dict.fromkeys(needed))
        scored = zip(cases, reward.score_batch(cases), strict=True)
        SCORES[label] = {case.case_id: result.parts[label] for case, result in scored}
    replayed = {label: ReplayedComponent(of=label) for label in reward.components}
    weights = {label: abs(term.weight) for label, term in reward.total.terms.items()}
    return CompositeReward(replayed, weights=weights, cache=MemoryCache())


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
