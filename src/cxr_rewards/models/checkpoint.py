"""Read weights from disk safely, even from damaged files: safetensors, or pickles restricted to tensors."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_rewards.errors import CxrRewardsError, ModelLoadError, shorten

if TYPE_CHECKING:
    import torch

_BLOCK = 1 << 20
_UNPACKED = 64 << 20
_RATIO = 20
"""An archive may unpack to 64 MiB plus 20 times its size. Weights hardly compress, so anything more is a bomb."""


@contextmanager
def reading(where: object, what: str) -> Iterator[None]:
    """Turn any error from reading a damaged file into a `ModelLoadError` that names the file and the cure.

    The readers are pickle, tarfile, zipfile, torch, transformers and Rust, and the bytes may be anything.
    """
    try:
        yield
    except (CxrRewardsError, Warning):  # a warning that the user has turned into an error
        raise
    except BaseException as error:
        # Rust's panics (tokenizers, safetensors) do not derive from Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = shorten(str(error), 200)
        raise ModelLoadError(
            f"{where}: cannot be read as {what}: {type(error).__name__}: {reason}. Fetch it again"
        ) from error


def load_state(path: Path) -> dict[str, Any]:
    """Return the content of a `.safetensors` file, or of a torch pickle that holds only tensors and plain data.

    Tensors keep their dtype and lie on the CPU. The checksums of a torch archive's records are verified. A
    `.safetensors` file or a pickle from before torch 1.6 has none: only a published checksum of the whole file can
    show that its numbers are intact.

    Raises:
        ModelLoadError: the file is unreadable, damaged, or holds code.
    """
    import torch

    with reading(path, "weights"):
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        zipped = zipfile.is_zipfile(path)
        if zipped:
            check_zip(path)
        # Files from before torch 1.6, as CheXbert's may be, are not archives and cannot be mapped.
        return _mapping(torch.load(path, map_location="cpu", weights_only=True, mmap=zipped))


def check_zip(path: Path | io.BytesIO) -> None:
    """Raise `ValueError` or `BadZipFile` unless each record of a torch archive matches its checksum."""
    size = path.stat().st_size if isinstance(path, Path) else len(path.getbuffer())
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        names = {record.filename for record in records}
        if len(names) < len(records) or any(record.compress_type != zipfile.ZIP_STORED for record in records):
            raise ValueError("its records are compressed or repeated, which torch never writes")
        if sum(record.file_size for record in records) > size:
            raise ValueError("its records overlap")
        bad = archive.testzip()
    if bad is not None:
        raise ValueError(f"its record {bad} fails its checksum")


def _mapping(state: object) -> dict[str, Any]:
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ValueError(f"it holds no tensors by name but {shorten(state)}")
    return dict(state)


def encoder_state(folder: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a Hugging Face folder by name, in their own dtypes, on the CPU."""
    weights = folder / "model.safetensors"
    return load_state(weights if weights.is_file() else folder / "pytorch_model.bin")


def load_json(path: Path, what: str) -> Any:
    """Return the content of a JSON file.

    Raises:
        ModelLoadError: it is missing or not JSON; the message calls it `what`.
    """
    with reading(path, what):
        return json.loads(path.read_text(encoding="utf-8"))


def load_config(folder: Path) -> dict[str, Any]:
    """Return a folder's `config.json`.

    Raises:
        ModelLoadError: it is missing or not a JSON object.
    """
    path = folder / "config.json"
    config = load_json(path, "a model's configuration")
    if not isinstance(config, dict):
        raise ModelLoadError(f"{path}: cannot be read as a model's configuration: it is not a JSON object")
    return config


def number_of(config: Mapping[str, object], key: str, where: object, low: float, high: float) -> Any:
    """Return a number from a configuration.

    Raises:
        ModelLoadError: it is missing, below `low`, above `high`, or not an integer although `low` is one.
    """
    value = config.get(key)
    kinds = (int,) if isinstance(low, int) else (int, float)
    if type(value) not in kinds or not low <= value <= high:  # type: ignore[operator]
        raise ModelLoadError(f"{where}: {key} must be from {low:,} to {high:,}, got {shorten(value)}: another model?")
    return value


class _Bounded:
    """A stream that raises once more than `limit` bytes were read from it."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self._stream, self._left = stream, limit

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, _BLOCK))
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("it unpacks to far more than its own size")
        return data


def read_archive(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return files of a `.tar.gz` by name, without a leading `./`; nothing is unpacked to disk.

    The archive is read to its end, where its checksum is. It may hold only plain files and folders, each once.

    Raises:
        ModelLoadError: the archive is unreadable, damaged or malformed, or lacks one of `names`.
    """
    contents: dict[str, bytes] = {}
    seen: set[str] = set()
    with reading(path, "an archive"), gzip.open(path) as unpacked:
        stream: Any = _Bounded(unpacked, _UNPACKED + _RATIO * path.stat().st_size)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                _check_member(member, name, seen)
                if name in names and (file := archive.extractfile(member)) is not None:
                    contents[name] = file.read()
                    if len(contents[name]) != member.size:
                        raise ValueError(f"its member {name} is cut short")
        while rest := stream.read(_BLOCK):
            if rest.strip(b"\0"):
                raise ValueError("something lies behind its end")
    absent = [name for name in names if name not in contents]
    if absent:
        raise ModelLoadError(f"{path}: lacks {', '.join(absent)}; it holds {shorten(sorted(seen))}")
    return contents


def _check_member(member: tarfile.TarInfo, name: str, seen: set[str]) -> None:
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
        raise ValueError(f"its member {shorten(name)} is a link or a device")
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"its member {shorten(name)} lies outside of it")
    if name in seen and not member.isdir():
        raise ValueError(f"its member {shorten(name)} is there twice")
    seen.add(name)


def load_state_bytes(data: bytes, where: str) -> dict[str, Any]:
    """Return the content of a torch pickle that holds only tensors and plain data; errors start with `where`."""
    import torch

    with reading(where, "weights"):
        stream = io.BytesIO(data)
        if zipfile.is_zipfile(stream):
            check_zip(stream)
        stream.seek(0)
        return _mapping(torch.load(stream, map_location="cpu", weights_only=True))


def take(
    state: Mapping[str, torch.Tensor], name: str, where: str, shape: tuple[int, ...] | None = None
) -> torch.Tensor:
    """Return one tensor, converted to float32.

    Raises:
        ModelLoadError: it is missing or has another shape, so the file is that of another model.
    """
    import torch

    tensor = state.get(name)
    if not isinstance(tensor, torch.Tensor) or (shape is not None and tuple(tensor.shape) != shape):
        got = f"of shape {tuple(tensor.shape)}" if isinstance(tensor, torch.Tensor) else "absent"
        wanted = "" if shape is None else f", expected {shape}"
        raise ModelLoadError(f"{where}: {name} is {got}{wanted}: another model?")
    return tensor.float()


def check_numbers(model: torch.nn.Module, where: str) -> None:
    """Raise `ModelLoadError` if a model's weights contain NaN."""
    import torch

    for name, tensor in model.state_dict().items():
        if torch.is_tensor(tensor) and tensor.is_floating_point() and bool(torch.isnan(tensor).any()):
            raise ModelLoadError(f"{where}: {name} holds NaN: the weights are damaged. Fetch them again")
