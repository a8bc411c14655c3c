"""CheXpert's 14 observations as CheXbert orders them, and F1 over the labels of many reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

CONDITIONS = (
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
FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")

Uncertain = Literal["positive", "negative", "ignore"]


def positives(labels: str, uncertain: Uncertain = "positive") -> list[bool]:
    """Return which of 14 labels (0 blank, 1 positive, 2 negative, 3 uncertain) count as positive.

    Example:
        >>> sum(positives("01030000000000")), sum(positives("01030000000000", "negative"))
        (2, 1)
    """
    also = "3" if uncertain == "positive" else ""
    return [label in f"1{also}" for label in labels]


def corpus_f1(pairs: Iterable[tuple[str, str]], uncertain: Uncertain = "positive") -> dict[str, float | None]:
    """Return micro and macro F1 over the labels of candidates and references, for all 14 and for the five.

    Micro F1 pools the counts of all labels; macro F1 is the mean of the labels' F1. A label that is positive
    nowhere has F1 0, as in scikit-learn's `classification_report`. `ignore` leaves out a label that is uncertain on
    either side.

    Args:
        pairs: labels of candidate and reference, 14 digits each; read once.
        uncertain: how to count an uncertain label.

    Returns:
        `micro_f1_14`, `macro_f1_14`, `micro_f1_5`, `macro_f1_5`; None if there are no pairs.

    Example:
        >>> corpus_f1([("01000000000000", "01000000000000"), ("00000000010000", "00000000000001")])["micro_f1_14"]
        0.5
    """
    counts = [[0, 0, 0] for _ in CONDITIONS]  # both, candidate's, reference's
    seen = False
    for candidate, reference in pairs:
        seen = True
        for count, a, b in zip(counts, candidate, reference, strict=True):
            if uncertain == "ignore" and "3" in (a, b):
                continue
            (in_candidate,), (in_reference,) = positives(a, uncertain), positives(b, uncertain)
            count[0] += in_candidate and in_reference
            count[1] += in_candidate
            count[2] += in_reference
    scores: dict[str, float | None] = {}
    five = [counts[CONDITIONS.index(name)] for name in FIVE]
    for size, chosen in ((14, counts), (5, five)):
        each = [_f1(*count) for count in chosen]
        scores[f"micro_f1_{size}"] = _f1(*map(sum, zip(*chosen, strict=True))) if seen else None
        scores[f"macro_f1_{size}"] = sum(each) / len(each) if seen else None
    return scores


def _f1(both: int, candidate: int, reference: int) -> float:
    return 2 * both / (candidate + reference) if candidate + reference else 0.0
