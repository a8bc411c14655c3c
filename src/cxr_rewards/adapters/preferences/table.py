"""Candidates from a table: with the rewards in a column, or scored now."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cxr_rewards.adapters.preferences.candidates import Candidate
from cxr_rewards.core.progress import Progress
from cxr_rewards.errors import InputError, shorten, unknown_name
from cxr_rewards.files.cases import is_placeholder, messages_of, to_case
from cxr_rewards.files.columns import ColumnMap
from cxr_rewards.files.scoring import CHUNK, OnError, bad_rows_error
from cxr_rewards.files.table import Row, Table
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.text.chat import text_of
from cxr_rewards.types import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateColumns:
    """Columns of candidates that are to be compared.

    Attributes:
        candidate: the completions.
        group: the columns whose equal values make a group.
        prompt: the prompts: texts, or a chat's messages; empty: `prompt_text` is the prompt of all.
        prompt_text: see there.
        reward: the rewards; empty: they are scored now.
        keep: further columns to keep, of a pair those of the better candidate.
    """

    candidate: str
    group: tuple[str, ...]
    prompt: str = ""
    prompt_text: str = ""
    reward: str = ""
    keep: tuple[str, ...] = ()

    def check(self, table: Table) -> None:
        """Raise `InputError` if a column does not exist, or one to keep has a name of the output."""
        for name in (self.candidate, *self.group, self.prompt, self.reward, *self.keep):
            if name and name not in table.columns:
                raise InputError(unknown_name(table.name, "column", name, table.columns))
        for name in (*self.group, *self.keep):
            if name in _TAKEN:
                raise InputError(f"{table.name}: column {name!r} has the name of one of the output; rename it")


Tell = Callable[[str], object]

_TAKEN = ("prompt", "chosen", "rejected", "completion", "label", "messages", "score", "score_chosen", "score_rejected")


def read_candidates(
    table: Table, columns: CandidateColumns, *, on_error: OnError = "stop", tell: Tell = lambda _: None
) -> list[Candidate]:
    """Return the candidates of a file of scores.

    Args:
        table: from `open_table`.
        columns: of the candidates and their rewards.
        on_error: treatment of a bad row: `stop` raises, `keep-going` leaves it out.
        tell: called with a note about rows that were left out.

    Raises:
        InputError: a column does not exist, or rows are bad under `stop`.
    """
    columns.check(table)
    prefix = columns.reward.removesuffix("reward")
    found, errors, total = [], [], 0
    for row in table:
        total += 1
        try:
            reward = _number(row, columns.reward)
            found.append(_candidate(row, columns, reward, str(row.values.get(prefix + "reason_kind") or "")))
        except InputError as error:
            errors.append(error)
    _check(errors, total, on_error, tell)
    return found


def score_candidates(
    table: Table,
    columns: CandidateColumns,
    cases: ColumnMap,
    reward: BaseReward,
    *,
    on_error: OnError = "stop",
    progress: Progress | None = None,
    tell: Tell = lambda _: None,
) -> list[Candidate]:
    """Return the candidates of a file of reports, scored now.

    Args:
        table: from `open_table`.
        columns: of the candidates.
        cases: of the reports, from `choose_columns`.
        reward: the reward to score with.
        on_error: treatment of a bad row: `stop` raises, `keep-going` leaves it out.
        progress: updated while this runs.
        tell: called with a note about rows that were left out.

    Raises:
        InputError: a column does not exist; or rows are bad under `stop`, before anything is scored.
        SetupError, CacheError: as `CompositeReward.score_batch`.
    """
    columns.check(table)
    progress = progress or Progress()
    progress.begin("reading")
    given: list[tuple[Candidate, Case]] = []
    errors, total = [], 0
    for row in table:
        total += 1
        try:
            one = _candidate(row, columns, None, "")
            given.append((one, replace(to_case(row, cases, max_chars=reward.max_chars), group=one.group)))
        except InputError as error:
            errors.append(error)
        progress.advance(1)
    _check(errors, total, on_error, tell)
    progress.begin("scoring", total=len(given))
    # A reward that is normalised within groups needs all of a group at once.
    size = len(given) if reward.total.normalize == "group" else CHUNK
    found = []
    for start in range(0, len(given), size):
        some = given[start : start + size]
        rewards = reward.score_batch([case for _, case in some])
        for (one, _), scored in zip(some, rewards, strict=True):
            found.append(replace(one, reward=scored.value, reason="; ".join(scored.kinds)))
        progress.advance(len(some), unscored=sum(scored.value is None for scored in rewards))
    return found


def _check(errors: Sequence[InputError], total: int, on_error: OnError, tell: Tell) -> None:
    if errors and on_error == "stop":
        raise bad_rows_error(errors, len(errors), total, "leave them out")
    if len(errors) == total:
        raise InputError(f"none of the {total:,} rows can be read: {errors[0] if errors else 'there is none'}")
    if errors:
        tell(f"{len(errors):,} of {total:,} rows cannot be read and are left out, the first: {errors[0]}")


def _candidate(row: Row, columns: CandidateColumns, reward: float | None, reason: str) -> Candidate:
    if row.error is not None:
        raise row.error
    names = [_plain(row, name) for name in columns.group]
    if any(name in (None, "") for name in names):
        raise InputError(f"{row.where}: no group in column {columns.group[names.index(None)]!r}")
    prompt = _prompt(row, columns.prompt) if columns.prompt else columns.prompt_text
    kept = dict.fromkeys((*columns.group, *columns.keep))
    return Candidate(
        text=_text(row, columns.candidate, absent_is_fine=reward is None),
        reward=reward,
        group=" / ".join(map(str, names)),
        prompt=prompt,
        reason=reason,
        where=row.where,
        more={name: row.values.get(name) for name in kept},
    )


def _plain(row: Row, column: str) -> object:
    value = row.values.get(column)
    absent = value is None or is_placeholder(value) or (isinstance(value, str) and not value.strip())
    return None if absent else value


def _number(row: Row, column: str) -> float | None:
    value = row.values.get(column)
    if value is None or value == "" or (isinstance(value, str) and is_placeholder(value)):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(f"{row.where}, column {column!r}: expected a number, got {shorten(value)}") from None
    if math.isinf(number):
        raise InputError(f"{row.where}, column {column!r}: expected a finite number, got {number!r}")
    return None if math.isnan(number) else number


def _text(row: Row, column: str, *, absent_is_fine: bool) -> str:
    """Return the completion as it was written, with its reasoning, because that is what is trained on."""
    value = row.values.get(column)
    messages = messages_of(value)
    if messages is not None:
        return text_of(messages)
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value
    if value is None and absent_is_fine:
        return ""
    raise InputError(f"{row.where}, column {column!r}: expected text or a chat's messages, got {shorten(value)}")


def _prompt(row: Row, column: str) -> object:
    """Return a prompt: a text, or messages."""
    value = row.values.get(column)
    messages = messages_of(value)
    if messages is not None:
        return messages if isinstance(messages, list | tuple) else [messages]
    if isinstance(value, str) and value.strip():
        return value
    raise InputError(
        f"{row.where}, column {column!r}: expected a prompt, a text or a chat's messages, got {shorten(value)}"
    )
