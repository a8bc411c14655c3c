"""Lines of JSON of which some may be broken: a run that was killed leaves half a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cxr_rewards.errors import InputError, shorten

Problems = list[str]
"""Rows that were left out, each with its file and line."""


def objects(
    path: Path, problems: Problems, *, skip: Callable[[str], bool] = lambda _: False
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the number and the object of each line; those that are none go to the problems.

    Args:
        path: a file of JSON lines.
        problems: gets a text for each line that is left out.
        skip: whether a line need not be looked at.

    Raises:
        InputError: the file cannot be opened, or is not text.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip() or skip(line):
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    end = "" if line.endswith("\n") else "; the file ends within it"
                    problems.append(f"{path}, line {number}: is not JSON ({error}){end}")
                    continue
                if isinstance(row, dict):
                    yield number, row
                else:
                    problems.append(f"{path}, line {number}: expected an object, got {shorten(row)}")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text: {error}") from None
