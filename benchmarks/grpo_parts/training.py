"""Supervised training to convergence, and GRPO from there; both by trl."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grpo_parts.policy import Policy
from grpo_parts.rewards import WatchedReward, reward_of
from grpo_parts.studies import Study

Settings = Mapping[str, Mapping[str, Any]]


def _common(folder: Path, seed: int) -> dict[str, Any]:
    """Return the arguments of both trainers. On a CPU all is float32: bfloat16 is emulated on most, and slow."""
    import torch

    has_gpu = torch.cuda.is_available()
    return {
        "output_dir": str(folder),
        "seed": seed,
        "use_cpu": not has_gpu,
        "bf16": has_gpu,
        "activation_checkpointing": False,
        "lr_scheduler_type": "constant",
        "dataloader_pin_memory": has_gpu,
        "report_to": "none",
        "disable_tqdm": True,
    }


def _taught(studies: Sequence[Study]) -> Any:
    from datasets import Dataset

    return Dataset.from_list([{"prompt": s.prompt, "completion": f" {s.reference}"} for s in studies])


def _quiet(trainer: Any) -> None:
    """Let each step print one short line, not all its numbers."""
    from transformers import PrinterCallback, TrainerCallback

    class OneLine(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
            shown = {key: float(logs[key]) for key in ("loss", "eval_loss", "reward", "step_time") if key in logs}
            if shown:
                told = ", ".join(f"{key} {value:.3f}" for key, value in shown.items())
                print(f"  step {state.global_step} of {state.max_steps}: {told}", file=sys.stderr, flush=True)

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(OneLine())


def fine_tune(
    policy: Policy, train: Sequence[Study], validation: Sequence[Study], settings: Settings, *, folder: Path
) -> dict[str, Any]:
    """Train on the references until the loss of the validation studies no longer falls; the policy ends at its best."""
    from transformers import EarlyStoppingCallback
    from trl import SFTConfig, SFTTrainer

    sft = settings["sft"]
    config = SFTConfig(
        **_common(folder, 0),
        per_device_train_batch_size=sft["batch_size"],
        per_device_eval_batch_size=sft["batch_size"],
        train_sampling_strategy="group_by_length",  # little is padded
        learning_rate=sft["learning_rate"],
        num_train_epochs=sft["epochs"],
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=sft["evaluate_every"],
        save_strategy="steps",
        save_steps=sft["evaluate_every"],
        save_total_limit=1,
        save_only_model=True,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
    )
    trainer = SFTTrainer(
        model=policy.model,
        args=config,
        train_dataset=_taught(train),
        eval_dataset=_taught(validation),
        processing_class=policy.tokenizer,
        callbacks=[EarlyStoppingCallback(sft["patience"], sft["least_gain"])],
    )
    _quiet(trainer)
    start = time.perf_counter()
    trainer.train()
    history = trainer.state.log_history
    return {
        "seconds": time.perf_counter() - start,
        "steps": trainer.state.global_step,
        "epochs": trainer.state.epoch,
        "best_step": trainer.state.best_global_step,
        "loss": [[line["step"], line["loss"]] for line in history if "loss" in line],
        "validation_loss": [[line["step"], line["eval_loss"]] for line in history if "eval_loss" in line],
    }


def repeat_references(
    policy: Policy, prompts: Sequence[Study], settings: Settings, *, folder: Path, seed: int
) -> dict[str, Any]:
    """Train on the references of the prompts that an arm's reinforcement learning sees, in as many steps."""
    from trl import SFTConfig, SFTTrainer

    grpo = settings["grpo"]
    config = SFTConfig(
        **_common(folder, seed),
        per_device_train_batch_size=grpo["prompts"],
        learning_rate=grpo["learning_rate"],
        num_train_epochs=1,
        logging_steps=1,
        save_strategy="no",
    )
    trainer = SFTTrainer(
        model=policy.model, args=config, train_dataset=_taught(prompts), processing_class=policy.tokenizer
    )
    _quiet(trainer)
    start = time.perf_counter()
    trainer.train()
    return {
        "seconds": time.perf_counter() - start,
        "steps": trainer.state.global_step,
        "loss": [[line["step"], line["loss"]] for line in trainer.state.log_history if "loss" in line],
    }


def reinforce(
    policy: Policy, arm: str, prompts: Sequence[Study], settings: Settings, *, folder: Path, seed: int
) -> dict[str, Any]:
    """Train by GRPO with an arm's reward; go on from a checkpoint if the folder holds one."""
    from datasets import Dataset
    from transformers.trainer_utils import get_last_checkpoint
    from trl import GRPOConfig, GRPOTrainer

    grpo = settings["grpo"]
    config = GRPOConfig(
        **_common(folder, seed),
        per_device_train_batch_size=grpo["prompts"] * grpo["rollouts"],
        num_generations=grpo["rollouts"],
        max_completion_length=settings["data"]["max_tokens"],
        temperature=grpo["temperature"],
        learning_rate=grpo["learning_rate"],
        epsilon=grpo["epsilon"],
        epsilon_high=grpo["epsilon_high"],
        beta=grpo["beta"],
        mask_truncated_completions=grpo["mask_truncated"],
        max_steps=grpo["steps"],
        shuffle_dataset=False,
        logging_steps=1,
        **(
            {"save_strategy": "steps", "save_steps": grpo["save_every"], "save_total_limit": 1}
            if grpo["save_every"]
            else {"save_strategy": "no"}
        ),
    )
    rows = [{"prompt": s.prompt, "reference": s.reference, "uid": s.uid} for s in prompts]
    with reward_of(arm, seed) as reward:
        watched = WatchedReward(reward, folder)
        trainer = GRPOTrainer(
            model=policy.model,
            reward_funcs=watched,
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=policy.tokenizer,
        )
        _quiet(trainer)
        start = time.perf_counter()
        trainer.train(resume_from_checkpoint=get_last_checkpoint(folder))
        took = time.perf_counter() - start
    return {
        "seconds": took,
        "steps": trainer.state.global_step,
        "scoring_seconds": watched.seconds,
        "scoring_share": watched.seconds / took,
        "signature": reward.signature,
        "curve": watched.steps,
        "trainer": [line for line in trainer.state.log_history if "reward" in line],
    }
