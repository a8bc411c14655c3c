"""Check the contents of the data files and compile them into an `Ontology`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from cxr_rewards.errors import ConfigError, shorten, unknown_name
from cxr_rewards.findings.finding import MANY, SEVERITIES
from cxr_rewards.findings.ontology.model import (
    CHEXPERT,
    DIRECTED,
    EFFECTS,
    ENDS_SCOPE,
    GRADES,
    MARKS,
    MODIFIERS,
    OPENS_SCOPE,
    SIGNIFICANCES,
    SYMBOLS,
    Attribute,
    Cue,
    Entry,
    Observation,
    Ontology,
    Sense,
    Structure,
    Table,
    Value,
)
from cxr_rewards.findings.ontology.spelling import Spelling
from cxr_rewards.findings.ontology.vocabulary import Vocabulary, plurals

_OBSERVATION_KEYS: tuple[str, ...] = ("phrases", "made_of", "parent", "like", "explains", "label", "significance")
_OBSERVATION_KEYS += ("unpaired", "directed", "sign", "proper", "misplaced", "close", "usual", "ageless")
_STRUCTURE_KEYS = ("names", "normal", "no_acute", "more_is_better", "several")
_CUE_KEYS = ("effect", "direction", "ended_by", "of_change", "after", "states", "grade", "phrases", "examples")
_SENSE_KEYS = ("phrases", "follows", "precedes", "near", "unless", "means", "examples")
_DEVICE = "support_device"


def build(files: Mapping[str, Table]) -> Ontology:
    """Check and compile the contents of the data files.

    Args:
        files: path in `data/` → contents: `anatomy.toml`, `cues.toml`, `modifiers.toml`, `senses.toml`,
            `spelling.toml`, and any number of `observations/<region>.toml`. A file that is not given is empty.

    Raises:
        ConfigError: an unknown key or name, a phrase that cannot be read or that has two meanings, a circle of
            parents; names the place.
    """
    anatomy = _table("anatomy.toml", files.get("anatomy.toml", {}), ("structures", "qualities"))
    cues_file = _table("cues.toml", files.get("cues.toml", {}), ("cues",))
    modifiers_file = _table("modifiers.toml", files.get("modifiers.toml", {}), ("modifiers", "within"))
    senses = _table("senses.toml", files.get("senses.toml", {}), ("senses", "heads"))
    spelling = _table("spelling.toml", files.get("spelling.toml", {}), ("ordinary",))
    vocabulary = Vocabulary()
    # The order counts if a phrase is listed twice: the first place is that in messages, its attributes come first.
    modifiers = _modifiers(modifiers_file.get("modifiers", {}), vocabulary)
    raw, sources = _merge_observations(files)
    observations = _observations(raw, sources, modifiers, vocabulary)
    structures = {
        name: _structure(f"anatomy.toml: structures.{name}", name, entry, vocabulary, observations)
        for name, entry in anatomy.get("structures", {}).items()
    }
    qualities = anatomy.get("qualities", {})
    for name, phrases in qualities.items():
        vocabulary.add(f"anatomy.toml: qualities.{name}", "quality", name, phrases)
    cues = _cues(cues_file.get("cues", {}), modifiers, vocabulary)
    nouns = {**dict.fromkeys(qualities, "quality"), **dict.fromkeys(observations, "observation")}
    _senses(senses.get("senses", {}), nouns, modifiers, vocabulary)
    forms = vocabulary.forms()
    combinations = _combinations(raw, sources, {*structures, *observations}, {*qualities, *observations})
    return Ontology(
        observations=observations,
        structures=structures,
        cues=cues,
        verb_parts={part: cues[part].kind for cue in cues.values() for part in cue.after},
        devices=frozenset(o.name for o in observations.values() if _DEVICE in (o.name, *o.ancestors)),
        descriptors=frozenset(modifiers.get("descriptor", ())),
        within=_within(modifiers_file.get("within", {}), modifiers.get("place", ())),
        combinations=combinations,
        refined_by_structure=frozenset(right for _, right in combinations if right in observations),
        heads=_company("senses.toml: heads", senses.get("heads", [])),
        phrases=vocabulary.tree(forms, {name for name, entry in raw.items() if entry.get("ageless")}),
        forms={**forms, **{mark: mark for mark in MARKS}, **SYMBOLS},
        spelling=Spelling(vocabulary.corrected_words(), spelling.get("ordinary", ())),
    )


def _table(where: str, data: object, keys: Iterable[str]) -> Table:
    """Return `data` if it is a table with no other keys than `keys`."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: expected a table, got {shorten(data)}")
    keys = tuple(keys)
    for key in data:
        if key not in keys:
            raise ConfigError(unknown_name(where, "key", key, keys))
    return data


