"""Does the reader read what a radiologist reads? Texts with the findings that they state, by kind.

Run: `python benchmarks/readings.py [--data FILE ...] [--kind K] [--show-failures] [--json FILE]`. The default files are
those of `benchmarks/readings`. Each line of a file is a JSON object:

- `kind`: what the text is a case of;
- `text`: a sentence or a report;
- `expect`: the findings that must be read, each with `finding` (an observation), `polarity`, and what matters of
  `side`, `change`, `severity`, `size_mm`, `number`, `certainty`, `place`, `position` and `descriptor`. A kind of the
  observation counts as well, as do left and right in place of bilateral;
- `must_not`: what must not be read: an observation, alone or with a polarity, side or change ("pleural_effusion
  left"), a change, a descriptor, `comparison`, `normal statement`, `nothing read`, `severity severe`, or "22 mm as the
  size".

All texts are made up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cxr_rewards.findings import Finding
from cxr_rewards.findings.finding import CHANGES, SIDES
from cxr_rewards.findings.ontology import ontology
from cxr_rewards.findings.reader import read
from report import options_of, report

FOLDER = Path(__file__).with_suffix("")
POLARITIES = ("present", "possible", "absent")
SEVERE = 4
SIZE_TOLERANCE_MM = 0.5

_LISTS = {"place": "places", "position": "positions", "descriptor": "descriptors"}
_PHRASES = {"normal statement", "nothing read", "comparison", "severity severe"}
_VALUES = {"polarity", "side", "change", "severity", "number", "certainty"}


class ReadingError(ValueError):
    """A line of a file is not as it should be; the message names file, line and what is wrong."""


class Reading(NamedTuple):
    """A text and what must be read of it.

    Attributes:
        kind: what it is a case of.
        text: a sentence or a report.
        expect: the findings that it states, by attribute.
        must_not: what must not be read of it.
    """

    kind: str
    text: str
    expect: tuple[Mapping[str, Any], ...]
    must_not: tuple[str, ...]

    def mistakes(self) -> list[str]:
        """Return what is missing from the reading of the text, and what it should not have."""
        findings = read(self.text)
        missing = [f"missing: {' '.join(map(str, e.values()))}" for e in self.expect if not _is_read(findings, e)]
        opposed = [f"also read as present: {e['finding']}" for e in self.expect if self._is_opposed(findings, e)]
        return missing + opposed + [f"read: {what}" for what in self.must_not if _is_said(findings, what)]

    def _is_opposed(self, findings: Sequence[Finding], expected: Mapping[str, Any]) -> bool:
        """Return whether what must be absent is also read as present or possible there, which nothing expects."""
        side = expected.get("side", "")
        return expected["polarity"] == "absent" and any(
            finding.observation == expected["finding"]
            and finding.polarity != "absent"
            and (not side or finding.side in ("", side))
            and not any(_agrees(finding, other) for other in self.expect)
            for finding in findings
        )


def _agrees(finding: Finding, expected: Mapping[str, Any]) -> bool:
    """Return whether a finding is the expected one, or a kind of it, with all its attributes."""
    known = ontology().observations.get(finding.observation)
    names = {finding.observation} if known is None else {finding.observation, *known.ancestors}
    return expected["finding"] in names and all(
        abs(finding.size_mm - value) <= SIZE_TOLERANCE_MM
        if key == "size_mm"
        else value in getattr(finding, _LISTS[key])
        if key in _LISTS
        else getattr(finding, key) == value
        for key, value in expected.items()
        if key != "finding"
    )


def _is_read(findings: Sequence[Finding], expected: Mapping[str, Any]) -> bool:
    def found(**changes: str) -> bool:
        return any(_agrees(finding, {**expected, **changes}) for finding in findings)

    return found() or (expected.get("side") == "bilateral" and found(side="left") and found(side="right"))


def _is_said(findings: Sequence[Finding], what: str) -> bool:
    """Return whether something that must not be read was read."""
    first, *rest = what.split()
    if what == "normal statement":
        return any(finding.polarity == "absent" for finding in findings)
    if what == "nothing read":
        return not findings
    if what == "comparison":
        return any(finding.change or finding.observation == "comparison" for finding in findings)
    if what == "severity severe":
        return any(finding.severity >= SEVERE for finding in findings)
    if "mm" in rest:
        return any(abs(finding.size_mm - float(first)) <= SIZE_TOLERANCE_MM for finding in findings)
    if first in CHANGES:
        return any(finding.change == first for finding in findings)
    if first in ontology().observations:
        return any(finding.observation == first and _has(finding, rest) for finding in findings)
    return any(first in finding.descriptors for finding in findings)


def _has(finding: Finding, words: Iterable[str]) -> bool:
    """Return whether a finding has the given polarity (by default any but absent), side and change."""
    words = set(words)
    polarities = words & set(POLARITIES) or {"present", "possible"}
    sides, changes = words & set(SIDES), words & set(CHANGES)
    return (
        finding.polarity in polarities
        and (not sides or finding.side in sides)
        and (not changes or finding.change in changes)
    )


def _reading(entry: Mapping[str, Any]) -> Reading:
    for key in Reading._fields:
        if key not in entry:
            raise ReadingError(f"{key} is missing")
    known, descriptors = ontology().observations, ontology().descriptors
    for expected in entry["expect"]:
        unknown = expected.keys() - {"finding", "size_mm", *_VALUES, *_LISTS}
        if unknown or expected.get("finding") not in known or "polarity" not in expected:
            raise ReadingError(f"expected a known finding, its polarity and known attributes, got {expected}")
    for what in entry["must_not"]:
        if what not in _PHRASES and what.split()[0] not in {*known, *CHANGES, *descriptors} and " mm " not in what:
            raise ReadingError(f"must_not: unknown {what!r}")
    return Reading(entry["kind"], entry["text"], tuple(entry["expect"]), tuple(entry["must_not"]))


def load_readings(path: Path) -> list[Reading]:
    """Return the cases of a file.

    Raises:
        ReadingError: a line is no JSON object with the four keys, or names an unknown observation or attribute.
    """
    readings = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            readings.append(_reading(entry))
        except (ValueError, TypeError) as error:
            raise ReadingError(f"{path.name}, line {number}: {error}") from None
    if not readings:
        raise ReadingError(f"{path}: has no lines")
    return readings


def main() -> None:
    """Read the texts and report passes and failures."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path, nargs="+", default=sorted(FOLDER.glob("*.jsonl")))
    parser.add_argument("--kind", help="only this kind")
    parser.add_argument("--show-failures", action="store_true", help="list the texts that fail, and the mistakes")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    for path in options.data:
        readings = [reading for reading in load_readings(path) if options.kind in (None, reading.kind)]
        mistakes = [reading.mistakes() for reading in readings]
        kinds: dict[str, list[bool]] = {}
        for reading, wrong in zip(readings, mistakes, strict=True):
            kinds.setdefault(reading.kind, []).append(not wrong)
        result[path.stem] = {
            "passed": f"{sum(not wrong for wrong in mistakes)}/{len(readings)}",
            "findings": share_read(readings),
            "kinds": {kind: f"{sum(passes)}/{len(passes)}" for kind, passes in sorted(kinds.items())},
        }
        if options.show_failures:
            result[path.stem]["failures"] = [
                {
                    "kind": reading.kind,
                    "text": reading.text,
                    "mistakes": wrong,
                    "read": [finding.as_dict() for finding in read(reading.text)],
                }
                for reading, wrong in zip(readings, mistakes, strict=True)
                if wrong
            ]
    report(result, options.json)


def share_read(readings: Iterable[Reading]) -> str:
    """Return how many of the expected findings are read with all their attributes."""
    read_right = [_is_read(read(reading.text), expected) for reading in readings for expected in reading.expect]
    return f"{sum(read_right)}/{len(read_right)}"


if __name__ == "__main__":
    main()
