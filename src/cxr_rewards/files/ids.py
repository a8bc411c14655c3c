"""Case ids that were seen, so that none occurs twice."""

from __future__ import annotations

import sqlite3

from cxr_rewards.errors import InputError, shorten


class Ids:
    """The ids seen so far, in a temporary file if they are many, so that memory does not grow with the table."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE ids (id TEXT PRIMARY KEY, row INTEGER, line INTEGER) WITHOUT ROWID",
            "BEGIN",
        ):
            self._db.execute(statement)

    def close(self) -> None:
        """Delete the temporary file."""
        self._db.close()

    def add(self, case_id: str, row: int, line: int | None, where: str) -> None:
        """Add the id of a row.

        Args:
            case_id: the id.
            row: number of the row.
            line: physical line of the row; `None` if it has none.
            where: the row and the column, for the message.

        Raises:
            InputError: an earlier row has it.
            OSError: no space for the temporary file.
        """
        try:
            new = self._db.execute("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", (case_id, row, line))
        except sqlite3.OperationalError as error:  # not the row's fault, as an InputError would be
            raise OSError(
                f"the temporary file of case ids: {error}; free some space, or take no ids with --no-ids"
            ) from error
        if new.rowcount:
            return
        number, line = self._db.execute("SELECT row, line FROM ids WHERE id = ?", (case_id,)).fetchone()
        first = f"row {number}" if line is None else f"row {number} (line {line})"
        raise InputError(
            f"{where}: case id {shorten(case_id)} is already that of {first}; "
            "make ids unique, name another column with --id-col, or take none with --no-ids"
        )
