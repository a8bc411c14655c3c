"""From component scores to one reward: TOML, transforms, weights, gates, presets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxr_rewards._lazy import lazy

__all__ = ["BaseReward", "CompositeReward", "Gate"]

if TYPE_CHECKING:
    from cxr_rewards.reward.base import BaseReward
    from cxr_rewards.reward.composite import CompositeReward
    from cxr_rewards.reward.gates import Gate

__getattr__, __dir__ = lazy(
    __name__,
    {
        "BaseReward": "cxr_rewards.reward.base",
        "CompositeReward": "cxr_rewards.reward.composite",
        "Gate": "cxr_rewards.reward.gates",
    },
)
