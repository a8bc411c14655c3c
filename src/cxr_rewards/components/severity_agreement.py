"""Agreement on how severe, and how large, findings are."""

from __future__ import annotations

from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.features.matched_findings import MatchedFindings, mean_agreement
from cxr_rewards.features.reading_component import READINGS, ReadingComponent
from cxr_rewards.features.reports import unread_reference
from cxr_rewards.findings import Comparison, Finding
from cxr_rewards.types import Case, Score

_MATCHED = MatchedFindings()
_STEPS = 4


class SeverityAgreement(ReadingComponent):
    """Mean agreement on severity and size over the reference's findings that state one.

    For each abnormal finding of the reference with a severity in words (trace 1, mild 2, moderate 3, severe 4,
    massive 5, "mild to moderate" 2.5), a measurement, or both, with the candidate's partner (see `findings_score`):

        severity:     1 - |difference| / 4
        measurement:  smaller / larger
        both given by both: the mean of the two;  only one of them given by both: that one
        no partner, or neither given by the partner: 0

    A severity and a measurement are not compared with each other: if each report has only the one that the other lacks,
    the finding does not count.

    Range: [0, 1]. The reference gives no severity or size: 1, because there is nothing to disagree on; anything that
    the candidate makes up then costs nothing here. A reference in which nothing is read: missing, with the reason.

    Details: `findings`, each with what the two reports say and its `agreement` (null if it does not count).

    Source: defined here; the steps of severity are those of `cxr_rewards.findings.SEVERITIES`.

    Example:
        >>> score = SeverityAgreement().score("Small effusion. 6 mm nodule.", "Large effusion. 8 mm nodule.")
        >>> [(pair["reference"]["observation"], pair["agreement"]) for pair in score.details["findings"]]
        [('pleural_effusion', 0.5), ('lung_nodule', 0.75)]
        >>> score.value
        0.625
    """

    name = "severity_agreement"
    version = 1
    summary = "agreement on the severity and size of the reference's findings"
    bounds = (0.0, 1.0)

    @property
    def needs(self) -> tuple[Feature, ...]:
        return (READINGS, _MATCHED)

    def score_findings(self, case: Case, features: FeatureTable) -> Score:
        """Average over the findings."""
        comparison: Comparison | None = features.value(_MATCHED, case)
        if comparison is None:
            return unread_reference(self.name)
        return mean_agreement(comparison, lambda finding: finding.severity or finding.size_mm, _agreement)


def _agreement(reference: Finding, candidate: Finding | None) -> float | None:
    if candidate is None or not (candidate.severity or candidate.size_mm):
        return 0.0
    parts = []
    if reference.severity and candidate.severity:
        parts.append(1 - abs(reference.severity - candidate.severity) / _STEPS)
    if reference.size_mm and candidate.size_mm:
        parts.append(min(reference.size_mm, candidate.size_mm) / max(reference.size_mm, candidate.size_mm))
    return sum(parts) / len(parts) if parts else None
