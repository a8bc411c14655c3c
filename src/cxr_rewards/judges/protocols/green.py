"""GREEN: a judge counts significant and insignificant errors of six types, and matched findings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import VerdictParseError, shorten
from cxr_rewards.judges.component import ErrorJudge, OneReplyJudge
from cxr_rewards.judges.details import SORTS, Assessment, JudgedError, JudgedFinding, findings_of
from cxr_rewards.judges.quoting import own_matches, unfenced, without_quotes
from cxr_rewards.judges.reading import a_count, answer_of
from cxr_rewards.judges.reply import JudgeReply
from cxr_rewards.types import Case

TYPES = "abcdef"
_HEADINGS = {
    "explanation": "explanation",
    "clinically significant errors": "significant",
    "clinically insignificant errors": "insignificant",
    "matched findings": "matched",
}
_HEADING = re.compile(
    r"^[*# \t]*\[(" + "|".join(_HEADINGS) + r")\][ \t]{0,9}:?[* \t]{0,9}:?", re.IGNORECASE | re.MULTILINE
)
_ERROR = re.compile(r"^[-* \t]*\(([a-f1-6])\)", re.IGNORECASE | re.MULTILINE)
_ASIDE = re.compile(r"\([^()]{0,400}\)|\[[^\[\]]{0,400}\]")
_COUNT = re.compile(r"[\s*_]{0,20}(?:-[ ])?([^\s.;,:*_]{1,20})[*_]{0,4}[ \t]{0,9}(?:[.;,:)](?!\d)|$)", re.MULTILINE)
_COLON = re.compile(r"(?<!\d):[\s*_]{0,20}\d{1,4}[*_]{0,4}[ \t]{0,9}(?:[.;,)](?!\d)|$)", re.MULTILINE)
_ITEM = re.compile(r"(?:(?P<line>^[-* \t]*)|(?<=[\s;,]))(\d{1,3})[.)](?=\s+\S)", re.MULTILINE)
_BETWEEN = re.compile(r";[ \t]{0,9}(?=\n|\d{1,3}[.)]\s|\Z)")
_SPLIT = re.compile(r";|(?:^|(?<=[\s;,]))\d{1,3}[.)](?=\s+\S)")
_OTHER_TYPE = re.compile(r"\([a-f]\)", re.IGNORECASE)
_DESCRIBED = "clinically|significant|insignificant|further|other|additional|such|matched|matching|common|any"
_THINGS = "errors?|findings?|match(?:es)?|discrepanc(?:y|ies)|mistakes?|differences?"
_NONE = re.compile(
    rf"(?:(?:there (?:is|are|was|were) )?(?:no|zero|0)(?:[ -](?:{_DESCRIBED})){{0,4}} (?:{_THINGS})|none)"
    r"(?: (?:(?:is|are|was|were) )?(?:found|identified|detected|noted|present|made|observed|reported|seen|matched))?"
    r"|nil|nothing|n/?a|not applicable|no|zero|0",
    re.IGNORECASE,
)
_BRACKETS = frozenset("([{")
_DRESS = " \t\r\n.,;!-*_`#•[]()"


class GreenVerdict(NamedTuple):
    """Numbers of errors by type, `a` to `f`, and of matched findings."""

    significant: dict[str, int]
    insignificant: dict[str, int]
    matched: int


class GreenReply(JudgeReply):
    """The judge's reply in GREEN's sections; `parse` returns the numbers of errors and matched findings.

    The sections on errors and on matched findings must each be there once. A number stands after a type's colon, or
    is that of the items of a list numbered from 1. A section that says only "No matched findings", "None" or the like
    counts 0. Types may be numbered 1 to 6 instead of lettered. Quoted text never counts. (Upstream, a section that is
    missing or begins with "No" counts 0.)

    Source: GREEN (Ostmeier et al. 2024), green_score/green.py at d72c195, for sections and types.
    """

    name = "green_reply"
    version = 1
    prompt = "green_v1"

    max_words: int = setting(0, "Words of each report shown; GREEN's own model was trained on 300. 0: all.")

    def values(self, item: tuple[str, ...], upstream: FeatureTable) -> dict[str, str]:
        """Cut the reports to `max_words`."""
        if self.max_words:
            cut = {key: _first(getattr(item, key), self.max_words) for key in ("candidate", "reference")}
            item = item._replace(**cut)  # type: ignore[attr-defined]
        return super().values(item, upstream)

    @classmethod
    def parse(cls, reply: str) -> GreenVerdict:
        """Return the numbers of a reply."""
        sections = cls._sections(reply)
        return GreenVerdict(
            _errors(sections["significant"]), _errors(sections["insignificant"]), _matched(sections["matched"])
        )

    @classmethod
    def assessment(cls, reply: str) -> Assessment:
        """Return the numbers of errors, and errors and matched findings in the judge's words."""
        sections, counts = cls._sections(reply), cls.parse(reply)
        errors = [
            JudgedError(type=kind, significant=sort == "significant", grade="", text=words)
            for sort in SORTS
            for kind, said in _said_by_type(sections[sort])
            for words in _items(said, getattr(counts, sort)[kind])
        ]
        matched = [JudgedFinding(text=words, grade="") for words in _items(sections["matched"], counts.matched)]
        return Assessment(
            counts={sort: dict(getattr(counts, sort)) for sort in SORTS},
            errors=errors,
            matched=matched,
            missed=findings_of(errors, "b"),
            explanation=sections.get("explanation", ""),
        )

    @classmethod
    def _sections(cls, reply: str) -> dict[str, str]:
        """Return the text of each section by name; those on errors and matched findings are there."""
        text = answer_of(reply)
        headings = own_matches(_HEADING, text)
        sections: dict[str, str] = {}
        for heading, following in zip_longest(headings, headings[1:]):
            name = _HEADINGS[heading[1].lower()]
            if name in sections:
                raise VerdictParseError(f"the section [{heading[1]}] is given twice")
            body = text[heading.end() : following.start() if following else len(text)]
            sections[name] = without_quotes(unfenced(body)).strip()
        for title, name in _HEADINGS.items():
            if name not in sections and name != "explanation":
                raise VerdictParseError(f"no section [{title.title()}] in {shorten(text)}")
        return sections


