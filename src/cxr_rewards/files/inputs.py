"""How the input of a run is read: its form, and the file of its references if that is another one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cxr_rewards.errors import InputError
from cxr_rewards.files.formats import TEXT_FORMATS, format_of
from cxr_rewards.files.join import JoinedTable
from cxr_rewards.files.open import open_table
from cxr_rewards.files.table import Table


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Options of reading.

    Attributes:
        kind, encoding, delimiter, sheet: as of `open_table`. For the references they count as far as their format has
            them.
        references: the file of the references; `None` if they are beside the candidates.
        on: the column that joins both files, as of `JoinedTable`.
    """

    kind: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    references: Path | None = None
    on: str | None = None

    def open(self, source: Path) -> Table:
        """Open the input.

        Raises:
            InputError, MissingDependencyError, OSError: as `open_table` and `JoinedTable`.
        """
        if self.on is not None and self.references is None:
            raise InputError(f"--on {self.on}: joins two files; give the other one with --references")
        table = open_table(source, kind=self.kind, encoding=self.encoding, delimiter=self.delimiter, sheet=self.sheet)
        return table if self.references is None else JoinedTable(table, self._references(self.references), self.on)

    def fingerprint(self) -> dict[str, object]:
        """Return what differs from the usual, JSON-compatible; of the references, their content."""
        given = {key: getattr(self, key) for key in ("kind", "encoding", "delimiter", "sheet", "on")}
        told = {key: value for key, value in given.items() if value is not None}
        if self.references is not None:
            told["references"] = self._references(self.references).fingerprint()
        return told

    def _references(self, path: Path) -> Table:
        if str(path) == "-":
            raise InputError("--references -: only IN can be the standard input; give a file")
        kind = format_of(path)
        return open_table(
            path,
            encoding=self.encoding if kind in TEXT_FORMATS else None,
            delimiter=self.delimiter if kind in ("csv", "tsv") else None,
            sheet=self.sheet if kind == "xlsx" else None,
        )
