"""The result of one row, as the journal keeps it and as the output needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cxr_rewards.core.filling import kind_of
from cxr_rewards.errors import InputError
from cxr_rewards.files.cases import CaseRow, Placeholders
from cxr_rewards.files.columns import ColumnMap
from cxr_rewards.files.detail_columns import DetailColumn
from cxr_rewards.files.details import CaseDetails, PartDetails, parts_of
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.types import Reward

BETWEEN = "; "
"""Stands between the kinds of a row."""
READ_TEXTS = ("candidate", "reference")


class RowResult(NamedTuple):
    """Everything that is kept of a scored row: JSON-compatible.

    Attributes:
        values: each component's.
        reward: None if the row is unscored.
        reason, kinds: why it is unscored.
        corpus: the details that `Component.corpus` reads, by label.
        unread: share of unread sentences of candidate and reference; empty if all was read.
        more: cells of the columns from details.
        case_id, gates, parts: for the file of details; empty if none was asked for.
    """

    values: list[float | None]
    reward: float | None
    reason: str | None
    kinds: str | None
    corpus: dict[str, dict[str, Any]]
    unread: list[float]
    more: list[float | str | None]
    case_id: str
    gates: list[str]
    parts: dict[str, PartDetails]

    @property
    def numbers(self) -> list[float | None]:
        """The values and the reward."""
        return [*self.values, self.reward]

    @property
    def cells(self) -> list[float | str | None]:
        """The cells of the result columns."""
        return [*self.values, *self.more, self.reward, self.reason, self.kinds]

    def details(self, number: int) -> CaseDetails:
        """Return the row of the file of details; `number` is 1 for the first row."""
        return CaseDetails(
            row=number,
            case_id=self.case_id,
            reward=self.reward,
            reason=self.reason,
            reason_kind=self.kinds,
            gates=self.gates,
            parts=self.parts,
        )


class Keep(NamedTuple):
    """The details of a row that are kept beside its result: some as columns, or all of them."""

    columns: tuple[DetailColumn, ...]
    details: bool

    @property
    def fingerprint(self) -> dict[str, object]:
        """Columns that only the journal of such a run has; empty if no details are kept."""
        columns: dict[str, object] = {"detail_columns": [column.name for column in self.columns]}
        return {**(columns if self.columns else {}), **({"details": True} if self.details else {})}


def score_rows(
    chunk: Sequence[CaseRow], reward: BaseReward, columns: ColumnMap, placeholders: Placeholders, keep: Keep
) -> list[RowResult]:
    """Score some rows."""
    rewards = iter(reward.score_batch([row.case for row in chunk if row.case is not None]))
    results = []
    for row in chunk:
        if row.error is not None:
            results.append(_unscored(row.error, reward, keep))
            continue
        scored = next(rewards)
        absent = row.absent(columns) if scored.value is None and placeholders == "absent" else ""
        name = row.case.case_id if row.case else ""
        results.append(_scored(scored, absent, name, reward, keep))
    return results


def _unscored(error: InputError, reward: BaseReward, keep: Keep) -> RowResult:
    values: list[float | None] = [None] * len(reward.components)
    more: list[float | str | None] = [None] * len(keep.columns)
    return RowResult(values, None, str(error), kind_of(error), {}, [], more, "", [], {})


def _scored(scored: Reward, absent: str, case_id: str, reward: BaseReward, keep: Keep) -> RowResult:
    shares = [scored.unread_share(role) for role in READ_TEXTS]
    return RowResult(
        values=[part.value for part in scored.parts.values()],
        reward=scored.value,
        reason=absent or scored.reasons or None,
        kinds=BETWEEN.join(scored.kinds) or None,
        corpus=_corpus_details(scored, reward),
        unread=shares if any(shares) else [],
        more=[column.cell(scored.parts[column.label].details) for column in keep.columns],
        case_id=case_id if keep.details else "",
        gates=list(scored.gates) if keep.details else [],
        parts=parts_of(scored) if keep.details else {},
    )


def _corpus_details(scored: Reward, reward: BaseReward) -> dict[str, dict[str, Any]]:
    return {
        label: {key: scored.parts[label].details.get(key) for key in component.corpus_details}
        for label, component in reward.components.items()
        if component.corpus_details and scored.parts[label].value is not None
    }
