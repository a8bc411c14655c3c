"""Score a file of reports: streamed, resumable, written in one step."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Literal

from cxr_rewards.core.component import Component
from cxr_rewards.core.progress import Progress
from cxr_rewards.core.registry import component_names
from cxr_rewards.errors import ConfigError, InputError, unknown_name
from cxr_rewards.files.cases import CaseRow, Placeholders, is_placeholder, read_cases
from cxr_rewards.files.columns import ColumnMap, choose_cluster
from cxr_rewards.files.detail_columns import choose_detail_columns
from cxr_rewards.files.details import check_details, write_details
from cxr_rewards.files.existing import SUMS, check_replaceable
from cxr_rewards.files.formats import format_of
from cxr_rewards.files.journal import Journal
from cxr_rewards.files.provenance import check_record, describe_run, relative_path
from cxr_rewards.files.results import BETWEEN, READ_TEXTS, Keep, RowResult, score_rows
from cxr_rewards.files.summary import Summary, age_band, check_subgroups, is_age_column, subgroup_columns
from cxr_rewards.files.table import Table
from cxr_rewards.files.write import check_output, write_table
from cxr_rewards.files.write_excel import check_fits_excel
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.types import Score

OnError = Literal["stop", "keep-going"]

CHUNK = 256
"""Rows scored between two writes of the progress file: the most that an interruption loses."""

_SHOWN = 5
_PLACE = re.compile(r".*?: row \d+(?: \(line \d+\))?[,:]? ?")
_VARIES = re.compile(r"(column '[^']*')|'[^']*'|\d[\d,]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Result of scoring a file.

    Attributes:
        out: the file written.
        rows: rows of the input, which are the rows of the output.
        resumed: rows that an earlier, interrupted run had finished.
        seconds: time this run took to score its own rows.
        summary: means and intervals of each component and of `reward`.
        corpus: statistics of the whole file that are not averages over rows (`Component.corpus`), by component.
        details: the file of details; None if none was asked for.
        unread: share of the sentences about the image of which the rule-based reader read nothing, in the mean over the
            rows, by text (`candidate`, `reference`); 0 too if no component reads findings.
    """

    out: Path
    rows: int
    resumed: int
    seconds: float
    summary: Summary
    corpus: Mapping[str, Mapping[str, float | None]]
    unread: Mapping[str, float]
    details: Path | None = None


