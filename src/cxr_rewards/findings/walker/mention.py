"""A finding in the making, and the reading of a sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, cast

from cxr_rewards.findings.finding import DENIED, Certainty, Change, Side
from cxr_rewards.findings.ontology import Value

Stated = Value | tuple[str, ...] | tuple[str, float]
"""Value of an attribute; places and descriptors can have several, and a former value has its attribute."""
Names = tuple[str, ...]
Fields = tuple[str, Certainty, Side, Names, float, float, int, Change, Names, Names, bool]
"""Fields of a `Finding` but for its span."""
Placed = tuple[Fields, int, int]
"""Fields of a `Finding`, and its span in the sentence.

Many thousand sentences are remembered, and plain tuples spare the garbage collector work.
"""


@dataclass(slots=True, eq=False)
class Mention:
    """A finding in the making: later words may still change it.

    Attributes:
        observation: name of the observation; "" for that of the finding before the sentence ("a small one").
        certainty: from present to absent, as in `Finding`.
        start: where its phrase begins in the sentence.
        end: where its phrase ends.
        at: index of the first word of its phrase.
        side, change, place, descriptor, position, severity, size, number: attributes, as in `Finding`.
        rows: how many ribs or vertebrae were named with it; the number of fractures, if it is one.
        implied: it follows from a normal statement.
        located_at: index of the word that gave its side or place; -1 if none did.
        past: attributes that are those of an earlier time, unless others follow ("was 4 mm and is now 8 mm").
        former: an attribute, and its value at an earlier time ("previously 6 mm").
        borrowed: its side is that of a finding before it, too, and gives way to one of its own.
        taken_for: what it is held to explain ("an opacity, likely pneumonia").
        of_structure: it was read of a structure and a quality ("the hilum is enlarged").
        shared_change: its change is that of a finding before it, too, and gives way to one of its own.
        repeats: it is the finding before once more ("the right one").
        sized_at: index of the word that gave its size after its name; -1 if none did.
        joint: what joins it to the mention before it: a comma, "and", "or", or a cue that ended a scope.
    """

    observation: str
    certainty: Certainty
    start: int
    end: int
    at: int
    side: Side = ""
    change: Change = ""
    place: tuple[str, ...] = ()
    descriptor: tuple[str, ...] = ()
    position: tuple[str, ...] = ()
    severity: float = 0.0
    size: float = 0.0
    number: int = 0
    rows: int = 0
    implied: bool = False
    located_at: int = -1
    sized_at: int = -1
    joint: str = ""
    repeats: bool = False
    past: tuple[str, ...] = ()
    former: tuple[str, float] = ("", 0.0)
    shared_change: bool = False
    borrowed: bool = False
    of_structure: bool = False
    taken_for: Mention | None = None

    def copy(self) -> Mention:
        """Return a mention of the same finding that nothing has located or joined to another yet."""
        return replace(self, implied=False, located_at=-1, joint="", taken_for=None)

    def give(self, slot: str, value: Stated) -> None:
        """Set an attribute, unless an earlier word has set it. Places, descriptors and positions add up."""
        if slot in {"place", "descriptor", "position"}:
            values = value if isinstance(value, tuple) else (value,)
            old = getattr(self, slot)
            setattr(self, slot, (*old, *(v for v in values if v not in old)))
        elif slot == "size" and (
            not self.position or "position" in self.past
        ):  # the first distance of a device, the largest size of a lesion
            self.size = max(self.size, cast("float", value))
        elif slot == "former" or not getattr(self, slot):
            setattr(self, slot, value)

    def placed(self) -> Placed:
        """Return the fields of the finished finding, and its span in the sentence."""
        change: Change = self.change
        if change and change != "resolved" and self.certainty in DENIED:
            change = ""
        fields = (
            self.observation,
            self.certainty,
            self.side,
            self.place if len(self.place) < 2 else _sorted(self.place),
            self.severity,
            round(self.size, 3) if self.size else 0.0,
            self.number,
            change,
            self.descriptor if len(self.descriptor) < 2 else _sorted(self.descriptor),
            self.position if len(self.position) < 2 else _sorted(self.position),
            self.implied,
        )
        return fields, self.start, self.end


def _sorted(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


class Sentence(NamedTuple):
    """The reading of a sentence.

    Attributes:
        findings: in order of reading. One without an observation is another of the finding before it ("a small one").
        refers_back: the sentence begins with a word for the finding before it ("This has increased.").
        unclaimed: attributes that belong to no finding of the sentence.
    """

    findings: tuple[Placed, ...]
    refers_back: bool
    unclaimed: tuple[tuple[str, Stated], ...]
