"""FineRadScore: a judge corrects the candidate line by line and says how grave each error is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import VerdictParseError, shorten
from cxr_rewards.judges.component import ErrorJudge, OneReplyJudge
from cxr_rewards.judges.details import Assessment, JudgedError, findings_of, no_counts
from cxr_rewards.judges.reading import MOST, a_list, a_text, json_in, only_keys
from cxr_rewards.judges.reply import JudgeReply
from cxr_rewards.text.sentences import sentences
from cxr_rewards.types import Case, Score

TYPES = "ABCDEF"
SEVERITIES = {"not_actionable": 1, "actionable_nonurgent": 2, "urgent": 3, "emergent": 4}
"""Numbers of the severities: our own, as none are published."""


class Correction(NamedTuple):
    """One correction: the number of the line (0: a line is added), type and severity of the error, and words."""

    line: int
    type: str
    severity: str
    correction: str
    comment: str


class FineradscoreReply(JudgeReply):
    """The judge's corrections; `parse` returns them. The candidate is shown with its sentences numbered from 1.

    The form of the reply is our own; upstream, JSON by sentence.

    Source: FineRadScore (arXiv 2405.20613), repository at 3f5e1dc, for severities and the correction of lines.
    """

    name = "fineradscore_reply"
    version = 1
    prompt = "fineradscore_v1"
    schema: ClassVar[Mapping[str, object]] = {
        "type": "object",
        "properties": {
            "corrections": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "line": {"type": "integer"},
                        "type": {"type": "string", "enum": list(TYPES)},
                        "severity": {"type": "string", "enum": list(SEVERITIES)},
                        "correction": {"type": "string"},
                        "comment": {"type": "string"},
                    },
                    "required": ["line", "type", "severity", "correction", "comment"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["corrections"],
        "additionalProperties": False,
    }

    def values(self, item: Any, upstream: FeatureTable) -> dict[str, str]:
        """Number the candidate's sentences."""
        numbered = "\n".join(f"{number}. {line}" for number, line in enumerate(_lines(item.candidate), 1))
        return super().values(item._replace(candidate=numbered), upstream)

    def checker(self, item: Any, upstream: FeatureTable) -> Callable[[str], object]:  # noqa: ARG002
        """Return a check that each corrected line is there."""
        count = len(_lines(item.candidate))
        return lambda reply: self.corrections(reply, count)

    @classmethod
    def corrections(cls, reply: str, count: int) -> list[Correction]:
        """Return the corrections of a candidate of `count` lines.

        Raises:
            VerdictParseError: a line does not exist.
        """
        corrections = cls.parse(reply)
        if beyond := [one.line for one in corrections if one.line > count]:
            raise VerdictParseError(f"line {beyond[0]}: the candidate has {count} lines")
        return corrections

    @classmethod
    def parse(cls, reply: str) -> list[Correction]:
        """Return the corrections; a line may be corrected once, and any number of lines added."""
        data = json_in(reply)
        only_keys(data, ("corrections",))
        corrections = [_correction(entry) for entry in a_list(data, "corrections")]
        lines = [one.line for one in corrections if one.line]
        if len(set(lines)) < len(lines):
            raise VerdictParseError(f"a line is corrected twice: {sorted(lines)}")
        if len(corrections) - len(lines) > MOST:
            raise VerdictParseError(f"more than {MOST} lines added")
        return corrections


Aggregate = Literal["sum", "worst", "corrections"]


class Fineradscore(ErrorJudge, OneReplyJudge):
    """FineRadScore: corrections that a language model needs to make the candidate tell what the reference tells.

    Each correction has a severity: 1 not actionable, 2 actionable but not urgent, 3 urgent, 4 emergent. `aggregate`
    makes one number of them: `sum` of the severities, `worst` severity, or number of `corrections`.

    Neither the paper's repository nor ReXrank, whose table has 1/FineRadScore, publishes the numbers of the severities
    or how they are joined: the arithmetic is our choice, so compare numbers of one arithmetic only.

    Over a file: `1/mean`, the inverse of the mean, as ReXrank shows it; none if the mean is 0.

    Range: [0, inf), lower is better. Without corrections: 0.

    Details: `JudgeDetails` with `counts` (not actionable ones are insignificant), `errors` with the severity as `grade`
    and the judge's comment as `text`, and `missed` (those of type B).

    Source: FineRadScore (arXiv 2405.20613; repository at 3f5e1dc) for severities and lines. Types are those of
    CheXprompt; the prompt is our own.

    Example:
        >>> from cxr_rewards.testing.fake_judge import FakeJudge
        >>> with FakeJudge() as judge:
        ...     fineradscore = Fineradscore(model="any", base_url=judge.url)
        ...     fineradscore.score("Left effusion.", "Left effusion. Right pneumothorax.").value
        3.0
    """

    name = "fineradscore"
    version = 1
    summary = "FineRadScore: severity of the corrections that a judge makes line by line"
    bounds = (0.0, float("inf"))
    higher_is_better = False
    reply = FineradscoreReply
    types = tuple(TYPES)

    aggregate: Aggregate = setting("sum", "How severities become a number: sum, worst, corrections (their number).")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "aggregate", ("sum", "worst", "corrections"))

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, Assessment]:
        """Aggregate the severities."""
        (reply,) = self.replies(number)
        corrections = FineradscoreReply.corrections(features.value(reply, case), len(_lines(case.candidate)))
        severities = [SEVERITIES[one.severity] for one in corrections]
        values = {"sum": sum(severities), "worst": max(severities, default=0), "corrections": len(severities)}
        return float(values[self.aggregate]), _assessment(corrections)

    def corpus(self, scores: Iterable[Score]) -> dict[str, float | None]:
        """Return errors a report, the histogram of significant errors, and the inverse of the mean."""
        total, reports = 0.0, 0

        def read() -> Iterator[Score]:
            nonlocal total, reports
            for score in scores:
                total, reports = total + (score.value or 0.0), reports + 1
                yield score

        statistics = super().corpus(read())
        return {"1/mean": reports / total if total else None, **statistics}


def _lines(text: str) -> list[str]:
    """Return the sentences of a report, each on one line."""
    spans = (text[start:end] for start, end in sentences(text))
    return [line for span in spans if (line := " ".join(span.split()))]


def _correction(entry: Mapping[str, Any]) -> Correction:
    only_keys(entry, ("line", "type", "severity"), ("correction", "comment"))
    line, kind, severity = entry["line"], a_text(entry, "type"), a_text(entry, "severity")
    if type(line) is not int or line < 0:
        raise VerdictParseError(f"line: expected a number from 0, got {shorten(line)}")
    if kind not in TYPES or len(kind) != 1:
        raise VerdictParseError(f"type: expected a letter from A to F, got {shorten(kind)}")
    grade = re.sub(r"[\W_]+", "_", severity.strip().lower()).replace("non_urgent", "nonurgent")
    if grade not in SEVERITIES:
        raise VerdictParseError(f"severity: expected one of {list(SEVERITIES)}, got {shorten(severity)}")
    words = (a_text(entry, key) if key in entry else "" for key in ("correction", "comment"))
    return Correction(line, kind, grade, *words)


def _assessment(corrections: Iterable[Correction]) -> Assessment:
    errors = [
        JudgedError(
            type=one.type,
            significant=one.severity != "not_actionable",
            grade=one.severity,
            text=one.comment or one.correction,
        )
        for one in corrections
    ]
    counts = no_counts(TYPES)
    for error in errors:
        counts["significant" if error["significant"] else "insignificant"][error["type"]] += 1
    return Assessment(counts=counts, errors=errors, missed=findings_of(errors, "B"))