def score_file(
    table: Table,
    columns: ColumnMap,
    reward: BaseReward,
    out: str | Path,
    *,
    details: str | Path | None = None,
    detail_columns: Sequence[str] = (),
    on_error: OnError = "stop",
    placeholders: Placeholders = "absent",
    by: str | Sequence[str] = (),
    cluster: str | None = None,
    prefix: str = "",
    restart: bool = False,
    force: bool = False,
    chunk: int = CHUNK,
    progress: Progress | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Scored:
    """Score each row of a table and write the table with a column added for each component and each of `SUMS`.

    The whole input is read once before scoring starts, so that a bad row is reported at once and not after hours.
    Finished rows are kept in a progress file beside the output: after an interruption, the same call scores only the
    others, and the output is the same. Memory does not grow with the number of rows.

    Args:
        table: from `open_table`.
        columns: from `choose_columns`.
        reward: the reward to score with; not one that normalises within groups, whose values depend on other rows.
        out: `.csv`, `.tsv`, `.jsonl`, `.json`, `.parquet` or `.xlsx`; text also compressed (`.csv.gz`). An earlier file
            of scores is replaced, another file only by `force`.
        details: `.jsonl` or `.parquet`: a file with everything that explains each score (see
            `cxr_rewards.files.read_details`), written beside the output.
        detail_columns: names of further columns from the details, such as `chexprompt.significant`; see
            `choose_detail_columns`.
        on_error: treatment of a bad row: `stop` raises before anything is scored; `keep-going` leaves the row
            unscored, with the reason in its `reason` column.
        placeholders: meaning of cells such as `nan`, `N/A`, `None`, `null` or `-`: `absent` (a row without candidate or
            reference is unscored with the reason, a prior is left out), or the `text` of a report. They are counted
            and reported.
        by: columns of subgroups for the summary, each alone and all crossed; ages are put into bands.
        cluster: the column whose equal values mark rows that are not independent, for the intervals of the summary.
            `None`: the usual names (`patient_id`, `study_id`, `group`, ...); empty: each row is independent, as in a
            file whose rows all have the same value.
        prefix: prefix of the names of the new columns.
        restart: discard the progress of an earlier run.
        force: replace a file that is not a file of scores.
        chunk: rows of one `score_batch`, after which progress is saved; use more if many workers share them.
        progress: updated while this runs, for a display in another thread.
        tell: called with notes before scoring starts.

    Raises:
        InputError: bad rows under `stop` (the message has the first five), an output that cannot be written or is not a
            file of scores, progress of another run, an unknown column, or a subgroup column with too many values.
        SetupError, CacheError: as `CompositeReward.score_batch`; no progress file stays if nothing was scored.
        OSError: the disk is full, or the like; the finished rows are kept.
    """
    if reward.total.normalize == "group":
        raise ConfigError(f"{reward.name}: normalize = 'group' needs whole groups at once; set it to 'none' for files")
    by = subgroup_columns(by)
    for name in by:
        if name not in table.columns:
            raise InputError(unknown_name(table.name, "column", name, table.columns))
    cluster = choose_cluster(table.columns, cluster, columns, where=table.name)
    keep = Keep(choose_detail_columns(detail_columns, reward), details=details is not None)
    if keep.details or keep.columns:
        reward = reward.with_details()
    added: dict[str, type[float] | type[str]] = {prefix + label: float for label in reward.components}
    added |= {prefix + column.name: column.kind for column in keep.columns}
    added |= {prefix + name: float if name == "reward" else str for name in SUMS}
    target = check_output(out, table, added)
    if format_of(target) == "xlsx":
        check_fits_excel(table, len(added))
    names = {*component_names(), *reward.components}

    def check_targets() -> Path | None:
        if not force:
            check_replaceable(target, list(added), names)
            check_record(target)
        return None if details is None else check_details(details, (*table.paths, target), force=force)

    beside = check_targets()
    progress = progress or Progress()
    progress.begin("checking rows")
    total = _check_rows(
        table=table,
        columns=columns,
        max_chars=reward.max_chars,
        on_error=on_error,
        placeholders=placeholders,
        progress=progress,
        tell=tell,
    )
    groups = _Groups(by, cluster, placeholders)
    groups.check(table, tell)
    fingerprint: dict[str, object] = {**table.fingerprint(), "columns": str(columns), "reward": reward.signature}
    fingerprint |= {"max_chars": reward.max_chars, "rows_with_errors": on_error, "placeholders": placeholders}
    fingerprint |= keep.fingerprint
    with Journal(target, fingerprint, restart=restart) as journal:
        resumed, start = journal.done, time.perf_counter()
        progress.begin("scoring", total=total, done=resumed)
        cases = read_cases(table, columns, max_chars=reward.max_chars, placeholders=placeholders)
        rows = islice(cases, resumed, None)
        while some := list(islice(rows, chunk)):
            results = score_rows(some, reward, columns, placeholders, keep)
            journal.append(results)
            progress.advance(len(some), unscored=sum(result.reward is None for result in results))
        seconds = time.perf_counter() - start
        progress.begin("summing up", total=total)
        summary = _summarise(journal, table, reward, groups, progress)
        corpus, unread = _corpus(journal, reward), _unread(journal)
        check_targets()  # files may have appeared in the meantime; the finished rows stay
        progress.begin("writing")
        made = describe_run(
            reward,
            columns,
            source=table.name,
            rows=total,
            cluster=groups.cluster,
            prefix=prefix,
            details=None if beside is None else relative_path(beside, target.parent),
        )
        write_table(target, table, added, (row.cells for row in _results(journal)), made)
        if beside is not None:
            write_details(beside, (row.details(number) for number, row in enumerate(_results(journal), 1)))
        journal.finish()
    return Scored(
        out=Path(out),
        rows=total,
        resumed=resumed,
        seconds=seconds,
        summary=summary,
        corpus=corpus,
        unread=unread,
        details=None if details is None else Path(details),
    )


def _check_rows(
    *,
    table: Table,
    columns: ColumnMap,
    max_chars: int,
    on_error: OnError,
    placeholders: Placeholders,
    progress: Progress,
    tell: Callable[[str], object],
) -> int:
    """Return the number of rows and report placeholders; raise if some rows are bad and bad rows stop the run."""
    total, bad = 0, 0
    errors: list[str] = []
    first: dict[str, CaseRow] = {}
    counts: Counter[str] = Counter()
    for row in read_cases(table, columns, max_chars=max_chars, placeholders=placeholders):
        total += 1
        progress.advance(1)
        for name in row.placeholders:
            counts[name] += 1
            first.setdefault(name, row)
        if row.error is not None:
            bad += 1
            if bad <= _SHOWN:
                errors.append(str(row.error))
    for name, row in first.items():
        tell(_placeholder_note(row, name, counts[name], columns, placeholders))
    if bad and on_error == "stop":
        raise bad_rows_error(errors, bad, total)
    if bad == total:
        raise InputError("\n".join([*errors, f"none of the {total:,} rows of {table.name} can be read"]))
    return total


def bad_rows_error(
    errors: Sequence[object], bad: int, total: int, otherwise: str = "leave them unscored"
) -> InputError:
    """Return the error of `bad` rows of `total`: the first few of their errors, and what to do."""
    more = f"\n... and {bad - _SHOWN:,} more" if bad > _SHOWN else ""
    cure = f"nothing was scored. Fix them, or {otherwise} with --on-error keep-going"
    first = "\n".join(map(str, errors[:_SHOWN]))
    return InputError(f"{first}{more}\n{bad:,} of {total:,} rows cannot be read; {cure}")


def _placeholder_note(first: CaseRow, column: str, count: int, columns: ColumnMap, placeholders: Placeholders) -> str:
    cell = f"column {column!r}: {count:,} cell{'s' * (count != 1)} such as {str(first.row.values[column]).strip()!r}"
    place = first.row.where.partition(": ")[2]
    if placeholders == "text":
        return f"{cell} (first: {place}), taken as the text of a report; --placeholders absent takes them as absent"
    what = "no priors"
    if column in (columns.candidate, columns.reference):
        what = "unscored"
    elif column in columns.references:
        what = "a section that is not there"
    return f"{cell} (first: {place}), taken as absent: {what}; --placeholders text takes them as reports"


def _results(journal: Journal) -> Iterator[RowResult]:
    return (RowResult(*row) for row in journal.results())


def _unread(journal: Journal) -> dict[str, float]:
    totals, rows = [0.0, 0.0], 0
    for row in _results(journal):
        rows += 1
        for i, share in enumerate(row.unread):
            totals[i] += share
    return {role: total / rows if rows else 0.0 for role, total in zip(READ_TEXTS, totals, strict=True)}


def _corpus(journal: Journal, reward: BaseReward) -> dict[str, dict[str, float | None]]:
    statistics = {}
    for index, (label, component) in enumerate(reward.components.items()):
        if type(component).corpus is not Component.corpus:
            rows = (row for row in _results(journal) if row.values[index] is not None)
            statistics[label] = component.corpus(Score(row.values[index], row.corpus.get(label, {})) for row in rows)
    return statistics


def _summarise(journal: Journal, table: Table, reward: BaseReward, groups: _Groups, progress: Progress) -> Summary:
    labels = [*reward.components, "reward"]
    bounds = [*(component.bounds for component in reward.components.values()), reward.bounds]
    summary = Summary(labels, by=groups.by, cluster=groups.cluster, bounds=bounds)
    results, names = _results(journal), groups.read(table)
    while chunk := list(islice(results, CHUNK)):
        names_of_chunk = list(islice(names, len(chunk)))
        summary.add(
            [row.numbers for row in chunk],
            reasons=["" if row.reward is not None else _without_values(row.reason or "") for row in chunk],
            kinds=[[] if row.reward is not None else (row.kinds or "").split(BETWEEN) for row in chunk],
            groups=[group for group, _ in names_of_chunk],
            clusters=[cluster for _, cluster in names_of_chunk],
        )
        progress.advance(len(chunk))
    return summary


def _without_values(reason: str) -> str:
    """Return the reason of a bad row without place, values and numbers, so that equal reasons are counted together."""
    place = _PLACE.match(reason)
    return reason if place is None else _VARIES.sub(lambda match: match[1] or "...", reason[place.end() :])


class _Groups:
    """The columns that sort rows into subgroups and into clusters."""

    def __init__(self, by: Sequence[str], cluster: str, placeholders: Placeholders) -> None:
        self.by, self.cluster, self._absent = by, cluster, placeholders == "absent"
        self._ages = [is_age_column(name) for name in by]

    def read(self, table: Table) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield the subgroups and the cluster of each row; the cluster is empty if the row has none."""
        if not self.by and not self.cluster:
            yield from repeat(((), ""))
        for row in table.rows(list(dict.fromkeys([*self.by, *filter(None, [self.cluster])]))):
            get = row.values.get
            groups = tuple(self._name(get(name), ages) for name, ages in zip(self.by, self._ages, strict=True))
            yield groups, self._text(get(self.cluster)) if self.cluster else ""

    def check(self, table: Table, tell: Callable[[str], object]) -> None:
        """Raise if a subgroup column has too many values; give up clusters if all rows are in one."""
        cluster = self.cluster
        self._check(table)
        if self.cluster:
            tell(f"intervals: rows of one {cluster!r} count as one; --cluster names another column, or none")
        elif cluster:
            tell(f"intervals: all rows have one {cluster!r}, so each row counts for itself")

    def _check(self, table: Table) -> None:
        seen: list[set[str]] = [set() for _ in self.by]
        first: str | None = None
        several = not self.cluster
        for groups, cluster in self.read(table) if self.by or self.cluster else ():
            first = cluster if first is None else first
            several = several or not cluster or cluster != first
            if several and not self.by:
                break
            for column, names, name in zip(self.by, seen, groups, strict=True):
                if name not in names:
                    names.add(name)
                    check_subgroups(column, names)
        if not several:
            self.cluster = ""

    def _text(self, value: object) -> str:
        return "" if value is None or (self._absent and is_placeholder(value)) else str(value).strip()

    def _name(self, value: object, ages: bool) -> str:
        name = self._text(value)
        band = age_band(name) if ages else "unknown"
        return name if name and band == "unknown" else band
