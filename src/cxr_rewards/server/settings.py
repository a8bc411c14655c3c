"""Settings of the server."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cxr_rewards.adapters.rollouts import OPTIONS_VARIABLE
from cxr_rewards.adapters.samples import Samples
from cxr_rewards.errors import ConfigError
from cxr_rewards.judges.settings import JudgeSettings
from cxr_rewards.reward.composite import CompositeReward


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Limits and policies of the server.

    Attributes:
        token: the bearer token required; empty: none.
        unscored: reward that trainers' own paths return for an unscored rollout; None: these paths answer 501.
        options: further arguments of `cxr_rewards.adapters.samples.Samples` for these paths, such as `extract`.
        marker: text that begins the assistant's turn in OpenRLHF's texts; see `completion_of`.
        most_cases, most_bytes: limits of one request; beyond them it gets 413.
        all_bytes: limit of all bodies held at once; beyond it, requests get 429.
        stall_s: seconds that a body may keep the server waiting; then it gets 408.
        batch_cases, batch_tokens: limits up to which requests are joined into a batch.
        queue_cases: most cases that may wait; beyond that, requests get 429.
        timeout_s: most seconds that a request may take; then it gets 504.
        threads: batches scored at once; 0: 8 if judges are asked, because that is mostly waiting, else 1.
    """

    token: str = ""
    unscored: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    marker: str = ""
    most_cases: int = 4096
    most_bytes: int = 32 << 20
    all_bytes: int = 256 << 20
    stall_s: float = 10.0
    batch_cases: int = 512
    batch_tokens: int = 262_144
    queue_cases: int = 16_384
    timeout_s: float = 600.0
    threads: int = 0

    def __post_init__(self) -> None:
        for name in (
            "most_cases",
            "most_bytes",
            "all_bytes",
            "stall_s",
            "batch_cases",
            "batch_tokens",
            "queue_cases",
            "timeout_s",
        ):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(f"serve: {name} must be above 0, got {value!r}")

    def samples(self, reward: CompositeReward) -> Samples | None:
        """Return what reads trainers' own requests; None if there is no value for unscored rollouts.

        Raises:
            ConfigError: a report could earn that value, or an option is wrong.
        """
        if self.unscored is None:
            return None
        try:
            samples = Samples(reward=reward, unscored=self.unscored, **self.options)
        except TypeError as error:
            raise ConfigError(f"serve: {OPTIONS_VARIABLE}: {error}") from None
        samples.check_single()
        return samples

    def threads_for(self, reward: CompositeReward) -> int:
        """Return how many batches are scored at once."""
        asks = any(isinstance(component, JudgeSettings) for component in reward.components.values())
        return self.threads or (8 if asks else 1)
