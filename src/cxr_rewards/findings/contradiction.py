"""Findings that a report both states and denies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cxr_rewards.findings.finding import Finding
from cxr_rewards.findings.ontology import Ontology
from cxr_rewards.findings.places import covers
from cxr_rewards.findings.significance import significance

_STATED = frozenset(("present", "likely"))
_GRAVE = frozenset(("urgent", "actionable"))
_FOCAL = frozenset(("lung_opacity", "airspace_opacity"))
_ACUTE = frozenset(("Consolidation", "Edema", "Pneumonia", "Pneumothorax"))
"""CheXpert classes of what is acute unless the report says otherwise."""
_FRESH = frozenset(("", "new", "increased"))


class Contradictions(NamedTuple):
    """The findings that a report denies, and those of them that it takes back."""

    contradicted: tuple[Finding, ...]
    taken_back: tuple[Finding, ...]


def contradictions(known: Ontology, findings: Sequence[Finding], denials: Sequence[Finding]) -> Contradictions:
    """Return the findings that are also denied in the same place.

    A finding is contradicted

    - by a denial of the same observation, unless it denies less: another place, a severe one only, an acute one only,
      a further one ("no other nodule");
    - by a normal statement about what it is a kind of ("pneumonia. The lungs are clear."), if it is urgent or
      actionable; "otherwise clear" contradicts nothing;
    - if it is urgent, or acute by nature as a consolidation is, and neither old nor stable, also by a denial of
      everything acute ("no acute cardiopulmonary disease").

    It is taken back if the denial is as precise as the statement: it names the finding, or calls normal just what the
    finding is of ("cardiomegaly. The heart is normal."). A doubtful finding is not contradicted.

    Example:
        >>> from cxr_rewards.findings import merge, read
        >>> merge(read("Left effusion. Pneumonia. Normal chest radiograph. No effusion.")).contradicted[1].observation
        'pneumonia'
    """
    lineages = {
        finding.observation: (finding.observation, *known.observations[finding.observation].ancestors)
        for finding in findings
        if finding.certainty in _STATED
    }
    names = frozenset().union(*lineages.values())
    by_name: dict[str, list[Finding]] = {}
    for denial in {denial._replace(start=0, end=0) for denial in denials if denial.observation in names}:
        if denial.certainty == "absent" and not denial.change and "other" not in denial.descriptors:
            by_name.setdefault(denial.observation, []).append(denial)
    contradicted, taken_back = [], []
    for finding in findings if by_name else ():
        if finding.certainty not in _STATED:
            continue
        lineage = lineages[finding.observation]
        against = [d for name in lineage for d in by_name.get(name, ()) if _contradicts(known, d, finding)]
        if against:
            contradicted.append(finding)
        if any(_is_as_precise(denial, finding) for denial in against):
            taken_back.append(finding)
    return Contradictions(tuple(contradicted), tuple(taken_back))


def _contradicts(known: Ontology, denial: Finding, finding: Finding) -> bool:
    if denial.observation != finding.observation and not denial.implied:
        return False
    if denial.severity > (finding.severity or 2.5) or not covers(known, denial, finding):
        return False
    if not denial.implied and denial.observation in _FOCAL and _is_diffuse(finding):
        return False
    matters = significance(finding)
    if denial.implied and matters not in _GRAVE:
        return False
    if set(denial.descriptors) <= set(finding.descriptors):
        return True
    if denial.descriptors != ("acute",) or not denial.implied or finding.change not in _FRESH:
        return False
    return matters == "urgent" or known.observations[finding.observation].label in _ACUTE


def _is_diffuse(finding: Finding) -> bool:
    """Return whether a finding is of a kind that "no focal opacity" does not mean: streaky, or at both bases."""
    return "subsegmental" in finding.descriptors or finding.side == "bilateral" or "diffuse" in finding.places


def _is_as_precise(denial: Finding, finding: Finding) -> bool:
    if denial.observation != finding.observation or "acute" in denial.descriptors:
        return False
    return not denial.implied or not (finding.side or finding.places)
