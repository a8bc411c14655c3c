"""CheXprompt: six types of errors, clinically significant or not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from cxr_rewards.errors import VerdictParseError, shorten
from cxr_rewards.features.judge_reply import JudgeReply
from cxr_rewards.judges.quoting import open_introductions, own_matches
from cxr_rewards.judges.reading import MOST, a_count, a_list, a_text, a_truth, answer_of, only_keys, own_object

TYPES = "ABCDEF"
SORTS = ("significant", "insignificant")

_LINE = re.compile(
    r"^[ \t*_#\-\d.)]*Number of clinically (significant|insignificant) errors by type\W{0,20}?:[\s*_`]*"
    r"([\[(](?:(?!number of clinically).){0,300}?[\])])[*_`. \t]*(?:\n|\Z)",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_PAIR = re.compile(r"\(\s*['\"]?([A-Za-z])['\"]?\s*,\s*([^(),\s]+)\s*\)")
_ONLY_PAIRS = re.compile(r"[\[(]\s*(?:PAIR\s*,?\s*)*[\])]")


class ChexpromptReply(JudgeReply):
    """The judge's list of errors; `parse` returns their numbers, `{"significant": {"A": 0, ...}, ...}`.

    Read are a JSON object `{"errors": [{"type", "significant", "what"}]}`, and, of a reply without one, CheXprompt's
    own two lines, with brackets or parentheses around the pairs, with or without an empty line between. A verdict that
    the judge quotes, in either form, does not count.

    Source: CheXprompt (Nat Commun 16:3108), repository at 8cfddec, for the types and the two lines.
    """

    name = "chexprompt_reply"
    version = 1
    prompt = "chexprompt_v1"
    schema: ClassVar[Mapping[str, Any]] = {
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
        counts = {sort: dict.fromkeys(TYPES, 0) for sort in SORTS}
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


def _lines(text: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for line in _own_lines(text):
        sort = line[1].lower()
        if sort in found:
            raise VerdictParseError(f"the line of {sort} errors is given twice")
        pairs: list[tuple[str, Any]] = _PAIR.findall(line[2])
        if not _ONLY_PAIRS.fullmatch(_PAIR.sub("PAIR", line[2])):
            raise VerdictParseError(f"expected pairs such as (A, 0), got {shorten(line[2])}")
        if sorted(kind.upper() for kind, _ in pairs) != list(TYPES):
            raise VerdictParseError(f"expected each type from A to F once, got {shorten(line[2])}")
        found[sort] = {kind.upper(): a_count(number, f"type {kind}") for kind, number in pairs}
    for sort in SORTS:
        if sort not in found:
            raise VerdictParseError(f"no JSON object, and no line of {sort} errors, in {shorten(text)}")
    return found


def _own_lines(text: str) -> list[re.Match[str]]:
    """Return the lines that are not quoted: behind words that introduce a quote, one line of each sort is one."""
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