# ---------------------------------------------------------------- modifiers and cues


def _modifiers(raw: Table, vocabulary: Vocabulary) -> dict[str, tuple[str, ...]]:
    """Add the phrases of all modifiers; return attribute → its values."""
    values: dict[str, tuple[str, ...]] = {}
    for slot, table in _table("modifiers.toml: modifiers", raw, MODIFIERS).items():
        where = f"modifiers.toml: modifiers.{slot}"
        for name, phrases in _table(where, table, MODIFIERS[slot] or table).items():
            if not re.fullmatch(r"[a-z0-9_]+", name):
                raise ConfigError(f"{where}.{name}: name it in snake_case")
            vocabulary.add(f"{where}.{name}", "modifier", "", phrases, ((slot, _value(slot, name)),))
        values[slot] = tuple(table)
    return values


def _value(slot: str, name: str) -> Value:
    """Return the value that the name of a modifier stands for: its step for a severity, the count for a number."""
    if slot == "severity":
        return float(SEVERITIES.index(name) + 1)
    if slot == "number":
        return MANY if name == "many" else int(name)
    return name


def _within(raw: Table, places: Iterable[str]) -> Table:
    for name in (*raw, *raw.values()):
        if name not in places:
            raise ConfigError(unknown_name("modifiers.toml: within", "place", name, places))
    return raw


def _cues(raw: Table, modifiers: Mapping[str, tuple[str, ...]], vocabulary: Vocabulary) -> dict[str, Cue]:
    """Check the cues and add their phrases."""
    cues: dict[str, Cue] = {}
    for name, entry in raw.items():
        where = f"cues.toml: cues.{name}"
        stated = _stated(f"{where}.states", _table(where, entry, _CUE_KEYS).get("states", {}), modifiers)
        cues[name] = _cue(where, name, entry, stated)
        vocabulary.add(f"{where}.phrases", cues[name].kind, name, entry.get("phrases"), stated)
    ends = ["comma", *(cue.name for cue in cues.values() if cue.kind in (*ENDS_SCOPE, "verb"))]
    for name, cue in cues.items():
        for other in sorted(cue.ended_by):
            if other not in ends:
                raise ConfigError(
                    unknown_name(f"cues.toml: cues.{name}.ended_by", "cue that ends a scope", other, ends)
                )
        for other in (*cue.after, *cue.after.values()):
            if other not in cues:
                raise ConfigError(unknown_name(f"cues.toml: cues.{name}.after", "cue", other, cues))
    return cues


def _cue(where: str, name: str, entry: Table, stated: tuple[Attribute, ...]) -> Cue:
    effect, direction, ended_by = entry.get("effect"), entry.get("direction", ""), entry.get("ended_by", [])
    if effect not in EFFECTS:
        raise ConfigError(unknown_name(f"{where}.effect", "effect", effect, EFFECTS))
    directions = DIRECTED.get(effect, ("",))
    if direction not in directions:
        expected = " or ".join(map(repr, directions)) if effect in DIRECTED else f"none with effect {effect!r}"
        raise ConfigError(f"{where}.direction: expected {expected}, got {shorten(direction)}")
    if not isinstance(ended_by, list) or not all(isinstance(other, str) for other in ended_by):
        raise ConfigError(f"{where}.ended_by: expected a list of names of cues, got {shorten(ended_by)}")
    grades = GRADES.get(effect, ("present",))
    grade = entry.get("grade", grades[0])
    if grade not in grades:
        raise ConfigError(f"{where}.grade: expected {' or '.join(map(repr, grades))}, got {shorten(grade)}")
    after = _table(f"{where}.after", entry.get("after", {}), entry.get("after", {}))
    of_change = entry.get("of_change", False)
    if of_change not in (True, False) or (of_change and effect != "deny"):
        raise ConfigError(f"{where}.of_change: expected true with effect 'deny' only, got {shorten(of_change)}")
    cue = Cue(name, effect, direction, frozenset(ended_by), grade, after, stated, of_change)
    if ended_by and cue.kind not in OPENS_SCOPE:
        raise ConfigError(f"{where}.ended_by: {cue.kind!r} does not reach forward, so nothing ends it; leave it out")
    return cue


