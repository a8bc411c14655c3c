"""Checks before the first step, so that a mistake costs a line and not a night."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from cxr_rewards.cli.console import note, os_error_message
from cxr_rewards.core.engine import Engine
from cxr_rewards.errors import ConfigError, CxrRewardsError, JudgeStopped, MissingDependencyError, ModelLoadError
from cxr_rewards.judges.component import JudgeComponent
from cxr_rewards.remote.load import load_reward
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.reward.composite import CompositeReward
from cxr_rewards.types import Case

_REFERENCE = "There is a small left pleural effusion. No pneumothorax."
_CANDIDATE = "Small left pleural effusion. The lungs are otherwise clear."
PATIENCE_S = 60.0
"""How long to wait for a judge, retries included."""


def run_command(main: Callable[[], Any]) -> None:
    """Run a recipe's command: the library's and the system's errors end it with one line and exit code 1."""
    try:
        status = main()
    except CxrRewardsError as error:
        note(f"error: {' '.join(str(error).split())}")
        sys.exit(1)
    except OSError as error:
        note(f"error: {os_error_message(error)}")
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def need_trl(recipe: str) -> None:
    """Check that trl is installed.

    Raises:
        MissingDependencyError: it is not, or cannot be imported.
    """
    try:
        import trl  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(f'{recipe}: needs trl: pip install "cxr_rewards[trl]" ({error})') from error


def reward_of(settings: Mapping[str, Any], *, allow_code: bool = False) -> BaseReward:
    """Return the reward of a recipe's `[reward]`; only the caller may set `allow_code`, not the file.

    Raises:
        ModelLoadError: its weights are not on this machine; names the command that fetches them.
    """
    overrides = {key: settings[key] for key in ("judge", "cache") if key in settings}
    if allow_code:
        overrides["allow_code"] = True
    name = settings.get("config") or settings.get("preset", "")
    try:
        return load_reward(name, **overrides)
    except ModelLoadError as error:
        raise ModelLoadError(f"[reward] {name}: {str(error).replace('fetch NAME', f'fetch {name}')}") from None


def ask_judges(reward: BaseReward) -> None:
    """Ask each judge of a reward about one pair of reports, so that a silent one is known before training.

    Raises:
        ConfigError: a judge gives no verdict; says why.
    """
    if not isinstance(reward, CompositeReward):  # asked where it runs
        return
    for label, judge in reward.components.items():
        if not isinstance(judge, JudgeComponent):
            continue
        where = f"judge {label} ({judge.model or ', '.join(judge.models)} at {judge.base_url})"
        cure = "start its server, or check [reward] judge with `cxr-rewards judge-check`"
        own = {key: getattr(judge, key) for key in judge.settings()}
        hurried = type(judge)(**{**own, "deadline_s": min(judge.deadline_s, PATIENCE_S)})
        try:
            ((score,),) = Engine({label: hurried}).run([Case(candidate=_CANDIDATE, reference=_REFERENCE)])
        except JudgeStopped as error:
            raise ConfigError(f"{where}: {error}; {cure}") from None
        if score.value is None:
            raise ConfigError(f"{where}: gives no verdict: {score.failure and score.failure.error}; {cure}")
