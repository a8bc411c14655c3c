"""Find the known phrases of a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, repeat, takewhile
from typing import cast

from cxr_rewards.findings.item import Item
from cxr_rewards.findings.numbered import DIGIT, numbered_phrases
from cxr_rewards.findings.ontology import Ontology
from cxr_rewards.findings.ontology.contractions import is_contracted, spell_out
from cxr_rewards.findings.ontology.model import OTHERWISE, Entry, Node

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
    if in_words or "#" in sentence or DIGIT.search(sentence) is not None:
        ordinary = False
        tokens, starts, at = list[str](), list[int](), 0
        for item in numbered_phrases(sentence):
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
