"""Base classes of components that score by a judge's reply."""

from __future__ import annotations

from abc import abstractmethod
from statistics import fmean, median
from typing import Any, ClassVar

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.judges.reply import JudgeReply
from cxr_rewards.judges.settings import JudgeSettings
from cxr_rewards.types import Case, Score


class JudgeComponent(JudgeSettings, Component):
    """A score from one or more votes of a judge: their median or mean.

    Arithmetic turns each vote's replies into a number. If a vote has no verdict, the case is unscored, with the reason.
    """

    identical = "the judge decides what identical reports get"

    @abstractmethod
    def ask_for(self, number: int) -> tuple[JudgeReply, ...]:
        """Return new features that hold the replies of one vote."""

    def replies(self, number: int) -> tuple[JudgeReply, ...]:
        """Return the features of one vote, made once."""
        made: dict[int, tuple[JudgeReply, ...]] = self.__dict__.setdefault("_replies", {})
        if number not in made:
            made[number] = self.ask_for(number)
        return made[number]

    @abstractmethod
    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, dict[str, object]]:
        """Return the value and the details of one vote.

        Raises:
            VerdictParseError: the reply has none of the protocol's forms.
        """

    @property
    def needs(self) -> tuple[Feature, ...]:
        return tuple(feature for number in range(self.votes) for feature in self.replies(number))

    @property
    def vote_settings(self) -> dict[str, Any]:
        """The judge's settings for features. The number of votes is left out: it does not affect any one reply."""
        return {**self.judge, "votes": 1, "vote": "median"}

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return the median or mean of the votes."""
        votes = [self.judge_case(number, case, features) for number in range(self.votes)]
        if self.votes == 1:
            return Score(*votes[0])
        values = [value for value, _ in votes]
        value = median(values) if self.vote == "median" else fmean(values)
        return Score(value, {"votes": [{"value": value, **details} for value, details in votes]})


class OneReplyJudge(JudgeComponent):
    """A judge that gives one reply per case and vote.

    Its prompt shows both reports, and the priors and the patient if it has places for them.
    """

    reads = ("candidate", "reference", "priors")
    reply: ClassVar[type[JudgeReply]]
    """Class of the feature; it gets the settings that both classes have."""

    use_priors: bool = setting(
        True, "Show priors and patient, if the case has them and the prompt has places for them."
    )
    template: str = setting("", "File with a prompt of your own; empty: the built-in one.", changes_scores=False)

    def ask_for(self, number: int) -> tuple[JudgeReply, ...]:
        """Return the only feature."""
        own = {key: getattr(self, key) for key in self.settings() if key in self.reply.settings()}
        return (self.reply(**{**own, **self.vote_settings, "number": number}),)
