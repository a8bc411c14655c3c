"""The four metrics that RadCliQ combines."""

from __future__ import annotations

from collections.abc import Sequence

from cxr_rewards.core.feature import Feature, FeatureTable, PairItem
from cxr_rewards.core.settings import setting
from cxr_rewards.features.bertscore_matching import BASELINE, BertscoreMatching, rescaled
from cxr_rewards.features.chexbert import ChexbertEmbedding
from cxr_rewards.features.radgraph import RadgraphAnnotations
from cxr_rewards.formulas.bleu import bleu
from cxr_rewards.formulas.radgraph import combined_f1
from cxr_rewards.formulas.vectors import cosine
from cxr_rewards.models.placement import PLACEMENT, Dtype


class RadcliqMetrics(Feature):
    """RadGraph combined, BERTScore, SembScore and BLEU-2 of a pair: four floats, equal to those of the components."""

    name = "radcliq_metrics"
    over = "pair"
    persistent = False

    device: str = setting("auto", "As for the models.", changes_scores=False)
    dtype: Dtype = setting("float32", "As for the models.")
    batch_tokens: int = setting(0, "As for the models.", changes_scores=False)
    accept_other_weights: bool = setting(False, "As for the models.", changes_scores=False)

    @property
    def needs(self) -> tuple[RadgraphAnnotations, BertscoreMatching, ChexbertEmbedding]:
        placement = {key: getattr(self, key) for key in PLACEMENT}
        return (
            RadgraphAnnotations(model="radgraph", **placement),
            BertscoreMatching(**placement),
            ChexbertEmbedding(**placement),
        )

    def compute(self, items: Sequence[PairItem], upstream: FeatureTable) -> list[list[float]]:
        """Compute the four metrics of each pair."""
        graphs, matching, vectors = self.needs
        metrics = []
        for item in items:
            annotations = [upstream.value(graphs, text) for text in item]
            raw = upstream.value(matching, item)[2]
            sides = [upstream.value(vectors, text).mean(axis=0) for text in item]
            metrics.append(
                [
                    sum(combined_f1(*annotations)) / 2,
                    rescaled(raw, BASELINE),
                    cosine(*sides),
                    bleu(item.candidate, item.reference).value,
                ]
            )
        return metrics
