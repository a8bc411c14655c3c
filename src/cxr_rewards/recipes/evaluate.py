"""Writes a model's reports of held-out studies, greedily, and scores them.

`python -m cxr_rewards.recipes.evaluate --config unirg_step1 --model out/step1 -o after.csv`; with several GPUs, use
`accelerate launch -m`. The studies are the config's `data.eval`, the reward its `[reward]`. The reports are written to
`after.reports.csv`, ready for `cxr-rewards score` with another reward.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_rewards.cli.console import shown
from cxr_rewards.core.progress import Progress
from cxr_rewards.core.registry import component_names
from cxr_rewards.errors import ConfigError, MissingDependencyError
from cxr_rewards.files import SUMS, check_replaceable
from cxr_rewards.recipes.data import dataset_of, load_settings, read_rows
from cxr_rewards.remote.load import load_reward
from cxr_rewards.reward.base import BaseReward

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

COLUMNS = ("study_id", "candidate", "reference", "prior_report")
"""Columns of the file of reports."""


def generate(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    rows: Sequence[Mapping[str, Any]],
    batch_size: int = 16,
    max_new_tokens: int = 512,
    *,
    progress: Progress | None = None,
) -> list[str]:
    """Return the model's reports, greedily (temperature 0, as the paper evaluates)."""
    import torch

    progress = progress or Progress()
    progress.begin("writing reports", total=len(rows), unit="studies")
    reports: list[str] = []
    model.eval()
    for start in range(0, len(rows), batch_size):
        batch = [rows[i] for i in range(start, min(len(rows), start + batch_size))]
        images = [row["images"] if "images" in row else [row["image"]] for row in batch]
        texts = []
        for row, films in zip(batch, images, strict=True):
            content = [*({"type": "image"} for _ in films), {"type": "text", "text": row["prompt"][0]["content"]}]
            messages = [{"role": "user", "content": content}]
            texts.append(processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
        inputs = processor(text=texts, images=images, padding=True, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            tokens = model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
        written = tokens[:, inputs["input_ids"].shape[1] :]
        reports += processor.tokenizer.batch_decode(written, skip_special_tokens=True)
        progress.advance(len(batch))
    return reports


def write_reports(
    model: PreTrainedModel, processor: ProcessorMixin, rows: Sequence[Mapping[str, Any]], path: Path, **options: Any
) -> None:
    """Write the model's reports of these rows as a CSV that `cxr-rewards score` reads.

    With several processes (`accelerate launch`), each generates reports for its share of the rows, and the first writes
    the file. All must call this function, and each must hold the whole model.
    """
    from accelerate import PartialState
    from accelerate.utils import gather_object

    state = PartialState()
    mine = range(state.process_index, len(rows), state.num_processes)
    written = generate(model, processor, [rows[i] for i in mine], **options)
    reports = dict(gather_object(list(zip(mine, written, strict=True))))
    if not state.is_main_process:
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for i, row in enumerate(rows):
            priors = row.get("prior_reports") or []
            writer.writerow((row["study_id"], reports[i], row["reference"], json.dumps(priors) if priors else ""))


def score_reports(
    reports: Path, reward: BaseReward, out: Path, progress: Progress | None = None, *, force: bool = False
) -> float | None:
    """Score such a CSV as `cxr-rewards score` would; return the mean reward."""
    from cxr_rewards.files import choose_columns, open_table, score_file

    table = open_table(reports)
    columns = choose_columns(table.columns, case_id="", where=str(reports))
    scored = score_file(table, columns, reward, out, restart=True, force=force, progress=progress)
    return scored.summary.overall()["reward"].mean


def reward_of(settings: Mapping[str, Any], *, allow_code: bool = False) -> BaseReward:
    """Return the reward of a recipe's `[reward]`; only the caller may set `allow_code`, not the file."""
    overrides = {key: settings[key] for key in ("judge", "cache") if key in settings}
    if allow_code:
        overrides["allow_code"] = True
    return load_reward(settings.get("config") or settings.get("preset", ""), **overrides)


def load_model(name: str) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Return model and processor from the Hub or a folder; if peft is installed, the folder may hold a LoRA adapter."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(name, padding_side="left")
    return AutoModelForImageTextToText.from_pretrained(name, dtype="bfloat16"), processor


def main(arguments: Sequence[str] | None = None) -> float | None:
    """Write reports, score them, and print the mean reward."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="unirg_step1", help="unirg_step1, unirg_step2, or a TOML file like them")
    parser.add_argument("--model", help="name or folder; the config's if not given")
    parser.add_argument("-o", "--out", type=Path, required=True, help="CSV of the scores")
    parser.add_argument("--force", action="store_true", help="overwrite an existing file that is not a file of scores")
    parser.add_argument("--batch-size", type=int, default=16, help="studies per process at a time")
    parser.add_argument("--allow-code", action="store_true", help="let the reward's TOML name Python code to be run")
    given = parser.parse_args(arguments)
    settings = load_settings(given.config)
    data = settings["data"]
    if "eval" not in data:
        raise ConfigError(f"{given.config}: data.eval is missing")
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise MissingDependencyError(f'evaluate: needs trl: pip install "cxr_rewards[trl]" ({error})') from error
    state = PartialState()
    rows = list(read_rows(data["eval"], with_prior=data.get("with_prior", True)))
    reward = reward_of(settings["reward"], allow_code=given.allow_code)
    reports = given.out.with_suffix(".reports.csv")
    reports.parent.mkdir(parents=True, exist_ok=True)
    if not given.force:  # before hours of writing reports, not after
        check_replaceable(given.out, [*reward.components, *SUMS], component_names())
        check_replaceable(reports, COLUMNS, ())
    progress = Progress()
    progress.begin("loading the model")
    options = {"max_new_tokens": settings.get("grpo", {}).get("max_completion_length", 512)}
    films = dataset_of(rows, data.get("image_pixels", 0))
    with shown(progress) if state.is_main_process else nullcontext():
        model, processor = load_model(given.model or settings["model"]["name"])
        write_reports(
            model.to(state.device), processor, films, reports, batch_size=given.batch_size, progress=progress, **options
        )
        if not state.is_main_process:
            return None
        mean = score_reports(reports, reward, given.out, progress, force=given.force)
    sys.stdout.write(f"{reward.name}: mean {mean if mean is None else round(mean, 4)} of {len(rows)} studies\n")
    return mean


if __name__ == "__main__":
    main()
