"""A finding in the making, and what a sentence comes to."""

from __future__ import annotations

from typing import Any, NamedTuple

from cxr_rewards.findings.finding import Change, Polarity, Side
from cxr_rewards.findings.ontology import Attribute
from cxr_rewards.findings.phrases import Item

Fields = tuple[Any, ...]
"""The fields of a `Finding`. Sentences are remembered by the thousand, and plain tuples cost the collector nothing."""


class Mention:
    """A finding in the making: later words may still change it."""

    __slots__ = (
        "at",
        "change",
        "descriptor",
        "end",
        "implied",
        "joint",
        "located_at",
        "number",
        "observation",
        "place",
        "polarity",
        "position",
        "rows",
        "severity",
        "side",
        "size",
        "start",
    )

    def __init__(self, observation: str, polarity: Polarity, start: int, end: int, at: int) -> None:
        self.observation = observation
        self.polarity = polarity
        self.start = start
        self.end = end
        self.at = at
        self.side: Side = ""
        self.change: Change = ""
        self.place: tuple[str, ...] = ()
        self.descriptor: tuple[str, ...] = ()
        self.position: tuple[str, ...] = ()
        self.severity = self.size = 0.0
        self.number = self.rows = 0
        self.implied = False
        self.located_at = -1
        self.joint = ""

    def copy(self) -> Mention:
        """Return another mention that says the same."""
        other = Mention(self.observation, self.polarity, self.start, self.end, self.at)
        for slot in ("side", "change", "place", "descriptor", "position", "severity", "size", "number", "rows"):
            setattr(other, slot, getattr(self, slot))
        return other

    def fields(self) -> Fields:
        """Return the fields of the finished finding; its span is that of the sentence's own characters."""
        change: Change = self.change
        if self.polarity == "absent":
            change = "resolved" if change == "resolved" else ""
        return (
            self.observation,
            self.polarity,
            self.side,
            self.place if len(self.place) < 2 else _sorted(self.place),
            self.severity,
            round(self.size, 3) if self.size else 0.0,
            self.number,
            change,
            self.descriptor if len(self.descriptor) < 2 else _sorted(self.descriptor),
            self.position if len(self.position) < 2 else _sorted(self.position),
            self.implied,
            self.start,
            self.end,
        )


def _sorted(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


class Sentence(NamedTuple):
    """What a sentence says.

    Attributes:
        findings: fields of `Finding`s, in order of reading, with spans in the sentence; one without an observation is
            of that of the finding before it ("a small one").
        refers_back: it begins with a word for the finding before it ("This has increased.").
        pending: what it says of no finding of its own.
    """

    findings: tuple[Fields, ...]
    refers_back: bool
    pending: tuple[Attribute, ...]


class Part(NamedTuple):
    """A structure named in a clause, of which nothing has been said so far."""

    name: str
    side: Side
    place: tuple[str, ...]
    item: Item


def give(mention: Mention, slot: str, value: Any) -> None:
    if slot in {"place", "descriptor", "position"}:
        values = value if isinstance(value, tuple) else (value,)
        old = getattr(mention, slot)
        setattr(mention, slot, (*old, *(v for v in values if v not in old)))
    elif slot == "size" and not mention.position:  # the first distance of a device, the largest size of a lesion
        mention.size = max(mention.size, value)
    elif not getattr(mention, slot):
        setattr(mention, slot, value)
