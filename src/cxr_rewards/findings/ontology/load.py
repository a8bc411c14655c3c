"""Read the data files of the package."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from cxr_rewards.core.feature import collector_paused
from cxr_rewards.findings.ontology.build import build
from cxr_rewards.findings.ontology.model import Ontology, Table

_OTHERS = ("layout.toml", "significance.toml", "unread.toml")
"""Files that are read by the modules that need them."""


@cache
def ontology() -> Ontology:
    """Return the ontology of this package, loaded once.

    Example:
        >>> ontology().observations["pneumonia"].ancestors
        ('consolidation', 'airspace_opacity', 'lung_opacity')
    """
    with collector_paused():  # a sixth of the time, with so many new dictionaries
        return build({path: parse(file) for path, file in data_files() if path not in _OTHERS})


@cache
def data_digest() -> str:
    """Return eight characters that change with any data file: part of the signature of every score based on them."""
    digest = hashlib.sha256()
    for path, file in data_files():
        digest.update(path.encode() + b"\0" + file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()[:8]


def data_files() -> Iterator[tuple[str, Traversable]]:
    """Yield the path in `data/` of each data file, and the file, sorted by path."""
    folder = resources.files("cxr_rewards.findings") / "data"
    found = {file.name: file for file in folder.iterdir()}
    found.update((f"observations/{file.name}", file) for file in (folder / "observations").iterdir())
    yield from sorted((path, file) for path, file in found.items() if path.endswith(".toml"))


def parse(file: Traversable) -> Table:
    """Return the contents of a TOML file."""
    return tomllib.loads(file.read_text(encoding="utf-8"))
