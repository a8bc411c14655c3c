"""Base of features that a model computes: settings for device and dtype, sources, and the shared copies."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from cxr_rewards.core.feature import Feature
from cxr_rewards.core.settings import setting
from cxr_rewards.models.batches import run_batches
from cxr_rewards.models.checkpoint import check_numbers, reading
from cxr_rewards.models.placement import PLACEMENT, Dtype
from cxr_rewards.models.pool import POOL, devices
from cxr_rewards.models.published import check_published
from cxr_rewards.models.sources import Source, fingerprint, locate

Value = TypeVar("Value")


class ModelFeature(Feature):
    """A feature over texts, computed by a model.

    Its signature holds a fingerprint of the weights instead of their path: equal weights give equal signatures wherever
    they are stored, and other weights in the same place never reuse old values.
    """

    keeps = "references"
    chunk_size = 1024
    kind: ClassVar[str] = ""
    """Features of one kind with equal sources share the loaded model; empty: the class's own."""

    device: str = setting("auto", "auto, cpu, cuda:N, or several separated by commas.", changes_scores=False)
    dtype: Dtype = setting("float32", "Floating-point type of the model: float32, bfloat16 or float16.")
    batch_tokens: int = setting(0, "Tokens in a batch with padding; 0: the device's default.", changes_scores=False)
    accept_other_weights: bool = setting(False, "Load files that are not the published ones.", changes_scores=False)

    @property
    def placement(self) -> dict[str, Any]:
        """The settings to pass on to features this one needs."""
        return {key: getattr(self, key) for key in PLACEMENT}

    @property
    @abstractmethod
    def sources(self) -> tuple[Source, ...]:
        """The files the model is made of."""

    @property
    def wanted_sources(self) -> tuple[Source, ...]:
        """The `sources`, without checksums if other weights are accepted."""
        return tuple(s._replace(sha256=()) for s in self.sources) if self.accept_other_weights else self.sources

    @abstractmethod
    def load(self, *folders: Any) -> Any:
        """Return the model, a `torch.nn.Module` in float32 on the CPU.

        Args:
            folders: one for each of `sources`, in order.
        """

    def _sign(self) -> str:
        return f"{super()._sign()}#{fingerprint(self.sources)}"

    def models(self) -> list[tuple[str, Any]]:
        """Return the shared copies of the model, each after its device; the first call loads them.

        Raises:
            ModelLoadError: weights are missing, damaged, unreadable, or not the published ones.
            ConfigError: this machine lacks the device.
        """
        folders = [locate(source) for source in self.sources]
        for source, folder in zip(self.wanted_sources, folders, strict=True):
            check_published(source, folder)
        key = (self.kind or type(self), fingerprint(self.sources))
        return [
            (device, POOL.get(self.name, key, device, self.dtype, lambda: self._load(folders)))
            for device in devices(self.device)
        ]

    def _load(self, folders: Sequence[Path]) -> Any:
        where = ", ".join(map(str, folders))
        with reading(where, f"the model of {self.name}"):
            model = self.load(*folders)
        check_numbers(model, where)
        return model

    def run(self, lengths: Sequence[int], forward: Callable[[Any, list[int]], Sequence[Value]]) -> list[Value]:
        """Run `forward(model, indices)` over all items in batches; see `run_batches`."""
        return run_batches(lengths, forward, self.models(), self.batch_tokens)
