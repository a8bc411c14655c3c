"""What the reader knows: observations, anatomy and language, read from data files and checked."""

from __future__ import annotations

import hashlib
import itertools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from cxr_rewards.errors import ConfigError, shorten, unknown_name
from cxr_rewards.findings.finding import CHANGES, MANY, NUMBERS, SEVERITIES, SIDES
from cxr_rewards.findings.spelling import Spelling

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

SIGNIFICANCES = ("urgent", "actionable", "not_actionable", "benign")
"""Clinical significance, most pressing first."""
CUES = (
    "denies_next",
    "denies_previous",
    "softens_next",
    "softens_previous",
    "joins_as_doubt",
    "sets_aside_next",
    "neutral",
    "ends_scope",
    "explains",
    "formerly",
    "over",
    "none",
    "ends_clause",
    "begins_anew",
    "is_verb",
    "refers_back",
    "stands_for",
    "compares",
    "concludes",
    "links",
    "sets_aside_previous",
)
MODIFIERS: Mapping[str, tuple[str, ...]] = {
    "side": SIDES,
    "severity": SEVERITIES,
    "change": CHANGES,
    "number": NUMBERS,
    "place": (),
    "descriptor": (),
    "position": (),
}
"""What can be said of a finding, and the values it can take; any snake_case name where none is listed."""
_CARRIED = ("side", "place", "severity", "descriptor", "number")
"""What a longer phrase takes over from words within it: "bibasilar atelectasis" is bilateral."""

_JOINTS = {
    ",": "comma",
    ";": "ends_clause",
    ":": "introduces",
    "(": "opens",
    ")": "closes",
    "[": "opens",
    "]": "closes",
    "and": "and",
    "or": "or",
}
"""What joins or parts statements; `ends_clause` is a cue too."""
_DEVICE = "support_device"
_MISSPELLED = ("side", "place", "severity")
"""Modifiers whose misspellings are set right; of others ordinary words are too near: "remove" is not "removed"."""

Attribute = tuple[str, Any]
Entry = tuple[str, tuple[str, ...], tuple[Attribute, ...]]
"""What a phrase is: its kind (`observation`, `structure`, `quality`, `modifier` or a cue), the names it stands for, and
what it says of a finding."""
Node = dict[str, Any]
"""A node of the tree of phrases: the next word's node by that word, and under "" the `Entry` of a phrase that ends."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Something a report may say of an image.

    Attributes:
        name: canonical name, `snake_case`.
        label: CheXpert class, or "" if it belongs to none.
        significance: what it matters where nothing more is known, one of `SIGNIFICANCES`.
        ancestors: what it is a kind or sign of, nearest first.
        like: other observations it is often taken for, and they for it.
        unpaired: it has no side: the heart, the spine.
        proper: positions in which a device belongs.
        misplaced: positions in which a device does harm or no good.
    """

    name: str
    label: str = ""
    significance: str = "actionable"
    ancestors: tuple[str, ...] = ()
    like: frozenset[str] = frozenset()
    unpaired: bool = False
    proper: frozenset[str] = frozenset()
    misplaced: frozenset[str] = frozenset()


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
    devices: frozenset[str]
    """Lines, tubes and devices: kinds of `support_device`."""
    descriptors: frozenset[str]
    """Names of the descriptors."""
    within: Mapping[str, str]
    """Place → the larger place it lies in: a base in a lower zone."""
    combinations: Mapping[tuple[str, str], tuple[str, bool]]
    """(structure or observation, quality or observation) → (observation, whether only possible)."""
    refined_by_structure: frozenset[str]
    """Observations that are the second part of some combination."""
    phrases: Node = field(repr=False)
    forms: Mapping[str, str] = field(repr=False)
    """Each known spelling of a word (plurals too) → the word as phrases have it."""
    spelling: Spelling = field(repr=False)
    """Sets misspelled words of observations right."""


_PLAIN = re.compile("[a-z0-9]+(?: [a-z0-9]+)*")


