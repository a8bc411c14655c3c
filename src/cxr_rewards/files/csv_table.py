"""CSV: separated by commas (a TSV by tabs), quoted by `"`, UTF-8, one header line.

If a record is broken, only its first physical line is lost.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from cxr_rewards.errors import InputError, shorten
from cxr_rewards.files.table import Row, Table, format_of, place

LOOK_AHEAD = 1_000_000
"""Characters after a record's first line within which it must end: ten times the longest text that is scored."""

_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # surrogateescape marks a byte that is not UTF-8 like this
_QUOTING = "quote fields that hold commas, quotes or line breaks, and double the quotes inside them"


class _Record(NamedTuple):
    line: int
    fields: list[str]
    problem: str = ""


class _Lines:
    """The physical lines; those of the current record can be put back if it is broken."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.not_utf8 = False

    def __iter__(self) -> Iterator[str]:
        ahead = 0
        taken, again, file = self.taken, self._again, self._file
        while True:
            if not taken:
                ahead = 0
            elif ahead > LOOK_AHEAD:
                return
            line = again.popleft() if again else next(file, "")
            if not line:
                return
            if taken:
                ahead += len(line)
            taken.append(line)
            if not line.isascii() and _NOT_UTF8.search(line):
                self.not_utf8 = True
            yield line

    def put_back(self) -> str:
        """Put back all lines of the record but the first, and return that one."""
        self._again.extendleft(reversed(self.taken[1:]))
        return self.taken[0]


def _records(file: TextIO, delimiter: str, width: int | None = None) -> Iterator[_Record]:
    """Split into records; the first sets how many fields are expected, unless `width` does."""
    csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))  # the default, 131,072, would end the whole file
    lines = _Lines(file)
    taken = lines.taken
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    line = 1
    while True:
        taken.clear()
        lines.not_utf8 = False
        problem = ""
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            fields, problem = _salvage(taken[0], delimiter)
        else:
            if not fields:  # a blank line is not a row
                line += 1
                continue
            if width is None:
                width = len(fields)
            if len(fields) != width:
                problem = _miscounted(fields, width, line, len(taken))
        if not problem:
            yield _Record(line, fields, "not UTF-8" if lines.not_utf8 else "")
            line += len(taken)
            continue
        first = lines.put_back()
        if len(taken) > 1:
            fields = _salvage(first, delimiter)[0]
        reader = csv.reader(
            iter(lines), delimiter=delimiter, strict=True
        )  # the old one has ended, or is in the middle of a quote
        yield _Record(line, fields, problem)
        line += 1


def _salvage(line: str, delimiter: str) -> tuple[list[str], str]:
    """Return the fields of a broken record's first line, and its problem."""
    fields = next(csv.reader([line], delimiter=delimiter))
    fields[-1] = fields[-1].rstrip("\r\n")
    try:
        next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error as error:
        if "expected after" in str(error):
            return fields, f"has text after the closing quote of a field; {_QUOTING}"
    return fields, f"has a quote that is not closed properly; close it, or {_QUOTING}"


def _miscounted(fields: list[str], width: int, line: int, lines: int) -> str:
    count = f"has {len(fields)} field{'s' * (len(fields) != 1)}"
    if lines == 1:
        return f"{count}, expected {width}; {_QUOTING}"
    return f"{count} over lines {line} to {line + lines - 1}, expected {width}: a quote is not closed; {_QUOTING}"


class CsvTable(Table):
    """A CSV or TSV file; every cell is text."""

    def __init__(self, path: Path) -> None:
        """Read the header and look for a first row."""
        super().__init__(path)
        self._delimiter = "\t" if format_of(path) == "tsv" else ","
        with self._open() as file:
            records = _records(file, self._delimiter)
            header = next(records, None)
            if header is None:
                raise InputError(f"{path}: has only blank lines; expected a header and at least one row")
            self.columns = self._names(header)
            if next(records, None) is None:
                raise InputError(f"{path}: has a header ({', '.join(self.columns)}) but no rows; add rows below it")

    def _open(self) -> TextIO:
        # newline="" keeps line breaks inside quotes; with surrogateescape a bad byte spoils one cell only.
        return self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _names(self, header: _Record) -> tuple[str, ...]:
        names = header.fields
        at = f"{self.path}: header (line {header.line})"
        if any("\0" in name for name in names):
            raise InputError(f"{at} has NUL bytes: the file is UTF-16 or binary; save it as UTF-8 CSV")
        if header.problem == "not UTF-8":
            raise InputError(f"{at} has bytes that are not UTF-8; save the file as UTF-8")
        if header.problem:
            raise InputError(f"{at} {header.problem}")
        if len(names) == 1 and (separators := [mark for mark in (";", "\t", "|", ",") if mark in names[0]]):
            wanted = "commas" if self._delimiter == "," else "tabs"
            raise InputError(f"{at} is separated by {separators[0]!r}; save the file with {wanted}")
        blank = [str(i) for i, name in enumerate(names, 1) if not name.strip()]
        if blank:
            raise InputError(
                f"{at}: column {', '.join(blank)} has no name; name it or leave it out (pandas: to_csv(index=False))"
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{at}: column name {shorten(twice[0])} appears twice; rename one of them")
        return tuple(names)

    def _rows(self, columns: Collection[str] | None) -> Iterator[Row]:  # noqa: ARG002 - all cells are read anyway
        names, path = self.columns, str(self.path)
        with self._open() as file:
            records = _records(file, self._delimiter, len(names))
            next(records)
            for number, (line, fields, problem) in enumerate(records, 1):
                if problem:
                    yield self._bad(number, line, fields, problem)
                else:
                    yield Row(path, number, line, dict(zip(names, fields, strict=True)))

    def _bad(self, number: int, line: int, fields: list[str], problem: str) -> Row:
        at = place(str(self.path), number, line)
        values = dict.fromkeys(self.columns, "") | dict(zip(self.columns, fields, strict=False))
        message = f"{at} {problem}"
        for name, value in values.items():
            if bad := _NOT_UTF8.search(value):
                values[name] = _NOT_UTF8.sub("\ufffd", value)
                if problem == "not UTF-8":
                    byte = ord(bad[0]) - 0xDC00
                    problem = "described"
                    message = (
                        f"{at}, column {name!r}: byte 0x{byte:02X} after {bad.start()} characters is not UTF-8; "
                        "save the file as UTF-8 (it may be Windows-1252 or Latin-1)"
                    )
        return Row(str(self.path), number, line, values, InputError(message))
