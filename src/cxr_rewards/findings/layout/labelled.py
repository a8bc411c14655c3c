"""Read the labels of a line with their values."""

from __future__ import annotations

import re

from cxr_rewards.findings.layout.draft import Draft
from cxr_rewards.findings.layout.labels import Label, noun_of
from cxr_rewards.findings.layout.separators import Labelled, is_asking, labels_in
from cxr_rewards.findings.layout.statement import Span
from cxr_rewards.findings.layout.values import value_of
from cxr_rewards.findings.layout.words import layout_words

_IS_THERE = r"(?:is|are|was|were) there(?: (?:an?|any|the|evidence of))*"
_NEXT_QUESTION = re.compile(
    rf"[\s.;]\s*(?:q(?:uestion)?\s?[0-9]{{0,2}}\s?[:.)]\s*(?:{_IS_THERE}|is|are)?|{_IS_THERE})\s*\Z"
)
"""The beginning of the next question, at the end of an answer: "None. Q:", "No. Is there an"."""


def read_labels(draft: Draft, first: int, end: int) -> bool:
    """Read the labels of a line with their values; return whether there is one."""
    found = labels_in(draft.tidied, draft.plain, first, end)
    parent = (draft.label, draft.spans) if draft.label is not None and draft.label.kind != "side" else None
    at, read = first, False
    for i, labelled in enumerate(found):
        value_end = found[i + 1].span[0] if i + 1 < len(found) else end
        taken = _read_label(draft, labelled, value_end, parent, (at, labelled.span[0]))
        if taken is None:
            continue
        parent = taken
        read = True
        at = value_end if labelled.value_end < 0 else labelled.value_end
    if read and at < end and draft.plain[at:end].strip(" .,;"):
        draft.prose(at, end)
    return read


def _read_label(
    draft: Draft, labelled: Labelled, value_end: int, parent: tuple[Label, list[Span]] | None, before: Span
) -> tuple[Label, list[Span]] | None:
    """Read one label; return what a side that follows belongs to, or None if the label is left to prose."""
    label, spans = labelled.label, [labelled.span]
    if label.kind == "subject":
        return None
    if label.kind == "attribute":
        if draft.label is None:
            return None
        _add_value(draft, labelled, value_end)
        return draft.label, draft.spans
    if label.kind in layout_words().values and draft.label is not None and draft.label.states:
        read = value_of(draft.plain, *_inner(draft.plain, labelled.value_start, value_end))
        if read is not None:  # "present: true"
            if read[0].name == "present":
                draft.values.append(labelled.span)
            elif label.kind == "present":
                _add_value(draft, labelled, value_end)
            return draft.label, draft.spans
    kept = (label, spans)
    if label.kind == "side":
        if parent is None or not (parent[0].states or parent[0].kind == "structure"):
            return None
        kept = parent
        label, spans = parent[0], [labelled.span, noun_of(draft.plain, parent[1][-1])]
        if draft.label is parent[0] and not draft.values:
            draft.label = None
    if draft.plain[before[0] : before[1]].strip(" .,;*_|\"'{}") and not is_asking(draft.plain, *before):
        draft.prose(*before)
    draft.begin(label, spans)
    _add_value(draft, labelled, value_end)
    return kept


def _add_value(draft: Draft, labelled: Labelled, end: int) -> None:
    start = labelled.value_start
    end = labelled.value_end if labelled.value_end >= 0 else end
    if labelled.value_end < 0:
        start, stop = _inner(draft.plain, start, end)
    else:
        stop = end
    if start < stop:
        draft.values.append((start, stop))
        draft.waits, draft.goes_on = False, True


def _inner(plain: str, start: int, end: int) -> Span:
    """Return a span without what surrounds a value, and without the beginning of the next question."""
    while start < end and plain[start] in " \t*_\"'`{":
        start += 1
    while end > start and plain[end - 1] in " \t*_\"'`},;|":
        end -= 1
    asked = _NEXT_QUESTION.search(plain, max(start, end - 48), end)
    return start, end if asked is None else asked.start()
