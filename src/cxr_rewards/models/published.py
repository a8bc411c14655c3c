"""Checksums of the published weights, and the check that a file matches them.

The checksums are those that third parties pin; none comes from the publishers' own pages. A file without one here
(`radgraph.tar.gz`, most encoders) is identified only by the fingerprint in the signature.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from cxr_rewards.errors import ModelLoadError
from cxr_rewards.models.sources import Source, cache_folder, file_digest, files_in

SCORERS_COMMIT = "6646433b3ad83a10f6e141db76d0ece44312b236"
"""Revision of `StanfordAIMI/RRG_scorers` that the checksums belong to."""

SHA256 = {
    "chexbert.pth": "6550703c92d640e1e04d8105a7a185d76ece0f25fcbf033d292785bf22c0fde1",
    "radgraph-xl.tar.gz": "fadb5a3454e8996714b609e3105a07e447fa61aa88fffe966b650959475117b6",
    "modern-radgraph-xl.tar.gz": "dfc715608d0f1bfc15168f80cd1953ea63bd7960a5506401848858f8dbdea5ff",
    "RaTE-NER-Deberta": "b380aae68a26fc608cbb568994006910d0fc7156c63fd05308b3bbaf77ed53f2",
    "BioLORD-2023-C": "6164f3a7476eaaeee4b7fa2d4dea655f8ca1927853b867d59fb9d66507f5d36f",
}
"""Checksums by file name; the last two are those of `model.safetensors` in the repository of that name."""

MADE_UP = "made_up_weights.json"
"""File that `cxr_rewards.testing.models` writes into a folder: checksums of its random weights, by file name."""

_BLOCK = 1 << 20


def check_published(source: Source, folder: Path) -> None:
    """Raise unless the files of a source have its published checksums.

    Raises:
        ModelLoadError: a checksum differs; the message gives both, and the setting that accepts other weights.
    """
    for path in files_in(folder, source.files)[0]:
        problem = checksum_problem(source, path)
        if problem:
            raise ModelLoadError(
                f"{source.repo}: {problem}: it is damaged, or other weights. Delete it and fetch it again, or, to use "
                "other weights, set accept_other_weights = true (the signature tells them apart)"
            )


def checksum_problem(source: Source, path: Path) -> str:
    """Describe how a file differs from the published one; empty if it does not, or if no checksum is known."""
    expected = dict(source.sha256).get(path.name)
    if expected is None:
        return ""
    got = sha256_of(path)
    if got in (expected, _made_up(path.parent).get(path.name)):
        return ""
    return f"{path} has sha256 {got}, the published file {expected}"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, kept in the user's cache folder until the file changes."""
    about = path.stat()
    return _sha256(str(path.resolve()), about.st_size, about.st_mtime_ns, about.st_ino)


@lru_cache(maxsize=256)
def _sha256(path: str, size: int, changed_ns: int, inode: int) -> str:
    # Some blocks are read each time, to notice a replaced file with the old date.
    about = [size, changed_ns, inode, file_digest(path, size, changed_ns).hex()]
    known = _known()
    entry = known.get(path)
    if isinstance(entry, list) and entry[:-1] == about and isinstance(entry[-1], str):
        return entry[-1]
    state = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
    _keep({**known, path: [*about, state.hexdigest()]})
    return state.hexdigest()


def _known() -> dict[str, object]:
    try:
        known = json.loads((cache_folder() / "sha256.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _keep(known: dict[str, object]) -> None:
    with suppress(OSError):  # if the folder cannot be written, files are hashed again each time
        cache_folder().mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=cache_folder(), prefix="sha256-")
        with open(number, "w", encoding="utf-8") as file:
            json.dump(known, file, indent=1)
        os.replace(name, cache_folder() / "sha256.json")


def _made_up(folder: Path) -> dict[str, object]:
    try:
        made = json.loads((folder / MADE_UP).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return made if isinstance(made, dict) else {}


def write_made_up(folder: Path) -> None:
    """Write the checksums of a folder's random weights, so that they pass the check."""
    sums = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name != MADE_UP and path.is_file()}
    (folder / MADE_UP).write_text(json.dumps(sums, indent=1), encoding="utf-8")
