"""F1 of the findings that two reports state, compared exactly."""

from __future__ import annotations

from collections.abc import Iterable

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.reports import Reports, unread_reference
from cxr_rewards.findings import Finding, Report, silent
from cxr_rewards.types import Case, Score

_REPORTS = Reports()


class FindingsF1(Component):
    """F1 between the sets of (observation, polarity, side) that two reports state.

        P = both / candidate's,  R = both / reference's,  F = 2 P R / (P + R)

    Findings as read by the rules of `cxr_rewards.findings`, their mentions joined; polarity is present or possible, and
    absent if `absences` is set. A bilateral finding counts as one on the left and one on the right. All findings weigh
    the same; `findings_score` weighs them by significance and grades what differs.

    Range: [0, 1]. Neither report has anything to count: 1, whatever the words. A candidate in which nothing is read,
    not even a normal statement (it may only compare): 0. A reference in which nothing is read: missing, with the
    reason.

    Details: `shared`, `missed` and `extra`, each a list of [observation, polarity, side].

    Source: the F1 of RadGraph and CheXbert, with the findings of this library's reader; defined here.

    Example:
        >>> score = FindingsF1().score("Mild cardiomegaly. No effusion.", "The heart is enlarged. Small left effusion.")
        >>> round(score.value, 3), score.details["missed"]
        (0.667, [['pleural_effusion', 'present', 'left']])
        >>> FindingsF1().score("Normal chest.", "The lungs are clear. The heart is normal.").value
        1.0
    """

    name = "findings_f1"
    version = 2
    summary = "F1 of findings by observation, polarity and side"
    bounds = (0.0, 1.0)

    absences: bool = setting(
        False, "Count findings denied by name too; those implied by a normal statement never count."
    )

    @property
    def needs(self) -> tuple[Reports, ...]:
        return (_REPORTS,)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Compare the two sets."""
        of_reference: Report | None = features.value(_REPORTS, case.reference)
        if of_reference is None:
            return unread_reference(self.name)
        of_candidate: Report | None = features.value(_REPORTS, case.candidate)
        reference = self._set(of_reference)
        candidate = self._set(of_candidate) if of_candidate else set[tuple[str, str, str]]()
        shared = len(candidate & reference)
        details = {
            "shared": _listed(candidate & reference),
            "missed": _listed(reference - candidate),
            "extra": _listed(candidate - reference),
        }
        if silent(of_candidate) and not silent(of_reference):
            return Score(0.0, details)
        total = len(candidate) + len(reference)
        return Score(2 * shared / total if total else 1.0, details)

    def _set(self, report: Report) -> set[tuple[str, str, str]]:
        findings: list[Finding] = list(report.abnormal)
        if self.absences:
            findings += [finding for finding in report.absent if not finding.implied]
        return {
            (finding.observation, finding.polarity, side)
            for finding in findings
            for side in (("left", "right") if finding.side == "bilateral" else (finding.side,))
        }


def _listed(items: Iterable[tuple[str, str, str]]) -> list[list[str]]:
    return [list(item) for item in sorted(items)]
