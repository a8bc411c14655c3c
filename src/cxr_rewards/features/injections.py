"""Passages of a text that are aimed at a judge."""

from __future__ import annotations

from collections.abc import Sequence

from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.judges.injection import Injection, data_digest, find_injections


class Injections(Feature):
    """The `Injection`s of each text; see `cxr_rewards.judges.injection`."""

    name = "injections"
    over = "text"
    persistent = False

    def _sign(self) -> str:
        return f"{super()._sign()}#{data_digest()}"

    def compute(self, items: Sequence[str], upstream: FeatureTable) -> list[tuple[Injection, ...]]:  # noqa: ARG002
        """Search each text."""
        return [find_injections(text) for text in items]
