"""RaTEScore: how well the medical entities of two reports match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.rate_embeddings import RateEmbeddings
from cxr_rewards.features.rate_entities import RateEntities
from cxr_rewards.models.placement import ModelComponent
from cxr_rewards.types import Case, Score

if TYPE_CHECKING:
    import numpy as np

_TYPES = ("ABNORMALITY", "ANATOMY", "DISEASE", "NON-ABNORMALITY", "NON-DISEASE")
_SAID = {"ABNORMALITY", "DISEASE"}
_DENIED = {"NON-ABNORMALITY", "NON-DISEASE"}
# Rows: the entity's type, columns: the type of its match, in the order of _TYPES.
_MATRICES: dict[str, tuple[tuple[tuple[float, ...], ...], float]] = {
    "long": (
        (
            (0.4276119164393705, 0.6240929990607657, 0.0034478181112993847, 0.5431049700217344, 0.27005425386213877),
            (0.7487824274337533, 0.2856134859160784, 0.4592143222158069, 0.02097055139911715, 0.00013736314126696204),
            (0.8396510075734789, 0.9950209388542061, 0.8460555030578727, 0.9820689020512646, 0.3789136708096537),
            (0.16546764653692908, 0.018670610691852826, 0.719397354576018, 0.0009357166071730684, 0.0927333564267591),
            (0.7759420231214385, 0.1839139293714062, 0.10073046076318157, 0.03860183811876373, 0.34065681486566446),
        ),
        0.8716553966489615,
    ),
    "short": (
        (
            (0.4070293318365468, 0.6952639610605605, 0.28342529466226446, 0.9479148658006686, 0.23875064111146294),
            (0.5829759950441763, 0.7709590751917746, 0.0006059634829551632, 0.794672584951181, 0.27982942400798977),
            (0.8840397619834857, 0.9637659445696822, 0.19018958438059513, 0.6962283914800402, 0.943727057946997),
            (0.1712744286898638, 0.4485149671497294, 0.00045065329822896076, 0.0007887930317199857, 0.8555432840895761),
            (0.9555801066212176, 0.13122106162635216, 0.6072996585919443, 0.05650711141169969, 0.3214769399791204),
        ),
        0.3611577852354489,
    ),
}


class Ratescore(ModelComponent):
    """Match of medical entities by meaning, weighted by their types.

        S(X -> Y) = sum over entities x of cos(x, y*) W[type x, type y*] n / sum of W[type x, type y*]
        RaTEScore = 2 S(X -> Y) S(Y -> X) / (S(X -> Y) + S(Y -> X))

    y* is the entity of Y nearest to x; n is below 1 if one is stated and the other denied. The weights W were fitted to
    radiologists' ratings of long or of short texts.

    Range: [-1, 1], higher is better; in practice above 0. If either report has no entities: 0.5, as upstream. A text
    without any is then worth more than a wrong report, so do not reward this score alone. A candidate without a letter
    or a digit, which upstream cannot pair, gets 0.

    Details: the entities of `candidate` and `reference` as [text, type].

    Source: Zhao et al. 2024 (arXiv 2406.16845); RaTEScore at a970406, with the weights of release 0.6.0. Sentences are
    split by this library, not by medspaCy, and an entity at the end of a sentence is never dropped; entities, vectors
    and arithmetic are the same.
    """

    name = "ratescore"
    summary = "match of medical entities (RaTEScore)"
    bounds = (-1.0, 1.0)
    identical = "0.5 if no entities are found in the reports"

    matrix: Literal["long", "short"] = setting("long", "Weights for long texts (reports) or short ones (sentences).")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "matrix", _MATRICES)

    @property
    def needs(self) -> tuple[RateEntities, RateEmbeddings]:
        return (RateEntities(**self.placement), RateEmbeddings(**self.placement))

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Match the entities."""
        entities, vectors = self.needs
        sides = [
            (features.value(entities, text), features.value(vectors, text)) for text in (case.candidate, case.reference)
        ]
        details = {"candidate": sides[0][0], "reference": sides[1][0]}
        if not any(map(str.isalnum, case.candidate)):
            return Score(0.0, details)
        if not all(named for named, _ in sides):
            return Score(0.5, details)
        cosines = sides[0][1] @ sides[1][1].T
        types = [[_TYPES.index(kind) for _, kind in named] for named, _ in sides]
        forth = self._one_way(cosines, *types)
        back = self._one_way(cosines.T, *reversed(types))
        value = 2 * forth * back / (forth + back) if forth + back else 0.0
        return Score(min(1.0, max(-1.0, value)), details)

    def _one_way(self, cosines: np.ndarray, types: list[int], others: list[int]) -> float:
        """Return S(X -> Y) from the cosines of X's entities (rows) with Y's."""
        matrix, denial = _MATRICES[self.matrix]
        total = weight = 0.0
        best: Any = cosines.argmax(axis=1).tolist()
        for row, (kind, nearest) in enumerate(zip(types, best, strict=True)):
            other = others[nearest]
            pair = {_TYPES[kind], _TYPES[other]}
            w = matrix[kind][other]
            total += float(cosines[row, nearest]) * w * (denial if pair & _SAID and pair & _DENIED else 1.0)
            weight += w
        return total / weight
