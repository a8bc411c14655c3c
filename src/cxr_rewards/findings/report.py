"""Join the mentions of each finding of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cxr_rewards.findings.contradiction import contradictions
from cxr_rewards.findings.finding import CERTAINTIES, DENIED, MANY, OTHER_SIDE, Finding
from cxr_rewards.findings.ontology import Ontology, ontology
from cxr_rewards.findings.places import places_meet, sides_meet


class Report(NamedTuple):
    """The findings of a report, each one once.

    Attributes:
        abnormal: findings that are present or possible, in order of reading, including devices and remarks on the
            examination.
        absent: denials, by name or implied by a normal statement, of findings that are not abnormal elsewhere in the
            report.
        contradicted: abnormal findings that are also denied, by name or by a normal statement; see `contradictions`.
        comparisons: statements of change without a finding.
        taken_back: those of `contradicted` whose denial is as precise as the statement.
    """

    abnormal: tuple[Finding, ...]
    absent: tuple[Finding, ...]
    contradicted: tuple[Finding, ...]
    comparisons: tuple[Finding, ...]
    taken_back: tuple[Finding, ...] = ()


def silent(report: Report | None) -> bool:
    """Return whether nothing about the image was read: no report, or one that only compares ("no change").

    Example:
        >>> silent(None), silent(Report((), (), (), (Finding("comparison", change="stable"),)))
        (True, True)
    """
    return report is None or not (report.abnormal or report.absent)


def join(one: Finding, two: Finding) -> Finding:
    """Return one finding from two mentions of it: the first, completed by the second; with the higher certainty."""
    side = one.side or two.side
    if one.side and two.side and one.side != two.side:
        side = "bilateral"
    return one._replace(
        certainty=min(one.certainty, two.certainty, key=CERTAINTIES.index),
        side=side,
        places=tuple(sorted({*one.places, *two.places})),
        severity=max(one.severity, two.severity),
        size_mm=max(one.size_mm, two.size_mm),
        number=min(max(one.number, two.number), MANY),
        change=one.change or two.change,
        descriptors=tuple(sorted({*one.descriptors, *two.descriptors})),
        positions=tuple(sorted({*one.positions, *two.positions})),
    )


def merge(findings: Sequence[Finding]) -> Report:
    """Join the mentions of each finding in a report.

    Mentions of an observation are one finding if their sides and places can be the same, or if one of them is
    bilateral. A finding is dropped if the report names a kind of it in the same place, which takes over the attributes
    that only the general mention has: "left opacity, likely pneumonia" is one finding, a pneumonia on the left. A sign
    is dropped beside what it is a sign of: "blunted angle from a small effusion" is one finding, a small effusion.

    Example:
        >>> from cxr_rewards.findings.reader import read
        >>> report = merge(read("Small left effusion. Opacity in the left base, likely pneumonia. Left effusion."))
        >>> [(f.observation, f.side, f.severity, f.places) for f in report.abnormal]
        [('pleural_effusion', 'left', 2.0, ()), ('pneumonia', 'left', 0.0, ('base',))]
    """
    known = ontology()
    groups: dict[str, list[Finding]] = {}
    absent: list[Finding] = []
    comparisons: list[Finding] = []
    if any("tension" in finding.descriptors for finding in findings):
        findings = _with_tension(findings)
    # General mentions last, so that their order does not matter.
    located = [finding for finding in findings if finding.side or finding.places]
    general = [finding for finding in findings if not finding.side and not finding.places] if located else findings
    for finding in (*located, *general):
        if finding.certainty in DENIED:
            absent.append(finding)
        elif finding.observation == "comparison":
            comparisons.append(finding)
        else:
            _add(known, groups.setdefault(finding.observation, []), finding)
    if not groups:
        return Report((), tuple(absent), (), tuple(comparisons))
    _absorb(known, groups)
    abnormal = [finding for group in groups.values() for finding in group]
    abnormal.sort(key=lambda finding: finding.start)
    kept = [
        denial
        for denial in absent
        if denial.observation not in groups
        or "other" in denial.descriptors
        or not any(_clash(known, finding, denial) for finding in groups[denial.observation])
    ]
    contradicted, taken_back = contradictions(known, abnormal, absent) if absent else ((), ())
    return Report(tuple(abnormal), tuple(kept), contradicted, tuple(comparisons), taken_back)


_UNDER_TENSION = frozenset(("pneumothorax", "tension_pneumothorax"))


def _with_tension(findings: Sequence[Finding]) -> list[Finding]:
    """Say tension of the pneumothorax, if a report says it of something else: "a shift in keeping with tension"."""
    of_others = False
    told: list[Finding] = []
    for finding in findings:
        if "tension" in finding.descriptors and finding.observation not in _UNDER_TENSION:
            of_others = of_others or finding.polarity != "absent"
            finding = finding._replace(descriptors=tuple(name for name in finding.descriptors if name != "tension"))
        told.append(finding)
    if not of_others:
        return told
    return [
        finding._replace(descriptors=tuple(sorted({*finding.descriptors, "tension"})))
        if finding.observation in _UNDER_TENSION and finding.polarity != "absent"
        else finding
        for finding in told
    ]


def _clash(known: Ontology, finding: Finding, denial: Finding) -> bool:
    return sides_meet(finding, denial) and places_meet(known, finding, denial)


def _add(known: Ontology, group: list[Finding], finding: Finding) -> None:
    """Add a mention to the findings of its observation: join it with those it can be the same as, or append it."""
    if finding.side == "bilateral" or any(other.side == "bilateral" for other in group):
        for other in group:
            finding = join(other, finding)
        group[:] = [finding]
        return
    meets = [i for i, other in enumerate(group) if sides_meet(other, finding) and places_meet(known, other, finding)]
    if not meets:
        group.append(finding)
    elif len(meets) == 1 or finding.side or finding.places:
        joined = group[meets[0]]
        for i in meets[1:]:
            joined = join(joined, group[i])
        joined = join(joined, finding)
        group[:] = [joined if i == meets[0] else other for i, other in enumerate(group) if i not in meets[1:]]


def _absorb_signs(known: Ontology, groups: dict[str, list[Finding]], name: str) -> None:
    """Drop signs that stand beside what they are signs of; only a side and a severity are taken over."""
    observation = known.observations[name]
    causes = groups.get(observation.ancestors[0], [])
    others = [finding for other in sorted(observation.like) for finding in groups.get(other, ())]
    remaining = []
    for sign in groups[name]:
        i = next((i for i, cause in enumerate(causes) if sides_meet(cause, sign)), None)
        if i is None and any(_clash(known, other, sign) for other in others):
            continue  # "blunted angle from pleural thickening"
        if i is None:
            remaining.append(sign)
        else:
            cause = causes[i]
            causes[i] = cause._replace(side=cause.side or sign.side, severity=cause.severity or sign.severity)
    if remaining:
        groups[name] = remaining
    else:
        del groups[name]


def _absorb(known: Ontology, groups: dict[str, list[Finding]]) -> None:
    """Join general findings into the specific ones in the same place, and signs into what they are signs of."""
    for name in [name for name in groups if known.observations[name].sign]:
        _absorb_signs(known, groups, name)
    for name in list(groups):
        for ancestor in known.observations[name].ancestors:
            if name not in groups or ancestor not in groups:
                continue
            remaining = []
            for general in groups[ancestor]:
                specific = groups[name]
                i = next((i for i, f in enumerate(specific) if _clash(known, f, general)), None)
                if i is None:
                    remaining.append(general)
                else:
                    kind = specific[i]
                    specific[i] = join(kind, general)._replace(certainty=kind.certainty, side=kind.side or general.side)
                    if general.side == "bilateral" and kind.side in OTHER_SIDE:  # bilateral opacities, left pneumonia
                        remaining.append(general._replace(side=OTHER_SIDE[kind.side]))
            if remaining:
                groups[ancestor] = remaining
            else:
                del groups[ancestor]
