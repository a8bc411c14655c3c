"""Read check boxes: "[x] Effusion [ ] Pneumothorax", "Effusion: [ ] none [x] small"."""

from __future__ import annotations

import re
from functools import cache

from cxr_rewards.findings.layout.draft import Draft
from cxr_rewards.findings.layout.labelled import read_labels
from cxr_rewards.findings.layout.labels import attributes_of, label_of, qualifies
from cxr_rewards.findings.layout.separators import labels_in
from cxr_rewards.findings.layout.statement import Span, compose
from cxr_rewards.findings.layout.tables import Row
from cxr_rewards.findings.layout.values import trimmed, value_of
from cxr_rewards.findings.layout.words import layout_words

_PRESENT = ("present", "moderate", "severe")
"""Values of a check box that tell that a finding is there."""


@cache
def _box() -> re.Pattern[str]:
    signs = sorted(layout_words().boxes, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, signs)))


def read_boxes(draft: Draft, first: int, end: int) -> bool:
    """Read the check boxes of a line; return whether there are any."""
    plain = draft.plain
    boxes = [match.span() for match in _box().finditer(plain, first, end)]
    if not boxes:
        return False
    names = [layout_words().boxes[plain[a:b]] for a, b in boxes]
    before = trimmed(plain, first, boxes[0][0])
    if before[0] >= before[1]:
        ends = [*(a for a, _ in boxes[1:]), end]
        for (_, text_start), text_end, name in zip(boxes, ends, names, strict=True):
            _read_box(draft, text_start, text_end, name)
        return True
    if not plain[boxes[-1][1] : end].strip(" .,;|"):
        return False  # marks behind their labels, which `labels_in` finds
    label = label_of(plain[before[0] : before[1]])
    if label is None or not (label.states or label.kind in ("structure", "attribute")):
        return False
    if label.kind != "attribute":
        draft.begin(label, [before])
    elif draft.label is None:
        return False
    ends = [*(a for a, _ in boxes[1:]), end]
    chosen = [
        trimmed(plain, b, stop) if name == "present" else (a, stop)
        for (a, b), stop, name in zip(boxes, ends, names, strict=True)
        if name in _PRESENT
    ]
    draft.values += chosen
    if not draft.values and label.states and _are_unchecked_kinds(plain, boxes, ends, names):
        draft.values.append(boxes[0])  # "Effusion [ ] right [ ] left"
    if not draft.values:
        draft.label = None
    return True


def _are_unchecked_kinds(plain: str, boxes: list[Span], ends: list[int], names: list[str]) -> bool:
    """Return whether no box is checked, and each is of a kind of the finding, such as its side, not of a value."""
    texts = [trimmed(plain, b, stop) for (_, b), stop in zip(boxes, ends, strict=True)]
    return set(names) == {"absent"} and all(
        value_of(plain, *span) is None and bool(attributes_of(plain[slice(*span)])) for span in texts
    )


def _read_box(draft: Draft, start: int, end: int, name: str) -> None:
    """Read the text of one check box."""
    plain = draft.plain
    span = trimmed(plain, start, end)
    text = plain[span[0] : span[1]]
    if not text:
        return
    if draft.label is not None and draft.label.states and (value_of(plain, *span) is not None or qualifies(text)):
        if name == "present":
            draft.values.append(span)
        elif not draft.values:
            draft.waits = True
        return
    if name == "present":
        if not read_labels(draft, start, end):
            draft.flush()
            draft.state([span])
        return
    found = labels_in(draft.tidied, plain, start, end)
    target = found[0] if found else None
    whole = label_of(text)
    label, spans = (whole, [span]) if whole is not None else (target.label, [target.span]) if target else (None, [])
    draft.flush()
    if label is not None and label.states:
        value = layout_words().values[name]
        words: list[str | Span] = [word for word in (value.before, spans[0], value.after) if word]
        draft.state([compose(plain, words, spans[0])] if not value.silent else [])


def has_box(plain: str, first: int, end: int, row: Row) -> bool:
    """Return whether a check box stands first or within a cell: "Effusion [ ] right", but not a column of boxes."""
    if _box().match(plain, first, end):
        return True
    return any((box := _box().search(plain, *cell)) is not None and box.span() != cell for cell in row)
