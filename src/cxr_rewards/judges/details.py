"""The details of a judged score: one schema for all judges, whatever their protocols say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar, cast

Number = TypeVar("Number", int, float)
Sort = Literal["significant", "insignificant"]
SORTS: tuple[Sort, ...] = ("significant", "insignificant")
Counts = dict[str, dict[str, int]]
"""Numbers of errors by sort (significant, insignificant) and type."""


class JudgedError(TypedDict):
    """One error.

    Attributes:
        type: the protocol's type, such as `A`.
        significant: whether it counts as clinically significant.
        grade: the judge's own word for how grave it is, if the protocol has more than two; else empty.
        text: the judge's words for it; empty if it gave only a number.
    """

    type: str
    significant: bool
    grade: str
    text: str


class JudgedFinding(TypedDict):
    """One finding of the reference: the judge's words (empty if it gave only a number), and its grade if it has one."""

    text: str
    grade: str


class JudgedPhrase(TypedDict):
    """One phrase of the candidate or of the reference, and whether the other report entails it."""

    of: Literal["candidate", "reference"]
    text: str
    entailed: bool


class Assessment(TypedDict, total=False):
    """Content of the replies of one vote, as a protocol reads them; keys that it does not know are left out.

    Attributes:
        counts: numbers of errors by sort and type.
        errors: the errors one by one.
        matched: findings of the reference that the candidate has.
        missed: findings of the reference that it lacks.
        phrases: phrases with their entailment.
        marks: numbers by name: a rubric's marks, RadFact's precision, recall and F1.
        explanation: the judge's words before its verdict.
    """

    counts: Counts
    errors: list[JudgedError]
    matched: list[JudgedFinding]
    missed: list[JudgedFinding]
    phrases: list[JudgedPhrase]
    marks: dict[str, float]
    explanation: str


class Verdict(TypedDict):
    """One vote of a judge: all of `Assessment`, empty if the protocol has no such thing, and where it came from.

    Attributes:
        value: the score of this vote.
        model: the model that was asked.
        prompts: name and digest of the prompt of each reply, such as `chexprompt_v1:0a1b2c3d4e5f`.
        replies: the unchanged replies, in the order of `prompts`.
        prompt_tokens, completion_tokens: of these replies when they were asked for; None if that is not known, because
            nobody was asked or an earlier version kept them.
        seconds: how long they took then, the accepted attempts alone.
    """

    value: float
    model: str
    counts: Counts
    errors: list[JudgedError]
    matched: list[JudgedFinding]
    missed: list[JudgedFinding]
    phrases: list[JudgedPhrase]
    marks: dict[str, float]
    explanation: str
    prompts: list[str]
    replies: list[str]
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float | None


class JudgeDetails(Verdict):
    """The details of a judged score.

    Of several votes it is the one whose value is nearest to the score (the first of equals), with the tokens and
    seconds of all; `value` is then that vote's.

    Attributes:
        votes: all votes, if there are several; else empty.
        agreement: share of the votes that have the most frequent value; None for a single vote.
        spread: largest value less the smallest; None for a single vote.
    """

    votes: list[Verdict]
    agreement: float | None
    spread: float | None


class ReplyText(str):
    """A judge's reply, with what it cost when it was asked for; None if that is not known."""

    __slots__ = ("completion_tokens", "prompt_tokens", "seconds")

    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float | None

    def __new__(
        cls,
        text: str,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        seconds: float | None = None,
    ) -> ReplyText:
        made = super().__new__(cls, text)
        made.prompt_tokens, made.completion_tokens, made.seconds = prompt_tokens, completion_tokens, seconds
        return made

    def __reduce__(self) -> tuple[object, ...]:
        return ReplyText, (str(self), self.prompt_tokens, self.completion_tokens, self.seconds)


def no_counts(types: Iterable[str]) -> Counts:
    """Return a count of 0 for each sort and type.

    Example:
        >>> no_counts("AB")
        {'significant': {'A': 0, 'B': 0}, 'insignificant': {'A': 0, 'B': 0}}
    """
    return {sort: dict.fromkeys(types, 0) for sort in SORTS}


def unnamed_errors(counts: Counts) -> list[JudgedError]:
    """Return the errors of which the judge gave only the numbers."""
    return [
        JudgedError(type=kind, significant=sort == "significant", grade="", text="")
        for sort, by_type in counts.items()
        for kind, number in by_type.items()
        for _ in range(number)
    ]


