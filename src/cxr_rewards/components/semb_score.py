"""SembScore: how near two reports lie in CheXbert's space."""

from __future__ import annotations

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.chexbert import ChexbertEmbedding, LongTexts, Stored
from cxr_rewards.formulas.vectors import cosine
from cxr_rewards.models.placement import ModelComponent
from cxr_rewards.types import Case, Score


class SembScore(ModelComponent):
    """Cosine of the two reports' vectors in CheXbert: the last layer's [CLS], not the labels.

        S = a . b / (|a| |b|)

    Range: [-1, 1], higher is better. An empty text has the vector of [CLS][SEP]. Beyond 512 tokens a text is cut, or,
    with `long_texts = "windows"`, has the mean of its windows' vectors.

    Source: Yu et al. 2023 (Patterns 4(9)), "CheXbert vector similarity"; CheXbert's `encode.py` at 3ab882d. Vectors
    equal those inside f1chexbert 0.0.2 on the same weights to 1e-5.
    """

    name = "semb_score"
    summary = "cosine of CheXbert's vectors"
    bounds = (-1.0, 1.0)

    long_texts: LongTexts = setting("truncate", "Beyond 512 tokens: `truncate`, or `windows`: the mean over them.")
    stored: Stored = setting("float32", "CheXbert's vectors in a cache file: float32, float16, or no.")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "long_texts", ("truncate", "windows"))
        one_of(self, "stored", ("float32", "float16", "no"))

    @property
    def needs(self) -> tuple[ChexbertEmbedding]:
        return (ChexbertEmbedding(long_texts=self.long_texts, stored=self.stored, **self.placement),)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return the cosine."""
        (feature,) = self.needs
        a, b = (features.value(feature, text).mean(axis=0) for text in (case.candidate, case.reference))
        return Score(cosine(a, b))
