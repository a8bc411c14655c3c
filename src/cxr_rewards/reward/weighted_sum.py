"""Combine the scores of a case into one number: weights, gates, failure policy, group normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite, sqrt
from typing import Any, Literal

from cxr_rewards.errors import ConfigError, unknown_name
from cxr_rewards.reward.gates import Gate, parse_gates
from cxr_rewards.reward.transforms import Transform, as_number, parse_transform
from cxr_rewards.types import Score

OnFailure = Literal["unscored", "renormalize"]
Normalize = Literal["none", "group"]

GROUP_EPSILON = 1e-4
"""Added to a group's standard deviation, so that a component that does not vary contributes 0."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """One component's part in the sum: `weight * t_n(...t_1(value))`."""

    weight: float
    transforms: tuple[Transform, ...] = ()

    def __call__(self, value: float) -> float:
        """Return the transformed value, without the weight."""
        for transform in self.transforms:
            value = transform(value)
        return value

    def bounds(self, low: float, high: float) -> tuple[float, float]:
        """Return the range of the weighted, transformed value for values in [low, high]."""
        if self.weight == 0:
            return 0.0, 0.0
        ends = [self.weight * self(low), self.weight * self(high)]  # every transform is monotone
        return min(ends), max(ends)

    @property
    def side(self) -> int:
        """1 for a metric, -1 for a penalty (of negative weight, or reversed by a transform), 0 for weight 0."""
        return 0 if self.weight == 0 else 1 if self.weight > 0 and self.sign > 0 else -1

    @property
    def sign(self) -> int:
        """Direction of the reward if the component's value rises: 1, -1, or 0 for weight 0."""
        sign = (self.weight > 0) - (self.weight < 0)
        for transform in self.transforms:
            sign *= transform.sign
        return sign