class Green(ErrorJudge, OneReplyJudge):
    """Share of matched findings among matched findings and clinically significant errors, counted by a language model.

        score = matched / (matched + significant errors);  0 if nothing is matched

    For GREEN's own model behind an endpoint (see docs/judges.md for the template it was trained on, and
    `max_words=300`), or any chat model.

    Range: [0, 1].

    Details: `JudgeDetails` with `counts`, `errors`, `matched`, `missed` (the errors of type b) and `explanation`.

    Source: GREEN (Ostmeier et al. 2024; green_score at d72c195). Upstream reads a missing section as no errors; here
    the case is unscored. The built-in prompt is our own.

    Example:
        >>> from cxr_rewards.testing.fake_judge import FakeJudge
        >>> with FakeJudge() as judge:
        ...     green = Green(model="any", base_url=judge.url)
        ...     green.score("Left effusion.", "Left effusion. Right pneumothorax.").value
        0.5
    """

    name = "green"
    version = 3
    summary = "GREEN: matched / (matched + significant errors), counted by a judge"
    reply = GreenReply
    types = tuple(TYPES)

    max_words: int = setting(0, "Words of each report shown; GREEN's own model was trained on 300. 0: all.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_words < 0:
            raise self.invalid("max_words", "0 or more")

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, Assessment]:
        """Return the share of matched findings."""
        (reply,) = self.replies(number)
        assessment = GreenReply.assessment(features.value(reply, case))
        return green_score(assessment), assessment


