"""Lines, tubes and devices: which are there, and where they end."""

from __future__ import annotations

from typing import Any

from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.reading_component import READINGS, ReadingComponent
from cxr_rewards.features.reports import Reports, unread_reference
from cxr_rewards.findings import Finding, Ontology, Report, misplaced, ontology
from cxr_rewards.findings.pairing import by_side, pair_up, related
from cxr_rewards.findings.places import sides_meet
from cxr_rewards.types import Case, Score

_REPORTS = Reports()
_DEVICE = "support_device"
_JUDGED = frozenset(("in_place", "malpositioned"))
"""Positions that judge a tip's place without naming it."""


class DeviceF1(ReadingComponent):
    """F1 of the lines, tubes and devices that two reports mention, with credit for kind and position.

        P = credit / candidate's,  R = credit / reference's,  F = 2 P R / (P + R)

    `credit` is the sum over devices that are matched one to one, so that the sum is greatest. Two can match if one's
    observation is the other's or a kind of it, and their sides can be the same; a bilateral device counts as one on the
    left and one on the right. Their credit is a product:

        kind      1 if the same, `related_credit` if one is a kind of the other ("central line" for "PICC")
        position  0 if each has a position and just one is misplaced: a tube in the bronchus is not "in place"
                  `position_credit` if the candidate lacks the reference's side or position, or has another position
                  1 otherwise

    Positions are the same if they share one ("3 cm above the carina", "4 cm above the carina"), or if one only judges
    ("in standard position", "malpositioned") and the other agrees with that judgement; which position is misplaced for
    which device is in `cxr_rewards.findings.misplaced`. If the reference gives no position, none is required, but
    calling the device misplaced earns `position_credit`. Devices are read by the rules of `cxr_rewards.findings`, their
    mentions joined, and count if present or possible; a removed one is not there.

    Range: [0, 1], higher is better. Neither report mentions a device: 1, because they agree that there is none, and
    less would pay for inventing one. A candidate in which nothing is read, not even a normal statement: 0. A reference
    in which nothing is read: missing, with the reason.

    Details: `matched` (pairs with their `credit`, 0 if just one is misplaced), `missed` and `extra`, each with its
    span; pairs of credit 0 count as missed and extra.

    Source: defined here.

    Example:
        >>> reference = "ETT above the carina. Right PICC in the SVC."
        >>> score = DeviceF1().score("ETT in the right main bronchus. PICC.", reference)
        >>> score.value
        0.25
        >>> [(pair["reference"]["observation"], pair["credit"]) for pair in score.details["matched"]]
        [('endotracheal_tube', 0.0), ('picc', 0.5)]
    """

    name = "device_f1"
    version = 1
    summary = "F1 of lines, tubes and devices by kind, side and position"
    bounds = (0.0, 1.0)

    position_credit: float = setting(0.5, "Credit for a device whose side or position is wrong or missing, 0 to 1.")
    related_credit: float = setting(0.5, "Credit for a device of a more general or more special kind, 0 to 1.")

    def __post_init__(self) -> None:
        for key in ("position_credit", "related_credit"):
            if not 0 <= getattr(self, key) <= 1:
                raise self.invalid(key, "from 0 to 1")

    @property
    def needs(self) -> tuple[Feature, ...]:
        return (READINGS, _REPORTS)

    def score_findings(self, case: Case, features: FeatureTable) -> Score:
        """Match the devices."""
        of_reference: Report | None = features.value(_REPORTS, case.reference)
        if of_reference is None:
            return unread_reference(self.name)
        of_candidate: Report | None = features.value(_REPORTS, case.candidate)
        known = ontology()
        reference = _devices(known, of_reference)
        candidate = _devices(known, of_candidate) if of_candidate else []
        worth = {
            (i, j): self._credit(known, one, two)
            for i, one in enumerate(reference)
            for j, two in enumerate(candidate)
            if related(known, one.observation, two.observation) and sides_meet(one, two)
        }
        pairs = pair_up(worth)
        # The rest is paired all the same, to show what is wrong with it.
        ours, theirs = {i for i, _ in pairs}, {j for _, j in pairs}
        pairs += pair_up({(i, j): 1.0 for i, j in worth if i not in ours and j not in theirs})
        pairs.sort()
        ours, theirs = {i for i, _ in pairs}, {j for _, j in pairs}
        details: dict[str, Any] = {
            "matched": [
                {"reference": reference[i].as_dict(), "candidate": candidate[j].as_dict(), "credit": worth[i, j]}
                for i, j in pairs
            ],
            "missed": [device.as_dict() for i, device in enumerate(reference) if i not in ours],
            "extra": [device.as_dict() for j, device in enumerate(candidate) if j not in theirs],
        }
        if of_candidate is None:
            return Score(0.0, details)
        total = len(reference) + len(candidate)
        return Score(2 * sum(worth[pair] for pair in pairs) / total if total else 1.0, details)

    def _credit(self, known: Ontology, reference: Finding, candidate: Finding) -> float:
        wrong = misplaced(known, reference)
        judged_alike = wrong == misplaced(known, candidate)
        if not judged_alike and reference.positions and candidate.positions:
            return 0.0
        credit = 1.0 if reference.observation == candidate.observation else self.related_credit
        located = not reference.side or bool(candidate.side)
        if not (located and judged_alike and _positions_agree(known, reference, candidate, wrong)):
            credit *= self.position_credit
        return credit


def _devices(known: Ontology, report: Report) -> list[Finding]:
    return [
        device
        for device in by_side(report.abnormal)
        if device.observation == _DEVICE or _DEVICE in known.observations[device.observation].ancestors
    ]


def _positions_agree(known: Ontology, reference: Finding, candidate: Finding, wrong: bool) -> bool:
    """Return whether two devices that are both misplaced, or both not, lie in the same place."""
    if not reference.positions:
        return True
    if not candidate.positions:
        return False
    if not set(reference.positions).isdisjoint(candidate.positions):
        return True
    if _JUDGED.isdisjoint((*reference.positions, *candidate.positions)):
        return False
    return wrong or all(
        not known.observations[device.observation].proper.isdisjoint(device.positions)
        for device in (reference, candidate)
    )
