"""Report text: clean-up that keeps positions, sections by heading, sentences.

Everything here returns positions in the text it was given, runs in linear time, and takes any text without raising:
what a policy model writes is hostile input.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_SPACES = "\t\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_SPACES += "\u2028\u2029\u202f\u205f\u3000\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\x00"
_ODD = {
    **dict.fromkeys(_SPACES, " "),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63", "-"),
    **dict.fromkeys("\u25aa\u25ab\u25cf\u25cb\u25e6\u2023\u2043\u2219\u25a0\u25b6\u27a2\uf0b7", "\u2022"),
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    "\u00d7": "x",
    "\u2044": "/",
    "\u3002": ".",
    "\u3001": ",",
}
_TIDY = str.maketrans(_ODD)
_ASCII_ODD = re.compile(r"[\x00\t\v\f\x1c-\x1f\r]")


def tidy(text: str) -> str:
    r"""Return `text` in plain characters, of the same length, so that a position in one is a position in the other.

    Line ends become a line feed (that of Windows a space and a line feed); odd and invisible spaces a space; curly
    quotes, odd dashes and full-width letters their ASCII selves; list dots a bullet. What has no single plain
    character (a ligature, a fraction) stays.

    Example:
        >>> tidy("Heart\u00a0size\u2014normal.\r\nLungs \u201cclear\u201d.")
        'Heart size-normal. \nLungs "clear".'
    """
    if text.isascii() and not _ASCII_ODD.search(text):
        return text
    return text.replace("\r\n", " \n").replace("\r", "\n").translate(_TIDY)


def lower(text: str) -> str:
    """Return `text` in lower case with the same length: the few letters that would grow (dotted I) stay.

    Example:
        >>> lower("\u0130 Heart")
        '\u0130 heart'
    """
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(small if len(small := char.lower()) == 1 else char for char in text)


class Section(NamedTuple):
    """A part of a report under one heading; `text[start:end]` is what it says, white space included.

    Attributes:
        name: what the heading means (see `SECTION_NAMES`); "" for text before any heading.
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
    "|reason for visit|clinical question|reason|clinical data",
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
"""What a `Section.name` may be, besides "": a heading that joins findings and impression is `findings_impression`."""

_NAME = {" ".join(h.replace("-", " ").split()): name for name, hs in _HEADINGS.items() for h in hs.split("|")}
# Longest first, so that "clinical history" is not read as "clinical".
_TERMS = sorted(_NAME, key=len, reverse=True)
_TERM = "(?:" + "|".join(re.escape(t).replace(r"\ ", r"(?:[ ]{1,4}|-)") for t in _TERMS) + r")(?:\(s\)|s)?(?![a-z0-9])"
_FIRST_WORDS = frozenset(word + s for t in _TERMS for word in t.split()[:1] for s in ("", "s"))
# A heading begins with a capital, or else behind the end of a line or sentence, or the mark of a heading or list item.
_CAPITALIZED = re.compile(r"[A-Z](?<![^\W_].)[A-Za-z]*")
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


def _name(term: str) -> str:
    key = " ".join(term.replace("-", " ").replace("(s)", "").split())
    return _NAME.get(key) or _NAME[key.removesuffix("s")]


def _joint_name(heading: str) -> str:
    names = [_name(term) for term in _ONE_TERM.findall(heading)]
    return "findings_impression" if {"findings", "impression"} <= set(names) else names[0]


def _is_heading(text: str, begin: int, at: int, heading: str, after: re.Match[str]) -> bool:
    """Judge whether `heading`, found at `at` with its marks from `begin`, is a heading and not prose."""
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


def _heading_starts(plain: str) -> list[int]:
    """Return where a known heading may begin, in order: at few words of a report, so that few need a closer look."""
    capitalized = [m.start() for m in _CAPITALIZED.finditer(plain) if m.group().lower() in _FIRST_WORDS]
    others = [m.start(1) for m in _AFTER_MARK.finditer(plain) if m.group(1).lower() in _FIRST_WORDS]
    if (m := _AT_START.match(plain)) is not None and m.group(1).lower() in _FIRST_WORDS:
        others.append(m.start(1))
    return sorted(capitalized + others)


