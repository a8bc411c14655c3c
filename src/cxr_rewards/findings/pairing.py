"""How findings relate to each other, and the best way to pair them: shared by several components."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from cxr_rewards.findings.finding import Finding
from cxr_rewards.findings.ontology import Ontology, ontology
from cxr_rewards.findings.places import covers

_ROUNDING = 1e-9


def related(known: Ontology, one: str, two: str) -> bool:
    """Return whether two observations are the same, or one is a kind of the other.

    Example:
        >>> from cxr_rewards.findings import ontology
        >>> related(ontology(), "pneumonia", "lung_opacity"), related(ontology(), "pneumonia", "atelectasis")
        (True, False)
    """
    return one == two or one in known.observations[two].ancestors or two in known.observations[one].ancestors


@lru_cache(maxsize=1 << 15)
def kinship(one: str, two: str) -> tuple[str, int] | None:
    """Return the kind of error and the number of steps by which the observation `two` misses `one`; None if unrelated.

    If one is a kind of the other, the steps are the parents between them; 0 if reports use both for one thing (`close`
    in the ontology). What is often mistaken for the other (`like`) is two steps away.

    Example:
        >>> kinship("pneumonia", "consolidation"), kinship("consolidation", "pneumonia")
        (('unspecific', 1), ('overinterpretation', 1))
        >>> kinship("pneumonia", "scoliosis")
    """
    observations = ontology().observations
    if two in observations[one].close:
        return "unspecific", 0
    above, below = (one, *observations[one].ancestors), (two, *observations[two].ancestors)
    if two in above:
        return "unspecific", above.index(two)
    if one in below:
        return "overinterpretation", below.index(one)
    return ("overinterpretation", 2) if two in observations[one].like else None


def denies(known: Ontology, denial: Finding, finding: Finding) -> bool:
    """Return whether a denial excludes a finding.

    "Lungs are clear" excludes pneumonia, but "no large effusion" does not exclude a small one.
    Calling a structure normal also excludes what the absences it implies are kinds of: a normal mediastinum excludes an
    enlarged cardiomediastinum.
    """
    if denial.observation != finding.observation:
        above = finding.observation in known.observations[denial.observation].ancestors and denial.implied
        if not above and denial.observation not in known.observations[finding.observation].ancestors:
            return False
    elif denial.severity > max(finding.severity, 2.5):
        return False
    return covers(known, denial, finding)


def by_side(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings, with each bilateral one split into left and right.

    Example:
        >>> [finding.side for finding in by_side([Finding("pleural_effusion", side="bilateral"), Finding("picc")])]
        ['left', 'right', '']
    """
    for finding in findings:
        if finding.side == "bilateral":
            yield finding._replace(side="left")
            yield finding._replace(side="right")
        else:
            yield finding


def pair_up(gains: Mapping[tuple[int, int], float]) -> list[tuple[int, int]]:
    """Return the one-to-one pairs (i, j) with the greatest sum of gains, sorted.

    Args:
        gains: gain of each possible pair; pairs that gain 0 or less are never made.

    Example:
        >>> pair_up({(0, 0): 1.0, (0, 1): 0.75, (1, 0): 0.75})
        [(0, 1), (1, 0)]
    """
    edges: dict[int, list[tuple[int, float]]] = {}
    for (i, j), gain in gains.items():
        if gain > 0:
            edges.setdefault(i, []).append((j, gain))
    partner: dict[int, int] = {}  # of each j
    for i in edges:
        partner.update((j, taker) for taker, j in _best_change(i, edges, gains, partner))
    return sorted((i, j) for j, i in partner.items())


def _best_change(
    new: int,
    edges: Mapping[int, list[tuple[int, float]]],
    gains: Mapping[tuple[int, int], float],
    partner: Mapping[int, int],
) -> list[tuple[int, int]]:
    """Return the pairs to change so that the best pairing so far becomes the best one that includes `new`.

    `new` takes a j, the old partner of that j takes another, and so on, until a j is free or an i is left without. Each
    i is reached by the chain that gains most up to it.
    """
    best = {new: 0.0}
    before: dict[int, tuple[int, int]] = {}  # i -> who took its partner, and that partner
    most, last = _ROUNDING, None
    queue = deque((new,))
    while queue:
        i = queue.popleft()
        for j, gain in edges[i]:
            value, other = best[i] + gain, partner.get(j)
            if other is not None:
                value -= gains[other, j]
                if value <= best.get(other, float("-inf")) + _ROUNDING:
                    continue
                best[other], before[other] = value, (i, j)
                queue.append(other)
            if value > most:
                most, last = value, (i, j)
    chain: list[tuple[int, int]] = []
    while last is not None:
        chain.append(last)
        last = before.get(last[0])
    return chain
