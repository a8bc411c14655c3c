"""F1 of the observations that CheXbert labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.chexbert import ChexbertLabels, LongTexts, Stored
from cxr_rewards.formulas.chexpert import CONDITIONS, FIVE, Uncertain, corpus_f1, positives
from cxr_rewards.models.placement import ModelComponent
from cxr_rewards.types import Case, Score


class ChexbertF1(ModelComponent):
    """F1 between the observations that CheXbert finds positive in candidate and reference.

        F = 2 * |both| / (|candidate's| + |reference's|)

    over CheXpert's 14 observations, No Finding among them unless `no_finding` is off, or over the five of the
    leaderboards (Cardiomegaly, Edema, Consolidation, Atelectasis, Pleural Effusion).

    Range: [0, 1], higher is better. Nothing positive on either side: 1, because the reports agree; scikit-learn's
    convention is 0, which would punish a correct normal report. An empty text is labelled like any other, as
    [CLS][SEP]. Beyond 512 tokens see `long_texts`.

    Over a file: micro and macro F1 (`micro_f1_14`, `macro_f1_14`, `micro_f1_5`, `macro_f1_5`), as `f1chexbert` and
    RadEval report them.

    Details: `labels`, the 14 answers for candidate and reference (0 blank, 1 positive, 2 negative, 3 uncertain);
    `shared`, `missed` and `extra` observations.

    Source: Smit et al. 2020 (arXiv 2004.09167); labels equal those of f1chexbert 0.0.2 on the same weights. F1 of one
    report is defined here: f1chexbert has none, RadEval's per-report number is label accuracy.
    """

    name = "chexbert_f1"
    summary = "F1 of CheXbert's observations"
    bounds = (0.0, 1.0)
    corpus_details = ("labels",)

    conditions: Literal[14, 5] = setting(14, "14 or 5 observations.")
    uncertain: Uncertain = setting(
        "positive", "How an uncertain observation counts: positive, negative, or ignore (left out on both sides)."
    )
    no_finding: bool = setting(True, "Count No Finding as an observation among the 14.")
    long_texts: LongTexts = setting("truncate", "Beyond 512 tokens: `truncate`, or `windows`: labels of all of them.")
    stored: Stored = setting("float32", "CheXbert's vectors in a cache file: float32, float16, or no.")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "conditions", (14, 5))
        one_of(self, "uncertain", ("positive", "negative", "ignore"))
        one_of(self, "long_texts", ("truncate", "windows"))
        one_of(self, "stored", ("float32", "float16", "no"))

    @property
    def needs(self) -> tuple[ChexbertLabels]:
        return (ChexbertLabels(long_texts=self.long_texts, stored=self.stored, **self.placement),)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Compare the labels."""
        (feature,) = self.needs
        labels: list[str] = [features.value(feature, case.candidate), features.value(feature, case.reference)]
        positive = [
            {name for name, hit in zip(CONDITIONS, positives(row, self.uncertain), strict=True) if hit}
            for row in labels
        ]
        counted = set(FIVE if self.conditions == 5 else CONDITIONS)
        if not self.no_finding:
            counted.discard("No Finding")
        if self.uncertain == "ignore":
            counted -= {name for name, *pair in zip(CONDITIONS, *labels, strict=True) if "3" in pair}
        candidate, reference = (side & counted for side in positive)
        total = len(candidate) + len(reference)
        details = {
            "labels": labels,
            "shared": sorted(candidate & reference),
            "missed": sorted(reference - candidate),
            "extra": sorted(candidate - reference),
        }
        return Score(2 * len(candidate & reference) / total if total else 1.0, details)

    def corpus(self, scores: Iterable[Score]) -> dict[str, float | None]:
        """Return micro and macro F1 over 14 and over 5 observations."""
        return corpus_f1(((a, b) for a, b in (score.details["labels"] for score in scores)), self.uncertain)
