"""Rewards that are computed elsewhere: on a server over HTTP, or by actors of a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxr_rewards._lazy import lazy

__all__ = ["RayReward", "RemoteReward", "load_reward"]

if TYPE_CHECKING:
    from cxr_rewards.remote.http import RemoteReward
    from cxr_rewards.remote.load import load_reward
    from cxr_rewards.remote.ray import RayReward

__getattr__, __dir__ = lazy(
    __name__,
    {
        "RayReward": "cxr_rewards.remote.ray",
        "RemoteReward": "cxr_rewards.remote.http",
        "load_reward": "cxr_rewards.remote.load",
    },
)
