"""Settings of every component that runs a model: device, dtype and batch size."""

from __future__ import annotations

import re
from typing import Any, Literal

from cxr_rewards.core.component import Component
from cxr_rewards.core.settings import setting

Dtype = Literal["float32", "bfloat16", "float16"]
_DEVICES = re.compile(r"(auto|cpu|mps|cuda)(:\d+)?(,\s*(auto|cpu|mps|cuda)(:\d+)?)*")


PLACEMENT = ("device", "dtype", "batch_tokens", "accept_other_weights")
"""Settings that a component passes on to its features."""


class ModelComponent(Component):
    """Base of components whose features are computed by a model."""

    requires = ("torch", "transformers", "safetensors")
    extra = "models"
    batch_tolerance = 1e-4  # floating point: batches of another shape sum in another order

    device: str = setting(
        "auto",
        "Where the model runs: auto (the current GPU, else the CPU), cpu, cuda:N, or several separated by commas.",
        changes_scores=False,
    )
    dtype: Dtype = setting(
        "float32", "Floating-point type of the model: float32, bfloat16 (GPUs, recent CPUs) or float16 (GPUs)."
    )
    batch_tokens: int = setting(
        0, "Tokens in a batch, padding included; 0: 1,024 on a CPU, 32,768 on a GPU.", changes_scores=False
    )
    accept_other_weights: bool = setting(
        False, "Load files whose sha256 is not the published one; the signature tells them apart.", changes_scores=False
    )

    def __post_init__(self) -> None:
        if not _DEVICES.fullmatch(self.device):
            raise self.invalid("device", "auto, cpu, cuda, cuda:N, or several between commas")
        if self.dtype not in ("float32", "bfloat16", "float16"):
            raise self.invalid("dtype", "float32, bfloat16 or float16")
        if self.batch_tokens < 0:
            raise self.invalid("batch_tokens", "0 or more")

    @property
    def placement(self) -> dict[str, Any]:
        """The settings to pass on to features."""
        return {key: getattr(self, key) for key in PLACEMENT}
