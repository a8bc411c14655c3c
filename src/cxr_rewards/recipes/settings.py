"""Settings of a recipe: a TOML file, what the command line changes in it, and the record kept in the output folder."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

from cxr_rewards.errors import ConfigError, shorten, unknown_name

_SECTIONS: Mapping[str, set[str] | None] = {
    "model": {"name", "lora_rank", "tiny"},
    "data": {"train", "eval", "test", "sft", "images", "image_pixels", "with_prior"},
    "reward": {"preset", "config", "judge", "asynchronous", "cache"},
    "sft": None,  # trl checks the keys of its own arguments; see `trainer_arguments`
    "grpo": None,
    "evaluation": {"samples", "temperature", "seed"},
}
_EVALUATION: Mapping[str, Any] = {"samples": 4, "temperature": 1.0, "seed": 0}
_ABSENT = object()
_FREE = ("reward.judge.base_url", "reward.judge.concurrency", "reward.cache")
"""Settings that may differ when a run goes on: where things are, and how fast."""
RECORD = "recipe.json"
"""The settings of the run, in its output folder."""


def load_settings(name: str) -> dict[str, Any]:
    """Return the settings of a TOML file, or of a recipe that ships with the library, by name.

    Raises:
        ConfigError: the file does not exist, is not TOML, or has an unknown table or key.
    """
    shipped = resources.files("cxr_rewards.recipes")
    try:
        if name.endswith(".toml"):
            text = Path(name).read_text(encoding="utf-8")
        else:
            text = (shipped / f"{name}.toml").read_text(encoding="utf-8")
        settings = tomllib.loads(text)
    except FileNotFoundError:
        known = sorted(p.name.removesuffix(".toml") for p in shipped.iterdir() if p.name.endswith(".toml"))
        raise ConfigError(unknown_name("recipes", "recipe or file", name, known)) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name}: cannot be read as TOML: {error}") from None
    for table, entries in settings.items():
        if table not in _SECTIONS:
            raise ConfigError(unknown_name(name, "table", table, _SECTIONS))
        if not isinstance(entries, dict):
            raise ConfigError(f"{name}: {table} must be a table, [{table}], got {shorten(entries)}")
        known_keys = _SECTIONS[table]
        for key in entries if known_keys is not None else ():
            if key not in (known_keys or ()):
                raise ConfigError(unknown_name(f"{name}: {table}", "key", key, known_keys or ()))
    for table, key in (("model", "name"), ("data", "train")):
        if key not in settings.get(table, {}):
            raise ConfigError(f"{name}: {table}.{key} is missing")
    return {"reward": {}, "grpo": {}, **settings, "evaluation": {**_EVALUATION, **settings.get("evaluation", {})}}


def trainer_arguments(kind: type, table: str, options: Mapping[str, Any]) -> Any:
    """Return trl's configuration of these arguments.

    Args:
        kind: trl's class, a dataclass.
        table: of the recipe, for messages.
        options: the arguments.

    Raises:
        ConfigError: an argument that the class does not have, or a value that it refuses.
    """
    known = {field.name for field in fields(kind) if field.init}
    for key in options:
        if key not in known:  # without the list of names, which is as long as trl's documentation
            nearest = difflib.get_close_matches(key, known, n=1)
            cure = f"Did you mean {nearest[0]!r}?" if nearest else "It takes the arguments of that class."
            raise ConfigError(f"[{table}]: unknown key {key!r} of trl's {kind.__name__}. {cure}")
    try:
        return kind(**options)
    except (ValueError, TypeError, ImportError) as error:
        raise ConfigError(f"[{table}]: {' '.join(str(error).split())}") from None


def check_groups(settings: Mapping[str, Any], processes: int | None = None) -> int:
    """Check that the rollouts of one generation are whole groups; return their number.

    Args:
        settings: of the recipe.
        processes: number of GPUs, or processes; by default as `accelerate launch` or torchrun set it.

    Raises:
        ConfigError: they are not, in all or on each GPU.
    """
    grpo = settings["grpo"]
    processes = processes or int(os.environ.get("WORLD_SIZE", "1"))
    group = grpo.get("num_generations", 8)
    batch, steps = grpo.get("per_device_train_batch_size", 8), grpo.get("gradient_accumulation_steps", 1)
    each = batch * grpo.get("steps_per_generation", steps)
    told = f"per_device_train_batch_size {batch} x steps_per_generation {each // batch}"
    if each * processes % group:
        raise ConfigError(
            f"[grpo]: a generation of {each * processes} rollouts ({told} x {processes} GPUs) cannot be divided into "
            f"groups of num_generations = {group}; make it a multiple"
        )
    if each % group:
        raise ConfigError(
            f"[grpo]: {each} rollouts on each GPU ({told}) are not whole groups of num_generations = {group}, so a "
            "study's rollouts would be scored apart; make them a multiple"
        )
    return int(each * processes)


def updates_per_generation(settings: Mapping[str, Any]) -> int:
    """Return how many times the policy is updated from one generation; with 1 the clip never acts.

    Raises:
        ConfigError: the steps of a generation are not a whole number of updates.
    """
    grpo = settings["grpo"]
    accumulated = grpo.get("gradient_accumulation_steps", 1)
    steps = grpo.get("steps_per_generation", accumulated)
    if steps % accumulated:
        raise ConfigError(
            f"[grpo]: steps_per_generation = {steps} is not a multiple of gradient_accumulation_steps = {accumulated}"
        )
    return int(steps // accumulated * grpo.get("num_iterations", 1))


def claim_folder(out: Path, settings: Mapping[str, Any], *, is_first: bool = True) -> None:
    """Make the output folder this run's: keep the settings there, or check that they are those of an earlier start.

    Raises:
        ConfigError: the folder holds a run with other settings.
    """
    record = out / RECORD
    wanted = json.loads(json.dumps(settings))
    if record.exists():
        try:
            kept = json.loads(record.read_text(encoding="utf-8"))
        except ValueError:
            raise ConfigError(f"{record}: is not JSON; delete the folder, or name another with -o") from None
        if different := _differences(kept, wanted):
            raise ConfigError(
                f"{out}: holds a run with other settings ({'; '.join(different[:3])}); name another folder with -o, or "
                "delete this one"
            )
    elif is_first:
        out.mkdir(parents=True, exist_ok=True)
        unfinished = record.with_name(f".{RECORD}.partial")  # other processes may be looking
        unfinished.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(record)


def _differences(there: Any, here: Any, where: str = "") -> list[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        keys = sorted({*there, *here})
        found = (_differences(there.get(k, _ABSENT), here.get(k, _ABSENT), f"{where}.{k}".lstrip(".")) for k in keys)
        return [difference for part in found for difference in part]
    if there == here or where in _FREE:
        return []
    one, other = ("absent" if value is _ABSENT else shorten(value) for value in (there, here))
    return [f"{where}: {one} there, {other} now"]
