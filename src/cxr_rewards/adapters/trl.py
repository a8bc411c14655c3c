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
from cxr_rewards.adapters.diagnostics import Diagnostics, Log, check_log, logged
from cxr_rewards.adapters.rollout_log import RolloutLog
from cxr_rewards.adapters.rollouts import Rollouts, Scored, options_from_environment
from cxr_rewards.errors import ConfigError
from cxr_rewards.remote.load import load_reward
from cxr_rewards.reward.base import BaseReward

Hook = Callable[..., object]
_OF_TRL = frozenset(("reward/mean", "reward/std", "zero_variance_groups"))
"""Logged by trl itself, as `reward`, `reward_std` and `frac_reward_zero_std`."""


class TrlReward:
    """A reward function as trl calls it: picklable, with a `__name__` of its own.

    Called with `prompts`, `completions` and the dataset's columns, it returns a float per completion, None if it is
    unscored (trl leaves such rows out). Through trl's hooks, which reach every logger that `report_to` names, it logs
    the numbers of `Diagnostics` that `log` chooses, under its own name (`cxr_rewards/normal_rate`), and adds a column
    of each component with a weight to the table of completions.
    """

    def __init__(self, rollouts: Rollouts, name: str = "cxr_rewards", log: Log = "default") -> None:
        self.rollouts = rollouts
        self.log = check_log(log)
        self.__name__ = name

    def __call__(
        self,
        prompts: Sequence[object] | None = None,
        completions: Sequence[object] = (),
        *,
        trainer_state: object = None,
        log_extra: Hook | None = None,
        log_metric: Hook | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """Return a value for each completion, in order."""
        scored = self._score(prompts, completions, columns, trainer_state)
        self._log(scored, log_extra, log_metric)
        return scored.values

    def _score(
        self, prompts: Sequence[object] | None, completions: Sequence[object], columns: Mapping[str, Any], state: object
    ) -> Scored:
        return self.rollouts.score(completions, columns, prompts, getattr(state, "global_step", None))

    def _log(self, scored: Scored, log_extra: Hook | None, log_metric: Hook | None) -> None:
        reward = self.rollouts.reward
        if log_metric is not None:
            for name, value in logged(scored.metrics, reward, self.log).items():
                if name not in _OF_TRL:
                    log_metric(f"{self.__name__}/{name.removeprefix('reward/')}", float(value))
        if log_extra is not None and scored.rewards:
            everything = "all" in self.log
            for label, term in reward.total.terms.items():
                if everything or term.weight:
                    log_extra(label, [one.parts[label].value for one in scored.rewards])
            lost = [one if one.value is None else None for one in scored.rewards]
            log_extra("unscored", [one.reasons if one else "" for one in lost])
            log_extra("unscored_kind", ["; ".join(one.kinds) if one else "" for one in lost])


class AsyncTrlReward(TrlReward):
    """The same as a coroutine function: trl awaits it together with its other asynchronous rewards."""

    async def __call__(self, *given: Any, **columns: Any) -> list[float | None]:  # type: ignore[override]
        """Return a value for each completion, in order."""
        return await asyncio.to_thread(TrlReward.__call__, self, *given, **columns)


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
    rollout_log: RolloutLog | str | Path | None = None,
    log: Log = "default",
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
        rollout_log: a `RolloutLog`, or the path of a file for every rollout with its rewards; None: no such file.
        log: the numbers that trl logs: `default`, `all`, `none`, a pattern of names such as `seconds/*`, or a list of
            these. `all` also puts components of weight 0 into the table of completions.
        asynchronous: let trl await it beside its other asynchronous rewards.
        name: the name under which trl logs it, and under which its own numbers are logged (`NAME/normal_rate`); two
            functions of one name share their metrics. `reward` is trl's own: MLflow's file store cannot keep a number
            and others below it under one name.

    Raises:
        ConfigError: the name is `reward`, or an argument is not valid.
    """
    if name == "reward":
        raise ConfigError("as_trl: name = 'reward' is the name of trl's own mean reward; choose another")
    rollouts = Rollouts(
        reward=reward,
        reference=reference,
        priors=priors,
        context=context,
        group=group,
        group_size=group_size,
        extract=extract or Extract(),
        diagnostics=diagnostics or Diagnostics(),
        rollout_log=rollout_log,
    )
    return (AsyncTrlReward if asynchronous else TrlReward)(rollouts, name, log)


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
