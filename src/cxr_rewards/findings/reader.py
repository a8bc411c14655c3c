"""Read a report: find its sections and sentences, and walk over each sentence.

1. `tidy` the text, and split it into sections (`cxr_rewards.text`).
2. Turn labels with their values, tables and check boxes into sentences (`layout/`), and split the rest into sentences.
3. Find the known phrases of a sentence (`phrases.py`), cut it into clauses (`clauses.py`), and walk over them
   (`walker/`). Sentences are remembered.
4. Join what a sentence says of the finding before it ("It measures 8 mm.").

A text of plain sentences alone, as most rollouts are, is read without steps 1 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, TypedDict, cast

from cxr_rewards.findings.clauses import clauses
from cxr_rewards.findings.finding import DENIED, OTHER_SIDE, Certainty, Change, Finding
from cxr_rewards.findings.layout import Span, Statement, passages, stands_for_fracture, without_legend
from cxr_rewards.findings.ontology import ontology
from cxr_rewards.findings.phrases import words_of
from cxr_rewards.findings.plain import plain_sentences
from cxr_rewards.findings.same_side import named_sides
from cxr_rewards.findings.unread import is_aside, is_request, strange_words
from cxr_rewards.findings.walker import Fields, Sentence, change_between, walk
from cxr_rewards.text.sections import Section, is_blank, sections
from cxr_rewards.text.sentences import sentences
from cxr_rewards.text.tidy import lower, tidy

READ_SECTIONS = frozenset(("", "findings", "impression", "findings_impression", "recommendation", "addendum", "report"))
"""Sections about the image; others are about the indication, history, comparison, technique and the like."""
RUN_ON_SECTIONS = frozenset(("comparison", "technique", "examination", "indication", "history"))
"""Sections that some reports follow with the findings, without a heading: read, except for their first sentence, if
there is no section of findings, and nothing is found elsewhere, or they deny something and say more than what stands
before the first heading."""
_SHORT = frozenset(("impression", "recommendation", "addendum"))
"""Sections that may follow findings which have no heading."""
_SAYS_LITTLE = frozenset(("limited_study", "rotation", "comparison"))
"""Observations that do not make a text a description of the image."""
_REMEMBERED = 400
"""Sentences up to this length are remembered: reports repeat themselves, and the rollouts of a prompt even more."""


class Reading(NamedTuple):
    """The findings of a report, and what was not understood in it.

    Attributes:
        findings: in order of reading.
        sentences: number of its sentences about the image: those of which something was read, and the unread ones.
            Labels with their values and rows of tables count as sentences.
        unread: spans of the sentences about the image of which nothing was read. Sentences about technique,
            communication or advice, and titles, are left out.
        strange: spans of the words that reports do not have: unknown to the reader, no misspellings, not ordinary.
        clinical: those of them that look like clinical terms.
        words: number of words in its sentences.
    """

    findings: tuple[Finding, ...]
    sentences: int
    unread: tuple[Span, ...]
    strange: tuple[Span, ...]
    clinical: tuple[Span, ...]
    words: int

    @property
    def unread_share(self) -> float:
        """Share of the sentences about the image of which nothing was read; 0 if there are none."""
        return len(self.unread) / self.sentences if self.sentences else 0.0


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
    return reading(text).findings


def reading(text: str) -> Reading:
    """Return the findings of a report, and what was not understood in it.

    Example:
        >>> text = "Heart size is normal. The left lung shows a zebra."
        >>> found = reading(text)
        >>> [text[slice(*span)] for span in found.unread], found.unread_share
        (['The left lung shows a zebra.'], 0.5)
        >>> [text[slice(*span)] for span in found.strange]
        ['zebra']
    """
    plain = _read_plainly(text)
    if plain is not None:
        return plain
    tidied = without_legend(tidy(text))
    parts = [part for part in sections(tidied) if not is_blank(tidied, part)]
    own = [part for part in parts if part.name in READ_SECTIONS]
    run_on = [part for part in parts if part.name in RUN_ON_SECTIONS]
    if run_on and all(part.name in _SHORT for part in own):
        others = _read_sections(text, tidied, run_on)
        if others.sentences > 1 and any(finding.certainty == "absent" for finding in others.findings):
            return _read_sections(text, tidied, [part for part in parts if part in own or part in run_on])
    found = _read_sections(text, tidied, own)
    says_much = any(finding.observation not in _SAYS_LITTLE for finding in found.findings)
    if not run_on or (says_much and any(part.name for part in own)):
        return found
    others = _read_sections(text, tidied, run_on)
    if not says_much:
        goes_on = bool(others.findings)
    else:  # "Portable film, line in place. History: sepsis. There is ..."
        goes_on = others.sentences > found.sentences and any(f.certainty == "absent" for f in others.findings)
    return _read_sections(text, tidied, [part for part in parts if part in own or part in run_on]) if goes_on else found


def _read_plainly(text: str) -> Reading | None:
    """Read a text of plain sentences; None if it is another."""
    plain = plain_sentences(text)
    if plain is None:
        return None
    draft = _Draft([])
    for sentence, start in plain:
        draft.add(sentence, start)
    return draft.finished()


def _read_sections(raw: str, tidied: str, parts: Sequence[Section]) -> Reading:
    """Read sections; those of `RUN_ON_SECTIONS` without their first sentence."""
    plain = lower(tidied)
    draft = _Draft([])
    marked = "#" in plain
    for part in parts:
        left = part.name in RUN_ON_SECTIONS
        for passage in passages(tidied, plain, raw, part.start, part.end):
            if isinstance(passage, Statement):
                draft.add_statement(passage)
                continue
            for start, end in sentences(tidied, *passage, tidied=True):
                if marked:
                    start = _with_fracture_mark(plain, start)
                if left:
                    left = False
                else:
                    draft.add(plain[start:end], start)
    return draft.finished()


def _with_fracture_mark(plain: str, start: int) -> int:
    """Return where a sentence begins, with the mark of a fracture before it: "# of the clavicle"."""
    at = plain.rfind("#", max(0, start - 2), start)
    return at if at >= 0 and not plain[at + 1 : start].strip(" ") and stands_for_fracture(plain, at) else start


@dataclass(slots=True)
class _Draft:
    """A reading in the making; see `Reading`."""

    findings: list[Finding]
    sentences: int = 0
    words: int = 0
    unread: list[Span] = field(default_factory=list)
    strange: list[Span] = field(default_factory=list)
    clinical: list[Span] = field(default_factory=list)

    def add(self, text: str, start: int) -> None:
        """Read a sentence that begins at `start`, and add its findings to those before it."""
        if " side" in text or "silateral" in text or "ralateral" in text or "underlying" in text or "adjacent" in text:
            text = named_sides(text, self.findings[-1].side if self.findings else "")
        sentence, aside, words, strange, clinical = (
            _remembered(text) if len(text) <= _REMEMBERED else _read_sentence(text)
        )
        told, refers_back, unclaimed = sentence
        findings = self.findings
        is_read = bool(told)
        if unclaimed and findings and (refers_back or not is_read):
            last, findings[-1] = findings[-1], _amended(findings[-1], sentence)
            is_read = is_read or last != findings[-1]
        new = tuple.__new__  # a third of the time that the constructor takes
        for fields, begin, end in told:
            named = fields if fields[0] else _repeated(findings, fields)
            if named is not None:
                findings.append(new(Finding, (*named, begin + start, end + start)))
        self.words += words
        if is_read:
            self.sentences += 1
        elif not aside:
            self.sentences += 1
            self.unread.append((start, start + len(text)))
        if strange:
            self.strange += [(start + a, start + b) for a, b in strange]
            self.clinical += [(start + a, start + b) for a, b in clinical]

    def add_statement(self, statement: Statement) -> None:
        """Read a statement, and point its findings at the report."""
        own = _Draft([])
        own.add(statement.text, 0)
        for finding in own.findings:
            start, end = statement.span(finding.start, finding.end)
            self.findings.append(finding._replace(start=start, end=end))
        self.sentences += own.sentences
        self.words += own.words
        for name in ("unread", "strange", "clinical"):
            getattr(self, name).extend(statement.span(*span) for span in getattr(own, name))

    def finished(self) -> Reading:
        """Return the reading."""
        spans = (tuple(self.unread), tuple(self.strange), tuple(self.clinical))
        return Reading(tuple(self.findings), self.sentences, *spans, self.words)


_NOTHING = Sentence((), refers_back=False, unclaimed=())


def _read_sentence(text: str) -> tuple[Sentence, bool, int, tuple[Span, ...], tuple[Span, ...]]:
    """Return the reading of a sentence, whether it is an aside that is not about the image, and its `Strange` words."""
    known = ontology()
    words = words_of(known, text)
    strange = strange_words(text, words)
    if "?" in text and is_request(text):
        return _NOTHING, True, strange.words, strange.spans, strange.clinical
    items, count = clauses(known, text, words)
    sentence = walk(known, items, count)
    aside = not sentence.findings and is_aside(text, items, strange)
    return sentence, aside, strange.words, strange.spans, strange.clinical


_remembered = lru_cache(maxsize=1 << 14)(_read_sentence)


def _repeated(findings: list[Finding], fields: Fields) -> Fields | None:
    """Return the fields of another of the finding before ("the right one is smaller"); None if there can be none."""
    if not findings:
        return ("comparison", *fields[1:])
    if not _can_repeat(findings[-1], fields):
        return None
    if fields[2] in OTHER_SIDE and findings[-1].side == "bilateral" and findings[-1].number <= len(OTHER_SIDE):
        findings[-1] = findings[-1]._replace(side=OTHER_SIDE[fields[2]])
    return (findings[-1].observation, *fields[1:])


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
        elif slot == "position" and last.observation in ontology().devices:
            amendment["positions"] = tuple(sorted({*last.positions, *amendment.get("positions", ()), str(value)}))
        elif not sentence.refers_back:
            continue
        elif slot == "former" and not last.change and isinstance(value, tuple):
            former = float(value[1])
            now = last.size_mm if value[0] == "size" else last.severity
            amendment["change"] = change_between(former, now) if now else ""  # "It measured 6 mm in January."
        elif slot == "certainty":
            amendment["certainty"] = cast("Certainty", value)
        elif slot == "change" and not last.change:
            amendment["change"] = cast("Change", value)
        elif slot == "severity" and not last.severity:
            amendment["severity"] = cast("float", value)
    return last._replace(**amendment)
