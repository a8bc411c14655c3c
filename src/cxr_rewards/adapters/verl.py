"""verl's custom reward function, in one line of its configuration.

```text
reward.custom_reward_function.path=pkg://cxr_rewards.adapters.verl
reward.custom_reward_function.name=compute_score
+reward.custom_reward_function.reward_kwargs.config=unirg
+reward.custom_reward_function.reward_kwargs.unscored=-1.0
```

`reward_kwargs` are the arguments of `cxr_rewards.adapters.samples.Samples`; priors and context are keys of
`extra_info`.

verl asks for one sample at a time, in several worker processes: what comes at about the same time is scored as one
batch. Workers have no GPU: models run on the CPU there, so let rewards with models or judges run in few workers
(`reward.num_workers`), with a shared cache (`cache` in the reward's TOML).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxr_rewards.adapters.samples import Samples, samples_of
from cxr_rewards.types import Reward


def _told(samples: Samples, reward: Reward) -> dict[str, float]:
    return {"score": samples.value(reward), **samples.parts(reward)}


async def compute_score(
    data_source: str,  # noqa: ARG001 - verl's
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, float]:
    """Return `score`, the components and `unscored` of one sample.

    Args:
        data_source: the data set's name; not used.
        solution_str: the rollout.
        ground_truth: the reference report.
        extra_info: the row's further fields: priors, context.
        **options: `reward_kwargs`, arguments of `Samples`.
    """
    samples = samples_of(_ours(options))
    return _told(samples, await samples.score(samples.case(solution_str, ground_truth, extra_info)))


def compute_scores(
    data_sources: Sequence[str],  # noqa: ARG001 - verl's
    solution_strs: Sequence[str],
    ground_truths: Sequence[str],
    extra_infos: Sequence[Mapping[str, Any] | None] | None = None,
    **options: Any,
) -> list[dict[str, float]]:
    """Return the same for a batch, for reward managers that pass whole batches (verl before 0.7.1, and forks)."""
    samples = samples_of(_ours(options))
    told = extra_infos or [None] * len(solution_strs)
    cases = [samples.case(*sample) for sample in zip(solution_strs, ground_truths, told, strict=True)]
    return [_told(samples, reward) for reward in samples.score_many(cases)]


def _ours(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what verl passes by itself for its reward models."""
    return {k: v for k, v in options.items() if k not in _VERLS}


_VERLS = ("reward_router_address", "reward_model_tokenizer")
