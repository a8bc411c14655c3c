"""Soft F1 of findings: partial credit for partial agreement."""

from __future__ import annotations

from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.matched_findings import MatchedFindings, credit_of, weight_of
from cxr_rewards.features.reading_component import READINGS, ReadingComponent
from cxr_rewards.features.reports import unread_reference
from cxr_rewards.findings import Comparison
from cxr_rewards.findings.certainty import denial_weight
from cxr_rewards.types import Case, Score

_MATCHED = MatchedFindings()


class FindingsSoftF1(ReadingComponent):
    """F1 of matched findings, weighted by clinical significance, with partial credit for what differs.

    The abnormal and the unlikely findings of both reports are matched one to one, as for `findings_score`, with the
    same costs of what differs, and the same weights w, except that an unlikely finding has an eighth of the weight of a
    possible one. Over the matches m, and all findings f of both reports:

        credit(m) = 1 / (1 + 2 * cost(m)):  1 without a difference, 1/2 at a significant one (cost 0.5);
                    at most 2 * lesser / (lesser + greater) of both weights by significance: little if a word makes a
                    dangerous finding benign, or the reverse
        M = sum over m of credit(m) * (w of the reference's finding + w of the candidate's)
        W = sum over f of w(f)
        D = sum of w over missed findings that the candidate denies (half of it if it holds them unlikely), and over
            those it both states and denies
        score = (M + n) / (W + `denial_cost` * D + n),  n = `normal_weight`

    Without n and D that is the weighted Dice coefficient, which is the F1. n stands for all the rest of the image, on
    which both reports agree by silence or denial: so that one false finding against a normal reference costs less than
    three; F1 would be 0 for both. It is small, because it is also what silence earns on a sick patient. Agreement on
    particular denials earns nothing: boilerplate does not pay.

    `findings_score` subtracts false findings and soon falls below 0; here they only dilute it, so that reports that are
    partly right stay apart.

    Range: [0, 1]. Neither report has a finding of weight: 1, whatever the words. A candidate in which nothing is read,
    not even a normal statement (it may only compare): 0. A reference in which nothing is read: missing, with the
    reason.

    Details: the sums `credit` (M), `weight` (W) and `denied` (D); the matches are those of `findings_score`.

    Source: defined here. `benchmarks/agreement.py` compares it with radiologists' ratings.

    Example:
        >>> score = FindingsSoftF1().score("Mild cardiomegaly.", "The heart is enlarged. Small left effusion.")
        >>> round(score.value, 3), score.details
        (0.697, {'credit': 1.0, 'weight': 1.5, 'denied': 0.0})
    """

    name = "findings_soft_f1"
    version = 2
    summary = "F1 of findings by significance, with partial credit"
    bounds = (0.0, 1.0)

    normal_weight: float = setting(0.15, "Weight of everything that neither report calls abnormal, 0 to 10.")
    denial_cost: float = setting(0.5, "Cost of denying a finding beyond missing it, in units of its weight, 0 to 10.")
    possible_weight: float = setting(0.8, "Weight of a possible finding against a certain one, 0 to 1.")
    benign_weight: float = setting(0.05, "Weight of a benign or expected finding, 0 to 0.25.")

    def __post_init__(self) -> None:
        for key in ("normal_weight", "denial_cost"):
            if not 0 <= getattr(self, key) <= 10:
                raise self.invalid(key, "from 0 to 10")
        if not 0 <= self.possible_weight <= 1:
            raise self.invalid("possible_weight", "from 0 to 1")
        if not 0 <= self.benign_weight <= 0.25:
            raise self.invalid("benign_weight", "from 0 to 0.25")

    @property
    def needs(self) -> tuple[Feature, ...]:
        return (READINGS, _MATCHED)

    def score_findings(self, case: Case, features: FeatureTable) -> Score:
        """Weigh the matches and errors."""
        comparison: Comparison | None = features.value(_MATCHED, case)
        if comparison is None:
            return unread_reference(self.name)
        context, benign, possible = case.context, self.benign_weight, self.possible_weight
        credit = weight = denied = 0.0
        for match in comparison.matched:
            ours = weight_of(match.reference, context, benign, possible)
            if match.alike:
                both = credited = ours + ours
            else:
                both = ours + weight_of(match.candidate, context, benign, possible)
                credited = both * credit_of(match, context, benign)
            credit += credited
            weight += both
        for finding, denial in zip(comparison.missed, comparison.denied, strict=True):
            lost = weight_of(finding, context, benign, possible)
            weight += lost
            if denial is not None:
                denied += lost * denial_weight(denial.certainty)
        weight += sum([weight_of(finding, context, benign, possible) for finding in comparison.false])
        denied += sum([weight_of(finding, context, benign, possible) for finding in comparison.contradicted])
        details = {"credit": credit, "weight": weight, "denied": denied}
        if comparison.silent:
            return Score(0.0, details)
        total = weight + self.denial_cost * denied
        return Score((credit + self.normal_weight) / (total + self.normal_weight) if total else 1.0, details)
