"""The command line that all recipes share."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from cxr_rewards.errors import ConfigError
from cxr_rewards.recipes.settings import load_settings

TINY_GRPO: dict[str, Any] = {
    "num_generations": 8,
    "per_device_train_batch_size": 32,
    "steps_per_generation": 2,
    "max_completion_length": 8,
    "learning_rate": 5e-4,
    "lr_scheduler_type": "constant",
    "epsilon_high": 0.28,
    "max_steps": 48,
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
    "dataloader_pin_memory": False,
    "save_strategy": "no",
    "logging_steps": 1,
    "disable_tqdm": True,
}
"""trl's arguments of a rehearsal, with the KL of the recipe: two updates a generation, so that the clip acts."""

_TINY_SFT: dict[str, Any] = {
    "learning_rate": 3e-3,
    "lr_scheduler_type": "constant",
    "num_train_epochs": 2,
    "per_device_train_batch_size": 16,
    "max_length": None,
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
    "dataloader_pin_memory": False,
    "save_strategy": "no",
    "disable_tqdm": True,
}


def parser_of(doc: str | None, out: str = "folder for everything the run writes") -> argparse.ArgumentParser:
    """Return a parser with the options that all recipes share; `doc` is its description, `out` what -o names."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="unirg_step1", help="unirg_step1, unirg_step2, or a TOML file like them")
    parser.add_argument("-o", "--out", type=Path, required=True, help=out)
    parser.add_argument("--data", type=Path, help="folder with train.jsonl and eval.jsonl, instead of [data]")
    parser.add_argument("--model", default="", help="name or folder, instead of model.name")
    parser.add_argument("--reward", default="", help="preset, TOML or server's URL, instead of [reward]")
    parser.add_argument("--judge-url", default="", help="address of the judge, instead of reward.judge")
    parser.add_argument("--judge-model", default="", help="its model")
    parser.add_argument("--no-sft", action="store_true", help="leave out [sft]: the model is fine-tuned already")
    parser.add_argument("--tiny", action="store_true", help="rehearse on a CPU, without data or weights")
    parser.add_argument("--text", action="store_true", help="with --tiny: a language model, without images")
    parser.add_argument("--max-steps", type=int, default=0, help="stop after this many updates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--allow-code", action="store_true", help="let the reward's TOML name Python code to be run")
    return parser


def arguments_of(given: argparse.Namespace, **changed: object) -> list[str]:
    """Return the shared options as arguments of another recipe, with some changed."""
    shared = ("config", "out", "data", "model", "reward", "judge_url", "judge_model", "no_sft", "tiny", "text")
    found = []
    for key in (*shared, "max_steps", "seed", "allow_code"):
        value = changed.get(key, getattr(given, key))
        flag = f"--{key.replace('_', '-')}"
        if value is True:
            found.append(flag)
        elif value:
            found += [flag, str(value)]
    return found


def settings_of(given: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the command line asks for.

    Raises:
        ConfigError: the TOML is wrong, or options contradict each other.
    """
    settings = _tiny(given) if given.tiny else load_settings(given.config)
    if given.data:
        for key in ("train", "eval", "test", "sft"):
            if key in ("train", "eval") or (given.data / f"{key}.jsonl").exists():
                settings["data"][key] = str(given.data / f"{key}.jsonl")
    if given.model:
        settings["model"]["name"] = given.model
    if given.reward:
        kept = {key: settings["reward"][key] for key in ("asynchronous", "judge", "cache") if key in settings["reward"]}
        settings["reward"] = {"config": given.reward, **({} if given.tiny else kept)}
    judge = {key: value for key, value in (("base_url", given.judge_url), ("model", given.judge_model)) if value}
    if judge:
        settings["reward"]["judge"] = {**settings["reward"].get("judge", {}), **judge}
    if given.no_sft:
        settings.pop("sft", None)
    if given.max_steps:
        settings["grpo"]["max_steps"] = given.max_steps
    if given.text and not given.tiny:
        raise ConfigError("--text is for --tiny; with your own data, leave out `image`, or set data.images = false")
    return settings


def _tiny(given: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of a rehearsal; its data and its model are written once, beside the run's folder."""
    import torch

    from cxr_rewards.recipes import tiny
    from cxr_rewards.recipes.models import is_first

    torch.set_num_threads(1)  # on a shared machine, two threads wait for each other
    folder = given.data or given.out / "tiny"
    if is_first() and not (folder / tiny.WRITTEN).exists():
        tiny.write(folder, films=not given.text, seed=given.seed)
    while not (folder / tiny.WRITTEN).exists():  # by the first of several processes
        time.sleep(0.1)
    return {
        "model": {"name": str(folder / "model"), "lora_rank": 0, "tiny": True},
        "data": {key: str(folder / f"{key}.jsonl") for key in ("train", "eval", "sft")},
        "reward": {"preset": "rules"},
        "sft": dict(_TINY_SFT),
        "grpo": {**TINY_GRPO, "beta": load_settings(given.config)["grpo"].get("beta", 0.0)},
        "evaluation": {"samples": 2, "temperature": 1.0, "seed": 0},
    }
