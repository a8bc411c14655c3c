"""Sections of a report by heading, as positions in its text."""

from __future__ import annotations

import re
from typing import NamedTuple

from cxr_rewards.text.tidy import lower, tidy


class Section(NamedTuple):
    """A part of a report under one heading; `text[start:end]` is its content, white space included.

    Attributes:
        name: the meaning of the heading (see `SECTION_NAMES`); "" for text before any heading.
        start: where the text after the heading begins.
        end: where the next heading, or the report, ends it.
        heading_start: where the heading begins; equal to `start` if there is none.
    """

    name: str
    start: int
    end: int
    heading_start: int


_HEADINGS = {
    "findings": "findings|finding|observations|radiographic findings|chest findings|imaging findings|report findings",
    "impression": "impression|impressions|imp|conclusion|conclusions|opinion|summary|final impression|diagnosis"
    "|final diagnosis|interpretation|assessment|diagnostic impression|overall impression|radiologic impression",
    "indication": "indication|indications|clinical indication|clinical indications|reason for exam|reason for study"
    "|reason for examination|reason for the exam|reason for the study|reason for this examination|reason for test"
    "|reason for visit|clinical question|reason|clinical data|request|clinical request|reason for request"
    "|reason for referral|referral|presenting complaint|clinical notes|clinical summary",
    "history": "history|clinical history|patient history|clinical information|clinical details|clinical context"
    "|medical history|relevant history|provided history|past medical history|clinical background",
    "comparison": "comparison|comparisons|comparison study|comparison studies|comparison exam|comparison date"
    "|comparison film|comparison films|compared to|prior study|prior studies|prior exam|prior exams|previous study",
    "technique": "technique|techniques|procedure|procedure comments|views|protocol|imaging technique|exposure",
    "examination": "examination|exam|exam type|examination type|study|type of study|type of exam|exam description"
    "|study description|exam date|study date|date of exam|procedure description",
    "recommendation": "recommendation|recommendations|follow up|follow-up|advice|plan|suggestion|suggestions",
    "addendum": "addendum|addenda",
    "wet_read": "wet read|wet reading|preliminary read",
    "report": "final report|preliminary report|report|radiology report|chest x-ray report|chest radiograph report"
    "|x-ray report|diagnostic report|narrative|report body",
    "notification": "notification|notifications|communication|critical result|critical results",
    "signature": "dictated by|signed by|electronically signed by|reported by|read by|radiologist|attending radiologist"
    "|attending|transcribed by|interpreted by|reviewed by|provider|ordering provider|referring physician",
}
SECTION_NAMES = ("findings", "impression", "findings_impression", *(name for name in list(_HEADINGS)[2:]))
"""Values of `Section.name` besides "": a heading that joins findings and impression is `findings_impression`."""

_NAME = {" ".join(h.replace("-", " ").split()): name for name, hs in _HEADINGS.items() for h in hs.split("|")}
# Longest first, so that "clinical history" is not read as "clinical".
_TERMS = sorted(_NAME, key=len, reverse=True)
_TERM = "(?:" + "|".join(re.escape(t).replace(r"\ ", r"(?:[ ]{1,4}|-)") for t in _TERMS) + r")(?:\(s\)|s)?(?![a-z0-9])"
_FIRST_WORDS = frozenset(word + s for t in _TERMS for word in t.split()[:1] for s in ("", "s"))
# A heading begins with a capital, or else behind the end of a line or sentence, or the mark of a heading or list item.
_CAPITALIZED = re.compile(r"([A-Z](?<![^\W_].)[A-Za-z]*)")
_AFTER_MARK = re.compile(r"[\n.!?:;)*\]_|>#\[<\u2022-] *([a-z][A-Za-z]*)")
_AT_START = re.compile(r" *([a-z][A-Za-z]*)")
_HEADING = re.compile(rf"{_TERM}(?:[ ]{{0,3}}(?:/|&|,|\+|\band\b)[ ]{{0,3}}{_TERM}){{0,2}}")
_ONE_TERM = re.compile(_TERM)
_AFTER = re.compile(
    r"(?:[ ]{0,3}\([^()\n]{0,60}\))?[ ]{0,8}[*_\]>]{0,6}[ ]{0,8}(?:(:|-(?=[ \n])|$|(?=\n))[ ]{0,8}[*_]{0,6})?"
)
_BEFORE = re.compile(r"(?:(?<![0-9])[0-9]{1,2}[.)][ ]{0,4})?[#*_\[<\u2022>\- ]*\Z")
_STARTS_TEXT = re.compile(r"[A-Z][a-z]|[A-Z] [a-z]|[0-9]{1,2}[.)] ")
_PROSE_BEFORE = re.compile(
    "in|no|the|of|for|with|by|and|or|other|significant|additional|acute|these|this|that|following|above|below|my|our|as"
    "|an?|to|on|any|all|incidental|new|prior|from",
    re.IGNORECASE,
)
_WORD_BEFORE = re.compile(r"([A-Za-z]+)[,]?[ ]*\Z")


# What may follow blanks begins with no blank: else the time would grow with the square of their number.
_NOTHING = re.compile(r"\s*(?:(?:none|nan|null|n/a|\.)[.\s]*)?", re.IGNORECASE)


