"""The abnormal findings of candidate and reference side by side."""

from __future__ import annotations

from collections.abc import Sequence

from cxr_rewards.core.feature import Feature, FeatureTable, PairItem, collector_paused
from cxr_rewards.features.reports import Reports
from cxr_rewards.findings import Comparison, Report, compare

_REPORTS = Reports()
_EMPTY = Report((), (), (), ())


class MatchedFindings(Feature):
    """The `Comparison` of each pair; None if nothing could be read in the reference."""

    name = "matched_findings"
    version = 1
    over = "pair"
    persistent = False

    @property
    def needs(self) -> tuple[Reports, ...]:
        return (_REPORTS,)

    def compute(self, items: Sequence[PairItem], upstream: FeatureTable) -> list[Comparison | None]:
        """Compare each pair."""
        with collector_paused():
            return [self._compare(item, upstream) for item in items]

    def _compare(self, item: PairItem, upstream: FeatureTable) -> Comparison | None:
        reference = upstream.value(_REPORTS, item.reference)
        if reference is None:
            return None
        return compare(reference, upstream.value(_REPORTS, item.candidate) or _EMPTY)
