"""The reader's knowledge as Python objects: observations, structures, cues and the tree of phrases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from cxr_rewards.findings.finding import CHANGES, NUMBERS, SEVERITIES, SIDES, Certainty
from cxr_rewards.findings.ontology.spelling import Spelling
from cxr_rewards.formulas.chexpert import CONDITIONS

CHEXPERT = CONDITIONS
"""The CheXpert classes, in their usual order."""

Significance = Literal["urgent", "actionable", "not_actionable", "benign"]
SIGNIFICANCES: tuple[Significance, ...] = get_args(Significance)
"""Clinical significance, most pressing first."""

MODIFIERS: Mapping[str, tuple[str, ...]] = {
    "side": SIDES,
    "severity": SEVERITIES,
    "change": CHANGES,
    "number": NUMBERS,
    "place": (),
    "descriptor": (),
    "position": (),
}
"""Attribute of a finding → its values; an attribute without values here takes any snake_case name."""

MARKS: Mapping[str, str] = {
    ",": "comma",
    ";": "end_clause",
    ":": "introduce",
    "(": "open",
    ")": "close",
    "[": "open",
    "]": "close",
    "and": "and",
    "or": "or",
}
"""Punctuation and joining words → kind of phrase; `end_clause` is also the effect of a cue."""

SYMBOLS: Mapping[str, str] = {"#": "fracture", ">": "exceeds", "<": "under"}
"""Characters that stand for a word: "# of the left clavicle", "R>L"."""

Direction = Literal["", "forward", "backward", "both"]
DIRECTED: Mapping[str, tuple[Direction, ...]] = {
    "deny": ("forward", "backward"),
    "doubt": ("forward", "backward", "both"),
    "set_aside": ("forward", "backward"),
}
"""Effect that a cue has on the findings on one side of it → the directions it can take."""
EFFECTS = (
    *DIRECTED,
    "disfavor",
    "leave_open",
    "affirm",
    "assure",
    "all",
    "consider",
    "deny_elsewhere",
    "end_scope",
    "subordinate",
    "relate",
    "attend",
    "point",
    "explain",
    "link",
    "replace",
    "remove",
    "plan",
    "plan_next",
    "suppose",
    "pair",
    "end_clause",
    "begin_statement",
    "conclude",
    "verb",
    "past",
    "now",
    "remain",
    "refer_back",
    "refer_to_part",
    "repeat",
    "contrast",
    "compare_places",
    "compare",
    "compare_back",
    "grade_comparison",
    "date_back",
    "date_both",
    "view",
    "read_over",
)
"""Effects of cues. `data/cues.toml` describes each effect; `walker/cues.py` names the function of each."""
GRADES: Mapping[str, tuple[Certainty, ...]] = {
    "deny": ("absent", "unlikely"),
    "deny_elsewhere": ("absent",),
    "replace": ("absent",),
    "remove": ("absent",),
    "doubt": ("possible", "likely"),
    "consider": ("possible",),
    "disfavor": ("possible", "unlikely"),
    "explain": ("present", "likely"),
}
"""Effect of a cue → the certainties it can give, the usual one first."""
OPENS_SCOPE = ("deny_forward", "deny_backward", "doubt_forward", "set_aside_forward", "disfavor", "deny_elsewhere")
"""Kinds of cue whose effect can reach forward, until something ends it."""
ENDS_SCOPE = ("end_scope", "subordinate", "relate", "attend", "point", "explain")
"""Kinds of cue that can end the reach of another."""

Value = str | float
Attribute = tuple[str, Value]
"""An attribute of a finding and its value: `("side", "left")`, `("severity", 2.0)`."""
Entry = tuple[str, tuple[str, ...], tuple[Attribute, ...]]
"""Meaning of a phrase: its kind, the names it stands for, and the attributes it states.

