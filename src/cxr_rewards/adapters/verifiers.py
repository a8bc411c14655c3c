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
from cxr_rewards.types import Failure

Score = Callable[..., Awaitable[float]]
_PARTS = "cxr_rewards_parts"


def reward_funcs(**options: Any) -> tuple[list[Score], list[float]]:
    """Return a rubric's functions and weights: the reward of weight 1, and each component of weight 0, to be logged.

    The answer is the reference report; priors and context are keys of `info`. A rubric turns an error into 0, which may
    beat a bad report, so an unscored sample gets `unscored`, and one that cannot be read also a warning. Metrics must
    be numbers: a component without a value adds 0 to the mean of its metric and 1 to that of `<component>/unscored`, so
    the mean of those that have one is `mean(x) / (1 - mean(x/unscored))`.

    Args:
        **options: arguments of `cxr_rewards.adapters.samples.Samples`; `unscored` must be given.

    Raises:
        ConfigError: an unknown option, or a bad value.
    """
    samples = samples_of(options)

    async def cxr_rewards(completion: object, answer: object, state: dict[str, Any], info: object = None) -> float:
        case = samples.case(completion, answer, info)
        if isinstance(case.candidate, Failure):
            warnings.warn(f"unscored: {case.candidate}", stacklevel=2)
        reward = await samples.score(case)
        state[_PARTS] = samples.numbers(reward)
        return samples.value(reward)

    def of_part(name: str) -> Score:
        async def part(state: dict[str, Any]) -> float:  # a rubric calls it after the reward
            return float(state[_PARTS][name])

        part.__name__ = name
        return part

    labels = samples.rollouts.reward.components
    names = [*(name for label in labels for name in (label, f"{label}/unscored")), "unscored"]
    return [cxr_rewards, *(of_part(name) for name in names)], [1.0, *(0.0 for _ in names)]


async def score_trace(trace: Any, data: object, **options: Any) -> float:
    """Return the reward of a trace's last reply, and record among the trace's metrics each component that has a value.

    Each component's `<component>/unscored` and `unscored` are 0 or 1, and always recorded.

    Args:
        trace: verifiers' trace of a rollout.
        data: the task's data: `reference`, and priors and context if there are any.
        **options: as above.
    """
    samples = samples_of(options)
    fields = data.model_dump() if hasattr(data, "model_dump") else data
    reference = fields.get("reference") if isinstance(fields, Mapping) else None
    reward = await samples.score(samples.case(trace.last_reply, reference, fields))
    for name, value in samples.parts(reward).items():
        if value is not None:
            trace.record_metric(name, value)
    return samples.value(reward)
