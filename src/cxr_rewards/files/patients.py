"""Age, sex and indication in ReXrank's column `context`."""

from __future__ import annotations

import re

CONTEXT = "context"
"""The column."""

PATIENT = ("age", "sex", "indication")
"""Columns that are made of it."""

# Blanks after a colon belong to the value: so each character is tried once.
_PART = re.compile(r"\s*(age|gender|sex)\s*:([^.:]*)(?:\.|$)", re.IGNORECASE)
_INDICATION = re.compile(r"\s*indication\s*:", re.IGNORECASE)
_UNKNOWN = ("", "none", "nan", "unknown", "n/a")


def patient_of(context: object) -> dict[str, str]:
    """Return what a context says of the patient, by the names of `PATIENT`; empty if it is no such context.

    Example:
        >>> patient_of("Age:50-60.Gender:M.Indication: Cough. Fever.")
        {'age': '50-60', 'sex': 'M', 'indication': 'Cough. Fever.'}
        >>> patient_of("Age:None.Gender:F.Indication: "), patient_of("Cough")
        ({'sex': 'F'}, {})
    """
    if not isinstance(context, str):
        return {}
    told: dict[str, str] = {}
    at = 0
    while part := _PART.match(context, at):
        told.setdefault("age" if part[1].lower() == "age" else "sex", part[2].strip())
        at = part.end()
    if at and (rest := _INDICATION.match(context, at)):
        told["indication"] = context[rest.end() :].strip()
    return {name: value for name, value in told.items() if value.lower() not in _UNKNOWN}
