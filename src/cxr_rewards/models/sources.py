"""Where weights come from and where they are stored: repositories, folders, and a fingerprint of the files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from cxr_rewards.core.absent import ABSENT, may_be_absent
from cxr_rewards.errors import ModelLoadError

FOLDER_VARIABLE = "CXR_REWARDS_MODELS"
"""Environment variable that names the models folder."""

ENCODER = ("config.json", "model.safetensors|pytorch_model.bin")
TOKENIZER = (
    "tokenizer.json|vocab.txt|vocab.json|spm.model|spiece.model",
    "vocab.txt?",
    "vocab.json?",
    "merges.txt?",
    "spm.model?",
    "spiece.model?",
    "tokenizer_config.json?",
    "special_tokens_map.json?",
    "added_tokens.json?",
)
"""Files of a tokenizer. In every list of files, `a|b` means the first that exists, and `a?` may be missing."""


class Source(NamedTuple):
    """Files of one repository that a model is made of.

    Attributes:
        repo: a Hugging Face repository (`org/name`, `org/name@revision`), or the path of a local folder.
        files: files needed from it; see `TOKENIZER` for the notation.
        sha256: published checksums, by file name.
        purpose: its purpose in a few words.
        commit: revision to download if `repo` does not name one.
    """

    repo: str
    files: tuple[str, ...]
    sha256: tuple[tuple[str, str], ...] = ()
    purpose: str = ""
    commit: str = ""

    @property
    def is_local(self) -> bool:
        """Whether `repo` is the path of a folder."""
        return self.repo.startswith(("/", ".", "~")) or Path(self.repo).is_dir()

    @property
    def folder_name(self) -> str:
        """Name of its subfolder in a models folder: `org--name`, `org--name@revision`."""
        return self.repo.replace("/", "--")

    @property
    def revision(self) -> str:
        """Branch, tag or commit to download."""
        return self.repo.partition("@")[2] or self.commit or "main"

    @property
    def repo_id(self) -> str:
        """The repository without the revision."""
        return self.repo.partition("@")[0]


def models_folder() -> Path:
    """Return the models folder: `$CXR_REWARDS_MODELS`, else `cxr_rewards/models` in the user's cache folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given).expanduser()
    return cache_folder() / "models"


def cache_folder() -> Path:
    """Return this library's folder in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cxr_rewards"


def files_in(folder: Path, files: Iterable[str]) -> tuple[list[Path], list[str]]:
    """Return the paths of those `files` that a folder holds, and the names of required ones that it lacks."""
    present: list[Path] = []
    absent: list[str] = []
    for spec in files:
        names = spec.removesuffix("?").split("|")
        path = next((folder / name for name in names if (folder / name).is_file()), None)
        if path is not None:
            present.append(path)
        elif not spec.endswith("?"):
            absent.append(" or ".join(names))
    return list(dict.fromkeys(present)), absent


def _hub_snapshots(source: Source) -> Iterator[Path]:
    """Yield folders of Hugging Face's own cache that may hold the files."""
    from huggingface_hub.constants import HF_HUB_CACHE

    # Many caches still hold short ids from the hub's early years (`distilroberta-base`).
    for repo in dict.fromkeys((source.repo_id, source.repo_id.rpartition("/")[2])):
        home = Path(HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
        for revision in dict.fromkeys((source.revision, source.repo.partition("@")[2] or "main")):
            commit = home / "refs" / revision
            yield home / "snapshots" / (commit.read_text(errors="replace").strip() if commit.is_file() else revision)


def locate(source: Source) -> Path:
    """Return the folder that holds a source's files: a local one, or one in the models folder or Hugging Face's cache.

    Downloads nothing: see `cxr_rewards.models.fetch`.

    Raises:
        ModelLoadError: no folder holds them; the message names the places, the files and the command to fetch them.
    """
    if source.is_local:
        places = [Path(source.repo).expanduser()]
    else:
        places = [models_folder() / source.folder_name, *_hub_snapshots(source)]
    for place in places:
        if place.is_dir() and not files_in(place, source.files)[1]:
            return place
    there = next((place for place in places if place.is_dir()), places[0])
    absent = ", ".join(files_in(there, source.files)[1])
    if source.is_local:
        what = f"lacks {absent}" if there.is_dir() else "there is no such folder"
        raise ModelLoadError(f"{there}: {what}")
    raise ModelLoadError(
        f"{source.repo}: not on this machine ({absent} is in neither {places[0]} nor Hugging Face's cache). "
        f"Run {_ANY}; without internet, run it elsewhere with --to FOLDER, copy the folder here and set "
        f"{FOLDER_VARIABLE} to it"
    )


_ANY = "`cxr-rewards fetch NAME` with the preset, reward file or component that needs it"


def naming(error: ModelLoadError, name: str) -> ModelLoadError:
    """Return an error of `locate` with the command that fetches the weights of this reward."""
    return ModelLoadError(str(error).replace(_ANY, f"`cxr-rewards fetch {name}`"))


_BLOCK = 1 << 16
_BLOCKS = 64


@lru_cache(maxsize=256)
def file_digest(path: str, size: int, changed_ns: int) -> bytes:  # noqa: ARG001 - a changed file is another entry
    """Hash a file: small ones whole, large ones by their size and 64 evenly spread blocks of 64 KiB.

    Training changes every tensor, so blocks are enough to tell weights apart, in milliseconds instead of seconds.
    """
    state = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        if size <= _BLOCK * _BLOCKS:
            state.update(file.read())
        else:
            for i in range(_BLOCKS):
                file.seek((size - _BLOCK) * i // (_BLOCKS - 1))
                state.update(file.read(_BLOCK))
    return state.digest()


def fingerprint(sources: Iterable[Source]) -> str:
    """Return 12 hexadecimal digits that identify the content of the sources' files, wherever they are stored.

    Raises:
        ModelLoadError: a source is not on this machine.
    """
    state = hashlib.sha256()
    for source in sources:
        try:
            place = locate(source)
        except ModelLoadError:
            if may_be_absent():
                return ABSENT
            raise
        for path in files_in(place, source.files)[0]:
            about = path.stat()
            state.update(path.name.encode() + file_digest(str(path.resolve()), about.st_size, about.st_mtime_ns))
    return state.hexdigest()[:12]
