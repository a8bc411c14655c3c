"""BERTScore's greedy matching of two texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from cxr_rewards.core.feature import Feature, FeatureTable, PairItem
from cxr_rewards.core.settings import setting
from cxr_rewards.features.token_embeddings import DISTILROBERTA, LongTexts, Stored, TokenEmbeddings
from cxr_rewards.models.placement import Dtype

BASELINE = 0.8473319
"""F1 of unrelated sentences under distilroberta-base's layer 5, as bert-score ships it."""


def rescaled(value: float, baseline: float) -> float:
    """Return a value rescaled so that the baseline becomes 0, clipped to [-1, 1].

    Example:
        >>> rescaled(1.0, BASELINE), rescaled(0.0, BASELINE)
        (1.0, -1.0)
    """
    return min(1.0, max(-1.0, (value - baseline) / (1 - baseline)))


class BertscoreMatching(Feature):
    """Precision, recall and F1 of a pair, not rescaled: a list of three floats.

    Precision is the weighted mean, over the candidate's pieces, of the best cosine with a piece of the reference;
    recall is the same in the other direction. All are 0 if a side has no piece with a weight.

    One matrix product matches all candidates of a reference with it, without padding.
    """

    name = "bertscore_matching"
    over = "pair"
    persistent = False
    chunk_size = 1024

    model: str = setting(DISTILROBERTA, "As for the token embeddings.", changes_scores=False)
    layer: int = setting(5, "As for the token embeddings.")
    idf_corpus: str = setting("", "As for the token embeddings.", changes_scores=False)
    long_texts: LongTexts = setting("truncate", "As for the token embeddings.")
    stored: Stored = setting("no", "As for the token embeddings.")
    device: str = setting("auto", "As for the token embeddings.", changes_scores=False)
    dtype: Dtype = setting("float32", "As for the token embeddings.")
    batch_tokens: int = setting(0, "As for the token embeddings.", changes_scores=False)
    accept_other_weights: bool = setting(False, "As for the token embeddings.", changes_scores=False)

    @property
    def needs(self) -> tuple[TokenEmbeddings]:
        return (TokenEmbeddings(**{key: getattr(self, key) for key in self.settings()}),)

    def compute(self, items: Sequence[PairItem], upstream: FeatureTable) -> list[list[float]]:
        """Match the pairs."""
        import numpy as np

        (feature,) = self.needs
        scores: list[list[float]] = [[0.0, 0.0, 0.0]] * len(items)
        by_reference: dict[str, list[int]] = defaultdict(list)
        for i, item in enumerate(items):
            by_reference[item.reference].append(i)
        for reference, rows in by_reference.items():
            right = upstream.value(feature, reference)
            sides = [upstream.value(feature, items[i].candidate) for i in rows]
            kept = [(i, side) for i, side in zip(rows, sides, strict=True) if side[:, -1].any()]
            if not kept or not right[:, -1].any():
                continue
            left = np.concatenate([side for _, side in kept])
            cosines = left[:, :-1] @ right[:, :-1].T
            starts = np.cumsum([0, *(len(side) for _, side in kept)])[:-1]
            totals = np.add.reduceat(left[:, -1], starts)
            precision = np.add.reduceat(cosines.max(axis=1) * left[:, -1], starts) / totals
            recall = np.maximum.reduceat(cosines, starts, axis=0) @ right[:, -1] / right[:, -1].sum()
            f1 = 2 * precision * recall / (precision + recall)
            for (i, _), *values in zip(kept, precision, recall, f1, strict=True):
                scores[i] = [float(value) for value in values]
        return scores
