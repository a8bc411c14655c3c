"""Files that exist under an output's name: earlier results may be replaced, other files may not."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from cxr_rewards.errors import InputError
from cxr_rewards.files.content import reading
from cxr_rewards.files.formats import compression_of, format_of
from cxr_rewards.files.open import open_table

SUMS = ("reward", "reason", "reason_kind")
"""The result columns after those of the components."""


def check_replaceable(out: Path, results: Sequence[str], components: Collection[str]) -> None:
    """Raise unless the output is absent, empty, or a file of results, which a run may replace unasked.

    A file of results ends with the columns that this run writes, or with those of another reward: one or more
    components (and columns from their details), the sum, the reasons and their kinds (`bleu, rouge_l, reward, reason,
    reason_kind`; earlier versions wrote no kinds), with one prefix before all of them. A file that cannot be read as
    its extension says is not a file of results.

    Args:
        out: the output, of a known extension; links are followed.
        results: names of the result columns of this run, the last three those of `SUMS` with its prefix.
        components: names of all components.

    Raises:
        InputError: it is another file, which only `--force` replaces; or a folder, a pipe or a device.
    """
    if not out.exists():
        return
    if not out.is_file():
        raise InputError(f"{out}: is not a regular file (a folder, a pipe or a device?); give another output")
    if not out.stat().st_size:
        return
    try:
        columns = _columns(out)
    except (InputError, OSError, ValueError, RecursionError):
        columns = []
    if not (columns[-len(results) :] == list(results) or _ends_with_results(columns, components)):
        raise InputError(
            f"{out}: exists and is not a file of scores, so it is not overwritten; give another output, or --force"
        )


def _ends_with_results(columns: Sequence[str], components: Collection[str]) -> bool:
    padded = ["", "", "", *columns]
    has_kinds = padded[-1].endswith(SUMS[-1])
    *before, reward, reason = padded[:-1] if has_kinds else padded
    prefix = reward.removesuffix("reward")
    return (
        reward.endswith("reward")
        and reason == prefix + "reason"
        and (not has_kinds or padded[-1] == prefix + SUMS[-1])
        and before[-1].startswith(prefix)
        and _component(before[-1].removeprefix(prefix), components)
    )


def _component(column: str, components: Collection[str]) -> bool:
    """Return whether a column is a component's, or one from its details, such as `chexprompt.significant`."""
    return column in components or any(column.startswith(f"{component}.") for component in components)


def _columns(path: Path) -> list[str]:
    """Return the columns of a table; for JSONL the keys of the first line, so as not to read the whole file."""
    if format_of(path) != "jsonl":
        return list(open_table(path).columns)
    with path.open("rb") as packed, reading(packed, compression_of(path)) as file:
        first = json.loads(file.readline(_LONGEST_LINE))
    return list(first) if isinstance(first, dict) else []


_LONGEST_LINE = 10_000_000
