"""What does a reward choose? Of several reports that one policy samples for a study, each reward takes its best.

Run: `python benchmarks/best_of.py FOLDER --data iu_xray_reports.csv [--config FILE] [--form short] [--samples 6]`.

FOLDER is one of grpo_real.py in which the start is done, and data, config and form are those that it was made with. The
start writes every held-out study several times, sampled at temperature 1. A reward can only teach what it tells apart
in such samples, so this shows what it pulls towards without the noise of a training run. The measures are those of
grpo_real.py: findings against the human index terms, read by keywords and rules that are not the reward's and by its
own reader.
`the index` takes the sample with the best F1 by its own reader: no reward can do better. The samples are kept in
FOLDER/best_of.json: the same command goes on with them, and chooses again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from cxr_rewards import Case, CompositeReward
from grpo_parts import runs
from grpo_parts.policy import load_policy, load_tokenizer, write_reports
from grpo_parts.reading import READER_F1, by_rules, read_reports
from grpo_parts.results import MAIN, READER, RULES, Row, pairs_of, policies
from grpo_parts.rewards import reward_of
from grpo_parts.settings import DEFAULTS, forms, load_settings
from grpo_parts.studies import Study, load_studies
from report import options_of, report

BASE, BEST = "one at random", "the index"
REWARDS = ("rules", "rules_v1", "findings_soft_f1", "rouge_l", "bleu")
SHOWN = (MAIN, RULES, READER, "reward", "words", "all_normal", "open_end")
_FIRST_SEED = 101


def sampled(
    studies: Sequence[Study], folder: Path, settings: Mapping[str, Mapping[str, Any]], count: int
) -> list[dict[str, str]]:
    """Return `count` reports for each study, one dictionary by uid each; those that are kept are not written again."""
    path = folder / "best_of.json"
    kept: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    model = settings["model"]
    policy = None
    while len(kept) < count:
        policy = policy or load_policy(
            model["name"],
            folder,
            trained_layers=model["trained_layers"],
            weights=folder / runs.START / runs.WEIGHTS,
        )
        print(f"sample {len(kept) + 1} of {count}", file=sys.stderr, flush=True)
        texts = write_reports(
            policy,
            [study.prompt for study in studies],
            max_tokens=settings["data"]["max_tokens"],
            batch_size=settings["evaluation"]["written_at_once"],
            seed=_FIRST_SEED + len(kept),
        )
        kept.append({study.uid: text for study, text in zip(studies, texts, strict=True)})
        path.write_text(json.dumps(kept), encoding="utf-8")
    return kept[:count]


def chosen(
    studies: Sequence[Study], samples: Sequence[Mapping[str, str]], values: Callable[[Sequence[Case]], list[float]]
) -> dict[str, str]:
    """Return for each study the sample of the greatest value; of equal ones the first."""
    cases = [Case(candidate=texts[s.uid], reference=s.reference, case_id=s.uid) for s in studies for texts in samples]
    found = iter(values(cases))
    best = {}
    for study in studies:
        mine = [next(found) for _ in samples]
        best[study.uid] = samples[mine.index(max(mine))][study.uid]
    return best


def values_of(name: str) -> Callable[[Sequence[Case]], list[float]]:
    """Return a function from cases to the values of a preset or of an arm; what is unscored is never chosen."""

    def score(cases: Sequence[Case]) -> list[float]:
        if name.startswith("rules"):
            found = CompositeReward.from_preset(name).score_batch(cases)
        else:
            with reward_of(name, 0) as reward:
                found = reward.score_batch(cases)
        return [float("-inf") if one.value is None else one.value for one in found]

    return score


def main() -> None:
    """Sample, choose and print the table as JSON."""
    parser = options_of(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--config", type=Path, default=DEFAULTS)
    parser.add_argument("--form", choices=forms(), default="")
    parser.add_argument("--samples", type=int, default=6)
    given = parser.parse_args()
    if given.samples < 2:
        parser.error(f"--samples: expected 2 or more, got {given.samples}")
    if not runs.is_done(given.folder / runs.START):
        parser.error(f"{given.folder} holds no start: run grpo_real.py first")
    settings = load_settings(given.config, given.form)

    import torch

    torch.set_num_threads(settings["model"]["threads"])
    tokenizer = load_tokenizer(settings["model"]["name"], given.folder)
    studies = load_studies(given.data, lambda text: len(tokenizer(text)["input_ids"]), settings)
    samples = sampled(studies.held_out, given.folder, settings, given.samples)
    known = [study.reference for study in (*studies.train, *studies.validation)]
    reward = by_rules()
    rows: dict[str, list[Row]] = {}
    index = [read_reports(studies.held_out, {"0": texts}, known, reward) for texts in samples]
    rows[BASE] = list(index[0])
    for name in REWARDS:
        texts = chosen(studies.held_out, samples, values_of(name))
        rows[name] = list(read_reports(studies.held_out, {"0": texts}, known, reward))
    rows[BEST] = [max(some, key=lambda row: float(str(row[READER_F1]))) for some in zip(*index, strict=True)]
    seen = policies(rows, baseline=BASE)
    table = {name: {measure: seen[name].get(measure) for measure in SHOWN} for name in rows}
    found = {
        name: {
            pair.measure: {"difference": pair.difference, "low": pair.low, "high": pair.high}
            for pair in pairs_of({name: rows[name], BASE: rows[BASE]}, BASE)
            if pair.measure in SHOWN
        }
        for name in rows
        if name != BASE
    }
    report({"studies": len(studies.held_out), "samples": len(samples), "chosen": table, "less": found}, given.json)


if __name__ == "__main__":
    main()
