"""CheXprompt: six types of errors, clinically significant or not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from cxr_rewards.errors import VerdictParseError, shorten
from cxr_rewards.features.judge_reply import JudgeReply
from cxr_rewards.judges.reading import MOST, a_count, a_list, a_text, a_truth, answer_of, json_in, only_keys

TYPES = "ABCDEF"
SORTS = ("significant", "insignificant")

_LINE = re.compile(
    r"Number of clinically (significant|insignificant) errors by type\W*?:\s*[*_`]*\s*"
    r"([\[(].{0,300}?[\])])[*_`. \t]*(?:\n|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_PAIR = re.compile(r"\(\s*['\"]?([A-Za-z])['\"]?\s*,\s*([^(),\s]+)\s*\)")
_ONLY_PAIRS = re.compile(r"[\[(]\s*(?:PAIR\s*,?\s*)*[\])]")


class ChexpromptReply(JudgeReply):
    """The judge's list of errors; `parse` returns their numbers, `{"significant": {"A": 0, ...}, ...}`.

    Read are a JSON object `{"errors": [{"type", "significant", "what"}]}`, and CheXprompt's own two lines, with
    brackets or parentheses around the pairs, with or without an empty line between.

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
        if "errors by type" in text.lower():
            return _lines(text)
        counts = {sort: dict.fromkeys(TYPES, 0) for sort in SORTS}
        data = json_in(reply)
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
    for line in _LINE.finditer(text):
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
            raise VerdictParseError(f"no line of {sort} errors in {shorten(text)}")
    return found
