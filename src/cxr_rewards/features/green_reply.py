"""GREEN: significant and insignificant errors of six types, and matched findings."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import NamedTuple

from cxr_rewards.errors import VerdictParseError, shorten
from cxr_rewards.feature import FeatureTable
from cxr_rewards.features.judge_reply import JudgeReply
from cxr_rewards.judges.reading import a_count, answer_of
from cxr_rewards.settings import setting

TYPES = "abcdef"
_HEADINGS = {
    "explanation": "explanation",
    "clinically significant errors": "significant",
    "clinically insignificant errors": "insignificant",
    "matched findings": "matched",
}
_HEADING = re.compile(r"^[*#\s]*\[(" + "|".join(_HEADINGS) + r")\][ \t]*:?[* \t]*:?", re.IGNORECASE | re.MULTILINE)
_ERROR = re.compile(r"^[-*\s]*\(([a-f1-6])\)([^\n]*)$", re.IGNORECASE | re.MULTILINE)
_OF_TYPE = re.compile(r":\s*([^\s.;,:]+)\s*(?:[.;,:]|$)")
_MATCHED = re.compile(r"\s*([^\s.;,:]+)\s*(?:[.;:]|$)")
_NONE = re.compile(r"[-*\s]*(?:no|none|n/a|nil)\b", re.IGNORECASE)


class Green(NamedTuple):
    """Numbers of errors by type, `a` to `f`, and of matched findings."""

    significant: dict[str, int]
    insignificant: dict[str, int]
    matched: int


class GreenReply(JudgeReply):
    """The judge's reply in GREEN's sections; `parse` returns their numbers.

    Each of the sections on errors and on matched findings must be there, each at most once; a section that says "No
    ..." counts 0. Types may be numbered 1 to 6 instead of lettered. (Upstream, a missing section counts 0.)

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
    def parse(cls, reply: str) -> Green:
        """Return the numbers of a reply."""
        text = answer_of(reply)
        headings = list(_HEADING.finditer(text))
        sections: dict[str, str] = {}
        for heading, following in zip_longest(headings, headings[1:]):
            name = _HEADINGS[heading[1].lower()]
            if name in sections:
                raise VerdictParseError(f"the section [{heading[1]}] is given twice")
            sections[name] = text[heading.end() : following.start() if following else len(text)].strip()
        for title, name in _HEADINGS.items():
            if name not in sections and name != "explanation":
                raise VerdictParseError(f"no section [{title.title()}] in {shorten(text)}")
        return Green(
            _errors(sections["significant"]), _errors(sections["insignificant"]), _matched(sections["matched"])
        )


def _first(text: str, words: int) -> str:
    """Return the beginning of a text up to a number of words."""
    ends = [word.end() for word in re.finditer(r"\S+", text)]
    return text if len(ends) <= words else text[: ends[words - 1]]


def _errors(body: str) -> dict[str, int]:
    counts = dict.fromkeys(TYPES, 0)
    lines = _ERROR.findall(body)
    if not lines:
        if not _NONE.match(body):
            raise VerdictParseError(f"expected lines such as `(a) ...: 1. ...` or `No ...`, got {shorten(body)}")
        return counts
    seen = set()
    for letter, rest in lines:
        kind = TYPES[int(letter) - 1] if letter.isdigit() else letter.lower()
        number = _OF_TYPE.search(rest)
        if kind in seen or number is None:
            raise VerdictParseError(f"({letter}): {'given twice' if kind in seen else f'no number in {shorten(rest)}'}")
        seen.add(kind)
        counts[kind] = a_count(number[1], f"({letter})")
    return counts


def _matched(body: str) -> int:
    if _NONE.match(body):
        return 0
    number = _MATCHED.match(body)
    if number is None:
        raise VerdictParseError(f"matched findings: expected `<number>. ...` or `No ...`, got {shorten(body)}")
    return a_count(number[1], "matched findings")
