"""Text that the reader does not understand: sentences without a finding, and words that reports do not have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from cxr_rewards.errors import ConfigError, shorten, unknown_name
from cxr_rewards.findings.item import Item
from cxr_rewards.findings.ontology import ontology
from cxr_rewards.findings.ontology.load import data_files, parse
from cxr_rewards.findings.ontology.vocabulary import expand
from cxr_rewards.findings.phrases import Words

_FILE = "unread.toml"
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_HIDDEN = re.compile("x{2,}|_+")
_ELSEWHERE = frozenset(
    ("set_aside_forward", "set_aside_backward", "compare", "compare_back", "refer_back", "refer_to_part")
)
"""Kinds of cue of a sentence that is understood, though it states nothing new of this image."""
_ENGLISH = ("determiners", "prepositions", "verbs")
_REQUEST = ("complaints", "beside")
_ENDINGS = (
    *(
        ("s", ""),
        ("es", ""),
        ("ed", ""),
        ("ed", "e"),
        ("ing", ""),
        ("ing", "e"),
        ("ly", ""),
        ("ies", "y"),
        ("ied", "y"),
    ),
    *(("al", ""), ("al", "e"), ("ally", ""), ("ity", "e"), ("ness", ""), ("ment", ""), ("ion", ""), ("ion", "e")),
    *(("ation", "e"), ("er", ""), ("er", "e"), ("est", ""), ("ily", "y"), ("ive", "e"), ("ive", "ion")),
)
"""Ending of a derived word → what ends the word that it is derived from."""
_SHORT = 3
"""Words below this length are never strange: they are units and abbreviations."""


class Strange(NamedTuple):
    """The words of a sentence that no report has.

    Attributes:
        spans: where they stand in the sentence.
        clinical: those of them that look like clinical terms.
        words: number of words in the sentence.
    """

    spans: tuple[tuple[int, int], ...]
    clinical: tuple[tuple[int, int], ...]
    words: int


@dataclass(frozen=True, slots=True)
class UnreadWords:
    """The contents of `unread.toml`, checked.

    Attributes:
        asides: phrases of sentences about something else than the image.
        longest: words of the longest of them.
        clinical: matches a word that looks like a clinical term.
        prefixes: what may stand before a known word.
        ordinary: words of reports that the reader need not know.
        determiners: words that a noun follows.
        prepositions: words that a noun or its determiner follows.
        verbs: verbs that make a statement.
        complaints: what patients complain of.
        beside: what else stands beside a complaint in a request.
    """

    asides: frozenset[tuple[str, ...]]
    longest: int
    clinical: re.Pattern[str]
    prefixes: tuple[str, ...]
    ordinary: frozenset[str]
    determiners: frozenset[str] = frozenset()
    prepositions: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()
    complaints: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()


@cache
def unread_words() -> UnreadWords:
    """Return the words of this package, loaded once."""
    return build(next(parse(file) for path, file in data_files() if path == _FILE))


def build(raw: Mapping[str, Any]) -> UnreadWords:
    """Check and index the contents of `unread.toml`.

    Raises:
        ConfigError: an unknown key, or a list that cannot be read; names the place.
    """
    keys = ("asides", "request", "clinical", "prefixes", "ordinary", "english")
    for key in raw:
        if key not in keys:
            raise ConfigError(unknown_name(_FILE, "key", key, keys))
    asides = {
        words
        for topic, phrases in raw.get("asides", {}).items()
        for phrase in _texts(f"{_FILE}: asides.{topic}", phrases)
        for words in expand(f"{_FILE}: asides.{topic}", phrase)
    }
    clinical = raw.get("clinical", {})
    begins = "|".join(map(re.escape, _texts(f"{_FILE}: clinical.begins", clinical.get("begins", []))))
    ends = "|".join(map(re.escape, _texts(f"{_FILE}: clinical.ends", clinical.get("ends", []))))
    ordinary = {
        word for topic, words in raw.get("ordinary", {}).items() for word in _texts(f"{_FILE}: ordinary.{topic}", words)
    }
    ordinary |= {word for words in asides for word in words}
    longest = max(map(len, asides), default=0)
    prefixes = _texts(f"{_FILE}: prefixes.before_known", raw.get("prefixes", {}).get("before_known", []))
    lists: list[frozenset[str]] = []
    for table, names in (("english", _ENGLISH), ("request", _REQUEST)):
        given = raw.get(table, {})
        for key in given:
            if key not in names:
                raise ConfigError(unknown_name(f"{_FILE}: {table}", "key", key, names))
        lists += [frozenset(_texts(f"{_FILE}: {table}.{key}", given.get(key, []))) for key in names]
    return UnreadWords(
        frozenset(asides),
        longest,
        re.compile(rf"(?:{begins})|.*(?:{ends})\Z"),
        tuple(prefixes),
        frozenset(ordinary),
        *lists,
    )


def _texts(where: str, texts: object) -> list[str]:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"{where}: expected a list of texts, got {shorten(texts)}")
    return texts


def strange_words(sentence: str, known: Words | None = None) -> Strange:
    """Return the words of a sentence, given in lower case, that no report has.

    Pass `words_of` the sentence if they are there already.

    Example:
        >>> sentence = "the bunny has lymphangiosarcomatosis."
        >>> strange = strange_words(sentence)
        >>> [sentence[a:b] for a, b in strange.spans], [sentence[a:b] for a, b in strange.clinical]
        (['bunny', 'lymphangiosarcomatosis'], ['lymphangiosarcomatosis'])
    """
    if known is not None and known.ordinary:
        return Strange((), (), sum(map(str.isalpha, known.tokens)))
    words, forms = _WORD.findall(sentence), ontology().forms
    strange = {word for word in words if word not in forms and len(word) >= _SHORT and not _is_known(word)}
    if not strange:
        return Strange((), (), len(words))
    spans = [match.span() for match in _WORD.finditer(sentence) if match.group() in strange]
    is_clinical = unread_words().clinical.match
    return Strange(tuple(spans), tuple(s for s in spans if is_clinical(sentence[s[0] : s[1]])), len(words))


@lru_cache(maxsize=1 << 14)
def _is_known(word: str) -> bool:
    """Return whether a word is ordinary, hidden by de-identification, misspelled, or a form of a known one."""
    known, own = ontology(), unread_words()
    if word in own.ordinary or _HIDDEN.fullmatch(word) or known.spelling.correct(word) is not None:
        return True
    stem = word.partition("'")[0]
    forms = [stem]
    for ending, instead in _ENDINGS:
        if stem.endswith(ending) and len(stem) - len(ending) >= _SHORT:
            forms.append(stem.removesuffix(ending) + instead)
    forms += [
        form.removeprefix(p) for form in forms for p in own.prefixes if form.startswith(p) and len(form) > len(p) + 3
    ]
    return any(form in known.forms or form in own.ordinary for form in forms)


def is_aside(sentence: str, items: Sequence[Item], strange: Strange) -> bool:
    """Return whether a sentence of which nothing is read is about something else than the image, or says nothing.

    Args:
        sentence: in lower case.
        items: its known phrases.
        strange: its strange words.

    Example:
        >>> from cxr_rewards.findings.clauses import clauses
        >>> def aside(text):
        ...     return is_aside(text, clauses(ontology(), text)[0], strange_words(text))
        >>> aside("findings were discussed by telephone."), aside("findings were discussed by bunnies.")
        (True, False)
    """
    if strange.spans:
        return False
    words = _WORD.findall(sentence)
    shown = [word for word in words if not _HIDDEN.fullmatch(word)]
    if 2 * len(shown) <= len(words) or all(len(word) < _SHORT for word in shown):
        return True  # de-identified
    if any(item.kind in _ELSEWHERE for item in items) or _has_aside(words):
        return True
    if len(shown) < len(words) and all(item.kind not in ("structure", "observation") for item in items):
        return True  # what it is about was taken out: "The XXXX are normal."
    titles = sum(item.last - item.first + 1 for item in items if item.kind in ("structure", "modifier"))
    return titles == len(words)  # a title, as "Chest." or "Left lung"


def is_request(sentence: str) -> bool:
    """Return whether a sentence, in lower case, asks after complaints and states nothing of the image.

    Example:
        >>> is_request("chest pain, ?dissection."), is_request("right basal opacity, ?pneumonia.")
        (True, False)
    """
    before, _, behind = sentence.partition("?")
    asked, *others = behind.split(",")
    if not asked.strip(" .?") or any("?" not in other for other in others):
        return False  # "cough ?pneumonia, left effusion"
    words, own = _WORD.findall(before), unread_words()
    return not own.complaints.isdisjoint(words) and (own.complaints | own.beside).issuperset(words)


def is_english(sentence: str) -> bool:
    """Return whether a sentence is put together like an English statement; which words it has does not matter.

    It has a verb, no word twice in a row, and no determiner or preposition before a word that cannot follow it.

    Example:
        >>> is_english("The windpipe is in the middle."), is_english("Lung of of base seen the is is.")
        (True, False)
    """
    own = unread_words()
    words = _WORD.findall(sentence.lower())
    if own.verbs.isdisjoint(words) or words[-1] in own.determiners:
        return False
    for one, two in pairwise(words):
        if one == two:
            return False
        if one in own.determiners and (two in own.determiners or two in own.prepositions or two in own.verbs):
            return False
        if one in own.prepositions and (two in own.verbs or two in own.prepositions):
            return False
    return True


def _has_aside(words: Sequence[str]) -> bool:
    """Return whether a phrase about something else than the image is among the words."""
    own = unread_words()
    for first in range(len(words)):
        for size in range(1, own.longest + 1):
            phrase = tuple(words[first : first + size])
            if phrase in own.asides or (*phrase[:-1], phrase[-1].removesuffix("s")) in own.asides:
                return True
    return False
