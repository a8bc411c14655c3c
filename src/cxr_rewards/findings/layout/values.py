"""Turn a label and its values into statements."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cxr_rewards.findings.finding import DENIED
from cxr_rewards.findings.layout.labels import LONGEST_VALUE, Label, attributes_of, finds, qualifies
from cxr_rewards.findings.layout.statement import Passage, Span, Statement, compose
from cxr_rewards.findings.layout.words import WORD, Value, layout_words

_BREAK = re.compile(r"[,;()\[\]{}\n|/](?=\W|\Z|(?<=[;()\[\]{}\n|]))|\s+-{1,2}\s+|:(?=\s)|[.!](?=\s|\Z)|\s{2,}|,")
_PREPOSITION = re.compile(r"(?:on|in|at|within|over|along|of|for|to|by)\b")
_BARE = frozenset(("no", "n", "nope", "false", "absent", "0", "zero", "ve", "not present", "-", "--"))
"""Values that deny a finding, and say nothing of a structure."""
_EDGE = " \t\n*_\"'`{}[]|,;.:!"


class Segment(NamedTuple):
    """A part of a value, up to a comma, bracket or the like.

    Attributes:
        span: where it stands.
        value: what it says of the label; None if it only tells more.
        rest: what it tells besides; None if nothing.
        breaks: whether it stands behind a semicolon or full stop.
    """

    span: Span
    value: Value | None
    rest: Span | None
    breaks: bool


@dataclass(slots=True)
class _Group:
    """Segments that speak of the same finding."""

    value: Value | None = None
    sides: set[object] = field(default_factory=set)
    own: list[Span] = field(default_factory=list)
    rest: list[Span] = field(default_factory=list)


def trimmed(plain: str, start: int, end: int) -> Span:
    """Return a span without spaces, quotes, brackets, marks of emphasis and punctuation at its ends."""
    while start < end and plain[start] in _EDGE:
        start += 1
    while end > start and plain[end - 1] in _EDGE:
        end -= 1
    return start, end


def value_of(plain: str, start: int, end: int) -> tuple[Value, Span | None] | None:
    """Return what a part of a value says of its label, and the span of what it tells besides.

    Example:
        >>> text = "none on the left"
        >>> value, rest = value_of(text, 0, len(text))
        >>> value.name, text[slice(*rest)], value_of("no prior study", 0, 14)
        ('absent', 'on the left', None)
    """
    if end - start > LONGEST_VALUE:
        return None
    known = layout_words()
    mark = known.marks.get(plain[start:end]) or known.boxes.get(plain[start:end])
    if mark is not None:
        return known.values[mark], None
    space = plain.rfind(" ", start, end)
    if space >= 0 and (mark := known.marks.get(plain[space + 1 : end])) is not None and qualifies(plain[start:space]):
        return known.values[mark], (start, space)  # "r ++"
    matches = list(WORD.finditer(plain, start, min(end, start + 200)))
    words = tuple(match.group() for match in matches)
    for size in range(min(known.longest, len(words)), 0, -1):
        name = known.phrases.get(words[:size])
        if name is not None:
            value = known.values[name]
            if size == len(words):
                return value, None
            rest = (matches[size].start(), end)
            return (value, rest) if _goes_with(value, plain[rest[0] : rest[1]]) else None
        name = known.phrases.get(words[-size:])
        if name is not None:
            value, rest = known.values[name], (start, matches[-size - 1].end())
            if "side" in attributes_of(plain[rest[0] : rest[1]]) and _goes_with(value, plain[rest[0] : rest[1]]):
                return value, rest
    return None


def _goes_with(value: Value, rest: str) -> bool:
    """Return whether words beside a value tell more of the finding; "no change" and "no prior study" deny none."""
    if not qualifies(rest):
        return False
    if value.name != "absent":
        return True
    stated = attributes_of(rest)
    return "change" not in stated and "old" not in stated.get("descriptor", ())


def _segments(plain: str, start: int, end: int) -> Iterator[Segment]:
    known = layout_words()
    at, breaks = start, False
    whole = plain[start:end].strip()
    sign = known.boxes.get(whole) or known.marks.get(whole)
    if sign is not None:
        yield Segment((start, end), known.values[sign], None, breaks=False)
        return
    for match in (*_BREAK.finditer(plain, start, end), None):
        stop = match.start() if match is not None else end
        whole = plain[at:stop].strip()
        if whole in known.marks or whole in known.boxes:
            first = plain.index(whole, at)
            span = first, first + len(whole)
        else:
            span = trimmed(plain, at, stop)
        if span[0] < span[1]:
            read = value_of(plain, *span)
            value, rest = read if read is not None else (None, span)
            yield Segment(span, value, rest, breaks)
            breaks = False
        if match is None:
            return
        breaks = breaks or match.group()[0] in ";.!\n"
        at = match.end()


def passages_of(plain: str, label: Label, spans: Sequence[Span], values: Sequence[Span]) -> list[Passage]:
    """Return what a label and its values state.

    Args:
        plain: the report, in lower case.
        label: what the label is about.
        spans: the label's words; the last is the label itself, those before it are read with it ("Left" in a column).
        values: its values, in order: several if the label is that of a table's row.
    """
    if not label.states:
        return _of_other(plain, label, spans, values)
    groups: list[_Group] = []
    prose: list[Span] = []
    for start, end in values:
        for segment in _segments(plain, start, end):
            if segment.value is None and not _continues(plain, segment, first=not groups):
                if not groups and not prose:
                    return _in_prose(plain, label, spans, values)
                prose.append((segment.span[0], end))
                break
            _add(plain, groups, segment)
    stated = [_statement(plain, spans, group) for group in groups if group.value is None or not group.value.silent]
    if not values:
        stated = [compose(plain, spans, spans[-1])]
    return [*stated, *prose]


def _continues(plain: str, segment: Segment, *, first: bool) -> bool:
    """Return whether a segment without a value tells more of the label."""
    text = plain[segment.span[0] : segment.span[1]]
    if qualifies(text):
        return not (segment.breaks and len(text.split()) > 5)
    return not first and not segment.breaks and not finds(text) and len(text.split()) <= 8


def _add(plain: str, groups: list[_Group], segment: Segment) -> None:
    """Add a segment to the last group, or begin another: "right, moderate; left, none"."""
    rest = plain[segment.rest[0] : segment.rest[1]] if segment.rest is not None else ""
    sides = attributes_of(rest).get("side", set()) if rest else set()
    group = groups[-1] if groups else None
    value = segment.value
    if group is None or _parts(group, segment, sides):
        group = _Group()
        groups.append(group)
    if group.value is None or (value is not None and (group.value.silent or value.name == "resolved")):
        group.value = value
    group.sides |= sides
    if segment.rest is not None:
        own = value is not None and value.name == "absent" and not sides and not _PREPOSITION.match(rest)
        (group.own if own else group.rest).append(segment.rest)


def _parts(group: _Group, segment: Segment, sides: set[object]) -> bool:
    """Return whether a segment speaks of another finding than the group before it: of one on the other side."""
    if not (sides and group.sides and sides.isdisjoint(group.sides)):
        return False
    denied = group.value is not None and group.value.name == "absent"
    return segment.breaks or segment.value is not None or denied


def _statement(plain: str, spans: Sequence[Span], group: _Group) -> Statement:
    value = group.value
    parts: list[str | Span] = []
    if value is not None and value.before:
        parts.append(value.before)
    parts += group.own
    parts += spans
    if value is not None and value.after:
        parts.append(value.after)
    absent = value is not None and value.name == "absent"
    for i, rest in enumerate(group.rest):
        if absent:
            if not attributes_of(plain[rest[0] : rest[1]]).keys() & {"side", "place"}:
                continue
        else:
            parts.append("," if i else ":")
        parts.append(rest)
    return compose(plain, parts, spans[-1])


def _in_prose(plain: str, label: Label, spans: Sequence[Span], values: Sequence[Span]) -> list[Passage]:
    """Return label and value as prose; the value alone if it says by itself what it says of the label's finding."""
    start, end = values[0]
    said = finds(plain[start : min(end, start + 300)])
    more: list[Passage] = list(values[1:])
    own = {certainty for observation, certainty in said if observation in label.observations}
    bare = not attributes_of(plain[spans[-1][0] : spans[-1][1]]) and len(spans) == 1
    alone = said and (all(certainty in DENIED for _, certainty in said) or own - {"present"} or (own and bare))
    if alone:
        return [(start, end), *more]
    return [*_joined(plain, spans, (start, end)), *more]


