"""Errors of a report as CheXprompt counts them, by a judge."""

from __future__ import annotations

from typing import Any, Literal

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.chexprompt_reply import SORTS, ChexpromptReply
from cxr_rewards.judges.component import OneReplyJudge
from cxr_rewards.types import Case

Counts = Literal["significant", "all"]


class Chexprompt(OneReplyJudge):
    """Errors that a language model finds in the candidate, turned into a reward as UniRG-CXR does.

        score = 1 / (n + 1),  n = the number of errors that `counts` names

    Six types, each clinically significant or not: A a false finding, B an omitted one, C a wrong place, D a wrong
    severity, E a comparison that neither the reference nor a prior supports, F an omitted change.

    Range: (0, 1]. 1: no error.

    Details: the numbers by type, `significant` and `insignificant`.

    Source: CheXprompt (Nat Commun 16:3108; repository at 8cfddec) for types and counting; UniRG-CXR (arXiv 2601.17151)
    for 1/(n + 1), which does not say whether insignificant errors count. The prompt is our own.

    Example:
        >>> from cxr_rewards.testing.fake_judge import FakeJudge
        >>> with FakeJudge() as judge:
        ...     chexprompt = Chexprompt(model="any", base_url=judge.url)
        ...     chexprompt.score("Severe cardiomegaly.", "The heart is normal. The lungs are clear.").value
        0.5
    """

    name = "chexprompt"
    version = 3
    summary = "1 / (errors + 1), errors counted by a judge in CheXprompt's six types"
    reply = ChexpromptReply

    counts: Counts = setting("significant", "Which errors count: significant, all.")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "counts", ("significant", "all"))

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, dict[str, Any]]:
        """Count the errors."""
        (reply,) = self.replies(number)
        counts = reply.parse(features.value(reply, case))
        counted = SORTS if self.counts == "all" else SORTS[:1]
        errors = sum(sum(counts[sort].values()) for sort in counted)
        return 1 / (errors + 1), counts
