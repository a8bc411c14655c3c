"""Ages as data sets write them."""

from __future__ import annotations

import re

_YEARS = re.compile(
    r"(\d{1,3}(?:\.\d+)?)[- ]*(?:y|yo|y/o|y\.o\.|yrs?|years?(?:(?:[- ]| of )(?:old|age))?)?", re.IGNORECASE
)
_DICOM = re.compile(r"(\d{3})([MWD])")  # 063Y is among the years
_MONTHS = re.compile(r"(\d{1,3}(?:\.\d+)?)[- ]*(month|mo|week|wk|day)s?(?:[- ]old)?", re.IGNORECASE)
_OPEN = re.compile(r">\s*(\d{1,3})|(\d{1,3})\s*\+")
_PER_YEAR = {"m": 12, "w": 52, "d": 365}
_OPEN_FROM = 80
_OLDEST = 130


def age_in_years(value: object) -> float | None:
    """Return an age in years, or None if the value is not clearly an age.

    Accepted are plain numbers (`63`, `"63 y"`, `"63 yo"`, `"63 years"`, `"63-year-old"`), `"9 months"`, `"2 weeks"`,
    `"3 days"`, DICOM's three digits (`"063Y"`, `"019M"`, `"003W"`, `"010D"`), and open ages from 80 on (`">89"`,
    `"90+"`), whose lower limit is returned.

    Example:
        >>> [age_in_years(x) for x in (63, "63 years", "018M", "9 months", "080Y", ">89", "63M", "60+", None)]
        [63.0, 63.0, 1.5, 0.75, 80.0, 89.0, None, None, None]
    """
    text = str(value).strip()
    if match := _YEARS.fullmatch(text):
        years = float(match[1])
        return years if years <= _OLDEST else None
    if match := _DICOM.fullmatch(text) or _MONTHS.fullmatch(text):
        return float(match[1]) / _PER_YEAR[match[2][0].lower()]
    if (match := _OPEN.fullmatch(text)) and (years := float(match[1] or match[2])) >= _OPEN_FROM:
        return years
    return None
