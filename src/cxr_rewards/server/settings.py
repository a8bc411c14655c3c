"""Settings of the server."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cxr_rewards.errors import ConfigError
from cxr_rewards.judges.settings import JudgeSettings
from cxr_rewards.reward.composite import CompositeReward


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Limits and policies of the server.

    Attributes:
        token: the bearer token asked for; empty: none.
        unscored: what `/get_reward` gives for an unscored rollout; None: there is no such path.
        marker: what begins the assistant's turn in OpenRLHF's texts, see `completion_of`.
        most_cases, most_bytes: of a request.
        all_bytes: of all bodies that are held at once; beyond, requests get 429.
        stall_s: how long a body may keep the server waiting; then 408.
        batch_cases, batch_tokens: of a batch; requests are joined up to them.
        queue_cases: how many cases may wait; beyond, requests get 429.
        timeout_s: the longest a request may take.
        threads: batches scored at once; 0: 8 where judges are asked, which is waiting for the most part, else 1.
    """

    token: str = ""
    unscored: float | None = None
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

    def threads_for(self, reward: CompositeReward) -> int:
        """Return how many batches are scored at once."""
        asks = any(isinstance(component, JudgeSettings) for component in reward.components.values())
        return self.threads or (8 if asks else 1)