def _expand(where: str, phrase: str) -> Iterator[tuple[str, ...]]:
    """Yield the word sequences that a phrase with `a|b` and `(c)` stands for."""
    if _PLAIN.fullmatch(phrase):  # most are
        yield tuple(phrase.split())
        return
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
        self.collected: list[tuple[str, str, tuple[str, ...], tuple[Attribute, ...], tuple[str, ...]]] = []

    def add(self, where: str, kind: str, name: str, phrases: object, attributes: tuple[Attribute, ...] = ()) -> None:
        if not isinstance(phrases, list) or not all(isinstance(p, str) for p in phrases):
            raise ConfigError(f"{where}: expected a list of phrases, got {shorten(phrases)}")
        names = (name,) if name else ()
        self.collected += [(where, kind, names, attributes, words) for p in phrases for words in _expand(where, p)]

    def spellings(self) -> set[str]:
        """Return the words whose misspellings are set right, with their plurals."""
        words = {
            word
            for _, kind, _, attributes, words in self.collected
            if kind in ("observation", "structure") or any(slot in _MISSPELLED for slot, _ in attributes)
            for word in words
        }
        return words | {plural for word in words for plural in _plurals(word)}

    def forms(self) -> dict[str, str]:
        words = {word for *_, words in self.collected for word in words}
        forms = {word: word for word in words}
        forms.update((plural, word) for word in sorted(words) for plural in _plurals(word))
        return forms

    def tree(self) -> Node:
        forms = self.forms()
        root: Node = {}
        source: dict[int, str] = {}
        longer: list[tuple[Node, tuple[str, ...]]] = []
        for where, kind, names, attributes, words in self.collected:
            node = root
            for word in words:
                node = node.setdefault(forms[word], {})
            old: Entry | None = node.get("")
            if old is None:
                node[""] = (kind, names, attributes)
                source[id(node)] = where
                if kind in ("observation", "structure") and len(words) > 1:
                    longer.append((node, tuple(forms[word] for word in words)))
                continue
            kinds = {old[0], kind} - {"modifier"}
            if len(kinds) > 1 or (kind == old[0] != "observation" and kind != "modifier" and old[1] != names):
                raise ConfigError(
                    f"{where}: {' '.join(words)!r} already belongs to {source[id(node)]}; keep it in one of them"
                )
            both = (*old[1], *(name for name in names if name not in old[1]))
            node[""] = (kinds.pop() if kinds else "modifier", both, _joined(old[2], attributes))
        for joint, kind in _JOINTS.items():
            root.setdefault(joint, {}).setdefault("", (kind, (), ()))
        for node, words in longer:
            kind, names, attributes = node[""]
            node[""] = (kind, names, _joined(attributes, tuple(_inner(root, words))))
        return root


