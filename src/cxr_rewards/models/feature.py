"""The base of features that models compute: settings of device and numbers, sources, and the shared copies."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from cxr_rewards.feature import Feature
from cxr_rewards.models.batches import run_batches
from cxr_rewards.models.placement import Dtype
from cxr_rewards.models.pool import POOL, devices
from cxr_rewards.models.sources import Source, fingerprint, locate
from cxr_rewards.settings import setting


class ModelFeature(Feature):
    """A feature over texts that a model computes.

    Its signature holds a fingerprint of the weights instead of their path, so equal weights give equal signatures
    wherever they lie, and other weights in the same place never meet old values.
    """

    keeps = "references"
    chunk_size = 1024
    kind: ClassVar[str] = ""
    """Features of one kind with equal sources share the loaded model; empty: the class's own."""

    device: str = setting("auto", "auto, cpu, cuda:N, or several between commas.", changes_scores=False)
    dtype: Dtype = setting("float32", "Numbers of the model: float32, bfloat16 or float16.")
    batch_tokens: int = setting(0, "Tokens in a batch with padding; 0: the device's default.", changes_scores=False)

    @property
    def placement(self) -> dict[str, Any]:
        """The settings to pass on to features this one needs."""
        return {"device": self.device, "dtype": self.dtype, "batch_tokens": self.batch_tokens}

    @property
    @abstractmethod
    def sources(self) -> tuple[Source, ...]:
        """The files the model is made of."""

    @abstractmethod
    def load(self, *folders: Any) -> Any:
        """Return the model, a `torch.nn.Module` in float32 on the CPU, from the folders of `sources`, in order."""

    def _sign(self) -> str:
        return f"{super()._sign()}#{fingerprint(self.sources)}"

    def models(self) -> list[tuple[str, Any]]:
        """Return the shared copies of the model, each with its device; they are loaded by the first call.

        Raises:
            ModelLoadError: weights are absent, foreign or unreadable.
            ConfigError: there is no such device.
        """
        folders = [locate(source) for source in self.sources]
        key = (self.kind or type(self).__qualname__, fingerprint(self.sources))
        return [
            (device, POOL.get(self.name, key, device, self.dtype, lambda: self.load(*folders)))
            for device in devices(self.device)
        ]

    def run(self, lengths: Sequence[int], forward: Callable[[Any, list[int]], Sequence[Any]]) -> list[Any]:
        """Run `forward(model, indices)` over all items in batches; see `run_batches`."""
        return run_batches(lengths, forward, self.models(), self.batch_tokens)
