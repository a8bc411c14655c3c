"""A judge with criteria of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import VerdictParseError, shorten
from cxr_rewards.features.judge_reply import JudgeReply
from cxr_rewards.judges.reading import json_in, only_keys


class RubricReply(JudgeReply):
    """The judge's mark for each criterion as a JSON object; `parse` returns it as it is, `marks` checked."""

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
    def schema(self) -> Mapping[str, Any]:  # type: ignore[override]
        """One number a criterion."""
        mark = {"type": "number", "minimum": self.low, "maximum": self.high}
        return {
            "type": "object", "properties": dict.fromkeys(self.names, mark), "required": list(self.names),
            "additionalProperties": False,
        }  # fmt: skip

    def values(self, item: Any, upstream: FeatureTable) -> dict[str, str]:
        """Fill in the criteria, too."""
        listed = "\n".join(f"- {criterion}" for criterion in self.criteria)
        return {**super().values(item, upstream), "criteria": listed, "low": f"{self.low:g}", "high": f"{self.high:g}"}

    @classmethod
    def parse(cls, reply: str) -> dict[str, Any]:
        """Return the JSON object of a reply."""
        return json_in(reply)

    def checker(self, item: Any, upstream: FeatureTable) -> Callable[[str], object]:  # noqa: ARG002
        """Expect a mark for each criterion."""
        return self.marks

    def marks(self, reply: str) -> dict[str, float]:
        """Return the marks by criterion.

        Raises:
            VerdictParseError: a criterion lacks its mark, or a mark is no number on the scale.
        """
        data = self.parse(reply)
        only_keys(data, self.names)
        for name in self.names:
            mark = data[name]
            if type(mark) not in (int, float) or not self.low <= mark <= self.high:
                raise VerdictParseError(f"{name}: expected {self.low:g} to {self.high:g}, got {shorten(mark)}")
        return {name: float(data[name]) for name in self.names}
