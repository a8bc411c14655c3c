"""slime's custom reward function: `--custom-rm-path cxr_rewards.adapters.slime.reward`.

`CXR_REWARDS_CONFIG` is the reward; `CXR_REWARDS_OPTIONS` a JSON object of the arguments of
`cxr_rewards.adapters.samples.Samples`, at least `{"unscored": -1.0}`. With `--group-rm` slime passes the whole group of
a prompt: then `unscored` may be `group_mean`, and a reward may be normalised within groups, given `group_size`.

The label (`--label-key`) is the reference report, or an object, or one as JSON, with `reference`, `priors` and the keys
of `context`; these may also be in the metadata (`--metadata-key`).
"""

from __future__ import annotations

from typing import Any

from cxr_rewards.adapters.rollouts import options_from_environment
from cxr_rewards.adapters.samples import Samples, samples_of
from cxr_rewards.errors import ConfigError
from cxr_rewards.types import Case, Reward

KEY = "score"
"""Key of the reward beside its components."""

_Result = float | dict[str, float]


async def reward(args: Any, sample: Any, **_: object) -> _Result | list[_Result]:
    """Return the reward of a sample, or with `--group-rm` those of a group, in order.

    With `--reward-key score` each is an object that also holds the components, which are in slime's dumps of rollouts
    and can be its `--eval-reward-key`: always the same keys, 0 for a component without a value, whose
    `<component>/unscored` is 1.

    Args:
        args: slime's arguments.
        sample: slime's sample, with `response`, `label`, `metadata` and `group_index`, or a list of them.

    Raises:
        ConfigError: a bad option, a reward key other than `score`, or a group that is not of `group_size`.
    """
    options = options_from_environment()
    key = getattr(args, "reward_key", None)
    if key not in (None, "", KEY):
        raise ConfigError(f"slime: --reward-key must be {KEY!r}, or left out, not {key!r}")
    if not isinstance(sample, list | tuple):
        samples = samples_of(options)
        one = await samples.score(_case_of(samples, sample))
        return result_of(samples, samples.value(one), one, with_parts=bool(key))
    samples = samples_of(options, whole_groups=True)
    scored = await samples.score_group([_case_of(samples, one) for one in sample])
    return [result_of(samples, value, one, with_parts=bool(key)) for value, one in scored]


def result_of(samples: Samples, value: float, reward: Reward, *, with_parts: bool) -> _Result:
    """Return what slime gets for a reward, which is also the reply of an HTTP server."""
    return {KEY: value, **samples.numbers(reward)} if with_parts else value


def _case_of(samples: Samples, sample: Any) -> Case:
    return samples.labelled_case(sample.response, sample.label, sample.metadata, sample.group_index)
