"""Agreement of two reports on changes since an earlier image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.reading_component import READINGS, ReadingComponent
from cxr_rewards.features.reports import Reports, unread_reference
from cxr_rewards.findings import DENIED, Finding, Ontology, Report, ontology
from cxr_rewards.findings.certainty import certainty_credit
from cxr_rewards.findings.pairing import by_side, pair_up, related
from cxr_rewards.findings.places import sides_meet
from cxr_rewards.types import Case, Score

_REPORTS = Reports()
_COMPARISON = "comparison"
_COARSE = {"new": "increased", "resolved": "decreased"}


class _Matching(NamedTuple):
    """The statements of two reports, and the credit of each pair of their indices."""

    reference: list[Finding]
    candidate: list[Finding]
    credits: dict[tuple[int, int], float]

    @property
    def value(self) -> float:
        """The F1: 1 if there are no statements."""
        total = len(self.reference) + len(self.candidate)
        return 2 * sum(self.credits.values()) / total if total else 1.0

    def as_dict(self) -> dict[str, Any]:
        """Return the statements as data."""
        ours, theirs = {i for i, _ in self.credits}, {j for _, j in self.credits}
        return {
            "matched": [
                {"reference": self.reference[i].as_dict(), "candidate": self.candidate[j].as_dict(), "credit": credit}
                for (i, j), credit in self.credits.items()
            ],
            "missed": [finding.as_dict() for i, finding in enumerate(self.reference) if i not in ours],
            "extra": [finding.as_dict() for j, finding in enumerate(self.candidate) if j not in theirs],
        }


class ChangeF1(ReadingComponent):
    """F1 of the changes that two reports state: pairs of a finding and new, increased, decreased, stable or resolved.

        P = credit / candidate's,  R = credit / reference's,  F = 2 P R / (P + R)

    `credit` is the sum over statements that are matched one to one, so that the sum is greatest. Two can match if they
    have the same direction and their sides can be the same: 1 for the same observation, `related_credit` if one is a
    kind of the other ("new opacity" for "new pneumonia"), or if one names no finding ("no interval change"); times
    `certainty_credit` if one calls the finding possible and the other certain. Findings are read by the rules of
    `cxr_rewards.findings`, their mentions joined; each observation, side and direction counts once, a bilateral finding
    as one on the left and one on the right. A denied finding counts only if it resolved.

    With `directions="coarse"` new counts as increased and resolved as decreased. The default keeps them apart, because
    "resolved" says that a finding is gone and "decreased" that it is there; both values are in the details.

    The reference's words are the truth: priors are not read (`prior_consistency` does). A wrong direction costs more
    than silence if anything else is right, because it lowers the precision too.

    Range: [0, 1], higher is better. Neither report states a change: 1, because they agree that there is nothing to
    compare; anything less would pay for inventing a comparison, which here costs everything. A reward needs others
    beside it: on references without a change, silence earns the full value. A candidate in which nothing is read, not
    even a normal statement: 0. A reference in which nothing is read: missing, with the reason.

    Details: `exact` and `coarse`, the values for both settings; `matched` (pairs with their credit), `missed` and
    `extra` statements, each with its span.

    Source: the change propositions of LCC (STRIVE, arXiv 2608.24237), there with labelled findings and macro-averaged
    over a corpus; reader, matching and the score of a single report are defined here.

    Example:
        >>> reference = "The left effusion has resolved. New pneumonia."
        >>> score = ChangeF1().score("The left effusion is smaller. New opacity.", reference)
        >>> score.value, score.details["coarse"]
        (0.25, 0.75)
        >>> [(finding["observation"], finding["change"]) for finding in score.details["extra"]]
        [('pleural_effusion', 'decreased')]
    """

    name = "change_f1"
    version = 2
    summary = "F1 of stated changes by finding and direction"
    bounds = (0.0, 1.0)

    directions: Literal["exact", "coarse"] = setting(
        "exact", "exact: five directions; coarse: new counts as increased, resolved as decreased."
    )
    related_credit: float = setting(
        0.5, "Credit for the right direction of a kind of the finding, or of no finding named, 0 to 1."
    )

    def __post_init__(self) -> None:
        if self.directions not in ("exact", "coarse"):
            raise self.invalid("directions", "exact or coarse")
        if not 0 <= self.related_credit <= 1:
            raise self.invalid("related_credit", "from 0 to 1")

    @property
    def needs(self) -> tuple[Feature, ...]:
        return (READINGS, _REPORTS)

    def score_findings(self, case: Case, features: FeatureTable) -> Score:
        """Match the statements, by exact and by coarse directions."""
        of_reference: Report | None = features.value(_REPORTS, case.reference)
        if of_reference is None:
            return unread_reference(self.name)
        of_candidate: Report | None = features.value(_REPORTS, case.candidate)
        stated, said = _stated(of_reference), _stated(of_candidate) if of_candidate else ()
        if of_candidate is None:
            return Score.explained(0.0, self._details, stated, None)
        if stated and said:
            value = self._match(stated, said, self.directions).value
        else:
            value = 0.0 if stated or said else 1.0
        return Score.explained(value, self._details, stated, said)

    def _details(self, stated: Sequence[Finding], said: Sequence[Finding] | None) -> dict[str, Any]:
        matchings = {key: self._match(stated, said or (), key) for key in ("exact", "coarse")}
        values = {key: 0.0 if said is None else matching.value for key, matching in matchings.items()}
        return {**values, **matchings[self.directions].as_dict()}

    def _match(self, stated: Sequence[Finding], said: Sequence[Finding], directions: str) -> _Matching:
        """Match what the reference has stated with what the candidate has said."""
        known = ontology()
        reference, candidate = _distinct(stated, directions), _distinct(said, directions)
        worth = {
            (i, j): self._credit(known, one, two)
            for i, one in enumerate(reference)
            for j, two in enumerate(candidate)
            if _direction(one, directions) == _direction(two, directions) and sides_meet(one, two)
        }
        return _Matching(reference, candidate, {pair: worth[pair] for pair in pair_up(worth)})

    def _credit(self, known: Ontology, one: Finding, two: Finding) -> float:
        credit = 1.0 if DENIED & {one.certainty, two.certainty} else certainty_credit(one.certainty, two.certainty)
        if one.observation == two.observation:
            return credit
        general = _COMPARISON in (one.observation, two.observation)
        return self.related_credit * credit if general or related(known, one.observation, two.observation) else 0.0


def _direction(finding: Finding, directions: str) -> str:
    return _COARSE.get(finding.change, finding.change) if directions == "coarse" else finding.change


def _stated(report: Report) -> tuple[Finding, ...]:
    """Return the report's statements of change, in order of reading."""
    stated = [f for findings in (report.abnormal, report.absent, report.comparisons) for f in findings if f.change]
    return tuple(sorted(by_side(stated), key=lambda finding: finding.start)) if stated else ()


def _distinct(stated: Sequence[Finding], directions: str) -> list[Finding]:
    """Return statements, each finding, side and direction once."""
    distinct: dict[tuple[str, str, str], Finding] = {}
    for finding in stated:
        distinct.setdefault((finding.observation, finding.side, _direction(finding, directions)), finding)
    return list(distinct.values())
