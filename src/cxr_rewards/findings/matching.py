"""Which finding of one report is which of the other, and how they differ."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from cxr_rewards.findings.finding import MANY, SEVERITIES, Finding
from cxr_rewards.findings.ontology import Ontology, ontology
from cxr_rewards.findings.pairing import denies, pair_up
from cxr_rewards.findings.report import Report, join, places_meet, sides_meet
from cxr_rewards.findings.significance import misplaced, significance
from cxr_rewards.formulas.crimson import WEIGHTS

SIGNIFICANT, UNKNOWN = 0.5, 0.25
"""CRIMSON's weights of a significant attribute error, and of one whose weight is not known."""
SLIGHT, UNSAID = 0.125, 0.0625
"""Finer steps: a small deviation; something the reference says and the candidate leaves out."""
_TRIVIAL = 0.05
"""What a benign finding counts in the assignment, so that it finds its partner too."""


class Difference(NamedTuple):
    """An attribute error of a matched finding.

    Attributes:
        kind: CRIMSON's error type: location, severity, descriptor, measurement, certainty, unspecific,
            overinterpretation or temporal.
        cost: its weight, 0.0625 to 0.5.
        says: what the reference and the candidate say, in words.
    """

    kind: str
    cost: float
    says: str


class Match(NamedTuple):
    """A finding of the reference, the candidate's finding that is held for the same, and how they differ."""

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
        contradicted: findings that the candidate both tells and denies, where the reference does not.
    """

    matched: tuple[Match, ...]
    missed: tuple[Finding, ...]
    denied: tuple[Finding | None, ...]
    false: tuple[Finding, ...]
    contradicted: tuple[Finding, ...]


def compare(reference: Report, candidate: Report) -> Comparison:
    """Match the abnormal findings of two reports one to one.

    Two findings can be partners if they are of one observation, one is a kind of the other, or one is often taken for
    the other (see `kinship`). Among all ways to pair
    them that with the greatest sum of what CRIMSON's arithmetic credits is taken. Findings that one report tells in
    parts and the other in one ("bilateral effusions"; "left effusion, right effusion") are joined before.

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
    told_twice = {(finding.observation, finding.side) for finding in reference.contradicted}
    return Comparison(
        tuple(matched),
        missed,
        tuple(next((d for d in candidate.absent if denies(known, d, finding)), None) for finding in missed),
        tuple(finding for finding in theirs if id(finding) not in taken),
        tuple(f for f in candidate.contradicted if (f.observation, f.side) not in told_twice),
    )


