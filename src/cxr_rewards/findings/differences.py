"""How a candidate's finding differs from the reference's, and what each difference costs."""

from __future__ import annotations

from typing import NamedTuple

from cxr_rewards.findings.certainty import certainty_cost
from cxr_rewards.findings.finding import MANY, SEVERITIES, Finding
from cxr_rewards.findings.ontology import Ontology
from cxr_rewards.findings.pairing import kinship
from cxr_rewards.findings.places import places_meet, sides_meet
from cxr_rewards.findings.significance import misplaced, significance, significance_with

SIGNIFICANT, UNKNOWN = 0.5, 0.25
"""CRIMSON's weights of a significant attribute error, and of one of unknown significance."""
SLIGHT, UNSAID = 0.125, 0.0625
"""Finer steps: a small deviation; something that the reference says and the candidate leaves out."""
WORDING = 0.015625
"""Cost of a difference that is little more than a choice of words."""


_DOUBTFUL = frozenset(("possible", "likely"))
_MILD = 2.0
_SAME_MM, _SAME_RATIO = 2.0, 0.8
"""Measurements that differ by no more than this are the same: readers differ by as much over one nodule."""


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


def differences(known: Ontology, reference: Finding, candidate: Finding) -> tuple[Difference, ...]:
    """Return the attribute errors of the candidate's finding, compared with the reference's.

    =================== ===================================================================== =============
    kind                what differs                                                          cost
    =================== ===================================================================== =============
    unspecific          the candidate names something the finding is a kind of, in 1, 2, 3    0.25, 0.375,
                        steps                                                                 0.5
    unspecific          the candidate names what is `close` to it in the ontology, or what it 0.015625
                        is a kind of, and says of it what makes it this kind ("cavitary")
    overinterpretation  the candidate names a kind of it, or what it is mistaken for          the same
    either of these     the kind is only possible or likely: both state what it is a kind of  half of it
    location            the other side; for a device: misplaced or not                        0.5
    location            one side for both or the reverse; another lobe or zone; another tip   0.25
    location            a device that is misplaced in both, and also called right             0.25
    severity            two steps or more of five; one; less: half a step, severe and         0.5; 0.25;
                        massive; nothing for trace and mild                                   0.125
    measurement         0.5 at half or less of the larger, 0 from four fifths on, in between  up to 0.5
                        in proportion; none within 2 mm; at most 0.125 for a device's tip
    temporal            increase for decrease; one of them for stable; new for increased or   0.5; 0.25;
                        resolved for decreased                                                0.125
    descriptor          acute for old or the reverse                                          0.5
    descriptor          tension stated by one only                                            0.5
    descriptor          one is benign, and the other is not, by any word ("old", "calcified") 0.5
    descriptor          displaced for nondisplaced                                            0.25
    descriptor          another number ("several" is three or more); the other side the worse 0.125
    certainty           another grade: see `certainty_cost`; none if one is certain of what   0.0625 to
                        the other holds a kind of to be possible or likely; 0.0625 for        0.4375
                        unlikely ("top normal") and a possible trace ("borderline")
    any                 stated by the reference only: a misplaced tip; a side; all else       0.25; 0.125;
                                                                                              0.0625
    temporal            stated by one only: stable                                            0.015625
    =================== ===================================================================== =============

    What the candidate states beyond the reference costs nothing, except an invented change, and acute or old (0.0625).
    Nor does it cost to leave out what goes without saying: the `usual` side, places and kinds of the ontology (both
    sides of an edema, the base of an effusion), and that a device is in place. It costs nothing to add the kind: that a
    scar is old.
    """
    if reference[:-3] == candidate[:-3]:  # but for where they stand, and whether they are implied
        return ()
    errors: list[Difference] = []
    doubtful = _is_doubtful_kind(known, reference, candidate)
    if "tension" not in reference.descriptors or "tension" not in candidate.descriptors:  # one of them in its name
        if _is_described(known, reference, candidate):
            errors.append(Difference("unspecific", WORDING, f"{reference.observation}, not {candidate.observation}"))
        else:
            _kind(reference.observation, candidate.observation, errors, share=0.5 if doubtful else 1.0)
    _place(known, reference, candidate, errors)
    _size(reference, candidate, errors)
    if reference.change != candidate.change:
        _change(reference, candidate, errors)
    if reference.descriptors != candidate.descriptors:
        _descriptors(known, reference, candidate, errors)
    _benignity(reference, candidate, errors)
    if reference.number != candidate.number and reference.number:
        several = min(reference.number, 3) == min(candidate.number, 3) and MANY in (reference.number, candidate.number)
        many = reference.number == MANY and not candidate.number and candidate.side == "bilateral"  # on both sides
        if not several and not many:
            cost = SLIGHT if candidate.number else UNSAID
            errors.append(Difference("descriptor", cost, f"{_many(reference.number)}, not {_many(candidate.number)}"))
    if reference.certainty != candidate.certainty and not (
        doubtful and "present" in (reference.certainty, candidate.certainty)
    ):
        cost = certainty_cost(reference.certainty, candidate.certainty)
        if cost > UNSAID and _is_borderline(reference, candidate):
            cost = UNSAID
        errors.append(Difference("certainty", cost, f"{reference.certainty}, not {candidate.certainty}"))
    if reference.positions or candidate.positions:
        _position(known, reference, candidate, errors)
    return tuple(errors)


