"""RadFact: a report's phrases, and which of them the other report entails."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from cxr_rewards.core.feature import FeatureTable, Over, PairItem
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import VerdictParseError, shorten
from cxr_rewards.features.judge_reply import JudgeReply
from cxr_rewards.judges import prompt as prompts
from cxr_rewards.judges.reading import MOST, a_list, a_truth, json_in, only_keys

_LONGEST = 400


class RadfactPhrases(JudgeReply):
    """The judge's split of a report into phrases, each one statement; `parse` returns them. A blank report has none."""

    name = "radfact_phrases"
    version = 1
    prompt = "radfact_phrases_v1"
    places = frozenset(("candidate", "mark"))
    schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {"phrases": {"type": "array", "items": {"type": "string"}}},
        "required": ["phrases"],
        "additionalProperties": False,
    }

    @property
    def over(self) -> Over:  # type: ignore[override]
        """A text."""
        return "text"

    def known(self, item: str, upstream: FeatureTable) -> str | None:  # noqa: ARG002
        """Nobody is asked about a blank text."""
        return None if item.strip() else '{"phrases": []}'

    def values(self, item: str, upstream: FeatureTable) -> dict[str, str]:  # noqa: ARG002
        """Fill in the report."""
        mark = prompts.mark_of(item)
        return {"candidate": prompts.wrap("report", prompts.harmless(item, self.max_chars), mark), "mark": mark}

    @classmethod
    def parse(cls, reply: str) -> list[str]:
        """Return the phrases, without blank ones."""
        data = json_in(reply)
        only_keys(data, ("phrases",))
        phrases = [phrase.strip() for phrase in a_list(data, "phrases", str) if phrase.strip()]
        if len(phrases) > 2 * MOST:
            raise VerdictParseError(f"{len(phrases)} phrases, more than {2 * MOST}")
        return phrases


class RadfactEntailment(JudgeReply):
    """For each phrase of one report, whether the other's phrases entail it; `parse` returns a truth a phrase.

    `of="candidate"` judges the candidate's phrases by the reference's (for the precision), `of="reference"` the
    reverse. Where one of them has no phrases nobody is asked: nothing is entailed by nothing.
    """

    name = "radfact_entailment"
    version = 1
    prompt = "radfact_entailment_v1"
    places = frozenset(("candidate", "reference", "mark"))
    schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "verdicts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"phrase": {"type": "integer"}, "entailed": {"type": "boolean"}},
                    "required": ["phrase", "entailed"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["verdicts"],
        "additionalProperties": False,
    }
    of: Literal["candidate", "reference"] = setting("candidate", "Whose phrases are judged.")

    @property
    def over(self) -> Over:  # type: ignore[override]
        """A pair."""
        return "pair"

    @property
    def needs(self) -> tuple[RadfactPhrases, ...]:
        made: tuple[RadfactPhrases, ...] | None = self.__dict__.get("_needs")
        if made is None:
            made = (RadfactPhrases(**self.judge, use_priors=self.use_priors, number=self.number),)
            self.__dict__["_needs"] = made
        return made

    def phrases(self, item: PairItem, upstream: FeatureTable) -> tuple[list[str], list[str]]:
        """Return the phrases that are judged, and those they are judged by."""
        ours, theirs = item if self.of == "candidate" else reversed(item)
        (need,) = self.needs
        return tuple(need.parse(upstream.value(need, text)) for text in (ours, theirs))  # type: ignore[return-value]

    def known(self, item: PairItem, upstream: FeatureTable) -> str | None:
        """Return the verdict where one side has no phrases."""
        ours, theirs = self.phrases(item, upstream)
        if ours and theirs:
            return None
        return json.dumps({"verdicts": [{"phrase": i + 1, "entailed": False} for i in range(len(ours))]})

    def values(self, item: PairItem, upstream: FeatureTable) -> dict[str, str]:
        """Fill in the numbered phrases of both."""
        ours, theirs = self.phrases(item, upstream)
        mark = prompts.mark_of(*ours, "", *theirs)

        def listed(kind: str, phrases: list[str]) -> str:
            lines = [
                f"{i}. {' '.join(prompts.harmless(phrase, _LONGEST).split())}" for i, phrase in enumerate(phrases, 1)
            ]
            return prompts.wrap(kind, "\n".join(lines), mark)

        return {"candidate": listed("phrases", ours), "reference": listed("evidence", theirs), "mark": mark}

    def checker(self, item: PairItem, upstream: FeatureTable) -> Callable[[str], object]:
        """Expect a verdict on each phrase."""
        count = len(self.phrases(item, upstream)[0])
        return lambda reply: self.truths(reply, count)

    @classmethod
    def truths(cls, reply: str, count: int) -> list[bool]:
        """Return the truths of `count` phrases.

        Raises:
            VerdictParseError: there are more or fewer.
        """
        found = cls.parse(reply)
        if len(found) != count:
            raise VerdictParseError(f"{len(found)} verdicts on {count} phrases")
        return found

    @classmethod
    def parse(cls, reply: str) -> list[bool]:
        """Return the truths in the order of the phrases; each number from 1 on must be there once."""
        data = json_in(reply)
        only_keys(data, ("verdicts",))
        found: dict[int, bool] = {}
        for verdict in a_list(data, "verdicts"):
            only_keys(verdict, ("phrase", "entailed"), ("evidence", "status"))
            number = verdict["phrase"]
            if type(number) is not int or number in found:
                raise VerdictParseError(f"phrase: expected each number once, got {shorten(number)}")
            found[number] = a_truth(verdict, "entailed")
        if sorted(found) != list(range(1, len(found) + 1)):
            raise VerdictParseError(f"expected verdicts on phrases 1 to {len(found)}, got {sorted(found)}")
        return [found[number] for number in sorted(found)]
