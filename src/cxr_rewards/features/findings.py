"""What a report says of its image, as read by `cxr_rewards.findings`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cxr_rewards.feature import Feature, FeatureTable
from cxr_rewards.findings import Finding, read


class Findings(Feature):
    """The findings of each text: a tuple of `Finding`, empty where nothing could be read.

    Rule-based and fast: reading a report again costs less than looking it up on disk.
    """

    name = "findings"
    version = 1
    over = "text"
    persistent = False

    def compute(self, items: Sequence[str], upstream: FeatureTable) -> list[tuple[Finding, ...]]:  # noqa: ARG002
        """Read each text."""
        return [read(text) for text in items]

    def encode(self, value: Any) -> Any:
        """Return the findings as lists."""
        return [list(finding) for finding in value]

    def decode(self, stored: Any) -> Any:
        """Return the findings that `encode` was given."""
        return tuple(Finding(*fields) for fields in stored)
