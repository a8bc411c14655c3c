"""Sides and places of findings: whether two can be the same, and whether a denial covers a finding."""

from __future__ import annotations

from collections.abc import Iterable

from cxr_rewards.findings.finding import Finding
from cxr_rewards.findings.ontology import Ontology

_DIRECTIONS = frozenset(("anterior", "posterior", "lateral", "peripheral", "perihilar"))


def sides_meet(one: Finding, two: Finding) -> bool:
    """Return whether two findings can be on the same side."""
    return not one.side or not two.side or one.side == two.side or "bilateral" in (one.side, two.side)


def regions(known: Ontology, places: Iterable[str]) -> set[str]:
    """Return places, and the larger places that they lie in."""
    return {region for place in places for region in (place, known.within.get(place, place))}


def places_meet(known: Ontology, one: Finding, two: Finding) -> bool:
    """Return whether two findings can be in the same place.

    Zones are compared with zones, ribs and vertebrae with these, and directions such as `lateral` with directions.
    `diffuse` can be anywhere.
    """
    if not one.places or not two.places:
        return True
    ours, theirs = _by_kind(known, one.places), _by_kind(known, two.places)
    return all(not mine or not other or not mine.isdisjoint(other) for mine, other in zip(ours, theirs, strict=True))


def _by_kind(known: Ontology, places: Iterable[str]) -> tuple[set[str], set[str], set[str]]:
    zones, rows, directions = set[str](), set[str](), set[str]()
    for region in regions(known, places):
        if region[-1].isdigit():
            rows.add(region)
        elif region in _DIRECTIONS:
            directions.add(region)
        elif region != "diffuse":
            zones.add(region)
    return zones, rows, directions


def covers(known: Ontology, denial: Finding, finding: Finding) -> bool:
    """Return whether a denial of an observation reaches a finding of it, by kind, side and place.

    "No acute fracture" does not reach an old one, nor "no effusion on the left" one whose side is not told.
    """
    for one, two in (("acute", "old"), ("displaced", "nondisplaced")):
        if one in denial.descriptors and two in finding.descriptors:
            return False
    if denial.side in ("left", "right") and finding.side != denial.side:
        return False
    return not denial.places or (bool(finding.places) and places_meet(known, denial, finding))
