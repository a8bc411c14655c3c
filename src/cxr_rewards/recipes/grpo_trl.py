"""GRPO of a chest X-ray report generator with trl.

`python -m cxr_rewards.recipes.grpo_trl --config unirg_step1 --data DATA -o out/step1`; with several GPUs, use
`accelerate launch -m`. `--tiny` rehearses the same script on a CPU, in a minute, with a synthetic model, processor and
films; `--tiny --text` with a language model. See `cxr_rewards.recipes.data` for the format of data. The same command
again goes on from the last checkpoint, or returns the result of a finished run.
"""

from __future__ import annotations

import json
import random
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr_rewards.adapters.diagnostics import Diagnostics
from cxr_rewards.core.progress import Progress
from cxr_rewards.recipes.checks import ask_judges, need_trl, reward_of, run_command
from cxr_rewards.recipes.data import dataset_of, has_images
from cxr_rewards.recipes.generate import write_reports
from cxr_rewards.recipes.models import is_first, is_sharded, load_model, lora, save_policy, training_dtype
from cxr_rewards.recipes.options import parser_of, settings_of
from cxr_rewards.recipes.outcome import in_words, outcome_of
from cxr_rewards.recipes.settings import check_groups, claim_folder, trainer_arguments, updates_per_generation
from cxr_rewards.recipes.sft import fine_tune, rows_of
from cxr_rewards.reward.base import BaseReward

RESULT = "result.json"
TRAINED = "trained"
"""A file that says that the policy is saved; what is left is to score."""


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, evaluate before and after, and return what changed: see `outcome_of`."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "--control", action="store_true", help="train with random rewards: what comes without the reward's help"
    )
    given = parser.parse_args(arguments)
    need_trl("grpo_trl")
    from trl import GRPOConfig

    settings, out = settings_of(given), given.out
    check_groups(settings)
    updates_per_generation(settings)
    reward = reward_of(settings["reward"], allow_code=given.allow_code)
    rows = {end: rows_of(settings["data"], end) for end in ("train", "eval") if end in settings["data"]}
    defaults = {"report_to": "none", "run_name": out.name}
    options = {**defaults, **settings["grpo"], "output_dir": str(out), "seed": given.seed}
    config = trainer_arguments(GRPOConfig, "grpo", options)
    claim_folder(out, {**settings, "seed": given.seed, "control": given.control}, is_first=is_first())
    if (out / RESULT).exists():
        result: dict[str, Any] = json.loads((out / RESULT).read_text(encoding="utf-8"))
        return result
    if is_first() and not given.control:
        ask_judges(reward)
    if "sft" in settings:
        settings["model"] = {**settings["model"], "name": fine_tune(settings, out / "sft", seed=given.seed)}
    return _train(settings, config, rows, reward, control=given.control)


def _train(
    settings: Mapping[str, Any],
    config: Any,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    reward: BaseReward,
    *,
    control: bool,
) -> dict[str, Any]:
    from transformers.trainer_utils import get_last_checkpoint
    from trl import GRPOTrainer

    out = Path(config.output_dir)
    model, pixels = settings["model"], settings["data"].get("image_pixels", 0)
    trained = out / TRAINED
    policy, takes = load_model(
        str(out) if trained.exists() else model["name"],
        images=has_images(rows["train"]),
        dtype=training_dtype(model),
        tiny=model.get("tiny", False),
    )
    score: Any = random_reward(config.seed)
    if not control:
        score = reward.as_trl(
            priors="prior_reports",
            group="study_id",
            diagnostics=Diagnostics(out / "diagnostics.jsonl", at_exit=is_first()),
            asynchronous=settings["reward"].get("asynchronous", False),
        )
    trainer = GRPOTrainer(
        model=policy,
        reward_funcs=score,
        args=config,
        train_dataset=dataset_of(rows["train"], pixels),
        processing_class=takes,
        peft_config=lora(model.get("lora_rank", 0)),
    )
    held_out = rows.get("eval", ())
    if held_out and is_sharded(trainer):
        warnings.warn(
            "no process holds the whole model, so none is evaluated here: run cxr_rewards.recipes.evaluate on the "
            "model before and after",
            stacklevel=2,
        )
        held_out = ()
    asked = settings["evaluation"]
    kinds = {"greedy": {}, "sampled": {key: asked[key] for key in ("samples", "temperature", "seed")}}
    if not asked["samples"]:
        del kinds["sampled"]
    films = dataset_of(held_out, pixels) if held_out else None

    def write(end: str) -> None:
        for kind, sampling in kinds.items() if held_out else ():
            path = out / f"{end}.{kind}.reports.csv"
            if not path.exists():  # a run that was resumed has it
                write_reports(
                    trainer.model, takes, held_out, path, films=films, batch_size=config.per_device_train_batch_size,
                    max_new_tokens=config.max_completion_length, **sampling,
                )  # fmt: skip

    write("before")
    if not trained.exists():
        trainer.train(resume_from_checkpoint=get_last_checkpoint(str(out)))
    write("after")
    if not trained.exists():
        save_policy(trainer, takes, out)
    trainer.accelerator.wait_for_everyone()
    if not is_first():
        return {}
    trained.touch()
    # Score last: other processes would wait for this one until their collectives time out.
    result = outcome_of(out, reward, list(kinds), Progress()) if held_out else {}
    (out / RESULT).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(in_words(result) + "\n" if result else "")
    return result


def random_reward(seed: int) -> Any:
    """Return a reward function of trl's that gives random numbers, for a control."""
    draw = random.Random(f"{seed}")  # noqa: S311 - a control

    def control(completions: Sequence[object], **_: object) -> list[float]:
        return [draw.random() for _ in completions]

    return control


if __name__ == "__main__":
    run_command(main)
