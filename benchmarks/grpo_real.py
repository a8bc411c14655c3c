"""Train a language model with rewards of this library, and measure what it learns by what is not the reward.

Run: `python benchmarks/grpo_real.py FOLDER [--data iu_xray_reports.csv] [--form quick] [--until 06:00]`.

The task is to write the findings of a report from the indication and the human index terms, some of which are left out.
One policy is taught by reports until it learns no more. From there each arm goes its own way by GRPO, with a reward of
its own or a control. Then each writes the reports of held-out studies, sampled and greedily. See docs/evidence.md.

All settings are in grpo_real.toml. Without `--data`, the corpus is made up. Work that is done is never done again: the
same command goes on where it was stopped. FOLDER gets a folder for each policy, `scores/` with a CSV for each arm,
`result.json`, `tables.md`, `figure.svg` and `report.html`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from cxr_rewards.evaluation.report.write import write_page
from grpo_parts import runs
from grpo_parts.figure import figure_of
from grpo_parts.page import page_of
from grpo_parts.results import summarise
from grpo_parts.settings import DEFAULTS, forms, load_settings
from grpo_parts.studies import load_studies
from grpo_parts.tables import text_of


def tell(line: str) -> None:
    """Say what is being done."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Do the work that there is time for, and write the results of all that is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, help="CSV with uid, indication, findings, mesh; else a made-up corpus")
    parser.add_argument("--config", type=Path, default=DEFAULTS)
    parser.add_argument("--form", choices=forms(), default="", help="quick: 20 minutes; short: 2 hours")
    parser.add_argument("--until", metavar="HH:MM", help="begin no unit that would probably end later")
    parser.add_argument("--budget-minutes", type=float, help="the same, from now")
    parser.add_argument("--report-only", action="store_true", help="train nothing; write the results of what is done")
    given = parser.parse_args()
    settings = load_settings(given.config, given.form)
    given.folder.mkdir(parents=True, exist_ok=True)

    import torch

    from grpo_parts.policy import load_tokenizer
    from grpo_parts.worker import TrlWorker

    torch.set_num_threads(settings["model"]["threads"])
    tokenizer = load_tokenizer(settings["model"]["name"], given.folder)
    studies = load_studies(given.data, lambda text: len(tokenizer(text)["input_ids"]), settings)
    corpus = json.dumps(studies)
    units = runs.units_of(settings)
    tell(f"{len(studies.train)} studies of training, {len(studies.held_out)} held out, {len(units)} policies")
    if not given.report_only:
        worker = TrlWorker(studies, settings, given.folder)
        deadline = runs.deadline_of(given.until, given.budget_minutes)
        for _ in runs.work(units, given.folder, worker, settings=settings, corpus=corpus, deadline=deadline, tell=tell):
            pass
    if not runs.finished(units, given.folder):
        parser.error(f"{given.folder} holds no policy yet")
    result = summarise(studies, units, given.folder, settings)
    (given.folder / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (given.folder / "tables.md").write_text(text_of(result), encoding="utf-8")
    (given.folder / "figure.svg").write_text(figure_of(result), encoding="utf-8")
    write_page(given.folder / "report.html", page_of(result))
    tell(f"{given.folder}: result.json, tables.md, figure.svg, report.html")


if __name__ == "__main__":
    main()
