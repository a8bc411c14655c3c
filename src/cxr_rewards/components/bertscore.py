"""BERTScore: how well the words of two reports match in context."""

from __future__ import annotations

from typing import Any, Literal

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ConfigError
from cxr_rewards.features.bertscore_matching import BASELINE, BertscoreMatching, rescaled
from cxr_rewards.features.token_embeddings import DISTILROBERTA, LongTexts, Stored
from cxr_rewards.models.placement import ModelComponent
from cxr_rewards.types import Case, Score

_MEASURES = ("precision", "recall", "f1")
_PUBLISHED = -1.0
_BASELINES = {
    (DISTILROBERTA, 5, "f1"): BASELINE,
    (DISTILROBERTA, 5, "precision"): 0.84732,
    (DISTILROBERTA, 5, "recall"): 0.84759504,
    ("distilbert/distilbert-base-uncased", 5, "f1"): 0.66620487,
}
"""Baselines that bert-score 0.3.13 ships for the settings of ReXrank and RadEval."""


class Bertscore(ModelComponent):
    """Greedy matching of word pieces by the cosine of their vectors in an encoder.

        P = mean over the candidate's pieces of the best cosine in the reference, R the same the other way,
        F = 2 P R / (P + R),  rescaled: (x - baseline) / (1 - baseline)

    The default is ReXrank's: distilroberta-base, layer 5, rescaled by F1's baseline .8473319. RadEval's `bertscore` is
    `model = "distilbert/distilbert-base-uncased"`, with baseline .66620487; its BERTScore of ModernBERT is
    `model = "IAMJB/RadEvalModernBERT"`, `layer = 22`, `baseline = 0.0`. For other models, and for folders, give a
    baseline, or 0. With `idf_corpus`, a text file with one report
    a line, pieces weigh log((N + 1) / (df + 1)); statistics never come from the texts that are scored.

    Range: [-1, 1], higher is better. Text without words matches nothing: 0 before rescaling, which is cut to -1 (-5.55
    in bert-score under ReXrank's baseline: a cliff that would dominate a group's mean). Beyond the encoder's limit a
    text is cut, or, with `long_texts = "windows"`, encoded window by window.

    Details: `precision`, `recall` and `f1` before rescaling.

    Source: Zhang et al. 2020 (arXiv 1904.09675); ReXrank's CXRMetric/run_eval.py at 8152f99. Equal to bert-score 0.3.13
    to 1e-5 on the same weights, with the leading space for RoBERTa that it was meant to add.
    """

    name = "bertscore"
    summary = "match of words in context (BERTScore)"
    bounds = (-1.0, 1.0)

    model: str = setting(DISTILROBERTA, "Hugging Face repository, or folder, of the encoder.", changes_scores=False)
    layer: int = setting(5, "The layer whose vectors are compared; 0 for the embeddings.")
    baseline: float = setting(
        _PUBLISHED, "Score of unrelated texts, below 1, for rescaling; 0: none; -1: as published for model and layer."
    )
    measure: Literal["f1", "precision", "recall"] = setting("f1", "f1, precision or recall.")
    idf_corpus: str = setting("", "Text file, one report a line, whose rare words weigh more.", changes_scores=False)
    long_texts: LongTexts = setting("truncate", "Beyond the encoder's limit: truncate, or windows.")
    stored: Stored = setting("no", "References' vectors in a cache file: float32, float16, or no.")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "measure", _MEASURES)
        one_of(self, "long_texts", ("truncate", "windows"))
        one_of(self, "stored", ("float32", "float16", "no"))
        if self.layer < 0:
            raise self.invalid("layer", "0 or more")
        if self.baseline == _PUBLISHED and (self.model, self.layer, self.measure) not in _BASELINES:
            raise ConfigError(
                f"bertscore: no baseline is published for {self.measure} of layer {self.layer} of {self.model}; "
                "set baseline, to 0 for scores that are not rescaled"
            )
        if not -1 <= self.baseline < 1:
            raise self.invalid("baseline", "from -1 to below 1")

    @property
    def needs(self) -> tuple[BertscoreMatching]:
        keys = ("model", "layer", "idf_corpus", "long_texts", "stored")
        passed: dict[str, Any] = {key: getattr(self, key) for key in keys}
        return (BertscoreMatching(**passed, **self.placement),)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Rescale the match."""
        (feature,) = self.needs
        published = _BASELINES.get((self.model, self.layer, self.measure), 0.0)
        baseline = published if self.baseline == _PUBLISHED else self.baseline
        raw = dict(zip(_MEASURES, features.value(feature, case), strict=True))
        return Score(rescaled(raw[self.measure], baseline), raw)
