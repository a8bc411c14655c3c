"""Score a file of reports: streamed, resumable, written in one step."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from cxr_rewards.component import Component
from cxr_rewards.composite import CompositeReward
from cxr_rewards.errors import ConfigError, InputError, unknown_name
from cxr_rewards.io import CaseRow, ColumnMap, Journal, Table, check_output, read_cases, write_table
from cxr_rewards.summary import Summary, age_band, check_subgroups
from cxr_rewards.types import Score

OnError = Literal["stop", "keep-going"]

CHUNK = 256
"""Rows scored between two writes of the progress file: what an interruption loses at most."""

_SHOWN = 5
_AGE = re.compile(r"(patient[_ -]?)?age([_ -](in[_ -])?years|[_ -]at[_ -][a-z]+)?", re.IGNORECASE)  # not age_group
_PLACE = re.compile(r".*?: row \d+(?: \(line \d+\))?[,:]? ?")
_VARIES = re.compile(r"(column '[^']*')|'[^']*'|\d[\d,]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What came of scoring a file.

    Attributes:
        out: the file written.
        rows: rows of the input, which are the rows of the output.
        resumed: rows that an earlier, interrupted run had finished.
        seconds: time this run took for scoring, without the rows of earlier runs.
        summary: means and intervals of each component and of `reward`.
        corpus: statistics of the whole file that are no means of rows (`Component.corpus`), by component.
    """

    out: Path
    rows: int
    resumed: int
    seconds: float
    summary: Summary
    corpus: Mapping[str, Mapping[str, float | None]]


def score_file(
    table: Table,
    columns: ColumnMap,
    reward: CompositeReward,
    out: str | Path,
    *,
    on_error: OnError = "stop",
    by: str = "",
    prefix: str = "",
    restart: bool = False,
    chunk: int = CHUNK,
    progress: Callable[[int, int], object] | None = None,
) -> Scored:
    """Score each row of a table and write the table again with a column for each component, `reward` and `reason`.

    The whole input is read once before anything is scored, so that a bad row is told at the start and not after hours.
    Finished rows are kept in a progress file beside the output: run again after an interruption, only the others are
    scored, and the output is the same. Memory does not grow with the number of rows.

    Args:
        table: from `open_table`.
        columns: from `choose_columns`.
        reward: what to score with; not one that normalises within groups, whose values depend on other rows.
        out: `.csv`, `.jsonl` or `.parquet`.
        on_error: what a bad row does: `stop` raises before anything is scored; `keep-going` leaves it unscored, with
            the reason in its `reason` column.
        by: a column of subgroups for the summary; ages are put into bands.
        prefix: put before the names of the new columns.
        restart: throw away the progress of an earlier run.
        chunk: rows of a `score_batch`, after which progress is kept; more where many workers share them.
        progress: called with the rows finished and the rows in all.

    Raises:
        InputError: bad rows under `stop` (the first five are told), an output that cannot be written, progress of
            another run, an unknown `by` column, or one with too many values.
        SetupError, CacheError: as `CompositeReward.score_batch`.
        OSError: the disk is full, or the like; the finished rows are kept.
    """
    if reward.total.normalize == "group":
        raise ConfigError(f"{reward.name}: normalize = 'group' needs whole groups at once; set it to 'none' for files")
    if by and by not in table.columns:
        raise InputError(unknown_name(str(table.path), "column", by, table.columns))
    labels = [*reward.components, "reward"]
    kinds: dict[str, type[float] | type[str]] = {prefix + label: float for label in labels}
    kinds[prefix + "reason"] = str
    target = check_output(out, table, kinds)
    total = _check_rows(table, columns, reward.max_chars, on_error)
    check_subgroups(by, _groups(table, by))
    fingerprint = {**table.fingerprint(), "columns": str(columns), "reward": reward.signature}
    fingerprint |= {"max_chars": reward.max_chars, "rows_with_errors": on_error}
    with Journal(target, fingerprint, restart=restart) as journal:
        resumed, start = journal.done, time.perf_counter()
        report = progress or (lambda *_: None)
        report(resumed, total)
        rows = islice(read_cases(table, columns, max_chars=reward.max_chars), resumed, None)
        while some := list(islice(rows, chunk)):
            journal.append(_results(some, reward))
            report(journal.done, total)
        seconds = time.perf_counter() - start
        summary = _summarise(journal, table, labels, by)
        corpus = _corpus(journal, reward)
        write_table(target, table, kinds, (row[: len(kinds)] for row in journal.results()))
        journal.finish()
    return Scored(out=Path(out), rows=total, resumed=resumed, seconds=seconds, summary=summary, corpus=corpus)


