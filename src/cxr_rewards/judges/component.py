"""Base classes of components that score by a judge's reply."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from statistics import fmean, median, multimode
from typing import Any, ClassVar, Self

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.judges.details import Assessment, JudgeDetails, details_of, error_statistics, no_counts, verdict
from cxr_rewards.judges.reply import JudgeReply
from cxr_rewards.judges.settings import JudgeSettings, Vote
from cxr_rewards.types import Case, Score


class JudgeComponent(JudgeSettings, Component):
    """A score from one or more votes of a judge, or of several models: their median, mean or majority.

    Each of `models` casts `votes` votes, one model after the other. Arithmetic turns each vote's replies into a number.
    If a vote has no verdict, the case is unscored, with the reason.
    The details of a score are `JudgeDetails`.

    Class attributes:
        types: the types of errors that the protocol counts.
    """

    types: ClassVar[tuple[str, ...]] = ()
    measured_details = ("seconds",)
    identical = "the judge decides what identical reports get"
    reply: ClassVar[type[JudgeReply]]
    """Class of the feature that holds a reply; it gets the settings that both classes have."""

    def ask_for(self, number: int) -> tuple[JudgeReply, ...]:
        """Return new features that hold the replies of one vote of `model`. Override it if there are several."""
        own = {key: getattr(self, key) for key in self.settings() if key in self.reply.settings()}
        return (self.reply(**{**own, **self.vote_settings, "number": number}),)

    @property
    def all_votes(self) -> range:
        """The numbers of the votes, of all models."""
        return range(self.votes * max(1, len(self.models)))

    @property
    def judges(self) -> tuple[Self, ...]:
        """The same judge with each of its models alone."""
        made: tuple[Self, ...] | None = self.__dict__.get("_judges")
        if made is None:
            own = {key: getattr(self, key) for key in self.settings()}
            urls = self.model_urls or (self.base_url,) * len(self.models)
            made = tuple(
                type(self)(**{**own, "models": (), "model_urls": (), "model": model, "base_url": url})
                for model, url in zip(self.models, urls, strict=True)
            )
            made = self.__dict__["_judges"] = made or (self,)
        return made

    def replies(self, number: int) -> tuple[JudgeReply, ...]:
        """Return the features of one vote, made once."""
        made: dict[int, tuple[JudgeReply, ...]] = self.__dict__.setdefault("_replies", {})
        if number not in made:
            judge, vote = divmod(number, self.votes)
            made[number] = self.judges[judge].ask_for(vote)
        return made[number]

    @abstractmethod
    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, Assessment]:
        """Return the value of one vote, and what its replies tell.

        Raises:
            VerdictParseError: the reply has none of the protocol's forms.
        """

    @property
    def needs(self) -> tuple[Feature, ...]:
        return tuple(feature for number in self.all_votes for feature in self.replies(number))

    @property
    def vote_settings(self) -> dict[str, Any]:
        """The judge's settings for features. The number of votes is left out: it does not affect any one reply."""
        return {**self.judge, "votes": 1, "vote": "median"}

    def texts(self, number: int, case: Case, features: FeatureTable) -> list[tuple[JudgeReply, str]]:
        """Return the replies of one vote, each with its feature."""
        return [(reply, features.value(reply, case)) for reply in self.replies(number)]

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Combine the votes."""
        votes = []
        for number in self.all_votes:
            value, assessment = self.judge_case(number, case, features)
            asked = self.texts(number, case, features)
            prompts, replies = [reply.prompt_id for reply, _ in asked], [text for _, text in asked]
            votes.append(verdict(assessment, value, asked[0][0].model, prompts, replies))
        values = [vote["value"] for vote in votes]
        value = combine(values, self.vote)
        return Score(value, details_of(votes, value))

    def no_details(self) -> JudgeDetails:
        """Return the details of a report without errors: every key and count that `Score.details` may have."""
        assessment = Assessment(counts=no_counts(self.types)) if self.types else Assessment()
        return details_of([verdict(assessment, 0.0, self.model, [], [])], 0.0)


def combine(values: Sequence[float], vote: Vote) -> float:
    """Return the value of several votes.

    Example:
        >>> [combine([1.0, 0.5, 0.5, 0.25], vote) for vote in ("median", "mean", "majority")]
        [0.5, 0.5625, 0.5]
        >>> combine([1.0, 0.25], "majority")  # no value is more frequent than the others
        0.625
    """
    if vote == "mean":
        return fmean(values)
    return median(multimode(values) if vote == "majority" else values)


class ErrorJudge(JudgeComponent):
    """A judge that counts errors by type, significant or not."""

    corpus_details = ("counts", "agreement", "spread")

    def corpus(self, scores: Iterable[Score]) -> dict[str, float | None]:
        """Return errors a report and the histogram of significant errors; see `error_statistics`."""
        return error_statistics(self.types, (score.details for score in scores))


class OneReplyJudge(JudgeComponent):
    """A judge that gives one reply per case and vote.

    Its prompt shows both reports, and the priors and the patient if it has places for them.
    """

    reads = ("candidate", "reference", "priors")

    use_priors: bool = setting(
        True, "Show priors and patient, if the case has them and the prompt has places for them."
    )
    template: str = setting("", "File with a prompt of your own; empty: the built-in one.", changes_scores=False)
