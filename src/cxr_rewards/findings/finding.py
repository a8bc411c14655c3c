"""What one statement of a report says: an observation and its attributes."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Polarity = Literal["present", "absent", "possible"]
Side = Literal["", "left", "right", "bilateral"]
Change = Literal["", "new", "increased", "decreased", "stable", "resolved"]

SIDES = ("left", "right", "bilateral")
SEVERITIES = ("trace", "mild", "moderate", "severe", "massive")
"""The scale of severity and size in words: 1 to 5 in `Finding.severity`."""
CHANGES = ("new", "increased", "decreased", "stable", "resolved")
NUMBERS = ("1", "2", "3", "4", "5", "many")
MANY = 6
"""`Finding.number` where a report says "several" or "multiple"."""


class Finding(NamedTuple):
    """One thing a report says of the image.

    Attributes:
        observation: canonical name, a key of `ontology().observations`.
        polarity: `present`, `absent` (denied, resolved, or ruled out by a normal statement) or `possible`.
        side: `left`, `right`, `bilateral`, or "" where none is given.
        places: lobes, zones and other places, sorted: `("base",)`, `("lower", "upper")`.
        severity: 1 (trace) to 5 (massive), between two steps for "mild to moderate"; 0 where none is given.
        size_mm: the largest measurement given, in mm; for a device the distance of its tip from what is named. 0: none.
        number: how many, `MANY` for "several"; 0 where none is given.
        change: against an earlier image; "" where none is given.
        descriptors: such as `acute`, `calcified`, `tension`, sorted.
        positions: where a device lies, or what is said of how it lies, sorted.
        implied: it follows from a normal statement ("the lungs are clear"), and was not named.
        start: where the phrase begins in the report.
        end: where it ends.
    """

    observation: str
    polarity: Polarity = "present"
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

    def as_dict(self) -> dict[str, Any]:
        """Return what is given of the finding, and its span, as JSON-compatible data.

        Example:
            >>> Finding("lung_nodule", side="left", size_mm=8.0, start=5, end=11).as_dict()
            {'observation': 'lung_nodule', 'polarity': 'present', 'side': 'left', 'size_mm': 8.0, 'span': [5, 11]}
        """
        told: dict[str, Any] = {"observation": self.observation, "polarity": self.polarity}
        for key, value in zip(_ATTRIBUTES, self[2:-2], strict=True):
            if value:
                told[key] = list(value) if isinstance(value, tuple) else value
        told["span"] = [self.start, self.end]
        return told


_ATTRIBUTES = Finding._fields[2:-2]