def _joined(some: tuple[Attribute, ...], more: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return (*some, *(attribute for attribute in more if attribute not in some))


def _inner(root: Node, words: tuple[str, ...]) -> Iterator[Attribute]:
    """Yield what the modifiers among the words of a longer phrase say."""
    for first in range(len(words)):
        node: Node | None = root
        for last in range(first, len(words)):
            node = node.get(words[last]) if node is not None else None
            if node is None:
                break
            if "" in node and node[""][0] in ("modifier", "quality") and last - first < len(words) - 1:
                yield from (attribute for attribute in node[""][2] if attribute[0] in _CARRIED)


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


def build(ontology: Mapping[str, Any], anatomy: Mapping[str, Any], language: Mapping[str, Any]) -> Ontology:
    """Check and compile the contents of the three data files.

    Raises:
        ConfigError: an unknown key or name, a phrase that cannot be read or that means two things, a circle of
            parents; says where.
    """
    _table("ontology", ontology, ("observations",))
    _table("anatomy.toml", anatomy, ("structures", "qualities"))
    _table("language.toml", language, ("cues", "modifiers", "within", "ordinary"))
    builder = _Builder()
    modifiers = _modifiers(language.get("modifiers", {}), builder)
    raw = ontology.get("observations", {})
    observations = _observations(raw, modifiers.get("position", ()), builder)
    structures = {
        name: _structure(f"anatomy.toml: structures.{name}", name, entry, builder, observations)
        for name, entry in anatomy.get("structures", {}).items()
    }
    qualities = anatomy.get("qualities", {})
    for name, phrases in qualities.items():
        builder.add(f"anatomy.toml: qualities.{name}", "quality", name, phrases)
    for name, phrases in _table("language.toml: cues", language.get("cues", {}), CUES).items():
        builder.add(f"language.toml: cues.{name}", name, name, phrases)
    places = modifiers.get("place", ())
    within = language.get("within", {})
    for name in (*within, *within.values()):
        if name not in places:
            raise ConfigError(unknown_name("language.toml: within", "place", name, places))
    combinations = _combinations(raw, {*structures, *observations}, {*qualities, *observations})
    return Ontology(
        observations=observations,
        structures=structures,
        devices=frozenset(o.name for o in observations.values() if _DEVICE in (o.name, *o.ancestors)),
        descriptors=frozenset(modifiers.get("descriptor", ())),
        within=within,
        combinations=combinations,
        refined_by_structure=frozenset(right for _, right in combinations if right in observations),
        phrases=builder.tree(),
        forms={**builder.forms(), **{joint: joint for joint in _JOINTS}},
        spelling=Spelling(builder.spellings(), language.get("ordinary", {}).get("words", ())),
    )


def _modifiers(raw: Mapping[str, Any], builder: _Builder) -> Mapping[str, tuple[str, ...]]:
    """Add the phrases of all modifiers; return the values of each."""
    values: dict[str, tuple[str, ...]] = {}
    for kind, table in _table("language.toml: modifiers", raw, MODIFIERS).items():
        where = f"language.toml: modifiers.{kind}"
        known = MODIFIERS[kind]
        for value, phrases in _table(where, table, known or table).items():
            if not re.fullmatch(r"[a-z0-9_]+", value):
                raise ConfigError(f"{where}.{value}: name it in snake_case")
            meaning: Any = value
            if kind == "severity":
                meaning = float(SEVERITIES.index(value) + 1)
            elif kind == "number":
                meaning = MANY if value == "many" else int(value)
            builder.add(f"{where}.{value}", "modifier", "", phrases, ((kind, meaning),))
        values[kind] = tuple(table)
    return values


def _observations(raw: Mapping[str, Any], positions: Iterable[str], builder: _Builder) -> dict[str, Observation]:
    parents: dict[str, str] = {}
    keys = ("phrases", "made_of", "parent", "label", "significance", "unpaired", "proper", "misplaced", "like")
    for name, entry in raw.items():
        where = f"ontology: observations.{name}"
        _table(where, entry, keys)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ConfigError(f"{where}: name an observation in snake_case")
        parents[name] = entry.get("parent", "")
        if entry.get("label", "") not in ("", *CHEXPERT):
            raise ConfigError(unknown_name(f"{where}.label", "CheXpert class", entry["label"], CHEXPERT))
        if entry.get("significance", "actionable") not in SIGNIFICANCES:
            raise ConfigError(
                unknown_name(f"{where}.significance", "significance", entry["significance"], SIGNIFICANCES)
            )
        if not isinstance(entry.get("unpaired", False), bool):
            raise ConfigError(f"{where}.unpaired: expected true or false, got {shorten(entry['unpaired'])}")
        for key in ("proper", "misplaced"):
            for position in entry.get(key, ()):
                if position not in positions:
                    raise ConfigError(unknown_name(f"{where}.{key}", "position", position, positions))
        for other in entry.get("like", ()):
            if other not in raw:
                raise ConfigError(unknown_name(f"{where}.like", "observation", other, raw))
        builder.add(f"{where}.phrases", "observation", name, entry.get("phrases", []))
    likes = {(name, other) for name, entry in raw.items() for other in entry.get("like", ())}
    return {
        name: Observation(
            name,
            label=entry.get("label", ""),
            significance=entry.get("significance", "actionable"),
            ancestors=_ancestors(f"ontology: observations.{name}", name, parents),
            like=frozenset(a if b == name else b for a, b in likes if name in (a, b)),
            unpaired=entry.get("unpaired", False),
            proper=frozenset(entry.get("proper", ())),
            misplaced=frozenset(entry.get("misplaced", ())),
        )
        for name, entry in raw.items()
    }


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
            where = f"ontology: observations.{name}.made_of"
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
    folder = resources.files("cxr_rewards.findings")
    observations: dict[str, Any] = {}
    for path in sorted((folder / "ontology").iterdir(), key=lambda path: path.name):
        if path.name.endswith(".toml"):
            raw = _load(path)
            _table(f"ontology/{path.name}", raw, ("observations",))
            for name, entry in raw.get("observations", {}).items():
                if name in observations:
                    raise ConfigError(f"ontology/{path.name}: observations.{name} stands in another file too; keep one")
                observations[name] = entry
    return build({"observations": observations}, _load(folder / "anatomy.toml"), _load(folder / "language.toml"))


@cache
def data_digest() -> str:
    """Return eight characters that change with any of the data files: part of the signature of what stands on them."""
    folder = resources.files("cxr_rewards.findings")
    files = [path for place in (folder, folder / "ontology") for path in place.iterdir() if path.name.endswith(".toml")]
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        digest.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()[:8]


def _load(path: Traversable) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
