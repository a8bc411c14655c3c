"""The clause that is being read: what it says, and what waits for a finding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cxr_rewards.findings.finding import Change, Polarity, Side
from cxr_rewards.findings.lookahead import REACH, Surroundings
from cxr_rewards.findings.mention import Mention, Part, give
from cxr_rewards.findings.ontology import Attribute, Ontology
from cxr_rewards.findings.phrases import Item

KEPT = 12
"""How many earlier statements of a clause a word can look back on: bounds the work on hostile text."""


class Clause(Surroundings):
    """What the clause so far has come to: its findings, and what waits for one."""

    # Defaults of the class spare most sentences the work of setting them.
    compared: Item | None = None
    outer: tuple[bool, bool, bool, bool] | None = None
    before: tuple[list[Mention], list[Mention]] = ([], [])
    side: Side = ""
    side_at = -100
    side_used = change_used = True
    side_fresh = doubted = aside = favored = tip = False
    spare: tuple[str, Any] | None = None
    listed: Change = ""
    last_joint = ""
    explained: Mention | None = None
    formerly = -1
    index = at = 0

    def __init__(self, known: Ontology, items: list[Item], words: int) -> None:
        super().__init__(items)
        self.known = known
        self.words = words
        self.found: list[Mention] = []
        self.refined: dict[int, tuple[str, bool]] = {}
        self.devices: list[Mention] = []
        self.positions: list[str] = []
        self.unsaid: list[Attribute] = []
        self.waiting: dict[str, tuple[Any, int]] = {}
        self.bundles: list[tuple[Side, dict[str, tuple[Any, int]]]] = []
        self.parts: list[Part] = []
        self.mentions: list[Mention] = []

    def new_clause(self) -> None:
        self.repeat_last()
        if self.waiting or self.side or self.bundles or self.spare:
            self.drop_waiting()
        self.parts = []
        self.mentions = []
        self.last_joint = ""
        self.segment = []
        self.predicated = self.verb = self.had_verb = False
        self.end_scope()

    def repeat_last(self) -> None:
        """Read "the right is unchanged" as the finding before it, on the right."""
        if not self.side or self.side_used or not self.verb or self.parts or self.mentions:
            return
        said = [(slot, value) for slot, (value, _) in self.waiting.items() if slot in ("change", "severity", "size")]
        if said and self.stands():
            self.say(self.found[-1].observation if self.found else "", self.items[self.index])

    def stands(self) -> bool:
        """Judge whether the finding before can be spoken of again: one that is denied only on the other side."""
        last = self.found[-1] if self.found else None
        if last is None or last.polarity != "absent" or self.last_joint == "ends_scope":
            return True  # after "other than", "but"
        if last.severity:  # "no large effusion; a small one persists"
            return True
        return not last.implied and last.side in ("left", "right") and self.side != last.side

    def drop_waiting(self) -> None:
        """Forget what waited for a finding, except where: "in the right upper lobe there is a nodule"."""
        kept = {}
        for slot, (value, at) in self.waiting.items():
            if slot == "place" and not self.side_used:
                kept[slot] = (value, at)
            elif slot != "change" or not self.change_used:
                self.unsaid.append((slot, value))
        self.waiting = kept
        if self.side_used:
            self.side = ""
        self.side_at = self.at
        self.side_fresh = False
        self.bundles = []
        self.spare = None

    def end_scope(self) -> None:
        self.denied = self.softened = self.doubted = self.aside = self.favored = False

    # ---------------------------------------------------------------- statements

    def say(
        self, observation: str, item: Item, *, possible: bool = False, part: Part | None = None, own: bool = True
    ) -> None:
        """Add a finding, with what was said before it."""
        if self.aside:
            return
        polarity: Polarity = "present"
        if self.denied:
            polarity = "absent"
        elif self.softened or self.doubted or possible:
            polarity = "possible"
        self.doubted = False
        attributes = item.attributes if own else ()
        if attributes and ("change", "resolved") in attributes:  # "extubated"
            polarity = "absent"
        if self.bundles:
            self.say_bundles(observation, polarity, item, attributes)
        mention = Mention(observation, polarity, item.start, item.end, item.first)
        first = item.first
        if self.side and first - self.side_at <= REACH:
            mention.side = self.side
            self.side_used = True
        for slot, (value, at) in list(self.waiting.items()) if self.waiting else ():
            if first - at > REACH and slot != "place":
                self.unsaid.append((slot, value))
            elif slot != "number" or first - at <= 3:
                give(mention, slot, value)
            if slot == "change":
                self.change_used = True
            else:
                del self.waiting[slot]
        if part is not None:
            mention.side = mention.side or part.side
            mention.place = mention.place or part.place
        if self.explained is not None and not mention.side and not mention.place:
            mention.side, mention.place = self.explained.side, self.explained.place
        self.add(mention, attributes)

    def say_bundles(self, observation: str, polarity: Polarity, item: Item, attributes: tuple[Attribute, ...]) -> None:
        """Add a finding for each side that has words of its own: "small left and moderate right effusions"."""
        bundles, self.bundles = self.bundles, []
        for side, waiting in bundles:
            mention = Mention(observation, polarity, item.start, item.end, item.first)
            mention.side = side
            for slot, (value, _) in waiting.items():
                give(mention, slot, value)
            self.add(mention, attributes)

    def add(self, mention: Mention, attributes: Iterable[Attribute]) -> None:
        """Keep a new finding."""
        for slot, value in attributes:
            give(mention, slot, value)
        if self.listed:
            give(mention, "change", self.listed)
        observation = mention.observation
        if (mention.side or mention.place) and observation and self.known.observations[observation].unpaired:
            mention.side = ""
            mention.place = tuple(place for place in mention.place if place[-1].isdigit())  # a vertebra
        if observation in self.known.devices:
            self.devices.append(mention)
            for position in self.positions:
                give(mention, "position", position)
            self.positions = []
        mention.joint, self.last_joint = self.last_joint, ""
        self.found.append(mention)
        for recent in (self.mentions, self.segment):
            recent.append(mention)
            if len(recent) > KEPT:
                del recent[0]
        self.predicated = True
        self.tip = False

    def rule_out(self, part: str, item: Item, side: Side, place: tuple[str, ...], *, acute: bool) -> None:
        """Say that nothing is wrong with a structure."""
        structure = self.known.structures[part]
        for observation in structure.no_acute if acute else structure.normal:
            mention = Mention(observation, "absent", item.start, item.end, item.first)
            mention.implied = True
            if (side or place) and not self.known.observations[observation].unpaired:
                mention.side, mention.place = side, place
            self.found.append(mention)
        self.predicated = True