def findings_of(errors: Iterable[JudgedError], kind: str) -> list[JudgedFinding]:
    """Return the findings that errors of one type are about, such as those that the candidate misses."""
    return [JudgedFinding(text=error["text"], grade=error["grade"]) for error in errors if error["type"] == kind]


def verdict(
    assessment: Assessment, value: float, model: str, prompts: Sequence[str], replies: Sequence[str]
) -> Verdict:
    """Return a vote, complete."""
    return Verdict(
        value=value,
        model=model,
        counts=assessment.get("counts", {}),
        errors=assessment.get("errors", []),
        matched=assessment.get("matched", []),
        missed=assessment.get("missed", []),
        phrases=assessment.get("phrases", []),
        marks=assessment.get("marks", {}),
        explanation=assessment.get("explanation", ""),
        prompts=list(prompts),
        replies=[str(reply) for reply in replies],
        prompt_tokens=_total(getattr(reply, "prompt_tokens", None) for reply in replies),
        completion_tokens=_total(getattr(reply, "completion_tokens", None) for reply in replies),
        seconds=_total(getattr(reply, "seconds", None) for reply in replies),
    )


def details_of(votes: Sequence[Verdict], score: float) -> JudgeDetails:
    """Return the details of a score that was made of these votes."""
    nearest = min(votes, key=lambda vote: abs(vote["value"] - score))
    values = [vote["value"] for vote in votes]
    several = len(votes) > 1
    whole: dict[str, Any] = {
        **nearest,
        **{key: _total(vote[key] for vote in votes) for key in ("prompt_tokens", "completion_tokens", "seconds")},
        "votes": list(votes) if several else [],
        "agreement": max(map(values.count, values)) / len(values) if several else None,
        "spread": max(values) - min(values) if several else None,
    }
    return cast("JudgeDetails", whole)


def _total(numbers: Iterable[Number | None]) -> Number | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def error_statistics(types: Sequence[str], every: Iterable[Mapping[str, object]]) -> dict[str, float | None]:
    """Return what judged reports have in common: errors a report, and the histogram of UniRG-CXR's evaluation.

    Args:
        types: the protocol's types of errors.
        every: the details of each judged report, to be read once; of them `counts`, `agreement` and `spread`.

    Returns:
        `errors`, `significant`, `insignificant`: mean number a report; `at_most_1`, `exactly_2`, `exactly_3`,
        `at_least_4`: share of the reports with so many significant errors; `significant.A` and so on: mean number a
        report by sort and type. None without a report. With several votes a report also the means of `agreement` and
        `spread`.

    Example:
        >>> counts = {"significant": {"A": 2, "B": 0}, "insignificant": {"A": 0, "B": 1}}
        >>> rates = error_statistics("AB", [{"counts": counts}, {"counts": no_counts("AB")}])
        >>> rates["errors"], rates["at_most_1"], rates["exactly_2"], rates["significant.A"]
        (1.5, 0.5, 0.5, 1.0)
    """
    reports = 0
    sums = {f"{sort}.{kind}": 0 for sort in SORTS for kind in types}
    histogram = dict.fromkeys(("at_most_1", "exactly_2", "exactly_3", "at_least_4"), 0)
    votes = dict.fromkeys(("agreement", "spread"), 0.0)
    voted = 0
    for details in every:
        counts = cast("Counts", details["counts"])
        reports += 1
        for sort in SORTS:
            for kind in types:
                sums[f"{sort}.{kind}"] += counts[sort][kind]
        significant = sum(counts["significant"][kind] for kind in types)
        histogram[list(histogram)[min(max(significant, 1), 4) - 1]] += 1
        if details.get("agreement") is not None:
            voted += 1
            votes = {name: total + cast("float", details[name]) for name, total in votes.items()}
    by_sort: dict[str, int] = {sort: sum(sums[f"{sort}.{kind}"] for kind in types) for sort in SORTS}
    totals: dict[str, int] = {"errors": sum(by_sort.values()), **by_sort, **histogram, **sums}
    agreement = {name: total / voted for name, total in votes.items() if voted}
    return {**{name: total / reports if reports else None for name, total in totals.items()}, **agreement}
