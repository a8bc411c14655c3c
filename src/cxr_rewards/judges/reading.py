"""Reads answers of judges: what every protocol needs. Whatever is not exactly one verdict is an error, not a guess."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from cxr_rewards.errors import VerdictParseError, shorten

_OPENED = re.compile(r"<(?:think|thinking|reasoning)>", re.IGNORECASE)
_CLOSED = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*```[\w-]*[ \t]*$", re.MULTILINE)
_LONGEST = 200_000
MOST = 50
"""The largest count that is believed: no report makes more errors of one kind."""


def answer_of(reply: str) -> str:
    """Return a reply without the model's reasoning and without code fences.

    Raises:
        VerdictParseError: nothing is left, or the reasoning never ends.
    """
    if len(reply) > _LONGEST:
        raise VerdictParseError(f"the reply has {len(reply):,} characters, more than {_LONGEST:,}")
    *_, text = _CLOSED.split(reply)  # served without a template of its own, a model's reasoning lacks its beginning
    if _OPENED.search(text):
        raise VerdictParseError("the reasoning does not end")
    text = _FENCE.sub("", text).strip()
    if not text:
        raise VerdictParseError("the reply is empty")
    return text


def json_in(reply: str) -> dict[str, Any]:
    r"""Return the one JSON object of a reply; words around it are let pass.

    Raises:
        VerdictParseError: there is none, more than one, or one with a key given twice or a number that is none.

    Example:
        >>> json_in('Here you are:\n```json\n{"errors": []}\n```')
        {'errors': []}
    """
    text = answer_of(reply)
    start = text.find("{")
    if start < 0:
        raise VerdictParseError(f"no JSON object in {shorten(text)}")
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise VerdictParseError("JSON nested too deeply") from None
    except ValueError as error:
        raise VerdictParseError(f"no valid JSON: {error}") from None
    if "{" in text[end:]:
        raise VerdictParseError("more than one JSON object")
    return dict(value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise VerdictParseError(f"a JSON key is given twice: {shorten(next(k for k in keys if keys.count(k) > 1))}")
    return dict(pairs)


def _no_number(name: str) -> Any:
    raise VerdictParseError(f"{name} is no number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number)


def only_keys(data: Mapping[str, Any], required: Iterable[str], optional: Iterable[str] = ()) -> None:
    """Raise `VerdictParseError` unless an object has all required keys and none that is neither."""
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


def a_text(data: Mapping[str, Any], key: str) -> str:
    """Return a text under a key."""
    value = data[key]
    if not isinstance(value, str):
        raise VerdictParseError(f"{key}: expected a text, got {shorten(value)}")
    return value


def a_truth(data: Mapping[str, Any], key: str) -> bool:
    """Return true or false under a key."""
    value = data[key]
    if type(value) is not bool:
        raise VerdictParseError(f"{key}: expected true or false, got {shorten(value)}")
    return value


def a_count(text: str, what: str) -> int:
    """Return a count out of digits.

    Raises:
        VerdictParseError: it is no whole number from 0 to 50.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= MOST):
        raise VerdictParseError(f"{what}: expected a count from 0 to {MOST}, got {shorten(text)}")
    return int(text)
