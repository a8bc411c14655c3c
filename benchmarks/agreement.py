"""How well a reward and its components agree with radiologists: Kendall's tau-b and pairwise accuracy.

Run: `python benchmarks/agreement.py --data ratings.jsonl [--preset rules] [--json FILE]`. Each line of the data is an
object with `case` (candidates of one case are compared with each other), `candidate`, `reference` and `ratings` (a list
of numbers, higher is better; their mean is what a score should rank like). RadPref's development half has this form.

Tau-b is taken over all rows; pairwise accuracy is the share of pairs of candidates of one case with different mean
ratings that the score puts in the right order, ties counting half.
"""

from __future__ import annotations

import itertools
import json
import statistics
from pathlib import Path
from typing import Any

from scipy.stats import kendalltau

from cxr_rewards import CompositeReward
from cxr_rewards.registry import component_names, load_component
from report import options_of, report


def pairwise(rows: list[dict[str, Any]], values: list[float]) -> float:
    """Return the share of differently rated pairs of one case in the right order."""
    right = []
    for i, j in itertools.combinations(range(len(rows)), 2):
        apart = rows[i]["mean"] - rows[j]["mean"]
        if rows[i]["case"] == rows[j]["case"] and apart:
            agreement = apart * (values[i] - values[j])
            right.append(0.5 if agreement == 0 else float(agreement > 0))
    return statistics.mean(right)


def main() -> None:
    """Score all rows and compare each number with the mean ratings."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", default="rules")
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.data.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["mean"] = statistics.mean(row["ratings"])
    columns = {"candidates": [r["candidate"] for r in rows], "references": [r["reference"] for r in rows]}
    everything = CompositeReward(component_names())
    parts = everything.score_batch(**columns)
    scores = {
        name: [(1 if load_component(name).higher_is_better else -1) * r.parts[name].value for r in parts]
        for name in everything.components
    }
    scores[f"preset {options.preset}"] = [
        r.value for r in CompositeReward.from_preset(options.preset).score_batch(**columns)
    ]
    means = [row["mean"] for row in rows]
    result = {
        name: {
            "kendall_tau_b": round(float(kendalltau(values, means).statistic), 3) if len(set(values)) > 1 else None,
            "pairwise_accuracy": round(pairwise(rows, values), 3),
        }
        for name, values in scores.items()
    }
    report({"rows": len(rows), **result}, options.json)


if __name__ == "__main__":
    main()
