"""Two reports as sets of sentences, compared whatever their order."""

from __future__ import annotations

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.sentence_embeddings import MINILM, SentenceEmbeddings, sentences_of
from cxr_rewards.models.placement import ModelComponent
from cxr_rewards.types import Case, Failure, Score


class SentenceSet(ModelComponent):
    """Symmetric best-match cosine between the sentences of two reports.

        S = (mean over candidate sentences of max cosine in the reference + the same the other way) / 2

    Sentences are embedded by a frozen sentence-transformers model; their order does not matter.

    Range: [-1, 1], higher is better. A candidate without sentences: -1. A reference without: missing, with the reason.
    General encoders hardly tell a finding from its denial: do not use this alone.

    Details: `missed` and `extra`, the sentence of the reference, and of the candidate, that is matched worst, with its
    cosine.

    Source: after the set distances of SDR (arXiv 2606.00440), of which the method alone is public.
    """

    name = "sentence_set"
    summary = "best-match cosine of sentences"
    bounds = (-1.0, 1.0)

    model: str = setting(MINILM, "Hugging Face repository, or folder, of the sentence encoder.", changes_scores=False)

    @property
    def needs(self) -> tuple[SentenceEmbeddings]:
        return (SentenceEmbeddings(model=self.model, **self.placement),)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Match the sentences."""
        (feature,) = self.needs
        left, right = (features.value(feature, text) for text in (case.candidate, case.reference))
        if not len(right):
            return Score(None, failure=Failure(self.name, "no sentence in the reference", "nothing_to_compare"))
        if not len(left):
            return Score(-1.0)
        cosines = left @ right.T
        forth, back = cosines.max(axis=1), cosines.max(axis=0)
        value = float(forth.mean() + back.mean()) / 2
        worst = {
            "missed": [sentences_of(case.reference)[back.argmin()], float(back.min())],
            "extra": [sentences_of(case.candidate)[forth.argmin()], float(forth.min())],
        }
        return Score(min(1.0, max(-1.0, value)), worst)
