"""Columns from the details of scores, such as `chexprompt.significant`: chosen by name before anything is scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxr_rewards.errors import InputError, unknown_name
from cxr_rewards.judges.component import JudgeComponent
from cxr_rewards.judges.details import SORTS
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.types import Case

_PROBE = Case(
    candidate="The heart is enlarged. There is a new small left pleural effusion. No pneumothorax.",
    reference="Mild cardiomegaly. Small left pleural effusion is unchanged. Right lower lobe opacity.",
    priors=("Small left pleural effusion.",),
)
"""Shows which details a component has that is not a judge."""


@dataclass(frozen=True)
class DetailColumn:
    """A column that holds one value of the details of each row.

    Attributes:
        label: the component's, in the reward.
        path: the keys that lead to the value.
        kind: type of the cells.
    """

    label: str
    path: tuple[str, ...]
    kind: type[float] | type[str]

    @property
    def name(self) -> str:
        """The column's name, as it was asked for."""
        return ".".join((self.label, *self.path))

    def cell(self, details: Mapping[str, Any]) -> float | str | None:
        """Return the value in a score's details; None if they do not have it."""
        value = _cell(_find(details, self.path))
        return value if isinstance(value, self.kind) else None


def choose_detail_columns(names: Sequence[str], reward: BaseReward) -> tuple[DetailColumn, ...]:
    """Return the columns of these names.

    A name is a component's label and the path of a value in its details. A number, truth value or text stands as it is;
    of numbers by name it is the sum, of a list the length. In a judge's `counts`, the sort (`chexprompt.significant`),
    the type (`chexprompt.A`) or both (`chexprompt.significant.A`) name the number of errors.

    The details of components that are not judges are found by scoring a sample.

    Raises:
        InputError: an unknown component or path; names those that exist.
    """
    known: dict[str, Mapping[str, Any]] = {}
    columns = []
    for name in dict.fromkeys(names):
        label = max((label for label in reward.components if name.startswith(f"{label}.")), key=len, default="")
        if not label:
            given = name.partition(".")[0]
            raise InputError(
                f"{unknown_name('--columns', 'component', given, reward.components)}. "
                "Write the component, a dot and what you want of its details"
            )
        if label not in known:
            known[label] = _details_of(label, reward)
        offered = dict(_offered(known[label]))
        path = name.removeprefix(f"{label}.")
        if path not in offered:
            raise InputError(unknown_name("--columns", f"detail of {label}", path, offered))
        columns.append(DetailColumn(label, tuple(path.split(".")), offered[path]))
    return tuple(columns)


def _details_of(label: str, reward: BaseReward) -> Mapping[str, Any]:
    component = reward.components[label]
    if isinstance(component, JudgeComponent):
        return component.no_details()
    ((score,),) = reward.with_details().only(label).parts([_PROBE])
    if score.value is None:
        raise InputError(
            f"--columns: {label}: its details are not known, because a sample was not scored: {score.failure}"
        )
    return score.details


def _offered(details: Mapping[str, Any]) -> Iterator[tuple[str, type[float] | type[str]]]:
    """Yield the path of each value that a column can hold, and its type."""
    counts = details.get("counts")
    if isinstance(counts, Mapping) and set(counts) == set(SORTS):
        yield from _paths(counts)
        for kind in counts[SORTS[0]]:
            yield kind, float
    yield from _paths(details)


def _paths(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, type[float] | type[str]]]:
    for key, value in table.items():
        cell = _cell(value)
        if cell is not None or value is None:
            yield f"{before}{key}", str if isinstance(cell, str) else float
        if isinstance(value, Mapping):
            yield from _paths(value, f"{before}{key}.")


def _find(details: Mapping[str, Any], path: Sequence[str]) -> Any:
    found = _walk(details, path)
    counts = details.get("counts")
    if found is None and isinstance(counts, Mapping):
        found = _walk(counts, path)
        if found is None and len(path) == 1:
            found = {sort: by_type[path[0]] for sort, by_type in counts.items() if path[0] in by_type} or None
    return found


def _walk(table: Any, path: Sequence[str]) -> Any:
    for key in path:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table


def _cell(value: Any) -> float | str | None:
    """Return a value of the details as a cell; None if it has no such form."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, list | tuple):
        return float(len(value))
    if isinstance(value, Mapping):
        cells = [_cell(one) for one in value.values()]
        numbers = [cell for cell in cells if isinstance(cell, float)]
        return sum(numbers, 0.0) if len(numbers) == len(cells) else None
    return None