def _is_borderline(one: Finding, two: Finding) -> bool:
    """Return whether one finding is unlikely, and the other is possible and a trace: "top normal" and "borderline"."""
    if one.certainty == "unlikely":
        one, two = two, one
    return two.certainty == "unlikely" and one.certainty == "possible" and 0 < one.severity <= 1


def _many(count: int) -> str:
    return "several" if count == MANY else str(count or "no number")


def _is_doubtful_kind(known: Ontology, one: Finding, two: Finding) -> bool:
    """Return whether one finding is a doubtful kind of the other: "opacity" and "opacity, possibly pneumonia"."""
    if one.observation == two.observation:
        return False
    if one.observation in known.observations[two.observation].ancestors:
        one, two = two, one
    return one.certainty in _DOUBTFUL and two.observation in known.observations[one.observation].ancestors


def _is_described(known: Ontology, one: Finding, two: Finding) -> bool:
    """Return whether one finding is a kind of the other by its looks: a cavity, and a cavitary nodule."""
    if one.observation in known.observations[two.observation].ancestors:
        one, two = two, one
    kind = known.observations[one.observation]
    return two.observation in kind.ancestors and not kind.usual.isdisjoint(two.descriptors)


def _kind(one: str, two: str, errors: list[Difference], share: float) -> None:
    kin = kinship(one, two) if one != two else None
    if kin is not None:
        kind, steps = kin
        cost = share * SLIGHT * (1 + min(steps, 3)) if steps else WORDING
        errors.append(Difference(kind, cost, f"{one}, not {two}"))


def _place(known: Ontology, reference: Finding, candidate: Finding, errors: list[Difference]) -> None:
    usual = known.observations[reference.observation].usual
    if reference.side and reference.side != candidate.side and (candidate.side or reference.side not in usual):
        cost = SLIGHT if not candidate.side else UNKNOWN if sides_meet(reference, candidate) else SIGNIFICANT
        errors.append(Difference("location", cost, f"{reference.side}, not {candidate.side or 'any side'}"))
        if cost == SIGNIFICANT:
            return
    if reference.places and reference.places != candidate.places:
        places = ", ".join(reference.places)
        if not candidate.places:
            spread = candidate.side == "bilateral" or candidate.number >= 3
            unsaid = {*usual, "diffuse"} if spread else usual
            if not unsaid.issuperset(reference.places):
                errors.append(Difference("location", UNSAID, f"{places}, not told"))
        elif not places_meet(known, reference, candidate):
            errors.append(Difference("location", UNKNOWN, f"{places}, not {', '.join(candidate.places)}"))


def _size(reference: Finding, candidate: Finding, errors: list[Difference]) -> None:
    if reference.severity:
        if candidate.severity:
            apart = _steps(reference.severity, candidate.severity)
            cost = SIGNIFICANT if apart >= 2 else UNKNOWN if apart >= 1 else SLIGHT if apart else 0.0
            if cost:
                says = f"{in_words(reference.severity)}, not {in_words(candidate.severity)}"
                errors.append(Difference("severity", cost, says))
        elif not candidate.size_mm:
            errors.append(Difference("severity", UNSAID, f"{in_words(reference.severity)}, not told"))
    if reference.size_mm:
        if candidate.size_mm:
            cost = _measurement_cost(reference, candidate)
            if cost:
                says = f"{reference.size_mm:g} mm, not {candidate.size_mm:g} mm"
                errors.append(Difference("measurement", cost, says))
        elif not candidate.severity:
            errors.append(Difference("measurement", UNSAID, f"{reference.size_mm:g} mm, not told"))


def _measurement_cost(reference: Finding, candidate: Finding) -> float:
    smaller, larger = sorted((reference.size_mm, candidate.size_mm))
    if larger - smaller <= _SAME_MM:
        return 0.0
    cost = SIGNIFICANT * min(1.0, max(0.0, (_SAME_RATIO - smaller / larger) / (_SAME_RATIO - 0.5)))
    return min(cost, SLIGHT) if reference.positions else round(cost, 4)


