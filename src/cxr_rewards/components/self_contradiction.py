"""Self-contradiction guard: does the report deny what it states?"""

from __future__ import annotations

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.features.reports import Reports
from cxr_rewards.findings import Report
from cxr_rewards.types import Case, Score

_REPORTS = Reports()


class SelfContradiction(Component):
    """Share of the candidate's abnormal findings that it also denies.

        value = contradicted findings / abnormal findings

    A finding is contradicted by a denial of the same observation at the same place, or if it is urgent or actionable by
    a normal statement that covers it: "left effusion. No effusion.", "pneumonia. Normal chest radiograph." What counts,
    and what does not ("no acute fracture" beside an old one, "otherwise normal"), is described by
    `cxr_rewards.findings.contradiction.contradictions`. Findings are read by the rules of `cxr_rewards.findings`.

    `findings_soft_f1` and `findings_score` make contradictions cost. This component is for a gate (`{component =
    "self_contradiction", above = 0.0, cap = 0.0}`) or for watching. Some radiologists do it too: of 3,236 reports of
    Indiana University 2% contradict themselves as read, most of them a finding and "the lungs are clear".

    Range: [0, 1], lower is better. No abnormal finding: 0, also for an empty candidate.

    Details: `contradicted`, the findings, each with its span and whether the report takes it back altogether
    (`taken_back`): the denial names it, or calls normal just what it is of.

    Source: defined here.

    Example:
        >>> score = SelfContradiction().score("Cardiomegaly. Left effusion. Heart size is normal.", "Normal chest.")
        >>> score.value, [finding["observation"] for finding in score.details["contradicted"]]
        (0.5, ['cardiomegaly'])
    """

    name = "self_contradiction"
    version = 1
    summary = "share of findings that the report also denies"
    bounds = (0.0, 1.0)
    higher_is_better = False
    reads = ("candidate",)
    identical = "it judges the candidate alone, and a reference may contradict itself"

    @property
    def needs(self) -> tuple[Reports]:
        return (_REPORTS,)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Count the contradicted findings."""
        report: Report | None = features.value(_REPORTS, case.candidate)
        if report is None or not report.abnormal:
            return Score(0.0, {"contradicted": []})
        contradicted = [
            {**finding.as_dict(), "taken_back": any(finding is other for other in report.taken_back)}
            for finding in report.contradicted
        ]
        return Score(len(contradicted) / len(report.abnormal), {"contradicted": contradicted})
