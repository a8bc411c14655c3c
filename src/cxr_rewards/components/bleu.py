"""BLEU as the report-generation leaderboards compute it: of one report, smoothed."""

from __future__ import annotations

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.formulas.bleu import bleu
from cxr_rewards.types import Case, Score


class Bleu(Component):
    """BLEU-2 of a report: how many of its words and word pairs are the reference's, times a penalty for brevity.

        BLEU = min(1, exp(1 - r / c)) * (p_1 * ... * p_N) ** (1 / N)

    c and r are the tokens of candidate and reference, N is `max_order`, and p_n is the share of the candidate's
    n-grams that match, each at most as often as it occurs in the reference. If none of order n matches, 0.1 counts as
    matched; if the candidate is too short to have any, p_n is 0.1. Tokens: lower case, full stops set apart, split at
    spaces.

    Source: Papineni et al. 2002; smoothing method 1 of Chen and Cherry 2014. The default equals ReXrank's BLEU-2
    (CXRMetric/run_eval.py at 8152f99), and all orders equal nltk's `sentence_bleu` with `method1` and uniform
    weights, to 1e-12.
    Range: [0, 1], higher is better. 0 if no word matches, so also for an empty candidate.

    Example:
        >>> Bleu().score("Mild cardiomegaly with clear lungs.", "Mild cardiomegaly. No pleural effusion.").value
        0.26768102483623...
        >>> Bleu(max_order=1).score("Clear lungs.", "The lungs are clear.").value
        0.513417119032592
    """

    name = "bleu"
    summary = "shared words and word pairs (BLEU-2)"
    bounds = (0.0, 1.0)
    higher_is_better = True
    reads = ("candidate", "reference")
    identical = "texts of fewer tokens than max_order lack n-grams of that order, which counts as 0.1 matched"
    max_order: int = setting(2, "Longest n-grams that count, in tokens, 1 to 4; all orders weigh the same.")

    def __post_init__(self) -> None:
        if self.max_order not in (1, 2, 3, 4):
            raise self.invalid("max_order", "1, 2, 3 or 4")

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return BLEU, with each order's precision (as smoothed) and the brevity penalty in the details."""
        value, precisions, brevity = bleu(case.candidate, case.reference, self.max_order)
        return Score(value, {"precisions": precisions, "brevity_penalty": brevity} if precisions else {})
