"""Findings of a report, with their mentions joined."""

from __future__ import annotations

from collections.abc import Sequence

from cxr_rewards.core.feature import Feature, FeatureTable, collector_paused
from cxr_rewards.features.findings import Findings
from cxr_rewards.findings import Report, merge
from cxr_rewards.types import Failure, Score

_FINDINGS = Findings()


class Reports(Feature):
    """The `Report` of each text, or None if nothing could be read in it."""

    name = "reports"
    version = 4
    over = "text"
    persistent = False
    chunk_size = 4096  # quick to compute again; the collector is paused less often

    @property
    def needs(self) -> tuple[Findings, ...]:
        return (_FINDINGS,)

    def compute(self, items: Sequence[str], upstream: FeatureTable) -> list[Report | None]:
        """Join the findings of each text."""
        with collector_paused():
            return [merge(found) if (found := upstream.value(_FINDINGS, text).findings) else None for text in items]


def unread_reference(component: str) -> Score:
    """Return the missing score of a component if nothing can be read in the reference.

    Example:
        >>> unread_reference("findings_f1").failure.kind
        'nothing_to_compare'
    """
    reason = "no finding and no normal statement in the reference"
    return Score(None, failure=Failure(component, reason, "nothing_to_compare"))
