"""Some rollouts from the start, the middle and the end of a run, from the files that `RolloutLog` wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxr_rewards.errors import InputError
from cxr_rewards.evaluation.training.lines import Problems, objects

_STEP = re.compile(r'\s*\{"step": (-?\d+),')
_OTHERS = frozenset(
    ("step", "group", "candidate", "reference_id", "reference", "priors", "reward", "reason", "reason_kind")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A rollout and its rewards.

    Attributes:
        step: when it was written.
        moment: `start`, `middle` or `end`.
        group: its study.
        candidate, reference: the reports.
        reward: None if it is unscored, for a reason.
        reason: why.
        components: the other scores.
    """

    step: int
    moment: str
    group: str
    candidate: str
    reference: str
    reward: float | None = None
    reason: str = ""
    components: Mapping[str, float | None] = field(default_factory=dict)


def read_rollouts(paths: Sequence[Path], most: int, problems: Problems) -> list[Rollout]:
    """Return rollouts of the first, the middle and the last step that is there: evenly from lowest to highest reward.

    Args:
        paths: files of `RolloutLog`, of one process or several.
        most: how many of each step.
        problems: gets a text for each line that cannot be used.

    Raises:
        InputError: a file cannot be read, or no line was written by `RolloutLog`.
    """
    known = sorted({step for path in paths for step in _steps(path)})
    if not known or not most:
        if paths and not known:
            raise InputError(f"{paths[0]}: no line was written by RolloutLog")
        return []
    moments = {known[0]: "start", known[len(known) // 2]: "middle", known[-1]: "end"}
    if len(known) == 1:
        moments = {known[0]: "start"}
    found: dict[int, list[Rollout]] = {step: [] for step in sorted(moments)}
    for path in paths:
        for number, row in objects(path, problems, skip=lambda line: _step_of(line) not in (None, *moments)):
            rollout = _rollout(row, moments)
            if rollout is None:
                problems.append(
                    f"{path}, line {number}: is no line of RolloutLog: it has no step, candidate or reference"
                )
            elif rollout.moment:
                found[rollout.step].append(rollout)
    return [rollout for rollouts in found.values() for rollout in _spread(rollouts, most)]


def _steps(path: Path) -> set[int]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return {step for line in file if (step := _step_of(line)) is not None}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def _step_of(line: str) -> int | None:
    match = _STEP.match(line)
    return int(match[1]) if match else None


def _rollout(row: Mapping[str, Any], moments: Mapping[int, str]) -> Rollout | None:
    step, reward = row.get("step"), row.get("reward")
    texts = [row.get(key) for key in ("candidate", "reference")]
    if type(step) is not int or not all(isinstance(text, str | None) for text in texts) or "candidate" not in row:
        return None
    return Rollout(
        step=step,
        moment=moments.get(step, ""),
        group=str(row.get("group", "")),
        candidate=texts[0] or "",
        reference=texts[1] or "",
        reward=float(reward) if isinstance(reward, int | float) else None,
        reason=str(row.get("reason") or ""),
        components={
            key: None if value is None else float(value)
            for key, value in row.items()
            if key not in _OTHERS and (value is None or type(value) in (int, float))
        },
    )


def _spread(rollouts: list[Rollout], most: int) -> list[Rollout]:
    """Return some rollouts from the lowest to the highest reward; unscored ones come first."""
    order = sorted(rollouts, key=lambda one: (one.reward is not None, one.reward or 0.0))
    if len(order) <= most:
        return order
    if most == 1:
        return [order[len(order) // 2]]
    return [order[round(i * (len(order) - 1) / (most - 1))] for i in range(most)]
