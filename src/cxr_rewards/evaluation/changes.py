"""Kind of change that a report states: first study, new, progression, regression, no change, or not stated.

A report states many things. The most severe decides, in the order of `KINDS`: a report that calls one finding new is
`new`, whatever else has improved.

=============== =================================================================================================
kind            the report
=============== =================================================================================================
`first_study`   is known to be the patient's first; its words do not matter
`new`           calls a finding new
`progression`   calls a finding, or the whole image, larger or worse
`regression`    calls a finding, or the whole image, smaller, better or gone
`no_change`     calls something unchanged, devices and normal structures too, or denies that anything is new
`not_stated`    compares nothing, or says only of devices that they came or went
=============== =================================================================================================

Findings are read by `cxr_rewards.findings`; a possible one counts as a present one, a denied one only if it has
resolved. Devices, other foreign material and remarks on the image (inspiration, rotation) tell nothing of the disease:
they count only if they are unchanged. Advice ("follow up to resolution") is no statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, get_args

from cxr_rewards.findings import Finding, ontology, reading

ChangeKind = Literal["first_study", "new", "progression", "regression", "no_change", "not_stated"]
KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)
"""The kinds; of `new` to `not_stated`, the first that applies."""

_KIND: dict[str, ChangeKind] = {
    "new": "new",
    "increased": "progression",
    "decreased": "regression",
    "resolved": "regression",
    "stable": "no_change",
}
_NOT_DISEASE = frozenset(
    (
        "artifact",
        "foreign_body",
        "limited_study",
        "low_lung_volumes",
        "monitoring_leads",
        "orthopedic_hardware",
        "retained_instrument",
        "rotation",
        "spinal_hardware",
        "sternotomy",
        "surgical_clips",
        "valve_replacement",
    )
)
_PLACED = re.compile(r"\b(plac(ed|ement)|insert(ed|ion)|introduc(ed|tion)|remov(ed|al))\b|inspirat", re.IGNORECASE)
_ADVICE = re.compile(
    r"\b(recommend\w*|follow(ed|ing)?[ -]?up|followed|would|could be|suggest follow\w*)\b", re.IGNORECASE
)
_NOTHING_NEW = re.compile(
    r"\b(no|without|nor|not) (\w+ ){0,2}(new|newly|interval|developing|worsening)\b"
    r"|\bremains? (\w+ )?(clear|normal|unremarkable|within normal)\b",
    re.IGNORECASE,
)
_AERATION: tuple[tuple[ChangeKind, re.Pattern[str]], ...] = (
    (
        "regression",
        re.compile(
            r"\b(improv\w+|better|increased)\b[^.;]{0,200}\baerat|\baerat\w+[^.;]{0,200}\bimprov|\bclearing of\b", re.I
        ),
    ),
    (
        "progression",
        re.compile(r"\b(worse\w*|decreas\w+|diminished)\b[^.;]{0,200}\baerat|\baerat\w+[^.;]{0,200}\bworse", re.I),
    ),
)
"""Changes of what is better if there is more of it, which are no finding."""
_SENTENCE_END = re.compile(r"[.;\n]\s")


def change_of(report: str, *, first_study: bool = False) -> ChangeKind:
    """Return the kind of change that a report states.

    Args:
        report: its text.
        first_study: the patient has no earlier study.

    Example:
        >>> change_of("New right pneumothorax. The left effusion is smaller.")
        'new'
        >>> change_of("Interval removal of the chest tube. Stable small effusion.")
        'no_change'
        >>> change_of("Small effusion."), change_of("Small effusion.", first_study=True)
        ('not_stated', 'first_study')
    """
    if first_study:
        return "first_study"
    stated = {_KIND[finding.change] for finding in _statements(report)}
    stated.update(kind for kind, words in _AERATION if words.search(report))
    if not stated and _NOTHING_NEW.search(report):
        return "no_change"
    return next((kind for kind in KINDS if kind in stated), "not_stated")


def _statements(report: str) -> Iterator[Finding]:
    """Yield the findings whose change tells of the disease, or that are unchanged."""
    not_disease = ontology().devices | _NOT_DISEASE
    for finding in reading(report).findings:
        if not finding.change:
            continue
        if finding.change == "stable":
            yield finding
        elif finding.observation == "comparison":
            sentence = _sentence_around(report, finding)
            if not _ADVICE.search(sentence) and not _PLACED.search(sentence):
                yield finding
        elif finding.observation not in not_disease and (finding.polarity != "absent" or finding.change == "resolved"):
            yield finding


def _sentence_around(report: str, finding: Finding) -> str:
    start = 0
    for end in _SENTENCE_END.finditer(report, 0, finding.start):
        start = end.end()
    after = _SENTENCE_END.search(report, finding.end)
    return report[start : after.start() if after else len(report)]
