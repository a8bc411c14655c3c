"""Results drawn beside the rows that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from cxr_rewards.errors import InputError
from cxr_rewards.files.table import Row, Table

Result = Sequence[float | str | None]
"""One row's results, in the order of the result columns; `None` for a missing one."""


class DrawnResults:
    """Draws results in chunks, and checks that there are as many as rows.

    Attributes:
        drawn: how many were drawn.
    """

    def __init__(self, results: Iterable[Result], width: int, table: Table) -> None:
        self._results = iter(results)
        self._width = width
        self._table = table
        self.drawn = 0

    def take(self, count: int) -> list[Result]:
        """Return the next results.

        Raises:
            InputError: there are fewer.
        """
        chunk = list(islice(self._results, count))
        self.drawn += len(chunk)
        if len(chunk) < count:
            raise InputError(f"{self._table.name}: has more rows than the {self.drawn} results; {self._cure}")
        for result in chunk:
            if len(result) != self._width:
                raise ValueError(f"expected {self._width} results a row, got {len(result)}")
        return chunk

    def beside(self, rows: Iterable[Row]) -> Iterator[tuple[Row, Result]]:
        """Iterate over rows with their results."""
        rows = iter(rows)
        while chunk := list(islice(rows, 1_000)):
            yield from zip(chunk, self.take(len(chunk)), strict=True)

    def end(self) -> int:
        """Return how many there were.

        Raises:
            InputError: there are more.
        """
        if next(self._results, None) is not None:
            raise InputError(f"{self._table.name}: has {self.drawn} rows, fewer than there are results; {self._cure}")
        return self.drawn

    _cure = "the input changed while it was scored; pass --restart"
