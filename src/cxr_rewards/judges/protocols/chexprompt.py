"""CheXprompt: a judge counts errors of six types, clinically significant or not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import VerdictParseError, shorten
from cxr_rewards.judges.component import ErrorJudge, OneReplyJudge
from cxr_rewards.judges.details import SORTS, Assessment, JudgedError, findings_of, no_counts, unnamed_errors
from cxr_rewards.judges.quoting import open_introductions, own_matches
from cxr_rewards.judges.reading import MOST, a_count, a_list, a_text, a_truth, answer_of, only_keys, own_object
from cxr_rewards.judges.reply import JudgeReply
from cxr_rewards.types import Case

TYPES = "ABCDEF"

_LINE = re.compile(
    r"^[ \t*_#\-\d.)]*Number of clinically (significant|insignificant) errors by type\W{0,20}?:[\s*_`]*"
    r"([\[(](?:(?!number of clinically).){0,300}?[\])])[*_`. \t]*(?:\n|\Z)",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_PAIR = re.compile(r"\(\s*['\"]?([A-Za-z])['\"]?\s*,\s*([^(),\s]+)\s*\)")
_ONLY_PAIRS = re.compile(r"[\[(]\s*(?:PAIR\s*,?\s*)*[\])]")


class ChexpromptReply(JudgeReply):
    """The judge's list of errors; `parse` returns their numbers, `{"significant": {"A": 0, ...}, ...}`.

    A reply is a JSON object `{"errors": [{"type", "significant", "what"}]}`. Without one, it is CheXprompt's own two
    lines, with brackets or parentheses around the pairs, with or without an empty line between them. A verdict that
    the judge quotes does not count in either form.

    Source: CheXprompt (Nat Commun 16:3108), repository at 8cfddec, for the types and the two lines.
    """

    name = "chexprompt_reply"
    version = 1
    prompt = "chexprompt_v1"
    schema: ClassVar[Mapping[str, object]] = {
        "type": "object",
        "properties": {
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string", "enum": list(TYPES)},
                        "significant": {"type": "boolean"},
                        "what": {"type": "string"},
                    },
                    "required": ["type", "significant", "what"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["errors"],
        "additionalProperties": False,
    }

    @classmethod
    def parse(cls, reply: str) -> dict[str, dict[str, int]]:
        """Return the number of errors by sort and type."""
        text = answer_of(reply)
        data = own_object(text)
        if data is None:
            return _lines(text)
        counts = no_counts(TYPES)
        only_keys(data, ("errors",))
        for error in a_list(data, "errors"):
            only_keys(error, ("type", "significant"), ("what",))
            kind = a_text(error, "type")
            if kind not in TYPES or len(kind) != 1:
                raise VerdictParseError(f"type: expected a letter from A to F, got {shorten(kind)}")
            counts["significant" if a_truth(error, "significant") else "insignificant"][kind] += 1
        if any(number > MOST for by_type in counts.values() for number in by_type.values()):
            raise VerdictParseError(f"more than {MOST} errors of one type")
        return counts

    @classmethod
    def assessment(cls, reply: str) -> Assessment:
        """Return the numbers of errors, and the errors with the judge's words if it gave any."""
        counts = cls.parse(reply)
        data = own_object(answer_of(reply))
        errors = unnamed_errors(counts)
        if data is not None:
            errors = [
                JudgedError(
                    type=error["type"], significant=error["significant"], grade="", text=str(error.get("what") or "")
                )
                for error in data["errors"]
            ]
        return Assessment(counts=counts, errors=errors, missed=findings_of(errors, "B"))


Counts = Literal["significant", "all"]


def chexprompt_score(assessment: Assessment, counted: Counts) -> float:
    """Return 1 / (n + 1), n the number of errors that count."""
    sorts = SORTS if counted == "all" else SORTS[:1]
    return 1 / (sum(sum(assessment["counts"][sort].values()) for sort in sorts) + 1)


class Chexprompt(ErrorJudge, OneReplyJudge):
    """Errors that a language model finds in the candidate, turned into a reward as in UniRG-CXR.

        score = 1 / (n + 1),  n = the number of errors that `counts` names

    Six types, each clinically significant or not: A a false finding, B an omitted finding, C a wrong place, D a wrong
    severity, E a comparison that neither the reference nor a prior supports, F an omitted change.

    Range: (0, 1]. Without errors: 1.

    Details: `JudgeDetails` with `counts`, `errors` and `missed` (those of type B).

    Source: CheXprompt (Nat Commun 16:3108; repository at 8cfddec) for types and counting; UniRG-CXR (arXiv 2601.17151)
    for 1/(n + 1); it does not say whether insignificant errors count. The prompt is our own.

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
    types = tuple(TYPES)

    counts: Counts = setting("significant", "Which errors count: significant, all.")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "counts", ("significant", "all"))

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, Assessment]:
        """Score the number of errors."""
        (reply,) = self.replies(number)
        assessment = ChexpromptReply.assessment(features.value(reply, case))
        return chexprompt_score(assessment, self.counts), assessment


def _lines(text: str) -> dict[str, dict[str, int]]:
    counts_by_sort: dict[str, dict[str, int]] = {}
    for line in _own_lines(text):
        sort = line[1].lower()
        if sort in counts_by_sort:
            raise VerdictParseError(f"the line of {sort} errors is given twice")
        pairs: list[tuple[str, str]] = _PAIR.findall(line[2])
        if not _ONLY_PAIRS.fullmatch(_PAIR.sub("PAIR", line[2])):
            raise VerdictParseError(f"expected pairs such as (A, 0), got {shorten(line[2])}")
        if sorted(kind.upper() for kind, _ in pairs) != list(TYPES):
            raise VerdictParseError(f"expected each type from A to F once, got {shorten(line[2])}")
        counts_by_sort[sort] = {kind.upper(): a_count(number, f"type {kind}") for kind, number in pairs}
    for sort in SORTS:
        if sort not in counts_by_sort:
            raise VerdictParseError(f"no JSON object, and no line of {sort} errors, in {shorten(text)}")
    return counts_by_sort


def _own_lines(text: str) -> list[re.Match[str]]:
    """Return the lines that are not quoted. After words that introduce a quote, one line of each sort is quoted."""
    own: list[re.Match[str]] = []
    introductions = open_introductions(text)
    quoted: set[str] | None = None
    for line in own_matches(_LINE, text):
        while introductions and introductions[0] <= line.start():
            quoted = set()
            del introductions[0]
        sort = line[1].lower()
        if quoted is None or sort in quoted:
            quoted = None
            own.append(line)
        else:
            quoted.add(sort)
            quoted = None if len(quoted) == len(SORTS) else quoted
    return own
