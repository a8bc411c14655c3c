"""GRPO of a chest X-ray report generator with trl.

`python -m cxr_rewards.recipes.grpo_trl --config unirg_step1 -o out/step1`; with several GPUs, use
`accelerate launch -m`. `--tiny` rehearses the same script on a CPU, in a minute, with a synthetic model, processor and
films. See `cxr_rewards.recipes.data` for the format of data.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr_rewards.adapters.diagnostics import Diagnostics
from cxr_rewards.errors import MissingDependencyError
from cxr_rewards.recipes.data import dataset_of, load_settings, read_rows
from cxr_rewards.recipes.evaluate import load_model, reward_of, score_reports, write_reports

TINY: Mapping[str, object] = {
    "model": {"name": "", "lora_rank": 0},
    "data": {},
    "reward": {"preset": "rules"},
    "grpo": {
        "num_generations": 8,
        "per_device_train_batch_size": 64,
        "max_completion_length": 8,
        "learning_rate": 5e-4,
        "lr_scheduler_type": "constant",
        "beta": 0.0,
        "max_steps": 60,
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "dataloader_pin_memory": False,
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
    },
}


def load_tiny(seed: int) -> tuple[Any, Any, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a tiny model that is often wrong, its processor, and rows for training and evaluation."""
    import torch

    from cxr_rewards.recipes import tiny

    torch.set_num_threads(1)  # on a shared machine, two threads wait for each other
    processor = tiny.processor()
    model = tiny.model(processor.tokenizer, seed)
    tiny.warm_start(model, processor, seed=seed)
    return model, processor, tiny.rows(256, seed=1), tiny.rows(64, seed=2)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, evaluate before and after, and return both means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="unirg_step1", help="unirg_step1, unirg_step2, or a TOML file like them")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="folder for the policy, reports, scores and diagnostics"
    )
    parser.add_argument("--reward", default="", help="preset, TOML or server's URL, instead of the config's [reward]")
    parser.add_argument("--tiny", action="store_true", help="rehearse on a CPU, without data or weights")
    parser.add_argument("--max-steps", type=int, default=0, help="stop after this many steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--allow-code", action="store_true", help="let the reward's TOML name Python code to be run")
    given = parser.parse_args(arguments)
    try:
        from trl import GRPOConfig, GRPOTrainer
    except ImportError as error:
        raise MissingDependencyError(f'grpo_trl: needs trl: pip install "cxr_rewards[trl]" ({error})') from error

    settings = {**(TINY if given.tiny else load_settings(given.config))}
    if given.reward:
        settings["reward"] = {"config": given.reward, "asynchronous": settings["reward"].get("asynchronous", False)}
    given.out.mkdir(parents=True, exist_ok=True)
    model, processor, train, held_out = load_tiny(given.seed) if given.tiny else _load(settings)
    pixels = settings["data"].get("image_pixels", 0)

    reward = reward_of(settings["reward"], allow_code=given.allow_code)
    is_first = os.environ.get("RANK", "0") == "0"  # of several processes, one scores and reports
    score = reward.as_trl(
        priors=None if given.tiny else "prior_reports",
        group="study_id",
        diagnostics=Diagnostics(given.out / "diagnostics.jsonl", at_exit=is_first),
        asynchronous=settings["reward"].get("asynchronous", False),
    )
    options = {**settings["grpo"], **({"max_steps": given.max_steps} if given.max_steps else {})}
    config = GRPOConfig(output_dir=str(given.out), seed=given.seed, **{"report_to": "none", **options})
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=score,
        args=config,
        train_dataset=dataset_of(train, pixels),
        processing_class=processor,
        peft_config=_lora(settings["model"].get("lora_rank", 0)),
    )
    if held_out and _is_sharded(trainer):
        warnings.warn(
            "no process holds the whole model, so none is evaluated here: run cxr_rewards.recipes.evaluate on the "
            "model before and after",
            stacklevel=2,
        )
        held_out = []
    ends = {name: given.out / f"{name}.reports.csv" for name in ("before", "after")} if held_out else {}
    films = dataset_of(held_out, pixels) if held_out else []

    def write(end: str) -> None:
        if end in ends:
            write_reports(trainer.model, processor, films, ends[end], max_new_tokens=config.max_completion_length)

    write("before")
    trainer.train()
    write("after")
    if not given.tiny:
        trainer.save_model(str(given.out))
    if not is_first:
        return {}
    if not given.tiny:
        processor.save_pretrained(str(given.out))
    # Score last: other processes would wait for this one until their collectives time out.
    result = {end: score_reports(path, reward, given.out / f"{end}.csv") for end, path in ends.items()}
    (given.out / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _load(settings: Mapping[str, Any]) -> tuple[Any, Any, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the model, its processor, and rows for training and evaluation."""
    data = settings["data"]
    with_prior = data.get("with_prior", True)
    train = list(read_rows(data["train"], with_prior=with_prior))
    held_out = list(read_rows(data["eval"], with_prior=with_prior)) if "eval" in data else []
    return (*load_model(settings["model"]["name"]), train, held_out)


def _lora(rank: int) -> Any:
    if not rank:
        return None
    try:
        from peft import LoraConfig
    except ImportError:
        raise MissingDependencyError("grpo_trl: lora_rank needs peft: pip install peft") from None
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")


def _is_sharded(trainer: Any) -> bool:
    """Return whether the weights are spread over processes (FSDP, DeepSpeed's ZeRO-3)."""
    plugin = getattr(trainer.accelerator.state, "deepspeed_plugin", None)
    return bool(trainer.is_fsdp_enabled or (plugin is not None and plugin.zero_stage == 3))


if __name__ == "__main__":
    main()
