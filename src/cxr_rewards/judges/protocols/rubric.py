"""A judge with criteria of your own: a new judge without code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean

from cxr_rewards.core.feature import CaseItem, FeatureTable, PairItem
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ConfigError, VerdictParseError, shorten
from cxr_rewards.judges.component import OneReplyJudge
from cxr_rewards.judges.details import Assessment
from cxr_rewards.judges.reading import json_in, only_keys
from cxr_rewards.judges.reply import JudgeReply
from cxr_rewards.types import Case


class RubricReply(JudgeReply):
    """The judge's mark for each criterion as a JSON object; `parse` returns the object, `marks` the checked marks."""

    name = "rubric_reply"
    version = 1
    prompt = "rubric_v1"
    places = frozenset(("candidate", "reference", "priors", "patient", "mark", "criteria", "low", "high"))

    criteria: tuple[str, ...] = setting((), 'Criteria, each "name: what is marked".')
    low: float = setting(0.0, "The worst mark.")
    high: float = setting(10.0, "The best mark.")

    @property
    def names(self) -> tuple[str, ...]:
        """The criteria's names."""
        return tuple(criterion.partition(":")[0].strip() for criterion in self.criteria)

    @property
    def schema(self) -> Mapping[str, object]:  # type: ignore[override]
        """One number per criterion."""
        mark = {"type": "number", "minimum": self.low, "maximum": self.high}
        return {
            "type": "object",
            "properties": dict.fromkeys(self.names, mark),
            "required": list(self.names),
            "additionalProperties": False,
        }

    def values(self, item: PairItem | CaseItem, upstream: FeatureTable) -> dict[str, str]:
        """Return the texts of the case, the criteria and the scale."""
        listed = "\n".join(f"- {criterion}" for criterion in self.criteria)
        return {**super().values(item, upstream), "criteria": listed, "low": f"{self.low:g}", "high": f"{self.high:g}"}

    @classmethod
    def parse(cls, reply: str) -> dict[str, object]:
        """Return the JSON object of a reply."""
        return json_in(reply)

    def checker(self, item: object, upstream: FeatureTable) -> Callable[[str], object]:  # noqa: ARG002
        """Return a check that each criterion has a mark."""
        return self.marks

    def marks(self, reply: str) -> dict[str, float]:
        """Return the marks by criterion.

        Raises:
            VerdictParseError: a criterion has no mark, or a mark is not a number on the scale.
        """
        data = self.parse(reply)
        only_keys(data, self.names)
        marks = {}
        for name in self.names:
            mark = data[name]
            if not isinstance(mark, int | float) or isinstance(mark, bool) or not self.low <= mark <= self.high:
                raise VerdictParseError(f"{name}: expected {self.low:g} to {self.high:g}, got {shorten(mark)}")
            marks[name] = float(mark)
        return marks


class Rubric(OneReplyJudge):
    """Marks that a language model gives for criteria of your own.

        score = mean over criteria of (mark - low) / (high - low)

    A criterion is a text, its name before a colon: "omissions: no important finding of the reference is missing". With
    `template` the prompt is yours, too: `{{criteria}}`, `{{low}}`, `{{high}}`, `{{candidate}}`, `{{reference}}`,
    `{{priors}}`, `{{patient}}` and `{{mark}}` are filled in; the reply must be a JSON object of a mark by name.

    Range: [0, 1].

    Details: `JudgeDetails` with `marks` by criterion, on your scale.

    Example:
        >>> from cxr_rewards.testing.fake_judge import FakeJudge
        >>> with FakeJudge() as judge:
        ...     rubric = Rubric(criteria=("findings: all are reported",), high=5.0, model="any", base_url=judge.url)
        ...     rubric.score("Left effusion.", "Left effusion.").value
        1.0
    """

    name = "rubric"
    version = 2
    summary = "marks for criteria of your own, given by a judge"
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

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, Assessment]:
        """Return the mean mark on a scale from 0 to 1."""
        (reply,) = self.replies(number)
        assert isinstance(reply, RubricReply)
        marks = reply.marks(features.value(reply, case))
        return fmean((mark - self.low) / (self.high - self.low) for mark in marks.values()), Assessment(marks=marks)
