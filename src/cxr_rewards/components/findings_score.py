"""Share of the reference's significant findings that the candidate reports correctly."""

from __future__ import annotations

from typing import Any

from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.matched_findings import Context, MatchedFindings, weight_of
from cxr_rewards.features.reading_component import READINGS, ReadingComponent
from cxr_rewards.features.reports import unread_reference
from cxr_rewards.findings import DENIED, Comparison, Finding, Match, significance
from cxr_rewards.findings.certainty import denial_weight
from cxr_rewards.findings.finding import Certainty
from cxr_rewards.formulas.crimson import crimson_score
from cxr_rewards.types import Case, Score

_MATCHED = MatchedFindings()
_FULL_COST = 0.25


class FindingsScore(ReadingComponent):
    """Findings matched, missed, false or reported wrongly, weighted by clinical significance with CRIMSON's arithmetic.

    Both reports are read by the rules of `cxr_rewards.findings`, the mentions of each finding are joined, and the
    abnormal findings (at least possible) and the unlikely ones are matched one to one, kinds of a finding with the
    finding itself. Then

        w(f) = 1, 0.5, 0.25, `benign_weight` if f is urgent, actionable, not actionable, benign;
               times the share that its certainty has (`certainty_weight`): `possible_weight` if it is possible,
               halfway between that and 1 if likely; 0 if unlikely
        C    = sum over matched findings of the reference of w * w / (w + a), a the cost of what differs, which
               shrinks in proportion for w below 0.25
        E    = sum of w over false findings of the candidate
               + half of what the candidate's w of a matched finding differs from the reference's by, at the
                 reference's certainty: a healed fracture that is called acute is in part a false alarm, and an acute
                 one that is called healed is in part missed; so is a possible finding that the reference holds unlikely
               + `denial_cost` * sum of w over missed findings that the candidate denies, half of it if it holds
                 them unlikely
               + `denial_cost` * sum of w over findings that the candidate both states and denies
        S    = (C - E) / (sum of w over the reference's findings);  if that sum is 0:  1 if E = 0, else -(E + 1)
        score = S if S >= 0, else -d / (1 + d), d = E - C, and 0 if d <= 0

    Significance depends on attributes and on the case's context (`age`, `indication`, `history`), see
    `cxr_rewards.findings.significance`; what differs and its cost on `cxr_rewards.findings.differences.differences`.
    Normal statements neither earn nor cost, unless they deny a finding of the reference.

    Range: (-1, 1]. Neither report has a finding of weight: 1, whatever the words. A candidate in which nothing is read,
    not even a normal statement (empty, only comparisons, not a report): 0, because saying nothing is not saying that
    the chest is normal. A reference in which nothing is read: missing, with the reason.

    Details: `matched` (pairs with their weight and differences), `missed` (with the candidate's denial, if there is
    one), `false`, `contradicted` (stated and denied), each with its weight and spans, and `significance`.

    Source: CRIMSON (arXiv 2603.06183) for weights and arithmetic; there a language model finds and matches; the reader,
    the matching, the graded costs and `denial_cost` are defined here. With `denial_cost=0` and CRIMSON's lists of
    findings and errors, the numbers are CRIMSON's (tests/unit/formulas/test_crimson.py).

    Example:
        >>> score = FindingsScore().score("Mild cardiomegaly. No effusion.", "Enlarged heart. Small left effusion.")
        >>> round(score.value, 3)
        0.25
        >>> score.details["missed"][0]["denied_by"]["observation"]
        'pleural_effusion'
        >>> FindingsScore().score("Normal chest.", "The lungs are clear. The heart is normal.").value
        1.0
    """

    name = "findings_score"
    version = 2
    summary = "findings matched, missed, false or wrong, by clinical significance"
    bounds = (-1.0, 1.0)

    denial_cost: float = setting(0.5, "Cost of denying a finding beyond missing it, in units of its weight, 0 to 10.")
    possible_weight: float = setting(0.5, "Weight of a possible finding against a certain one, 0 to 1.")
    benign_weight: float = setting(0.0, "Weight of a benign or expected finding, 0 to 0.25; CRIMSON has 0.")

    def __post_init__(self) -> None:
        if not 0 <= self.denial_cost <= 10:
            raise self.invalid("denial_cost", "from 0 to 10")
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
        if comparison.silent:
            return Score.explained(0.0, self._details, comparison, case.context)
        value = self._value(comparison, case.context)
        return Score.explained(value, self._details, comparison, case.context)

    def _value(self, comparison: Comparison, context: Context) -> float:
        matched: list[tuple[float, float]] = []
        penalty = 0.0
        for match in comparison.matched:
            weight = self._weight(match.reference, context)
            if match.alike:
                matched.append((weight, 0.0))
                continue
            matched.append((weight, _cost(match, weight)))
            penalty += self._excess(match, context)
        missed = [self._weight(finding, context) for finding in comparison.missed]
        for weight, denial in zip(missed, comparison.denied, strict=True):
            if denial is not None:
                penalty += self.denial_cost * weight * denial_weight(denial.certainty)
        false = [self._weight(finding, context) for finding in comparison.false]
        for finding in comparison.contradicted:
            penalty += self.denial_cost * self._weight(finding, context)
        return crimson_score(matched, missed, false, penalty)

    def _details(self, comparison: Comparison, context: Context) -> dict[str, Any]:
        def entry(finding: Finding) -> dict[str, Any]:
            weight = self._weight(finding, context)
            return {**finding.as_dict(), "significance": significance(finding, context), "weight": weight}

        matched = [
            {
                "reference": entry(match.reference),
                "candidate": entry(match.candidate),
                "differs": [{"kind": d.kind, "cost": d.cost, "says": d.says} for d in match.differences],
                "cost": _cost(match, self._weight(match.reference, context)),
                "excess": self._excess(match, context),
            }
            for match in comparison.matched
        ]
        missed = [
            entry(finding) if denial is None else {**entry(finding), "denied_by": denial.as_dict()}
            for finding, denial in zip(comparison.missed, comparison.denied, strict=True)
        ]
        false, contradicted = list(map(entry, comparison.false)), list(map(entry, comparison.contradicted))
        return {"matched": matched, "missed": missed, "false": false, "contradicted": contradicted}

    def _excess(self, match: Match, context: Context) -> float:
        held = match.reference.certainty
        if held in DENIED:
            return self._weight(match.candidate, context) / 2
        return abs(self._weight(match.candidate, context, held) - self._weight(match.reference, context)) / 2

    def _weight(self, finding: Finding, context: Context, certainty: Certainty | None = None) -> float:
        """Return the weight of a finding, at its own or another certainty."""
        certainty = certainty or finding.certainty
        if certainty in DENIED:
            return 0.0
        return weight_of(finding, context, self.benign_weight, self.possible_weight, certainty)


def _cost(match: Match, weight: float) -> float:
    """Return the cost of what differs in a match whose finding in the reference has this weight."""
    return match.cost * min(1.0, weight / _FULL_COST)
