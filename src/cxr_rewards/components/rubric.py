"""A judge by criteria of one's own: a new judge without code."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ConfigError
from cxr_rewards.features.rubric_reply import RubricReply
from cxr_rewards.judges.component import OneReplyJudge
from cxr_rewards.types import Case


class Rubric(OneReplyJudge):
    """Marks that a language model gives for criteria of your own.

        score = mean over criteria of (mark - low) / (high - low)

    A criterion is a text, its name before a colon: "omissions: no important finding of the reference is missing". With
    `template` the prompt is yours, too: `{{criteria}}`, `{{low}}`, `{{high}}`, `{{candidate}}`, `{{reference}}`,
    `{{priors}}`, `{{patient}}` and `{{mark}}` are filled in; the reply must be a JSON object of a mark by name.

    Range: [0, 1].

    Details: `marks` by criterion, on your scale.

    Example:
        >>> from cxr_rewards.testing.fake_judge import FakeJudge
        >>> with FakeJudge() as judge:
        ...     rubric = Rubric(criteria=("findings: all are told",), high=5.0, model="any", base_url=judge.url)
        ...     rubric.score("Left effusion.", "Left effusion.").value
        1.0
    """

    name = "rubric"
    version = 2
    summary = "marks for criteria of one's own, given by a judge"
    reply = RubricReply

    criteria: tuple[str, ...] = setting(
        ("accuracy: what the candidate tells agrees with the reference",), 'Criteria, each "name: what is marked".'
    )
    low: float = setting(0.0, "The worst mark.")
    high: float = setting(10.0, "The best mark.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise self.invalid("low", f"below high ({self.high:g})")
        if not all(isinstance(criterion, str) for criterion in self.criteria):
            raise self.invalid("criteria", "a list of texts")
        names = [criterion.partition(":")[0].strip() for criterion in self.criteria]
        if not names or "" in names or len(set(names)) < len(names):
            raise ConfigError(
                'rubric: criteria must be texts such as "name: what is marked", each of a name of its own'
            )

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, dict[str, Any]]:
        """Join the marks."""
        (reply,) = self.replies(number)
        marks = reply.marks(features.value(reply, case))
        return fmean((mark - self.low) / (self.high - self.low) for mark in marks.values()), {"marks": marks}
