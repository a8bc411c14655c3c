"""F1 of RadGraph's entities and relations."""

from __future__ import annotations

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.radgraph import ENCODERS, RadgraphAnnotations, RadgraphModel
from cxr_rewards.formulas.radgraph import LEVELS, Level, level_f1s
from cxr_rewards.models.placement import ModelComponent
from cxr_rewards.types import Case, Score


class RadgraphF1(ModelComponent):
    """F1 between the sets of entities that RadGraph finds in two reports.

        F = 2 |both| / (|candidate's| + |reference's|)

    Level `simple` compares (tokens, label), `partial` (tokens, label, whether it has a relation), `complete` (tokens,
    label, kind, tokens of the other) for each relation and (tokens, label) for entities without one.

    Range: [0, 1], higher is better. 0 if either report, or both, has no entities, as in the radgraph package: there is
    nothing to agree on.

    Details: `simple`, `partial` and `complete`.

    Source: Jain et al. 2021 (arXiv 2106.14463); Delbrouck et al. 2022 (arXiv 2210.12186) for the levels. Annotations
    equal those of radgraph 0.1.18 on the same weights, and so do the scores with `case_sensitive`; without it all
    tokens are compared in lower case, as the package's repository does since (87f11a1).
    """

    name = "radgraph_f1"
    summary = "F1 of RadGraph's entities and relations"
    bounds = (0.0, 1.0)
    identical = "0 if RadGraph finds no entities in the reports"

    model: RadgraphModel = setting("radgraph-xl", "radgraph, radgraph-xl or modern-radgraph-xl (unproved).")
    level: Level = setting("partial", "simple, partial or complete.")
    case_sensitive: bool = setting(False, "Distinguish `Effusion` from `effusion`, as radgraph 0.1.18 from PyPI does.")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "model", ENCODERS)
        one_of(self, "level", LEVELS)

    @property
    def needs(self) -> tuple[RadgraphAnnotations]:
        return (RadgraphAnnotations(model=self.model, **self.placement),)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Compare the annotations."""
        (feature,) = self.needs
        candidate, reference = (features.value(feature, text) for text in (case.candidate, case.reference))
        f1_by_level = level_f1s(candidate, reference, case_sensitive=self.case_sensitive)
        return Score(f1_by_level[self.level], {str(level): value for level, value in f1_by_level.items()})
