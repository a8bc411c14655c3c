"""Find the known phrases of a sentence, its measurements, and its rows of ribs and vertebrae."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, repeat, takewhile
from typing import cast

from cxr_rewards.findings.finding import MANY
from cxr_rewards.findings.ontology import Attribute, Ontology
from cxr_rewards.findings.ontology.contractions import is_contracted, spell_out
from cxr_rewards.findings.ontology.model import OTHERWISE, Entry, Node


@dataclass(slots=True)
class Item:
    """A known phrase of a sentence; read-only.

    Attributes:
        kind: `observation`, `structure`, `quality`, `modifier`, or the kind of a cue or mark.
        names: the observations, structure, quality or cue that it stands for.
        attributes: attributes that it states.
        first: index of its first word in the sentence.
        last: index of its last word.
        start: where it begins in the sentence.
        end: where it ends.
    """

    kind: str
    names: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    first: int
    last: int
    start: int
    end: int

    def of_kind(self, kind: str) -> Item:
        """Return the same phrase as one of another kind."""
        return Item(kind, self.names, self.attributes, self.first, self.last, self.start, self.end)


_TOKEN = re.compile(r"([a-z0-9]+|[,;:()\[\]?<>]|(?<!#)#(?!#| ?(?:[0-9]{1,2}(?![0-9a-z-])|[0-9]{3})))")
"""Words and marks: "# of rib 5", but not "#1 Effusion." or "## Lungs"."""
_PLAIN_TOKEN = re.compile(r"([a-z]+|[,;:()\[\]?<>])")
"""The same for a sentence without numbers and such marks."""
_UNKNOWN = " "
"""Stands for a word that no phrase has; no node of the tree has such a key."""
_QUESTION = {True: "questioned", False: "query"}
"""Whether a question mark follows a word directly → the word of cues.toml that it is read as."""
_COMPANY = 6
"""How many words before and after a phrase tell its sense."""
_PARTS = frozenset((",", ";", "(", ")", "[", "]", "and", "or", "but", "with"))
"""Words that part a phrase from what stands beyond."""
_PARTS_BEHIND = _PARTS | {":"}
"""The same for what stands behind: a label tells the sense of its value, but the value not that of the label."""
_SHORT = 5
"""Words up to this length are not corrected."""
_NUMBER = r"([0-9]{1,4}(?:\.[0-9]{1,3})?)"
_SIZE = re.compile(
    rf"(?<![a-z0-9.]){_NUMBER}(?:\s?(x|by|-|to)\s?{_NUMBER})?(?:\s?(?:x|by)\s?{_NUMBER})?"
    r"[ \n-]{0,2}(mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)(?![a-z0-9])"
)
_NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_SIZE_IN_WORDS = re.compile(
    rf"(?<![a-z0-9])({'|'.join(_NUMBER_WORDS)})[ -](mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)(?![a-z0-9])"
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh")
_ORDINAL = "(?:[0-9]{1,2}(?:st|nd|rd|th)|" + "|".join((*_ORDINALS, "twelfth")) + ")"
_AND = r"(?: ?(?:,|,? and|&|/) ?| ?(?:-|to|through|thru) ?(?:the )?)"
_RIBS = re.compile(
    rf"(?<![a-z0-9])({_ORDINAL}(?:{_AND}{_ORDINAL}){{0,8}})(?: [a-z]+){{0,2}} ribs?(?![a-z])"
    rf"|(?<![a-z])ribs? fractures?,? (?:of )?(?:the )?({_ORDINAL}(?:{_AND}{_ORDINAL}){{0,8}})(?![a-z])"
    rf"|(?<![a-z])ribs? ([0-9]{{1,2}}(?:{_AND}[0-9]{{1,2}}){{0,8}})(?![0-9]|[.][0-9]| ?[mc]m)"
)
_VERTEBRAE = re.compile(
    rf"(?<![a-z0-9])((?:[tl][0-9]{{1,2}}|d(?:[5-9]|1[0-2]))(?:{_AND}[tld]?[0-9]{{1,2}}){{0,8}})(?![a-z0-9]|\.[0-9]|:)"
)
_VERTEBRAE_IN_WORDS = re.compile(
    rf"(?<![a-z0-9])({_ORDINAL}(?:{_AND}{_ORDINAL}){{0,4}}) (thoracic|dorsal|lumbar)"
    r"(?= vertebra)"
)
_LEVEL = re.compile(rf"([tld])?([0-9]{{1,2}})|({_ORDINAL})|(-|to|through|thru)")
_LAST_THORACIC, _LAST_VERTEBRA, _LAST_RIB = 12, 17, 12
_RATIO = re.compile(
    r"(?:ctr|c[ /:]?t ratio|cardio[ -]?thoracic (?:ratio|index)) ?([^0-9;.]{0,25}?)"
    r"(0?\.[0-9]{1,3}|[0-9]{2}(?:\.[0-9])? ?(?:%|per ?cent)|[0-9]{1,3}(?:\.[0-9])? ?/ ?[0-9]{2,3}(?:\.[0-9])?)(?![0-9])"
)
"""The cardiothoracic ratio, with the words between it and its value."""
_LARGEST_NORMAL_RATIO = 0.5
_AT_MOST = re.compile("<|less than|below|under|up to|not exceed")
_MORE_THAN = re.compile(">|more than|greater than|above|over|exceed")
_DIGIT = re.compile("[0-9]")


_MOVED = re.compile(
    r"(?:\bby|(?:withdraw|retract|advanc|pull|push)[a-z]*)"
    r"(?:\s+(?:it|the|tube|line|catheter|back|out|in|further|another|an|additional|about|approximately|by|at|least|to))*\s+\Z"
)
_TO_MOVE = re.compile(r"\s+(?:of\s+)?(?:further\s+)?(?:withdrawal|retraction|advancement|repositioning)")
_AWAY = re.compile(
    r"\s+(?:(?:away\s+)?from\s+(?:the|its|a)\s+(?!(?:[a-z]+\s+){0,2}(?:prior|previous|last|earlier|former|initial|preceding"
    r"|original|baseline|chest|ribs?|thoracic|parietal|apex|cupola)\b)"
    r"|(?:above|below|beyond|deep to|superior to|inferior to|proximal to|distal to|caudal to|cranial to|medial to"
    r"|lateral to)\b)"
)
"""Behind a distance, which is no size: "6 cm from the hilum", but "a rim of 2 cm from the chest wall"."""
_YEAR = re.compile(
    r"\b(?:in|from|of|on) (?:the )?(?:19|20)[0-9]{2}\b(?! ?(?:film|image|radiograph|study|h\b|hrs|hours))"
    r"|\b(?:on|at) (?:the )?(?:[01]?[0-9]|2[0-3])[:.]?[0-5][0-9] ?(?:am|pm|h|hrs|hours)?"
    r" (?:film|image|radiograph|study|chest|x-ray)\b"
    r"|(?<![0-9.])[0-9]{1,2}(?:st|nd|rd|th)? (?:of )?may\b|\bmay [0-9]{1,2}(?![0-9.])"
)
"""A year, the time of an image, or a day in May, which is no doubt."""


def _sizes(sentence: str) -> list[tuple[int, int, float]]:
    """Return start, end and size in mm of each measurement: for "3 x 2 cm" the largest, for "3-4 cm" the middle.

    A length to move a tube, or a difference, is none: "withdraw 3 cm", "grown by 3 mm".
    """
    sizes = []
    for match in _SIZE.finditer(sentence):
        at = match.start()
        if _MOVED.search(sentence, max(0, at - 50), at) or _TO_MOVE.match(sentence, match.end()):
            continue
        one, joint, two, three, unit = match.groups()
        factor = 10 if unit.startswith("c") else 1
        if joint == "to" and sentence.endswith("from ", 0, at):  # "from 12 to 8 mm"
            sizes.append((at, match.end(1), float(one) * factor))
            sizes.append((match.start(3), match.end(), float(two) * factor))
            continue
        numbers = [float(number) for number in (one, two, three) if number]
        size = sum(numbers) / len(numbers) if joint in ("-", "to") else max(numbers)
        sizes.append((at, match.end(), size * factor))
    for match in _SIZE_IN_WORDS.finditer(sentence) if "met" in sentence else ():
        size = float(_NUMBER_WORDS.index(match[1]) + 1)
        sizes.append((*match.span(), size * (10 if match[2].startswith("c") else 1)))
    return sizes


def _numbered(sentence: str) -> list[Item]:
    """Return the phrases that have numbers in them, in order: measurements, ratios, rows of ribs and vertebrae."""
    phrases = [
        Item("modifier", (), (("distance" if _AWAY.match(sentence, end) else "size", size),), 0, 0, start, end)
        for start, end, size in _sizes(sentence)
    ]
    if "aort" in sentence and (wide := _wide_aorta(sentence)):
        starts = {item.start for item in wide}
        phrases = [*wide, *(item for item in phrases if item.start not in starts)]
    phrases += [Item("structure", (name,), places, 0, 0, start, end) for start, end, places, name in _levels(sentence)]
    if _DIGIT.search(sentence) is not None:
        phrases += [Item("date_both", (), (), 0, 0, *match.span()) for match in _YEAR.finditer(sentence)]
        phrases += [Item("quality", (name,), (), 0, 0, start, end) for start, end, name in _ratios(sentence)]
    return sorted(phrases, key=lambda item: item.start)


def _ratios(sentence: str) -> list[tuple[int, int, str]]:
    """Return start and end of each cardiothoracic ratio, and what it calls the heart: enlarged or normal."""
    ratios = []
    for match in _RATIO.finditer(sentence):
        words, value = match.groups()
        above, _, below = value.strip("% percnt").partition("/")
        ratio = float(above) / (float(below or 0) or (100 if value[-1] in "%t" else 1))
        large = ratio > _LARGEST_NORMAL_RATIO
        if _AT_MOST.search(words):
            large = False
        elif _MORE_THAN.search(words):
            large = ratio >= _LARGEST_NORMAL_RATIO
        ratios.append((match.start(2), match.end(2), "enlarged" if large else "normal"))
    return ratios


_AORTA = re.compile(
    rf"aort(?:ic|a)(?: (?:arch|knuckle|knob|root))?(?: (?:diameter|calib(?:er|re)|width))?"
    rf"(?: (?:of|is|now|measures|measuring|measured|about|approximately|at))* {_NUMBER} ?(mm|cm)(?![a-z])"
)
_NAMED_WIDE = re.compile("aneurysm|dilat|enlarg|ectasia|ectatic|balloon|widen")
_LARGEST_NORMAL_AORTA = 40.0


def _wide_aorta(sentence: str) -> list[Item]:
    """Return the diameter of an aorta that is too wide, and not called so: "aortic knuckle of 5 cm"."""
    if _NAMED_WIDE.search(sentence) is not None:
        return []
    return [
        Item("quality", ("enlarged",), (("size", size),), 0, 0, match.start(1), match.end())
        for match in _AORTA.finditer(sentence)
        if (size := float(match[1]) * (10 if match[2] == "cm" else 1)) > _LARGEST_NORMAL_AORTA
    ]


def _levels(sentence: str) -> list[tuple[int, int, tuple[Attribute, ...], str]]:
    """Return start, end, places and structure of each row of ribs or vertebrae: "ribs 5-7", "T12 and L1"."""
    levels = [(match.start(), match.end(), _rows(match[1], ""), "spine") for match in _VERTEBRAE.finditer(sentence)]
    levels += [
        (match.start(), match.end(), _rows(match[1], "", region=match[2][0]), "spine")
        for match in (_VERTEBRAE_IN_WORDS.finditer(sentence) if "verteb" in sentence else ())
    ]
    for match in _RIBS.finditer(sentence) if "rib" in sentence else ():
        start = match.start(2) if match[2] else match.start()  # "rib fracture, 5th": the fracture is read as words
        levels.append((start, match.end(), _rows(match[1] or match[2] or match[3], "rib_"), "rib"))
    return sorted(levels)


def _rows(text: str, prefix: str, region: str = "t") -> tuple[Attribute, ...]:
    """Return the places that a row of levels names, and how many there are."""
    levels: list[int] = []  # lumbar vertebrae are counted on from the thoracic ones
    through = False
    for letter, digits, ordinal, joint in _LEVEL.findall(text):
        if joint:
            through = True
            continue
        region = letter or region
        if ordinal:
            number = _ORDINALS.index(ordinal) + 1 if ordinal in _ORDINALS else int(re.sub(r"\D", "", ordinal) or 12)
        else:
            number = int(digits)
        if region == "l" and not prefix:
            number += _LAST_THORACIC
        if through and levels and levels[-1] < number <= levels[-1] + 12:
            levels += range(levels[-1] + 1, number)
        levels.append(number)
        through = False
    names = [
        f"{prefix}{level}" if prefix else f"t{level}" if level <= _LAST_THORACIC else f"l{level - _LAST_THORACIC}"
        for level in dict.fromkeys(levels)
        if 0 < level <= (_LAST_RIB if prefix else _LAST_VERTEBRA)
    ]
    return (*(("place", name) for name in names), ("rows", min(len(names), MANY)))


def _in_company(node: Node, tokens: list[str], first: int, last: int, said: set[str]) -> Entry:
    """Return what a phrase with several senses means among the words around it; `said` are all of the sentence."""
    for sense in node[OTHERWISE]:
        if sense.follows.isdisjoint(said) and sense.precedes.isdisjoint(said):
            continue  # as most
        before, behind = tokens[max(0, first - _COMPANY) : first], tokens[last + 1 : last + 1 + _COMPANY]
        if sense.follows.isdisjoint(_near(reversed(before), _PARTS)) and sense.precedes.isdisjoint(
            _near(behind, _PARTS_BEHIND)
        ):
            continue
        if not sense.unless or sense.unless.isdisjoint(said):
            return cast("Entry", sense.entry)
    return cast("Entry", node[""])


def _near(words: Iterable[str], parts: frozenset[str]) -> Iterator[str]:
    """Yield words up to the first that parts them from the phrase."""
    return takewhile(lambda word: word not in parts, words)


@dataclass(slots=True)
class Words:
    """The words and marks of a sentence; read-only.

    Attributes:
        tokens: as they stand there; "" for a phrase that has numbers.
        starts: where they begin.
        known: the known word that each is a form of, or a misspelling.
        numbered: position → phrase that has numbers and begins there.
        ordinary: all of them are known, and none has numbers or an apostrophe.
    """

    tokens: list[str]
    starts: list[int]
    known: list[str]
    numbered: dict[int, Item]
    ordinary: bool


def words_of(known: Ontology, sentence: str) -> Words:
    """Return the words of a sentence in lower case."""
    numbered: dict[int, Item] = {}
    ordinary = "'" not in sentence
    in_words = "rib" in sentence or "verteb" in sentence or "limet" in sentence or "timet" in sentence
    if in_words or "#" in sentence or _DIGIT.search(sentence) is not None:
        ordinary = False
        tokens, starts, at = list[str](), list[int](), 0
        for item in _numbered(sentence):
            if item.start < at:
                continue
            _tokenize(sentence, at, item.start, tokens, starts)
            numbered[item.start] = replace(item, first=len(tokens), last=len(tokens))
            tokens.append("")
            starts.append(item.start)
            at = item.end
        _tokenize(sentence, at, len(sentence), tokens, starts)
    else:  # the same, faster: every second part is a word or mark
        parts = _PLAIN_TOKEN.split(sentence)
        tokens, starts = parts[1::2], list(accumulate(map(len, parts)))[:-1:2]
    if is_contracted(sentence, tokens):
        ordinary = False
        pairs = spell_out(list(zip(tokens, starts, strict=True)))
        tokens, starts = [word for word, _ in pairs], [at for _, at in pairs]
    words = list(map(known.forms.get, tokens, repeat(_UNKNOWN)))
    if _UNKNOWN in words:
        ordinary = False
        _correct(known, sentence, tokens, starts, words)
    return Words(tokens, starts, words, numbered, ordinary)


def _correct(known: Ontology, sentence: str, tokens: list[str], starts: list[int], words: list[str]) -> None:
    """Replace the unknown words that are misspellings, and question marks."""
    for i, word in enumerate(words):
        if word is _UNKNOWN and len(tokens[i]) > _SHORT and (corrected := known.spelling.correct(tokens[i])):
            words[i] = known.forms[corrected]
    if "?" in sentence:
        for i, (mark, at) in enumerate(zip(tokens, starts, strict=True)):
            if mark == "?":  # "effusion?", but "? effusion"
                asked = _QUESTION[at > 0 and (sentence[at - 1].isalnum() or sentence[at - 1] in ")]")]
                words[i] = known.forms.get(asked, _UNKNOWN)


def _tokenize(sentence: str, start: int, end: int, tokens: list[str], starts: list[int]) -> None:
    """Add the words and marks between two positions."""
    for match in _TOKEN.finditer(sentence, start, end):
        tokens.append(match[0])
        starts.append(match.start())


def items(known: Ontology, sentence: str, given: Words | None = None) -> tuple[list[Item], int]:
    """Return the known phrases of a lower-case sentence, at each word the longest one, and the number of words.

    Pass `words_of` the sentence if they are there already.

    Example:
        >>> from cxr_rewards.findings.ontology import ontology
        >>> [(item.kind, item.names, item.attributes) for item in items(ontology(), "no small effusion")[0]]
        [('deny_forward', ('negation',), ()), ('modifier', (), (('severity', 2.0),)),
         ('observation', ('pleural_effusion',), ())]
    """
    given = given or words_of(known, sentence)
    tokens, starts, words, numbered = given.tokens, given.starts, given.known, given.numbered
    nodes: list[Node | None] = list(map(known.phrases.get, words))
    words = [*words, _UNKNOWN]  # ends the last phrase
    result: list[Item] = []
    said: set[str] = set()
    done, count = 0, len(tokens)
    for i, node in enumerate(nodes):
        if node is None or i < done:
            if numbered and i >= done and not tokens[i]:
                result.append(numbered[starts[i]])
            continue
        found, last, j = (node if "" in node else None), i, i + 1
        while (node := node.get(words[j])) is not None:
            if "" in node:
                found, last = node, j
            j += 1
        if found is None:
            continue
        kind, names, attributes = found[""]
        if OTHERWISE in found:
            said = said or set(tokens)
            kind, names, attributes = _in_company(found, tokens, i, last, said)
        if kind == "observation" and last + 1 < count and tokens[last + 1] in known.heads:
            # "pneumonia vaccine", but not "limited study"
            kind = "observation" if known.observations[names[0]].significance == "benign" else "read_over"
            last += kind == "read_over"
        if kind:  # "" if the phrase says nothing in this company
            end = starts[last] + len(tokens[last])
            result.append(Item(kind, names, attributes, i, last, starts[i], end))
        done = last + 1
    return result, count
