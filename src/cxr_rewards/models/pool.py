"""Models loaded in this process: one copy of each per device, shared by all callers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, NamedTuple

from cxr_rewards.core.usage import LEDGER
from cxr_rewards.errors import ConfigError

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16")


class Loaded(NamedTuple):
    """A loaded model: its name, device and dtype, and the size of its weights in bytes."""

    name: str
    device: str
    dtype: str
    bytes: int


class ModelPool:
    """Loads models on first use, and keeps one copy of each for all rewards and threads of the process."""

    def __init__(self) -> None:
        self._models: dict[tuple[Hashable, str, str], tuple[str, torch.nn.Module]] = {}
        self._lock = threading.RLock()
        if hasattr(os, "register_at_fork"):  # another thread of the parent may hold the lock
            os.register_at_fork(after_in_child=self._unlock)

    def _unlock(self) -> None:
        self._lock = threading.RLock()

    def get(
        self, name: str, key: Hashable, device: str, dtype: str, load: Callable[[], torch.nn.Module]
    ) -> torch.nn.Module:
        """Return the model with this key on this device; if the pool lacks it, call `load` and move it there.

        Args:
            name: name shown by `report`.
            key: identity of the weights; equal keys share one model.
            device: a torch device, e.g. `cuda:1`.
            dtype: one of `DTYPES`.
            load: returns a `torch.nn.Module` in float32 on the CPU. If it has an `encoder`, only that is converted to
                `dtype`: heads cost little, and their decisions are close.
        """
        import torch

        full = (key, device, dtype)
        with self._lock:
            if full not in self._models:
                model = load().to(device).eval().requires_grad_(requires_grad=False)
                getattr(model, "encoder", model).to(getattr(torch, dtype))
                self._models[full] = (name, model)
            return self._models[full][1]

    def release(self) -> None:
        """Drop all models and free GPU memory; they are loaded again on next use."""
        with self._lock:
            self._models.clear()
        import gc

        import torch

        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def report(self) -> list[Loaded]:
        """Return the loaded models."""
        with self._lock:
            held = list(self._models.items())
        return [Loaded(name, device, dtype, _bytes(model)) for (_, device, dtype), (name, model) in held]


def _bytes(model: torch.nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))


POOL = ModelPool()
"""The pool of this process."""

LEDGER.on_release(POOL.release)


def devices(setting: str) -> list[str]:
    """Return the torch devices that a `device` setting names: one, several separated by commas, or `auto`.

    `auto` is the current CUDA device (in a distributed run, each process has its own), or the CPU if there is none.

    Raises:
        ConfigError: torch does not know a name, or this machine lacks a device.

    Example:
        >>> devices("cpu")
        ['cpu']
    """
    import torch

    names = []
    for name in map(str.strip, setting.split(",")):
        if name == "auto":
            name = f"cuda:{torch.cuda.current_device()}" if torch.cuda.is_available() else "cpu"
        try:
            device = torch.device(name)
        except RuntimeError:
            raise ConfigError(f"device: expected auto, cpu, cuda or cuda:N, got {name!r}") from None
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise ConfigError(f"device: {name!r} is not on this machine, which has {torch.cuda.device_count()} GPUs")
        names.append(name)
    return list(dict.fromkeys(names))
