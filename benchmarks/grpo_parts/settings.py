"""Settings of a run, from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ARMS = ("rules", "rouge_l", "bleu", "findings_soft_f1", "rules_judge", "random", "more_sft")
"""Rewards to train with, and the controls: a random reward, and more supervised steps on the same prompts."""
CONTROLS = ("random", "more_sft")
DEFAULTS = Path(__file__).parents[1] / "grpo_real.toml"


def forms() -> tuple[str, ...]:
    """Return the names of the shorter forms in DEFAULTS."""
    return tuple(tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))["form"])


def load_settings(path: Path = DEFAULTS, form: str = "") -> dict[str, dict[str, Any]]:
    """Return the tables of a TOML file, which may leave out what DEFAULTS says.

    Args:
        path: the file.
        form: a shorter form, whose tables are put over those of DEFAULTS; what the file says is put over both.

    Raises:
        ValueError: an unknown table, key, arm or form.
    """
    known = tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))
    given = {} if path == DEFAULTS else tomllib.loads(path.read_text(encoding="utf-8"))
    shorter = known.pop("form")
    if form and form not in shorter:
        raise ValueError(f"{DEFAULTS}: unknown form {form!r}; known: {', '.join(shorter)}")
    settings = {name: dict(table) for name, table in known.items()}
    for layer in (shorter.get(form, {}), given):
        _put(settings, layer, path)
    for entry in settings["arms"]["order"]:
        arm, _, seed = entry.partition("/")
        if arm not in ARMS or not seed.isdecimal():
            raise ValueError(f"{path}: arms.order: expected ARM/SEED with an arm of {', '.join(ARMS)}; got {entry!r}")
    return settings


def _put(settings: dict[str, dict[str, Any]], layer: Mapping[str, Any], path: Path) -> None:
    for name, table in layer.items():
        if name not in settings:
            raise ValueError(f"{path}: unknown table [{name}]; known: {', '.join(settings)}")
        for key, value in table.items():
            if key not in settings[name]:
                raise ValueError(f"{path}: {name}: unknown key {key!r}; known: {', '.join(settings[name])}")
            settings[name][key] = value
