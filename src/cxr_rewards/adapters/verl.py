"""verl's custom reward function, in one line of its configuration.

```text
reward.custom_reward_function.path=pkg://cxr_rewards.adapters.verl
reward.custom_reward_function.name=compute_score
+reward.custom_reward_function.reward_kwargs.config=unirg
+reward.custom_reward_function.reward_kwargs.unscored=-1.0
```

verl asks for one sample at a time, in several worker processes: what comes at about the same time is scored as one
batch. Workers have no GPU: models run on the CPU there, so let rewards with models or judges run in few workers
(`reward.num_workers`), with a shared cache (`cache` in the reward's TOML).
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from cxr_rewards.adapters.coalesce import Coalescer
from cxr_rewards.adapters.rollouts import Rollouts, named_reward, priors_of
from cxr_rewards.errors import ConfigError
from cxr_rewards.types import Case, Reward

_made: dict[str, VerlReward] = {}
_lock = threading.Lock()


class VerlReward:
    """Scores verl's samples; made once a process for each set of options.

    Args:
        config: a preset or the path of a reward's TOML; empty: what `CXR_REWARDS_CONFIG` names.
        unscored: what an unscored sample gets. verl bears no missing value, so it must be given, and lie below every
            reward that a report can get.
        priors: key of `extra_info` that holds the earlier reports.
        context: keys of `extra_info` that are context (age, sex, indication, ...).
        wait_s: how long a sample waits for others, in seconds.

    Raises:
        ConfigError: `unscored` is not given, or could be earned by a report.
    """

    def __init__(
        self,
        *,
        config: str = "",
        unscored: float | None = None,
        priors: str = "priors",
        context: Sequence[str] = (),
        wait_s: float = 0.02,
    ) -> None:
        reward = named_reward(config)
        if unscored is None:
            low = reward.bounds[0]
            raise ConfigError(
                f"verl: say what an unscored sample gets: reward_kwargs.unscored, a number below {low:g}, "
                "the lowest reward of a report"
            )
        self.unscored = float(unscored)
        self.rollouts = Rollouts(reward=reward, unscored=self.unscored)
        self.priors, self.context = priors, tuple(context)
        self._batches: Coalescer[Case, Reward] = Coalescer(reward.score_batch, wait_s=wait_s)

    def case(self, solution: str, reference: str, extra: Mapping[str, Any] | None) -> Case:
        """Return the case of a sample."""
        extra = extra or {}
        context = {key: str(extra[key]) for key in self.context if extra.get(key) is not None}
        return Case(
            candidate=self.rollouts.extract(solution), reference=reference, priors=priors_of(extra.get(self.priors)),
            context=context,
        )  # fmt: skip

    def as_dict(self, reward: Reward) -> dict[str, float]:
        """Return what verl takes: `score`, each component and `unscored`, the same keys for each sample.

        A component without a value shows as the number for unscored samples.
        """
        parts = {
            label: self.unscored if part.value is None else float(part.value) for label, part in reward.parts.items()
        }
        value = self.unscored if reward.value is None else float(reward.value)
        return {"score": value, **parts, "unscored": float(reward.value is None)}

    async def score(self, solution: str, reference: str, extra: Mapping[str, Any] | None) -> dict[str, float]:
        """Score one sample, together with what others ask for meanwhile."""
        return self.as_dict(await asyncio.wrap_future(self._batches.submit(self.case(solution, reference, extra))))

    def score_many(
        self, solutions: Sequence[str], references: Sequence[str], extras: Sequence[Mapping[str, Any] | None]
    ) -> list[dict[str, float]]:
        """Score a batch."""
        cases = [self.case(*sample) for sample in zip(solutions, references, extras, strict=True)]
        return [self.as_dict(reward) for reward in self.rollouts.reward.score_batch(cases)]


def _reward_of(options: Mapping[str, Any]) -> VerlReward:
    key = json.dumps(dict(options), sort_keys=True, default=str)
    with _lock:
        if key not in _made:
            _made[key] = VerlReward(**options)
        return _made[key]


async def compute_score(
    data_source: str,  # noqa: ARG001 - verl's
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    config: str = "",
    unscored: float | None = None,
    priors: str = "priors",
    context: Sequence[str] = (),
    wait_s: float = 0.02,
    **_: Any,
) -> dict[str, float]:
    """Return `score`, the components and `unscored` of one sample; the options are `VerlReward`'s.

    Args:
        data_source: the data set's name; not used.
        solution_str: the rollout.
        ground_truth: the reference report.
        extra_info: the row's further fields: priors, context.
    """
    options = {
        "config": config, "unscored": unscored, "priors": priors, "context": list(context), "wait_s": wait_s,
    }  # fmt: skip
    return await _reward_of(options).score(solution_str, ground_truth, extra_info)


def compute_scores(
    data_sources: Sequence[str],  # noqa: ARG001 - verl's
    solution_strs: Sequence[str],
    ground_truths: Sequence[str],
    extra_infos: Sequence[Mapping[str, Any] | None] | None = None,
    **options: Any,
) -> list[dict[str, float]]:
    """Return the same for a batch, for reward managers that pass whole batches (verl before 0.7.1, and forks)."""
    return _reward_of(options).score_many(solution_strs, ground_truths, extra_infos or [None] * len(solution_strs))
