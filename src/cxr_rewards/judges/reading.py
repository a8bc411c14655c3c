"""Reads replies of judges, for every protocol. Whatever is not exactly one verdict is an error, not a guess."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from cxr_rewards.errors import VerdictParseError, shorten
from cxr_rewards.judges.quoting import leads_to_quote, line_before, marked_quotes, within
from cxr_rewards.text.reasoning import final_answer

_LONGEST = 200_000
_ATTEMPTS = 100
_HIDE = "\x00"
_HIDDEN = re.compile(f"{_HIDE}verdict (\\d+){_HIDE}")
_QUOTES = ('"', "'", "“", "”", "‘", "’", "«", "»")
MOST = 50
"""Largest count that is believed: no report has more errors of one kind."""


def answer_of(reply: str) -> str:
    """Return a reply without the model's reasoning, chat tokens, answer tags and boxes.

    Raises:
        VerdictParseError: nothing is left, or the reasoning never ends.
    """
    if len(reply) > _LONGEST:
        raise VerdictParseError(f"the reply has {len(reply):,} characters, more than {_LONGEST:,}")
    hidden, objects = _hide_objects(reply)  # marks of reasoning inside JSON do not count
    text, ended = final_answer(hidden)
    if not ended:
        raise VerdictParseError("the reasoning does not end")
    text = _HIDDEN.sub(lambda place: objects[int(place[1])], text).strip()
    if not text:
        raise VerdictParseError("the reply is empty")
    return text


def _hide_objects(reply: str) -> tuple[str, list[str]]:
    """Return a reply with a placeholder for each JSON object, and the objects."""
    reply = reply.replace(_HIDE, " ")
    kept: list[str] = []
    objects: list[str] = []
    done, failures = 0, 0
    start = reply.find("{")
    while start >= 0 and failures < _ATTEMPTS:
        end = start + 1
        try:
            _, end = _decode(reply, start)
        except VerdictParseError:
            failures += 1
        else:
            kept.append(f"{reply[done:start]}{_HIDE}verdict {len(objects)}{_HIDE}")
            objects.append(reply[start:end])
            done = end
        start = reply.find("{", end)
    return "".join((*kept, reply[done:])), objects


def json_in(reply: str) -> dict[str, Any]:
    r"""Return the one JSON object of a reply, whatever words stand around it.

    Raises:
        VerdictParseError: there is none, more than one, or one with a repeated key or a value such as NaN.

    Example:
        >>> json_in('Here you are:\n```json\n{"errors": []}\n```')
        {'errors': []}
        >>> json_in('The candidate says {"errors": []}. My verdict: {"errors": [1]}')
        {'errors': [1]}
    """
    text = answer_of(reply)
    data = own_object(text)
    if data is None:
        raise VerdictParseError(f"no JSON object in {shorten(text)}")
    return data


def own_object(text: str) -> dict[str, Any] | None:
    """Return the one JSON object of an answer that is not quoted; None if there is none.

    An object is quoted between a report's marks, in lines that begin with `>`, or after words that introduce a quote.

    Raises:
        VerdictParseError: as for `json_in`.
    """
    marked = marked_quotes(text)
    own: dict[str, Any] | None = None
    start = text.find("{")
    while start >= 0:
        end = start + 1
        if not within(marked, start):
            value, end = _decode(text, start)
            is_alone = text.strip("\"'") == text[start:end]
            is_quoted = leads_to_quote(line_before(text, start)) or _is_between_quotes(text, start, end)
            if is_alone or not is_quoted:
                if own is not None:
                    raise VerdictParseError("more than one JSON object")
                own = value
        start = text.find("{", end)
    return own


def _is_between_quotes(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start] in _QUOTES and text[end : end + 1] in _QUOTES


def _decode(text: str, start: int) -> tuple[dict[str, Any], int]:
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise VerdictParseError("JSON nested too deeply") from None
    except ValueError as error:
        raise VerdictParseError(f"no valid JSON: {error}") from None
    return dict(value), end


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise VerdictParseError(f"a JSON key is given twice: {shorten(next(k for k in keys if keys.count(k) > 1))}")
    return dict(pairs)


def _no_number(name: str) -> object:
    raise VerdictParseError(f"{name} is not a number")


# Not strict: a quoted report may have line breaks.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number, strict=False)


def only_keys(data: Mapping[str, object], required: Iterable[str], optional: Iterable[str] = ()) -> None:
    """Raise `VerdictParseError` unless an object has all required keys, and no others but the optional ones."""
    required = set(required)
    if missing := required - data.keys():
        raise VerdictParseError(f"{sorted(missing)} missing in {shorten(dict(data))}")
    if more := data.keys() - required - set(optional):
        raise VerdictParseError(f"unknown {sorted(more)} in {shorten(dict(data))}")


def a_list(data: Mapping[str, Any], key: str, kind: type = dict) -> list[Any]:
    """Return a list of objects (or of another type) under a key."""
    value = data[key]
    if not isinstance(value, list) or not all(type(entry) is kind for entry in value):
        raise VerdictParseError(f"{key}: expected a list of {kind.__name__}, got {shorten(value)}")
    return value


def a_text(data: Mapping[str, object], key: str) -> str:
    """Return a text under a key."""
    value = data[key]
    if not isinstance(value, str):
        raise VerdictParseError(f"{key}: expected a text, got {shorten(value)}")
    return value


def a_truth(data: Mapping[str, object], key: str) -> bool:
    """Return true or false under a key."""
    value = data[key]
    if type(value) is not bool:
        raise VerdictParseError(f"{key}: expected true or false, got {shorten(value)}")
    return value


def a_count(text: str, what: str) -> int:
    """Return the count in a text of digits.

    Raises:
        VerdictParseError: it is not a whole number from 0 to 50.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= MOST):
        raise VerdictParseError(f"{what}: expected a count from 0 to {MOST}, got {shorten(text)}")
    return int(text)
