"""Agreement on where findings are."""

from __future__ import annotations

from typing import Any

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.features.matched_findings import MatchedFindings
from cxr_rewards.findings import Comparison, Finding, ontology, regions
from cxr_rewards.types import Case, Failure, Score

_MATCHED = MatchedFindings()
_BOTH = frozenset(("left", "right"))


class LocationAgreement(Component):
    """Mean agreement on side and place over the reference's findings that are given one.

    For each abnormal finding of the reference with a side, lobe or zone, with the candidate's partner (see
    `findings_score`), both as sets: the side {left}, {right} or {left, right}; the places with the larger places they
    lie in, such as {base, lower}:

        agreement of sets = F1 = 2 * shared / (size of one + size of the other); 0 where the candidate gives none
        finding           = the mean over what the reference gives, side and places;
                            0 on opposite sides or without a partner

    Range: [0, 1]. The reference gives no side or place: 1, as there is nothing to disagree on. A reference in which
    nothing is read: missing, with the reason.

    Details: `findings`, each with what the two reports say and its `agreement`.

    Source: defined here.

    Example:
        >>> score = LocationAgreement().score("Left basilar opacity. Effusion.", "Left lower opacity. Right effusion.")
        >>> [(found["reference"]["observation"], round(found["agreement"], 2)) for found in score.details["findings"]]
        [('lung_opacity', 0.83), ('pleural_effusion', 0.0)]
    """

    name = "location_agreement"
    version = 1
    summary = "agreement on side, lobe and zone of the reference's findings"
    bounds = (0.0, 1.0)

    @property
    def needs(self) -> tuple[MatchedFindings]:
        return (_MATCHED,)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Average over the findings."""
        comparison: Comparison | None = features.value(_MATCHED, case)
        if comparison is None:
            return Score(
                None,
                failure=Failure(self.name, "no finding and no normal statement in the reference", "nothing_to_compare"),
            )
        partners: list[tuple[Finding, Finding | None]] = [(m.reference, m.candidate) for m in comparison.matched]
        partners += [(finding, None) for finding in comparison.missed]
        findings: list[dict[str, Any]] = []
        for reference, candidate in partners:
            if reference.side or reference.places:
                told = candidate.as_dict() if candidate else None
                agreement = _agreement(reference, candidate)
                findings.append({"reference": reference.as_dict(), "candidate": told, "agreement": agreement})
        value = sum(found["agreement"] for found in findings) / len(findings) if findings else 1.0
        return Score(value, {"findings": findings})


def _agreement(reference: Finding, candidate: Finding | None) -> float:
    if candidate is None:
        return 0.0
    parts = []
    if reference.side:
        parts.append(_overlap(_sides(reference), _sides(candidate)))
        if candidate.side and not parts[0]:
            return 0.0
    if reference.places:
        known = ontology()
        parts.append(_overlap(regions(known, reference.places), regions(known, candidate.places)))
    return sum(parts) / len(parts)


def _sides(finding: Finding) -> frozenset[str]:
    if finding.side == "bilateral":
        return _BOTH
    return frozenset((finding.side,)) if finding.side else frozenset()


def _overlap(one: frozenset[str] | set[str], two: frozenset[str] | set[str]) -> float:
    return 2 * len(one & two) / (len(one) + len(two)) if two else 0.0
