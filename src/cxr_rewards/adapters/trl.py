"""Reward functions for trl: `GRPOTrainer(reward_funcs=...)` and RLOO.

`reward.as_trl(...)` makes one; `trl grpo --reward_funcs cxr_rewards.adapters.trl.reward` takes the one that the
environment describes (see `reward`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr_rewards.adapters.completion import Extract
from cxr_rewards.adapters.diagnostics import Diagnostics
from cxr_rewards.adapters.rollouts import Rollouts, Scored, options_from_environment
from cxr_rewards.remote.load import load_reward
from cxr_rewards.reward.base import BaseReward

Log = Callable[..., object]


class TrlReward:
    """A reward function as trl calls it: picklable, with a `__name__` of its own.

    Called with `prompts`, `completions` and the dataset's columns, it returns a float per completion, None if it is
    unscored (trl leaves such rows out). Through trl's hooks it logs `reward/<component>/mean`, the unscored share, the
    judges' cost and what `Diagnostics` finds, and adds a column of each component to the table of completions.
    """

    def __init__(self, rollouts: Rollouts, name: str = "cxr_rewards") -> None:
        self.rollouts = rollouts
        self.__name__ = name

    def __call__(
        self,
        prompts: Sequence[object] | None = None,
        completions: Sequence[object] = (),
        *,
        trainer_state: object = None,
        log_extra: Log | None = None,
        log_metric: Log | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """Return a value for each completion, in order."""
        scored = self._score(prompts, completions, columns, trainer_state)
        _log(scored, log_extra, log_metric)
        return scored.values

    def _score(
        self, prompts: Sequence[object] | None, completions: Sequence[object], columns: Mapping[str, Any], state: object
    ) -> Scored:
        return self.rollouts.score(completions, columns, prompts, getattr(state, "global_step", None))


class AsyncTrlReward(TrlReward):
    """The same as a coroutine function: trl awaits it together with its other asynchronous rewards."""

    async def __call__(self, *given: Any, **columns: Any) -> list[float | None]:  # type: ignore[override]
        """Return a value for each completion, in order."""
        return await asyncio.to_thread(TrlReward.__call__, self, *given, **columns)


def _log(scored: Scored, log_extra: Log | None, log_metric: Log | None) -> None:
    if log_metric is not None:
        for name, value in scored.metrics.items():
            log_metric(f"reward/{name}", float(value))
    if log_extra is not None and scored.rewards:
        for label in scored.rewards[0].parts:
            log_extra(label, [reward.parts[label].value for reward in scored.rewards])
        lost = [reward if reward.value is None else None for reward in scored.rewards]
        log_extra("unscored", [reward.reasons if reward else "" for reward in lost])
        log_extra("unscored_kind", ["; ".join(reward.kinds) if reward else "" for reward in lost])


def as_trl(
    reward: BaseReward,
    *,
    reference: str = "reference",
    priors: str | None = None,
    context: Sequence[str] | Mapping[str, str] = (),
    group: str | None = None,
    group_size: int = 0,
    extract: Extract | Mapping[str, object] | None = None,
    diagnostics: Diagnostics | str | Path | None = None,
    asynchronous: bool = False,
    name: str = "cxr_rewards",
) -> TrlReward:
    """Return a reward function for trl.

    Args:
        reward: scores the rollouts. Combine here and not in trl: if one of several functions fails for a sample, trl
            sums the others, and the sample is punished for it.
        reference, priors, context, group, group_size: the dataset's columns; see `Rollouts`.
        extract: how to take the report out of a completion.
        diagnostics: a `Diagnostics` of your own, or the path of its file; None: one without a file.
        asynchronous: let trl await it beside its other asynchronous rewards.
        name: the name under which trl logs it; two functions of one name share their metrics.
    """
    rollouts = Rollouts(
        reward=reward,
        reference=reference,
        priors=priors,
        context=context,
        group=group,
        group_size=group_size,
        extract=extract or Extract(),
        diagnostics=diagnostics or Diagnostics(),
    )
    return (AsyncTrlReward if asynchronous else TrlReward)(rollouts, name)


class _FromEnvironment:
    """`reward`, built from the environment when it is first called, for trainers that take a name and no arguments.

    `CXR_REWARDS_CONFIG`: a preset or a reward's TOML; `rules` if it is not set. `CXR_REWARDS_OPTIONS`: a JSON object of
    the arguments of `as_trl`, such as `{"reference": "report", "priors": "prior_reports"}`, and `allow_code`.
    """

    __name__ = "cxr_rewards"

    def __init__(self) -> None:
        self._made: TrlReward | None = None

    def __call__(self, *given: Any, **columns: Any) -> list[float | None]:
        if self._made is None:
            options = options_from_environment()
            allowed = {"allow_code": code} if (code := options.pop("allow_code", False)) else {}
            self._made = as_trl(load_reward(**allowed), **options)
        return self._made(*given, **columns)

    def __reduce__(self) -> str:
        return "reward"


reward = _FromEnvironment()
