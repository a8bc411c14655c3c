"""GRPO of a chest X-ray report generator with verl.

`python -m cxr_rewards.recipes.grpo_verl --config unirg_step1 --data DATA -o out/step1 --gpus 8` writes the data for
verl and runs `verl.trainer.main_ppo` with the recipe's numbers, after `[sft]` by trl if there is one. Further
`key=value` arguments are passed on and take precedence. `--print` prints the commands instead. Recipes and data are
those of `grpo_trl`. The same command again goes on from verl's last checkpoint.

Reports of held-out studies are generated greedily and scored before, during and after training; verl logs the scores.
`out/step1/policy` is the trained model, merged from verl's shards: evaluate it with `cxr_rewards.recipes.evaluate`.
"""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr_rewards.errors import ConfigError
from cxr_rewards.recipes.checks import ask_judges, reward_of, run_command
from cxr_rewards.recipes.data import has_images
from cxr_rewards.recipes.options import arguments_of, parser_of, settings_of
from cxr_rewards.recipes.settings import check_groups, claim_folder, updates_per_generation
from cxr_rewards.recipes.sft import DONE, rows_of
from cxr_rewards.reward.base import BaseReward

SOURCE = "cxr"
"""`data_source` of the rows, which verl puts before the names of its validation metrics."""


_LOGGERS = {"wandb", "tensorboard", "mlflow", "trackio", "swanlab"}
"""Values of `report_to` that verl has under the same name."""


def write_data(rows: Sequence[Mapping[str, Any]], path: Path, pixels: int = 0) -> int:
    """Write the rows of `read_rows` as a Parquet file for verl's `RLHFDataset`; return how many.

    Images are paths, opened on use and shrunk to an area of at most `pixels` squared. Rows without images have no
    column of them, and verl then reads the prompt with the tokenizer.
    """
    import pyarrow as pa
    from pyarrow import parquet

    text = pa.string()
    seen = has_images(rows)
    limit = {"max_pixels": pa.int64()} if pixels else {}
    schema = pa.schema(
        {
            "data_source": text,
            "prompt": pa.list_(pa.struct({"role": text, "content": text})),
            **({"images": pa.list_(pa.struct({"image": text, **limit}))} if seen else {}),
            "reward_model": pa.struct({"style": text, "ground_truth": text}),
            "extra_info": pa.struct({"study_id": text, "index": pa.int64(), "priors": pa.list_(text)}),
        }
    )
    records = []
    for index, row in enumerate(rows):
        (message,) = row["prompt"]
        images = [str(Path(image).absolute()) for image in row.get("images", ())]
        limited = {"max_pixels": pixels * pixels} if pixels else {}
        records.append(
            {
                "data_source": SOURCE,
                "prompt": [{"role": message["role"], "content": "<image>" * len(images) + message["content"]}],
                **({"images": [{"image": image, **limited} for image in images]} if seen else {}),
                "reward_model": {"style": "rule", "ground_truth": row["reference"]},
                "extra_info": {"study_id": row["study_id"], "index": index, "priors": list(row["prior_reports"])},
            }
        )
    parquet.write_table(pa.Table.from_pylist(records, schema=schema), path)
    return len(records)


