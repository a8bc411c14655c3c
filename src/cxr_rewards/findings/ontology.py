"""What the reader knows: observations, structures, qualities and cues, read from two data files and checked."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from cxr_rewards.errors import ConfigError, shorten, unknown_name

CHEXPERT = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "No Finding",
)
"""The CheXpert classes, in their usual order."""

CUES = (
    "denies_next",
    "denies_previous",
    "softens_next",
    "softens_previous",
    "joins_as_doubt",
    "sets_aside_next",
    "neutral",
    "ends_scope",
    "ends_clause",
    "begins_anew",
    "is_verb",
    "left",
    "right",
    "both",
)
_WEIGHTS = (0.0, 0.25, 0.5, 1.0)

Entry = tuple[str, tuple[str, ...]]
"""What a phrase is: its kind (`observation`, `structure`, `quality` or a cue) and the names it stands for."""
Node = dict[str, Any]
"""A node of the tree of phrases: the next word's node by that word, and under "" the `Entry` of a phrase that ends."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Something a report may say of an image.

    Attributes:
        name: canonical name, `snake_case`.
        label: CheXpert class, or "" if it belongs to none.
        weight: what it matters: 1, 0.5, 0.25 or 0.
        ancestors: what it is a kind or sign of, nearest first.
    """

    name: str
    label: str = ""
    weight: float = 1.0
    ancestors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Structure:
    """A part of the body; the observations ruled out by calling it normal, or free of anything acute."""

    name: str
    normal: tuple[str, ...]
    no_acute: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ontology:
    """The checked and compiled data files."""

    observations: Mapping[str, Observation]
    structures: Mapping[str, Structure]
    combinations: Mapping[tuple[str, str], tuple[str, bool]]
    """(structure or observation, quality or observation) → (observation, whether only possible)."""
    refined_by_structure: frozenset[str]
    """Observations that are the second part of some combination."""
    phrases: Node = field(repr=False)
    forms: Mapping[str, str] = field(repr=False)
    """Each known spelling of a word (plurals too) → the word as phrases have it."""


def _expand(where: str, phrase: str) -> Iterator[tuple[str, ...]]:
    """Yield the word sequences that a phrase with `a|b` and `(c)` stands for."""
    slots: list[list[tuple[str, ...]]] = []
    for optional, word in re.findall(r"\(([^()]*)\)|([^()\s]+)", phrase):
        words: list[tuple[str, ...]] = []
        for choice in (optional or word).split("|"):
            parts = tuple(choice.replace("-", " ").split())
            if not parts or not all(re.fullmatch(r"[a-z0-9]+", part) for part in parts):
                raise ConfigError(f"{where}: {shorten(phrase)} may hold a-z, 0-9, '|', '( )' and '-' only")
            words.append(parts)
        slots.append([*words, ()] if optional else words)
    if re.sub(r"\([^()]*\)|[^()\s]+|\s", "", phrase) or not slots:
        raise ConfigError(f"{where}: {shorten(phrase)} is empty or has an unpaired bracket")
    for parts in itertools.product(*slots):
        if any(parts):
            yield tuple(itertools.chain.from_iterable(parts))


def _plurals(word: str) -> list[str]:
    if len(word) < 3 or not word.isalpha():
        return []
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return [word + "es"]
    if word.endswith("y") and word[-2] not in "aeiou":
        return [word[:-1] + "ies"]
    return [word + "s"]


class _Builder:
    """Collects phrases, makes a tree of them, and says where two meanings collide."""

    def __init__(self) -> None:
        self.collected: list[tuple[str, str, str, tuple[str, ...]]] = []

    def add(self, where: str, kind: str, name: str, phrases: object) -> None:
        if not isinstance(phrases, list) or not all(isinstance(p, str) for p in phrases):
            raise ConfigError(f"{where}: expected a list of phrases, got {shorten(phrases)}")
        self.collected += [(where, kind, name, words) for phrase in phrases for words in _expand(where, phrase)]

    def forms(self) -> dict[str, str]:
        words = {word for *_, words in self.collected for word in words}
        forms = {word: word for word in words}
        forms.update((plural, word) for word in sorted(words) for plural in _plurals(word))
        return forms

    def tree(self) -> Node:
        forms = self.forms()
        root: Node = {}
        source: dict[int, str] = {}
        for where, kind, name, words in self.collected:
            node = root
            for word in words:
                node = node.setdefault(forms[word], {})
            old = node.get("")
            if old is None:
                node[""] = (kind, (name,))
                source[id(node)] = where
            elif old[0] != kind or (kind != "observation" and old[1] != (name,)):
                raise ConfigError(
                    f"{where}: {' '.join(words)!r} already belongs to {source[id(node)]}; keep it in one of them"
                )
            elif name not in old[1]:
                node[""] = (kind, (*old[1], name))
        return root


def _table(where: str, data: object, known: Iterable[str]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: expected a table, got {shorten(data)}")
    known = tuple(known)
    for key in data:
        if key not in known:
            raise ConfigError(unknown_name(where, "key", key, known))
    return data


def _ancestors(where: str, name: str, parents: Mapping[str, str]) -> tuple[str, ...]:
    chain: list[str] = []
    at = parents.get(name, "")
    while at:
        if at not in parents:
            raise ConfigError(unknown_name(f"{where}.parent", "observation", at, parents))
        if at == name or at in chain:
            raise ConfigError(f"{where}.parent: {name} is its own ancestor, through {' -> '.join([*chain, at])}")
        chain.append(at)
        at = parents[at]
    return tuple(chain)


def build(ontology: Mapping[str, Any], language: Mapping[str, Any]) -> Ontology:
    """Check and compile the contents of the two data files.

    Raises:
        ConfigError: an unknown key or name, a phrase that cannot be read or that means two things, a circle of
            parents; says where.
    """
    _table("ontology.toml", ontology, ("observations",))
    _table("language.toml", language, ("structures", "qualities", "cues"))
    raw = ontology.get("observations", {})
    builder = _Builder()
    parents: dict[str, str] = {}
    for name, entry in raw.items():
        where = f"ontology.toml: observations.{name}"
        _table(where, entry, ("phrases", "made_of", "parent", "label", "weight"))
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ConfigError(f"{where}: name an observation in snake_case")
        parents[name] = entry.get("parent", "")
        if entry.get("label", "") not in ("", *CHEXPERT):
            raise ConfigError(unknown_name(f"{where}.label", "CheXpert class", entry["label"], CHEXPERT))
        if entry.get("weight", 1.0) not in _WEIGHTS:
            raise ConfigError(f"{where}.weight: must be one of {_WEIGHTS}, got {entry['weight']!r}")
        builder.add(f"{where}.phrases", "observation", name, entry.get("phrases", []))
    observations = {
        name: Observation(
            name,
            label=entry.get("label", ""),
            weight=float(entry.get("weight", 1.0)),
            ancestors=_ancestors(f"ontology.toml: observations.{name}", name, parents),
        )
        for name, entry in raw.items()
    }
    structures = {
        name: _structure(f"language.toml: structures.{name}", name, entry, builder, observations)
        for name, entry in language.get("structures", {}).items()
    }
    qualities = language.get("qualities", {})
    for name, phrases in qualities.items():
        builder.add(f"language.toml: qualities.{name}", "quality", name, phrases)
    for name, phrases in _table("language.toml: cues", language.get("cues", {}), CUES).items():
        builder.add(f"language.toml: cues.{name}", name, name, phrases)
    combinations = _combinations(raw, {*structures, *observations}, {*qualities, *observations})
    return Ontology(
        observations=observations,
        structures=structures,
        combinations=combinations,
        refined_by_structure=frozenset(right for _, right in combinations if right in observations),
        phrases=builder.tree(),
        forms=builder.forms(),
    )


def _structure(
    where: str, name: str, entry: object, builder: _Builder, observations: Mapping[str, Observation]
) -> Structure:
    table = _table(where, entry, ("names", "normal", "no_acute"))
    builder.add(f"{where}.names", "structure", name, table.get("names", []))
    normal = tuple(table.get("normal", ()))
    no_acute = tuple(table.get("no_acute", normal))
    for ruled_out in (*normal, *no_acute):
        if ruled_out not in observations:
            raise ConfigError(unknown_name(where, "observation", ruled_out, observations))
    return Structure(name, normal, no_acute)


def _combinations(raw: Mapping[str, Any], lefts: set[str], rights: set[str]) -> dict[tuple[str, str], tuple[str, bool]]:
    combinations: dict[tuple[str, str], tuple[str, bool]] = {}
    for name, entry in raw.items():
        for formula in entry.get("made_of", []):
            where = f"ontology.toml: observations.{name}.made_of"
            left, plus, right = formula.removesuffix("?").partition(" + ")
            if not plus:
                raise ConfigError(f"{where}: expected 'structure + quality', got {shorten(formula)}")
            if left not in lefts:
                raise ConfigError(unknown_name(where, "structure or observation", left, lefts))
            if right not in rights:
                raise ConfigError(unknown_name(where, "quality or observation", right, rights))
            if (left, right) in combinations:
                raise ConfigError(f"{where}: {formula!r} already means {combinations[left, right][0]}; keep one")
            combinations[left, right] = (name, formula.endswith("?"))
    return combinations


@cache
def ontology() -> Ontology:
    """Return the library's ontology, loaded once.

    Example:
        >>> ontology().observations["pneumonia"].ancestors
        ('consolidation', 'airspace_opacity', 'lung_opacity')
    """
    files = resources.files("cxr_rewards.findings")
    parts = (tomllib.loads((files / name).read_text(encoding="utf-8")) for name in ("ontology.toml", "language.toml"))
    return build(*parts)
