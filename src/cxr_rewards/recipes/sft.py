"""Supervised fine-tuning on the true reports, before reinforcement learning, with trl's SFTTrainer.

`python -m cxr_rewards.recipes.sft --config unirg_step1 -o out/sft`; with several GPUs, use `accelerate launch -m`.
`grpo_trl` and `grpo_verl` run it themselves if their TOML has an `[sft]`. The rows are `data.sft`, or `data.train` if
there is none. Killed and started again, it goes on from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr_rewards.recipes.checks import need_trl, run_command
from cxr_rewards.recipes.data import dataset_of, has_images, read_rows
from cxr_rewards.recipes.models import is_first, load_model, lora, save_policy, training_dtype
from cxr_rewards.recipes.options import parser_of, settings_of
from cxr_rewards.recipes.settings import claim_folder, trainer_arguments

DONE = "done"


def fine_tune(settings: Mapping[str, Any], out: Path, *, seed: int = 0) -> str:
    """Fine-tune the recipe's model on references; return the folder of the policy, at once if it is finished.

    Raises:
        ConfigError: an unknown argument in `[sft]`, or the model cannot be loaded.
        InputError: the data cannot be read.
    """
    from transformers.trainer_utils import get_last_checkpoint
    from trl import SFTConfig, SFTTrainer

    if (out / DONE).exists():
        return str(out)
    data, model = settings["data"], settings["model"]
    defaults = {"report_to": "none", "run_name": out.name, "max_length": None}
    options = {**defaults, **settings["sft"], "output_dir": str(out), "seed": seed}
    config = trainer_arguments(SFTConfig, "sft", options)
    rows = rows_of(data, "sft" if "sft" in data else "train")
    policy, takes = load_model(
        model["name"], images=has_images(rows), dtype=training_dtype(model), tiny=model.get("tiny", False)
    )
    trainer = SFTTrainer(
        model=policy,
        args=config,
        train_dataset=dataset_of([_example(row) for row in rows], data.get("image_pixels", 0)),
        processing_class=takes,
        peft_config=lora(model.get("lora_rank", 0)),
    )
    out.mkdir(parents=True, exist_ok=True)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(out)))
    save_policy(trainer, takes, out)
    trainer.accelerator.wait_for_everyone()
    if is_first():
        (out / DONE).touch()
    return str(out)


def rows_of(data: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the rows of one of the recipe's files."""
    return read_rows(data[key], with_prior=data.get("with_prior", True), images=data.get("images"))


def _example(row: Mapping[str, Any]) -> dict[str, Any]:
    answer = [{"role": "assistant", "content": row["reference"]}]
    images = {"images": row["images"]} if "images" in row else {}
    return {"prompt": row["prompt"], "completion": answer, **images}


def main(arguments: Sequence[str] | None = None) -> str:
    """Fine-tune, and return the folder of the policy."""
    given = parser_of(__doc__).parse_args(arguments)
    need_trl("sft")
    settings = settings_of(given)
    used = {"model": settings["model"], "data": settings["data"], "sft": settings.get("sft", {})}
    claim_folder(given.out, {**used, "seed": given.seed}, is_first=is_first())
    return fine_tune(used, given.out, seed=given.seed)


if __name__ == "__main__":
    run_command(main)
