"""Kinds of marks and rows of findings as every page shows them: their signs, their meanings, their cells."""

from __future__ import annotations

from typing import NamedTuple

from cxr_rewards.explain.explanation import FindingRow, Kind, Row
from cxr_rewards.explain.words import describe_finding, number


class Look(NamedTuple):
    """Appearance of a kind of mark: its sign without colours, its style on a terminal, and its meaning."""

    sign: str
    style: str
    meaning: str


LOOKS: dict[Kind, Look] = {  # most pressing first: a phrase of several kinds has the colour of the first
    "false": Look("!", "bold red", "false: not in the reference"),
    "missed": Look("-", "red", "missed; in the candidate: denied"),
    "contradicted": Look("*", "magenta", "stated and denied"),
    "differs": Look("~", "yellow", "matched, with differences"),
    "matched": Look("+", "green", "matched"),
    "statement": Look(":", "cyan", "read, not compared here"),
    "denied": Look("0", "dim", "denied or normal"),
}

PENALTIES: dict[Row, str] = {
    "false": "false",
    "missed": "denied",
    "contradicted": "stated and denied",
    "differs": "stated with more weight",
}
"""Names of the penalties by kind of row."""

COLUMNS = ("", "reference", "candidate", "significance", "weight", "differs", "C - E")
"""Names of the cells of a row."""


def cells(row: FindingRow) -> tuple[str, ...]:
    """Return a finding as a row of a table, in the order of `COLUMNS`."""
    differs = [f"{d['kind']} {d['cost']:g}: {d['says']}" for d in row.differs]
    if row.cost != sum(d["cost"] for d in row.differs):
        differs.append(f"limited to {row.cost:g} because the finding weighs little")
    if row.kind == "missed":
        differs.append("missed" if row.candidate is None else f"missed, denied {row.penalty:g}")
    elif row.penalty:
        differs.append(f"{PENALTIES[row.kind]} {row.penalty:g}")
    return (
        f"{LOOKS[row.kind].sign}{row.number}",
        describe_finding({**row.reference, "span": None}) if row.reference else "",  # the text is marked
        describe_finding({**row.candidate, "span": None}) if row.candidate else "",
        row.significance.replace("_", " "),
        f"{row.weight:g}",
        "; ".join(differs),
        number(row.credit - row.penalty),
    )
