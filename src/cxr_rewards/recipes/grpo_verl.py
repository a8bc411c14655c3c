"""GRPO of a chest X-ray report generator with verl.

`python -m cxr_rewards.recipes.grpo_verl --config unirg_step1 -o out/step1 --gpus 8` writes the data for verl and runs
`verl.trainer.main_ppo` with the recipe's numbers. Further `key=value` arguments are passed on and take precedence.
`--print` prints the command instead. Recipes and data are those of `grpo_trl`.

Reports of held-out studies are generated greedily and scored before, during and after training; verl logs the scores.
`cxr_rewards.recipes.evaluate` evaluates a checkpoint that `python -m verl.model_merger` has merged.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr_rewards.errors import ConfigError
from cxr_rewards.recipes.data import load_settings, read_rows
from cxr_rewards.recipes.evaluate import reward_of

SOURCE = "cxr"
"""`data_source` of the rows, which verl puts before the names of its validation metrics."""


def write_data(rows: Iterable[Mapping[str, Any]], path: Path, pixels: int = 0) -> int:
    """Write the rows of `read_rows` as a Parquet file for verl's `RLHFDataset`; return how many.

    Images are paths, opened on use and shrunk to an area of at most `pixels` squared.
    """
    import pyarrow as pa
    from pyarrow import parquet

    text = pa.string()
    schema = pa.schema(
        {
            "data_source": text,
            "prompt": pa.list_(pa.struct({"role": text, "content": text})),
            "images": pa.list_(pa.struct({"image": text, **({"max_pixels": pa.int64()} if pixels else {})})),
            "reward_model": pa.struct({"style": text, "ground_truth": text}),
            "extra_info": pa.struct({"study_id": text, "index": pa.int64(), "priors": pa.list_(text)}),
        }
    )
    records = []
    for index, row in enumerate(rows):
        (message,) = row["prompt"]
        images = [str(Path(image).absolute()) for image in row["images"]]
        records.append(
            {
                "data_source": SOURCE,
                "prompt": [{"role": message["role"], "content": "<image>" * len(images) + message["content"]}],
                "images": [{"image": image, **({"max_pixels": pixels * pixels} if pixels else {})} for image in images],
                "reward_model": {"style": "rule", "ground_truth": row["reference"]},
                "extra_info": {"study_id": row["study_id"], "index": index, "priors": list(row["prior_reports"])},
            }
        )
    parquet.write_table(pa.Table.from_pylist(records, schema=schema), path)
    return len(records)


def overrides(settings: Mapping[str, Any], out: Path, gpus: int = 8, *, allow_code: bool = False) -> list[str]:
    """Return a recipe's settings as `key=value` of verl's configuration.

    Raises:
        ConfigError: the rollouts of an update are not a whole number of groups.
    """
    grpo, model, reward = settings["grpo"], settings["model"], settings["reward"]
    group, rank = grpo["num_generations"], model.get("lora_rank", 0)
    rollouts = grpo["per_device_train_batch_size"] * grpo["gradient_accumulation_steps"] * gpus
    if rollouts % group:
        raise ConfigError(f"grpo_verl: {rollouts} rollouts an update, with {gpus} GPUs, are not a multiple of {group}")
    beta = grpo.get("beta", 0.0)
    uncached = {key: value for key, value in reward.items() if key != "cache"}  # bounds need no cache
    low = reward_of(uncached, allow_code=allow_code).bounds[0]
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    kwargs = "reward.custom_reward_function.reward_kwargs"
    values = {
        "algorithm.adv_estimator": "grpo",
        "data.train_files": str(out / "train.parquet"),
        "data.val_files": str(out / "eval.parquet"),
        "data.train_batch_size": rollouts // group,  # of prompts
        "data.max_prompt_length": 2048,
        "data.max_response_length": grpo["max_completion_length"],
        "data.filter_overlong_prompts": True,
        "data.image_patch_size": None,  # the processor's
        "actor_rollout_ref.model.path": _absolute(model["name"]) if Path(model["name"]).is_dir() else model["name"],
        "actor_rollout_ref.model.lora_rank": rank,
        **({"actor_rollout_ref.model.lora_alpha": 2 * rank} if rank else {}),
        f"{actor}.ppo_mini_batch_size": rollouts // group,
        f"{actor}.use_dynamic_bsz": True,
        f"{actor}.optim.lr": grpo["learning_rate"],
        f"{actor}.optim.lr_warmup_steps": grpo.get("warmup_steps", 0),
        f"{actor}.clip_ratio_low": grpo.get("epsilon", 0.2),
        f"{actor}.clip_ratio_high": grpo["epsilon_high"],
        f"{actor}.use_kl_loss": beta > 0,
        f"{actor}.kl_loss_coef": beta,
        f"{rollout}.name": "vllm",
        f"{rollout}.n": group,
        f"{rollout}.temperature": grpo["temperature"],
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
        "trainer.save_freq": grpo.get("save_steps", 200),
        "trainer.test_freq": grpo.get("save_steps", 200),
        "trainer.val_before_train": True,
        "trainer.default_local_dir": str(out),
        "trainer.validation_data_dir": str(out / "validation"),
        "trainer.project_name": "cxr_rewards",
        "trainer.experiment_name": out.name,
        "trainer.logger": ["console"],
    }
    return [f"{key}={_literal(value)}" for key, value in values.items()]


def _absolute(path: str) -> str:
    """Return a path that Ray's workers can find, too."""
    return str(Path(path).absolute()) if path else ""


def _literal(value: object) -> str:
    return "null" if value is None else json.dumps(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the data, run verl, and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="unirg_step1", help="unirg_step1, unirg_step2, or a TOML file like them")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for data, checkpoints and diagnostics")
    parser.add_argument("--gpus", type=int, default=8, help="number of GPUs on this machine")
    parser.add_argument("--allow-code", action="store_true", help="let the reward's TOML name Python code to be run")
    parser.add_argument("--print", action="store_true", dest="shown", help="print the command and do not run it")
    parser.add_argument("more", nargs="*", metavar="key=value", help="overrides in verl's configuration")
    given = parser.parse_args(arguments)
    settings = load_settings(given.config)
    data, out = settings["data"], given.out.absolute()
    if "eval" not in data:
        raise ConfigError(f"{given.config}: data.eval is missing, and verl evaluates always")
    out.mkdir(parents=True, exist_ok=True)
    for key in ("train", "eval"):
        rows = read_rows(data[key], with_prior=data.get("with_prior", True))
        write_data(rows, out / f"{key}.parquet", data.get("image_pixels", 0))
    options = overrides(settings, out, given.gpus, allow_code=given.allow_code)
    command = [sys.executable, "-m", "verl.trainer.main_ppo", *options, *given.more]
    if given.shown:
        sys.stdout.write(shlex.join(command) + "\n")
        return 0
    return subprocess.run(command, check=False).returncode  # noqa: S603 - the user's own


if __name__ == "__main__":
    sys.exit(main())