Kinds are `observation`, `structure`, `quality`, `modifier`, the values of `MARKS`, and `CUE_KINDS`.
"""
Node = dict[str, Any]
"""Node of the tree of phrases: each next word → its node, "" → the `Entry` of the phrase that ends here."""
OTHERWISE = "~"
"""Key of a node of the tree of phrases → the `Sense`s that the phrase that ends here has in other company."""


class Sense(NamedTuple):
    """Another meaning that a phrase has in the company of certain words.

    Attributes:
        follows: words, one of which stands before the phrase.
        precedes: words, one of which stands after it.
        unless: words, none of which stands anywhere in the sentence.
        entry: what it means then.
    """

    follows: frozenset[str]
    precedes: frozenset[str]
    unless: frozenset[str]
    entry: Entry


Table = Mapping[str, Any]
"""A table of a TOML file, not checked yet."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Something a report may say about an image.

    Attributes:
        name: canonical name in snake_case.
        label: CheXpert class, or "" if it belongs to none.
        significance: how much it matters if nothing more is known.
        ancestors: the observations it is a kind or sign of, nearest first.
        like: other observations it is often mistaken for, and which are mistaken for it.
        close: other observations that reports use for the same thing.
        usual: side, places and descriptors that go without saying.
        explains: what it is taken for at first; if it turns out to be this, it is not that.
        unpaired: it has no side, as the heart and the spine.
        directed: its side is a direction ("shift to the right"), and not taken from other findings.
        sign: it is a sign of the first of its ancestors, and no kind of it ("blunted angle" of an effusion).
        proper: positions in which a device belongs.
        misplaced: positions in which a device is harmful or useless.
    """

    name: str
    label: str = ""
    significance: Significance = "actionable"
    ancestors: tuple[str, ...] = ()
    like: frozenset[str] = frozenset()
    close: frozenset[str] = frozenset()
    usual: frozenset[str] = frozenset()
    explains: frozenset[str] = frozenset()
    unpaired: bool = False
    directed: bool = False
    sign: bool = False
    proper: frozenset[str] = frozenset()
    misplaced: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Structure:
    """A part of the body, with the observations that "normal" and "no acute abnormality" rule out.

    With `more_is_better`, its changes are those of no finding: "improved aeration". With `several`, its names are
    a list: "heart and mediastinum".
    """

    name: str
    normal: tuple[str, ...]
    no_acute: tuple[str, ...]
    more_is_better: bool = False
    several: bool = False


@dataclass(frozen=True, slots=True)
class Cue:
    """A group of words that tell how other words are to be understood: one table of `cues.toml`.

    Attributes:
        name: name of the table.
        effect: one of `EFFECTS`.
        direction: which findings it affects: those after it, before it, or both. "" if the effect has no direction.
        ended_by: names of the cues that end its reach; a new clause always ends it. "comma": a comma does too, unless
            a finding was affected before it.
        grade: certainty of the findings it affects.
        after: name of a cue that can be part of a verb ("not") → name of the cue that both are ("not seen").
        states: attributes that the words state besides.
        of_change: if the clause says that the denied findings have changed, only that is denied.
    """

    name: str
    effect: str
    direction: Direction = ""
    ended_by: frozenset[str] = frozenset()
    grade: Certainty = "present"
    after: Mapping[str, str] = field(default_factory=dict[str, str])
    states: tuple[Attribute, ...] = ()
    of_change: bool = False

    @property
    def kind(self) -> str:
        """Kind of phrase: the effect, with the direction if it has one (`deny_forward`)."""
        return f"{self.effect}_{self.direction}" if self.direction else self.effect


CUE_KINDS = tuple(
    f"{effect}_{direction}" if direction else effect for effect in EFFECTS for direction in DIRECTED.get(effect, ("",))
)
"""All values of `Cue.kind`."""


@dataclass(frozen=True, slots=True)
class Ontology:
    """The data files, checked and compiled.

    Attributes:
        observations: by name.
        structures: by name.
        cues: by name.
        verb_parts: name of each cue that can be part of a verb ("not") → its kind.
        devices: names of lines, tubes and other devices (the kinds of `support_device`).
        descriptors: names of the descriptors.
        within: place → the larger place it lies in (a base lies in a lower zone).
        combinations: (structure or observation, quality or observation) → (observation, whether only possible).
        refined_by_structure: observations that are the second part of a combination.
        phrases: tree of all phrases.
        heads: words that turn a finding before them into the name of something else ("pneumonia vaccine").
        forms: each known spelling of a word, plurals included → the word as it stands in `phrases`.
        spelling: corrects misspelled words of observations, structures and some modifiers.
    """

    observations: Mapping[str, Observation]
    structures: Mapping[str, Structure]
    cues: Mapping[str, Cue]
    verb_parts: Mapping[str, str]
    devices: frozenset[str]
    descriptors: frozenset[str]
    within: Mapping[str, str]
    combinations: Mapping[tuple[str, str], tuple[str, bool]]
    refined_by_structure: frozenset[str]
    heads: frozenset[str]
    phrases: Node = field(repr=False)
    forms: Mapping[str, str] = field(repr=False)
    spelling: Spelling = field(repr=False)
