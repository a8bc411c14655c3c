"""The notation of phrases, and the tree that finds them in a sentence."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cxr_rewards.errors import ConfigError, shorten
from cxr_rewards.findings.ontology.contractions import spell_out
from cxr_rewards.findings.ontology.model import MARKS, OTHERWISE, Attribute, Entry, Node, Sense

_PLAIN = re.compile("[a-z0-9]+(?: [a-z0-9]+)*")
_INHERITED = ("side", "place", "severity", "descriptor", "number")
"""Attributes that a longer phrase takes from the words in it: "bibasilar atelectasis" is bilateral."""
_CORRECTED = ("side", "place", "severity")
"""Modifiers whose misspellings are corrected. Those of others are too close to ordinary words: "remove", "removed"."""


def expand(where: str, phrase: str) -> Iterator[tuple[str, ...]]:
    """Yield the word sequences that a phrase with `a|b` and `(c)` stands for.

    Raises:
        ConfigError: the phrase has other characters or unpaired brackets; names `where`.

    Example:
        >>> list(expand("cues.toml", "no (clear) sign|hint"))
        [('no', 'clear', 'sign'), ('no', 'clear', 'hint'), ('no', 'sign'), ('no', 'hint')]
    """
    if _PLAIN.fullmatch(phrase):  # most are
        yield tuple(word for word, _ in spell_out([(word, 0) for word in phrase.split()]))
        return
    slots: list[list[tuple[str, ...]]] = []
    for optional, word in re.findall(r"\(([^()]*)\)|([^()\s]+)", phrase):
        choices: list[tuple[str, ...]] = []
        for choice in (optional or word).split("|"):
            parts = tuple(choice.replace("-", " ").split())
            if not parts or not all(re.fullmatch(r"[a-z0-9]+", part) for part in parts):
                raise ConfigError(f"{where}: {shorten(phrase)} may hold a-z, 0-9, '|', '( )' and '-' only")
            choices.append(parts)
        slots.append([*choices, ()] if optional else choices)
    if re.sub(r"\([^()]*\)|[^()\s]+|\s", "", phrase) or not slots:
        raise ConfigError(f"{where}: {shorten(phrase)} is empty or has an unpaired bracket")
    for sequence in itertools.product(*slots):
        if any(sequence):
            words = itertools.chain.from_iterable(sequence)
            yield tuple(word for word, _ in spell_out([(word, 0) for word in words]))


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

    def tree(self) -> Node:
        """Return the tree of all phrases and marks.

        Raises:
            ConfigError: a phrase has two meanings that exclude each other; names both places.
        """
        forms = self.forms()
        root: Node = {}
        source: dict[int, str] = {}
        compounds: list[tuple[Node, tuple[str, ...]]] = []
        for phrase in self._phrases:
            where, kind, names, attributes, words = phrase
            node = root
            for word in words:
                node = node.setdefault(forms[word], {})
            old: Entry | None = node.get("")
            if old is None:
                node[""] = (kind, names, attributes)
                source[id(node)] = where
                if kind in ("observation", "structure") and len(words) > 1:
                    compounds.append((node, tuple(forms[word] for word in words)))
                continue
            joined = _join(old, phrase)
            if joined is None:
                raise ConfigError(
                    f"{where}: {' '.join(words)!r} already belongs to {source[id(node)]}; keep it in one of them"
                )
            node[""] = joined
        for mark, kind in MARKS.items():
            root.setdefault(mark, {}).setdefault("", (kind, (), ()))
        for node, words in compounds:
            kind, names, attributes = node[""]
            node[""] = (kind, names, _union(attributes, tuple(_inherited(root, words))))
        for words, sense in self._senses:
            found = root
            for word in words:
                found = found.setdefault(forms[word], {})
            found.setdefault("", ("", (), ()))
            found[OTHERWISE] = (*found.get(OTHERWISE, ()), sense)
        return root


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


def _union(some: tuple[Attribute, ...], more: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return (*some, *(attribute for attribute in more if attribute not in some))


def _inherited(root: Node, words: Iterable[str]) -> Iterator[Attribute]:
    """Yield the attributes that the modifiers within a longer phrase state."""
    words = tuple(words)
    for first in range(len(words)):
        node: Node | None = root
        for last in range(first, len(words)):
            node = node.get(words[last]) if node is not None else None
            if node is None:
                break
            if "" in node and node[""][0] in ("modifier", "quality") and last - first < len(words) - 1:
                yield from (attribute for attribute in node[""][2] if attribute[0] in _INHERITED)
