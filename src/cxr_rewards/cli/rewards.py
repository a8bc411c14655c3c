"""Rewards as the options of a command describe them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_rewards.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from cxr_rewards.reward.base import BaseReward
    from cxr_rewards.reward.composite import CompositeReward


def build_ray_reward(
    preset: str,
    config: Path | None,
    cache: Path | None,
    workers: int,
    gpus: float,
    judge: Mapping[str, str],
    **changes: str | bool,
) -> BaseReward:
    """Return the reward in Ray actors; paths are made absolute because actors start in another folder."""
    from cxr_rewards.remote.ray import RayReward

    given: dict[str, Any] = {**changes, "judge": {key: value for key, value in judge.items() if value}}
    given["cache"] = str(cache.absolute()) if cache else ""
    reward = preset_or_config(preset, config.absolute() if config else None)
    asked = {key: value for key, value in given.items() if value}
    return RayReward(reward, actors=workers, num_gpus=gpus, concurrency=8 if "judge" in asked else 1, **asked)


def judges_of(reward: BaseReward) -> list[tuple[str, str]]:
    """Return the model and address of each judge of a reward."""
    from cxr_rewards.judges.component import JudgeComponent

    judges = [judge for one in reward.components.values() if isinstance(one, JudgeComponent) for judge in one.judges]
    return list(dict.fromkeys((judge.model, judge.base_url) for judge in judges))


def prompts_of(reward: BaseReward) -> dict[str, str]:
    """Return where the prompt of each published judge lies that a reward asks as published."""
    from cxr_rewards.judges.official.reply import OfficialReply
    from cxr_rewards.judges.official.store import load, place_of

    places = {}
    for component in reward.components.values():
        for feature in getattr(component, "needs", ()):
            if isinstance(feature, OfficialReply):
                try:
                    load(feature.published)
                    places[feature.published] = str(place_of(feature.published))
                except MissingDependencyError as error:
                    places[feature.published] = f"absent: {error}"
    return places


def build_reward(
    preset: str, config: Path | None, cache: Path | None, judge: Mapping[str, str] | None = None, **changes: str | bool
) -> CompositeReward:
    """Return the reward of a preset or a TOML, with the changes that are not empty."""
    from cxr_rewards.reward.composite import load_composite

    source = preset_or_config(preset, config)
    given: dict[str, Any] = {key: value for key, value in changes.items() if value}
    if judge and any(judge.values()):
        given["judge"] = {key: value for key, value in judge.items() if value}
    return load_composite(source if config is None else config, cache=cache, **given)


def preset_or_config(preset: str, config: Path | None) -> str:
    """Return the preset, or the path of the TOML given instead."""
    if config is not None and preset != "rules":
        raise ConfigError(f"give either --preset {preset} or --config {config}, not both")
    return preset if config is None else str(config)