def _stated(where: str, raw: object, modifiers: Mapping[str, tuple[str, ...]]) -> tuple[Attribute, ...]:
    """Return the attributes that a cue states besides its effect: "resolved" denies, and states a change."""
    stated: list[Attribute] = []
    for slot, name in _table(where, raw, modifiers).items():
        if name not in modifiers[slot]:
            raise ConfigError(unknown_name(f"{where}.{slot}", slot, name, modifiers[slot]))
        stated.append((slot, _value(slot, name)))
    return tuple(stated)


# ---------------------------------------------------------------- senses


def _senses(
    raw: Table, nouns: Mapping[str, str], modifiers: Mapping[str, tuple[str, ...]], vocabulary: Vocabulary
) -> None:
    """Add the other senses of words: in any company if none is named, or else as a second meaning."""
    for name, entry in raw.items():
        where = f"senses.toml: senses.{name}"
        table = _table(where, entry, _SENSE_KEYS)
        kind, names, attributes = _meaning(f"{where}.means", name, table.get("means", ""), nouns, modifiers)
        follows, precedes, near, unless = (
            _company(f"{where}.{key}", table.get(key, [])) for key in ("follows", "precedes", "near", "unless")
        )
        phrases = table.get("phrases")
        if follows or precedes or near:
            sense = Sense(follows | near, precedes | near, unless, (kind, names, attributes))
            vocabulary.add_sense(f"{where}.phrases", phrases, sense)
        else:
            vocabulary.add(f"{where}.phrases", kind, names[0] if names else "", phrases, attributes)


def _meaning(
    where: str, name: str, means: object, nouns: Mapping[str, str], modifiers: Mapping[str, tuple[str, ...]]
) -> Entry:
    """Return what a sense means: an observation, a quality, attributes, or nothing, so that the words are read over."""
    if not means:
        return ("read_over", (name,), ())
    if isinstance(means, str):
        if means not in nouns:
            raise ConfigError(unknown_name(where, "observation or quality", means, nouns))
        return (nouns[means], (means,), ())
    return ("modifier", (), _stated(where, means, modifiers))


def _company(where: str, words: object) -> frozenset[str]:
    """Return words with their plurals."""
    if not isinstance(words, list) or not all(isinstance(word, str) and word.isalnum() for word in words):
        raise ConfigError(f"{where}: expected a list of single words, got {shorten(words)}")
    return frozenset((*words, *(plural for word in words for plural in plurals(word))))


# ---------------------------------------------------------------- observations


def _merge_observations(files: Mapping[str, Table]) -> tuple[dict[str, Table], dict[str, str]]:
    """Return name → table of all observations, and name → where it stands."""
    merged: dict[str, Table] = {}
    sources: dict[str, str] = {}
    for path, contents in files.items():
        if not path.startswith("observations/"):
            continue
        for name, entry in _table(path, contents, ("observations",)).get("observations", {}).items():
            where = f"{path}: observations.{name}"
            if name in merged:
                raise ConfigError(f"{where} is also in {sources[name].partition(':')[0]}; keep one")
            merged[name], sources[name] = _table(where, entry, _OBSERVATION_KEYS), where
    return merged, sources


