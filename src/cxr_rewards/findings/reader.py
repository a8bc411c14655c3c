"""From a report's words to its findings, sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cxr_rewards.findings.finding import Finding
from cxr_rewards.findings.mention import Sentence
from cxr_rewards.findings.ontology import ontology
from cxr_rewards.findings.phrases import items
from cxr_rewards.findings.sentence import Walker
from cxr_rewards.text.sections import Section, sections
from cxr_rewards.text.sentences import sentences
from cxr_rewards.text.tidy import lower, tidy

READ_SECTIONS = frozenset(("", "findings", "impression", "findings_impression", "recommendation", "addendum", "report"))
"""Sections that speak of the image; indication, history, comparison, technique and the like do not."""
RUN_ON_SECTIONS = frozenset(("comparison", "technique", "examination", "indication", "history"))
"""Sections whose first sentence some reports follow with the findings: read where nothing else says anything."""
_REMEMBERED = 400
"""Sentences up to this length are remembered: reports repeat themselves, rollouts of one prompt more so."""


def read(text: str) -> tuple[Finding, ...]:
    """Return what a report says of its image, in order of reading.

    Reads the sections in `READ_SECTIONS` (where these say nothing, `RUN_ON_SECTIONS`), knows what `ontology/`,
    `anatomy.toml` and `language.toml` list, and takes any text. A normal statement is read as the absences it implies:
    "the heart is normal" denies `cardiomegaly`.

    Example:
        >>> report = "INDICATION: Pneumonia? FINDINGS: No effusion or pneumothorax. The heart is mildly enlarged."
        >>> [(f.observation, f.polarity, f.severity) for f in read(report)]
        [('pleural_effusion', 'absent', 0.0), ('pneumothorax', 'absent', 0.0), ('cardiomegaly', 'present', 2.0)]
        >>> nodule = read("Possible new 8 mm nodule at the left base.")[0]
        >>> nodule.polarity, nodule.side, nodule.places, nodule.size_mm, nodule.change
        ('possible', 'left', ('base',), 8.0, 'new')
        >>> (nodule.start, nodule.end)
        (18, 24)
    """
    tidied = tidy(text)
    parts = sections(tidied)
    found = _read(tidied, [part for part in parts if part.name in READ_SECTIONS])
    return found or _read(tidied, [part for part in parts if part.name in RUN_ON_SECTIONS], skip=1)


def _read(tidied: str, parts: Sequence[Section], skip: int = 0) -> tuple[Finding, ...]:
    """Read the parts, each without its first `skip` sentences."""
    plain = lower(tidied)
    found: list[Finding] = []
    new = tuple.__new__  # a third of the time that the constructor takes
    for part in parts:
        for start, end in sentences(tidied, part.start, part.end, tidied=True)[skip:]:
            sentence = plain[start:end]
            says = _remembered(sentence) if end - start <= _REMEMBERED else _read_sentence(sentence)
            if says.pending and found and (says.refers_back or not says.findings):
                _amend(found, says)
            for fields in says.findings:
                if not fields[0] and found and found[-1].polarity == "absent":
                    last = found[-1]
                    if not last.severity and (
                        last.implied or last.side not in ("left", "right") or fields[2] == last.side
                    ):
                        continue  # there is none that "the right one" could be
                observation = fields[0] or (found[-1].observation if found else "comparison")
                found.append(new(Finding, (observation, *fields[1:-2], fields[-2] + start, fields[-1] + start)))
    return tuple(found)


def _read_sentence(sentence: str) -> Sentence:
    known = ontology()
    phrases, words = items(known, sentence)
    return Walker(known, phrases, words).read()


_remembered = lru_cache(maxsize=1 << 14)(_read_sentence)


def _amend(found: list[Finding], says: Sentence) -> None:
    """Add what a sentence without a finding of its own says to the last finding before it: "It measures 8 mm."."""
    last = found[-1]
    if last.polarity == "absent" or last.observation == "comparison":
        return
    changes: dict[str, Any] = {}
    for slot, value in says.pending:
        if slot == "size" and not last.size_mm:
            changes["size_mm"] = value
        elif slot == "position":
            changes["positions"] = tuple(sorted({*last.positions, *changes.get("positions", ()), value}))
        elif not says.refers_back:
            continue
        elif slot == "polarity":
            changes["polarity"] = value
        elif slot in ("change", "severity") and not getattr(last, slot):
            changes[slot] = value
    found[-1] = last._replace(**changes)
