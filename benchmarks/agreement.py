"""How well a reward and its components agree with radiologists: Kendall's tau-b and pairwise accuracy.

Run: `python benchmarks/agreement.py --data ratings.jsonl [--preset rules] [--json FILE]`. Each line of the data is an
object with `case` (candidates of one case are compared with each other), `candidate`, `reference` and `ratings` (a list
of numbers, higher is better; their mean is what a score should rank like). RadPref's development half has this form.

Tau-b is taken over all rows; pairwise accuracy is the share of pairs of candidates of one case with different mean
ratings that the score puts in the right order, ties counting half.

"Cross-validated" is what a choice of weights is worth on cases it has not seen: for each tenth of the cases the weights
of the penalties of `rules` are chosen on the other nine tenths, from a grid, by tau-b plus accuracy, and the tenth is
scored with them. `guarded` chooses among weights that leave no hole (`cxr-rewards audit`), `free` also among smaller
ones: the difference is what the guards cost. The share of cases is small, so expect some noise; `cxr-rewards calibrate`
fits weights without a grid, and gives intervals.
"""

from __future__ import annotations

import itertools
import json
import statistics
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_rewards import CompositeReward
from cxr_rewards.core.registry import component_names, load_component
from cxr_rewards.evaluation.calibration.agreement import kendall_tau_b, pairwise_accuracy
from cxr_rewards.evaluation.calibration.validation import cross_validate
from cxr_rewards.judges.component import JudgeComponent
from report import options_of, report


def agreement(rows: list[dict[str, Any]], values: list[float]) -> tuple[float, float]:
    """Return tau-b with the mean ratings, and the share of differently rated pairs of one case in the right order."""
    pairs = [(i, j) for i, j in itertools.combinations(range(len(rows)), 2) if rows[i]["case"] == rows[j]["case"]]
    first, second = np.array(pairs).T
    scores, means = np.array(values), np.array([row["mean"] for row in rows])
    tau = kendall_tau_b(scores, means)[0]
    return float(tau), float(pairwise_accuracy(scores[first] - scores[second], means[first] - means[second])[0])


MAIN = "findings_soft_f1"
GUARDED = {
    "worst_error": (0.15, 0.2, 0.3),
    "negatives_recall": (0.15, 0.2),
    "change_f1": (0.05, 0.1),
    "prior_consistency": (0.15, 0.2),
    "findings_score": (0.0, 0.2),
    "gibberish": (0.3,),
    "rouge_l": (0.02,),
}
FREE = {**GUARDED, **{name: (0.0, *GUARDED[name]) for name in GUARDED if name not in ("findings_score", "gibberish")}}
Grid = dict[str, tuple[float, ...]]


def mix(scores: dict[str, list[float]], grid: Grid, weights: tuple[float, ...], i: int) -> float:
    """Return a row's score: the main component, less what the others fall short of their best value."""
    lost = {name: 1 - scores[name][i] if load_component(name).higher_is_better else -scores[name][i] for name in grid}
    return scores[MAIN][i] - sum(w * lost[name] for name, w in zip(grid, weights, strict=True))


def cross_validated(
    rows: list[dict[str, Any]], scores: dict[str, list[float]], grid: Grid, folds: int = 10
) -> list[float]:
    """Return each row's score with weights that were chosen without its case."""
    names = sorted({row["case"] for row in rows}, key=str)
    codes = np.array([names.index(row["case"]) for row in rows])
    mixed = {
        weights: [mix(scores, grid, weights, i) for i in range(len(rows))]
        for weights in itertools.product(*grid.values())
    }

    def predict(known: NDArray[np.int64], held_out: NDArray[np.int64]) -> NDArray[np.float64]:
        seen = [rows[i] for i in known]
        best = max((sum(agreement(seen, [mixed[weights][i] for i in known])), weights) for weights in mixed)
        return np.array(mixed[best[1]])[held_out]

    parts = [np.arange(len(names))[fold::folds] for fold in range(folds)]
    return [float(value) for value in cross_validate(codes, parts, predict)]


def by_rules(name: str) -> bool:
    """Say whether a component needs neither weights nor a judge nor another package."""
    known = load_component(name)
    return not (known.requires or name == "external" or issubclass(known, JudgeComponent))


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
    everything = CompositeReward([name for name in component_names() if by_rules(name)])
    parts = everything.score_batch(**columns)
    scores = {
        name: [(1 if load_component(name).higher_is_better else -1) * r.parts[name].value for r in parts]
        for name in everything.components
    }
    scores[f"preset {options.preset}"] = [
        r.value for r in CompositeReward.from_preset(options.preset).score_batch(**columns)
    ]
    guarded, free = (cross_validated(rows, scores, grid) for grid in (GUARDED, FREE))
    scores |= {"cross-validated, guarded": guarded, "cross-validated, free": free}
    found = {name: agreement(rows, values) for name, values in scores.items()}
    result = {
        name: {"kendall_tau_b": None if isnan(tau) else round(tau, 3), "pairwise_accuracy": round(accuracy, 3)}
        for name, (tau, accuracy) in found.items()
    }
    report({"rows": len(rows), **result}, options.json)


if __name__ == "__main__":
    main()
