"""Find the phrases of a sentence that have numbers: measurements, ratios, and rows of ribs and vertebrae."""

from __future__ import annotations

import re

from cxr_rewards.findings.finding import MANY
from cxr_rewards.findings.item import Item
from cxr_rewards.findings.ontology import Attribute

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
DIGIT = re.compile("[0-9]")


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


def numbered_phrases(sentence: str) -> list[Item]:
    """Return the phrases that have numbers in them, in order: measurements, ratios, rows of ribs and vertebrae."""
    phrases = [
        Item("modifier", (), (("distance" if _AWAY.match(sentence, end) else "size", size),), 0, 0, start, end)
        for start, end, size in _sizes(sentence)
    ]
    if "aort" in sentence and (wide := _wide_aorta(sentence)):
        starts = {item.start for item in wide}
        phrases = [*wide, *(item for item in phrases if item.start not in starts)]
    phrases += [Item("structure", (name,), places, 0, 0, start, end) for start, end, places, name in _levels(sentence)]
    if DIGIT.search(sentence) is not None:
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
