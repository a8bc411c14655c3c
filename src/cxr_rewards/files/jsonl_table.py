"""JSONL: one JSON object a line, UTF-8; blank lines do not count as rows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from cxr_rewards.errors import InputError, shorten
from cxr_rewards.files.content import Content
from cxr_rewards.files.table import Row, Table, place

if TYPE_CHECKING:
    import polars as pl

MAX_COLUMNS = 1_000
"""Limit on the different keys of a file: if there are more, data was used as keys, and would fill the memory."""

MAX_DEPTH = 100
"""Limit on the nesting of lists and objects: deeper ones could be read, but not written again."""

_TOO_DEEP = f": is nested more than {MAX_DEPTH} levels deep; flatten it"
_INT64 = 2**63
_EXACT_AS_FLOAT = 2**53


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value; write null")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {shorten(text, 20)} is too large; write null or text")
    return value


def object_of_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {shorten(twice)} appears twice; rename or drop one")
    return values


_decode = json.JSONDecoder(object_pairs_hook=object_of_pairs, parse_constant=_no_constant, parse_float=_float).decode
decode_leniently = json.JSONDecoder(
    parse_constant=lambda _: None, parse_float=lambda text: None if math.isinf(float(text)) else float(text)
).decode


def parse_row(raw: bytes, decode: Callable[[str], Any] = _decode) -> tuple[dict[str, object], str]:
    """Return the fields of a line, as far as they can be read, and its problem."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        column = len(raw[: error.start].decode()) + 1
        byte = raw[error.start]
        return _rescue(
            raw
        ), f", column {column}: byte 0x{byte:02X} is not UTF-8; save the file as UTF-8, or name its --encoding"
    try:
        values = decode(text)
    except json.JSONDecodeError as error:
        return {}, f", column {error.colno}: broken JSON: {error.msg}; each line must be one whole JSON object"
    except RecursionError:
        return {}, _TOO_DEEP
    except ValueError as error:
        return _rescue(raw), f": {error}"
    if type(values) is not dict:
        return {}, f': expected a JSON object such as {{"candidate": "...", "reference": "..."}}, got {shorten(values)}'
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _deep(values):
        return _rescue(raw), _TOO_DEEP
    if (b"\\ud" in raw or b"\\uD" in raw) and _half_pair(values):
        return _rescue(raw), ": has half of a surrogate pair (\\ud800 to \\udfff), which is not a character; remove it"
    return values, ""


def _deep(value: object) -> bool:
    """Return whether lists and objects are nested deeper than `MAX_DEPTH`."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        nested = [item for item in level if isinstance(item, (dict, list))]
        if not nested:
            return False
        level = [part for item in nested for part in (item.values() if isinstance(item, dict) else item)]
    return True


def _half_pair(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _rescue(raw: bytes) -> dict[str, object]:
    """Read a line that is JSON except for a detail, and leave out values that cannot be written again."""
    try:
        values = decode_leniently(raw.decode(errors="replace"))
    except (ValueError, RecursionError):
        return {}
    if type(values) is not dict:
        return {}
    return {key: value for key, value in values.items() if not _deep(value) and not _half_pair([key, value])}


def _kind(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) <= _EXACT_AS_FLOAT:
            return "int"
        return "long" if -_INT64 <= value < _INT64 else "nested"
    return {bool: "bool", float: "float", str: "str"}.get(type(value), "nested")


class JsonlTable(Table):
    """A JSONL file; cells are any JSON values, and a row may lack a key."""

    def __init__(self, content: Content) -> None:
        """Read the whole file once for the columns and their types."""
        super().__init__(content)
        kinds: dict[str, set[str]] = {}
        first_error = None
        row = None
        for row in self._rows(None):
            first_error = first_error or row.error
            for name, value in row.values.items():
                seen = kinds.setdefault(name, set())
                if value is not None:
                    seen.add(_kind(value))
            if len(kinds) > MAX_COLUMNS:
                raise InputError(
                    f"{row.where}: more than {MAX_COLUMNS:,} different keys; use the same keys in every row"
                )
        if row is None:
            raise InputError(f"{self.name}: has only blank lines; expected at least one row")
        if not kinds:
            raise InputError(
                f"{self.name}: no line can be read as a JSON object; the first: {first_error or 'is empty'}"
            )
        self.columns = tuple(kinds)
        self._kinds = kinds

    def schema(self) -> dict[str, pl.DataType]:
        """Return one type a column: Boolean, Int64, Float64 or String; mixed and nested values are JSON text."""
        import polars as pl

        def dtype(seen: set[str]) -> pl.DataType:
            if seen == {"bool"}:
                return pl.Boolean()
            if seen and seen <= {"int", "long"}:
                return pl.Int64()
            if seen and seen <= {"int", "float"}:
                return pl.Float64()
            return pl.String()

        return {name: dtype(seen) for name, seen in self._kinds.items()}

    def _series(self, name: str, kind: pl.DataType, chunk: Sequence[Mapping[str, Any]]) -> pl.Series:
        import polars as pl

        cells = [values.get(name) for values in chunk]
        if kind == pl.String() and not self._kinds[name] <= {"str"}:
            cells = [None if cell is None else json.dumps(cell, ensure_ascii=False) for cell in cells]
        elif kind == pl.Float64():
            cells = [None if cell is None else float(cell) for cell in cells]
        return pl.Series(name, cells, dtype=kind)

    def _rows(self, columns: Collection[str] | None) -> Iterator[Row]:  # noqa: ARG002 - all cells are read anyway
        path = self.name
        number = 0
        with self._content.readable.open("rb") as file:
            for line, raw in enumerate(file, 1):
                if line == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                if raw.isspace() or not raw:
                    continue
                number += 1
                values, problem = parse_row(raw.rstrip(b"\r\n"))
                yield Row(
                    path, number, line, values, InputError(place(path, number, line) + problem) if problem else None
                )
