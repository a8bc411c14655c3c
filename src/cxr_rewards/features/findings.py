"""Findings of a report, as read by `cxr_rewards.findings`."""

from __future__ import annotations

from collections.abc import Sequence

from cxr_rewards.core.feature import Feature, FeatureTable, collector_paused
from cxr_rewards.findings import Reading, data_digest, reading


class Findings(Feature):
    """The `Reading` of each text: its findings, and what was not understood in it.

    Rule-based and fast: reading a report again costs less than looking it up on disk.
    """

    name = "findings"
    version = 8
    over = "text"
    persistent = False
    chunk_size = 4096  # quick to compute again; the collector is paused less often

    def _sign(self) -> str:
        return f"{super()._sign()}#{data_digest()}"  # a new word changes the numbers

    def compute(self, items: Sequence[str], upstream: FeatureTable) -> list[Reading]:  # noqa: ARG002
        """Read each text."""
        with collector_paused():
            return [reading(text) for text in items]
