"""Match the findings of two reports one to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cxr_rewards.findings.certainty import certainties_agree, certainty_cost
from cxr_rewards.findings.differences import Difference, differences
from cxr_rewards.findings.finding import Finding
from cxr_rewards.findings.ontology import Ontology, ontology
from cxr_rewards.findings.pairing import denies, kinship, pair_up
from cxr_rewards.findings.places import places_meet, sides_meet
from cxr_rewards.findings.report import Report, join, silent
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
        return sum([difference.cost for difference in self.differences]) if self.differences else 0

    @property
    def alike(self) -> bool:
        """Whether the two say the same, but for where they stand, and whether they are implied."""
        return not self.differences and self.reference[:-3] == self.candidate[:-3]


class Comparison(NamedTuple):
    """Two reports' abnormal findings side by side.

    Attributes:
        matched: findings of the reference with their partners; an unlikely finding can have a denial as its partner.
        missed: findings of the reference without one.
        denied: for each of `missed`, the candidate's statement that denies it or holds it unlikely, or None.
        false: findings of the candidate without a partner, and those that it takes back.
        contradicted: findings that the candidate both states and denies, unless the reference does too.
        silent: nothing was read in the candidate, but something in the reference.
    """

    matched: tuple[Match, ...]
    missed: tuple[Finding, ...]
    denied: tuple[Finding | None, ...]
    false: tuple[Finding, ...]
    contradicted: tuple[Finding, ...]
    silent: bool = False


def compare(reference: Report, candidate: Report) -> Comparison:
    """Match the abnormal and the unlikely findings of two reports one to one.

    Two findings can be partners if they are of one observation, or if one is a kind of the other or often mistaken for
    it (see `kinship`) and can be on the same side, and if their grades of certainty agree at least in part. Of all
    possible assignments, that with the greatest total credit by CRIMSON's arithmetic is taken. Findings that one report
    states in parts and the other as one ("bilateral effusions"; "left effusion, right effusion") are joined first.
    What the candidate states and takes back has no partner, unless the reference contradicts itself in the same
    way.

    Example:
        >>> from cxr_rewards.findings.reader import read
        >>> from cxr_rewards.findings.report import merge
        >>> reference = merge(read("Large left effusion. Mild cardiomegaly."))
        >>> match, = compare(reference, merge(read("Small left effusion. Heart size is normal."))).matched
        >>> match.differences
        (Difference(kind='severity', cost=0.5, says='severe, not mild'),)
    """
    known = ontology()
    ours, theirs = [*reference.abnormal, *_unlikely(reference)], [*candidate.abnormal, *_unlikely(candidate)]
    contradicted = taken_back = list[Finding]()
    if candidate.contradicted:
        excused = {(finding.observation, finding.side) for finding in reference.contradicted}
        contradicted = [f for f in candidate.contradicted if (f.observation, f.side) not in excused]
        taken_back = [f for f in contradicted if any(f is other for other in candidate.taken_back)]
        theirs = [finding for finding in theirs if not any(finding is other for other in taken_back)]
    matched: list[Match] = []
    if ours and theirs:
        _join_parts(known, ours, theirs)
        _join_parts(known, theirs, ours)
        matched = _matches(known, ours, theirs)
        taken = {id(match.reference) for match in matched} | {id(match.candidate) for match in matched}
        ours, theirs = ([f for f in findings if id(f) not in taken] for findings in (ours, theirs))
    denials = [_denial(known, candidate, finding) for finding in ours]
    # What one report states and the other holds unlikely is one error, not two.
    overruled = {id(denial) for f, denial in zip(ours, denials, strict=True) if f.certainty != "unlikely"}
    if any(finding.certainty == "unlikely" for finding in ours):
        overruled |= {id(_denial(known, reference, f)) for f in theirs if f.certainty != "unlikely"}
    missed: list[Finding] = []
    denied: list[Finding | None] = []
    for finding, denial in zip(ours, denials, strict=True):
        if id(finding) in overruled:
            continue
        if denial is not None and finding.certainty == "unlikely":
            matched.append(Match(finding, denial, _difference_of_denial(finding, denial)))
        else:
            missed.append(finding)
            denied.append(denial)
    false: list[Finding] = []
    for finding in theirs:
        if id(finding) in overruled:
            continue
        denial = _denial(known, reference, finding) if finding.certainty == "unlikely" else None
        if denial is not None:
            matched.append(Match(denial, finding, _difference_of_denial(denial, finding)))
        else:
            false.append(finding)
    matched.sort(key=lambda match: match.reference.start)
    return Comparison(
        tuple(matched),
        tuple(missed),
        tuple(denied),
        (*false, *taken_back),
        tuple(contradicted),
        silent(candidate) and not silent(reference),
    )


def _unlikely(report: Report) -> list[Finding]:
    unlikely = [finding for finding in report.absent if finding.certainty == "unlikely"]
    distinct: dict[tuple[str, str], Finding] = {}
    for finding in unlikely:
        distinct.setdefault((finding.observation, finding.side), finding)
    return list(distinct.values())


def _denial(known: Ontology, report: Report, finding: Finding) -> Finding | None:
    """Return the report's statement that denies a finding; one that only holds it unlikely if there is no other."""
    denials = [denial for denial in report.absent if denies(known, denial, finding)]
    return min(denials, key=lambda denial: denial.certainty == "unlikely", default=None)


def _difference_of_denial(one: Finding, two: Finding) -> tuple[Difference, ...]:
    cost = certainty_cost(one.certainty, two.certainty)
    return (Difference("certainty", cost, f"{one.certainty}, not {two.certainty}"),) if cost else ()


def _join_parts(known: Ontology, whole: list[Finding], parts: list[Finding]) -> None:
    """Join findings in `parts` that are one in `whole`, except those that another finding of `whole` equals."""
    if len({part.observation for part in parts}) == len(parts):
        return  # no two are of one observation
    owners = {(finding.observation, finding.side, finding.places): id(finding) for finding in whole}
    for finding in whole:
        within = [
            part
            for part in parts
            if part.observation == finding.observation
            and part.polarity == finding.polarity
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


def _matches(known: Ontology, ours: Sequence[Finding], theirs: Sequence[Finding]) -> list[Match]:
    """Return the partners, in order."""
    possible = {
        (i, j): Match(one, two, differences(known, one, two))
        for i, one in enumerate(ours)
        for j, two in enumerate(theirs)
        if _can_be_one(one, two)
    }
    if len({i for i, _ in possible}) == len({j for _, j in possible}) == len(possible):
        return list(possible.values())  # there is nothing to choose
    return [possible[pair] for pair in pair_up({pair: _gain(match) for pair, match in possible.items()})]


def _can_be_one(one: Finding, two: Finding) -> bool:
    """Return whether two findings can be partners; another observation on the other side is another finding."""
    if one.observation != two.observation and (
        kinship(one.observation, two.observation) is None or not sides_meet(one, two)
    ):
        return False
    return one.certainty == two.certainty or certainties_agree(one.certainty, two.certainty)


def _gain(match: Match) -> float:
    """Return the value of a pair: its credit, plus the weight of the false finding that it avoids."""
    weight = max(WEIGHTS[significance(match.reference)], _TRIVIAL)
    return weight * weight / (weight + match.cost) + max(WEIGHTS[significance(match.candidate)], _TRIVIAL)
