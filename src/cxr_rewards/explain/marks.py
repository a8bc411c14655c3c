"""Marks on the text of a report: which phrase is which finding."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cxr_rewards.explain.explanation import FindingRow, Kind, Mark, Note
from cxr_rewards.findings import Finding, ontology
from cxr_rewards.findings.places import places_meet, sides_meet

Span = tuple[int, int]

LAYERS: tuple[tuple[Kind, ...], ...] = (
    ("false", "missed", "contradicted", "differs", "matched"),
    ("statement",),
    ("denied",),
)
"""Kinds of marks by precedence: a mark of a later layer is dropped if it overlaps one of an earlier layer."""


class _Spanned(NamedTuple):
    span: Span
    note: Note


class _Numbered(NamedTuple):
    finding: Finding
    note: Note


def marks_of(role: str, findings: Sequence[Finding], rows: Iterable[FindingRow]) -> tuple[Mark, ...]:
    """Return the marks of a report, in order and without overlap.

    Args:
        role: `reference`, `candidate` or a prior; rows concern the first two.
        findings: read from the report.
        rows: the findings that `findings_score` counts.
    """
    compared: list[_Numbered] = []
    contradicted: list[_Numbered] = []
    for row in rows:
        table = {"reference": row.reference, "candidate": row.candidate}.get(role)
        if table is not None:
            numbered = _Numbered(_finding_from(table), Note(kind=row.kind, number=row.number or None))
            (contradicted if row.kind == "contradicted" else compared).append(numbered)
    spans = {_span(finding) for finding, _ in compared}
    notes = [_Spanned(_span(finding), note) for finding, note in compared]
    for finding in findings:
        span = _span(finding)
        if finding.polarity == "absent" and span not in spans:
            clashes = [note for stated, note in contradicted if _denies(finding, stated)]
            notes += [_Spanned(span, note) for note in clashes or [Note(kind="denied")]]
        elif span not in spans:  # another mention of a compared finding, or a statement that is not compared
            same = next((note for stated, note in compared if _mentions(finding, stated)), None)
            notes.append(_Spanned(span, same or Note(kind="statement")))
    return _without_overlap(notes)


def _span(finding: Finding) -> Span:
    return finding.start, finding.end


def _finding_from(table: Mapping[str, Any]) -> Finding:
    """Return the finding that `Finding.as_dict` made a table of."""
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items() if k in Finding._fields}
    fields.setdefault("certainty", table["polarity"])
    return Finding(**{**fields, "start": table["span"][0], "end": table["span"][1]})


def _denies(denial: Finding, stated: Finding) -> bool:
    """Return whether a denial names a stated finding, in one place."""
    return not denial.implied and stated.observation == denial.observation and _in_one_place(stated, denial)


def _mentions(mention: Finding, stated: Finding) -> bool:
    """Return whether a mention was joined into a finding: it names the finding or something that it is a kind of."""
    if stated.polarity == "absent" or mention.observation == "comparison":
        return False
    names = (stated.observation, *ontology().observations[stated.observation].ancestors)
    return mention.observation in names and _in_one_place(stated, mention)


def _in_one_place(one: Finding, two: Finding) -> bool:
    return sides_meet(one, two) and places_meet(ontology(), one, two)


def _without_overlap(notes: Sequence[_Spanned]) -> tuple[Mark, ...]:
    """Join notes of one layer that overlap into one mark, and drop marks that overlap one of an earlier layer."""
    marks: list[Mark] = []
    for kinds in LAYERS:
        starts = [mark.span[0] for mark in marks]
        free = []
        for mark in _joined([spanned for spanned in notes if spanned.note.kind in kinds]):
            i = bisect(starts, mark.span[0])
            overlaps_before = i and marks[i - 1].span[1] > mark.span[0]
            overlaps_after = i < len(starts) and starts[i] < mark.span[1]
            if not overlaps_before and not overlaps_after:
                free.append(mark)
        marks = sorted([*marks, *free], key=lambda mark: mark.span)
    return tuple(marks)


def _joined(notes: Sequence[_Spanned]) -> list[Mark]:
    marks: list[Mark] = []
    for (start, end), note in sorted(
        notes, key=lambda spanned: (spanned.span, spanned.note.kind, spanned.note.number or 0)
    ):
        last = marks[-1] if marks else None
        if last is not None and start < last.span[1]:
            joined = last.notes if note in last.notes else (*last.notes, note)
            marks[-1] = Mark(span=(last.span[0], max(end, last.span[1])), notes=joined)
        else:
            marks.append(Mark(span=(start, end), notes=(note,)))
    return marks