def overrides(
    settings: Mapping[str, Any], out: Path, gpus: int = 8, *, allow_code: bool = False, seed: int = 0
) -> list[str]:
    """Return a recipe's settings as `key=value` of verl's configuration.

    verl's step is a generation with all its updates, trl's a single update: numbers of steps are divided accordingly.

    Raises:
        ConfigError: the rollouts of a generation or an update are not a whole number of groups.
    """
    grpo, model, reward = settings["grpo"], settings["model"], settings["reward"]
    group, rank = grpo.get("num_generations", 8), model.get("lora_rank", 0)
    rollouts, epochs = check_groups(settings, gpus), grpo.get("num_iterations", 1)
    updates = updates_per_generation(settings)
    prompts, every = rollouts // group, max(1, grpo.get("save_steps", 200) // updates)
    if prompts % (updates // epochs):
        raise ConfigError(
            f"[grpo]: a generation of {prompts} studies cannot be divided into {updates // epochs} updates; change "
            "steps_per_generation"
        )
    beta = grpo.get("beta", 0.0)
    low = _uncached(reward, allow_code=allow_code).bounds[0]
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    kwargs = "reward.custom_reward_function.reward_kwargs"
    values = {
        "algorithm.adv_estimator": "grpo",
        "data.train_files": str(out / "train.parquet"),
        "data.val_files": str(out / "eval.parquet"),
        "data.train_batch_size": prompts,
        "data.max_prompt_length": 2048,
        "data.max_response_length": grpo.get("max_completion_length", 512),
        "data.filter_overlong_prompts": True,
        "data.seed": seed,
        "data.image_patch_size": None,  # the processor's
        "actor_rollout_ref.model.path": _absolute(model["name"]) if Path(model["name"]).is_dir() else model["name"],
        "actor_rollout_ref.model.lora_rank": rank,
        **({"actor_rollout_ref.model.lora_alpha": 2 * rank} if rank else {}),
        f"{actor}.ppo_mini_batch_size": prompts * epochs // updates,
        f"{actor}.ppo_epochs": epochs,
        f"{actor}.use_dynamic_bsz": True,
        f"{actor}.optim.lr": grpo["learning_rate"],
        f"{actor}.optim.lr_warmup_steps": math.ceil(grpo.get("warmup_steps", 0) / updates),
        f"{actor}.clip_ratio_low": grpo.get("epsilon", 0.2),
        f"{actor}.clip_ratio_high": grpo.get("epsilon_high", grpo.get("epsilon", 0.2)),
        f"{actor}.use_kl_loss": beta > 0,
        f"{actor}.kl_loss_coef": beta,
        f"{rollout}.name": "vllm",
        f"{rollout}.n": group,
        f"{rollout}.temperature": grpo.get("temperature", 1.0),
        f"{rollout}.tensor_model_parallel_size": 1,
        "reward.num_workers": 2,  # each holds its own models; requests that arrive meanwhile are one batch
        "reward.custom_reward_function.path": "pkg://cxr_rewards.adapters.verl",
        "reward.custom_reward_function.name": "compute_score",
        f"+{kwargs}.config": _absolute(reward.get("config", "")) or reward.get("preset", ""),
        **({f"+{kwargs}.judge.{key}": value for key, value in reward.get("judge", {}).items()}),
        **({f"+{kwargs}.cache": _absolute(reward["cache"])} if "cache" in reward else {}),
        **({f"+{kwargs}.allow_code": True} if allow_code else {}),
        f"+{kwargs}.unscored": round(low - 0.01, 6),
        f"+{kwargs}.group": "study_id",
        f"+{kwargs}.diagnostics": str(out / "diagnostics"),
        "trainer.total_epochs": grpo.get("num_train_epochs", 1),
        "trainer.n_gpus_per_node": gpus,
        **({"trainer.total_training_steps": math.ceil(grpo["max_steps"] / updates)} if "max_steps" in grpo else {}),
        "trainer.save_freq": every,
        "trainer.test_freq": every,
        "trainer.val_before_train": True,
        "trainer.default_local_dir": str(out),
        "trainer.validation_data_dir": str(out / "validation"),
        "trainer.project_name": grpo.get("project", "cxr_rewards"),
        "trainer.experiment_name": grpo.get("run_name", out.name),
        "trainer.logger": ["console", *_loggers(grpo.get("report_to", "none"))],
    }
    return [f"{key}={_literal(value)}" for key, value in values.items()]


def _absolute(path: str) -> str:
    """Return a path that Ray's workers can find, too."""
    return str(Path(path).absolute()) if path else ""


def _literal(value: object) -> str:
    return "null" if value is None else json.dumps(value)


def _uncached(reward: Mapping[str, Any], *, allow_code: bool) -> BaseReward:
    """Return the reward without its cache, which is verl's workers'."""
    return reward_of({key: value for key, value in reward.items() if key != "cache"}, allow_code=allow_code)


def _loggers(report_to: str | Sequence[str]) -> list[str]:
    """Return verl's loggers for trl's `report_to`."""
    named = [report_to] if isinstance(report_to, str) else list(report_to)
    for name in named:
        if name not in _LOGGERS | {"none"}:
            raise ConfigError(
                f"[grpo]: verl has no logger {name!r} for report_to; known: {', '.join(sorted(_LOGGERS))}"
            )
    return [name for name in named if name != "none"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the data, run fine-tuning and verl, merge the policy, and return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--gpus", type=int, default=8, help="number of GPUs on this machine")
    parser.add_argument("--launch", default="accelerate launch", help="what starts trl for [sft]")
    parser.add_argument("--print", action="store_true", dest="shown", help="print the commands and do not run them")
    parser.add_argument("more", nargs="*", metavar="key=value", help="overrides in verl's configuration")
    given = parser.parse_args(arguments)
    settings = settings_of(given)
    data, out = settings["data"], given.out.absolute()
    if "eval" not in data:
        raise ConfigError(f"{given.config}: data.eval is missing, and verl evaluates always")
    tuned = out / "sft"
    commands: list[list[str]] = []
    if "sft" in settings:
        if not (tuned / DONE).exists():
            shared = arguments_of(given, out=tuned, max_steps=0)
            commands.append([*shlex.split(given.launch), "-m", "cxr_rewards.recipes.sft", *shared])
        settings["model"] = {**settings["model"], "name": str(tuned)}
    options = overrides(settings, out, given.gpus, allow_code=given.allow_code, seed=given.seed)
    claim_folder(out, {**settings, "seed": given.seed, "gpus": given.gpus, "more": given.more})
    for key in ("train", "eval"):
        write_data(rows_of(data, key), out / f"{key}.parquet", data.get("image_pixels", 0))
    commands.append([sys.executable, "-m", "verl.trainer.main_ppo", *options, *given.more])
    if given.shown:
        sys.stdout.write("\n".join(shlex.join(command) for command in commands) + "\n")
        return 0
    ask_judges(_uncached(settings["reward"], allow_code=given.allow_code))
    for command in commands:
        if status := subprocess.run(command, check=False).returncode:  # noqa: S603 - the user's own
            return status
    return merge(out)


def merge(out: Path) -> int:
    """Merge verl's last checkpoint into a whole model, `out/policy`; return the exit status.

    Raises:
        ConfigError: there is no checkpoint.
    """
    last = out / "latest_checkpointed_iteration.txt"
    if not last.exists():
        raise ConfigError(f"{out}: verl has written no checkpoint; see its log, and trainer.save_freq")
    shards = out / f"global_step_{last.read_text(encoding='utf-8').strip()}" / "actor"
    command = [sys.executable, "-m", "verl.model_merger", "merge", "--backend", "fsdp", "--local_dir", str(shards)]
    return subprocess.run([*command, "--target_dir", str(out / "policy")], check=False).returncode  # noqa: S603


if __name__ == "__main__":
    run_command(main)
