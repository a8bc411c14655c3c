"""Precision, recall and F1 of each condition over the reports of a file, with intervals.

Two labelers: CheXbert and the rules of `cxr_rewards.findings`. Both write labels in CheXbert's way, a digit for each
condition: 0 blank, 1 positive, 2 negative, 3 uncertain. A case counts for a condition as tp if candidate and reference
are positive, fp if only the candidate is, fn if only the reference is:

    precision = tp / (tp + fp)    recall = tp / (tp + fn)    F1 = 2 tp / (2 tp + fp + fn)

What is 0 / 0 is undefined, and not 0: no recall without a reference that is positive, no precision if the candidates
never are. Micro averages pool the counts of all conditions; macro averages are means of those conditions for which the
number is defined (scikit-learn counts the others as 0); weighted averages weigh by support.

Precision and recall are shares of cases, and have Wilson's interval. So is `J = tp / (tp + fp + fn)`; F1 is `2 J / (1 +
J)`, and so are the ends of its interval. Averages have the interval of the bootstrap over clusters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from cxr_rewards.components.chexpert_rule_f1 import labels_of
from cxr_rewards.errors import InputError, unknown_name
from cxr_rewards.evaluation.figures import Figure, share
from cxr_rewards.evaluation.resampling import (
    RESAMPLES,
    SEED,
    Resampled,
    bootstrap,
    effective_clusters,
    sum_by_cluster,
)
from cxr_rewards.files.summary import MIN_CLUSTERS
from cxr_rewards.findings import CHEXPERT, Finding, merge, ontology
from cxr_rewards.formulas.chexpert import FIVE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[np.int64]
    Numbers = NDArray[np.float64]

UncertainAs = Literal["positive", "negative"]
Average = Literal["micro", "macro", "weighted"]
AVERAGES: tuple[Average, ...] = ("micro", "macro", "weighted")

_DIGITS = {"positive": "1", "negative": "2", "uncertain": "3"}
_NUMBERS = ("precision", "recall", "f1")
_MANY = 8
"""Conditions from which on the five of the leaderboards are averaged too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Precision, recall and F1 of one condition, or an average of them.

    Attributes:
        name: the condition or the average.
        support: references that are positive; of an average, of all its conditions.
        predicted: candidates that are positive.
        precision, recall, f1: None with the reason if undefined.
    """

    name: str
    support: int
    predicted: int
    precision: Figure
    recall: Figure
    f1: Figure

    def as_json(self) -> dict[str, object]:
        """Return the row as JSON-compatible data."""
        numbers = {name: getattr(self, name).as_json() for name in _NUMBERS}
        return {"name": self.name, "support": self.support, "predicted": self.predicted, **numbers}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionTable:
    """Conditions of one labeler under one rule for uncertain labels.

    Attributes:
        labeler: `chexbert`, `rules` or `observations`.
        uncertain: as what an uncertain label counts.
        cases: that are counted.
        unread: cases left out because nothing was read in the reference, or a text is missing.
        conditions: one row each.
        averages: micro, macro and weighted; of CheXpert's labels also of the five of the leaderboards.
    """

    labeler: str
    uncertain: UncertainAs
    cases: int
    unread: int
    conditions: tuple[Condition, ...]
    averages: tuple[Condition, ...]

    def as_json(self) -> dict[str, object]:
        """Return the table as JSON-compatible data."""
        return {
            "labeler": self.labeler,
            "uncertain": self.uncertain,
            "cases": self.cases,
            "unread": self.unread,
            "conditions": [row.as_json() for row in self.conditions],
            "averages": [row.as_json() for row in self.averages],
        }


def rule_labels(findings: Iterable[Finding]) -> str:
    """Return the CheXpert labels of a report's findings as CheXbert writes them; empty if there are no findings.

    Example:
        >>> from cxr_rewards.findings import read
        >>> rule_labels(read("The heart is enlarged. Possible edema. No pneumothorax."))
        '01003000200000'
    """
    states = labels_of(findings)
    return "".join(_DIGITS.get(states.get(name, ""), "0") for name in CHEXPERT) if states else ""


def observation_labels(findings: Sequence[Finding], names: Sequence[str]) -> str:
    """Return labels of observations of the reader as CheXbert writes them; empty if there are no findings.

    A kind of an observation is one too: a rib fracture is a fracture. What is only a sign of it is not.

    Example:
        >>> from cxr_rewards.findings import read
        >>> found = read("Left rib fracture. Possible pneumonia. No pneumothorax.")
        >>> observation_labels(found, ["fracture", "pneumonia", "pneumothorax", "pulmonary_edema"])
        '1320'
    """
    if not findings:
        return ""
    known = ontology().observations
    states: dict[str, str] = {}
    report = merge(findings)
    for finding in report.absent:
        states[finding.observation] = "2"
    for grade in ("3", "1"):
        for finding in report.abnormal:
            if (finding.polarity == "possible") == (grade == "3"):
                about = known[finding.observation]
                kinds = () if about.sign else about.ancestors
                states.update(dict.fromkeys((finding.observation, *kinds), grade))
    return "".join(states.get(name, "0") for name in names)


def choose_observations(wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the observations of these names, each once; all of the reader's if `all` is one of them.

    Raises:
        InputError: an unknown name.

    Example:
        >>> choose_observations(["pneumothorax", "rib_fracture"])
        ('pneumothorax', 'rib_fracture')
    """
    known = {name: None for name in ontology().observations if name != "comparison"}
    if "all" in wanted:
        return tuple(known)
    for name in wanted:
        if name not in known:
            raise InputError(unknown_name("--conditions", "observation", name, known))
    return tuple(dict.fromkeys(wanted))


