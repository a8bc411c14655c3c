"""Writes a model's reports of held-out studies, greedy or sampled, and scores them.

`python -m cxr_rewards.recipes.evaluate --config unirg_step1 --model out/step1 -o after.csv`; with several GPUs, use
`accelerate launch -m`. The studies are the config's `data.eval`, or `--split`; the reward is its `[reward]`. The
reports are written to `after.reports.csv`, ready for `cxr-rewards score` with another reward, and to
`after.rexrank.json`, as ReXrank takes them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from cxr_rewards.cli.console import shown
from cxr_rewards.core.progress import Progress
from cxr_rewards.core.registry import component_names
from cxr_rewards.errors import ConfigError, unknown_name
from cxr_rewards.files import SUMS, check_replaceable
from cxr_rewards.recipes.checks import need_trl, reward_of, run_command
from cxr_rewards.recipes.data import dataset_of, has_images, read_rows
from cxr_rewards.recipes.generate import COLUMNS, write_reports, write_rexrank
from cxr_rewards.recipes.models import load_model
from cxr_rewards.recipes.options import parser_of, settings_of
from cxr_rewards.recipes.outcome import score_reports

_SPLITS = ("train", "eval", "test", "sft")


def main(arguments: Sequence[str] | None = None) -> float | None:
    """Write reports, score them, and return the mean reward."""
    parser = parser_of(__doc__, out="CSV of the scores")
    parser.add_argument("--split", default="eval", help="train, eval, test of [data], or a JSONL file")
    parser.add_argument("--samples", type=int, default=0, help="sampled reports of a study; 0: one, greedy")
    parser.add_argument("--temperature", type=float, default=1.0, help="of the samples")
    parser.add_argument("--force", action="store_true", help="overwrite an existing file that is not a file of scores")
    parser.add_argument("--batch-size", type=int, default=16, help="reports per process at a time")
    given = parser.parse_args(arguments)
    if given.tiny and not (given.data and given.model):
        raise ConfigError("evaluate: --tiny needs the folders of a rehearsal: --data OUT/tiny --model OUT")
    settings = settings_of(given)
    data = settings["data"]
    if given.split not in data and not given.split.endswith(".jsonl"):
        if given.split in _SPLITS:
            raise ConfigError(f"{given.config}: data.{given.split} is missing")
        raise ConfigError(unknown_name("--split", "split", given.split, data.keys() & set(_SPLITS)))
    need_trl("evaluate")
    from accelerate import PartialState

    state = PartialState(cpu=given.tiny)
    path = data.get(given.split, given.split)
    rows = read_rows(path, with_prior=data.get("with_prior", True), images=data.get("images"))
    reward = reward_of(settings["reward"], allow_code=given.allow_code)
    reports, rexrank = given.out.with_suffix(".reports.csv"), given.out.with_suffix(".rexrank.json")
    reports.parent.mkdir(parents=True, exist_ok=True)
    if not given.force:  # before hours of writing reports, not after
        check_replaceable(given.out, [*reward.components, *SUMS], component_names())
        check_replaceable(reports, COLUMNS, ())
    progress = Progress()
    progress.begin("loading the model")
    with shown(progress) if state.is_main_process else nullcontext():
        model, takes = load_model(
            settings["model"]["name"], images=has_images(rows), tiny=settings["model"].get("tiny", False)
        )
        first = write_reports(
            model.to(state.device),
            takes,
            rows,
            reports,
            films=dataset_of(rows, data.get("image_pixels", 0)),
            samples=max(1, given.samples),
            temperature=given.temperature if given.samples else 0.0,
            seed=given.seed,
            batch_size=given.batch_size,
            max_new_tokens=settings["grpo"].get("max_completion_length", 512),
            progress=progress,
        )
        if not state.is_main_process:
            return None
        write_rexrank(rows, first, rexrank, Path(path).stem if given.split == path else given.split)
        mean = score_reports(reports, reward, given.out, progress, force=given.force)
    kind = f"{given.samples} sampled reports each" if given.samples else "greedy"
    value = mean if mean is None else round(mean, 4)
    sys.stdout.write(f"{reward.name}: mean {value} of {len(rows)} studies ({kind})\n")
    return mean


if __name__ == "__main__":
    run_command(main)