def sections(text: str) -> tuple[Section, ...]:
    """Split a report at its headings, in order; together the sections and their headings cover the text.

    A heading is a known one (`FINDINGS:`, `**Impression:**`, `## Findings`, `Findings -`, `REASON FOR EXAM:`) at the
    start of a line or sentence, or capitalised before a colon; alone on its line it needs no colon. The same words
    in prose ("no significant findings.") are none. Joined headings take the name of their first part, except that
    findings with impression are `findings_impression`. Blank text before the first heading is no section.

    Example:
        >>> report = "HISTORY: Cough. FINDINGS: Lungs clear. IMPRESSION: Normal."
        >>> [(s.name, report[s.start:s.end].strip()) for s in sections(report)]
        [('history', 'Cough.'), ('findings', 'Lungs clear.'), ('impression', 'Normal.')]
        >>> [s.name for s in sections("No significant findings.")]
        ['']
    """
    plain = tidy(text)
    starts = _heading_starts(plain)
    small = lower(plain) if starts else ""
    found: list[tuple[str, int, int]] = []
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
            found.append((_NAME.get(match.group()) or _joint_name(match.group()), begin, done))
    first_heading = found[0][1] if found else len(plain)
    result = [Section("", 0, first_heading, 0)] if plain[:first_heading].strip() else []
    for i, (name, begin, start) in enumerate(found):
        result.append(Section(name, start, found[i + 1][1] if i + 1 < len(found) else len(plain), begin))
    return tuple(result)


# What may end a sentence: a full stop with what closes it (`ordinary`: after a word too long for an abbreviation), a
# line feed, a bullet, the bracket of the list number " 1) ". All begin with one set of characters: `re` skips to the
# next of a set quickly.
_STOP = re.compile(
    r"""[.!?\n\u2022)](?:
        (?P<ordinary>(?<=[A-Za-z]{5}\.)(?<!(?i:approx)\.)(?=[ \n]|\Z))
        | (?P<full>(?<=[.!?])[.!?]*["')\]*]*)
        | (?P<bullet>(?<=\u2022))
        | (?P<line>(?<=\n))
        | (?P<number>(?:(?<=[ \n][0-9]\))|(?<=[ \n][0-9]{2}\)))(?=[ ]))
    )""",
    re.VERBOSE,
)
_LIST_MARK = re.compile(r"(?:[0-9]{1,2}[.)](?=\s|[A-Za-z])|\([0-9]{1,2}\)|[-*+\u2022#>](?=\s)|#{1,6}|\u2022)\s*")
_LINE_LIST_MARK = re.compile(r"[ ]*(?:[0-9]{1,2}[.)][ ]|\([0-9]{1,2}\)|[-*+\u2022#>])")
_BEFORE_STOP = re.compile(r"[A-Za-z0-9]+(?:\.[A-Za-z])*\Z")
_NEVER_END = re.compile("dr|mr|mrs|ms|prof|drs|vs|approx|fig|cf|e[.]g|i[.]e|eg|st|viz|resp|no|nos|ca|jr|sr|incl")
_UNITS = re.compile("cm|mm|m|in|ml|cc|kg|lb|hr|hrs|min|a[.]m|p[.]m|am|pm|etc|yr|yrs")
_WRAP = 60
"""A line shorter than this, in characters, is taken to end on purpose where the next begins with a capital."""