def count_conditions(candidates: Sequence[str], references: Sequence[str], uncertain: UncertainAs) -> Numbers:
    """Return tp, fp and fn of each case and condition, (cases, conditions, 3).

    Args:
        candidates, references: labels, a digit for each condition.
        uncertain: as what an uncertain label counts.

    Example:
        >>> count_conditions(["013"], ["110"], "positive").tolist()
        [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    ours, theirs = _positive(candidates, uncertain), _positive(references, uncertain)
    return np.stack((ours & theirs, ours & ~theirs, ~ours & theirs), axis=-1).astype(np.float64)


def _positive(labels: Sequence[str], uncertain: UncertainAs) -> NDArray[np.bool_]:
    digits = np.frombuffer("".join(labels).encode("ascii"), np.uint8).reshape(len(labels), -1)
    counted = [ord("1"), ord("3")] if uncertain == "positive" else [ord("1")]
    positive: NDArray[np.bool_] = np.isin(digits, counted)
    return positive


def condition_table(
    names: Sequence[str],
    candidates: Sequence[str],
    references: Sequence[str],
    *,
    labeler: str,
    uncertain: UncertainAs = "positive",
    clusters: Codes | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> ConditionTable:
    """Return precision, recall and F1 of each condition, and their averages.

    Args:
        names: of the conditions.
        candidates, references: labels of each case, a digit for each condition; empty for a report without labels,
            whose case is left out.
        labeler: what gave the labels.
        uncertain: as what an uncertain label counts.
        clusters: (cases,), from `cluster_codes`; None: each case is one.
        resamples: of the bootstrap, for the averages.
        seed: of its random numbers.

    Example:
        >>> table = condition_table(["edema"], ["1", "0", "1"], ["1", "1", ""], labeler="rules")
        >>> table.cases, table.unread, table.conditions[0].precision.value, table.conditions[0].recall.value
        (2, 1, 1.0, 0.5)
    """
    kept = [i for i, pair in enumerate(zip(candidates, references, strict=True)) if all(pair)]
    counts = (
        count_conditions([candidates[i] for i in kept], [references[i] for i in kept], uncertain)
        if kept
        else np.zeros((0, len(names), 3))
    )
    if clusters is not None:
        _, clusters = np.unique(clusters[np.array(kept, dtype=np.int64)], return_inverse=True)
    flat = sum_by_cluster(counts.reshape(len(kept), 3 * len(names)), clusters)
    sums = flat.reshape(len(flat), len(names), 3)
    sizes = np.ones(len(kept)) if clusters is None else np.bincount(clusters).astype(np.float64)
    averaged: list[tuple[str, list[int]]] = [("", list(range(len(names))))]
    if len(names) > _MANY and set(FIVE) <= set(names):
        averaged.append((" of 5", [list(names).index(name) for name in FIVE]))
    averages = [
        row for suffix, chosen in averaged for row in _averages(sums[:, chosen], suffix, sizes, resamples, seed)
    ]
    return ConditionTable(
        labeler=labeler,
        uncertain=uncertain,
        cases=len(kept),
        unread=len(candidates) - len(kept),
        conditions=tuple(_condition(name, sums[:, i]) for i, name in enumerate(names)),
        averages=tuple(averages),
    )


def _condition(name: str, sums: Numbers) -> Condition:
    """Return the row of a condition from tp, fp and fn of each cluster, (clusters, 3)."""
    tp, fp, fn = sums.T
    jaccard = share(tp, tp + fp + fn, "neither candidates nor references have it")
    f1 = replace(jaccard, value=_dice(jaccard.value), low=_dice(jaccard.low), high=_dice(jaccard.high))
    return Condition(
        name=name,
        support=int((tp + fn).sum()),
        predicted=int((tp + fp).sum()),
        precision=share(tp, tp + fp, "no candidate has it"),
        recall=share(tp, tp + fn, "no reference has it"),
        f1=f1,
    )


def _dice(jaccard: float | None) -> float | None:
    return None if jaccard is None else 2 * jaccard / (1 + jaccard)


def averaged_numbers(sums: Numbers) -> Numbers:
    """Return micro, macro and weighted precision, recall and F1: of sums (..., conditions, 3) an array (..., 9).

    NaN if undefined.
    """
    with np.errstate(all="ignore"):
        tp, fp, fn = sums[..., 0], sums[..., 1], sums[..., 2]
        each = np.stack((tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)), axis=-2)
        a, b, c = tp.sum(-1), fp.sum(-1), fn.sum(-1)
        micro = np.stack((a / (a + b), a / (a + c), 2 * a / (2 * a + b + c)), axis=-1)
        known = np.isfinite(each)
        filled = np.where(known, each, 0.0)
        macro = filled.sum(-1) / known.sum(-1)
        support = np.where(known, (tp + fn)[..., None, :], 0.0)
        weighted = (filled * support).sum(-1) / support.sum(-1)
        return np.concatenate((micro, macro, weighted), axis=-1)


def _averages(sums: Numbers, suffix: str, sizes: Numbers, resamples: int, seed: int) -> list[Condition]:
    """Return the averages over conditions; `sums` (clusters, conditions, 3), `sizes` the cases of each cluster."""
    conditions, cases = sums.shape[1], int(sizes.sum())
    tp, fp, fn = sums.sum(axis=(0, 1)).tolist()
    figures = [Figure(cases, None, reason="no condition is positive anywhere")] * (len(_NUMBERS) * len(AVERAGES))
    if tp + fp + fn:

        def numbers(flat: Numbers) -> Numbers:
            return averaged_numbers(flat.reshape(*flat.shape[:-1], conditions, 3))

        drawn = bootstrap(sums.reshape(len(sums), -1), numbers, resamples=resamples, seed=seed)
        clusters = effective_clusters(sizes)
        figures = [_figure(drawn, i, cases, clusters) for i in range(len(figures))]
    return [
        Condition(
            name=f"{average}{suffix}",
            support=int(tp + fn),
            predicted=int(tp + fp),
            **dict(zip(_NUMBERS, figures[3 * i : 3 * i + 3], strict=True)),
        )
        for i, average in enumerate(AVERAGES)
    ]


def _figure(drawn: Resampled, i: int, cases: int, clusters: float) -> Figure:
    value = float(drawn.estimates[i])
    if not np.isfinite(value):
        return Figure(cases, None, reason="undefined for every condition")
    ends = drawn.interval(lambda numbers: numbers[..., i], clusters, bounds=(0.0, 1.0))
    if ends is None:
        return Figure(cases, value, reason=f"fewer than {MIN_CLUSTERS} independent clusters")
    return Figure(cases, value, *ends)
