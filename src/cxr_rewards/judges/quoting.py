"""Separates a judge's own words from its quotes of a report, which are not part of its verdict."""

from __future__ import annotations

import re
from bisect import bisect_right

_TEXTS = "candidate|reference|priors?|report|patient|phrases|evidence|quote|blockquote"
_TAG = re.compile(rf"[<‹](/?)(?:{_TEXTS})\b[^<>\n]{{0,80}}>", re.IGNORECASE)
_QUOTED_LINE = re.compile(r"^[ \t]*>[^\n]*", re.MULTILINE)
_QUOTE = re.compile(r'(?P<opens>(?<![\w.,;:!?)\]])"(?=\S)|[“«])|["”»]')
_FENCE = re.compile(r"^[ \t]*```[\w-]*[ \t]*$", re.MULTILINE)
_WHOSE = re.compile(r"\b(?:candidate|reference|prior|earlier|generated|(?:the|this) report)(?:'s|s)?\b", re.IGNORECASE)
_SAYS = re.compile(
    r"\b(?:says?|said|states?|stated|reads?|writes?|wrote|written|claims?|quot\w+|contains?|holds?|includes?"
    r"|ends with|begins with|adds?|appends?|asserts?|declares?|tells?)\b",
    re.IGNORECASE,
)
_OWN = re.compile(
    r"\b(?:my|i|mine|verdict|answer|result|counts?|counted|assessment|evaluation|errors?|findings)\b", re.IGNORECASE
)
_LABEL = re.compile(
    r"[\s*_#>-]*(?:the )?(?:candidate|reference|prior|earlier|generated)(?: report| text)?[\s*_]*:", re.IGNORECASE
)

_LEADS = re.compile(r"^[\s,;:\"'“‘«(>*_-]{0,40}$|:[\s\"'“‘«(>*_-]{0,40}$")
_SPACE = re.compile(r"\s*")

Spans = list[tuple[int, int]]


def unfenced(text: str) -> str:
    """Return a text without the lines that begin and end code fences."""
    return _FENCE.sub("", text)


def marked_quotes(text: str) -> Spans:
    """Return the spans between a report's tags, and the lines quoted by `>`; in order."""
    spans: Spans = [line.span() for line in _QUOTED_LINE.finditer(text)]
    begin: int | None = None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            begin = tag.start() if begin is None else begin
        elif begin is not None:
            spans.append((begin, tag.end()))
            begin = None
    if begin is not None:
        spans.append((begin, len(text)))
    return _merged(spans)


def quotes(text: str) -> Spans:
    """Return `marked_quotes` and the spans between quotation marks; an unclosed mark quotes nothing.

    Example:
        >>> [text[a:b] for text in ['It says "no errors", 5" tube.'] for a, b in quotes(text)]
        ['"no errors"']
    """
    spans = marked_quotes(text)
    begin: int | None = None
    for mark in _QUOTE.finditer(text):
        if begin is None and mark["opens"]:
            begin = mark.start()
        elif begin is not None and (mark[0] in "”»" or (mark[0] == '"' and text[begin] == '"')):
            spans.append((begin, mark.end()))
            begin = None
    return _merged(spans)


def fences(text: str) -> Spans:
    """Return the spans of code fences, in order; an unclosed fence reaches to the end."""
    marks = list(_FENCE.finditer(text))
    ends = [mark.end() for mark in marks[1::2]] + [len(text)]
    return [(mark.start(), end) for mark, end in zip(marks[::2], ends, strict=False)]


def _merged(spans: Spans) -> Spans:
    merged: Spans = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def within(spans: Spans, position: int) -> bool:
    """Return whether a position lies in one of the spans, which must be in order."""
    at = bisect_right(spans, (position, 1 << 62)) - 1
    return at >= 0 and position < spans[at][1]


def own_matches(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Return a pattern's matches that do not begin in a quote, nor, if there are others, in a code fence.

    A fence after words that lead to a quote is a quote.
    """
    fenced = fences(text)
    quoted = _merged([*quotes(text), *(fence for fence in fenced if leads_to_quote(line_before(text, fence[0])))])
    own = [match for match in pattern.finditer(text) if not within(quoted, match.start())]
    return [match for match in own if not within(fenced, match.start())] or own


def without_quotes(text: str) -> str:
    """Return a text without the inside of each quote."""
    kept, position = [], 0
    for begin, end in quotes(text):
        kept.append(text[position:begin])
        position = end
    return " ".join((*kept, text[position:]))


def leads_to_quote(line: str) -> bool:
    """Return whether a line ends by introducing the words of a report.

    Example:
        >>> [leads_to_quote(line) for line in ("The candidate ends with:", 'It is as the candidate says "Clear.')]
        [True, True]
        >>> [leads_to_quote(line) for line in ("Errors of the candidate:", "The candidate states an effusion.")]
        [False, False]
    """
    rest = _behind_introduction(line)
    if rest is None:
        return False
    return bool(_LEADS.search(rest)) or rest.count('"') % 2 == 1 or rest.count("“") > rest.count("”")


def introduces_quote(line: str) -> bool:
    """Return whether a line leads to a quote or begins one, as in "Candidate: Clear lungs."."""
    rest = _behind_introduction(line)
    return rest is not None and (leads_to_quote(line) or rest.startswith(":") or _LABEL.match(line) is not None)


def _behind_introduction(line: str) -> str | None:
    """Return the text after words such as "The candidate says", which name a report as the speaker, else None."""
    line = line[-400:]
    if _OWN.search(line):
        return None
    if label := _LABEL.match(line):
        return line[label.end() :]
    whose = _WHOSE.search(line)
    says = _SAYS.search(line, whose.end()) if whose else None
    return line[says.end() :] if says else None


def open_introductions(text: str) -> list[int]:
    """Return the ends of lines that introduce a quote without marks to show where the quote ends."""
    begins = [begin for begin, _ in _merged([*quotes(text), *fences(text)])]
    ends: list[int] = []
    start = 0
    for line in text.splitlines(keepends=True):
        end = start + len(line)
        if introduces_quote(line):
            following = _SPACE.match(text, end)
            reach = following.end() if following else end
            at = bisect_right(begins, start - 1)
            if not (at < len(begins) and begins[at] <= reach):
                ends.append(end)
        start = end
    return ends


def line_before(text: str, position: int) -> str:
    """Return the text before a position on its line, else the last line before it that is neither blank nor a fence."""
    lead = text[max(0, position - 1000) : position]
    for line in reversed(lead.split("\n")):
        if line.strip(" \t`") and not _FENCE.match(line):
            return line
    return ""
