"""EasyR1's reward function.

EasyR1 loads a file: name one with these lines in `worker.reward.reward_function=FILE.py:compute_score`, and the
arguments of `cxr_rewards.adapters.samples.Samples` in `worker.reward.reward_function_kwargs`, at least `unscored`.

```text
from cxr_rewards.adapters.easyr1 import REWARD_NAME, REWARD_TYPE, compute_score
```

`ground_truth` is the reference report, or an object as JSON, with `reference`, `priors`, the keys of `context`, and
`group`. With a line `REWARD_TYPE = "sequential"` EasyR1 passes samples one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from cxr_rewards.adapters.samples import Samples, samples_of
from cxr_rewards.errors import ConfigError, shorten, unknown_name
from cxr_rewards.types import Case

REWARD_NAME = "cxr_rewards"
REWARD_TYPE = "batch"

_Input = Mapping[str, Any]


@overload
def compute_score(reward_inputs: _Input, **options: Any) -> dict[str, float]: ...
@overload
def compute_score(reward_inputs: Sequence[_Input], **options: Any) -> list[dict[str, float]]: ...
def compute_score(
    reward_inputs: _Input | Sequence[_Input], **options: Any
) -> dict[str, float] | list[dict[str, float]]:
    """Return `overall`, the components and `unscored` of each sample: always the same keys, and only numbers.

    EasyR1 averages them: a component without a value adds 0 to the mean of its key and 1 to that of
    `<component>/unscored`, so the mean of those that have one is `mean(x) / (1 - mean(x/unscored))`.

    Args:
        reward_inputs: EasyR1's samples, with `response` and `ground_truth`; a batch, or one sample.
        **options: `reward_function_kwargs`, arguments of `Samples`. In a batch, `unscored` may be `group_mean` and
            `group_size` be given.

    Raises:
        ConfigError: an unknown option, a bad value, samples of another form, or part of a group.

    Example:
        >>> batch = [{"response": "Clear lungs.<|im_end|>", "response_length": 5, "ground_truth": "Clear lungs."}]
        >>> compute_score(batch, unscored=-5.0)[0]["overall"]
        1.0
    """
    if isinstance(reward_inputs, Mapping):
        samples_of(options)  # checks that they fit samples that come one by one
        return compute_score([reward_inputs], **options)[0]
    samples = samples_of(options, whole_groups=True)
    cases = [_case_of(samples, one) for one in reward_inputs]
    return [{"overall": value, **samples.numbers(reward)} for value, reward in samples.score_many(cases)]


def _case_of(samples: Samples, sample: _Input) -> Case:
    if not isinstance(sample, Mapping):
        raise ConfigError(f"easyr1: expected samples with 'response' and 'ground_truth', got {shorten(sample)}")
    for name in ("response", "ground_truth"):
        if name not in sample:
            raise ConfigError(unknown_name("easyr1: a sample", "key", name, sample))
    return samples.labelled_case(sample["response"], sample["ground_truth"])
