"""The abnormal findings of candidate and reference side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cxr_rewards.core.feature import Feature, FeatureTable, PairItem, collector_paused
from cxr_rewards.features.reports import Reports
from cxr_rewards.findings import Comparison, Finding, Report, compare
from cxr_rewards.types import Score

_REPORTS = Reports()
_EMPTY = Report((), (), (), ())


class MatchedFindings(Feature):
    """The `Comparison` of each pair; None if nothing could be read in the reference."""

    name = "matched_findings"
    version = 2
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


def mean_agreement(
    comparison: Comparison,
    has_property: Callable[[Finding], object],
    agreement: Callable[[Finding, Finding | None], float | None],
) -> Score:
    """Return the mean agreement on a property of the reference's findings, with the findings in the details.

    Args:
        comparison: the matched findings of two reports.
        has_property: whether a finding of the reference states the property.
        agreement: the agreement, 0 to 1, of such a finding with its partner in the candidate (None: no partner); None
            if it does not count.

    Returns:
        The mean over all that count; 1 if none does.
    """
    partners: list[tuple[Finding, Finding | None]] = [
        (match.reference, match.candidate) for match in comparison.matched
    ]
    partners += [(finding, None) for finding in comparison.missed]
    findings: list[dict[str, Any]] = [
        {
            "reference": reference.as_dict(),
            "candidate": candidate.as_dict() if candidate else None,
            "agreement": agreement(reference, candidate),
        }
        for reference, candidate in partners
        if reference.polarity != "absent" and has_property(reference)
    ]
    values = [finding["agreement"] for finding in findings if finding["agreement"] is not None]
    return Score(sum(values) / len(values) if values else 1.0, {"findings": findings})
