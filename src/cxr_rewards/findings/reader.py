"""Read a report: find its sections and sentences, and walk over each sentence.

1. `tidy` the text, and split it into sections (`cxr_rewards.text`).
2. Turn labels with their values, tables and check boxes into sentences (`layout/`), and split the rest into sentences.
3. Find the known phrases of a sentence (`phrases.py`), cut it into clauses (`clauses.py`), and walk over them
   (`walker/`). Sentences are remembered.
4. Join what a sentence says of the finding before it ("It measures 8 mm.").
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypedDict, cast

from cxr_rewards.findings.clauses import clauses
from cxr_rewards.findings.finding import DENIED, OTHER_SIDE, Certainty, Change, Finding
from cxr_rewards.findings.layout import Statement, passages
from cxr_rewards.findings.ontology import ontology
from cxr_rewards.findings.walker import Fields, Sentence, walk
from cxr_rewards.text.sections import Section, sections
from cxr_rewards.text.sentences import sentences
from cxr_rewards.text.tidy import lower, tidy

READ_SECTIONS = frozenset(("", "findings", "impression", "findings_impression", "recommendation", "addendum", "report"))
"""Sections about the image; others are about the indication, history, comparison, technique and the like."""
RUN_ON_SECTIONS = frozenset(("comparison", "technique", "examination", "indication", "history"))
"""Sections that some reports follow with the findings, without a heading: read, except for their first sentence, if
nothing is found elsewhere."""
_REMEMBERED = 400
"""Sentences up to this length are remembered: reports repeat themselves, and the rollouts of a prompt even more."""


def read(text: str) -> tuple[Finding, ...]:
    """Return the findings of a report, in order of reading.

    Any text can be read. Reads the sections in `READ_SECTIONS`, or `RUN_ON_SECTIONS` if these have no findings. Its
    knowledge is in `data/`. A normal statement is read as the absences it implies: "the heart is normal" denies
    `cardiomegaly`.

    Example:
        >>> report = "INDICATION: Pneumonia? FINDINGS: No effusion or pneumothorax. The heart is mildly enlarged."
        >>> [(f.observation, f.certainty, f.severity) for f in read(report)]
        [('pleural_effusion', 'absent', 0.0), ('pneumothorax', 'absent', 0.0), ('cardiomegaly', 'present', 2.0)]
        >>> nodule = read("Possible new 8 mm nodule at the left base.")[0]
        >>> nodule.certainty, nodule.side, nodule.places, nodule.size_mm, nodule.change
        ('possible', 'left', ('base',), 8.0, 'new')
        >>> (nodule.start, nodule.end)
        (18, 24)
    """
    tidied = tidy(text)
    parts = sections(tidied)
    findings = _read_sections(text, tidied, [part for part in parts if part.name in READ_SECTIONS])
    return findings or _read_sections(text, tidied, [part for part in parts if part.name in RUN_ON_SECTIONS], skip=1)


def _read_sections(raw: str, tidied: str, parts: Sequence[Section], skip: int = 0) -> tuple[Finding, ...]:
    """Read sections, each without its first `skip` sentences."""
    plain = lower(tidied)
    findings: list[Finding] = []
    for part in parts:
        left = skip
        for passage in passages(tidied, plain, raw, part.start, part.end):
            if isinstance(passage, Statement):
                stated: list[Finding] = []
                _read_into(stated, passage.text, 0)
                for finding in stated:
                    start, end = passage.span(finding.start, finding.end)
                    findings.append(finding._replace(start=start, end=end))
                continue
            for start, end in sentences(tidied, *passage, tidied=True):
                if left:
                    left -= 1
                else:
                    _read_into(findings, plain[start:end], start)
    return tuple(findings)


def _read_into(findings: list[Finding], text: str, start: int) -> None:
    """Read a sentence that begins at `start`, and add its findings to those before it."""
    sentence = _remembered(text) if len(text) <= _REMEMBERED else _read_sentence(text)
    if sentence.unclaimed and findings and (sentence.refers_back or not sentence.findings):
        findings[-1] = _amended(findings[-1], sentence)
    _add(findings, sentence, start)


def _read_sentence(text: str) -> Sentence:
    known = ontology()
    return walk(known, *clauses(known, text))


_remembered = lru_cache(maxsize=1 << 14)(_read_sentence)


def _add(findings: list[Finding], sentence: Sentence, start: int) -> None:
    """Append the findings of a sentence that begins at `start`."""
    new = tuple.__new__  # a third of the time that the constructor takes
    for fields in sentence.findings:
        observation = fields[0]
        if not observation and findings:  # another of the finding before: "the right one is smaller"
            if not _can_repeat(findings[-1], fields):
                continue
            observation = findings[-1].observation
            if fields[2] in OTHER_SIDE and findings[-1].side == "bilateral":
                findings[-1] = findings[-1]._replace(side=OTHER_SIDE[fields[2]])
        spans = (fields[-2] + start, fields[-1] + start)
        findings.append(new(Finding, (observation or "comparison", *fields[1:-2], *spans)))


def _can_repeat(last: Finding, fields: Fields) -> bool:
    """Return whether fields without an observation can be of the last finding: not if it is absent on their side."""
    if last.certainty not in DENIED or last.severity:
        return True
    return not last.implied and last.side in ("left", "right") and fields[2] != last.side


class _Amendment(TypedDict, total=False):
    certainty: Certainty
    severity: float
    size_mm: float
    change: Change
    positions: tuple[str, ...]


def _amended(last: Finding, sentence: Sentence) -> Finding:
    """Return the last finding with what a sentence without findings says of it: "It measures 8 mm."."""
    if last.certainty in DENIED or last.observation == "comparison":
        return last
    amendment: _Amendment = {}
    for slot, value in sentence.unclaimed:
        if slot == "size" and not last.size_mm:
            amendment["size_mm"] = cast("float", value)
        elif slot == "position":
            amendment["positions"] = tuple(sorted({*last.positions, *amendment.get("positions", ()), str(value)}))
        elif not sentence.refers_back:
            continue
        elif slot == "certainty":
            amendment["certainty"] = cast("Certainty", value)
        elif slot == "change" and not last.change:
            amendment["change"] = cast("Change", value)
        elif slot == "severity" and not last.severity:
            amendment["severity"] = cast("float", value)
    return last._replace(**amendment)
