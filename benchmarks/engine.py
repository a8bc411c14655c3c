"""The engine's own time a case: a whole `score_batch` less what its components and features take by themselves.

Run: `python benchmarks/engine.py [--data reports.csv] [--json FILE]`. The data is a CSV with columns `findings` and
`impression`; without it the sample reports of `examples/` are used, varied by a running number.
Both sides do the same work in the same process, in turns; the figure is the median of the differences.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cxr_rewards import Case, CompositeReward
from cxr_rewards.cache import MemoryCache
from cxr_rewards.feature import FeatureTable

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


def own_time(reward: CompositeReward, cases: list[Case]) -> float:
    """Return the seconds the features and components need for the cases, called directly, without the engine."""
    columns: dict[str, dict[Any, Any]] = {}
    table = FeatureTable(columns)
    features = {f.signature: f for c in reward.components.values() for f in c.needs}
    texts = list(dict.fromkeys(t for case in cases for t in (case.candidate, case.reference)))
    seconds = 0.0
    for signature, feature in features.items():
        assert feature.over == "text", "the benchmark knows features over texts only"
        start = time.perf_counter()
        values = feature.compute(texts, table)
        seconds += time.perf_counter() - start
        columns[signature] = dict(zip(texts, values, strict=True))
    for component in reward.components.values():
        score_case = component.score_case
        start = time.perf_counter()
        _ = [score_case(case, table) for case in cases]
        seconds += time.perf_counter() - start
    return seconds


def measure(cases: list[Case], repeats: int) -> dict[str, float]:
    """Return microseconds a case: in all, the components' own, and the difference."""
    whole, own = [], []
    for _ in range(repeats):
        reward = CompositeReward(cache=MemoryCache())
        whole.append(clock(lambda reward=reward: reward.score_batch(cases)))
        own.append(own_time(reward, cases))
    scale = 1e6 / len(cases)
    return {
        "cases": len(cases),
        "whole_us": round(statistics.median(whole) * scale, 1),
        "components_us": round(statistics.median(own) * scale, 1),
        "overhead_us": round(statistics.median(w - o for w, o in zip(whole, own, strict=True)) * scale, 1),
        "cases_per_s": round(len(cases) / statistics.median(whole)),
    }


def main() -> None:
    """Measure distinct pairs, the GRPO shape, and single calls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    pairs = load_pairs(options.data, 1000)
    candidates = [c for c, _ in pairs]
    distinct = [Case(candidate=c, reference=r) for c, r in pairs]
    grouped = [
        Case(candidate=candidates[(16 * i + j) % len(candidates)], reference=r)
        for i, (_, r) in enumerate(pairs[:62])
        for j in range(16)
    ]
    result = {"distinct": measure(distinct, options.repeats), "grpo_16": measure(grouped, options.repeats)}
    warm = CompositeReward()
    warm.score_batch(distinct)
    singles = [clock(lambda case=case: warm.score_batch([case])) for case in distinct]
    result["single_call_warm"] = {"whole_us": round(statistics.median(singles) * 1e6, 1)}
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
