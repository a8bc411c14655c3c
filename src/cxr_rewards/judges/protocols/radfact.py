"""RadFact: a judge splits each report into phrases, and says which of them the other report entails."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Literal

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import FeatureTable, Over, PairItem
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import VerdictParseError, shorten
from cxr_rewards.judges import prompt as prompts
from cxr_rewards.judges.component import JudgeComponent
from cxr_rewards.judges.details import Assessment, JudgedPhrase
from cxr_rewards.judges.reading import MOST, a_list, a_truth, json_in, only_keys
from cxr_rewards.judges.reply import JudgeReply
from cxr_rewards.types import Case, Failure, Score

_LONGEST = 400


class RadfactPhrases(JudgeReply):
    """The judge's split of a report into phrases of one statement; `parse` returns them. A blank report has none."""

    name = "radfact_phrases"
    version = 1
    prompt = "radfact_phrases_v1"
    places = frozenset(("candidate", "mark"))
    schema: ClassVar[Mapping[str, object]] = {
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
        """Return no phrases for a blank text, without asking."""
        return None if item.strip() else '{"phrases": []}'

    def values(self, item: str, upstream: FeatureTable) -> dict[str, str]:  # noqa: ARG002
        """Return the report between its marks."""
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


class Entailment(JudgeReply):
    """Verdicts on the phrases of one report, of `of`, by those of the other."""

    of: Literal["candidate", "reference"] = setting("candidate", "Whose phrases are judged.")

    @property
    def over(self) -> Over:  # type: ignore[override]
        """A pair."""
        return "pair"

    @property
    @abstractmethod
    def needs(self) -> tuple[JudgeReply, ...]:
        """The phrases of a report."""

    def phrases(self, item: PairItem, upstream: FeatureTable) -> tuple[list[str], list[str]]:
        """Return the phrases that are judged, and the phrases that they are judged by."""
        ours, theirs = item if self.of == "candidate" else reversed(item)
        (need,) = self.needs
        return tuple(need.parse(upstream.value(need, text)) for text in (ours, theirs))

    @classmethod
    @abstractmethod
    def truths(cls, reply: str, count: int) -> list[bool]:
        """Return whether each of `count` phrases is entailed.

        Raises:
            VerdictParseError: there are more or fewer verdicts.
        """


class RadfactEntailment(Entailment):
    """Whether the phrases of the other report entail each phrase of one report; `parse` returns a bool per phrase.

    `of="candidate"` judges the candidate's phrases by the reference's (for the precision), `of="reference"` the
    reverse. If either has no phrases, the judge is not asked, and nothing is entailed.
    """

    name = "radfact_entailment"
    version = 1
    prompt = "radfact_entailment_v1"
    places = frozenset(("candidate", "reference", "mark"))
    schema: ClassVar[Mapping[str, object]] = {
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

    @property
    def needs(self) -> tuple[RadfactPhrases, ...]:
        made: tuple[RadfactPhrases, ...] | None = self.__dict__.get("_needs")
        if made is None:
            made = (RadfactPhrases(**self.judge, use_priors=self.use_priors, number=self.number),)
            self.__dict__["_needs"] = made
        return made

    def known(self, item: PairItem, upstream: FeatureTable) -> str | None:
        """Return the verdict if one side has no phrases."""
        ours, theirs = self.phrases(item, upstream)
        if ours and theirs:
            return None
        return json.dumps({"verdicts": [{"phrase": i + 1, "entailed": False} for i in range(len(ours))]})

    def values(self, item: PairItem, upstream: FeatureTable) -> dict[str, str]:
        """Return the numbered phrases of both reports."""
        ours, theirs = self.phrases(item, upstream)
        mark = prompts.mark_of(*ours, "", *theirs)

        def listed(kind: str, phrases: list[str]) -> str:
            lines = [
                f"{i}. {' '.join(prompts.harmless(phrase, _LONGEST).split())}" for i, phrase in enumerate(phrases, 1)
            ]
            return prompts.wrap(kind, "\n".join(lines), mark)

        return {"candidate": listed("phrases", ours), "reference": listed("evidence", theirs), "mark": mark}

    def checker(self, item: PairItem, upstream: FeatureTable) -> Callable[[str], object]:
        """Return a check that there is a verdict on each phrase."""
        count = len(self.phrases(item, upstream)[0])
        return lambda reply: self.truths(reply, count)

    @classmethod
    def truths(cls, reply: str, count: int) -> list[bool]:
        """Return whether each of `count` phrases is entailed.

        Raises:
            VerdictParseError: there are more or fewer verdicts.
        """
        verdicts = cls.parse(reply)
        if len(verdicts) != count:
            raise VerdictParseError(f"{len(verdicts)} verdicts on {count} phrases")
        return verdicts

    @classmethod
    def parse(cls, reply: str) -> list[bool]:
        """Return the verdicts in the order of the phrases; each number from 1 on must be there once."""
        data = json_in(reply)
        only_keys(data, ("verdicts",))
        by_number: dict[int, bool] = {}
        for verdict in a_list(data, "verdicts"):
            only_keys(verdict, ("phrase", "entailed"), ("evidence", "status"))
            number = verdict["phrase"]
            if type(number) is not int or number in by_number:
                raise VerdictParseError(f"phrase: expected each number once, got {shorten(number)}")
            by_number[number] = a_truth(verdict, "entailed")
        if sorted(by_number) != list(range(1, len(by_number) + 1)):
            raise VerdictParseError(f"expected verdicts on phrases 1 to {len(by_number)}, got {sorted(by_number)}")
        return [by_number[number] for number in sorted(by_number)]


Measure = Literal["f1", "precision", "recall"]


class Radfact(JudgeComponent):
    """Logical F1 of two reports: a language model splits each into phrases and says which the other report entails.

        precision = entailed phrases of the candidate / its phrases
        recall    = entailed phrases of the reference / its phrases
        f1        = 2 * precision * recall / (precision + recall), 0 if both are 0

    A candidate without phrases has precision 0, because it says nothing right. If the reference has no phrases, the
    case is unscored. A case takes three or four requests; the phrases of a reference are asked for once.

    Range: [0, 1].

    Details: `JudgeDetails` with `phrases` and, in `marks`, `precision`, `recall` and `f1`.

    Source: RadFact (repository at 72463ac), without grounding; upstream, a failed call counts as not entailed; here the
    case is unscored. The prompts are our own.

    Example:
        >>> from cxr_rewards.testing.fake_judge import FakeJudge
        >>> with FakeJudge() as judge:
        ...     radfact = Radfact(model="any", base_url=judge.url)
        ...     score = radfact.score("Left effusion. Right pneumothorax.", "Left effusion.")
        >>> score.details["marks"]["precision"], score.details["marks"]["recall"]
        (0.5, 1.0)
    """

    name = "radfact"
    version = 2
    summary = "RadFact: phrases that the other report entails, judged both ways"

    corpus_details = ("marks",)

    measure: Measure = setting("f1", "Score: f1, precision or recall.")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "measure", ("f1", "precision", "recall"))

    def ask_for(self, number: int) -> tuple[JudgeReply, ...]:
        """Return the verdicts in both directions, and the phrases they are about."""
        given = {**self.vote_settings, "number": number, "use_priors": False}
        ours, theirs = (RadfactEntailment(**given, of=of) for of in ("candidate", "reference"))
        return (ours, theirs, *ours.needs)

    def directions(self, number: int) -> tuple[Entailment, ...]:
        """Return the verdicts of one vote on the candidate's phrases, and on the reference's."""
        return tuple(reply for reply in self.replies(number) if isinstance(reply, Entailment))

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return a failure if the reference has no phrases."""
        for number in self.all_votes:
            if not self.directions(number)[0].phrases(PairItem(case.candidate, case.reference), features)[1]:
                return Score(
                    None, failure=Failure(self.name, "the judge found no phrase in the reference", "nothing_to_compare")
                )
        return super().score_case(case, features)

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, Assessment]:
        """Return the share of entailed phrases."""
        item = PairItem(case.candidate, case.reference)
        shares: list[float] = []
        judged: list[JudgedPhrase] = []
        for reply in self.directions(number):
            phrases = reply.phrases(item, features)[0]
            truths = reply.truths(features.value(reply, case), len(phrases))
            shares.append(sum(truths) / len(truths) if truths else 0.0)
            judged += [
                JudgedPhrase(of=reply.of, text=phrase, entailed=truth)
                for phrase, truth in zip(phrases, truths, strict=True)
            ]
        precision, recall = shares
        values = {"f1": _f1(precision, recall), "precision": precision, "recall": recall}
        return values[self.measure], Assessment(phrases=judged, marks=values)

    def corpus(self, scores: Iterable[Score]) -> dict[str, float | None]:
        """Return mean precision and recall, and the F1 of these two means, as RadFact reports it."""
        precisions = recalls = reports = 0.0
        for score in scores:
            reports += 1
            precisions += score.details["marks"]["precision"]
            recalls += score.details["marks"]["recall"]
        if not reports:
            return dict.fromkeys(("precision", "recall", "f1"))
        precision, recall = precisions / reports, recalls / reports
        return {"precision": precision, "recall": recall, "f1": _f1(precision, recall)}

    def texts(self, number: int, case: Case, features: FeatureTable) -> list[tuple[JudgeReply, str]]:
        """Return both verdicts, and the splits of both reports."""
        texts = []
        for reply in self.replies(number):
            items = (case.candidate, case.reference) if reply.over == "text" else (case,)
            texts += [(reply, features.value(reply, item)) for item in items]
        return texts


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