def _check_rows(table: Table, columns: ColumnMap, max_chars: int, on_error: OnError) -> int:
    """Return the number of rows; raise if some are bad and bad rows stop the run."""
    total, bad = 0, 0
    told: list[str] = []
    for row in read_cases(table, columns, max_chars=max_chars):
        total += 1
        if row.error is not None:
            bad += 1
            if bad <= _SHOWN:
                told.append(str(row.error))
    if bad and on_error == "stop":
        more = f"\n... and {bad - _SHOWN:,} more" if bad > _SHOWN else ""
        told.append(f"{bad:,} of {total:,} rows cannot be read; nothing was scored. Mend them, or leave them unscored")
        raise InputError("\n".join(told[:-1]) + f"{more}\n{told[-1]} with --on-error keep-going")
    if bad == total:
        raise InputError("\n".join([*told, f"none of the {total:,} rows of {table.path} can be read"]))
    return total


def _results(chunk: Sequence[CaseRow], reward: CompositeReward) -> list[list[Any]]:
    """Return, for each row, the values, the reward, the reason, and the details that `Component.corpus` will read."""
    rewards = iter(reward.score_batch([row.case for row in chunk if row.case is not None]))
    results: list[list[Any]] = []
    for row in chunk:
        if row.case is None:
            results.append([*([None] * (len(reward.components) + 1)), str(row.error), {}])
        else:
            scored = next(rewards)
            values = [part.value for part in scored.parts.values()]
            details = {
                label: {key: scored.parts[label].details.get(key) for key in component.corpus_details}
                for label, component in reward.components.items()
                if component.corpus_details and scored.parts[label].value is not None
            }
            results.append([*values, scored.value, scored.reasons or None, details])
    return results


def _corpus(journal: Journal, reward: CompositeReward) -> dict[str, dict[str, float | None]]:
    found = {}
    for index, (label, component) in enumerate(reward.components.items()):
        if type(component).corpus is not Component.corpus:
            rows = (row for row in journal.results() if row[index] is not None)
            found[label] = component.corpus(Score(row[index], row[-1].get(label, {})) for row in rows)
    return found


def _summarise(journal: Journal, table: Table, labels: Sequence[str], by: str) -> Summary:
    summary = Summary(labels, by=by)
    results, groups = journal.results(), _groups(table, by)
    while chunk := list(islice(results, CHUNK)):
        summary.add(
            [row[: len(labels)] for row in chunk],
            reasons=["" if row[len(labels) - 1] is not None else _kind(row[len(labels)]) for row in chunk],
            groups=list(islice(groups, len(chunk))),
        )
    return summary


def _kind(reason: str) -> str:
    """Return the reason of a bad row without place, values and numbers, so that equal ones are counted as one."""
    place = _PLACE.match(reason)
    return reason if place is None else _VARIES.sub(lambda found: found[1] or "...", reason[place.end() :])


def _groups(table: Table, by: str) -> Iterator[str]:
    if not by:
        return
    ages = _AGE.fullmatch(by.strip()) is not None
    for row in table.rows([by]):
        value = row.values.get(by)
        name = "" if value is None else str(value).strip()
        band = age_band(name) if ages else "unknown"
        yield name if name and band == "unknown" else band
