"""The audit's data files: the texts that it tries, and its checks with their limits."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any


@cache
def material() -> Mapping[str, Any]:
    """Return what is tried: `material.toml`."""
    return _load("material.toml")


@cache
def rules() -> Mapping[str, Mapping[str, Any]]:
    """Return the checks, by name, with question, limit, unit, reason and cure: `checks.toml`."""
    return _load("checks.toml")


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files(__package__) / name).read_text(encoding="utf-8"))
