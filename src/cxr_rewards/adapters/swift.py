"""ms-swift's outcome reward models.

Name a file of these two lines in `--external_plugins`, and `--reward_funcs cxr_rewards`:

```text
from cxr_rewards.adapters.swift import register
register(reference="report", priors="prior_reports")
```
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from cxr_rewards.adapters.rollouts import Rollouts
from cxr_rewards.errors import MissingDependencyError
from cxr_rewards.remote.load import load_reward
from cxr_rewards.reward.base import BaseReward


class SwiftReward:
    """A reward function as ms-swift creates and calls it; `register` makes a class for each reward."""

    reward: BaseReward | None = None
    options: dict[str, Any] = {}  # noqa: RUF012 - each class has its own

    def __init__(self, args: object = None, **_: object) -> None:
        self.args = args
        self._rollouts: Rollouts | None = None

    def __call__(self, completions: Sequence[object], **columns: Any) -> list[float | None]:
        """Return a value for each completion, in order."""
        if self._rollouts is None:
            group = {"group": "prompt_id"} if columns.get("prompt_id") is not None else {}
            options: dict[str, Any] = {"unscored": "group_mean", **group, **self.options}
            self._rollouts = Rollouts(reward=self.reward or load_reward(), **options)
        step = getattr(columns.get("trainer_state"), "global_step", None)
        return self._rollouts.score(completions, columns, step=step).values


class AsyncSwiftReward(SwiftReward):
    """The same, awaited beside other asynchronous rewards."""

    async def __call__(self, completions: Sequence[object], **columns: Any) -> list[float | None]:  # type: ignore[override]
        """Return a value for each completion, in order."""
        return await asyncio.to_thread(SwiftReward.__call__, self, completions, **columns)


def register(
    name: str = "cxr_rewards", reward: BaseReward | None = None, *, asynchronous: bool = False, **options: Any
) -> type[SwiftReward]:
    """Register a reward with ms-swift, as one of its `orms`.

    ms-swift turns a missing reward into 0, which may beat a bad report, so an unscored rollout gets the mean of its
    group unless `unscored` says otherwise. Groups are those of ms-swift's `prompt_id` unless `group` names a column.

    Args:
        name: name for `--reward_funcs` and of the metric.
        reward: the reward to score with; None: the one that `CXR_REWARDS_CONFIG` names, else `rules`.
        asynchronous: let ms-swift await it beside its other asynchronous rewards.
        **options: of `cxr_rewards.adapters.rollouts.Rollouts`: reference, priors, context, group, extract, unscored,
            diagnostics, rollout_log.

    Returns:
        The class, whose name is the metric's.

    Raises:
        MissingDependencyError: ms-swift is not installed.
    """
    try:
        from swift.rewards import orms
    except ImportError as error:
        raise MissingDependencyError(f"adapters.swift: needs ms-swift: pip install ms-swift ({error})") from error
    base = AsyncSwiftReward if asynchronous else SwiftReward
    made = type(name, (base,), {"reward": reward, "options": options, "__doc__": base.__doc__})
    orms[name] = made
    return made
