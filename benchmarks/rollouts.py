"""Processor time of one training step: 256 studies x 16 rollouts with the preset `rules`, by stage.

Run: `python benchmarks/rollouts.py [--data reports.csv] [--json FILE]`. The data is a CSV with a column `findings`;
without it the sample reports of `examples/` are used, varied by a running number.
A rollout is its reference with each sentence kept with probability 0.7 and up to two sentences of other reports added,
in random order; the draws are seeded. Each repeat scores all of them with an empty cache; the reader remembers
sentences, as it does in training. Figures are the least of the repeats. `seconds` is the whole, with the garbage
collector on; `collector` is its share of that; `stages` and `components` are measured with the collector off.
"""

from __future__ import annotations

import csv
import gc
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxr_rewards import Case, CompositeReward
from cxr_rewards.core.stopwatch import Stopwatch
from report import options_of, report

SAMPLE = Path(__file__).parent.parent / "examples" / "sample_reports.csv"
STAGES = {"findings": "reading", "reports": "reading", "matched_findings": "comparing", "cache": "engine"}
"""The stage of each feature; all else that the reward times is a component."""


def sentences_of(report: str) -> list[str]:
    """Return the sentences of a report, cut at full stops."""
    return [f"{sentence.strip()}." for sentence in report.split(".") if sentence.strip()]


def load_references(data: Path | None, n: int) -> list[str]:
    """Return reports, at least n of them."""
    with (data or SAMPLE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if data:
        return [row["findings"] for row in rows if row["findings"].strip()]
    return [f"{row['reference']} Study {i}." for i in range(2 * n // len(rows) + 1) for row in rows]


def draw_rollouts(reports: list[str], studies: int, rollouts: int, seed: int = 3) -> list[Case]:
    """Return the cases of one step: rollouts of the first studies, with sentences of the rest."""
    draw = random.Random(seed)
    draw.shuffle(reports)
    others = [s for other in reports[studies:] for s in sentences_of(other) if len(s.split()) > 2]
    cases = []
    for group, reference in enumerate(reports[:studies]):
        for _ in range(rollouts):
            said = [sentence for sentence in sentences_of(reference) if draw.random() < 0.7]
            said += draw.sample(others, draw.randint(0, 2))
            draw.shuffle(said)
            cases.append(Case(candidate=" ".join(said) or "Normal.", reference=reference, group=str(group)))
    return cases


class Collector:
    """Processor seconds that the garbage collector takes while it is watched."""

    def __init__(self) -> None:
        self.seconds = self._start = 0.0

    def __call__(self, phase: str, info: Mapping[str, Any]) -> None:
        """Note the start or the end of a collection."""
        if phase == "start":
            self._start = time.process_time()
        else:
            self.seconds += time.process_time() - self._start


def score(cases: list[Case]) -> tuple[float, dict[str, float]]:
    """Return the processor seconds of one step, and those by what they were spent on."""
    reward = CompositeReward.from_preset("rules")
    reward._engine.watch = Stopwatch(time.process_time)  # the reward's own is a wall clock
    start = time.process_time()
    reward.score_batch(cases)
    return time.process_time() - start, reward.seconds


def measure(cases: list[Case], repeats: int) -> dict[str, Any]:
    """Return seconds: of the whole, of the collector, and by stage without it."""
    score(cases)  # reads the sentences
    whole, collecting, by_name = [], [], []
    for _ in range(repeats):
        gc.collect()
        collector = Collector()
        gc.callbacks.append(collector)
        whole.append(score(cases)[0])
        gc.callbacks.remove(collector)
        collecting.append(collector.seconds)
        gc.collect()
        gc.disable()
        total, seconds = score(cases)
        gc.enable()
        by_name.append({**seconds, "all": total})
    least = {name: min(seconds[name] for seconds in by_name) for name in by_name[0]}
    stages = dict.fromkeys(("reading", "comparing", "components", "engine"), 0.0)
    for name, seconds in least.items():
        if name != "all":
            stages[STAGES.get(name, "components")] += seconds
    stages["engine"] += least["all"] - sum(stages.values())
    components = {name: seconds for name, seconds in least.items() if name != "all" and name not in STAGES}
    return {
        "cases": len(cases),
        "seconds": round(min(whole), 3),
        "collector": round(min(collecting), 3),
        "stages": {name: round(seconds, 3) for name, seconds in stages.items()},
        "components": {name: round(seconds, 3) for name, seconds in components.items()},
    }


def main() -> None:
    """Parse the options, measure, report."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path, help="CSV with a column findings")
    parser.add_argument("--studies", type=int, default=256)
    parser.add_argument("--rollouts", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cases = draw_rollouts(load_references(options.data, options.studies), options.studies, options.rollouts)
    report(measure(cases, options.repeats), options.json)


if __name__ == "__main__":
    main()
