"""Reading weights from disk, safely: safetensors, or pickles restricted to tensors."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_rewards.errors import ModelLoadError, shorten

if TYPE_CHECKING:
    import torch


def load_state(path: Path) -> dict[str, Any]:
    """Return the content of a `.safetensors` file or of a torch pickle that holds nothing but tensors and plain data.

    Raises:
        ModelLoadError: the file is unreadable, or holds code.
    """
    import pickle

    import torch
    from safetensors import SafetensorError

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        # Files of before torch 1.6, as CheXbert's may be, are no archives and cannot be mapped.
        mapped = zipfile.is_zipfile(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        raise _unreadable(path, error) from error
    return state


def encoder_state(folder: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a Hugging Face folder."""
    weights = folder / "model.safetensors"
    return load_state(weights if weights.is_file() else folder / "pytorch_model.bin")


def load_config(folder: Path) -> dict[str, Any]:
    """Return a folder's `config.json`.

    Raises:
        ModelLoadError: it is absent or no JSON.
    """
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"{path}: cannot be read as a model's configuration: {error}") from error
    return config


def read_archive(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return files of a `.tar.gz` by their name without folders' `./`; nothing is unpacked to disk.

    Raises:
        ModelLoadError: the archive is unreadable or lacks one of `names`.
    """
    try:
        with tarfile.open(path, "r:gz") as archive:
            found = {}
            for member in archive:
                name = member.name.removeprefix("./")
                if name in names and (file := archive.extractfile(member)) is not None:
                    found[name] = file.read()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise ModelLoadError(f"{path}: cannot be read as an archive: {error}. Fetch it again") from error
    absent = [name for name in names if name not in found]
    if absent:
        raise ModelLoadError(f"{path}: lacks {', '.join(absent)}; it holds {shorten(sorted(found))}")
    return found


def load_state_bytes(data: bytes, where: str) -> dict[str, Any]:
    """Return the content of a torch pickle that holds nothing but tensors and plain data; `where` begins messages."""
    import pickle

    import torch

    try:
        state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise _unreadable(where, error) from error
    return state


def _unreadable(where: object, error: Exception) -> ModelLoadError:
    return ModelLoadError(f"{where}: cannot be read as weights: {shorten(str(error), 200)}. Fetch it again")


def take(state: Mapping[str, Any], name: str, where: str, shape: tuple[int, ...] | None = None) -> Any:
    """Return one tensor in float32.

    Raises:
        ModelLoadError: it is absent or of another shape: the file is of another model.
    """
    tensor = state.get(name)
    if tensor is None or (shape is not None and tuple(tensor.shape) != shape):
        got = "absent" if tensor is None else f"of shape {tuple(tensor.shape)}"
        wanted = "" if shape is None else f", expected {shape}"
        raise ModelLoadError(f"{where}: {name} is {got}{wanted}: another model?")
    return tensor.float()