def _steps(one: float, two: float) -> float:
    """Return how far two severities are apart: trace and mild not at all, severe and massive half a step.

    Readers rarely agree on these borders: one effusion is called tiny, minimal and small. A trace is still two steps
    from moderate.
    """
    if max(one, two) <= _MILD:
        return 0.0
    return abs(min(one, 4 + (one - 4) / 2) - min(two, 4 + (two - 4) / 2))


def in_words(severity: float) -> str:
    """Return a severity in words: 2.5 is "mild to moderate"."""
    low, high = SEVERITIES[int(severity) - 1], SEVERITIES[min(int(-(-severity // 1)), 5) - 1]
    return low if low == high else f"{low} to {high}"


_DIRECTION = {"new": 1, "increased": 1, "stable": 0, "decreased": -1, "resolved": -1}


def _change(reference: Finding, candidate: Finding, errors: list[Difference]) -> None:
    if not candidate.change:
        cost = WORDING if reference.change == "stable" else UNSAID
        errors.append(Difference("temporal", cost, f"{reference.change}, not told"))
    elif not reference.change:
        cost = WORDING if candidate.change == "stable" else UNSAID
        errors.append(Difference("temporal", cost, f"no change told, not {candidate.change}"))
    else:
        apart = abs(_DIRECTION[reference.change] - _DIRECTION[candidate.change])
        cost = (SLIGHT, UNKNOWN, SIGNIFICANT)[apart]
        errors.append(Difference("temporal", cost, f"{reference.change}, not {candidate.change}"))


_OPPOSITES = (
    ("acute", "old", SIGNIFICANT),
    ("displaced", "nondisplaced", UNKNOWN),
    ("larger_left", "larger_right", SLIGHT),
)


_AGES = frozenset(("acute", "old"))


def _benignity(reference: Finding, candidate: Finding, errors: list[Difference]) -> None:
    """Add an error if one of the findings is benign and the other is not, unless acute for old tells it already.

    The severity, size and change of the reference are taken for both: their differences have costs.
    """
    ours = significance(reference)
    theirs = significance_with(candidate, reference.severity, reference.size_mm, reference.change)
    if ours == theirs or "benign" not in (ours, theirs):
        return
    if not any(error.kind == "descriptor" and error.cost == SIGNIFICANT for error in errors):
        says = "benign, not of weight" if ours == "benign" else "of weight, not benign"
        errors.append(Difference("descriptor", SIGNIFICANT, says))


def _descriptors(known: Ontology, reference: Finding, candidate: Finding, errors: list[Difference]) -> None:
    ours, theirs = set(reference.descriptors), set(candidate.descriptors)
    if "acute" not in ours | theirs:
        observation = known.observations[reference.observation]
        for name in (observation.name, *observation.ancestors):
            ours -= known.observations[name].usual
            theirs -= known.observations[name].usual
    for one, two, cost in _OPPOSITES:
        for first, second in ((one, two), (two, one)):
            if first in ours and second in theirs:
                errors.append(Difference("descriptor", cost, f"{first}, not {second}"))
                ours -= {first, second}
                theirs -= {first, second}
    if ("tension" in ours) != ("tension" in theirs):
        errors.append(Difference("descriptor", SIGNIFICANT, "tension, not told" if "tension" in ours else "no tension"))
    if told := sorted((theirs - ours) & _AGES):
        errors.append(Difference("descriptor", UNSAID, f"not {', '.join(told)}"))
    if unsaid := sorted(ours - theirs - {"tension"}):
        errors.append(Difference("descriptor", UNSAID, f"{', '.join(unsaid)}, not told"))


_BELOW = frozenset(("below_diaphragm", "stomach", "in_place"))


def _all_below(positions: tuple[str, ...]) -> bool:
    """Return whether a tip is said to lie below the diaphragm, and no further than the stomach."""
    return _BELOW.issuperset(positions) and positions != ("in_place",)


def _position(known: Ontology, reference: Finding, candidate: Finding, errors: list[Difference]) -> None:
    says = f"{', '.join(reference.positions) or 'no position'}, not {', '.join(candidate.positions) or 'told'}"
    wrong = misplaced(known, reference)
    if not candidate.positions:
        if wrong or reference.positions != ("in_place",):
            errors.append(Difference("location", UNKNOWN if wrong else UNSAID, says))
    elif wrong != misplaced(known, candidate):
        errors.append(Difference("location", SIGNIFICANT, says))
    elif wrong and "in_place" in candidate.positions and "in_place" not in reference.positions:
        errors.append(Difference("location", UNKNOWN, says))
    elif reference.positions and _all_below(reference.positions) and _all_below(candidate.positions):
        return  # "in the stomach" and "below the diaphragm"
    elif reference.positions and set(reference.positions).isdisjoint(candidate.positions):
        vague = "in_place" in (*reference.positions, *candidate.positions)
        errors.append(Difference("location", UNSAID if vague else UNKNOWN, says))