def _observations(
    raw: Mapping[str, Table],
    sources: Mapping[str, str],
    modifiers: Mapping[str, tuple[str, ...]],
    vocabulary: Vocabulary,
) -> dict[str, Observation]:
    """Check the observations and add their phrases."""
    for name, entry in raw.items():
        _check_observation(sources[name], name, entry, raw, modifiers)
        vocabulary.add(f"{sources[name]}.phrases", "observation", name, entry.get("phrases", []))
    parents = {name: entry.get("parent", "") for name, entry in raw.items()}
    likes = {(name, other) for name, entry in raw.items() for other in entry.get("like", ())}
    closes = {(name, other) for name, entry in raw.items() for other in entry.get("close", ())}
    return {
        name: Observation(
            name,
            label=entry.get("label", ""),
            significance=entry.get("significance", "actionable"),
            ancestors=_ancestors(f"{sources[name]}.parent", name, parents),
            like=frozenset(a if b == name else b for a, b in likes if name in (a, b)),
            close=frozenset(a if b == name else b for a, b in closes if name in (a, b)),
            usual=frozenset(entry.get("usual", ())),
            explains=frozenset(entry.get("explains", ())),
            unpaired=entry.get("unpaired", False),
            directed=entry.get("directed", False),
            sign=entry.get("sign", False),
            proper=frozenset(entry.get("proper", ())),
            misplaced=frozenset(entry.get("misplaced", ())),
        )
        for name, entry in raw.items()
    }


def _check_observation(
    where: str, name: str, entry: Table, raw: Mapping[str, Table], modifiers: Mapping[str, tuple[str, ...]]
) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ConfigError(f"{where}: name an observation in snake_case")
    if entry.get("label", "") not in ("", *CHEXPERT):
        raise ConfigError(unknown_name(f"{where}.label", "CheXpert class", entry["label"], CHEXPERT))
    if entry.get("significance", "actionable") not in SIGNIFICANCES:
        raise ConfigError(unknown_name(f"{where}.significance", "significance", entry["significance"], SIGNIFICANCES))
    for key in ("unpaired", "directed", "sign", "ageless"):
        if not isinstance(entry.get(key, False), bool):
            raise ConfigError(f"{where}.{key}: expected true or false, got {shorten(entry[key])}")
    positions, locations = (
        modifiers.get("position", ()),
        [value for slot in ("side", "place", "descriptor") for value in modifiers.get(slot, ())],
    )
    for key in ("proper", "misplaced"):
        for position in entry.get(key, ()):
            if position not in positions:
                raise ConfigError(unknown_name(f"{where}.{key}", "position", position, positions))
    for location in entry.get("usual", ()):
        if location not in locations:
            raise ConfigError(unknown_name(f"{where}.usual", "side, place or descriptor", location, locations))
    for key in ("like", "close", "explains"):
        for other in entry.get(key, ()):
            if other not in raw:
                raise ConfigError(unknown_name(f"{where}.{key}", "observation", other, raw))


def _ancestors(where: str, name: str, parents: Mapping[str, str]) -> tuple[str, ...]:
    chain: list[str] = []
    at = parents.get(name, "")
    while at:
        if at not in parents:
            raise ConfigError(unknown_name(where, "observation", at, parents))
        if at == name or at in chain:
            raise ConfigError(f"{where}: {name} is its own ancestor, through {' -> '.join([*chain, at])}")
        chain.append(at)
        at = parents[at]
    return tuple(chain)


# ---------------------------------------------------------------- structures, and what they form with qualities


def _structure(
    where: str, name: str, entry: object, vocabulary: Vocabulary, observations: Mapping[str, Observation]
) -> Structure:
    table = _table(where, entry, _STRUCTURE_KEYS)
    vocabulary.add(f"{where}.names", "structure", name, table.get("names", []))
    normal = tuple(table.get("normal", ()))
    no_acute = tuple(table.get("no_acute", normal))
    for observation in (*normal, *no_acute):
        if observation not in observations:
            raise ConfigError(unknown_name(where, "observation", observation, observations))
    return Structure(name, normal, no_acute, table.get("more_is_better", False), table.get("several", False))


def _combinations(
    raw: Mapping[str, Table], sources: Mapping[str, str], lefts: set[str], rights: set[str]
) -> dict[tuple[str, str], tuple[str, bool]]:
    combinations: dict[tuple[str, str], tuple[str, bool]] = {}
    for name, entry in raw.items():
        where = f"{sources[name]}.made_of"
        for formula in entry.get("made_of", []):
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
