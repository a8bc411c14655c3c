"""RadCliQ-v1, a regression of radiologists' error counts."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.features.radcliq_metrics import RadcliqMetrics
from cxr_rewards.formulas.radcliq import Metrics, inverse_mean, radcliq
from cxr_rewards.models.placement import ModelComponent
from cxr_rewards.types import Case, Score


class RadcliqV1(ModelComponent):
    """RadCliQ-v1: a linear regression on four metrics, the refit on standardised inputs that ReXrank ranks by.

        RadCliQ = intercept + sum of coefficient * (metric - mean) / scale

    over RadGraph combined, BERTScore, SembScore and BLEU-2, each as the component of that name with its defaults gives
    it. Lower is better; unbounded, and below 0 for very good reports, so 1 / RadCliQ of one report is not a reward: use
    the transforms `negate`, or `negate` and `sigmoid` with a weight of 2.

    Over a file: `1/mean`, the inverse of the mean, by which ReXrank ranks; none if the mean is not above 0.

    Details: the four metrics.

    Source: Yu et al. 2023 (Patterns 4(9)); coefficients of the models published with CXR-Report-Metric at 9c9ecad. IDF
    is off, as in ReXrank; RadEval's number differs, because it fits IDF to the batch.
    """

    name = "radcliq_v1"
    summary = "regression of error counts (RadCliQ-v1)"
    bounds = (-inf, inf)
    higher_is_better = False
    identical = "unbounded; identical reports get what their RadGraph leaves open, at best -1.441"

    @property
    def needs(self) -> tuple[RadcliqMetrics]:
        return (RadcliqMetrics(**self.placement),)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return the regression's value."""
        (feature,) = self.needs
        metrics = Metrics(*features.value(feature, case))
        return Score(radcliq(metrics, "v1"), metrics._asdict())

    def corpus(self, scores: Iterable[Score]) -> dict[str, float | None]:
        """Return the inverse of the mean."""
        return {"1/mean": inverse_mean(score.value for score in scores)}