def is_blank(text: str, section: Section) -> bool:
    """Return whether a section has a heading, but no content: blank, or `None` as ReXrank writes it.

    Example:
        >>> report = "Findings: No effusion. Impression: None"
        >>> [is_blank(report, section) for section in sections(report)]
        [False, True]
    """
    return bool(section.name) and _NOTHING.fullmatch(text, section.start, section.end) is not None


def _name(term: str) -> str:
    key = " ".join(term.replace("-", " ").replace("(s)", "").split())
    return _NAME.get(key) or _NAME[key.removesuffix("s")]


def _joint_name(heading: str) -> str:
    names = [_name(term) for term in _ONE_TERM.findall(heading)]
    return "findings_impression" if {"findings", "impression"} <= set(names) else names[0]


def _is_heading(text: str, begin: int, at: int, heading: str, after: re.Match[str]) -> bool:
    """Return whether `heading`, at `at` with its marks from `begin`, is a heading and not prose."""
    lead = text[max(0, begin - 24) : begin].rstrip(" ")
    line_start = (not lead.strip(" ") and begin <= 24) or lead.endswith("\n")
    sentence_start = line_start or lead.endswith((".", "!", "?", ":", ";", ")", "*", "]", "_", "|", ">"))
    marked = any(mark in "#*_[<" for mark in text[begin:at])
    capital = heading[0].isupper()
    mark = after.group(1)
    if mark == ":":
        if sentence_start:
            return True
        word = _WORD_BEFORE.search(lead)
        return capital and not (word and _PROSE_BEFORE.fullmatch(word.group(1)))
    if mark == "-":
        return line_start and (capital or marked)
    if mark is not None:  # the heading ends its line
        if not line_start:
            return marked and sentence_start and capital
        before = text[max(0, begin - 200) : begin].rstrip(" ")
        closed = (
            not before.strip() or before.endswith("\n\n") or before.rstrip().endswith((".", ":", "!", "?", "-", "="))
        )
        return capital or marked or closed
    if heading.isupper() and sentence_start and len(heading) > 3:
        return text[after.end() - 1 : after.end()] == " " and bool(_STARTS_TEXT.match(text, after.end()))
    return False


def heading_starts(plain: str) -> list[int]:
    """Return the positions where a known heading may begin, in order; only these few need a closer look."""
    starts: list[int] = []
    for words in (_CAPITALIZED, _AFTER_MARK):
        if not _FIRST_WORDS.isdisjoint(map(str.lower, words.findall(plain))):
            starts += [m.start(1) for m in words.finditer(plain) if m[1].lower() in _FIRST_WORDS]
    if (m := _AT_START.match(plain)) is not None and m[1].lower() in _FIRST_WORDS:
        starts.append(m.start(1))
    return sorted(starts)


def names_heading(plain: str) -> bool:
    """Return whether a text has the words of a heading where one may begin.

    Example:
        >>> names_heading("No effusion. Findings:"), names_heading("No effusion. Patient rotated.")
        (True, False)
    """
    starts = heading_starts(plain)
    small = lower(plain) if starts else ""
    return any(_HEADING.match(small, at) for at in starts)


def sections(text: str) -> tuple[Section, ...]:
    """Split a report at its headings, in order; together the sections and their headings cover the text.

    A heading is a known one (`FINDINGS:`, `**Impression:**`, `## Findings`, `Findings -`, `REASON FOR EXAM:`) at the
    start of a line or sentence, or capitalised before a colon; alone on its line it needs no colon. The same words
    in prose ("no significant findings.") are not headings. Joined headings take the name of their first part, except
    that findings with impression are `findings_impression`. Blank text before the first heading is not a section.

    Example:
        >>> report = "HISTORY: Cough. FINDINGS: Lungs clear. IMPRESSION: Normal."
        >>> [(s.name, report[s.start:s.end].strip()) for s in sections(report)]
        [('history', 'Cough.'), ('findings', 'Lungs clear.'), ('impression', 'Normal.')]
        >>> [s.name for s in sections("No significant findings.")]
        ['']
    """
    plain = tidy(text)
    starts = heading_starts(plain)
    small = lower(plain) if starts else ""
    headings: list[tuple[str, int, int]] = []  # name, start of the heading, end of the heading
    done = 0
    for at in starts:
        if at < done:
            continue
        match = _HEADING.match(small, at)
        if match is None:
            continue
        after = _AFTER.match(plain, match.end())
        assert after is not None  # every part of it is optional
        begin = at
        if at and plain[at - 1] != "\n":
            window = max(done, at - 16)
            before = _BEFORE.search(plain[window:at])
            begin = window + before.start() if before else at
        if _is_heading(plain, begin, at, plain[at : match.end()], after):
            done = after.end()
            headings.append((_NAME.get(match.group()) or _joint_name(match.group()), begin, done))
    first_heading = headings[0][1] if headings else len(plain)
    result = [Section("", 0, first_heading, 0)] if plain[:first_heading].strip() else []
    for i, (name, begin, start) in enumerate(headings):
        result.append(Section(name, start, headings[i + 1][1] if i + 1 < len(headings) else len(plain), begin))
    return tuple(result)
