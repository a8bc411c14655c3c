"""Share of the reference's pertinent negatives that the candidate states."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.matched_findings import Context, MatchedFindings, credit_of, weight_of
from cxr_rewards.features.reading_component import READINGS, ReadingComponent
from cxr_rewards.features.reports import Reports, unread_reference
from cxr_rewards.findings import DENIED, Comparison, Report, ontology, significance
from cxr_rewards.types import Case, Score

_MATCHED = MatchedFindings()
_REPORTS = Reports()


class NegativesRecall(ReadingComponent):
    """Share of what the reference says is not there that the candidate says, too.

        value = (told * sum over the reference's denials of the best credit that a denial of the candidate earns + f)
                / (number of the reference's denials + f)

    f is the number of abnormal findings of the reference that are not benign: the fewer of its statements are denials,
    the less a lost one takes from the report. `told` is the share of the reference's findings that the candidate
    tells, by the weights and credits of `findings_soft_f1`; 1 if there are none. So denials pay as far as the findings
    are told, and a report that denies everything and finds nothing earns nothing by it.

    A denial of the reference is an observation that it names ("no effusion"), or a normal statement about a structure,
    which implies at most `sweeping` absences ("the heart is normal") and is met if any of them is. "Normal chest"
    implies seven and asks for nothing. Findings that have resolved do not count. A denial d of the candidate earns for
    the absence of o:

        1                            d is of o, of what o is a kind of ("no opacity" for "no consolidation"), or of what
                                     reports use for the same thing (`close` in the ontology)
                                     or "nothing acute" is said of a structure, and o is what it rules out ("no active
                                     lung disease" for "no lung opacity")
        `part_credit`                d is of a kind of o ("no consolidation" for "no opacity")
        0                            otherwise
        that of the match            the reference holds o unlikely, and the candidate holds it possible
        times (sweeping / k) ** 2    if d follows from a normal statement that implies k > `sweeping` absences

    Sides and places are not compared: reports deny on both sides, or on none.

    It is recall, because denials that the reference lacks are no errors. On a normal reference it is all that tells a
    full report from "Normal.", so it must stay a small part of a reward.

    Range: [0, 1], higher is better. The reference denies nothing: 1. Nothing read in the candidate: f / (number of the
    reference's denials + f), which is 0 if the reference is normal. A reference in which nothing is read: missing, with
    the reason.

    Details: `asked`, the number of denials; `stated`, f; `told`; `lost`, the denials with less than full credit, each
    with its credit.

    Source: defined here.

    Example:
        >>> reference = "Cardiomegaly. No pleural effusion or pneumothorax."
        >>> score = NegativesRecall().score("Cardiomegaly. No pleural or pneumothorax.", reference)
        >>> round(score.value, 2), score.details
        (0.67, {'asked': 2, 'stated': 1, 'told': 1.0, 'lost': {'pleural_effusion': 0.0}})
        >>> round(NegativesRecall().score("No pleural effusion or pneumothorax.", reference).value, 2)
        0.33
        >>> round(NegativesRecall().score("Normal.", "The lungs are clear. No pleural effusion.").value, 2)
        0.18
    """

    name = "negatives_recall"
    version = 3
    summary = "share of the reference's pertinent negatives that are stated"
    bounds = (0.0, 1.0)

    part_credit: float = setting(0.5, "Credit for denying a kind of what the reference denies, 0 to 1.")
    possible_weight: float = setting(0.8, "Weight of a possible finding against a certain one, 0 to 1.")
    benign_weight: float = setting(0.05, "Weight of a benign or expected finding, 0 to 0.25.")
    sweeping: int = setting(3, "A normal statement that implies more absences is sweeping, and earns less; 1 or more.")

    def __post_init__(self) -> None:
        if not 0 <= self.part_credit <= 1:
            raise self.invalid("part_credit", "from 0 to 1")
        if not 0 <= self.possible_weight <= 1:
            raise self.invalid("possible_weight", "from 0 to 1")
        if not 0 <= self.benign_weight <= 0.25:
            raise self.invalid("benign_weight", "from 0 to 0.25")
        if self.sweeping < 1:
            raise self.invalid("sweeping", "1 or more")

    @property
    def needs(self) -> tuple[Feature, ...]:
        return (READINGS, _MATCHED, _REPORTS)

    def score_findings(self, case: Case, features: FeatureTable) -> Score:
        """Find the best denial for each denial of the reference."""
        reference: Report | None = features.value(_REPORTS, case.reference)
        if reference is None:
            return unread_reference(self.name)
        candidate: Report | None = features.value(_REPORTS, case.candidate)
        asked: dict[object, list[str]] = {}
        implied = _implied(reference)
        for denial in reference.absent:
            if not denial.implied:
                statement: object = denial.observation
            elif implied[denial.start] <= self.sweeping:
                statement = denial.start
            else:
                continue
            if denial.change != "resolved":
                asked.setdefault(statement, []).append(denial.observation)
        denied = self._denied(candidate) if candidate else {}
        acute = _denied_as_acute(candidate) if candidate else frozenset()
        self._credit_doubts(features.value(_MATCHED, case), case.context, denied)
        earned = {" or ".join(names): self._credit(names, denied, acute) for names in asked.values()}
        lost = {names: value for names, value in earned.items() if value < 1}
        stated = sum(significance(finding, case.context) != "benign" for finding in reference.abnormal)
        told = self._told(features.value(_MATCHED, case), case.context)
        value = (told * sum(earned.values()) + stated) / (len(earned) + stated) if earned else 1.0
        return Score(value, {"asked": len(earned), "stated": stated, "told": told, "lost": lost})

    def _told(self, comparison: Comparison, context: Context) -> float:
        """Return the share of the reference's findings that the candidate tells, by weight."""
        benign, possible = self.benign_weight, self.possible_weight
        told = weight = 0.0
        for match in comparison.matched:
            one = weight_of(match.reference, context, benign, possible)
            told += one * credit_of(match, context, benign)
            weight += one
        weight += sum([weight_of(finding, context, benign, possible) for finding in comparison.missed])
        return told / weight if weight else 1.0

    def _denied(self, candidate: Report) -> dict[str, float]:
        """Return what the candidate denies, with the credit for the absence of that very observation."""
        denied: dict[str, float] = {}
        implied = _implied(candidate)
        for denial in candidate.absent:
            if denial.implied and (count := implied[denial.start]) > self.sweeping:
                denied[denial.observation] = max((self.sweeping / count) ** 2, denied.get(denial.observation, 0.0))
            else:
                denied[denial.observation] = 1.0
        return denied

    def _credit_doubts(self, comparison: Comparison, context: Context, denied: dict[str, float]) -> None:
        """Credit what the reference holds unlikely with its match, if the candidate does not deny it."""
        for match in comparison.matched:
            if match.reference.certainty == "unlikely" and match.candidate.certainty not in DENIED:
                name = match.reference.observation
                denied[name] = max(denied.get(name, 0.0), credit_of(match, context, self.benign_weight))

    def _credit(self, names: Sequence[str], denied: Mapping[str, float], acute: Container[str]) -> float:
        """Return the best credit for the absence of one of some observations, given what the candidate denies.

        `acute` are those that it denies by calling a structure free of acute disease.
        """
        best = 0.0
        for name in names:
            if denied.get(name) == 1.0:
                return 1.0
            observations = ontology().observations
            known = observations[name]
            general = [denied[other] for other in (*known.ancestors, *known.close) if other in denied]
            part = [
                denied[other] * (1.0 if other in acute else self.part_credit)
                for other in denied
                if name in observations[other].ancestors
            ]
            best = max([best, denied.get(name, 0.0), *general, *part])
        return best


def _denied_as_acute(report: Report) -> frozenset[str]:
    return frozenset(denial.observation for denial in report.absent if denial.implied and "acute" in denial.descriptors)


def _implied(report: Report) -> dict[int, int]:
    """Return how many absences each normal statement of a report implies, by where it stands."""
    implied: dict[int, int] = {}
    for denial in report.absent:
        if denial.implied:
            implied[denial.start] = implied.get(denial.start, 0) + 1
    return implied
