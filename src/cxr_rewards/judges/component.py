"""The base of components whose number comes from a judge's reply."""

from __future__ import annotations

from abc import abstractmethod
from statistics import fmean, median
from typing import Any, Literal

from cxr_rewards.component import Component
from cxr_rewards.feature import Feature, FeatureTable
from cxr_rewards.judges.settings import JudgeSettings
from cxr_rewards.types import Case, Score

Reads = Literal["candidate", "reference", "priors"]


class JudgeComponent(JudgeSettings, Component):
    """One reply a vote, each turned into a number by arithmetic; the votes' median or mean is the score.

    Every vote is needed: where one has no verdict the case is unscored, with the reason.
    """

    identical = "what identical reports get is the judge's to say"

    @abstractmethod
    def ask_for(self, number: int) -> tuple[Any, ...]:
        """Return the features that hold the replies of one vote."""

    def replies(self, number: int) -> tuple[Any, ...]:
        """Return the same, made once."""
        made: dict[int, tuple[Any, ...]] = self.__dict__.setdefault("_replies", {})
        if number not in made:
            made[number] = self.ask_for(number)
        return made[number]

    @abstractmethod
    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, dict[str, Any]]:
        """Return the value and the details of one vote.

        Raises:
            VerdictParseError: the reply is none of the protocol's forms.
        """

    @property
    def needs(self) -> tuple[Feature, ...]:
        return tuple(feature for number in range(self.votes) for feature in self.replies(number))

    @property
    def vote_settings(self) -> dict[str, Any]:
        """The settings to pass on to features: that there are several votes does not change one."""
        return {**self.judge, "votes": 1, "vote": "median"}

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Join the votes."""
        votes = [self.judge_case(number, case, features) for number in range(self.votes)]
        if self.votes == 1:
            return Score(*votes[0])
        values = [value for value, _ in votes]
        value = median(values) if self.vote == "median" else fmean(values)
        return Score(value, {"votes": [{"value": value, **details} for value, details in votes]})
