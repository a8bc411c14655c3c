"""The abnormal findings of candidate and reference side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cxr_rewards.core.feature import Feature, FeatureTable, PairItem, collector_paused
from cxr_rewards.features.reports import Reports
from cxr_rewards.findings import Comparison, Finding, Match, Report, compare, significance
from cxr_rewards.findings.certainty import certainty_weight
from cxr_rewards.findings.finding import Certainty
from cxr_rewards.findings.significance import significance_with
from cxr_rewards.formulas.crimson import WEIGHTS
from cxr_rewards.types import Score

Context = Mapping[str, object]
_REPORTS = Reports()
_EMPTY = Report((), (), (), ())


class MatchedFindings(Feature):
    """The `Comparison` of each pair; None if nothing could be read in the reference."""

    name = "matched_findings"
    version = 4
    over = "pair"
    persistent = False
    chunk_size = 4096  # quick to compute again; the collector is paused less often

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


def weight_of(
    finding: Finding, context: Context, benign: float, possible: float, certainty: Certainty | None = None
) -> float:
    """Return the weight of a finding: by its significance in the case's context, and by its certainty.

    Args:
        finding: a finding.
        context: the case's; it can change the significance.
        benign: the weight of a benign finding.
        possible: the share that a possible finding has of the weight of a certain one.
        certainty: counts in place of the finding's own.
    """
    matters = significance(finding, context)
    weight = benign if matters == "benign" else WEIGHTS[matters]
    certainty = certainty or finding.certainty
    return weight if certainty == "present" else weight * certainty_weight(certainty, possible)


def credit_of(match: Match, context: Context, benign: float) -> float:
    """Return the credit of a match: `1 / (1 + 2 * cost)`, but at most the agreement of both weights.

    The agreement is `2 * lesser / (lesser + greater)` of the weights by significance: 1 if both findings matter the
    same, and little if a word ("old", "calcified") makes a dangerous finding benign, or the reverse. The severity, size
    and change that the reference gives are taken for both, because a difference in them is in the cost already.
    """
    if match.alike:
        return 1.0
    one, two = match.reference, match.candidate
    ours = significance(one, context)
    theirs = significance_with(
        two, one.severity or two.severity, one.size_mm or two.size_mm, one.change or two.change, context
    )
    credit = 1 / (1 + 2 * match.cost)
    if ours == theirs:
        return credit
    lesser, greater = sorted(benign if matters == "benign" else WEIGHTS[matters] for matters in (ours, theirs))
    return min(2 * lesser / (lesser + greater) if greater else 1.0, credit)


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
    graded = [
        (reference, candidate, agreement(reference, candidate))
        for reference, candidate in partners
        if reference.polarity != "absent" and has_property(reference)
    ]

    def details() -> dict[str, Any]:
        return {
            "findings": [
                {
                    "reference": reference.as_dict(),
                    "candidate": candidate.as_dict() if candidate else None,
                    "agreement": grade,
                }
                for reference, candidate, grade in graded
            ]
        }

    values = [grade for _, _, grade in graded if grade is not None]
    return Score.explained(sum(values) / len(values) if values else 1.0, details)
