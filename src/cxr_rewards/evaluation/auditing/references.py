"""References and candidates of an audit, from files or from memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cxr_rewards.files import choose_columns, open_table
from cxr_rewards.files.cases import is_placeholder, read_cases
from cxr_rewards.files.table import Table
from cxr_rewards.types import Case


def load_references(source: str | Path | Iterable[Case | str], *, reports: bool = False) -> list[Case]:
    """Return cases with references.

    A file needs columns of references as `score` finds them. Sections in columns of their own are joined without
    headings, because the audit moves sentences around.

    Args:
        source: a file, or texts or cases.
        reports: candidates are needed, too.

    Raises:
        InputError: a file that cannot be read, a bad row, or no such columns.
    """
    if not isinstance(source, (str, Path)):
        return [case if isinstance(case, Case) else Case(candidate="", reference=case) for case in source]
    table = open_table(source)
    columns = choose_columns(table.columns, where=str(source), references_only=not reports)
    if len(columns.references) > 1 and not reports:
        return _joined(table, columns.references)
    found = []
    for row in read_cases(table, columns):
        if row.error is not None:
            raise row.error
        if row.case is not None and row.case.reference is not None:
            found.append(row.case)
    return found


def _joined(table: Table, names: Sequence[str]) -> list[Case]:
    found = []
    for row in table.rows(names):
        if row.error is not None:
            raise row.error
        cells = [row.values.get(name) for name in names]
        parts = [cell.strip() for cell in cells if isinstance(cell, str) and not is_placeholder(cell)]
        found.append(Case(candidate="", reference=" ".join(filter(None, parts)), case_id=f"row {row.number}"))
    return found
