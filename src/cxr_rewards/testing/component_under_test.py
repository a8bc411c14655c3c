"""A component with what its checks need: fresh copies, their scores, and how close two scores must be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from typing import get_args, get_origin, get_type_hints

from cxr_rewards.cache import Cache
from cxr_rewards.core.component import Component
from cxr_rewards.core.engine import Engine
from cxr_rewards.core.feature import FeatureFailed
from cxr_rewards.errors import ConfigError, SetupError, shorten
from cxr_rewards.testing.sample_cases import SAMPLE_CASES
from cxr_rewards.types import Case, Score

ROUNDING = 1e-9


class ComponentUnderTest:
    """A component, the cases to score it on, and its scores; made once for all its checks.

    Attributes:
        component: the instance under test; the checks score copies of it.
        name: its name, with which every message begins.
        cases: what to score; each run gets copies.
        alternatives: for a setting whose other values cannot be guessed from its type: one other valid value by name.
    """

    def __init__(
        self,
        component: Component,
        *,
        alternatives: Mapping[str, object] | None = None,
        cases: Sequence[Case] = SAMPLE_CASES,
    ) -> None:
        self.component = component
        self.name = component.name
        self.cases = list(cases)
        self.alternatives = dict(alternatives or {})

    @cached_property
    def scores(self) -> list[Score]:
        """The scores of the cases, from a fresh copy."""
        return self.score(self.cases)

    @cached_property
    def returned(self) -> list[tuple[Case, Score | Exception]]:
        """Each case with what `score_case` itself returns for it, or raises: the engine makes failures of both.

        Cases are left out that the engine does not pass on, and those for which a feature failed.
        """
        cases = [case for case in deepcopy(self.cases) if case.reference.strip() or not self.reads_reference]
        component = self.fresh()
        table = Engine({self.name: component}).features(cases)
        returned: list[tuple[Case, Score | Exception]] = []
        for case in cases:
            try:
                returned.append((case, component.score_case(case, table)))
            except SetupError:
                raise
            except FeatureFailed:
                continue
            except Exception as error:  # noqa: BLE001 - whatever it is, it breaks a rule
                returned.append((case, error))
        return returned

    @cached_property
    def settings(self) -> dict[str, object]:
        """The values of the component's settings, by name."""
        return {key: getattr(self.component, key) for key in type(self.component).settings()}

    @property
    def reads_reference(self) -> bool:
        """Whether the component reads the reference."""
        return "reference" in self.component.reads

    @property
    def tolerance(self) -> float:
        """How far a score may be from another that should equal it but for rounding."""
        return max(ROUNDING, self.component.batch_tolerance)

    def fresh(self) -> Component:
        """Return a copy, rebuilt from the settings, that has seen no case."""
        return type(self.component)(**self.settings)

    def score(self, cases: Sequence[Case], cache: Cache | None = None, by: Component | None = None) -> list[Score]:
        """Return the scores of copies of the cases, by a fresh copy or by the component given."""
        return run(self.fresh() if by is None else by, deepcopy(list(cases)), cache)

    def expect(self, holds: object, message: str) -> None:
        """Raise `AssertionError` unless the rule holds."""
        if not holds:  # not an assert statement, which `python -O` leaves out
            raise AssertionError(f"{self.name}: {message}")

    def expect_same(self, scores: Sequence[Score], others: Sequence[Score], message: str) -> None:
        """Raise `AssertionError`, with the first case whose two scores differ."""
        for case, a, b in zip(self.cases, scores, others, strict=True):
            self.expect(self.same(a, b), f"{message}: {shorten(a)} and {shorten(b)} for {shown(case)}")

    def same(self, a: Score, b: Score) -> bool:
        """Return whether two scores are equal, to `batch_tolerance`."""
        return a.failure == b.failure and self.near(a.value, b.value) and self.near(a.details, b.details)

    def near(self, a: object, b: object) -> bool:
        """Return whether two values are equal, their numbers to `batch_tolerance`, but for `measured_details`."""
        if isinstance(a, float) and isinstance(b, float):
            return a == b or abs(a - b) <= self.component.batch_tolerance
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            measured = self.component.measured_details
            return a.keys() == b.keys() and all(key in measured or self.near(a[key], b[key]) for key in a)
        if isinstance(a, list | tuple) and isinstance(b, list | tuple):
            return len(a) == len(b) and all(map(self.near, a, b))
        return bool(a == b)

    def with_other_value(self, key: str) -> Component | None:
        """Return a copy with another value of one setting; None if no other valid value was found."""
        cls = type(self.component)
        if key in self.alternatives:
            values: list[object] = [self.alternatives[key]]
        else:
            values = list(_other_values(self.settings[key], get_type_hints(cls)[key]))
        for value in values:
            try:
                return cls(**{**self.settings, key: value})
            except ConfigError:
                continue
        return None


def run(component: Component, cases: Sequence[Case], cache: Cache | None = None) -> list[Score]:
    """Return one component's scores."""
    return [row[0] for row in Engine({component.name: component}).run(cases, cache)]


def shown(case: Case) -> str:
    """Return a case as a message shows it."""
    return shorten(case, 200)


def _other_values(current: object, hint: object) -> Iterator[object]:
    """Yield other values that a setting might take, guessed from its type."""
    options: Sequence[object] = get_args(hint) if get_origin(hint) is not None else ()
    yield from (option for option in options if isinstance(option, str | int | float) and option != current)
    if isinstance(current, bool):
        yield not current
    elif isinstance(current, int):
        yield from (current + 1, current - 1)
    elif isinstance(current, float):
        yield from (other for other in (current / 2, current + 0.25, current * 2 + 1) if other != current)
    elif isinstance(current, str):
        yield current + "x"
