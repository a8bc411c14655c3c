"""The state of a walk over one sentence: everything that the words so far have left for the words to come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from cxr_rewards.findings.finding import Change, Side
from cxr_rewards.findings.item import Item
from cxr_rewards.findings.ontology import Cue, Ontology
from cxr_rewards.findings.walker.mention import Mention, Stated

Waiting = dict[str, tuple[Stated, int]]
"""Attribute → its value or values, and the index of the last word that stated it."""


class Part(NamedTuple):
    """A structure that the clause has named and said nothing about so far."""

    name: str
    side: Side
    place: tuple[str, ...]
    item: Item


@dataclass(slots=True)
class Scope:
    """Scope of the cues for the findings to come; each field is the cue that opened it, or None.

    Attributes:
        denied: they are absent, or unlikely.
        doubted: they are only possible, or likely.
        set_aside: they are not said of this image, and are dropped.
        next_doubted: the next finding is only possible ("atelectasis or scarring").
        left_open: they are possible, also if they are denied ("we cannot say that there is no effusion").
    """

    denied: Cue | None = None
    doubted: Cue | None = None
    set_aside: Cue | None = None
    next_doubted: bool = False
    left_open: Item | None = None


@dataclass(slots=True)
class Clause:
    """Content of the clause so far.

    Attributes:
        begins: index of the phrase that ended the clause before it; -1 if there was none.
        mentions: its findings, the last `KEPT` of them; later words may still change these.
        since_comma: those of them since the last comma.
        parts: structures it has named and said nothing about, the last `KEPT` of them.
        joint: what joins the next finding to the one before it.
        verb: a verb was read since the last structure or finding.
        had_verb: a verb was read.
        predicated: it has said something of a finding or structure.
    """

    begins: int = -1
    mentions: list[Mention] = field(default_factory=list)
    since_comma: list[Mention] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    joint: str = ""
    verb: bool = False
    had_verb: bool = False
    predicated: bool = False


class Bracket(NamedTuple):
    """State to return to when a bracket closes."""

    scope: Scope
    mentions: list[Mention]
    since_comma: list[Mention]


@dataclass(slots=True, init=False)
class State:
    """Everything that the walk over a sentence knows.

    Attributes:
        known: the ontology.
        items: the phrases of the sentence.
        word_count: number of words in the sentence.
        item: the phrase that is being read.
        index: its index in `items`.
        mentions: all findings of the sentence so far.
        unclaimed: attributes that belong to no finding of the sentence.
        clause: the clause that is being read.
        before: findings of the last clause that named any, if no later one named a structure.
        parts_before: structures of the last clause.
        scope: denials and doubts that reach to the next finding.
        favored: the explanation ("favor", "likely") that reaches to here.
        bracket: state outside the open bracket; None outside of brackets.
        waiting: attributes for the next finding, other than its side.
        side: side for the next finding; "" for none.
        side_at: index of the last word of that side.
        side_used: a finding has taken that side.
        side_fresh: that side was named in this clause.
        change_used: a finding has taken the waiting change.
        bundles: sides that have attributes of their own ("small left and moderate right effusions"), except the last.
        spare: a second severity or size of the last finding, for its other side or place ("5 mm in the left apex and
            9 mm at the right base"): the attribute, this value and the first one; None for none.
        listed_change: change of everything that follows ("unchanged: cardiomegaly, effusion").
        listed_side: side of everything that follows, up to one of another side ("left: effusion, consolidation").
        location_of: finding whose location the next findings share ("opacity at the left base, likely pneumonia").
        refined: index of an observation still to be read → the more precise one it means, and whether only possible.
        last_device: the last device, to which a position belongs.
        positions: positions named before any device.
        referred_back: a word for a part of the finding before was read ("tip"), and no finding since.
        compared: the phrase that mentions an earlier image.
        graded: the last "more" or "less", which a comparison may end ("less edema than before").
        called_normal: index of an observation that the word before it calls normal; -1 for none.
        past: the last verb was one of an earlier time.
        denied_at: index of the first word of the last cue that denies what follows; -1 for none.
        dated_back: index of the last word that referred to an earlier image; -1 for none.
    """

    known: Ontology
    items: list[Item]
    word_count: int
    item: Item
    index: int
    mentions: list[Mention]
    unclaimed: list[tuple[str, Stated]]
    clause: Clause
    before: list[Mention]
    parts_before: list[Part]
    scope: Scope
    favored: Cue | None
    bracket: Bracket | None
    waiting: Waiting
    side: Side
    side_at: int
    side_used: bool
    side_fresh: bool
    change_used: bool
    bundles: list[tuple[Side, Waiting]]
    spare: tuple[str, float, float] | None
    listed_change: Change
    listed_side: Side
    location_of: Mention | None
    refined: dict[int, tuple[str, bool]]
    last_device: Mention | None
    positions: list[str]
    referred_back: bool
    compared: Item | None
    graded: Item | None
    called_normal: int
    past: bool
    denied_at: int
    dated_back: int

    def __init__(self, known: Ontology, items: list[Item], word_count: int, index: int = 0) -> None:
        """Begin at the phrase `index`; written out, because one that `dataclass` makes takes twice the time."""
        self.known = known
        self.items = items
        self.word_count = word_count
        self.item = items[index]
        self.index = index
        self.mentions = []
        self.unclaimed = []
        self.clause = Clause()
        self.before = []
        self.parts_before = []
        self.scope = Scope()
        self.favored = None
        self.bracket = None
        self.waiting = {}
        self.side = ""
        self.side_at = -100
        self.side_used = True
        self.side_fresh = False
        self.change_used = True
        self.bundles = []
        self.spare = None
        self.listed_change = ""
        self.listed_side = ""
        self.location_of = None
        self.refined = {}
        self.last_device = None
        self.positions = []
        self.referred_back = False
        self.compared = None
        self.graded = None
        self.called_normal = -1
        self.past = False
        self.denied_at = -1
        self.dated_back = -1
