"""Turn rows into cases."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Literal, NamedTuple

from cxr_rewards.core.engine import MAX_CHARS
from cxr_rewards.errors import InputError, TextTooLong, shorten
from cxr_rewards.files.columns import ColumnMap
from cxr_rewards.files.ids import Ids
from cxr_rewards.files.table import Row, Table
from cxr_rewards.text.chat import answer_of
from cxr_rewards.types import Case

Placeholders = Literal["absent", "text"]
"""Treatment of a cell that says nothing is there, such as `nan`: as absent, or as the text of a report."""

_PLACEHOLDER = re.compile(
    r"[-+]?nan|#?na|#?n/a( n/a)?|n\.a\.?|none|null|nil|nat|undefined|missing|not available"
    r"|<(na|n/a|none|null|nan)>|\((none|null)\)|\\n|-?1\.#(ind|qnan)|[-\u2010-\u2015]+",
    re.IGNORECASE,
)
_LONGEST = 16  # a longer text is not a placeholder
_LOOKS_LIKE_CHAT = re.compile(r"""\s*(?:\[\s*)?\{\s*"(role|content)"\s*:""")
_LOOKS_LIKE_LIST = re.compile(r"""\[\s*["'].*\]""", re.DOTALL)


def is_placeholder(value: object) -> bool:
    """Return whether a cell says that nothing is there.

    Programs write `nan`, `N/A`, `None`, `null`, `-` and the like; case and surrounding blanks do not matter.

    Example:
        >>> [is_placeholder(cell) for cell in ("nan", " N/A ", "<NA>", "None", "null", "-", "None.", "No.", "", 3)]
        [True, True, True, True, True, True, False, False, False, False]
    """
    return isinstance(value, str) and len(value) <= _LONGEST and _PLACEHOLDER.fullmatch(value.strip()) is not None


class CaseRow(NamedTuple):
    """A row with its case, or with the reason why it has none.

    Attributes:
        row: as read.
        case: `None` if there is an error.
        error: names the place, the problem and the cure; `None` if there is a case.
        placeholders: the columns of reports whose cells are placeholders (`is_placeholder`).
    """

    row: Row
    case: Case | None
    error: InputError | None
    placeholders: tuple[str, ...] = ()

    def absent(self, columns: ColumnMap) -> str:
        """Return which placeholders stand where the candidate or the reference should be; empty if none do."""
        sections = columns.references
        lost = sections if all(name in self.placeholders for name in sections) else ()
        columns_without = [name for name in (columns.candidate, *lost) if name in self.placeholders]
        return "; ".join(
            f"column {name!r}: {str(self.row.values[name]).strip()!r} stands for no report" for name in columns_without
        )


def read_cases(
    table: Table, columns: ColumnMap, *, max_chars: int = MAX_CHARS, placeholders: Placeholders = "absent"
) -> Iterator[CaseRow]:
    """Iterate over a table's rows as cases, in order, one item for each row, good or bad.

    To stop at the first bad row, raise its `error`; to keep going, leave it unscored with that reason.

    Args:
        table: from `open_table`.
        columns: from `choose_columns`.
        max_chars: longest text of a report that is accepted.
        placeholders: how to take cells such as `nan`.

    Raises:
        InputError: as `Table.rows`; a problem of one row is that item's `error`.
        OSError: no space for the temporary file that holds many case ids.
    """
    reports = dict.fromkeys((columns.candidate, *columns.references, *columns.priors))
    with closing(Ids()) as ids:
        for row in table.rows(columns.used):
            absent = tuple(name for name in reports if is_placeholder(row.values.get(name)))
            try:
                case = to_case(row, columns, max_chars=max_chars, placeholders=placeholders)
                if columns.case_id is not None and case.case_id:
                    ids.add(case.case_id, row.number, row.line, f"{row.where}, column {columns.case_id!r}")
            except InputError as error:
                yield CaseRow(row, None, error, absent)
            else:
                yield CaseRow(row, case, None, absent)


def to_case(row: Row, columns: ColumnMap, *, max_chars: int = MAX_CHARS, placeholders: Placeholders = "absent") -> Case:
    """Return the case of one row.

    A missing candidate or reference (null, NaN, an absent key) is `None`, which the engine leaves unscored; an empty
    CSV cell is an empty text, because CSV cannot tell the two apart. A reference in several columns becomes one text,
    `Findings: ... Impression: ...`, with `None` for a section that is absent or empty. Of a chat's messages, the
    assistant's last answer is the report, without reasoning; of a list of one text, that text. Priors in one column are
    a list, a JSON list of texts or one text; blank ones are left out. Context and ids may be numbers; blank ones are
    left out. A placeholder (`is_placeholder`) is taken as missing, unless `placeholders="text"`.

    Raises:
        InputError: the row is bad; a text is not a text, is too long or holds NUL; or the priors are not a list of
            texts.

    Example:
        >>> row = Row("in.csv", 1, 2, {"hyp": "Clear.", "ref": "Normal.", "prior": '["Effusion.", "Less effusion."]'})
        >>> to_case(row, ColumnMap(candidate="hyp", reference="ref", priors=("prior",))).priors
        ('Effusion.', 'Less effusion.')
    """
    if row.error is not None:
        raise row.error
    absent = placeholders == "absent"

    def get(name: str) -> object:
        value = row.values.get(name)
        return None if absent and is_placeholder(value) else value

    priors: list[str] = []
    for name in columns.priors:
        value = get(name)
        items = _listed(value, row, name) if len(columns.priors) == 1 else [value]
        items = [item for item in items if not (absent and is_placeholder(item))]
        priors += [text for item in items if (text := _text(item, row, name, max_chars)).strip()]
    return Case(
        candidate=_report(get(columns.candidate), row, columns.candidate, max_chars),  # type: ignore[arg-type]  # None: unscored
        reference=_reference(get, row, columns, max_chars),  # type: ignore[arg-type]
        priors=tuple(priors),
        context={key: str(get(name)) for key, name in columns.context.items() if _given(get(name))},
        case_id=_name(get(columns.case_id)) if columns.case_id else f"row {row.number}",
        group=_name(get(columns.group)) if columns.group else "",
    )


def _given(value: object) -> bool:
    return not _missing(value) and str(value).strip() != ""


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _name(value: object) -> str:
    return str(value) if _given(value) else ""


def _report(value: object, row: Row, column: str, max_chars: int) -> str | None:
    if isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    elif (messages := messages_of(value)) is not None:
        value = answer_of(messages)
    return None if _missing(value) else _text(value, row, column, max_chars)


def messages_of(value: object) -> object:
    """Return a chat's messages, or one message, also from JSON; `None` if a cell is something else."""
    if isinstance(value, str) and _LOOKS_LIKE_CHAT.match(value):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    several = value if isinstance(value, (list, tuple)) else [value]
    chat = bool(several) and all(isinstance(one, Mapping) and "content" in one and "role" in one for one in several)
    return value if chat else None


def _reference(get: Callable[[str], object], row: Row, columns: ColumnMap, max_chars: int) -> str | None:
    """Return the reference; one in sections as ReXrank writes it, `Findings: ... Impression: None`."""
    texts = [_report(get(name), row, name, max_chars) for name in columns.references]
    if len(texts) == 1:
        return texts[0]
    given = [(text or "").strip() for text in texts]
    if not any(given):
        return None if None in texts else ""
    parts = zip(columns.headings, given, strict=True)
    return " ".join(f"{heading}: {text or 'None'}" for heading, text in parts)


def _text(value: object, row: Row, column: str, max_chars: int) -> str:
    if isinstance(value, str):
        if len(value) > max_chars:
            what = f"has {len(value):,} characters, more than {max_chars:,}; shorten it, or raise max_chars"
            raise TextTooLong(f"{row.where}, column {column!r}: {what}")
        if "\0" in value:
            what = f"has a NUL character after {value.index(chr(0))} characters; remove it"
        else:
            return value
    elif _missing(value):
        return ""
    else:
        what = f"expected text, got {shorten(value)}; choose another column, or write it as text"
    raise InputError(f"{row.where}, column {column!r}: {what}")


def _listed(value: object, row: Row, column: str) -> list[object]:
    """Return the items of a cell that may hold several priors."""
    if not isinstance(value, str):
        return value if isinstance(value, list) else [value]
    text = value.strip()
    if not text.startswith("["):
        return [value]
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        if _LOOKS_LIKE_LIST.fullmatch(text):  # probably Python's repr of a list, which as one text would go unnoticed
            raise InputError(
                f"{row.where}, column {column!r}: looks like a list but is not JSON: {shorten(text)}; "
                "write priors as a JSON list of texts"
            ) from None
        return [value]
    return items if isinstance(items, list) else [value]
