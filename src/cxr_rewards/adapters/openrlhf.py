"""OpenRLHF's reward function.

OpenRLHF takes a file: name a file of one line, `from cxr_rewards.adapters.openrlhf import reward_func`, in
`--reward.remote_url`. `CXR_REWARDS_CONFIG` is the reward; `CXR_REWARDS_OPTIONS` a JSON object of the arguments of
`cxr_rewards.adapters.samples.Samples`, at least `{"unscored": -1.0}`, and `marker` (see `completion_of`).

A label is the reference report, or an object, or one as JSON, with `reference`, `priors` and the keys of `context`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TypedDict

from cxr_rewards.adapters.completion import completion_of
from cxr_rewards.adapters.rollouts import options_from_environment
from cxr_rewards.adapters.samples import Samples, samples_of
from cxr_rewards.errors import InputError, shorten
from cxr_rewards.types import Case, Failure, Reward


class Reply(TypedDict):
    """OpenRLHF's result, each list with one number per query."""

    rewards: list[float]
    scores: list[float]
    extra_logs: dict[str, list[float]]


def reward_func(
    queries: Sequence[str],
    prompts: Sequence[str],
    labels: Sequence[object],
    **_: object,
) -> dict[str, object]:
    """Return OpenRLHF's `rewards`, `scores` and `extra_logs` as tensors, each with one number per query.

    OpenRLHF averages `extra_logs` and takes only numbers: a component without a value adds 0 to the mean of its key and
    1 to that of `<component>/unscored`, so the mean of those that have one is `mean(x) / (1 - mean(x/unscored))`.
    `scores`, which its dynamic filtering reads, are the rewards brought to [0, 1] by the bounds of the reward.

    Args:
        queries: prompt and completion, decoded with special tokens.
        prompts: the prompts alone.
        labels: the references; see above.
    """
    import torch

    options = options_from_environment()
    marker = options.pop("marker", "")
    samples = samples_of(options)
    cases = cases_of(samples, queries, prompts, labels, marker)
    replied = reply(samples, [future.result() for future in [samples.submit(case) for case in cases]])
    logs = {name: torch.tensor(values) for name, values in replied["extra_logs"].items()}
    return {"rewards": torch.tensor(replied["rewards"]), "scores": torch.tensor(replied["scores"]), "extra_logs": logs}


def cases_of(
    samples: Samples, queries: Sequence[str], prompts: Sequence[str], labels: Sequence[object], marker: str = ""
) -> list[Case]:
    """Return a case for each query; one that cannot be read, or whose label holds no reference, will be unscored.

    Raises:
        InputError: the lists differ in length, or no query, now or earlier, holds a report: the marker is wrong.
    """
    if not len(queries) == len(prompts) == len(labels):
        raise InputError(f"{len(queries)} queries, {len(prompts)} prompts and {len(labels)} labels: lengths differ")
    cases, lost = [], []
    for query, prompt, label in zip(queries, prompts, labels, strict=True):
        completion: object
        if not (isinstance(query, str) and isinstance(prompt, str)):
            completion = Failure(
                "query", f"a query and its prompt must be texts, got {shorten((query, prompt))}", "invalid_input"
            )
        else:
            try:
                completion = completion_of(query, prompt, marker)
                samples.has_cut = True
            except InputError as error:
                completion = Failure("query", str(error), "invalid_input")
                lost.append(error)
        cases.append(samples.labelled_case(completion, label))
    if lost and not samples.has_cut:  # a lone query that was cut short must not end a training
        raise lost[0]
    return cases


def reply(samples: Samples, rewards: Sequence[Reward]) -> Reply:
    """Return OpenRLHF's result for these rewards as lists, which is also the reply of an HTTP server."""
    values = [samples.value(reward) for reward in rewards]
    low, high = samples.rollouts.reward.bounds
    if isfinite(high - low):
        scores = [min(1.0, max(0.0, (value - low) / (high - low))) for value in values]
    else:
        scores = values
    parts = [samples.numbers(reward) for reward in rewards]
    logs = {name: [part[name] for part in parts] for name in (parts[0] if parts else ())}
    return {"rewards": values, "scores": scores, "extra_logs": logs}
