"""Texts of a file of scores, and the encounter that each case is of its patient."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from cxr_rewards.errors import InputError, shorten
from cxr_rewards.files import ColumnMap, open_table, read_cases
from cxr_rewards.findings import Finding, reading
from cxr_rewards.types import Case

ENCOUNTERS = ("1", "2", "3", "4", "5+")
"""Names of encounters, in order."""


@dataclass(frozen=True)
class Texts:
    """Reports of a file.

    Attributes:
        cases: one for each row; None for a row without candidate or reference, or one that cannot be read.
        has_priors: whether the file has a column of earlier reports.
    """

    cases: tuple[Case | None, ...]
    has_priors: bool

    @cached_property
    def findings(self) -> dict[str, tuple[Finding, ...]]:
        """Findings of each text: candidates, references and the last of the priors, each read once."""
        texts = {text for case in self.cases if case for text in (case.candidate, case.reference, *case.priors[-1:])}
        return {text: reading(text).findings for text in texts}


def read_texts(path: str, columns: ColumnMap) -> Texts:
    """Return the reports of a file; those of a bad row are missing.

    Raises:
        InputError: the file cannot be read.
    """
    cases = []
    for row in read_cases(open_table(path), columns):
        case = row.case
        whole = case is not None and case.candidate is not None and case.reference is not None
        cases.append(case if whole else None)
    return Texts(tuple(cases), bool(columns.priors))


def encounters_by_priors(texts: Texts) -> list[str]:
    """Return which encounter of its patient each case is, one more than its earlier reports; empty if unknown.

    Example:
        >>> encounters_by_priors(Texts((Case(candidate="", reference=""), None), has_priors=True))
        ['1', '']
    """
    return ["" if case is None else _encounter(len(case.priors) + 1) for case in texts.cases]


def encounters_by_order(patients: Sequence[str], values: Sequence[str], column: str) -> list[str]:
    """Return which encounter of its patient each case is, by the order of dates or numbers in the file.

    Of two studies of one date, the first in the file is the earlier one.

    Args:
        patients: of each case.
        values: date or number of each case: all numbers (20240131 too), or all ISO dates.
        column: that holds them, for messages.

    Returns:
        `1` to `4` or `5+`; empty without patient, date or number.

    Raises:
        InputError: a value is neither.

    Example:
        >>> encounters_by_order(["a", "b", "a", "a"], ["2024-03-01", "2024-01-01", "2023-12-31", ""], "date")
        ['2', '1', '1', '']
    """
    keys = _sort_keys(values, column)
    studies: dict[str, list[int]] = defaultdict(list)
    for i, patient in enumerate(patients):
        if patient and not math.isnan(keys[i]):
            studies[patient].append(i)
    found = [""] * len(values)
    for cases in studies.values():
        for number, i in enumerate(sorted(cases, key=lambda i: keys[i]), 1):
            found[i] = _encounter(number)
    return found


def _encounter(number: int) -> str:
    return ENCOUNTERS[min(number, len(ENCOUNTERS)) - 1]


def _sort_keys(values: Sequence[str], column: str) -> list[float]:
    try:
        return [float(value) if value else math.nan for value in values]
    except ValueError:
        pass
    keys = []
    for row, value in enumerate(values, 1):
        try:
            date = datetime.fromisoformat(value) if value else None
        except ValueError:
            raise InputError(
                f"row {row}, column {column!r}: expected a number or a date such as 2024-01-31, got {shorten(value)}; "
                "write all as ISO dates or all as numbers, or leave the cell empty"
            ) from None
        keys.append(math.nan if date is None else (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    return keys