def _full_stop(text: str, mark: tuple[int, int], begin: int, end: int, item: int) -> int | None:
    """Return where the sentence with a full stop at the span `mark` ends, or None if it goes on.

    `item` is the number of the list item that the sentence belongs to, 0 if it is in none.
    """
    at, end_of_mark = mark
    nearby = text[max(begin, at - 16) : at]
    word = nearby[nearby.rfind(" ") + 1 :]
    if not (word.isalpha() and word.isascii()):
        word_match = _BEFORE_STOP.search(nearby)
        word = word_match.group() if word_match else ""
    next_char = text[end_of_mark] if end_of_mark < end else ""
    if word.isdigit() and len(word) <= 2:
        if next_char.isdigit():
            return None  # a decimal
        if at - begin <= 16 and nearby.strip(" \n-*#") == word and len(nearby) == at - begin:
            return None  # the number of a list item
        if int(word) == item + 1 and item and next_char in " \n":
            return at - len(word)  # the next item of a list without full stops
        return end_of_mark
    if not next_char or next_char == "\n":
        return end_of_mark
    if next_char != " ":
        if next_char.isdigit() and word[-1:].isdigit():
            return None
        return end_of_mark if len(word) >= 3 and next_char.isalnum() and "." not in word else None
    after = text[end_of_mark : min(end, end_of_mark + 16)].lstrip(" ")[:1]
    small = word.lower()
    if _NEVER_END.fullmatch(small) and text[at:end_of_mark] == ".":
        return None if small not in ("no", "nos", "st", "ca") or after.isdigit() else end_of_mark
    if after.islower() and (_UNITS.fullmatch(small) or end_of_mark - at >= 3):
        return None  # "a 3 cm. nodule", "lungs ... clear"
    if len(word) == 1 and word.isupper() and after.isupper():
        return None  # an initial
    return end_of_mark


def _line_end(text: str, at: int, line_start: int, end: int) -> bool:
    """Judge whether the line feed at `at` ends a sentence."""
    rest = text[at + 1 : min(end, at + 40)]
    stripped = rest.lstrip(" ")
    if not stripped or stripped[0] == "\n" or _LINE_LIST_MARK.match(rest):
        return True
    line = text[max(line_start, at - _WRAP - 1) : at].rstrip(" ")
    if not line.strip():
        return True
    return line[-1] in ":;" or (stripped[0].isupper() and len(line) < _WRAP and line[-1] not in ",-")


def sentences(text: str, start: int = 0, end: int | None = None, *, tidied: bool = False) -> list[tuple[int, int]]:
    """Return the spans of the sentences of `text[start:end]`, without list numbers, bullets and outer white space.

    A full stop after an abbreviation, within a number, or after a list number ends nothing; one with its space
    forgotten ("apex.There") does. A line feed ends a sentence before a blank line or a list item, or where a short
    line is followed by a capital; in wrapped prose it does not. Pass `tidied` where `text` comes from `tidy` already,
    as when the sections of one text are split one by one: cleaning all of it each time would take quadratic time.

    Example:
        >>> report = "1. A 1.2 cm nodule.Dr. Example was told 2. No effusion"
        >>> [report[a:b] for a, b in sentences(report)]
        ['A 1.2 cm nodule.', 'Dr. Example was told', 'No effusion']
    """
    text = text if tidied else tidy(text)
    end = len(text) if end is None else min(end, len(text))
    spans: list[tuple[int, int]] = []
    begin = line_start = start
    item = 0
    for stop in _STOP.finditer(text, start, end):
        at, kind = stop.start(), stop.lastgroup
        cut: int | None
        if kind == "ordinary" and at - begin >= 5:
            cut = at + 1
        elif kind == "line":
            cut = at if _line_end(text, at, line_start, end) else None
            line_start = at + 1
        elif kind == "bullet":
            cut = at
        elif kind == "number":
            cut = at - 1 if text[at - 2] in " \n" else at - 2  # before its one or two digits
        else:
            if at - begin <= 16 and (number := text[begin:at].strip()).isdecimal() and len(number) <= 2:
                item = int(number)
            cut = _full_stop(text, stop.span(), begin, end, item)
            if cut is not None and cut < at:
                item += 1
        if cut is not None and cut >= begin:
            _add(spans, text, begin, cut)
            begin = cut
    _add(spans, text, begin, end)
    return spans


def _add(spans: list[tuple[int, int]], text: str, begin: int, end: int) -> None:
    """Add a span, trimmed, if there is a letter or digit in it."""
    while begin < end and text[begin].isspace():
        begin += 1
    starts_with_word = begin < end and text[begin].isalpha()
    while not starts_with_word and (mark := _LIST_MARK.match(text, begin, end)) is not None:
        begin = mark.end()
    while end > begin and text[end - 1].isspace():
        end -= 1
    if starts_with_word or any(map(str.isalnum, text[begin:end])):
        spans.append((begin, end))
