"""How much a finding matters to the patient: by observation, attributes and context."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from cxr_rewards.errors import ConfigError, shorten, unknown_name
from cxr_rewards.findings.finding import CHANGES, SEVERITIES, Change, Finding
from cxr_rewards.findings.ontology import SIGNIFICANCES, Ontology, Significance, ontology
from cxr_rewards.findings.ontology.model import Table
from cxr_rewards.text.ages import age_in_years


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of significance.toml: conditions on a finding, and the significance of findings that meet all of them.

    Conditions that are left out are always met.

    Attributes:
        observations: the finding is one of these, or a kind of one.
        significance: significance of such findings.
        why: the clinical reason.
        descriptors: it has one of these.
        without: it has none of these descriptors.
        severity_from: it is at least this severe, 1 to 5.
        severity_to: a severity is given, and is at most this.
        size_from_mm: a size is given, and is at least this.
        size_to_mm: a size is given, and is at most this.
        change: its change is one of these.
        misplaced: it is a device in a harmful or useless position (True), or not (False).
        age_from: the context has an age, in years, of at least this.
        age_below: the context has an age below this.
        indication: the context's indication or history has a word that begins like this.
    """

    observations: frozenset[str]
    significance: Significance
    why: str
    descriptors: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    severity_from: float = 0.0
    severity_to: float = 0.0
    size_from_mm: float = 0.0
    size_to_mm: float = 0.0
    change: frozenset[str] = frozenset()
    misplaced: bool | None = None
    age_from: float | None = None
    age_below: float | None = None
    indication: re.Pattern[str] | None = None

    def holds(self, known: Ontology, finding: Finding, age: float | None, indication: str) -> bool:
        """Return whether a finding meets all conditions."""
        if self.descriptors and self.descriptors.isdisjoint(finding.descriptors):
            return False
        if not self.without.isdisjoint(finding.descriptors):
            return False
        if finding.severity < self.severity_from or (self.severity_to and not 0 < finding.severity <= self.severity_to):
            return False
        if finding.size_mm < self.size_from_mm or (self.size_to_mm and not 0 < finding.size_mm <= self.size_to_mm):
            return False
        if self.change and finding.change not in self.change:
            return False
        if self.misplaced is not None and misplaced(known, finding) is not self.misplaced:
            return False
        if self.age_from is not None and (age is None or age < self.age_from):
            return False
        if self.age_below is not None and (age is None or age >= self.age_below):
            return False
        return self.indication is None or self.indication.search(indication) is not None


_WRONG = frozenset(("malpositioned", "too_low", "too_high"))


def misplaced(known: Ontology, finding: Finding) -> bool:
    """Return whether a device is in a position in which it is harmful or useless.

    It is if the ontology lists the position as `misplaced` for it, or if the report calls it malpositioned; an
    endotracheal tube also if its tip is less than 1.5 cm, or more than 8 cm, above the carina.

    Source: 3 to 7 cm above the carina are considered right (Goodman et al. 1976, AJR 127:433); the wider limits are
    those outside which nobody would leave the tube.
    """
    observation = known.observations[finding.observation]
    if not observation.misplaced.isdisjoint(finding.positions) or not _WRONG.isdisjoint(finding.positions):
        return True
    if finding.observation == "endotracheal_tube" and "above_carina" in finding.positions and finding.size_mm:
        return not 15 <= finding.size_mm <= 80
    return False


@cache
def rules() -> Mapping[str, tuple[Rule, ...]]:
    """Return the rules that can apply to each observation, in order; loaded once.

    Raises:
        ConfigError: significance.toml has an unknown key, observation or value; names the place.
    """
    path = resources.files("cxr_rewards.findings") / "data" / "significance.toml"
    return build(tomllib.loads(path.read_text(encoding="utf-8")), ontology())


def build(raw: Table, known: Ontology) -> Mapping[str, tuple[Rule, ...]]:
    """Check and index the contents of significance.toml.

    Raises:
        ConfigError: see `rules`.
    """
    if set(raw) - {"rules"} or not isinstance(raw.get("rules", []), list):
        raise ConfigError(f"significance.toml: expected [[rules]] and nothing else, got {shorten(sorted(raw))}")
    parsed = [_rule(f"significance.toml: rule {i + 1}", entry, known) for i, entry in enumerate(raw.get("rules", []))]
    return {
        name: tuple(rule for rule in parsed if not rule.observations.isdisjoint((name, *observation.ancestors)))
        for name, observation in known.observations.items()
    }