@dataclass(frozen=True, kw_only=True)
class WeightedSum:
    """The reward: `sum of weight * transform(value)`, then gates.

    Attributes:
        terms: by component label. Weights need not sum to one. A component of weight 0 is reported and may feed a
            gate, but its failure leaves the reward as it is.
        gates: each may cap the sum.
        on_failure: what happens if a component with a weight has no value. `unscored`: the reward is `None`.
            `renormalize`: metrics and penalties (negative weights, or reversed by a transform) are two sides; the sum
            of each is multiplied by `sum of its |weights| / sum of its |weights| that have a value`. The reward is
            `None` if a side has no value left: a lost penalty is not a penalty of 0. A gate whose component has no
            value always leaves the case unscored, because it is unknown whether the report would have passed.
        normalize: `group` replaces each transformed value by `(x - mean) / (standard deviation + 1e-4)` over the cases
            of its group before weighting (the sample standard deviation; GDPO's decoupled normalisation), so that no
            component drowns another by its spread. Cases that end unscored are left out of the statistics. A group of
            one gets 0. Rewards then depend on the group, by design.
    """

    terms: Mapping[str, Term]
    gates: tuple[Gate, ...] = ()
    on_failure: OnFailure = "unscored"
    normalize: Normalize = "none"

    def __post_init__(self) -> None:
        for label, term in self.terms.items():
            if not isfinite(term.weight):
                raise ConfigError(f"{label}: weight must be finite, got {term.weight!r}")
        for gate in self.gates:
            if gate.component not in self.terms:
                raise ConfigError(unknown_name("gates", "component", gate.component, self.terms))

    def table(self) -> dict[str, object]:
        """Return the sum as JSON-compatible data; `from_table` reverses it.

        Example:
            >>> from cxr_rewards.reward.transforms import Clip
            >>> total = WeightedSum(terms={"bleu": Term(weight=1.0, transforms=(Clip(low=0.0, high=0.5),))})
            >>> WeightedSum.from_table(total.table(), "here") == total
            True
        """
        return {
            "terms": {
                label: {"weight": term.weight, "transforms": [{t.kind: asdict(t)} for t in term.transforms]}
                for label, term in self.terms.items()
            },
            "gates": [{key: value for key, value in asdict(gate).items() if value is not None} for gate in self.gates],
            "on_failure": self.on_failure,
            "normalize": self.normalize,
        }

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> WeightedSum:
        """Return the sum that `table` turned into data.

        Raises:
            ConfigError: it is not such data; begins with `where`.
        """
        try:
            terms = {
                label: Term(
                    weight=as_number(term["weight"], f"{where}: {label}: weight"),
                    transforms=tuple(parse_transform(spec, f"{where}: {label}") for spec in term["transforms"]),
                )
                for label, term in table["terms"].items()
            }
            gates = parse_gates(table["gates"], where)
            return cls(terms=terms, gates=gates, on_failure=table["on_failure"], normalize=table["normalize"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{where}: not a description of a reward: {type(error).__name__}: {error}") from None

    def combine(
        self, rows: Sequence[Sequence[Score]], groups: Sequence[str] = ()
    ) -> list[tuple[float | None, tuple[str, ...]]]:
        """Return, for each row of scores (in the order of `terms`), the reward and the components whose gates closed.

        Args:
            rows: one sequence of scores a case.
            groups: one group name a case; read only if `normalize` is `group`.
        """
        positions = [i for i, term in enumerate(self.terms.values()) if term.weight]
        terms = [term for term in self.terms.values() if term.weight]
        columns = [[row[i].value for row in rows] for i in positions]
        for column, term in zip(columns, terms, strict=True):
            if term.transforms:
                column[:] = [None if value is None else term(value) for value in column]
        values = [[column[index] for column in columns] for index in range(len(rows))]
        closed = self._closed(rows)
        if self.normalize == "group":
            self._standardise(terms, values, closed, groups)
        totals = [None if c is None else self._sum(terms, v) for v, c in zip(values, closed, strict=True)]
        if not self.gates:
            return [(total, ()) for total in totals]
        floors = self._floors(totals, closed, groups) if self.normalize == "group" else {}
        combined: list[tuple[float | None, tuple[str, ...]]] = []
        for index, (total, gates) in enumerate(zip(totals, closed, strict=True)):
            if total is None or not gates:
                combined.append((total, ()))
            else:
                names = tuple(dict.fromkeys(gate.component for gate in gates))
                cap = floors[groups[index]] if floors else min(gate.cap for gate in gates)
                combined.append((min(total, cap), names))
        return combined

    def _closed(self, rows: Sequence[Sequence[Score]]) -> list[tuple[Gate, ...] | None]:
        """Return the gates that close on each case; None if a gate's component has no value."""
        closed: list[tuple[Gate, ...] | None] = [()] * len(rows)
        labels = list(self.terms)
        for gate in self.gates:
            position = labels.index(gate.component)
            for index, row in enumerate(rows):
                value, others = row[position].value, closed[index]
                if value is None or others is None:
                    closed[index] = None
                elif gate.closes(value):
                    closed[index] = (*others, gate)
        return closed

    def _sum(self, terms: Sequence[Term], values: Sequence[float | None]) -> float | None:
        total = 0.0
        for term, value in zip(terms, values, strict=True):
            if value is None:
                return self._renormalized(terms, values) if self.on_failure == "renormalize" else None
            total += term.weight * value
        return total

    def _renormalized(self, terms: Sequence[Term], values: Sequence[float | None]) -> float | None:
        total = 0.0
        for sign in (1, -1):
            side = [(term.weight, value) for term, value in zip(terms, values, strict=True) if term.side == sign]
            left = sum(abs(weight) for weight, value in side if value is not None)
            if side and not left:
                return None
            if side:
                whole = sum(abs(weight) for weight, _ in side)
                total += sum(weight * value for weight, value in side if value is not None) * whole / left
        return total

    def _standardise(
        self,
        terms: Sequence[Term],
        values: list[list[float | None]],
        closed: Sequence[tuple[Gate, ...] | None],
        groups: Sequence[str],
    ) -> None:
        """Standardise each column of `values` within the groups, in place, over the cases that will have a reward."""
        members: dict[str, list[int]] = {}
        for index, group in enumerate(groups):
            total = None if closed[index] is None else self._sum(terms, values[index])
            if total is not None and isfinite(total):
                members.setdefault(group, []).append(index)
        for column in range(len(terms)):
            for indexes in members.values():
                known = [x for i in indexes if (x := values[i][column]) is not None]
                mean, spread = _moments(known)
                for i in indexes:
                    if (x := values[i][column]) is not None:
                        values[i][column] = (x - mean) / (spread + GROUP_EPSILON)

    @staticmethod
    def _floors(
        totals: Sequence[float | None], closed: Sequence[tuple[Gate, ...] | None], groups: Sequence[str]
    ) -> dict[str, float]:
        """Return the lowest reward of each group among the cases that passed all gates; among all if none passed."""
        passed: dict[str, float] = {}
        lowest: dict[str, float] = {}
        for total, gates, group in zip(totals, closed, groups, strict=True):
            if total is not None:
                lowest[group] = min(total, lowest.get(group, total))
                if not gates:
                    passed[group] = min(total, passed.get(group, total))
        return {**lowest, **passed}

    def bounds(self, of: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
        """Return the range of the reward, given each component's."""
        if self.normalize == "group":
            return -inf, inf
        low = high = 0.0
        for sign in (1, -1):
            side = [(term, term.bounds(*of[label])) for label, term in self.terms.items() if term.side == sign]
            if self.on_failure == "renormalize" and side:
                # Any one component may be the only one left of its side.
                whole = sum(abs(term.weight) for term, _ in side)
                low += whole * min(ends[0] / abs(term.weight) for term, ends in side)
                high += whole * max(ends[1] / abs(term.weight) for term, ends in side)
            else:
                low += sum(ends[0] for _, ends in side)
                high += sum(ends[1] for _, ends in side)
        return min([low, *(g.cap for g in self.gates)]), high


def _moments(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation; scaled on the way, because squares of huge values overflow."""
    unit = max(map(abs, values), default=0.0) or 1.0
    scaled = [x / unit for x in values]
    mean = sum(scaled) / max(len(scaled), 1)
    variance = sum((x - mean) ** 2 for x in scaled) / max(len(scaled) - 1, 1)
    return mean * unit, sqrt(variance) * unit
