"""CheXpert labels by rules, and their F1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.reading_component import READINGS, ReadingComponent
from cxr_rewards.features.reports import unread_reference
from cxr_rewards.findings import CHEXPERT, Finding, ontology
from cxr_rewards.types import Case, Score

TOP_5 = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
"""The five competition labels of CheXpert."""
_NO_FINDING, _DEVICES = "No Finding", "Support Devices"
_STATES = {"absent": "negative", "possible": "uncertain", "present": "positive"}
_RANK = ("negative", "uncertain", "positive")


class ChexpertRuleF1(ReadingComponent):
    """F1 of the positive CheXpert labels of two reports, labelled by rules.

        P = tp / (tp + fp),  R = tp / (tp + fn),  F = 2 P R / (P + R) = 2 tp / (2 tp + fp + fn)

    tp, fp and fn count labels that are positive in both reports, in the candidate alone, in the reference alone. A
    label is positive if a finding of that class is present in the report, as the rules of `cxr_rewards.findings` read
    it, else uncertain if one is possible, else negative if one is denied, by name or by a normal statement, else blank.
    Each mention has the label of its own observation: as with CheXpert's labeler, nothing is passed up to a parent
    class, so "pneumonia" alone is neither Consolidation nor Lung Opacity. `No Finding` is positive if no other label
    but `Support Devices` is positive or uncertain, else blank; findings that belong to no class do not matter to it.

    `uncertain` says how an uncertain label counts: "positive" (as in RadEval's CheXbert F1), "negative" (which does not
    make it `No Finding`), or "ignore" (a label that is uncertain in either report is left out).

    Range: [0, 1], higher is better. Neither report has a positive label (with all fourteen, only if some are uncertain
    and not counted as positive): 1, because their labels agree; scikit-learn's F1 of no positives is 0, which would
    punish being right. A candidate in which nothing is read, not even a normal statement: no labels, and 0. A reference
    in which nothing is read: missing, with the reason.

    Details: `candidate` and `reference`, state by label (blank ones left out); `tp`, `fp`, `fn`, the labels of each.

    Source: Irvin et al. 2019 (CheXpert) for labels, states and No Finding; CheXbert's F1 as in RadEval (e0a3909), there
    with a neural labeler and averaged over a corpus. Labels by these rules are not CheXbert's: compare numbers of one
    kind only.

    Example:
        >>> score = ChexpertRuleF1().score("Cardiomegaly. Possible pneumonia.", "The heart is enlarged. Left effusion.")
        >>> score.value
        0.5
        >>> score.details["candidate"], score.details["fn"]
        ({'Cardiomegaly': 'positive', 'Pneumonia': 'uncertain'}, ['Pleural Effusion'])
        >>> ChexpertRuleF1(uncertain="negative").score("Possible edema.", "Edema. Left effusion.").value
        0.0
    """

    name = "chexpert_rule_f1"
    version = 1
    summary = "F1 of CheXpert labels, by rules"
    bounds = (0.0, 1.0)

    labels: Literal[14, 5] = setting(
        14, "14: all labels; 5: Cardiomegaly, Edema, Consolidation, Atelectasis, Pleural Effusion."
    )
    uncertain: Literal["positive", "negative", "ignore"] = setting(
        "positive", "How an uncertain label counts; ignore leaves out labels that are uncertain in either report."
    )

    def __post_init__(self) -> None:
        if self.labels not in (14, 5):
            raise self.invalid("labels", "14 or 5")
        if self.uncertain not in ("positive", "negative", "ignore"):
            raise self.invalid("uncertain", "positive, negative or ignore")

    @property
    def needs(self) -> tuple[Feature, ...]:
        return (READINGS,)

    def score_findings(self, case: Case, features: FeatureTable) -> Score:
        """Label both reports and compare their positive labels."""
        read = features.value(READINGS, case.reference).findings
        if not read:
            return unread_reference(self.name)
        reference, candidate = labels_of(read), labels_of(features.value(READINGS, case.candidate).findings)
        counted: tuple[str, ...] = CHEXPERT if self.labels == 14 else TOP_5
        if self.uncertain == "ignore":
            counted = tuple(
                label for label in counted if "uncertain" not in (reference.get(label), candidate.get(label))
            )
        positive = ("positive", "uncertain") if self.uncertain == "positive" else ("positive",)
        ours = [label for label in counted if reference.get(label) in positive]
        theirs = [label for label in counted if candidate.get(label) in positive]
        tp = [label for label in ours if label in theirs]
        fp = [label for label in theirs if label not in ours]
        fn = [label for label in ours if label not in theirs]
        details = {"candidate": candidate, "reference": reference, "tp": tp, "fp": fp, "fn": fn}
        if not candidate:
            return Score(0.0, details)
        total = 2 * len(tp) + len(fp) + len(fn)
        return Score(2 * len(tp) / total if total else 1.0, details)


def labels_of(findings: Iterable[Finding]) -> dict[str, str]:
    """Return the state of each CheXpert label that is not blank: positive, negative or uncertain.

    Empty if there are no findings, not even absent ones: nothing was read, which is not `No Finding`.

    Example:
        >>> from cxr_rewards.findings import read
        >>> labels_of(read("Possible pneumonia. No pneumothorax."))
        {'Pneumonia': 'uncertain', 'Pneumothorax': 'negative'}
        >>> labels_of(read("Small hiatal hernia."))
        {'No Finding': 'positive'}
    """
    observations = ontology().observations
    states: dict[str, str] = {}
    nothing = True
    for finding in findings:
        nothing = False
        if label := observations[finding.observation].label:
            state = _STATES[finding.polarity]
            states[label] = max(states.get(label, state), state, key=_RANK.index)
    if nothing:
        return {}
    if all(state == "negative" for label, state in states.items() if label != _DEVICES):
        states[_NO_FINDING] = "positive"
    return {label: states[label] for label in CHEXPERT if label in states}
