"""Numbers of the rewards of a step: the reward, its components, and the groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isfinite

from cxr_rewards.adapters.diagnostics.arithmetic import SAME, correlations, deviation, mean
from cxr_rewards.errors import shorten
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.types import Case, Reward


def of_parts(reward: BaseReward, rewards: Sequence[Reward]) -> dict[str, float]:
    """Return mean, spread and unscored share of the reward and its components, statistics, and correlations."""
    metrics = _spread("reward", [r.value for r in rewards])
    for label in reward.components:
        metrics |= _spread(label, [r.parts[label].value for r in rewards])
        metrics |= _over_all(label, reward, rewards)
    return metrics | _correlations(reward, rewards)


def of_groups(cases: Sequence[Case], rewards: Sequence[Reward]) -> dict[str, float]:
    """Return the share of groups, of two rollouts or more, whose rewards are all equal."""
    groups: dict[str, list[float]] = {}
    for case, reward in zip(cases, rewards, strict=True):
        if reward.value is not None and isfinite(reward.value):
            groups.setdefault(group_of(case), []).append(reward.value)
    sized = [values for values in groups.values() if len(values) > 1]
    flat = sum(max(values) - min(values) < SAME for values in sized)
    return {"zero_variance_groups": flat / len(sized) if sized else 0.0}


def group_of(case: Case) -> str:
    """Return the name of a case's group, whatever it holds."""
    return case.group if isinstance(case.group, str) else shorten(case.group)


def kinds_of(rewards: Sequence[Reward]) -> dict[str, int]:
    """Return the unscored rollouts by kind of failure; one with several counts for each."""
    return dict(Counter(kind for reward in rewards if reward.value is None for kind in reward.kinds))


def reasons_of(rewards: Sequence[Reward]) -> dict[str, int]:
    """Return the unscored rollouts by reason, the five most frequent."""
    return dict(Counter(reward.reasons for reward in rewards if reward.value is None).most_common(5))


def _spread(label: str, values: Sequence[float | None]) -> dict[str, float]:
    known = [float(value) for value in values if value is not None and isfinite(value)]
    metrics = {f"{label}/unscored": 1 - len(known) / len(values)}
    if known:
        metrics |= {f"{label}/mean": mean(known), f"{label}/std": deviation(known)}
    return metrics


def _over_all(label: str, reward: BaseReward, rewards: Sequence[Reward]) -> dict[str, float]:
    """Return a component's statistics over all rollouts of the step, such as a judge's errors a report."""
    scores = [score for r in rewards if (score := r.parts[label]).value is not None]
    statistics = reward.components[label].corpus(scores) if scores else {}
    return {f"{label}/{name}": value for name, value in statistics.items() if value is not None}


def _correlations(reward: BaseReward, rewards: Sequence[Reward]) -> dict[str, float]:
    """Return Pearson's r of each pair of components with a weight, over the cases that have both."""
    labels = [label for label in reward.components if reward.total.terms[label].weight]
    found = correlations({label: [r.parts[label].value for r in rewards] for label in labels})
    return {f"correlation/{one}~{two}": r for (one, two), r in found.items()}
