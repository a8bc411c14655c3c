"""The work of a run, one unit after the other: each writes its own folder in one step, and is never done twice."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

START = "start"
"""Name of the policy with which every arm begins."""
_SPEED = ("threads", "written_at_once", "save_every")
RESULT, TEXTS, WEIGHTS = "result.json", "texts.json", "policy.safetensors"

Settings = Mapping[str, Mapping[str, Any]]
Texts = dict[str, dict[str, str]]


class Unit(NamedTuple):
    """A policy to make: the start, or an arm with a seed."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.arm if self.arm == START else f"{self.arm}-{self.seed}"


class Worker(Protocol):
    """What makes policies; tests put another in its place."""

    def make(self, unit: Unit, folder: Path, start: Path | None) -> dict[str, Any]:
        """Train a policy from the start's weights, write its weights to the folder, and return what was measured."""

    def write(self, unit: Unit, folder: Path, how: str, seed: int) -> dict[str, str]:
        """Return the reports of the held-out studies by uid, `sampled` or `greedy`."""


def units_of(settings: Settings) -> list[Unit]:
    """Return the units in order: the start, then the arms."""
    pairs = (entry.partition("/") for entry in settings["arms"]["order"])
    return [Unit(START, 0), *(Unit(arm, int(seed)) for arm, _, seed in pairs)]


def seeds_of(settings: Settings) -> list[int]:
    """Return the seeds of the arms."""
    return sorted({unit.seed for unit in units_of(settings) if unit.arm != START})


def digest_of(unit: Unit, settings: Settings, corpus: str) -> str:
    """Return a digest of what a policy depends on: the texts, and the settings but for order and speed of the work."""
    without = {"arms", "grpo"} if unit.arm == START else {"arms"}
    kept = {
        name: {key: value for key, value in table.items() if key not in _SPEED}
        for name, table in settings.items()
        if name not in without
    }
    return hashlib.sha256(f"{json.dumps(kept, sort_keys=True)}\0{corpus}".encode()).hexdigest()[:16]


@dataclass
class Deadline:
    """When to stop: no unit is begun that would probably end later.

    Attributes:
        until: the end; None: never.
        now: the clock.
        longest_s: how long the longest arm took so far.
    """

    until: datetime | None = None
    now: Callable[[], datetime] = lambda: datetime.now().astimezone()
    longest_s: float = 0.0

    def allows_another(self) -> bool:
        """Return whether there is time for a unit as long as the longest so far."""
        return self.until is None or self.now() + timedelta(seconds=self.longest_s) <= self.until

    def note(self, unit: Unit, seconds: float) -> None:
        """Note how long a unit took; the start is like no other."""
        if unit.arm != START:
            self.longest_s = max(self.longest_s, seconds)


def deadline_of(until: str | None, minutes: float | None) -> Deadline:
    """Return the earlier of a time of day (HH:MM, the next one) and a number of minutes from now."""
    now, ends = datetime.now().astimezone(), []
    if until:
        hour, minute = map(int, until.split(":"))
        end = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        ends.append(end if end > now else end + timedelta(days=1))
    if minutes is not None:
        ends.append(now + timedelta(minutes=minutes))
    return Deadline(min(ends, default=None))


def is_done(folder: Path) -> bool:
    """Return whether a unit's folder is complete."""
    return (folder / RESULT).exists()


def work(
    units: Sequence[Unit],
    folder: Path,
    worker: Worker,
    *,
    settings: Settings,
    corpus: str,
    deadline: Deadline,
    tell: Callable[[str], object] = print,
) -> Iterator[Unit]:
    """Make all policies that are not there yet, in order; yields each when it is complete.

    A unit is written to `NAME.partial`, which gets its name when it is complete. An interrupted unit keeps that folder
    if it holds checkpoints to go on from.

    Raises:
        ValueError: the folder holds policies of other settings or texts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds, greedy = seeds_of(settings), settings["evaluation"]["greedy_seeds"]
    for unit in units:
        digest = digest_of(unit, settings, corpus)
        done, partial = folder / unit.name, folder / f"{unit.name}.partial"
        if is_done(done):
            made = json.loads((done / RESULT).read_text(encoding="utf-8"))["digest"]
            if made != digest:
                raise ValueError(
                    f"{done}: was made with other settings or data ({made}, now {digest}): use another folder"
                )
            deadline.note(unit, result_of(unit, folder)["unit_seconds"])
            continue
        if not deadline.allows_another():
            tell(f"stopped before {unit.name}: run the same command again to go on")
            return
        if partial.exists() and not list(partial.glob("checkpoint-*")):
            shutil.rmtree(partial)
        partial.mkdir(exist_ok=True)
        began = time.monotonic()
        tell(f"{unit.name}: begins")
        weights = folder / START / WEIGHTS
        measured = worker.make(unit, partial, weights if unit.arm != START else None)
        texts = {
            how: {str(seed): worker.write(unit, partial, how, seed) for seed in own}
            for how, own in (
                ("sampled", seeds[:1] if unit.arm == START else [unit.seed]),
                ("greedy", greedy if unit.arm == START else {unit.seed}.intersection(greedy)),
            )
        }
        took = time.monotonic() - began
        _write_json(partial / TEXTS, texts)
        for checkpoint in partial.glob("checkpoint-*"):
            shutil.rmtree(checkpoint)
        _write_json(partial / RESULT, {"unit": unit._asdict(), "digest": digest, "unit_seconds": took, **measured})
        partial.rename(done)
        deadline.note(unit, took)
        tell(f"{unit.name}: done in {took / 60:.1f} min")
        yield unit


def _write_json(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def finished(units: Sequence[Unit], folder: Path) -> list[Unit]:
    """Return the units whose folders are complete."""
    return [unit for unit in units if is_done(folder / unit.name)]


def result_of(unit: Unit, folder: Path) -> dict[str, Any]:
    """Return what was measured while a unit was made."""
    found: dict[str, Any] = json.loads((folder / unit.name / RESULT).read_text(encoding="utf-8"))
    return found


def texts_of(unit: Unit, folder: Path) -> dict[str, Texts]:
    """Return the reports of a unit: sampled and greedy, by seed and uid."""
    found: dict[str, Texts] = json.loads((folder / unit.name / TEXTS).read_text(encoding="utf-8"))
    return found
