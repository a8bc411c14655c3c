"""The gravest clinical error of a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.matched_findings import Context, MatchedFindings, credit_of, weight_of
from cxr_rewards.features.reading_component import READINGS, ReadingComponent
from cxr_rewards.features.reports import unread_reference
from cxr_rewards.findings import Comparison, Finding, Match
from cxr_rewards.types import Case, Score

_MATCHED = MatchedFindings()


class WorstError(ReadingComponent):
    """Weight of the gravest error: one that no number of right statements makes up for.

        error(f) = w(f)                                   f is missed, false, or both stated and denied
        error(m) = (1 - credit(m)) * max(w, w)            m is a match that differs; w of both its findings
        value    = the greatest error

    with the matches, weights and credits of `findings_soft_f1`. A mean over findings, like that F1, loses one error
    among many right findings: the same missed pneumothorax takes less from a long report than from a short one. Here
    it counts the same in both. It also puts a price on silence: whoever says nothing about a reference with an
    actionable finding has an error of 0.5 at least.

    Range: [0, 1], lower is better. No error of weight: 0. Nothing read in the candidate: the reference's gravest
    finding is missed. A reference in which nothing is read: missing, with the reason.

    Details: the gravest `error`: its `kind` (missed, false, contradicted, differs), `observation` and, if it differs,
    what `differs`; None if there is none.

    Source: defined here.

    Example:
        >>> around = "Mild cardiomegaly. Small left effusion. Old rib fracture."
        >>> score = WorstError().score(around, f"{around} Right pneumothorax.")
        >>> score.value, score.details["error"]
        (1.0, {'kind': 'missed', 'observation': 'pneumothorax'})
        >>> WorstError().score(around, around).value
        0.0
    """

    name = "worst_error"
    version = 1
    summary = "weight of the gravest clinical error"
    bounds = (0.0, 1.0)
    higher_is_better = False

    possible_weight: float = setting(0.8, "Weight of a possible finding against a certain one, 0 to 1.")
    benign_weight: float = setting(0.05, "Weight of a benign or expected finding, 0 to 0.25.")

    def __post_init__(self) -> None:
        if not 0 <= self.possible_weight <= 1:
            raise self.invalid("possible_weight", "from 0 to 1")
        if not 0 <= self.benign_weight <= 0.25:
            raise self.invalid("benign_weight", "from 0 to 0.25")

    @property
    def needs(self) -> tuple[Feature, ...]:
        return (READINGS, _MATCHED)

    def score_findings(self, case: Case, features: FeatureTable) -> Score:
        """Find the gravest error."""
        comparison: Comparison | None = features.value(_MATCHED, case)
        if comparison is None:
            return unread_reference(self.name)
        value, kind, finding, match = 0.0, "", None, None
        for error in self._errors(comparison, case.context):
            if error[0] > value:
                value, kind, finding, match = error
        if finding is None:
            return Score(value, {"error": None})
        details: dict[str, Any] = {"kind": kind, "observation": finding.observation}
        if match is not None:
            details["differs"] = [difference.says for difference in match.differences]
        return Score(value, {"error": details})

    def _errors(self, comparison: Comparison, context: Context) -> Iterator[tuple[float, str, Finding, Match | None]]:
        """Yield each error with its kind, the finding, and the match if it differs."""
        benign, possible = self.benign_weight, self.possible_weight
        findings = {"missed": comparison.missed, "false": comparison.false, "contradicted": comparison.contradicted}
        for kind, wrong in findings.items():
            for finding in wrong:
                yield weight_of(finding, context, benign, possible), kind, finding, None
        for match in comparison.matched:
            if match.alike:
                continue
            ours = weight_of(match.reference, context, benign, possible)
            theirs = weight_of(match.candidate, context, benign, possible)
            yield max(ours, theirs) * (1 - credit_of(match, context, benign)), "differs", match.reference, match