def _join_parts(known: Ontology, whole: list[Finding], parts: list[Finding]) -> None:
    """Join findings in `parts` that `whole` tells as one; what another finding of `whole` tells alike stands alone."""
    told = {(finding.observation, finding.side, finding.places): id(finding) for finding in whole}
    for finding in whole:
        within = [
            part
            for part in parts
            if part.observation == finding.observation
            and told.get((part.observation, part.side, part.places), id(finding)) == id(finding)
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


# ---------------------------------------------------------------- assignment


@lru_cache(maxsize=1 << 15)
def kinship(one: str, two: str) -> tuple[str, int] | None:
    """Return how the observation `two` stands in for `one`: the kind of error, and the steps between them.

    A kind of `two`, or the reverse, is as many steps away as there are parents between them; what is often taken for
    the other (`like` in the ontology) is two steps away. None: they have nothing to do with each other.

    Example:
        >>> kinship("pneumonia", "consolidation"), kinship("consolidation", "pneumonia")
        (('unspecific', 1), ('overinterpretation', 1))
        >>> kinship("pneumonia", "scoliosis")
    """
    observations = ontology().observations
    above, below = (one, *observations[one].ancestors), (two, *observations[two].ancestors)
    if two in above:
        return "unspecific", above.index(two)
    if one in below:
        return "overinterpretation", below.index(one)
    return ("overinterpretation", 2) if two in observations[one].like else None


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
    """Return what a pair is worth: its credit, and the false finding it avoids."""
    weight = max(WEIGHTS[significance(one)], _TRIVIAL)
    cost = sum(difference.cost for difference in differences(known, one, two))
    return weight * weight / (weight + cost) + max(WEIGHTS[significance(two)], _TRIVIAL)


# ---------------------------------------------------------------- differences


def differences(known: Ontology, reference: Finding, candidate: Finding) -> tuple[Difference, ...]:
    """Return the attribute errors of the candidate's finding against the reference's.

    =================== ===================================================================== =============
    kind                what differs                                                          cost
    =================== ===================================================================== =============
    unspecific          the candidate names something the finding is a kind of, in 1, 2, 3    0.25, 0.375,
                        steps                                                                 0.5
    overinterpretation  the candidate names a kind of the finding, or what it is taken for    the same
    location            the other side; for a device: misplaced or not                        0.5
    location            one side for both or the reverse; another lobe or zone; another tip   0.25
    location            a device that is misplaced in both, and also called right             0.25
    severity            two steps or more of five; one; less (massive is half a step from     0.5; 0.25;
                        severe)                                                               0.125
    measurement         half or less of the larger; less than four fifths                     0.5; 0.25
    temporal            increase for decrease; one of them for stable; new for increased or   0.5; 0.25;
                        resolved for decreased                                                0.125
    descriptor          acute for old or the reverse                                          0.5
    descriptor          displaced for nondisplaced, tension told by one alone                 0.25
    descriptor          another number ("several" is three or more); the other side the worse 0.125
    certainty           one is certain, the other only possible                               0.125
    any                 told by the reference alone: a misplaced tip; a side; all else        0.25; 0.125;
                                                                                              0.0625
    =================== ===================================================================== =============

    What the candidate tells beyond the reference costs nothing, except an invented change (0.0625).
    """
    found: list[Difference] = []
    _kind(reference.observation, candidate.observation, found)
    _place(known, reference, candidate, found)
    _size(reference, candidate, found)
    if reference.change != candidate.change:
        _change(reference, candidate, found)
    if reference.descriptors != candidate.descriptors:
        _descriptors(reference, candidate, found)
    if reference.number != candidate.number and reference.number:
        several = min(reference.number, 3) == min(candidate.number, 3) and MANY in (reference.number, candidate.number)
        if not several:
            cost = SLIGHT if candidate.number else UNSAID
            found.append(Difference("descriptor", cost, f"{_many(reference.number)}, not {_many(candidate.number)}"))
    if reference.polarity != candidate.polarity:
        found.append(Difference("certainty", SLIGHT, f"{reference.polarity}, not {candidate.polarity}"))
    if reference.positions != candidate.positions:
        _position(known, reference, candidate, found)
    return tuple(found)


def _many(count: int) -> str:
    return "several" if count == MANY else str(count or "no number")


def _kind(one: str, two: str, found: list[Difference]) -> None:
    if one == two:
        return
    kin = kinship(one, two)
    if kin is not None:
        found.append(Difference(kin[0], SLIGHT * (1 + min(kin[1], 3)), f"{one}, not {two}"))


def _place(known: Ontology, reference: Finding, candidate: Finding, found: list[Difference]) -> None:
    if reference.side and reference.side != candidate.side:
        cost = SLIGHT if not candidate.side else UNKNOWN if sides_meet(reference, candidate) else SIGNIFICANT
        found.append(Difference("location", cost, f"{reference.side}, not {candidate.side or 'any side'}"))
        if cost == SIGNIFICANT:
            return
    if reference.places and reference.places != candidate.places:
        places = ", ".join(reference.places)
        if not candidate.places:
            found.append(Difference("location", UNSAID, f"{places}, not told"))
        elif not places_meet(known, reference, candidate):
            found.append(Difference("location", UNKNOWN, f"{places}, not {', '.join(candidate.places)}"))


def _size(reference: Finding, candidate: Finding, found: list[Difference]) -> None:
    if reference.severity:
        if candidate.severity:
            apart = abs(_grade(reference.severity) - _grade(candidate.severity))
            cost = SIGNIFICANT if apart >= 2 else UNKNOWN if apart >= 1 else SLIGHT if apart else 0.0
            if cost:
                says = f"{in_words(reference.severity)}, not {in_words(candidate.severity)}"
                found.append(Difference("severity", cost, says))
        elif not candidate.size_mm:
            found.append(Difference("severity", UNSAID, f"{in_words(reference.severity)}, not told"))
    if reference.size_mm:
        if candidate.size_mm:
            ratio = min(reference.size_mm, candidate.size_mm) / max(reference.size_mm, candidate.size_mm)
            if ratio < 0.8:
                cost = SIGNIFICANT if ratio <= 0.5 else UNKNOWN
                says = f"{reference.size_mm:g} mm, not {candidate.size_mm:g} mm"
                found.append(Difference("measurement", cost, says))
        elif not candidate.severity:
            found.append(Difference("measurement", UNSAID, f"{reference.size_mm:g} mm, not told"))


def _grade(severity: float) -> float:
    """Return the severity with massive half a step from severe: few agree on where one ends."""
    return min(severity, 4 + (severity - 4) / 2)


def in_words(severity: float) -> str:
    """Return a severity in words: 2.5 is "mild to moderate"."""
    low, high = SEVERITIES[int(severity) - 1], SEVERITIES[min(int(-(-severity // 1)), 5) - 1]
    return low if low == high else f"{low} to {high}"


_DIRECTION = {"new": 1, "increased": 1, "stable": 0, "decreased": -1, "resolved": -1}


def _change(reference: Finding, candidate: Finding, found: list[Difference]) -> None:
    if not candidate.change:
        found.append(Difference("temporal", UNSAID, f"{reference.change}, not told"))
    elif not reference.change:
        found.append(Difference("temporal", UNSAID, f"no change told, not {candidate.change}"))
    else:
        apart = abs(_DIRECTION[reference.change] - _DIRECTION[candidate.change])
        cost = (SLIGHT, UNKNOWN, SIGNIFICANT)[apart]
        found.append(Difference("temporal", cost, f"{reference.change}, not {candidate.change}"))


_OPPOSITES = (
    ("acute", "old", SIGNIFICANT),
    ("displaced", "nondisplaced", UNKNOWN),
    ("larger_left", "larger_right", SLIGHT),
)


def _descriptors(reference: Finding, candidate: Finding, found: list[Difference]) -> None:
    ours, theirs = set(reference.descriptors), set(candidate.descriptors)
    for one, two, cost in _OPPOSITES:
        for first, second in ((one, two), (two, one)):
            if first in ours and second in theirs:
                found.append(Difference("descriptor", cost, f"{first}, not {second}"))
                ours -= {first, second}
    if ("tension" in ours) != ("tension" in theirs):
        found.append(Difference("descriptor", UNKNOWN, "tension, not told" if "tension" in ours else "no tension"))
    if unsaid := sorted(ours - theirs - {"tension"}):
        found.append(Difference("descriptor", UNSAID, f"{', '.join(unsaid)}, not told"))


def _position(known: Ontology, reference: Finding, candidate: Finding, found: list[Difference]) -> None:
    says = f"{', '.join(reference.positions) or 'no position'}, not {', '.join(candidate.positions) or 'told'}"
    wrong = misplaced(known, reference)
    if not candidate.positions:
        found.append(Difference("location", UNKNOWN if wrong else UNSAID, says))
    elif wrong != misplaced(known, candidate):
        found.append(Difference("location", SIGNIFICANT, says))
    elif wrong and "in_place" in candidate.positions and "in_place" not in reference.positions:
        found.append(Difference("location", UNKNOWN, says))
    elif reference.positions and set(reference.positions).isdisjoint(candidate.positions):
        vague = "in_place" in (*reference.positions, *candidate.positions)
        found.append(Difference("location", UNSAID if vague else UNKNOWN, says))
