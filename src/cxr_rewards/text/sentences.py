"""Sentences of a report, as positions in its text."""

from __future__ import annotations

import re

from cxr_rewards.text.tidy import tidy

_SIDE = r"(?:[RL][UML]?[LZ]|RMZ|[RL]t|B/?L)[ .,;]"
"""Where an abbreviated finding lies, right behind its full stop."""
# Possible ends of a sentence: a full stop with the marks that close it (`ordinary`: after a word too long for an
# abbreviation), a line feed, a bullet, the bracket of the list number " 1) ". All begin with one set of characters:
# `re` skips to the next of a set quickly.
_STOP = re.compile(
    rf"""[.!?\n\u2022)](?:
        (?P<ordinary>(?<=[A-Za-z]{{5}}\.)(?<!(?i:approx)\.)(?<!(?i:bilat)\.)
            (?=[ ](?!{_SIDE})|\n|\Z))
        | (?P<full>(?<=[.!?])[.!?]*["')\]*]*)
        | (?P<bullet>(?<=\u2022))
        | (?P<line>(?<=\n))
        | (?P<number>(?:(?<=[ \n][0-9]\))|(?<=[ \n][0-9]{{2}}\)))(?=[ ]))
    )""",
    re.VERBOSE,
)
_LIST_MARK = re.compile(r"(?:[0-9]{1,2}[.)](?=\s|[A-Za-z])|\([0-9]{1,2}\)|[-*+\u2022#>](?=\s)|#{1,6}|\u2022)\s*")
_LINE_LIST_MARK = re.compile(r"[ ]*(?:[0-9]{1,2}[.)][ ]|\([0-9]{1,2}\)|[-*+\u2022#>])")
_BEFORE_STOP = re.compile(r"[A-Za-z0-9]+(?:\.[A-Za-z])*\Z")
_NEVER_END = re.compile(
    "susp|dr|mr|mrs|ms|prof|drs|vs|approx|fig|cf|e[.]g|i[.]e|eg|st|viz|resp|no|nos|ca|jr|sr|incl|pl"
)
_UNITS = re.compile("cm|mm|m|in|ml|cc|kg|lb|hr|hrs|min|a[.]m|p[.]m|am|pm|etc|yr|yrs")
_TELEGRAPHIC = re.compile(
    "consol|atel|infilt|infiltr|nod|cardiomeg|calc|opac|effn|effus|eff|ptx|fx|pneumo|collaps|emphys|fibr|cav|bronch|lt|rt|bilat"
)
_WHERE = re.compile(
    r" (?:[RL][UML]?[LZ]|RMZ|[RL]t|B/?L|[Bb]ilat|[Bb]oth)"
    r"(?=[.,;]|\Z| (?:[0-9]|and\b|with\b|lungs?\b|lobes?\b|zones?\b|bas|sides?\b|upper\b|lower\b|mid|apex|apices|hil))"
)
"""Where an abbreviated finding lies: "Consol. RLZ", but not "No ptx. LLL atelectasis"."""
_ASKED = re.compile(r" (?!no\b|none\b|nil\b|yes\b)[a-z]")
_WRAP = 60
"""A line shorter than this, in characters, is taken to end on purpose if the next begins with a capital."""


_IN_SENTENCE = "[A-Za-z0-9 ,;'%/(-]*"
_SHORT_WORD = rf"(?!(?i:{_NEVER_END.pattern}|{_UNITS.pattern}|{_TELEGRAPHIC.pattern})\.)[A-Za-z]{{2,4}}"
_PLAIN = re.compile(
    rf"(?!{_SIDE})(?=[A-Za-z0-9]){_IN_SENTENCE}(?:(?:(?<=[0-9])\.(?=[0-9])|(?<![0-9])\)){_IN_SENTENCE})*"
    rf"(?:[A-Za-z]{{5}}(?<!(?i:approx))(?<!(?i:bilat))|(?<=[ /-]){_SHORT_WORD})\."
)


def is_plain(sentence: str) -> bool:
    """Return whether a sentence with its full stop ends there, and begins where it does, whatever sentences like it are
    around it.

    Example:
        >>> is_plain("The heart is normal."), is_plain("A nodule of 1.2 cm."), is_plain("Opacity (left base).")
        (True, False, False)
    """
    return _PLAIN.fullmatch(sentence) is not None


def _full_stop(text: str, mark: tuple[int, int], begin: int, end: int, item: int) -> int | None:
    """Return where the sentence with a full stop at the span `mark` ends, or None if it goes on.

    `item` is the number of the list item that holds the sentence, or 0.
    """
    at, end_of_mark = mark
    if text[at] == "?" and _asks_of_next(text, at, begin, end):
        return None
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
    if after.islower() and (_UNITS.fullmatch(small) or _TELEGRAPHIC.fullmatch(small) or end_of_mark - at >= 3):
        return None  # "a 3 cm. nodule", "lungs ... clear", "Fx. rt. clavicle"
    if _TELEGRAPHIC.fullmatch(small) and _WHERE.match(text, end_of_mark, end):
        return None
    if len(word) == 1 and word.isupper() and after.isupper():
        return None  # an initial
    return end_of_mark


def _asks_of_next(text: str, at: int, begin: int, end: int) -> bool:
    """Return whether the question mark at `at` belongs to the words after it: "? effusion", "opacity, ?pneumonia"."""
    if at > begin and text[at - 1] not in " \n(":
        return False
    following = text[at + 1 : min(end, at + 16)]
    return following[:1].isalpha() or (text[begin:at].isspace() or at == begin) or bool(_ASKED.match(following))


def _line_end(text: str, at: int, line_start: int, end: int) -> bool:
    """Return whether the line feed at `at` ends a sentence."""
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
    forgotten ("apex.There") does. A line feed ends a sentence before a blank line or a list item, or if a short line
    is followed by a capital; in wrapped prose it does not. Pass `tidied` if `text` comes from `tidy` already, for
    example to split the sections of one text one by one: tidying all of it each time would take quadratic time.

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
            _add_span(spans, text, begin, cut)
            begin = cut
    _add_span(spans, text, begin, end)
    return spans


def _add_span(spans: list[tuple[int, int]], text: str, begin: int, end: int) -> None:
    """Add a span, trimmed, if there is a letter or digit in it."""
    kept = text[begin:end].lstrip()
    if not kept[:1].isalpha():
        begin = end - len(kept)
        while (mark := _LIST_MARK.match(text, begin, end)) is not None:
            begin = mark.end()
        kept = text[begin:end]
        if not any(map(str.isalnum, kept)):
            return
    begin = end - len(kept)
    spans.append((begin, begin + len(kept.rstrip())))
