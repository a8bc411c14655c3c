"""JSON: one list of objects, or one object of objects by their ids, as ReXrank writes; read piece by piece."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator
from contextlib import closing
from typing import Any, NamedTuple, TextIO

from cxr_rewards.errors import InputError, shorten
from cxr_rewards.files.content import Content
from cxr_rewards.files.csv_table import NOT_UTF8
from cxr_rewards.files.ids import Ids
from cxr_rewards.files.jsonl_table import JsonlTable, object_of_pairs, parse_row
from cxr_rewards.files.patients import CONTEXT, PATIENT, patient_of
from cxr_rewards.files.table import Row, place

LONGEST_ENTRY = 16_000_000
"""Characters within which an entry must end: if it is broken, the rest of the file is not read into memory."""

_BLOCK = 1 << 18
_SPACE = re.compile(r"[ \t\r\n]*")
_KEYS = ("study_id", "id", "key", "entry_key", "row_key")
_TEXT = "report"


class _Entry(NamedTuple):
    line: int
    key: str | None
    raw: str


def _float(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


_decode = json.JSONDecoder(object_pairs_hook=object_of_pairs, parse_constant=lambda _: None, parse_float=_float).decode
_scan = json.JSONDecoder().raw_decode


class _Stream:
    """Text of which only what is being read is held."""

    def __init__(self, file: TextIO, name: str) -> None:
        self._file, self._name = file, name
        self._text, self._at, self._line = "", 0, 1
        self._ended = False

    def entries(self) -> Iterator[_Entry]:
        """Iterate over the entries; after a fault of the whole file, an `InputError`."""
        opening = self._next()
        if opening not in ("{", "["):
            raise self._broken("expected a list of objects, or objects by their ids")
        keyed, closing = opening == "{", "}" if opening == "{" else "]"
        self._at += 1
        if self._next() != closing:
            while True:
                key = self._key() if keyed else None
                self._next()
                line = self._line
                yield _Entry(line, key, self._take(self._scan()[1]))
                mark = self._next()
                self._at += 1
                if mark == closing:
                    break
                if mark != ",":
                    self._at -= 1
                    raise self._broken(f"expected ',' or {closing!r}")
        else:
            self._at += 1
        if self._next():
            raise self._broken("expected the end of the file")

    def _key(self) -> str:
        if self._next() != '"':
            raise self._broken("expected an id in double quotes")
        key, end = self._scan()
        self._take(end)
        if self._next() != ":":
            raise self._broken("expected ':'")
        self._at += 1
        return str(key)

    def _next(self) -> str:
        """Pass over white space, and return the next character; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None
            self._line += self._text.count("\n", self._at, match.end())
            self._at = match.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(_BLOCK):
                return ""

    def _scan(self) -> tuple[Any, int]:
        """Return the value that begins here and its end."""
        count = _BLOCK
        while True:
            try:
                value, end = _scan(self._text, self._at)
            except RecursionError:
                raise self._broken("is nested too deeply") from None
            except json.JSONDecodeError as error:
                wrong = error.pos - self._at
                if len(self._text) - self._at < LONGEST_ENTRY and self._more(count):
                    count *= 2
                    continue
                self._line += self._text.count("\n", self._at, self._at + wrong)
                self._at += wrong
                raise self._broken(error.msg) from None
            if end < len(self._text) or not self._more(count):  # a number may go on
                return value, end

    def _take(self, end: int) -> str:
        raw = self._text[self._at : end]
        self._line += raw.count("\n")
        self._at = end
        return raw

    def _more(self, count: int) -> bool:
        block = "" if self._ended else self._file.read(count)
        self._ended = not block
        self._text, self._at = self._text[self._at :] + block, 0
        return bool(block)

    def _broken(self, what: str) -> InputError:
        found = shorten(self._text[self._at : self._at + 20]) if self._at < len(self._text) else "the end of the file"
        return InputError(
            f"{self._name}: line {self._line:,}: broken JSON: {what}, found {found}; write the file again"
        )


class JsonTable(JsonlTable):
    """A JSON file of rows; cells are any JSON values.

    The keys of an object are a column of ids (`key`), and a value that is a text is a row with one report. NaN is null.
    If rows have a `context` such as ReXrank's (`Age:50-60.Gender:M.Indication: ...`), its parts are columns, too.
    """

    def __init__(self, content: Content) -> None:
        """Read the whole file twice: for the columns and their types, and for ids that occur twice."""
        self._patient: tuple[str, ...] = ()
        super().__init__(content)
        free = [name for name in PATIENT if name not in self._kinds]
        found: set[str] = set()
        with closing(Ids()) as ids:
            for number, (entry, row) in enumerate(zip(self._entries(), self._rows(None), strict=True), 1):
                if entry.key is not None:
                    ids.add(entry.key, number, entry.line, f"{place(self.name, number, entry.line)}: the key")
                    self.key = next(name for name in _KEYS if name not in self._kinds)
                found |= patient_of(row.values.get(CONTEXT)).keys()
        self._patient = tuple(name for name in free if name in found)
        if self.key is not None:
            self._kinds = {self.key: {"str"}, **self._kinds}
        self._kinds |= {name: {"str"} for name in self._patient}
        self.columns = tuple(self._kinds)
        if self._patient:
            self.notes.append(f"{', '.join(self._patient)} come from {CONTEXT!r}")

    def _rows(self, columns: Collection[str] | None) -> Iterator[Row]:  # noqa: ARG002 - all cells are read anyway
        for number, entry in enumerate(self._entries(), 1):
            values, problem = self._read(entry.raw)
            if self.key is not None:
                values = {self.key: entry.key, **values}
            if self._patient:
                told = patient_of(values.get(CONTEXT))
                values |= {name: told.get(name) for name in self._patient}
            where = place(self.name, number, entry.line)
            yield Row(self.name, number, entry.line, values, InputError(where + problem) if problem else None)

    def _entries(self) -> Iterator[_Entry]:
        with self._content.readable.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from _Stream(file, self.name).entries()

    @staticmethod
    def _read(raw: str) -> tuple[dict[str, object], str]:
        if raw.startswith('"') and not NOT_UTF8.search(raw):
            text = json.loads(raw)
            return parse_row(json.dumps({_TEXT: text}).encode())
        return parse_row(raw.encode("utf-8", "surrogateescape"), _decode)
