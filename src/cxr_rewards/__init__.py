"""Composite rewards for chest X-ray reports: one number a report, for evaluation and for reinforcement learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["Case", "Component", "CompositeReward", "Failure", "Feature", "Reward", "Score", "__version__"]

if TYPE_CHECKING:
    from cxr_rewards.core.component import Component
    from cxr_rewards.core.feature import Feature
    from cxr_rewards.reward.composite import CompositeReward
    from cxr_rewards.types import Case, Failure, Reward, Score

_HOMES = {
    "Case": "types",
    "Component": "core.component",
    "CompositeReward": "reward.composite",
    "Failure": "types",
    "Feature": "core.feature",
    "Reward": "types",
    "Score": "types",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import cxr_rewards` costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cxr_rewards' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"cxr_rewards.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