def _joined(plain: str, spans: Sequence[Span], value: Span) -> list[Passage]:
    """Return a label and its value as prose, as they stand in the report if they do so side by side."""
    (start, end), (first, last) = spans[-1], value
    if len(spans) == 1 and start < first and re.fullmatch(r"[ *_\"':?]*", plain[end:first]):
        return [(start, last)]
    stop = re.compile(r"[.!?](?=\s|\Z)").search(plain, first, last)
    middle = stop.start() if stop is not None else last
    rest: list[Passage] = [(middle + 1, last)] if middle + 1 < last else []
    return [compose(plain, [*spans, ":", (first, middle)], spans[-1]), *rest]


def _of_other(plain: str, label: Label, spans: Sequence[Span], values: Sequence[Span]) -> list[Passage]:
    """Return what a label states that names no finding, but a structure, or a whole statement ("no effusion: true")."""
    passages: list[Passage] = []
    for start, end in values:
        read = value_of(plain, *trimmed(plain, start, end))
        if read is None:
            passages += _joined(plain, spans, (start, end)) if not passages else [(start, end)]
        elif label.kind == "denial" or (label.kind == "normal" and read[0].name in ("present", "likely")):
            return [compose(plain, spans, spans[-1])]
        elif label.kind in ("structure", "normal") and read[0].name == "absent" and not passages:
            passages += _nothing_wrong(plain, label, spans, (start, end), read[1])
    return passages


def _nothing_wrong(
    plain: str, label: Label, spans: Sequence[Span], value: Span, rest: Span | None
) -> Sequence[Passage]:
    """Return that a structure has nothing wrong with it: "Bones: nil"; a bare "no" or a sign denies nothing of it."""
    if rest is not None or label.kind == "normal":
        return _joined(plain, spans, value) if " " in plain[slice(*trimmed(plain, *value))] else ()
    if plain[slice(*trimmed(plain, *value))] in _BARE or not plain[value[0] : value[1]].strip(_EDGE):
        return ()
    return [compose(plain, [*spans, "normal"], spans[-1])]
