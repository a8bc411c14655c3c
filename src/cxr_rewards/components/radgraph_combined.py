"""RadGraph F1 as RadCliQ and ReXrank compute it."""

from __future__ import annotations

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.radgraph import ENCODERS, RadgraphAnnotations, RadgraphModel
from cxr_rewards.formulas.radgraph import combined_f1
from cxr_rewards.models.placement import ModelComponent
from cxr_rewards.types import Case, Score


class RadgraphCombined(ModelComponent):
    """Mean of F1 of entities and F1 of relations between two RadGraph annotations.

        S = (F1({(tokens, label)}) + F1({((tokens, label), (tokens, label), kind)})) / 2

    Case counts. Range: [0, 1], higher is better. F1 of two empty sets is 0, so that identical reports without a
    relation get 0.5, and reports without entities 0.

    Details: `entities` and `relations`, the two F1.

    Source: Yu et al. 2023 (Patterns 4(9)); CXR-Report-Metric at 9c9ecad (radgraph_evaluate_model.py), which ReXrank
    runs, with the first RadGraph model (Jain et al. 2021).
    """

    name = "radgraph_combined"
    summary = "mean F1 of RadGraph's entities and relations"
    bounds = (0.0, 1.0)
    identical = "F1 of two empty sets is 0: identical reports without relations get 0.5"

    model: RadgraphModel = setting("radgraph", "radgraph (as RadCliQ), radgraph-xl or modern-radgraph-xl (unproved).")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "model", ENCODERS)

    @property
    def needs(self) -> tuple[RadgraphAnnotations]:
        return (RadgraphAnnotations(model=self.model, **self.placement),)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Compare the annotations."""
        (feature,) = self.needs
        candidate, reference = (features.value(feature, text) for text in (case.candidate, case.reference))
        entities, relations = combined_f1(candidate, reference)
        return Score((entities + relations) / 2, {"entities": entities, "relations": relations})
