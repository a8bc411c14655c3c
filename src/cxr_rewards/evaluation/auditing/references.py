"""References and candidates of an audit, from files or from memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cxr_rewards.errors import InputError
from cxr_rewards.files import choose_columns, open_table
from cxr_rewards.files.cases import is_placeholder, read_cases
from cxr_rewards.files.table import Table
from cxr_rewards.types import Case

_SECTIONS = ("findings", "impression")


def load_references(source: str | Path | Iterable[Case | str], *, reports: bool = False) -> list[Case]:
    """Return cases with references.

    A file needs a column of references as `score` finds it, or columns `findings` and `impression`, which are joined.

    Args:
        source: a file, or texts or cases.
        reports: candidates are needed, too.

    Raises:
        InputError: a file that cannot be read, a bad row, or no such columns.
    """
    if not isinstance(source, (str, Path)):
        return [case if isinstance(case, Case) else Case(candidate="", reference=case) for case in source]
    table = open_table(source)
    try:
        columns = choose_columns(table.columns, where=str(source), references_only=not reports)
    except InputError:
        joined = [name for name in table.columns if name.strip().lower() in _SECTIONS]
        if reports or not joined:
            raise
        return _joined(table, joined)
    found = []
    for row in read_cases(table, columns):
        if row.error is not None:
            raise row.error
        if row.case is not None and row.case.reference is not None:
            found.append(row.case)
    return found


def _joined(table: Table, names: list[str]) -> list[Case]:
    found = []
    for row in table.rows(names):
        if row.error is not None:
            raise row.error
        cells = [row.values.get(name) for name in names]
        parts = [cell.strip() for cell in cells if isinstance(cell, str) and not is_placeholder(cell)]
        found.append(Case(candidate="", reference=" ".join(filter(None, parts)), case_id=f"row {row.number}"))
    return found
