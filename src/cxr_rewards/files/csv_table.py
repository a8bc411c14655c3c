"""CSV: fields separated by commas (a TSV by tabs) or by what the header shows, quoted by `"`, one header line.

If a record is broken, only its first physical line is lost.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Collection, Iterator
from itertools import islice
from typing import NamedTuple, TextIO

from cxr_rewards.errors import InputError, shorten
from cxr_rewards.files.content import Content
from cxr_rewards.files.table import Row, Table, place

LOOK_AHEAD = 1_000_000
"""Characters after a record's first line within which it must end: ten times the longest text that is scored."""

NOT_UTF8 = re.compile("[\udc80-\udcff]")  # surrogateescape marks a byte that is not UTF-8 like this
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
"""Delimiters that are looked for, by name."""

_EXCEL_MARK = re.compile(r"\ufeff?sep=([,;\t|])\r?\n")  # as a first line it tells Excel the delimiter
_LONGEST_MARK = 10
_SNIFFED = 50
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
            if not line.isascii() and NOT_UTF8.search(line):
                self.not_utf8 = True
            yield line

    def put_back(self) -> str:
        """Put back all lines of the record but the first, and return that one."""
        self._again.extendleft(reversed(self.taken[1:]))
        return self.taken[0]


def _records(file: TextIO, delimiter: str, width: int | None = None, line: int = 1) -> Iterator[_Record]:
    """Split into records; the first sets how many fields are expected, unless `width` does."""
    csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))  # the default, 131,072, would end the whole file
    lines = _Lines(file)
    taken = lines.taken
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
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

    def __init__(self, content: Content, delimiter: str | None = None, usual: str = ",") -> None:
        """Read the header and look for a first row.

        Args:
            content: in UTF-8.
            delimiter: between fields; `None`: the usual one, or another if the header holds only that and the first
                rows agree.
            usual: delimiter of this kind of file.
        """
        super().__init__(content)
        self._skipped, self._usual = 0, usual
        self._delimiter = delimiter or self._found(usual)
        with self._open() as file:
            records = self._records(file)
            header = next(records, None)
            if header is None:
                raise InputError(f"{self.name}: has only blank lines; expected a header and at least one row")
            self.columns = self._names(header)
            if next(records, None) is None:
                names = ", ".join(self.columns)
                raise InputError(f"{self.name}: has a header ({names}) but no rows; add rows below it")
        if self._delimiter != (delimiter or usual):
            self.notes.append(f"fields are separated by {self._delimiter!r}; --delimiter names another")

    def fingerprint(self) -> dict[str, int | str]:
        """Return size and SHA-256 of the content, and how it was read if that is not as usual."""
        return {**super().fingerprint(), **({} if self._delimiter == self._usual else {"delimiter": self._delimiter})}

    def _open(self) -> TextIO:
        # newline="" keeps line breaks inside quotes; with surrogateescape a bad byte spoils one cell only.
        return self._content.readable.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _records(self, file: TextIO, width: int | None = None, delimiter: str = "") -> Iterator[_Record]:
        for _ in range(self._skipped):
            file.readline()
        return _records(file, delimiter or self._delimiter, width, 1 + self._skipped)

    def _found(self, usual: str) -> str:
        """Return the usual delimiter, or the one other that the header and the first rows agree on."""
        with self._open() as file:
            if marked := _EXCEL_MARK.fullmatch(file.readline(_LONGEST_MARK)):
                self._skipped = 1
                return marked[1]
        with self._open() as file:
            header = next(self._records(file, delimiter=usual), None)
        if header is None or (len(header.fields) > 1 and not header.problem):
            return usual
        others = [mark for mark in DELIMITERS.values() if mark != usual and mark in "".join(header.fields)]
        fitting = [mark for mark in others if self._fits(mark)]
        if len(fitting) == 1:
            return fitting[0]
        if others and not header.problem:
            seems = f"{self.name}: header (line {header.line}) seems to be separated by "
            seems += " or ".join(map(repr, fitting or others))
            why = "and the first rows fit both" if fitting else "but the first rows do not fit that"
            raise InputError(f"{seems}, {why}; name the delimiter with --delimiter")
        return usual

    def _fits(self, delimiter: str) -> bool:
        with self._open() as file:
            records = list(islice(self._records(file, delimiter=delimiter), _SNIFFED))
        counts = {len(record.fields) for record in records}
        good = all(record.problem in ("", "not UTF-8") for record in records)
        return len(records) > 1 and good and len(counts) == 1 and counts != {1}

    def _names(self, header: _Record) -> tuple[str, ...]:
        names = header.fields
        at = f"{self.name}: header (line {header.line})"
        if any("\0" in name for name in names):
            raise InputError(
                f"{at} has NUL bytes: the file is UTF-16 or binary; name its encoding, such as --encoding utf-16-le, "
                "or save it as UTF-8 CSV"
            )
        if header.problem == "not UTF-8":
            raise InputError(f"{at} has bytes that are not {self._encoding}; {self._recode}")
        if header.problem:
            raise InputError(f"{at} {header.problem}")
        if self._delimiter != self._usual and len(names) == 1:
            raise InputError(f"{at} has no {self._delimiter!r}; name the delimiter with --delimiter, or leave it out")
        if not any(name.strip() for name in names):
            raise InputError(f"{at} names no column; write the names of the columns there")
        blank = [i for i, name in enumerate(names) if not name.strip()]
        for i in blank:
            names[i] = f"Unnamed: {i}"
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{at}: column name {shorten(twice[0])} appears twice; rename one of them")
        if blank:
            self.notes.append(f"columns without a name are called as pandas does: {', '.join(names[i] for i in blank)}")
        return tuple(names)

    @property
    def _encoding(self) -> str:
        return self._content.encoding.upper()

    @property
    def _recode(self) -> str:
        if self._content.encoding == "utf-8":
            return "save the file as UTF-8, or name its encoding with --encoding (it may be Windows-1252 or Latin-1)"
        return "name another --encoding"

    def _rows(self, columns: Collection[str] | None) -> Iterator[Row]:  # noqa: ARG002 - all cells are read anyway
        names, path = self.columns, self.name
        with self._open() as file:
            records = self._records(file, len(names))
            next(records)
            for number, (line, fields, problem) in enumerate(records, 1):
                if problem:
                    yield self._bad(number, line, fields, problem)
                else:
                    yield Row(path, number, line, dict(zip(names, fields, strict=True)))

    def _bad(self, number: int, line: int, fields: list[str], problem: str) -> Row:
        at = place(self.name, number, line)
        values = dict.fromkeys(self.columns, "") | dict(zip(self.columns, fields, strict=False))
        message = f"{at} {problem}"
        for name, value in values.items():
            if bad := NOT_UTF8.search(value):
                values[name] = NOT_UTF8.sub("\ufffd", value)
                if problem == "not UTF-8":
                    byte = ord(bad[0]) - 0xDC00
                    problem = "described"
                    message = (
                        f"{at}, column {name!r}: byte 0x{byte:02X} after {bad.start()} characters is not "
                        f"{self._encoding}; {self._recode}"
                    )
        return Row(self.name, number, line, values, InputError(message))
