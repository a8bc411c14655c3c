"""Check of a report's statements of change against the earlier reports it was given, and the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.reading_component import READINGS, ReadingComponent
from cxr_rewards.features.reports import Reports
from cxr_rewards.findings import DENIED, Finding, Ontology, Report, ontology
from cxr_rewards.findings.pairing import by_side, denies, related
from cxr_rewards.findings.places import places_meet, sides_meet
from cxr_rewards.types import Case, Score

_REPORTS = Reports()
_COMPARISON = "comparison"

Verdict = Literal["supported", "contradicted", "unsupported", "unknown"]


class _Judgement(NamedTuple):
    """Verdict on a statement, the index of the prior that decided it, and the finding in that prior."""

    verdict: Verdict
    prior: int | None = None
    by: Finding | None = None


class PriorConsistency(ReadingComponent):
    """Share of the candidate's statements of change that the earlier reports or the reference support, smoothed by one.

        value = (1 + sum of credits) / (1 + n)

    n counts the statements that are judged: findings called new, increased, decreased, stable or resolved. Each
    observation, side and direction counts once, a bilateral finding as one on the left and one on the right. Credit: 1
    if supported, `unknown_credit` if unknown, 0 if contradicted or unsupported. So one false statement alone gives 1/2,
    one of ten 10/11, ten of ten 1/11.

    What the reference states too is supported, by whatever image it was compared with: a change of the same direction,
    of a finding that is the same, or a kind of it, on a side that can be the same. So is "stable" of a finding that a
    reference states which compares others: radiologists say it, or leave it out. All else is judged by the priors.

    Without priors each is unsupported, and so is each comparison that names no finding or no change ("no interval
    change", "compared to the prior study"): on a first image a fracture can be acute, but nothing can be new, stable or
    better. Saying that there is nothing to compare with is not a comparison.

    With priors the last decides; a finding is shown in it if the same observation, a kind of it, or what it is a kind
    of, is present or possible there with a side and place that can be the same. A change of no named finding is then
    left out, because no prior can contradict it.

    ============================== ============================================= =============
    statement                      prior                                         verdict
    ============================== ============================================= =============
    new                            the last shows it, or a kind of it            contradicted
    new                            the last denies it                            supported
    new                            the last has it as possible, or shows only    unknown
                                   what it is a kind of
    new                            none of these                                 supported
    increased, decreased, stable,  the last shows it                             supported
    resolved
    resolved                       an older one shows it                         supported
    increased, decreased, stable   an older one shows it, the last is silent     supported
    any but new                    else: the last denies it                      contradicted
    any but new                    else                                          unknown
    ============================== ============================================= =============

    "Unknown" costs less than "contradicted", because a report need not mention everything that is unchanged.

    Range: [0, 1], higher is better; never 0. The reference itself: 1. No statement of change: 1, with and without
    priors, so also for an empty candidate: this guards against invented comparisons and rewards no real ones
    (`change_f1` does). Blank priors count as not given; those in which nothing is read are skipped, and if that leaves
    none, nothing can be judged: 1.

    Details: `statements`, each with its span, `verdict`, and the index of the `prior` and the finding in it (`by`) that
    decided, or null; if the reference decided, its finding and no prior.

    Source: defined here. Invented comparisons are error (e) of GREEN and E of CheXprompt, and what ReXPref-Prior (arXiv
    2406.06496) counts; all three ask a language model.

    Example:
        >>> report = "New left effusion. Stable cardiomegaly. No pneumothorax."
        >>> score = PriorConsistency().score(report, "Normal.", ["Small left effusion. The heart is enlarged."])
        >>> [(entry["observation"], entry["verdict"]) for entry in score.details["statements"]]
        [('pleural_effusion', 'contradicted'), ('cardiomegaly', 'supported')]
        >>> round(score.value, 3)
        0.667
        >>> round(PriorConsistency().score(report, "Normal.").value, 3)
        0.333
        >>> PriorConsistency().score(report, report).value
        1.0
    """

    name = "prior_consistency"
    version = 3
    summary = "share of stated changes that the earlier reports support"
    bounds = (0.0, 1.0)
    reads = ("candidate", "reference", "priors")

    unknown_credit: float = setting(0.5, "Credit for a change of a finding that no prior mentions or denies, 0 to 1.")

    def __post_init__(self) -> None:
        if not 0 <= self.unknown_credit <= 1:
            raise self.invalid("unknown_credit", "from 0 to 1")

    @property
    def needs(self) -> tuple[Feature, ...]:
        return (READINGS, _REPORTS)

    def score_findings(self, case: Case, features: FeatureTable) -> Score:
        """Judge each statement of change."""
        given = [i for i, prior in enumerate(case.priors) if prior.strip()]
        readable = [(i, report) for i in given if (report := features.value(_REPORTS, case.priors[i])) is not None]
        # Mentions, not findings: two that contradict each other are two statements.
        statements = _statements(features.value(READINGS, case.candidate).findings, bool(given))
        if not statements:
            return Score.explained(1.0, _details, (), ())
        told = _told(features.value(READINGS, case.reference).findings)
        known = ontology()
        judged = tuple(
            _borne_out(known, statement, told) or _judge(known, statement, readable, bool(given))
            for statement in statements
        )
        if given and not readable:
            return Score.explained(1.0, _details, statements, judged)
        worth = {"supported": 1.0, "unknown": self.unknown_credit}
        total = sum(worth.get(judgement.verdict, 0.0) for judgement in judged)
        return Score.explained((1 + total) / (1 + len(judged)), _details, statements, judged)


def _details(statements: Sequence[Finding], judged: Sequence[_Judgement]) -> dict[str, Any]:
    return {
        "statements": [
            {**statement.as_dict(), "verdict": verdict, "prior": prior, "by": by.as_dict() if by else None}
            for statement, (verdict, prior, by) in zip(statements, judged, strict=True)
        ]
    }


def _statements(findings: Sequence[Finding], priors: bool) -> tuple[Finding, ...]:
    """Return the statements to judge, each observation, side and direction once."""
    stated = [f for f in findings if f.change or f.observation == _COMPARISON]
    if not stated:
        return ()
    distinct: dict[tuple[str, str, str], Finding] = {}
    for finding in by_side(stated):
        if not (priors and finding.observation == _COMPARISON):
            distinct.setdefault((finding.observation, finding.side, finding.change), finding)
    return tuple(distinct.values())


def _told(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the statements of change of a reference; if it makes any, all else that it has is stable."""
    stated = _statements(findings, priors=False)
    if not stated:
        return ()
    changed = {(f.observation, f.side) for f in stated}
    others = by_side(f._replace(change="stable") for f in findings if not f.change and f.certainty not in DENIED)
    return (*stated, *(f for f in others if changed.isdisjoint(((f.observation, f.side), (f.observation, "")))))


def _borne_out(known: Ontology, statement: Finding, told: Sequence[Finding]) -> _Judgement | None:
    """Return the judgement that a statement is supported, if the reference makes it too, else None."""
    for other in told:
        if statement.observation == _COMPARISON:
            same = not statement.change or statement.change == other.change
        else:
            same = (
                statement.change == other.change
                and other.observation != _COMPARISON
                and related(known, statement.observation, other.observation)
                and sides_meet(statement, other)
            )
        if same:
            return _Judgement("supported", None, other)
    return None


def _judge(known: Ontology, statement: Finding, priors: Sequence[tuple[int, Report]], given: bool) -> _Judgement:
    """Judge a statement by the priors that can be read; `given` is whether there are priors at all."""
    if not priors:
        return _Judgement("unknown" if given else "unsupported")
    index, last = priors[-1]
    shown = _shown(known, statement, last)
    denial = next((d for d in last.absent if denies(known, d, statement)), None)
    if statement.change == "new":
        if same := next((finding for finding in shown if _is_same(known, finding, statement)), None):
            return _Judgement("contradicted", index, same)
        if denial:
            return _Judgement("supported", index, denial)
        return _Judgement("unknown", index, shown[0]) if shown else _Judgement("supported")
    if shown:
        return _Judgement("supported", index, shown[0])
    if statement.change == "resolved" or not denial:
        for older, report in reversed(priors[:-1]):
            if shown := _shown(known, statement, report):
                return _Judgement("supported", older, shown[0])
    return _Judgement("contradicted", index, denial) if denial else _Judgement("unknown")


def _shown(known: Ontology, statement: Finding, prior: Report) -> list[Finding]:
    """Return the prior's findings that the statement can be about, the same observation first."""
    shown = [
        finding
        for finding in prior.abnormal
        if related(known, finding.observation, statement.observation)
        and sides_meet(finding, statement)
        and places_meet(known, finding, statement)
    ]
    return sorted(shown, key=lambda finding: finding.observation != statement.observation)


def _is_same(known: Ontology, finding: Finding, statement: Finding) -> bool:
    """Return whether the finding certainly is what the statement calls new."""
    if finding.observation == statement.observation:
        return finding.polarity == "present"
    return statement.observation in known.observations[finding.observation].ancestors
