"""verl's custom reward function, in one line of its configuration.

```text
reward.custom_reward_function.path=pkg://cxr_rewards.adapters.verl
reward.custom_reward_function.name=compute_score
+reward.custom_reward_function.reward_kwargs.config=unirg
+reward.custom_reward_function.reward_kwargs.unscored=-1.0
```

`reward_kwargs` are the arguments of `cxr_rewards.adapters.samples.Samples`; priors and context are keys of
`extra_info`.

verl asks for one sample at a time, in several worker processes: samples that arrive at about the same time are scored
as one batch. Workers have no GPU: models run on the CPU there, so let rewards with models or judges run in few workers
(`reward.num_workers`), with a shared cache (`cache` in the reward's TOML).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxr_rewards.adapters.samples import Samples, samples_of
from cxr_rewards.errors import InputError
from cxr_rewards.types import Reward


def _scores_by_key(samples: Samples, value: float, reward: Reward) -> dict[str, float | None]:
    return {"score": value, **samples.parts(reward)}


async def compute_score(
    data_source: str,  # noqa: ARG001 - verl's
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, object] | str | None = None,
    **options: Any,
) -> dict[str, float | None]:
    """Return `score`, the components and `unscored` of one sample: always the same keys.

    A component without a value is None, which verl leaves out of a validation's means, and its `<component>/unscored`
    is 1, whose mean is the share that has none. A sample that cannot be read is unscored, not an error.

    Args:
        data_source: the data set's name; not used.
        solution_str: the rollout.
        ground_truth: the reference report.
        extra_info: the row's further fields, priors and context: an object, one as JSON, or None.
        **options: `reward_kwargs`, arguments of `Samples`.
    """
    samples = samples_of(_ours(options))
    reward = await samples.score(samples.case(solution_str, ground_truth, extra_info))
    return _scores_by_key(samples, samples.value(reward), reward)


def compute_scores(
    data_sources: Sequence[str],  # noqa: ARG001 - verl's
    solution_strs: Sequence[str],
    ground_truths: Sequence[str],
    extra_infos: Sequence[Mapping[str, object] | str | None] | None = None,
    **options: Any,
) -> list[dict[str, float | None]]:
    """Return the same for a batch, for reward managers that pass whole batches (verl before 0.7.1, and forks).

    Raises:
        InputError: the lists differ in length.
    """
    samples = samples_of(_ours(options), whole_groups=True)
    infos = [None] * len(solution_strs) if extra_infos is None else extra_infos
    if not len(solution_strs) == len(ground_truths) == len(infos):
        raise InputError(
            f"{len(solution_strs)} solution_strs, {len(ground_truths)} ground_truths and {len(infos)} extra_infos: "
            "lengths differ"
        )
    cases = [samples.case(*sample) for sample in zip(solution_strs, ground_truths, infos, strict=True)]
    return [_scores_by_key(samples, *scored) for scored in samples.score_many(cases)]


def _ours(options: Mapping[str, object]) -> dict[str, object]:
    """Leave out the options that verl itself passes for its reward models."""
    return {k: v for k, v in options.items() if k not in _VERLS}


_VERLS = ("reward_router_address", "reward_model_tokenizer")
