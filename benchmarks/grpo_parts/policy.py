"""A language model that writes reports: loading, freezing, generating, keeping what was trained."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Policy(NamedTuple):
    """A model and its tokenizer."""

    model: Any
    tokenizer: Any

    def length(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return len(self.tokenizer(text)["input_ids"])


def folder_of(name: str, cache: Path) -> str:
    """Return what transformers loads: the name itself, or the folder into which SmolLM2 is unpacked once."""
    if name != "smollm2":
        return name
    return str(importlib.import_module("real_judge").unpacked(cache / "smollm2"))


def load_tokenizer(name: str, cache: Path) -> Any:
    """Return a model's tokenizer, which pads on the left."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder_of(name, cache), padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_policy(name: str, cache: Path, *, trained_layers: int = 0, weights: Path | None = None) -> Policy:
    """Return a policy in float32, of which only the uppermost layers are trained.

    Args:
        name: folder, name on the Hub, or "smollm2".
        cache: where SmolLM2 is unpacked.
        trained_layers: how many layers; 0: the whole model.
        weights: from `save_trained`, put over those of the model.

    Raises:
        ValueError: the model has fewer layers.
    """
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(name, cache)
    model = AutoModelForCausalLM.from_pretrained(folder_of(name, cache), dtype=torch.float32)
    if trained_layers:
        layers = model.model.layers
        if trained_layers > len(layers):
            raise ValueError(f"model.trained_layers = {trained_layers}: {name} has {len(layers)} layers")
        model.requires_grad_(False)
        for module in (*layers[-trained_layers:], model.model.norm):
            module.requires_grad_(True)
    if weights is not None:
        model.load_state_dict(load_file(weights), strict=False)
    return Policy(model.cuda() if torch.cuda.is_available() else model, tokenizer)


def save_trained(policy: Policy, path: Path) -> None:
    """Write the weights that were trained."""
    from safetensors.torch import save_file

    trained = {
        name: weight.detach().contiguous() for name, weight in policy.model.named_parameters() if weight.requires_grad
    }
    save_file(trained, path)


def write_reports(
    policy: Policy, prompts: Sequence[str], *, max_tokens: int, batch_size: int, seed: int | None
) -> list[str]:
    """Return a report for each prompt: sampled at temperature 1, or greedy without a seed.

    The longest prompts are written together, so that little is padded.
    """
    import torch

    model, tokenizer = policy
    how: Mapping[str, Any] = (
        {"do_sample": False} if seed is None else {"do_sample": True, "top_k": 0, "top_p": 1.0, "temperature": 1.0}
    )
    if seed is not None:
        torch.manual_seed(seed)
    order = sorted(range(len(prompts)), key=lambda i: policy.length(prompts[i]))
    written = [""] * len(prompts)
    model.eval()
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        inputs = tokenizer([prompts[i] for i in places], padding=True, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            tokens = model.generate(
                **inputs, **how, max_new_tokens=max_tokens, pad_token_id=tokenizer.pad_token_id, use_cache=True
            )
        texts = tokenizer.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        for i, text in zip(places, texts, strict=True):
            written[i] = text.strip()
    return written
