"""Agreement of two reports on what is wrong in the image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from cxr_rewards.component import Component
from cxr_rewards.feature import FeatureTable
from cxr_rewards.features.findings import Findings
from cxr_rewards.findings import Finding, Observation, ontology
from cxr_rewards.settings import setting
from cxr_rewards.types import Case, Failure, Score

_FINDINGS = Findings()
_BOTH = frozenset(("left", "right"))


class _Abnormal(NamedTuple):
    """What a report says of one observation, all its mentions joined."""

    certain: bool
    sides: frozenset[str]


class _Stated(NamedTuple):
    """What a report says in all."""

    abnormal: Mapping[str, _Abnormal]
    absent: frozenset[str]


def _merge(findings: Iterable[Finding], known: Mapping[str, Observation]) -> _Stated:
    abnormal: dict[str, _Abnormal] = {}
    absent: set[str] = set()
    for name, polarity, side, _, _ in findings:
        if polarity == "absent":
            if side in ("", "bilateral"):  # a clear right lung says nothing of the left
                absent.add(name)
            continue
        certain, sides = abnormal.get(name, (False, frozenset[str]()))
        if side:
            sides = sides | (_BOTH if side == "bilateral" else {side})
        abnormal[name] = _Abnormal(certain or polarity == "present", sides)
    # "An opacity, most likely pneumonia" is one finding, not two.
    general = {ancestor for name in abnormal for ancestor in known[name].ancestors}
    kept = {}
    for name, (certain, sides) in abnormal.items():
        if name not in general:
            if not sides:  # the general mention may have told them: "right opacity, suspicious for pneumonia"
                sides = frozenset().union(*(abnormal[a].sides for a in known[name].ancestors if a in abnormal))
            kept[name] = _Abnormal(certain, sides)
    return _Stated(kept, frozenset(absent - abnormal.keys() - general))


class FindingsF1(Component):
    """F1 of the abnormal findings of candidate and reference, as read by the rules of `cxr_rewards.findings`.

    The mentions of an observation in a report are joined: present outweighs possible, possible outweighs absent, sides
    add up, and an observation is dropped where one of its kinds is stated too, which takes its sides if it has none.
    What remains present or possible is the report's abnormal findings, each with its weight w from the ontology. Each
    finding f of one report is credited with its best partner g in the other:

        credit(f, g) = (1 if f = g, `related_credit` if one is a kind of the other, else 0)
                       * (`possible_credit` if only one of them is certain)
                       * (`side_credit` if the sides given differ; half of that loss if they overlap)
        M = sum of w(f) * max over g of credit(f, g), over the findings of both reports
        W = sum of w(f), over the findings of both reports
        D = sum of w(f), over findings without credit that the other report denies, by name or by a normal statement
        score = (M + n) / (W + `denial_cost` * D + n),  n = `normal_weight`

    Without n and D that is the weighted F1 of soft matches. n stands for all the rest of the image, on which both
    reports agree by silence or denial: so that one false finding against a normal reference costs less than three,
    where F1 would be 0 for both. Agreement on particular denials earns nothing: boilerplate does not pay.

    Range: [0, 1]. Neither report has an abnormal finding: 1, whatever the words. Identical texts: 1. A candidate in
    which nothing is read, not even a normal statement (it is empty, or not a report): 0, for saying nothing is not
    saying that the chest is normal. A reference in which nothing is read: missing, with the reason.

    Details: `matched` (fully or in part), `missed`, `false` (in the candidate alone) and `contradicted` (those missed
    or false that the other report denies): names of observations.

    Source: defined here. Kendall's tau-b with the mean rating of three radiologists is .70 on the 100 candidates of
    RadPref on which its defaults were chosen (ROUGE-L on the same: .50),
    as `benchmarks/agreement.py` computes it; expect less on others.

    Example:
        >>> score = FindingsF1().score("Mild cardiomegaly. No effusion.", "The heart is enlarged. Small left effusion.")
        >>> round(score.value, 3), score.details["matched"], score.details["contradicted"]
        (0.556, ['cardiomegaly'], ['pleural_effusion'])
        >>> FindingsF1().score("Normal chest.", "The lungs are clear. The heart is normal.").value
        1.0
    """

    name = "findings_f1"
    version = 1
    summary = "agreement on abnormal findings, read by rules"
    bounds = (0.0, 1.0)

    possible_credit: float = setting(0.8, "Credit for a finding that only one report is certain of, 0 to 1.")
    related_credit: float = setting(0.5, "Credit for a kind of the finding instead of it, or the reverse, 0 to 1.")
    side_credit: float = setting(0.5, "Credit for a finding on the other side, 0 to 1.")
    denial_cost: float = setting(1.0, "What denying a finding costs beyond missing it, in units of its weight, >= 0.")
    normal_weight: float = setting(0.5, "Weight of all that neither report calls abnormal, >= 0.")

    def __post_init__(self) -> None:
        for key in ("possible_credit", "related_credit", "side_credit"):
            if not 0 <= getattr(self, key) <= 1:
                raise self.invalid(key, "from 0 to 1")
        for key in ("denial_cost", "normal_weight"):
            if not 0 <= getattr(self, key) < float("inf"):
                raise self.invalid(key, "finite and at least 0")

    @property
    def needs(self) -> tuple[Findings, ...]:
        return (_FINDINGS,)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Compare the findings of candidate and reference."""
        in_reference = features.value(_FINDINGS, case.reference)
        if not in_reference:
            return Score(None, failure=Failure(self.name, "no finding and no normal statement in the reference"))
        in_candidate = features.value(_FINDINGS, case.candidate)
        known = ontology().observations
        reference = _merge(in_reference, known)
        if not in_candidate:
            return Score(0.0, _details((), (), reference.abnormal, ()))
        candidate = _merge(in_candidate, known)
        false, m_candidate, w_candidate, d_candidate = self._credit(candidate, reference, known)
        missed, m_reference, w_reference, d_reference = self._credit(reference, candidate, known)
        weight = w_candidate + w_reference + self.normal_weight
        denied = {*d_candidate, *d_reference}
        cost = self.denial_cost * sum(known[name].weight for name in (*d_candidate, *d_reference))
        value = (m_candidate + m_reference + self.normal_weight) / (weight + cost) if weight else 1.0
        matched = [name for name in reference.abnormal if name not in missed]
        return Score(value, _details(matched, false, missed, denied))

    def _credit(
        self, stated: _Stated, other: _Stated, known: Mapping[str, Observation]
    ) -> tuple[list[str], float, float, list[str]]:
        """Return the findings without credit, the credit of all, their weight, and which the other report denies."""
        alone: list[str] = []
        denied: list[str] = []
        credited = weight = 0.0
        for name, finding in stated.abnormal.items():
            observation = known[name]
            weight += observation.weight
            best = 0.0
            for partner, found in other.abnormal.items():
                if partner == name:
                    credit = 1.0
                elif partner in observation.ancestors or name in known[partner].ancestors:
                    credit = self.related_credit
                else:
                    continue
                if finding.certain != found.certain:
                    credit *= self.possible_credit
                best = max(best, credit * self._side(finding.sides, found.sides))
            credited += best * observation.weight
            if best == 0:
                alone.append(name)
                if name in other.absent or not other.absent.isdisjoint(observation.ancestors):
                    denied.append(name)
        return alone, credited, weight, denied

    def _side(self, one: frozenset[str], two: frozenset[str]) -> float:
        if not one or not two or one == two:
            return 1.0
        return self.side_credit if one.isdisjoint(two) else (1 + self.side_credit) / 2


def _details(
    matched: Iterable[str], false: Iterable[str], missed: Iterable[str], contradicted: Iterable[str]
) -> Mapping[str, Any]:
    return {
        "matched": sorted(matched),
        "missed": sorted(missed),
        "false": sorted(false),
        "contradicted": sorted(contradicted),
    }
