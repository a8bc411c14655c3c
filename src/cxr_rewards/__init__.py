"""Composite rewards for chest X-ray reports: one number per report, for evaluation and for reinforcement learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxr_rewards._lazy import lazy

__version__ = "0.1.0"

__all__ = [
    "BaseReward",
    "Case",
    "Component",
    "CompositeReward",
    "Failure",
    "Feature",
    "Reward",
    "Score",
    "__version__",
    "load_reward",
]

if TYPE_CHECKING:
    from cxr_rewards.core.component import Component
    from cxr_rewards.core.feature import Feature
    from cxr_rewards.remote.load import load_reward
    from cxr_rewards.reward.base import BaseReward
    from cxr_rewards.reward.composite import CompositeReward
    from cxr_rewards.types import Case, Failure, Reward, Score

__getattr__, __dir__ = lazy(
    __name__,
    {
        "BaseReward": "cxr_rewards.reward.base",
        "Case": "cxr_rewards.types",
        "Component": "cxr_rewards.core.component",
        "CompositeReward": "cxr_rewards.reward.composite",
        "Failure": "cxr_rewards.types",
        "Feature": "cxr_rewards.core.feature",
        "Reward": "cxr_rewards.types",
        "Score": "cxr_rewards.types",
        "load_reward": "cxr_rewards.remote.load",
    },
)
