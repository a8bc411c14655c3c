"""Reward functions for verifiers, whose environments prime-rl trains on.

Up to 0.3.1 a rubric takes them:

```text
from cxr_rewards.adapters.verifiers import reward_funcs
funcs, weights = reward_funcs(config="rules", unscored=-1.0)
rubric = vf.Rubric(funcs=funcs, weights=weights)
```

From 0.4 on a task has them as methods:

```text
class ReportTask(vf.Task[ReportData, vf.State]):
    @vf.reward
    async def report(self, trace) -> float:
        return await score_trace(trace, self.data, config="rules", unscored=-1.0)
```
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cxr_rewards.adapters.samples import samples_of
from cxr_rewards.errors import InputError

Score = Callable[..., Awaitable[float]]
_PARTS = "cxr_rewards_parts"


def reward_funcs(**options: Any) -> tuple[list[Score], list[float]]:
    """Return a rubric's functions and weights: the reward of weight 1, and each component of weight 0, to be logged.

    The answer is the reference report; priors and context are keys of `info`. A rubric makes 0 of an error, which a
    report may be worse than: of a sample that cannot be read the reward is the number for unscored samples, with a
    warning.

    Args:
        **options: arguments of `cxr_rewards.adapters.samples.Samples`; `unscored` must be given.

    Raises:
        ConfigError: an unknown option, or a bad value.
    """
    samples = samples_of(options)

    async def cxr_rewards(completion: Any, answer: Any, state: Any, info: Any = None) -> float:
        state[_PARTS] = {}
        try:
            reward = await samples.score(samples.case(completion, answer, info if isinstance(info, Mapping) else {}))
        except InputError as error:
            warnings.warn(f"unscored: {error}", stacklevel=2)
            return samples.unscored
        state[_PARTS] = samples.parts(reward)
        return samples.value(reward)

    def of_part(label: str) -> Score:
        async def part(state: Any) -> float:  # a rubric calls its functions in order, this one after the reward
            return float(state[_PARTS].get(label, 1.0 if label == "unscored" else samples.unscored))

        part.__name__ = label
        return part

    labels = [*samples.rollouts.reward.components, "unscored"]
    return [cxr_rewards, *(of_part(label) for label in labels)], [1.0, *(0.0 for _ in labels)]


async def score_trace(trace: Any, data: Any, **options: Any) -> float:
    """Return the reward of a trace's last reply, and record each component among the trace's metrics.

    Args:
        trace: verifiers' trace of a rollout.
        data: the task's data, with `reference` and, where there are some, priors and context.
        **options: as above.
    """
    samples = samples_of(options)
    told = data if isinstance(data, Mapping) else data.model_dump()
    reward = await samples.score(samples.case(trace.last_reply, told.get("reference", ""), told))
    for label, value in samples.parts(reward).items():
        trace.record_metric(label, value)
    return samples.value(reward)
