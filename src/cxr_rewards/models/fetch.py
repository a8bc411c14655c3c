"""Download weights ahead of use, and check that stored files are whole."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cxr_rewards.core.feature import Feature
from cxr_rewards.errors import ModelLoadError, shorten
from cxr_rewards.models.checkpoint import check_zip, read_archive
from cxr_rewards.models.feature import ModelFeature
from cxr_rewards.models.published import checksum_problem
from cxr_rewards.models.sources import Source, files_in, locate, models_folder


class Fetched(NamedTuple):
    """A source and the folder that holds it. `downloaded` counts the files that were downloaded now."""

    source: Source
    folder: Path
    files: int
    bytes: int
    downloaded: int


def sources_of(features: Iterable[Feature]) -> list[Source]:
    """Return the sources of the features and of those they need, each once."""

    def walk(features: Iterable[Feature]) -> Iterator[Source]:
        for feature in features:
            if isinstance(feature, ModelFeature):
                yield from feature.wanted_sources
            yield from walk(feature.needs)

    return list(dict.fromkeys(walk(features)))


def fetch(
    sources: Iterable[Source], folder: Path | None = None, tell: Callable[[str], object] = lambda _: None
) -> list[Fetched]:
    """Download sources that are not on this machine into a models folder, file by file.

    An interrupted download resumes. A file gets its name once it is complete, and is deleted if it differs from its
    published checksum.

    Args:
        sources: from `sources_of`.
        folder: the models folder. If left out, the default one, for sources that no other place holds either.
        tell: called with a line of text before each file is downloaded.

    Raises:
        ModelLoadError: a file cannot be downloaded or is not the published one; the message says what to do.
    """
    fetched = []
    for source in sources:
        place = _folder_of(source, folder)
        downloaded = 0
        if place is None:
            place = (folder or models_folder()) / source.folder_name
            for spec in source.files:
                downloaded += _download(source, spec, place, tell)
        files = files_in(place, source.files)[0]
        fetched.append(Fetched(source, place, len(files), sum(path.stat().st_size for path in files), downloaded))
    return fetched


def _folder_of(source: Source, folder: Path | None) -> Path | None:
    if source.is_local:
        return locate(source)
    if folder is not None:
        place = folder / source.folder_name
        return place if place.is_dir() and not files_in(place, source.files)[1] else None
    try:
        return locate(source)
    except ModelLoadError:
        return None


def _download(source: Source, spec: str, place: Path, tell: Callable[[str], object]) -> int:
    """Download the first of a file's names that exists; return the number of files downloaded."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    if files_in(place, [spec.removesuffix("?")])[0]:
        return 0
    names = spec.removesuffix("?").split("|")
    for name in names:
        tell(f"{source.repo}: {name}")
        try:
            path = Path(hf_hub_download(source.repo_id, name, revision=source.revision, local_dir=place))
        except LocalEntryNotFoundError as error:  # a kind of EntryNotFoundError, but it means: no connection
            raise _failed(source, name, error) from error
        except EntryNotFoundError:
            continue
        except Exception as error:  # the hub raises errors of its own, of its HTTP library and of the system
            raise _failed(source, name, error) from error
        problem = checksum_problem(source, path)
        if problem:
            path.unlink()
            raise ModelLoadError(
                f"{source.repo}: {problem}; the file was deleted. Fetch it again; to fetch other weights on purpose, "
                "name a reward's TOML with accept_other_weights = true"
            )
        return 1
    if spec.endswith("?"):
        return 0
    raise ModelLoadError(f"{source.repo}: has no file {' or '.join(names)} (revision {source.revision})")


def _failed(source: Source, name: str, error: Exception) -> ModelLoadError:
    from huggingface_hub import constants

    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        cure = "accept its terms on its page and set HF_TOKEN to a token that may read it"
    elif constants.HF_HUB_OFFLINE:
        cure = "HF_HUB_OFFLINE is set: unset it, or fetch on another machine"
    else:
        cure = (
            "without internet, run the same command elsewhere with --to FOLDER, copy the folder here and set "
            "CXR_REWARDS_MODELS to it"
        )
    reason = shorten(" ".join(str(error).split()), 200)
    return ModelLoadError(f"{source.repo}: {name} cannot be downloaded from {constants.ENDPOINT}: {reason}; {cure}")


def check(sources: Iterable[Source], folder: Path | None = None, *, checksums: bool = True) -> list[str]:
    """Return the problems of the sources' files: missing, cut short, or not the published ones. Changes nothing.

    Args:
        sources: from `sources_of`.
        folder: the models folder; if left out, all places are searched.
        checksums: also compare with published checksums, which reads whole files.
    """
    problems = []
    for source in sources:
        place = _folder_of(source, folder)
        if place is None:
            there = (folder or models_folder()) / source.folder_name
            problems.append(f"{source.repo}: {there} lacks {', '.join(files_in(there, source.files)[1])}")
            continue
        for path in files_in(place, source.files)[0]:
            problem = _defect(path)
            if not problem and checksums:
                problem = checksum_problem(source, path)
            if problem:
                problems.append(f"{source.repo}: {problem}")
    return problems


def _defect(path: Path) -> str:
    """Describe what is wrong with a file, by its format; empty if nothing is."""
    try:
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".safetensors":
            _check_safetensors(path)
        elif path.name.endswith(".tar.gz"):
            read_archive(path, ())
        elif path.suffix in (".pth", ".bin"):
            with path.open("rb") as file:
                zipped = file.read(2) == b"PK"
            if zipped:
                check_zip(path)
        elif not path.stat().st_size:
            raise ValueError("it is empty")
    except Exception as error:  # noqa: BLE001 - a damaged file may make its reader raise anything
        return f"{path}: is damaged: {shorten(str(error), 120)}"
    return ""


def _check_safetensors(path: Path) -> None:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > path.stat().st_size:
            raise ValueError("it is cut short")
        header: dict[str, Any] = json.loads(file.read(length))
    end = max((about["data_offsets"][1] for name, about in header.items() if name != "__metadata__"), default=0)
    if path.stat().st_size != 8 + length + end:
        raise ValueError(f"it has {path.stat().st_size:,} bytes, its header tells of {8 + length + end:,}")
