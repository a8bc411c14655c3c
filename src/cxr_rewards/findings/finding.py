"""A finding: an observation with its attributes, as one statement of a report gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

Certainty = Literal["present", "likely", "possible", "unlikely", "absent"]
Polarity = Literal["present", "possible", "absent"]
Side = Literal["", "left", "right", "bilateral"]
Change = Literal["", "new", "increased", "decreased", "stable", "resolved"]
FindingData = dict[str, str | int | float | list[str] | list[int]]
"""A finding as JSON-compatible data."""

CERTAINTIES: tuple[Certainty, ...] = get_args(Certainty)
"""The grades of certainty, from stated as a fact to denied."""
_POLARITY: Mapping[Certainty, Polarity] = {
    "present": "present",
    "likely": "present",
    "possible": "possible",
    "unlikely": "absent",
    "absent": "absent",
}
DENIED: frozenset[Certainty] = frozenset(("unlikely", "absent"))
"""The certainties of what is not there."""
OTHER_SIDE: Mapping[str, Side] = {"left": "right", "right": "left"}
SIDES = ("left", "right", "bilateral")
SEVERITIES = ("trace", "mild", "moderate", "severe", "massive")
"""The scale of severity and size in words: 1 to 5 in `Finding.severity`."""
CHANGES = ("new", "increased", "decreased", "stable", "resolved")
NUMBERS = ("1", "2", "3", "4", "5", "many")
MANY = 6
"""`Finding.number` for "several" and "multiple"."""


class Finding(NamedTuple):
    """One thing that a report says about the image.

    Attributes:
        observation: canonical name, a key of `ontology().observations`.
        certainty: `present`, `likely`, `possible`, `unlikely` or `absent` (denied, resolved, or ruled out by a normal
            statement).
        side: `left`, `right`, `bilateral`, or "" if none is given.
        places: lobes, zones and other places, sorted: `("base",)`, `("lower", "upper")`.
        severity: 1 (trace) to 5 (massive), 2.5 for "mild to moderate"; 0 if none is given.
        size_mm: the largest measurement, in mm; for a device the distance of its tip from what is named. 0 if none is
            given.
        number: how many, `MANY` for "several"; 0 if none is given.
        change: since an earlier image; "" if none is given.
        descriptors: such as `acute`, `calcified`, `tension`, sorted.
        positions: where a device lies, and whether that is called right or wrong, sorted.
        implied: it follows from a normal statement ("the lungs are clear"), and was not named.
        start: where the phrase begins in the report.
        end: where it ends.
    """

    observation: str
    certainty: Certainty = "present"
    side: Side = ""
    places: tuple[str, ...] = ()
    severity: float = 0.0
    size_mm: float = 0.0
    number: int = 0
    change: Change = ""
    descriptors: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()
    implied: bool = False
    start: int = 0
    end: int = 0

    @property
    def polarity(self) -> Polarity:
        """The certainty in three steps: a likely finding is present, an unlikely one absent."""
        return _POLARITY[self.certainty]

    def as_dict(self) -> FindingData:
        """Return the attributes that are given, and the span, as JSON-compatible data.

        Example:
            >>> Finding("lung_nodule", side="left", size_mm=8.0, start=5, end=11).as_dict()
            {'observation': 'lung_nodule', 'polarity': 'present', 'side': 'left', 'size_mm': 8.0, 'span': [5, 11]}
        """
        data: FindingData = {"observation": self.observation, "polarity": self.polarity}
        if self.certainty != self.polarity:
            data["certainty"] = self.certainty
        for key, value in zip(_ATTRIBUTES, self[2:-2], strict=True):
            if value:
                data[key] = list(value) if isinstance(value, tuple) else value
        data["span"] = [self.start, self.end]
        return data


_ATTRIBUTES = Finding._fields[2:-2]
