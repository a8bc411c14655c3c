"""From a report's words to its findings, sentence by sentence, in one pass over the words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from cxr_rewards.findings.ontology import Ontology, ontology
from cxr_rewards.text import Section, lower, sections, sentences, tidy

Polarity = Literal["present", "absent", "possible"]
Side = Literal["", "left", "right", "bilateral"]


class Finding(NamedTuple):
    """One thing a report says of the image.

    Attributes:
        observation: canonical name, a key of `ontology().observations`.
        polarity: `present`, `absent` (denied, or ruled out by a normal statement) or `possible`.
        side: `left`, `right`, `bilateral`, or "" where none is given.
        start: where the phrase begins in the report.
        end: where it ends.
    """

    observation: str
    polarity: Polarity
    side: Side
    start: int
    end: int


READ_SECTIONS = frozenset(("", "findings", "impression", "findings_impression", "recommendation", "addendum", "report"))
"""Sections that speak of the image; indication, history, comparison, technique and the like do not."""
RUN_ON_SECTIONS = frozenset(("comparison", "technique", "examination"))
"""Sections whose first sentence some reports follow with the findings: read where nothing else says anything."""

_TOKEN = re.compile(r"[a-z0-9]+|[,;:()\[\]]")
_REACH = 6
"""How many words may lie between a structure and what is said of it, or a finding and its side."""
_KEPT = 12
"""How many earlier statements of a clause a word can look back on: bounds the work on hostile text."""
_SIDES: dict[str, Side] = {"left": "left", "right": "right", "both": "bilateral"}
_LIST = frozenset(("comma", "and", "or"))
_PREDICATES = frozenset(("is_verb", "quality", "denies_next", "denies_previous"))


class _Item(NamedTuple):
    """A known phrase in a sentence: what it is, which words and characters it covers."""

    kind: str
    names: tuple[str, ...]
    first: int
    last: int
    start: int
    end: int


class _Mention:
    """A finding in the making: later words of its clause may still change it."""

    __slots__ = ("at", "end", "observation", "polarity", "side", "start")

    def __init__(self, observation: str, polarity: Polarity, side: Side, item: _Item) -> None:
        self.observation = observation
        self.polarity: Polarity = polarity
        self.side: Side = side
        self.at = item.first
        self.start = item.start
        self.end = item.end


class _Part(NamedTuple):
    """A structure named in a clause, of which nothing has been said so far."""

    name: str
    side: Side
    item: _Item


_JOINTS = {
    ",": "comma",
    ";": "ends_clause",
    ":": "is_verb",
    "(": "bracket",
    ")": "bracket",
    "[": "bracket",
    "]": "bracket",
    "and": "and",
    "or": "or",
}


def _items(known: Ontology, text: str, start: int, end: int) -> tuple[list[_Item], int]:
    """Find the known phrases of a sentence: at each word the longest one. Also return the number of words."""
    forms, phrases = known.forms, known.phrases
    tokens = [(match.group(), match.start()) for match in _TOKEN.finditer(text, start, end)]
    words = [forms.get(token) for token, _ in tokens]
    items: list[_Item] = []
    i, count = 0, len(tokens)
    while i < count:
        word = words[i]
        if word is None:
            token, at = tokens[i]
            if token in _JOINTS:
                items.append(_Item(_JOINTS[token], (), i, i, at, at + len(token)))
            i += 1
            continue
        node, j, entry, last = phrases.get(word), i + 1, None, i
        while node is not None:
            if "" in node:
                entry, last = node[""], j - 1
            if j == count or (word := words[j]) is None:
                break
            node = node.get(word)
            j += 1
        if entry is not None:
            token, at = tokens[last]
            items.append(_Item(entry[0], entry[1], i, last, tokens[i][1], at + len(token)))
            i = last + 1
        else:
            token, at = tokens[i]
            if token in _JOINTS:
                items.append(_Item(_JOINTS[token], (), i, i, at, at + len(token)))
            i += 1
    return items, count


class _Sentence:
    """Walks over the items of one sentence and collects what it says."""

    def __init__(self, known: Ontology, items: list[_Item], words: int) -> None:
        self.known = known
        self.items = items
        self.words = words
        self.found: list[_Mention] = []
        self.refined: dict[int, tuple[str, bool]] = {}
        self.new_clause()

    def new_clause(self) -> None:
        self.parts: list[_Part] = []
        self.mentions: list[_Mention] = []
        self.unsided: list[_Mention] = []
        self.side: Side = ""
        self.side_at = -100
        self.predicated = self.verb = False
        self.end_scope()

    def end_scope(self) -> None:
        self.denied = self.softened = self.doubted = self.aside = False

    # ---------------------------------------------------------------- statements

    def polarity(self, possible: bool = False) -> Polarity:
        if self.denied:
            return "absent"
        return "possible" if self.softened or self.doubted or possible else "present"

    def say(self, observation: str, item: _Item, *, possible: bool = False, part: _Part | None = None) -> None:
        if self.aside:
            return
        side = self.side if item.first - self.side_at <= _REACH else ""
        if not side and part is not None:
            side = part.side
        mention = _Mention(observation, self.polarity(possible), side, item)
        self.doubted = False
        self.found.append(mention)
        self.mentions = [*self.mentions[1 - _KEPT :], mention]
        if not side:
            self.unsided.append(mention)
        self.predicated = True

    def rule_out(self, part: str, item: _Item, side: Side, *, acute: bool) -> None:
        structure = self.known.structures[part]
        for observation in structure.no_acute if acute else structure.normal:
            self.found.append(_Mention(observation, "absent", side, item))
        self.predicated = True

    # ---------------------------------------------------------------- looking around

    def ahead(self, i: int, kinds: tuple[str, ...]) -> int | None:
        """Return the index of the next item of one of `kinds` within reach, in the same statement."""
        origin = self.items[i].last
        for j in range(i + 1, min(i + 1 + _REACH, len(self.items))):
            item = self.items[j]
            if item.first - origin > _REACH or item.kind in ("ends_clause", "comma", "is_verb", "bracket"):
                return None
            if item.kind in kinds:
                return j
        return None

    def starts_clause(self, i: int) -> bool:
        """Judge whether what follows the comma or "and" at `i` is a statement of its own, not one more in a list."""
        items = self.items
        if i + 1 >= len(items):
            return False
        first = items[i + 1]
        near = first.first - items[i].last <= 2
        if near and first.kind == "begins_anew":
            return self.denied or self.softened
        if not self.predicated and not self.denied:
            return False
        if near and first.kind == "quality" and first.names[0] == "normal" and self.denied:
            return True
        structure = False
        for item in items[i + 1 :]:
            if item.kind in _LIST or item.kind in ("ends_clause", "observation"):
                return False
            if item.kind == "structure":
                structure = True
            elif structure and item.kind in _PREDICATES:
                return not (item.kind == "quality" and item.names[0] == "abnormality")
        return False

    # ---------------------------------------------------------------- one item after the other

    def read(self) -> list[_Mention]:
        for i, item in enumerate(self.items):
            kind = item.kind
            if kind == "observation":
                self.observation(i, item)
            elif kind == "structure":
                self.structure(item)
            elif kind == "quality":
                self.quality(i, item)
            elif kind in _SIDES:
                self.set_side(_SIDES[kind], item)
            else:
                self.cue(i, item)
        return self.found

    def cue(self, i: int, item: _Item) -> None:
        kind = item.kind
        if kind in ("comma", "and"):
            if self.starts_clause(i):
                self.new_clause()
            self.unsided = []
        elif kind == "denies_next":
            self.denied = True
        elif kind == "denies_previous":
            for mention in self.mentions:
                mention.polarity = "absent"
        elif kind == "softens_next":
            self.softened = True
        elif kind == "softens_previous":
            for mention in self.mentions:
                mention.polarity = "possible"
        elif kind in ("or", "joins_as_doubt"):
            self.join(i, item)
        elif kind == "sets_aside_next":
            self.aside = True
        elif kind == "ends_scope":
            self.end_scope()
        elif kind in ("ends_clause", "bracket"):
            self.new_clause()
        elif kind == "is_verb":
            self.verb = True

    def join(self, i: int, item: _Item) -> None:
        """Read "atelectasis or scarring" as two possible findings, "no atelectasis or scarring" as two denials."""
        after = self.ahead(i, ("observation",))
        if self.denied or after is None or not self.mentions:
            return
        last = self.mentions[-1]
        if last.polarity == "present" and item.first - last.at <= _REACH:
            last.polarity = "possible"
            self.doubted = True

    def set_side(self, side: Side, item: _Item) -> None:
        if self.side and {self.side, side} == {"left", "right"} and item.first - self.side_at <= 2:
            side = "bilateral"
        self.side, self.side_at = side, item.last
        for mention in self.unsided:
            if item.first - mention.at <= _REACH:
                mention.side = side
        self.unsided = []

    def structure(self, item: _Item) -> None:
        side = self.side if item.first - self.side_at <= 3 else ""
        self.parts = [*self.parts[1 - _KEPT :], _Part(item.names[0], side, item)]
        self.verb = False

    def observation(self, i: int, item: _Item) -> None:
        refined = self.refined.get(i)
        if refined is not None:
            self.say(refined[0], item, possible=refined[1])
            return
        for name in item.names:
            better = self.by_structure(i, item, name) if name in self.known.refined_by_structure else None
            self.say(better[0] if better else name, item, possible=bool(better and better[1]))
        self.verb = False

    def by_structure(self, i: int, item: _Item, name: str) -> tuple[str, bool] | None:
        """Look for a structure that makes an observation more precise: "fracture" of a rib."""
        for part in reversed(self.parts):
            found = self.known.combinations.get((part.name, name))
            if found and item.first - part.item.last <= _REACH:
                return found
        j = self.ahead(i, ("structure", "observation"))
        if j is not None and self.items[j].kind == "structure":
            return self.known.combinations.get((self.items[j].names[0], name))
        return None

    def quality(self, i: int, item: _Item) -> None:
        name = item.names[0]
        if name == "normal":
            self.normal(i, item)
        elif name == "abnormality":
            self.abnormality(i, item)
        elif self.verb:  # "the heart is enlarged"
            self.qualify_previous(item, name) or self.qualify_next(i, item, name)
        else:
            self.qualify_next(i, item, name) or self.qualify_previous(item, name)

    def qualify_next(self, i: int, item: _Item, name: str) -> bool:
        """Join a quality with the structure or observation after it: "enlarged heart", "calcified nodule"."""
        j = self.ahead(i, ("structure", "observation"))
        found = None
        while j is not None:
            target = self.items[j]
            found = self.known.combinations.get((target.names[0], name))
            # "tortuosity and atherosclerosis of the aorta": look past the second of two things joined
            if found is not None or (target.kind == "observation" and self.items[j - 1].kind not in _LIST):
                break
            j = self.ahead(j, ("structure", "observation"))
            if j is not None and self.items[j].first - item.last > _REACH:
                return False
        if j is None or found is None:
            return False
        if target.kind == "observation":
            self.refined[j] = found
        else:
            between = [x.kind for x in self.items[i + 1 : j] if x.kind in _SIDES]
            if between:
                self.set_side(_SIDES[between[-1]], self.items[j - 1])
            self.say(found[0], item, possible=found[1])
            self.refined[j] = found
        return True

    def qualify_previous(self, item: _Item, name: str) -> bool:
        """Join a quality with what came before it in the clause: "the heart is enlarged", "a nodule, calcified"."""
        combinations = self.known.combinations
        for part in reversed(self.parts):
            found = combinations.get((part.name, name))
            if found is not None:
                self.say(found[0], item, possible=found[1], part=part)
                self.parts = [other for other in self.parts if other is not part or name != "enlarged"]
                return True
        for mention in reversed(self.mentions):
            found = combinations.get((mention.observation, name))
            if found is not None and item.first - mention.at <= _REACH:
                mention.observation = found[0]
                return True
        return False

    def normal(self, i: int, item: _Item) -> None:
        if self.denied or self.aside:
            return
        j = i + 1
        adjacent = (
            j < len(self.items)
            and self.items[j].kind in ("structure", *_SIDES)
            and self.items[j].first - item.last <= 2
        )
        if adjacent and not (self.verb and self.parts):
            while j < len(self.items):
                following = self.items[j]
                if following.kind == "structure":
                    self.rule_out(following.names[0], item, "", acute=False)
                elif following.kind not in _LIST and following.kind not in _SIDES:
                    break
                j += 1
            return
        targets = self.targets()
        for part in targets:
            self.rule_out(part.name, item, part.side, acute=False)
        self.parts = []
        if not targets and self.alone():
            self.rule_out("chest", item, "", acute=False)

    def abnormality(self, i: int, item: _Item) -> None:
        if not self.denied or self.aside:
            return
        targets = [part.name for part in self.targets()]
        if not targets:
            j = self.ahead(i, ("structure", "observation"))
            if j is not None and self.items[j].kind == "structure":
                targets = [self.items[j].names[0]]
        for name in targets or ["chest"]:
            self.rule_out(name, item, "", acute=True)
        self.parts = []

    def targets(self) -> list[_Part]:
        """Return the structures a statement is about; the chest as a whole only where it is the only one."""
        return [part for part in self.parts if part.name != "chest"] or self.parts

    def alone(self) -> bool:
        """Judge whether the sentence names nothing that "normal" could be said of, as "Unremarkable." does."""
        return self.words <= 4 and all(x.kind not in ("structure", "observation") for x in self.items)


def read(text: str) -> tuple[Finding, ...]:
    """Return what a report says of its image, in order of reading.

    Reads the sections in `READ_SECTIONS` (where these say nothing, `RUN_ON_SECTIONS`), knows what `ontology.toml` and
    `language.toml` list, and takes any text. A normal statement is read as the absences it implies: "the heart is
    normal" denies `cardiomegaly`.

    Example:
        >>> report = "INDICATION: Pneumonia? FINDINGS: No effusion or pneumothorax. The heart is mildly enlarged."
        >>> [(f.observation, f.polarity) for f in read(report)]
        [('pleural_effusion', 'absent'), ('pneumothorax', 'absent'), ('cardiomegaly', 'present')]
        >>> read("Possible nodule at the left base.")
        (Finding(observation='lung_nodule', polarity='possible', side='left', start=9, end=15),)
    """
    tidied = tidy(text)
    parts = sections(tidied)
    found = _read(tidied, [part for part in parts if part.name in READ_SECTIONS])
    return found or _read(tidied, [part for part in parts if part.name in RUN_ON_SECTIONS], skip=1)


def _read(tidied: str, parts: Sequence[Section], skip: int = 0) -> tuple[Finding, ...]:
    """Read the parts, each without its first `skip` sentences."""
    known, plain = ontology(), lower(tidied)
    found: list[Finding] = []
    for part in parts:
        for start, end in sentences(tidied, part.start, part.end, tidied=True)[skip:]:
            items, words = _items(known, plain, start, end)
            if items:
                mentions = _Sentence(known, items, words).read()
                found += [Finding(m.observation, m.polarity, m.side, m.start, m.end) for m in mentions]
    return tuple(found)
