"""The notation of phrases, and the tree that finds them in a sentence."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from cxr_rewards.errors import ConfigError, shorten
from cxr_rewards.findings.ontology.contractions import spelled_out
from cxr_rewards.findings.ontology.model import MARKS, OTHERWISE, Attribute, Entry, Node, Sense

_PLAIN = re.compile("[a-z0-9]+(?: [a-z0-9]+)*")
_INHERITED = ("side", "place", "severity", "descriptor", "number")
"""Attributes that a longer phrase takes from the words in it: "bibasilar atelectasis" is bilateral."""
_AGES = (("descriptor", "acute"), ("descriptor", "old"))
_CORRECTED = ("side", "place", "severity")
"""Modifiers whose misspellings are corrected. Those of others are too close to ordinary words: "remove", "removed"."""


_MOST = 10_000
"""Most sequences of words that one phrase may stand for."""


def expand(where: str, phrase: str) -> Iterator[tuple[str, ...]]:
    """Yield the word sequences that a phrase with `a|b` and `(c)` stands for.

    Raises:
        ConfigError: the phrase has other characters or unpaired brackets, or stands for too many; names `where`.

    Example:
        >>> list(expand("cues.toml", "no (clear) sign|hint"))
        [('no', 'clear', 'sign'), ('no', 'clear', 'hint'), ('no', 'sign'), ('no', 'hint')]
    """
    if _PLAIN.fullmatch(phrase):  # most are
        yield spelled_out(tuple(phrase.split(" ")))
        return
    slots: list[list[tuple[str, ...]]] = []
    for optional, word in re.findall(r"\(([^()]*)\)|([^()\s]+)", phrase):
        choices: list[tuple[str, ...]] = []
        for choice in (optional or word).split("|"):
            parts = tuple(choice.replace("-", " ").split())
            if not _PLAIN.fullmatch(" ".join(parts)):
                raise ConfigError(f"{where}: {shorten(phrase)} may hold a-z, 0-9, '|', '( )' and '-' only")
            choices.append(parts)
        slots.append([*choices, ()] if optional else choices)
    if re.sub(r"\([^()]*\)|[^()\s]+|\s", "", phrase) or not slots:
        raise ConfigError(f"{where}: {shorten(phrase)} is empty or has an unpaired bracket")
    count = math.prod(map(len, slots))
    if count > _MOST:
        raise ConfigError(
            f"{where}: {shorten(phrase)} stands for {count} sequences of words, and each takes time whenever a process "
            f"starts; leave out what is rare, or write two phrases: at most {_MOST}"
        )
    for sequence in itertools.product(*slots):
        words = tuple(itertools.chain.from_iterable(sequence))
        if words:
            yield spelled_out(words)


def plurals(word: str) -> list[str]:
    """Return the regular plural of a word as a list, empty if it cannot have one."""
    if len(word) < 3 or not word.isalpha():
        return []
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return [word + "es"]
    if word.endswith("y") and word[-2] not in "aeiou":
        return [word[:-1] + "ies"]
    return [word + "s"]


def _listed(where: str, phrases: object) -> list[str]:
    if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
        raise ConfigError(f"{where}: expected a list of phrases, got {shorten(phrases)}")
    return phrases


class Phrase(NamedTuple):
    """A sequence of words and what it means; `where` is the place in the data files that lists it."""

    where: str
    kind: str
    names: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    words: tuple[str, ...]


class Vocabulary:
    """All phrases of the data files. Collects them, then builds the tree and finds meanings that collide."""

    def __init__(self) -> None:
        self._phrases: list[Phrase] = []
        self._senses: list[tuple[tuple[str, ...], Sense]] = []

    def add(self, where: str, kind: str, name: str, phrases: object, attributes: tuple[Attribute, ...] = ()) -> None:
        """Add a list of phrases in the notation of the data files.

        Raises:
            ConfigError: it is not a list of phrases, or a phrase cannot be read.
        """
        names = (name,) if name else ()
        self._phrases += [
            Phrase(where, kind, names, attributes, words)
            for phrase in _listed(where, phrases)
            for words in expand(where, phrase)
        ]

    def add_sense(self, where: str, phrases: object, sense: Sense) -> None:
        """Add another sense of phrases, which say nothing in other company if nothing else lists them.

        The first sense that fits its company counts.

        Raises:
            ConfigError: it is not a list of phrases, or a phrase cannot be read.
        """
        self._senses += [(words, sense) for phrase in _listed(where, phrases) for words in expand(where, phrase)]

    def corrected_words(self) -> set[str]:
        """Return the words whose misspellings are corrected, with their plurals."""
        words = {
            word
            for phrase in self._phrases
            if phrase.kind in ("observation", "structure") or any(slot in _CORRECTED for slot, _ in phrase.attributes)
            for word in phrase.words
        }
        return words | {plural for word in words for plural in plurals(word)}

    def forms(self) -> dict[str, str]:
        """Return each form of each word → the word that stands for it in the tree."""
        words = {word for phrase in self._phrases for word in phrase.words}
        words.update(word for phrase, _ in self._senses for word in phrase)
        forms = {word: word for word in words}
        forms.update((plural, word) for word in sorted(words) for plural in plurals(word))
        return forms

    def tree(self, forms: Mapping[str, str], ageless: Container[str] = ()) -> Node:
        """Return the tree of all phrases and marks, given `forms()`.

        Args:
            forms: each form of each word → the word in the tree.
            ageless: observations with "acute" or "chronic" in their names, which say nothing more.

        Raises:
            ConfigError: a phrase has two meanings that exclude each other; names both places.
        """
        root: Node = {}
        compounds: list[tuple[Node, list[str]]] = []
        for phrase in self._phrases:
            _, kind, names, attributes, words = phrase
            path = [forms[word] for word in words]
            node = _node(root, path)
            old: Entry | None = node.get("")
            if old is None:
                node[""] = (kind, names, attributes)
                if kind in ("observation", "structure") and len(words) > 1:
                    compounds.append((node, path))
                continue
            joined = _join(old, phrase)
            if joined is None:
                raise self._collision(phrase, forms)
            node[""] = joined
        for mark, kind in MARKS.items():
            root.setdefault(mark, {}).setdefault("", (kind, (), ()))
        for node, path in compounds:
            kind, names, attributes = node[""]
            inherited = _inherited(root, path)
            if names[0] in ageless:
                inherited = [stated for stated in inherited if stated not in _AGES]
            node[""] = (kind, names, _union(attributes, inherited))
        for sensed, sense in self._senses:
            node = _node(root, [forms[word] for word in sensed])
            node.setdefault("", ("", (), ()))
            node[OTHERWISE] = (*node.get(OTHERWISE, ()), sense)
        return root

    def _collision(self, phrase: Phrase, forms: Mapping[str, str]) -> ConfigError:
        """Return the error about a phrase that excludes the meaning of one listed before it."""
        path = [forms[word] for word in phrase.words]
        first = next(other for other in self._phrases if [forms[word] for word in other.words] == path)
        words = " ".join(phrase.words)
        return ConfigError(f"{phrase.where}: {words!r} already belongs to {first.where}; keep it in one of them")


def _node(root: Node, words: Iterable[str]) -> Node:
    """Return the node of a sequence of words, made if it is not there."""
    node = root
    for word in words:
        below: Node | None = node.get(word)
        if below is None:
            below = node[word] = {}
        node = below
    return node


def _join(old: Entry, phrase: Phrase) -> Entry | None:
    """Return the meaning of a phrase that is listed twice, or None if the two exclude each other.

    A phrase can be a modifier and something else, and it can name several observations.
    """
    kinds = {old[0], phrase.kind} - {"modifier"}
    same_kind = phrase.kind == old[0]
    if len(kinds) > 1 or (same_kind and phrase.kind not in ("observation", "modifier") and old[1] != phrase.names):
        return None
    names = (*old[1], *(name for name in phrase.names if name not in old[1]))
    return (kinds.pop() if kinds else "modifier", names, _union(old[2], phrase.attributes))


def _union(some: tuple[Attribute, ...], more: Sequence[Attribute]) -> tuple[Attribute, ...]:
    return (*some, *(attribute for attribute in more if attribute not in some))


def _inherited(root: Node, words: Sequence[str]) -> list[Attribute]:
    """Return attributes that words within a longer phrase state: the side of "RIJ", no degree of "minor fissure"."""
    inherited: list[Attribute] = []
    count, done = len(words), 0
    for first in range(count):
        node: Node | None = root
        degrees: list[Attribute] = []
        end = first
        for last in range(first, count if first else count - 1):
            node = node.get(words[last]) if node is not None else None
            if node is None:
                break
            entry: Entry | None = node.get("")
            if entry is None or not entry[2]:
                continue
            if entry[0] in ("modifier", "quality") or (entry[0] == "observation" and first == last):
                inherited += [stated for stated in entry[2] if stated[0] in _INHERITED and stated[0] != "severity"]
                degrees, end = [stated for stated in entry[2] if stated[0] == "severity"], last + 1
            elif entry[0] == "structure":
                degrees, end = [], last + 1
        if end > done:
            inherited += degrees
            done = end
    return inherited
