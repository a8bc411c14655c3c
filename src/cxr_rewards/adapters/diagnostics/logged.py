"""Which numbers a trainer logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from cxr_rewards.errors import ConfigError, shorten
from cxr_rewards.reward.base import BaseReward

Log = str | Sequence[str]
"""`default`, `all`, `none`, a pattern such as `seconds/*`, or several of these."""

WATCHED = (
    "reward/above_constant",
    "reward/unscored",
    "findings_precision",
    "findings_recall",
    "normal_rate",
    "contradiction_rate",
    "length_ratio",
    "unread_rate",
    "odd_pair_rate",
    "share_of_step",
    "judge/usd_total",
    "warnings",
)
"""Logged by default, beside the mean of each component with a weight. `docs/trainers.md` says what each means."""


def check_log(log: Log) -> tuple[str, ...]:
    """Return the setting as a tuple of names and patterns.

    Raises:
        ConfigError: it is something else.

    Example:
        >>> check_log("all"), check_log(["default", "seconds/*"])
        (('all',), ('default', 'seconds/*'))
    """
    names = (log,) if isinstance(log, str) else tuple(log) if isinstance(log, Sequence) else (None,)
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigError(
            "log must be 'default', 'all', 'none', a pattern such as 'seconds/*', or a list of these; "
            f"got {shorten(log)}"
        )
    return tuple(map(str, names))


def logged(metrics: Mapping[str, float], reward: BaseReward, log: Log = "default") -> dict[str, float]:
    """Return the numbers of a step that are to be logged, of those that `Diagnostics.observe` returned.

    Args:
        metrics: all of them.
        reward: the reward that they are of.
        log: `default`: the mean of each component with a weight, and `WATCHED`; `all`; `none`; patterns.
    """
    chosen = check_log(log)
    watched = {*WATCHED, *(f"{label}/mean" for label, term in reward.total.terms.items() if term.weight)}

    def is_chosen(key: str) -> bool:
        return any(one == "all" or (one == "default" and key in watched) or fnmatchcase(key, one) for one in chosen)

    return {key: value for key, value in metrics.items() if is_chosen(key)}
