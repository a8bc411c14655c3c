"""Match the findings of two reports one to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cxr_rewards.findings.differences import Difference, differences
from cxr_rewards.findings.finding import Finding
from cxr_rewards.findings.ontology import Ontology, ontology
from cxr_rewards.findings.pairing import denies, kinship, pair_up
from cxr_rewards.findings.report import Report, join, places_meet
from cxr_rewards.findings.significance import significance
from cxr_rewards.formulas.crimson import WEIGHTS

_TRIVIAL = 0.05
"""Weight of a benign finding in the assignment, so that it gets a partner too."""


class Match(NamedTuple):
    """A finding of the reference, the candidate's finding that stands for it, and how they differ."""

    reference: Finding
    candidate: Finding
    differences: tuple[Difference, ...]

    @property
    def cost(self) -> float:
        """Weight of all differences."""
        return sum(difference.cost for difference in self.differences)


class Comparison(NamedTuple):
    """Two reports' abnormal findings side by side.

    Attributes:
        matched: findings of the reference with their partners.
        missed: findings of the reference without one.
        denied: for each of `missed`, the candidate's statement that denies it, or None.
        false: findings of the candidate without a partner.
        contradicted: findings that the candidate both states and denies, unless the reference does too.
    """

    matched: tuple[Match, ...]
    missed: tuple[Finding, ...]
    denied: tuple[Finding | None, ...]
    false: tuple[Finding, ...]
    contradicted: tuple[Finding, ...]


def compare(reference: Report, candidate: Report) -> Comparison:
    """Match the abnormal findings of two reports one to one.

    Two findings can be partners if they are of one observation, if one is a kind of the other, or if one is often
    mistaken for the other (see `kinship`). Of all possible assignments, that with the greatest total credit by
    CRIMSON's arithmetic is taken. Findings that one report states in parts and the other as one ("bilateral effusions";
    "left effusion, right effusion") are joined first.

    Example:
        >>> from cxr_rewards.findings.reader import read
        >>> from cxr_rewards.findings.report import merge
        >>> reference = merge(read("Large left effusion. Mild cardiomegaly."))
        >>> match, = compare(reference, merge(read("Small left effusion. Heart size is normal."))).matched
        >>> match.differences
        (Difference(kind='severity', cost=0.5, says='severe, not mild'),)
    """
    known = ontology()
    ours, theirs = list(reference.abnormal), list(candidate.abnormal)
    _join_parts(known, ours, theirs)
    _join_parts(known, theirs, ours)
    matched = [
        Match(ours[i], theirs[j], differences(known, ours[i], theirs[j])) for i, j in _pairs(known, ours, theirs)
    ]
    matched.sort(key=lambda match: match.reference.start)
    taken = {id(match.reference) for match in matched} | {id(match.candidate) for match in matched}
    missed = tuple(finding for finding in ours if id(finding) not in taken)
    excused = {(finding.observation, finding.side) for finding in reference.contradicted}
    return Comparison(
        tuple(matched),
        missed,
        tuple(next((d for d in candidate.absent if denies(known, d, finding)), None) for finding in missed),
        tuple(finding for finding in theirs if id(finding) not in taken),
        tuple(f for f in candidate.contradicted if (f.observation, f.side) not in excused),
    )


def _join_parts(known: Ontology, whole: list[Finding], parts: list[Finding]) -> None:
    """Join findings in `parts` that are one in `whole`, except those that another finding of `whole` equals."""
    owners = {(finding.observation, finding.side, finding.places): id(finding) for finding in whole}
    for finding in whole:
        within = [
            part
            for part in parts
            if part.observation == finding.observation
            and owners.get((part.observation, part.side, part.places), id(finding)) == id(finding)
            and (part.side == finding.side or finding.side in ("", "bilateral"))
            and (not finding.places or places_meet(known, part, finding))
        ]
        if len(within) > 1:
            joined = within[0]
            for part in within[1:]:
                joined = join(joined, part)
            ids = {id(part) for part in within}
            parts[:] = [part for part in parts if id(part) not in ids]
            parts.append(joined)


def _pairs(known: Ontology, ours: Sequence[Finding], theirs: Sequence[Finding]) -> list[tuple[int, int]]:
    """Return the indices of partners."""
    edges = [
        (i, j)
        for i, one in enumerate(ours)
        for j, two in enumerate(theirs)
        if kinship(one.observation, two.observation) is not None
    ]
    return pair_up({(i, j): _gain(known, ours[i], theirs[j]) for i, j in edges})


def _gain(known: Ontology, one: Finding, two: Finding) -> float:
    """Return the value of a pair: its credit, plus the weight of the false finding that it avoids."""
    weight = max(WEIGHTS[significance(one)], _TRIVIAL)
    cost = sum(difference.cost for difference in differences(known, one, two))
    return weight * weight / (weight + cost) + max(WEIGHTS[significance(two)], _TRIVIAL)
