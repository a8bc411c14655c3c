"""Reports that need no image: a copy of the prior report, and the most frequent report. A model must beat them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cxr_rewards.errors import ConfigError, CxrRewardsError
from cxr_rewards.evaluation.texts import Texts
from cxr_rewards.files.provenance import read_provenance
from cxr_rewards.judges.component import JudgeComponent
from cxr_rewards.remote.load import load_reward
from cxr_rewards.types import Case

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxr_rewards.core.progress import Progress
    from cxr_rewards.evaluation.scores import SystemScores
    from cxr_rewards.reward.base import BaseReward

    Numbers = NDArray[np.float64]

_RUNS_ELSEWHERE = ("http://", "https://", "ray:")
COPY = "copy of the prior report"
FREQUENT = "most frequent report"
_CHUNK = 512


@dataclass(frozen=True, eq=False)
class Baseline:
    """A baseline on the cases of a file.

    Attributes:
        name: `COPY` or `FREQUENT`.
        cases: with the baseline's report as the candidate; None if there is none, or no reference.
        values: by metric, a score for each case, NaN if there is none; no metrics before `score_baseline`.
    """

    name: str
    cases: tuple[Case | None, ...]
    values: Mapping[str, Numbers]


def baselines_of(texts: Texts) -> list[Baseline]:
    """Return the baselines that the texts allow: no copy of prior reports if there are none.

    The copy is of the last prior. The most frequent report is that of the references of the file, equal but for case
    and white space; of several, the first in the file.
    """
    known = [case for case in texts.cases if case is not None]
    found = []
    if any(case.priors for case in known):
        copies = (case and case.priors and replace(case, candidate=case.priors[-1]) for case in texts.cases)
        found.append(Baseline(COPY, tuple(case or None for case in copies), {}))
    if frequent := most_frequent([case.reference for case in known]):
        same = (case and replace(case, candidate=frequent) for case in texts.cases)
        found.append(Baseline(FREQUENT, tuple(same), {}))
    return found


def most_frequent(reports: Sequence[str]) -> str:
    """Return the most frequent report, but for case and white space; empty if all are blank.

    Example:
        >>> most_frequent(["No effusion.", "Clear lungs.", "", "clear  lungs."])
        'Clear lungs.'
    """
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for report in reports:
        plain = " ".join(report.lower().split())
        if plain:
            counts[plain] += 1
            first.setdefault(plain, report)
    return first[counts.most_common(1)[0][0]] if counts else ""


def score_baseline(
    baseline: Baseline, reward: BaseReward, metrics: Sequence[str], progress: Progress | None = None
) -> Baseline:
    """Return the baseline with the scores of its reports.

    Args:
        baseline: from `baselines_of`.
        reward: that scored the file.
        metrics: `reward` and labels of its components; others are left out.
        progress: told of each scored case.
    """
    chosen = [metric for metric in metrics if metric == "reward" or metric in reward.components]
    values = {metric: np.full(len(baseline.cases), np.nan) for metric in chosen}
    for numbers in _chunks(baseline.cases):
        results = reward.score_batch([case for i in numbers if (case := baseline.cases[i])])
        for i, result in zip(numbers, results, strict=True):
            for metric, column in values.items():
                value = result.value if metric == "reward" else result.parts[metric].value
                column[i] = math.nan if value is None else value
        if progress:
            progress.advance(len(numbers))
    return replace(baseline, values=values)


def _chunks(cases: Sequence[Case | None]) -> Iterator[list[int]]:
    there = [i for i, case in enumerate(cases) if case is not None]
    for start in range(0, len(there), _CHUNK):
        yield there[start : start + _CHUNK]


def reward_of(system: SystemScores, source: str = "", *, allow_code: bool = False) -> tuple[BaseReward | None, str]:
    """Return the reward that made a file of scores; or None, and why baselines cannot be scored.

    Args:
        system: the file.
        source: a preset, the path of a TOML, or the address of a server; empty: the preset that the file's record
            names, if it still is the same reward and asks no judge, who would have to be paid for it.
        allow_code: let a TOML name Python code to run.

    Raises:
        ConfigError: `source` is not a reward, or not the one that made the scores.
    """
    record = read_provenance(system.path)
    signature = system.signature or (record["reward"]["signature"] if record else "")
    if source:
        options = {} if source.startswith(_RUNS_ELSEWHERE) else {"allow_code": allow_code}
        reward = load_reward(source, **options)
        if signature and reward.signature != signature:
            raise ConfigError(
                f"{system.path}: was not scored by {source!r} as it is here (their signatures differ), so baselines "
                "would not compare; name the reward that made it with --preset or --config"
            )
        return reward, ""
    if record is None:
        return None, "the file has no record of its reward; name it with --preset or --config"
    name = record["reward"]["name"]
    try:
        reward = load_reward(name)
        if reward.signature != signature:
            return None, f"{name!r} is another reward here than the one that made the scores; name it with --config"
    except CxrRewardsError as error:
        return None, f"its reward {name!r} cannot be had here: {error}"
    if any(isinstance(component, JudgeComponent) for component in reward.components.values()):
        return None, f"its reward {name!r} asks a judge; --preset {name} asks it for them"
    return reward, ""
