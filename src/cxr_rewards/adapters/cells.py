"""Reads the cells of a trainer's columns: plain values from numpy, pandas, Arrow or torch, empty cells, wordless ones.

A cell that cannot be read raises `InputError`, which `read` turns into the failure of its own case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from cxr_rewards.core.engine import is_absent
from cxr_rewards.core.filling import failure_of, kind_of
from cxr_rewards.errors import InputError, SetupError, shorten
from cxr_rewards.types import Failure

_UNWRAP = ("as_py", "to_pylist", "tolist", "to_list")
"""Methods by which Arrow, numpy, pandas, polars and torch return Python's own values."""
_EMPTY_TYPES = ("NAType", "NaTType")
Cell = TypeVar("Cell")
Value = TypeVar("Value")


def read(how: Callable[[Cell], Value], cell: Cell) -> Value | Failure:
    """Return the result of `how` for a cell, or a `Failure` that says why the cell cannot be read."""
    try:
        return how(cell)
    except SetupError:
        raise
    except InputError as error:
        return Failure("rollout", str(error), "missing_text" if is_absent(cell) else kind_of(error))
    except Exception as error:  # noqa: BLE001 - whatever a foreign object raises, it costs its own case only
        return failure_of("rollout", error)


def plain(cell: object) -> object:
    """Return a cell as Python's own value, and None for an empty one (None, NaN, `pandas.NA`).

    Example:
        >>> import numpy as np
        >>> plain(np.float64(60.0)), plain(np.array(["a", "b"])), plain(float("nan"))
        (60.0, ['a', 'b'], None)
    """
    if isinstance(cell, str):
        return str.__str__(cell)  # numpy's texts become Python's
    if type(cell).__name__ in _EMPTY_TYPES:
        return None
    try:
        unwrap = next((getattr(cell, name) for name in _UNWRAP if hasattr(cell, name)), None)
        cell = cell if unwrap is None else unwrap()
    except Exception:  # noqa: BLE001 - a foreign object that cannot be unwrapped stays as it is
        return cell
    return None if isinstance(cell, float) and cell != cell else cell  # noqa: PLR0124 - NaN is an empty cell


def rows_of(cells: object) -> list[object] | None:
    """Return the cells of a column in order; None if it is not a column.

    A column is a list, a tuple, an array, a Series, a tensor, a column of `datasets`, or any other iterable that is
    neither a text nor a mapping.
    """
    if isinstance(cells, str | bytes | Mapping) or not isinstance(cells, Iterable):
        return None
    try:
        return list(cells)  # not cells[i], which pandas takes for a label
    except TypeError:  # an array without dimensions
        return None


def completion_of_cell(cell: object) -> object:
    """Return a completion as a text or messages of plain values.

    Raises:
        InputError: it holds no text: a number, bytes, an image, a message without content.
    """
    given = _message(cell)
    if isinstance(given, str):
        return given
    several = isinstance(given, list | tuple)
    messages = [_message(one) for one in given] if isinstance(given, list | tuple) else [given]
    if messages and not any(isinstance(one, Mapping) and "content" in one for one in messages):
        raise InputError(f"a completion must be a text, a message or a list of messages, got {shorten(cell)}")
    said = [one for one in messages if isinstance(one, Mapping) and one.get("role", "assistant") == "assistant"]
    if said and _is_wordless(said[-1].get("content")):
        raise InputError(f"a completion must hold text, got {shorten(cell)}")
    return messages if several else messages[0]


def _message(cell: object) -> object:
    """Return a message with plain values; other cells as `plain` does."""
    if hasattr(cell, "model_dump"):  # verifiers' messages
        cell = cell.model_dump()
    cell = plain(cell)
    if isinstance(cell, Mapping) and "content" in cell:
        return {**cell, "content": plain(cell["content"])}
    return cell


def _is_wordless(content: object) -> bool:
    if not isinstance(content, list | tuple) or not content:
        return False
    texts = (part.get("text") if isinstance(part, Mapping) else part for part in content)
    return not any(isinstance(text, str) for text in texts)


def text_cell(cell: object) -> object:
    """Return the text in a cell; any other value unchanged, because the engine makes it the case's failure."""
    text = plain(cell)
    return text if isinstance(text, str) else cell


def priors_of(cell: Any) -> tuple[Any, ...]:
    """Return the priors in a cell: a list, a JSON list, one text, or none.

    An empty cell (None, NaN, a blank text) has none, and blank texts of a list are left out. Anything else in a list,
    even None, stays in it and leaves the case unscored, because nobody can tell which report is missing.

    Raises:
        InputError: it holds something else.

    Example:
        >>> priors_of('["Clear.", "Effusion."]'), priors_of("Clear."), priors_of(None), priors_of(" ")
        (('Clear.', 'Effusion.'), ('Clear.',), (), ())
    """
    cell = plain(cell)
    if isinstance(cell, str):
        listed = _json(cell, "[")
        if listed is None:
            return (cell,) if cell.strip() else ()
        cell = listed
    if cell is None:
        return ()
    if isinstance(cell, list | tuple):
        texts = [text_cell(one) for one in cell]
        return tuple(text for text in texts if not isinstance(text, str) or text.strip())
    raise InputError(f"priors must be a text or a list of texts, got {shorten(cell)}")


def name_of(cell: object) -> str | None:
    """Return a cell as text, and None for an empty one."""
    value = plain(cell)
    return None if value is None else str(value)


def context_of(cells: Mapping[str, object]) -> dict[str, str]:
    """Return the context in cells by key, as texts, without the empty ones."""
    return {key: name for key, cell in cells.items() if (name := name_of(cell)) is not None}


def fields_of(cell: object) -> Mapping[str, object]:
    """Return the fields that come with a sample: an object, or one as JSON; none for an empty cell or prose.

    Raises:
        InputError: it holds something else, such as damaged JSON, whose priors would be lost silently.

    Example:
        >>> fields_of('{"priors": ["Clear."]}'), fields_of(None)
        ({'priors': ['Clear.']}, {})
    """
    fields = cell.to_dict() if hasattr(cell, "to_dict") else plain(cell)  # a row of pandas
    if isinstance(fields, str):
        fields = _json(fields, "{") if fields.lstrip().startswith(("{", "[")) else {}
    elif fields is None:
        return {}
    if isinstance(fields, Mapping):
        return fields
    raise InputError(f"the fields of a sample must be an object, or one as JSON, got {shorten(cell)}")


def fields_of_label(label: object) -> Mapping[str, object]:
    """Return the fields of a label: a reference report, an object that holds one, or such an object as JSON.

    Raises:
        InputError: it holds no reference.

    Example:
        >>> fields_of_label("Clear lungs."), fields_of_label('{"reference": "Clear.", "priors": []}')
        ({'reference': 'Clear lungs.'}, {'reference': 'Clear.', 'priors': []})
    """
    fields = plain(label)
    if isinstance(fields, str):
        try:
            fields = fields_of(fields) if fields.lstrip().startswith("{") else {"reference": fields}
        except InputError:  # a report that happens to begin with a brace
            fields = {"reference": fields}
    if isinstance(fields, Mapping) and isinstance(text_cell(fields.get("reference")), str):
        return fields
    raise InputError(f"a label must be the reference report, or an object with 'reference'; got {shorten(label)}")


def _json(text: str, begin: str) -> object:
    """Return the JSON value in a text that starts with `begin`; None if there is none."""
    if not text.lstrip().startswith(begin):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
