"""`load_reward`: the one place that turns a name into a reward, wherever it is computed."""

from __future__ import annotations

import os
from typing import Any

from cxr_rewards.errors import ConfigError, ModelLoadError
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.reward.composite import DEFAULT_PRESET, load_composite

CONFIG_VARIABLE = "CXR_REWARDS_CONFIG"


def load_reward(name: str = "", **overrides: Any) -> BaseReward:
    """Return the reward that a name stands for.

    Args:
        name: a preset, a path that ends in `.toml`, the URL of a `cxr-rewards serve` (several between commas), or
            `ray:` and the name of a `RayReward`'s pool. Empty: the value of `CXR_REWARDS_CONFIG`, else `rules`.
        **overrides: as in `CompositeReward.from_preset`; not for a reward that runs elsewhere.

    Raises:
        ConfigError: an unknown preset, label or key; a file that does not describe a reward; overrides for a reward
            that runs elsewhere.
        MissingDependencyError: a component needs a package that is not installed; holds the pip line.
        ModelLoadError: weights are not on this machine; names the command that fetches them.
        SetupError: no server or pool answers.

    Example:
        >>> load_reward("rules", on_failure="renormalize").total.on_failure
        'renormalize'
    """
    name = name or os.environ.get(CONFIG_VARIABLE, "") or DEFAULT_PRESET
    if overrides and name.startswith(("http://", "https://", "ray:")):
        raise ConfigError(f"{name}: the reward is set up where it runs; leave out {', '.join(overrides)}")
    if name.startswith(("http://", "https://")):
        from cxr_rewards.remote.http import RemoteReward

        return RemoteReward(name)
    if name.startswith("ray:"):
        from cxr_rewards.remote.ray import RayReward

        return RayReward.attach(name.removeprefix("ray:"))
    try:
        return load_composite(name, **overrides)
    except ModelLoadError as error:
        from cxr_rewards.models.sources import naming

        raise naming(error, name) from None
