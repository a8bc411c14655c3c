"""The policy: loaded for training or evaluation, and saved whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_rewards.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin


def load_model(
    name: str, *, images: bool = True, dtype: str = "bfloat16", tiny: bool = False
) -> tuple[PreTrainedModel, ProcessorMixin | PreTrainedTokenizerBase]:
    """Return a model and its processor, or its tokenizer if it takes no images, from the Hub or a folder.

    If peft is installed, the folder may hold a LoRA adapter.

    Args:
        name: on the Hub, or the folder.
        images: whether it is a vision-language model.
        dtype: of the weights. To train all of them takes float32: bfloat16 rounds most updates away.
        tiny: whether it is the rehearsal's model, whose processor and tokenizer are of its own.

    Raises:
        ConfigError: it cannot be loaded, or is another kind of model.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

    if tiny:
        from cxr_rewards.recipes import tiny as rehearsal
    try:
        if tiny:
            takes = rehearsal.processor() if images else rehearsal.tokenizer()
        else:
            takes = (AutoProcessor if images else AutoTokenizer).from_pretrained(name, padding_side="left")
        kind = AutoModelForImageTextToText if images else AutoModelForCausalLM
        return kind.from_pretrained(name, dtype=dtype), takes
    except (OSError, ValueError) as error:
        wanted = "a vision-language model" if images else "a language model (the data have no images)"
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"model {name}: cannot be loaded as {wanted}: {reason}") from None


def training_dtype(model: Mapping[str, Any]) -> str:
    """Return the type of the weights to train with: frozen ones, under an adapter, may be bfloat16."""
    return "bfloat16" if model.get("lora_rank") else "float32"


def lora(rank: int) -> Any:
    """Return peft's configuration for an adapter of this rank; None for 0.

    Raises:
        MissingDependencyError: peft is not installed.
    """
    if not rank:
        return None
    try:
        from peft import LoraConfig
    except ImportError:
        raise MissingDependencyError("recipes: lora_rank needs peft: pip install peft") from None
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")


def is_sharded(trainer: Any) -> bool:
    """Return whether the weights are spread over processes (FSDP, DeepSpeed's ZeRO-3)."""
    plugin = getattr(trainer.accelerator.state, "deepspeed_plugin", None)
    return bool(trainer.is_fsdp_enabled or (plugin is not None and plugin.zero_stage == 3))


def save_policy(trainer: Any, takes: ProcessorMixin | PreTrainedTokenizerBase, out: Path) -> None:
    """Save the trained policy as a whole model, so that a next stage starts from it and its KL is to it.

    An adapter is merged into the weights; if no process holds all of them, it is saved alone. All processes must call
    this function.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    first = is_first()
    if hasattr(model, "merge_and_unload") and not is_sharded(trainer):
        if first:
            model.merge_and_unload().save_pretrained(str(out))
    else:
        trainer.save_model(str(out))
    if first:
        takes.save_pretrained(str(out))


def is_first() -> bool:
    """Return whether this is the first of several processes, which scores, writes and reports."""
    return os.environ.get("RANK", "0") == "0"
