"""The steps of a run, from the files that `Diagnostics` wrote."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxr_rewards.errors import InputError
from cxr_rewards.evaluation.training.lines import Problems, objects

_SUMMED = ("judge/", "cache/", "seconds", "rollouts")
"""How the numbers begin that are added up over processes and calls; the others are averaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of a run, of all processes together.

    Attributes:
        number: of the step.
        metrics: means over the rollouts of all processes; costs are sums.
        unscored: reasons of unscored rollouts, with counts.
        signs: the words of the warnings that showed, by name.
    """

    number: int
    metrics: Mapping[str, float]
    unscored: Mapping[str, int] = field(default_factory=dict)
    signs: Mapping[str, str] = field(default_factory=dict)


def read_steps(paths: Sequence[Path], problems: Problems) -> list[Step]:
    """Return the steps in order, those of several processes joined.

    A run that was resumed wrote some steps twice: the later ones count.

    Args:
        paths: the files, one for each process.
        problems: gets a text for each line that cannot be used.

    Raises:
        InputError: a file cannot be read, or none of its lines is one of `Diagnostics`.
    """
    by_number: dict[int, list[Step]] = {}
    for path in paths:
        before = len(problems)
        steps = _of_file(path, problems)
        if not steps:
            why = f": {problems[before]}" if len(problems) > before else ", which is empty"
            raise InputError(f"{path}: no line was written by Diagnostics{why}")
        for step in steps:
            by_number.setdefault(step.number, []).append(step)
    return [_joined(steps) for _, steps in sorted(by_number.items())]


def _of_file(path: Path, problems: Problems) -> list[Step]:
    steps: list[Step] = []
    for number, row in objects(path, problems):
        step = _step(row)
        if step is None:
            problems.append(
                f"{path}, line {number}: is no line of Diagnostics: it has no step, or no numbers of a reward"
            )
            continue
        if steps and step.number < steps[-1].number:  # resumed from a checkpoint
            steps = [one for one in steps if one.number < step.number]
        steps.append(step)
    return steps


def _step(row: Mapping[str, Any]) -> Step | None:
    number = row.get("step")
    if type(number) is not int or "reward/unscored" not in row:
        return None
    metrics = {
        key: float(value)
        for key, value in row.items()
        if key != "step" and type(value) in (int, float) and math.isfinite(value)
    }
    return Step(number=number, metrics=metrics, unscored=_table(row, "unscored"), signs=_table(row, "signs"))


def _table(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    kind = int if key == "unscored" else str
    value = row.get(key)
    return {name: one for name, one in value.items() if type(one) is kind} if isinstance(value, dict) else {}


def _joined(steps: Sequence[Step]) -> Step:
    if len(steps) == 1:
        return steps[0]
    metrics: dict[str, float] = {}
    for key in dict.fromkeys(key for step in steps for key in step.metrics):
        having = [step for step in steps if key in step.metrics]
        if key.startswith(_SUMMED):
            metrics[key] = sum(step.metrics[key] for step in having)
        else:
            metrics[key] = _mean((step.metrics[key], step.metrics.get("rollouts", 1.0)) for step in having)
    unscored: Counter[str] = Counter()
    for step in steps:
        unscored.update(step.unscored)
    signs = {name: text for step in steps for name, text in step.signs.items()}
    return Step(number=steps[0].number, metrics=metrics, unscored=dict(unscored), signs=signs)


def _mean(weighed: Iterable[tuple[float, float]]) -> float:
    pairs = list(weighed)
    total = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / total if total else pairs[0][0]