def green_score(assessment: Assessment) -> float:
    """Return the share of matched findings among them and the significant errors; 0 if nothing is matched."""
    matched, errors = len(assessment["matched"]), sum(assessment["counts"]["significant"].values())
    return matched / (matched + errors) if matched else 0.0


def _first(text: str, words: int) -> str:
    """Return the beginning of a text up to a number of words."""
    ends = [word.end() for word in re.finditer(r"\S+", text)]
    return text if len(ends) <= words else text[: ends[words - 1]]


def _says_none(body: str) -> bool:
    """Return whether a text says only that there is none."""
    return _NONE.fullmatch(" ".join(body.strip(_DRESS).split())) is not None


def _errors(body: str) -> dict[str, int]:
    counts = dict.fromkeys(TYPES, 0)
    lines = list(_error_lines(body))
    if not lines:
        if not _says_none(body):
            raise VerdictParseError(f"expected lines such as `(a) ...: 1. ...` or `No errors`, got {shorten(body)}")
        return counts
    seen = set()
    for letter, kind, line in lines:
        rest = _ASIDE.sub(_asides_gone, line)
        described, _, said = rest.partition(":")
        if kind in seen:
            raise VerdictParseError(f"({letter}): given twice")
        if not said.strip() or not _BRACKETS.isdisjoint(described) or len(_COLON.findall(rest)) > 1:
            raise VerdictParseError(f"({letter}): no number, or more than one, in {shorten(rest)}")
        seen.add(kind)
        counts[kind] = _number(said, f"({letter})")
    return counts


def _error_lines(body: str) -> Iterator[tuple[str, str, str]]:
    """Yield the letter as written, the type, and the rest of each line of a section on errors."""
    lines = list(_ERROR.finditer(body))
    for line, following in zip_longest(lines, lines[1:]):
        letter = line[1]
        kind = TYPES[int(letter) - 1] if letter.isdigit() else letter.lower()
        yield letter, kind, body[line.end() : following.start() if following else len(body)]


def _said_by_type(body: str) -> Iterator[tuple[str, str]]:
    """Yield each type of a section on errors that can be read, and the words after its colon."""
    for _, kind, line in _error_lines(body):
        yield kind, line.partition(":")[2]


def _items(said: str, count: int) -> list[str]:
    """Return the judge's words for each of the things that it counted; empty if they cannot be told apart."""
    number = _COUNT.match(said)
    listed = said[number.end() :].strip() if number else ""
    items = [words for item in _SPLIT.split(listed) if (words := item.strip(_DRESS))]
    if len(items) != count:
        items = [listed] if count == 1 else [""] * count
    return items


def _asides_gone(aside: re.Match[str]) -> str:
    """Return what to keep of words in parentheses: nothing, unless they are the letter of another type."""
    return aside[0] if _OTHER_TYPE.fullmatch(aside[0]) else ""


def _matched(body: str) -> int:
    return 0 if _says_none(body) else _number(_ASIDE.sub("", body), "matched findings")


def _number(said: str, what: str) -> int:
    """Return the count at the beginning of a text, or the number of items that it numbers from 1.

    Raises:
        VerdictParseError: there is no number, or the number and the items disagree.
    """
    if _says_none(said):
        return 0
    match = _COUNT.match(said)
    if match is None or _OTHER_TYPE.search(said):
        raise VerdictParseError(f"{what}: expected a number and a full stop, got {shorten(said)}")
    count = a_count(match[1], what)
    items = [(int(item[2]), item["line"] is not None) for item in _ITEM.finditer(said, match.end(1))]
    numbers = [number for number, _ in items]
    first = 2 if count == 1 else 1
    if first in numbers or any(begins_line for _, begins_line in items):
        total = count if first == 1 else len(items) + 1
        if numbers != list(range(first, total + 1)) or (first == 2 and ";" in _BETWEEN.sub("", said)):
            raise VerdictParseError(f"{what}: the number {count} and the list disagree: {shorten(said)}")
        return a_count(str(total), what)
    return count
