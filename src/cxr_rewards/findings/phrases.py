"""The known phrases and measurements of a sentence."""

from __future__ import annotations

import re
from typing import NamedTuple

from cxr_rewards.findings.finding import MANY
from cxr_rewards.findings.ontology import Attribute, Ontology


class Item(NamedTuple):
    """A known phrase: what it is, what it says, which words and characters of the sentence it covers."""

    kind: str
    names: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    first: int
    last: int
    start: int
    end: int


_TOKEN = re.compile(r"[a-z0-9]+|[,;:()\[\]]")
_NUMBER = r"([0-9]{1,4}(?:\.[0-9]{1,3})?)"
_SIZE = re.compile(
    rf"(?<![a-z0-9.]){_NUMBER}(?:\s?(x|by|-|to)\s?{_NUMBER})?(?:\s?(?:x|by)\s?{_NUMBER})?"
    r"[ \n-]{0,2}(mm|cm|millimeters?|centimeters?)(?![a-z0-9])"
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh")
_ORDINAL = "(?:[0-9]{1,2}(?:st|nd|rd|th)|" + "|".join((*_ORDINALS, "twelfth")) + ")"
_AND = r"(?: ?(?:,|,? and|&|/) ?| ?(?:-|to|through|thru) ?(?:the )?)"
_RIBS = re.compile(
    rf"(?<![a-z0-9])({_ORDINAL}(?:{_AND}{_ORDINAL}){{0,8}})(?: [a-z]+){{0,2}} ribs?(?![a-z])"
    rf"|(?<![a-z])ribs? fractures?,? (?:of )?(?:the )?({_ORDINAL}(?:{_AND}{_ORDINAL}){{0,8}})(?![a-z])"
    rf"|(?<![a-z])ribs? ([0-9]{{1,2}}(?:{_AND}[0-9]{{1,2}}){{0,8}})(?![0-9]|[.][0-9]| ?[mc]m)"
)
_VERTEBRAE = re.compile(rf"(?<![a-z0-9])([tl][0-9]{{1,2}}(?:{_AND}[tl]?[0-9]{{1,2}}){{0,8}})(?![a-z0-9]|\.[0-9])")
_LEVEL = re.compile(rf"([tl])?([0-9]{{1,2}})|({_ORDINAL})|(-|to|through|thru)")
_LAST_THORACIC, _LAST_VERTEBRA, _LAST_RIB = 12, 17, 12
_DIGIT_OR_RIB = re.compile(r"[0-9]|rib")


def _sizes(sentence: str) -> list[tuple[int, int, float]]:
    """Return start, end and mm of each measurement: of "3 x 2 cm" the largest, of "3-4 cm" the middle."""
    found = []
    for match in _SIZE.finditer(sentence):
        one, joint, two, three, unit = match.groups()
        numbers = [float(number) for number in (one, two, three) if number]
        size = sum(numbers) / len(numbers) if joint in ("-", "to") else max(numbers)
        found.append((match.start(), match.end(), size * (10 if unit.startswith("c") else 1)))
    return found


def _special(sentence: str) -> list[Item]:
    """Return what is read by pattern, not by word: measurements, and rows of ribs and vertebrae, in order."""
    found = [Item("modifier", (), (("size", size),), 0, 0, start, end) for start, end, size in _sizes(sentence)]
    found += [Item("structure", (name,), said, 0, 0, start, end) for start, end, said, name in _levels(sentence)]
    return sorted(found, key=lambda item: item.start)


def _levels(sentence: str) -> list[tuple[int, int, tuple[Attribute, ...], str]]:
    """Return start, end, places and structure of each row of ribs or vertebrae: "ribs 5-7", "T12 and L1"."""
    found = [(match.start(), match.end(), _rows(match[1], ""), "spine") for match in _VERTEBRAE.finditer(sentence)]
    for match in _RIBS.finditer(sentence) if "rib" in sentence else ():
        start = match.start(2) if match[2] else match.start()  # "rib fracture, 5th": the fracture is read as words
        found.append((start, match.end(), _rows(match[1] or match[2] or match[3], "rib_"), "rib"))
    return sorted(found)


def _rows(text: str, prefix: str) -> tuple[Attribute, ...]:
    """Return the places that a row of levels names, and their number."""
    levels: list[int] = []  # vertebrae of the lumbar spine go on after the thoracic ones
    region, through = "t", False
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


def _corrected(known: Ontology, token: str) -> str | None:
    word = known.spelling.correct(token)
    return known.forms[word] if word else None


def items(known: Ontology, sentence: str) -> tuple[list[Item], int]:
    """Find the known phrases of a lower-case sentence: at each word the longest one. Also return the number of words.

    Example:
        >>> from cxr_rewards.findings.ontology import ontology
        >>> [(item.kind, item.names, item.attributes) for item in items(ontology(), "no small effusion")[0]]
        [('denies_next', ('denies_next',), ()), ('modifier', (), (('severity', 2.0),)),
         ('observation', ('pleural_effusion',), ())]
    """
    forms, phrases = known.forms, known.phrases
    tokens: list[tuple[str, int]]
    special: dict[int, Item] = {}
    if _DIGIT_OR_RIB.search(sentence):
        tokens = []
        at = 0
        for item in _special(sentence):
            if item.start < at:
                continue
            tokens += [(match[0], match.start()) for match in _TOKEN.finditer(sentence, at, item.start)]
            special[item.start] = item._replace(first=len(tokens), last=len(tokens))
            tokens.append(("", item.start))
            at = item.end
        tokens += [(match[0], match.start()) for match in _TOKEN.finditer(sentence, at)]
    else:
        tokens = [(match[0], match.start()) for match in _TOKEN.finditer(sentence)]
    form = forms.get
    words = [form(token) or (_corrected(known, token) if len(token) > 5 else None) for token, _ in tokens]
    found: list[Item] = []
    new = tuple.__new__  # a third of the time that the constructor takes
    i, count = 0, len(tokens)
    while i < count:
        word = words[i]
        if word is None:
            if not tokens[i][0]:
                found.append(special[tokens[i][1]])
            i += 1
            continue
        entry, last, j = None, i, i + 1
        node = phrases.get(word)
        while node is not None:
            if "" in node:
                entry, last = node[""], j - 1
            if j == count or (word := words[j]) is None:
                break
            node = node.get(word)
            j += 1
        if entry is not None:
            kind, names, attributes = entry
            token, at = tokens[last]
            found.append(new(Item, (kind, names, attributes, i, last, tokens[i][1], at + len(token))))
        i = last + 1
    return found, count
