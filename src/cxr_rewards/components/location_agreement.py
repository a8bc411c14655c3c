"""Agreement on the location of findings."""

from __future__ import annotations

from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.features.matched_findings import MatchedFindings, mean_agreement
from cxr_rewards.features.reading_component import READINGS, ReadingComponent
from cxr_rewards.features.reports import unread_reference
from cxr_rewards.findings import Comparison, Finding, ontology, regions
from cxr_rewards.types import Case, Score

_MATCHED = MatchedFindings()
_BOTH = frozenset(("left", "right"))


class LocationAgreement(ReadingComponent):
    """Mean agreement on side and place over the reference's findings that state one.

    For each abnormal finding of the reference with a side, lobe or zone, with the candidate's partner (see
    `findings_score`), both as sets: the side {left}, {right} or {left, right}; the places with the larger places they
    lie in, such as {base, lower}:

        agreement of sets = F1 = 2 * shared / (size of one + size of the other); 0 if the candidate gives none
        finding           = the mean over what the reference gives, side and places;
                            0 on opposite sides or without a partner

    Range: [0, 1]. The reference gives no side or place: 1, because there is nothing to disagree on. A reference in
    which nothing is read: missing, with the reason.

    Details: `findings`, each with what the two reports say and its `agreement`.

    Source: defined here.

    Example:
        >>> score = LocationAgreement().score("Left basilar opacity. Effusion.", "Left lower opacity. Right effusion.")
        >>> [(pair["reference"]["observation"], round(pair["agreement"], 2)) for pair in score.details["findings"]]
        [('lung_opacity', 0.83), ('pleural_effusion', 0.0)]
    """

    name = "location_agreement"
    version = 1
    summary = "agreement on side, lobe and zone of the reference's findings"
    bounds = (0.0, 1.0)

    @property
    def needs(self) -> tuple[Feature, ...]:
        return (READINGS, _MATCHED)

    def score_findings(self, case: Case, features: FeatureTable) -> Score:
        """Average over the findings."""
        comparison: Comparison | None = features.value(_MATCHED, case)
        if comparison is None:
            return unread_reference(self.name)
        return mean_agreement(comparison, lambda finding: finding.side or finding.places, _agreement)


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
