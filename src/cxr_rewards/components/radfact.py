"""RadFact: which statements of each report the other entails, by a judge."""

from __future__ import annotations

from typing import Any, Literal

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import Feature, FeatureTable, PairItem
from cxr_rewards.core.settings import setting
from cxr_rewards.features.radfact_reply import RadfactEntailment
from cxr_rewards.judges.component import JudgeComponent
from cxr_rewards.types import Case, Failure, Score

Measure = Literal["f1", "precision", "recall"]


class Radfact(JudgeComponent):
    """Logical F1 between two reports: a language model splits each into phrases, and says which the other entails.

        precision = entailed phrases of the candidate / its phrases
        recall    = entailed phrases of the reference / its phrases
        f1        = 2 * precision * recall / (precision + recall), 0 if both are 0

    A candidate without phrases has precision 0: it says nothing that is right. A reference without phrases: missing.
    Three to four requests a case; the phrases of a reference are asked for once.

    Range: [0, 1].

    Details: `precision`, `recall`, and the phrases with their verdicts.

    Source: RadFact (repository at 72463ac), without grounding; a failed call counts as not entailed there, as missing
    here. The prompts are our own.

    Example:
        >>> from cxr_rewards.testing.fake_judge import FakeJudge
        >>> with FakeJudge() as judge:
        ...     radfact = Radfact(model="any", base_url=judge.url)
        ...     score = radfact.score("Left effusion. Right pneumothorax.", "Left effusion.")
        >>> score.details["precision"], score.details["recall"]
        (0.5, 1.0)
    """

    name = "radfact"
    version = 2
    summary = "RadFact: phrases that the other report entails, judged both ways"

    measure: Measure = setting("f1", "What the score is: f1, precision or recall.")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "measure", ("f1", "precision", "recall"))

    def ask_for(self, number: int) -> tuple[Feature, ...]:
        """Verdicts both ways, and the phrases they are about."""
        given = {**self.vote_settings, "number": number, "use_priors": False}
        ours, theirs = (RadfactEntailment(**given, of=of) for of in ("candidate", "reference"))
        return (ours, theirs, *ours.needs)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Say so where the reference has no phrases."""
        for number in range(self.votes):
            if not self.replies(number)[0].phrases(PairItem(case.candidate, case.reference), features)[1]:
                return Score(None, failure=Failure(self.name, "the judge found no phrase in the reference"))
        return super().score_case(case, features)

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, dict[str, Any]]:
        """Count what is entailed."""
        item = PairItem(case.candidate, case.reference)
        shares: list[float] = []
        details: dict[str, Any] = {}
        for reply in self.replies(number)[:2]:
            phrases = reply.phrases(item, features)[0]
            truths = reply.truths(features.value(reply, case), len(phrases))
            shares.append(sum(truths) / len(truths) if truths else 0.0)
            details[reply.of] = [
                {"phrase": phrase, "entailed": truth} for phrase, truth in zip(phrases, truths, strict=True)
            ]
        precision, recall = shares
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        values = {"f1": f1, "precision": precision, "recall": recall}
        return values[self.measure], {**values, **details}