_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("observations", "change", "descriptors", "without", "indication"), (list,)),
    **dict.fromkeys(("size_from_mm", "size_to_mm", "age_from", "age_below"), (float, int)),
    "misplaced": (bool,),
}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _rule(where: str, entry: Table, known: Ontology) -> Rule:
    keys = list(Rule.__slots__)
    for key in entry:
        if key not in keys:
            raise ConfigError(unknown_name(where, "key", key, keys))
    values: dict[str, Any] = dict(entry)
    for key in ("observations", "significance", "why"):
        if not values.get(key):
            raise ConfigError(f"{where}: {key} is missing")
    for key, kind in _TYPES.items():
        value = values.get(key)
        if key in values and (type(value) not in kind or (type(value) is list and not all(map(_is_text, value)))):
            expected = "a list of words" if kind == (list,) else "true or false" if kind == (bool,) else "a number"
            raise ConfigError(f"{where}.{key}: expected {expected}, got {shorten(value)}")
    allowed_names = {
        "observations": known.observations,
        "change": ("", *CHANGES),
        "descriptors": known.descriptors,
        "without": known.descriptors,
    }
    for key, allowed in allowed_names.items():
        if key in values:
            for name in values[key]:
                if name not in allowed:
                    raise ConfigError(unknown_name(f"{where}.{key}", key, name, allowed))
            values[key] = frozenset(values[key])
    if values["significance"] not in SIGNIFICANCES:
        raise ConfigError(unknown_name(f"{where}.significance", "significance", values["significance"], SIGNIFICANCES))
    for key in ("severity_from", "severity_to"):
        if key in values:
            if values[key] not in SEVERITIES:
                raise ConfigError(unknown_name(f"{where}.{key}", "severity", values[key], SEVERITIES))
            values[key] = float(SEVERITIES.index(values[key]) + 1)
    if "indication" in values:
        beginnings = "|".join(map(re.escape, values["indication"]))
        values["indication"] = re.compile(rf"\b(?:{beginnings})", re.IGNORECASE)
    return Rule(**values)


def significance(finding: Finding, context: Mapping[str, object] | None = None) -> Significance:
    """Return the significance of a finding: that of the first rule it meets, or else that of its observation.

    Args:
        finding: a finding; an absent one counts as if it were present.
        context: `age` (in years, or as in DICOM: `054Y`, `019M`), `indication` and `history`, if known.

    Example:
        >>> significance(Finding("pneumothorax", descriptors=("tension",)))
        'urgent'
        >>> significance(Finding("rib_fracture", descriptors=("old",)))
        'benign'
        >>> significance(Finding("endotracheal_tube", positions=("right_main_bronchus",)))
        'urgent'
    """
    if not context:
        observation, _, _, _, severity, size_mm, _, change, descriptors, positions, _, _, _ = finding
        return _in_any_context(observation, severity, size_mm, change, descriptors, positions)
    indication = " ".join(str(context[key]) for key in ("indication", "history") if context.get(key))
    return _first_met(finding, age_in_years(context.get("age")), indication)


def significance_with(
    finding: Finding, severity: float, size_mm: float, change: Change, context: Mapping[str, object] | None = None
) -> Significance:
    """Return the significance that a finding would have with this severity, size and change."""
    if not context:
        return _in_any_context(finding.observation, severity, size_mm, change, finding.descriptors, finding.positions)
    return significance(finding._replace(severity=severity, size_mm=size_mm, change=change), context)


@lru_cache(maxsize=1 << 14)
def _in_any_context(  # noqa: PLR0917 - the fields that the rules can ask for, as a key
    observation: str,
    severity: float,
    size_mm: float,
    change: Change,
    descriptors: tuple[str, ...],
    positions: tuple[str, ...],
) -> Significance:
    """Return the significance of a finding of which the rules can ask no more than this."""
    finding = Finding(
        observation,
        severity=severity,
        size_mm=size_mm,
        change=change,
        descriptors=descriptors,
        positions=positions,
    )
    return _first_met(finding, None, "")


def _first_met(finding: Finding, age: float | None, indication: str) -> Significance:
    known = ontology()
    for rule in rules()[finding.observation]:
        if rule.holds(known, finding, age, indication):
            return rule.significance
    return known.observations[finding.observation].significance
