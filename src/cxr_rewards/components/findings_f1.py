"""F1 of the findings that two reports state, compared exactly."""

from __future__ import annotations

from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.reading_component import READINGS, ReadingComponent
from cxr_rewards.features.reports import Reports, unread_reference
from cxr_rewards.findings import Finding, Report, silent
from cxr_rewards.findings.certainty import certainty_credit
from cxr_rewards.findings.finding import Certainty
from cxr_rewards.findings.pairing import by_side, pair_up
from cxr_rewards.types import Case, Score

_REPORTS = Reports()
_Statement = tuple[str, Certainty, str]


class FindingsF1(ReadingComponent):
    """F1 between the sets of (observation, certainty, side) that two reports state.

        P = credit / candidate's,  R = credit / reference's,  F = 2 P R / (P + R)

    `credit` is the sum over statements of one observation and side that are matched one to one: 1 for the same
    certainty, less for another (`certainty_credit`). Findings as read by the rules of `cxr_rewards.findings`, their
    mentions joined; they are present, likely or possible, and unlikely or absent if `absences` is set. A bilateral
    finding counts as one on the left and one on the right. All findings weigh the same; `findings_score` weighs them by
    significance and grades what differs.

    Range: [0, 1]. Neither report has anything to count: 1, whatever the words. A candidate in which nothing is read,
    not even a normal statement (it may only compare): 0. A reference in which nothing is read: missing, with the
    reason.

    Details: `credit`; `shared`, `missed` and `extra`, each a list of [observation, certainty, side], `shared` with the
    reference's certainty.

    Source: the F1 of RadGraph and CheXbert, with the findings of this library's reader; defined here.

    Example:
        >>> score = FindingsF1().score("Mild cardiomegaly. No effusion.", "The heart is enlarged. Small left effusion.")
        >>> round(score.value, 3), score.details["missed"]
        (0.667, [['pleural_effusion', 'present', 'left']])
        >>> FindingsF1().score("Normal chest.", "The lungs are clear. The heart is normal.").value
        1.0
    """

    name = "findings_f1"
    version = 3
    summary = "F1 of findings by observation, certainty and side"
    bounds = (0.0, 1.0)

    absences: bool = setting(
        False, "Count findings denied by name too; those implied by a normal statement never count."
    )

    @property
    def needs(self) -> tuple[Feature, ...]:
        return (READINGS, _REPORTS)

    def score_findings(self, case: Case, features: FeatureTable) -> Score:
        """Compare the two sets."""
        of_reference: Report | None = features.value(_REPORTS, case.reference)
        if of_reference is None:
            return unread_reference(self.name)
        of_candidate: Report | None = features.value(_REPORTS, case.candidate)
        reference = self._stated(of_reference)
        candidate = self._stated(of_candidate) if of_candidate else []
        worth = {
            (i, j): certainty_credit(one[1], two[1])
            for i, one in enumerate(reference)
            for j, two in enumerate(candidate)
            if (one[0], one[2]) == (two[0], two[2])
        }
        pairs = pair_up(worth)
        ours, theirs = {i for i, _ in pairs}, {j for _, j in pairs}
        credit = sum((worth[pair] for pair in pairs), 0.0)
        details = {
            "credit": credit,
            "shared": [list(one) for i, one in enumerate(reference) if i in ours],
            "missed": [list(one) for i, one in enumerate(reference) if i not in ours],
            "extra": [list(two) for j, two in enumerate(candidate) if j not in theirs],
        }
        if silent(of_candidate) and not silent(of_reference):
            return Score(0.0, details)
        total = len(candidate) + len(reference)
        return Score(2 * credit / total if total else 1.0, details)

    def _stated(self, report: Report) -> list[_Statement]:
        findings: list[Finding] = list(report.abnormal)
        if self.absences:
            findings += [finding for finding in report.absent if not finding.implied]
        return sorted({(finding.observation, finding.certainty, finding.side) for finding in by_side(findings)})
