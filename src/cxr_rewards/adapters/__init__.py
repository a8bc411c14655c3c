"""Adapters to trainers: each a few lines on `cxr_rewards.adapters.rollouts`. None imports its trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxr_rewards._lazy import lazy

__all__ = ["Diagnostics", "Extract", "RolloutLog", "Rollouts", "Samples"]

if TYPE_CHECKING:
    from cxr_rewards.adapters.completion import Extract
    from cxr_rewards.adapters.diagnostics import Diagnostics
    from cxr_rewards.adapters.rollout_log import RolloutLog
    from cxr_rewards.adapters.rollouts import Rollouts
    from cxr_rewards.adapters.samples import Samples

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Diagnostics": "cxr_rewards.adapters.diagnostics",
        "Extract": "cxr_rewards.adapters.completion",
        "RolloutLog": "cxr_rewards.adapters.rollout_log",
        "Rollouts": "cxr_rewards.adapters.rollouts",
        "Samples": "cxr_rewards.adapters.samples",
    },
)
