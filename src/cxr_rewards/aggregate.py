"""From the scores of one case to one number: transforms, weights, gates, failure policy, group normalisation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import exp, inf, isfinite, sqrt
from typing import Any, ClassVar, Literal

from cxr_rewards.errors import ConfigError, unknown_name
from cxr_rewards.types import Score

OnFailure = Literal["unscored", "renormalize"]
Normalize = Literal["none", "group"]

GROUP_EPSILON = 1e-4
"""Added to a group's standard deviation, so that a component that does not vary contributes 0."""


@dataclass(frozen=True, kw_only=True)
class Transform(ABC):
    """A monotone function applied to a component's value before its weight."""

    kind: ClassVar[str]

    @abstractmethod
    def __call__(self, x: float) -> float:
        """Return the transformed value."""

    @property
    def sign(self) -> int:
        """1 if the transform keeps the order of values, -1 if it turns it round."""
        return 1

    def __post_init__(self) -> None:
        for field in fields(self):
            if not isfinite(getattr(self, field.name)):
                self._reject(field.name, "finite")

    def _reject(self, key: str, expected: str) -> None:
        raise ConfigError(f"transform {self.kind}: {key} must be {expected}, got {getattr(self, key)!r}")

    def __str__(self) -> str:
        inner = ", ".join(f"{f.name}={getattr(self, f.name):g}" for f in fields(self))
        return f"{self.kind}({inner})"


@dataclass(frozen=True, kw_only=True)
class Affine(Transform):
    """`scale * x + offset`; `scale` is not 0.

    Example:
        >>> Affine(scale=2.0, offset=-1.0)(0.75)
        0.5
    """

    kind = "affine"
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale == 0:
            self._reject("scale", "other than 0 (for no influence set the weight to 0)")

    def __call__(self, x: float) -> float:
        return self.scale * x + self.offset

    @property
    def sign(self) -> int:
        return 1 if self.scale > 0 else -1


@dataclass(frozen=True, kw_only=True)
class Clip(Transform):
    """`min(max(x, low), high)`.

    Example:
        >>> Clip(low=0.0, high=1.0)(-0.3)
        0.0
    """

    kind = "clip"
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low >= self.high:
            self._reject("low", f"below high = {self.high!r}")

    def __call__(self, x: float) -> float:
        return min(max(x, self.low), self.high)


@dataclass(frozen=True, kw_only=True)
class Sigmoid(Transform):
    """`1 / (1 + exp(-slope * (x - center)))`: squeezes an unbounded metric into (0, 1).

    `2 * sigmoid(-RadCliQ)`, the reward of CheXOne-R1, is `["negate", "sigmoid", {affine = {scale = 2.0}}]`.

    Example:
        >>> Sigmoid()(0.0)
        0.5
    """

    kind = "sigmoid"
    slope: float = 1.0
    center: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.slope <= 0:
            self._reject("slope", "above 0 (put `negate` before it to turn the direction)")

    def __call__(self, x: float) -> float:
        z = self.slope * (x - self.center)
        if z >= 0:
            return 1.0 / (1.0 + exp(-z))
        return exp(z) / (1.0 + exp(z))  # the same, without overflow where z is far below 0


@dataclass(frozen=True, kw_only=True)
class Negate(Transform):
    """`-x`.

    Example:
        >>> Negate()(0.25)
        -0.25
    """

    kind = "negate"

    def __call__(self, x: float) -> float:
        return -x

    @property
    def sign(self) -> int:
        return -1


@dataclass(frozen=True, kw_only=True)
class ZScore(Transform):
    """`(x - mean) / scale` with a mean and a scale (standard deviation) given once, never taken from the batch.

    Example:
        >>> ZScore(mean=0.5, scale=0.25)(1.0)
        2.0
    """

    kind = "zscore"
    mean: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale <= 0:
            self._reject("scale", "above 0")

    def __call__(self, x: float) -> float:
        return (x - self.mean) / self.scale


TRANSFORMS: Mapping[str, type[Transform]] = {cls.kind: cls for cls in (Affine, Clip, Sigmoid, Negate, ZScore)}


def parse_transform(spec: Any, where: str) -> Transform:
    """Return the transform that a name (`"negate"`) or a one-key table (`{clip = {low = 0.0}}`) describes.

    Raises:
        ConfigError: unknown transform or argument, or a value out of its range; begins with `where`.

    Example:
        >>> parse_transform({"zscore": {"mean": 0.5, "scale": 0.2}}, "rewards.toml")
        ZScore(mean=0.5, scale=0.2)
    """
    if isinstance(spec, Transform):
        return spec
    if isinstance(spec, str):
        spec = {spec: {}}
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise ConfigError(f"{where}: a transform is a name or a table with one name, got {spec!r}")
    ((kind, arguments),) = spec.items()
    if kind not in TRANSFORMS:
        raise ConfigError(unknown_name(where, "transform", kind, TRANSFORMS))
    known = [f.name for f in fields(TRANSFORMS[kind])]
    if not isinstance(arguments, Mapping):
        raise ConfigError(f"{where}: {kind} takes a table of {', '.join(known) or 'nothing'}, got {arguments!r}")
    for key, value in arguments.items():
        if key not in known:
            raise ConfigError(unknown_name(where, f"argument of {kind}", key, known))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{where}: {kind}.{key} must be a number, got {value!r}")
    try:
        return TRANSFORMS[kind](**{key: float(value) for key, value in arguments.items()})
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Caps the reward at `cap` where a component's value (before transform and weight) is below, or above, a limit.

    Exactly one of `below` and `above` is given. A gate's component may have weight 0. The cap should lie below every
    reward that a good report can get. Under group normalisation the cap applies to the normalised reward.

    Example:
        >>> Gate(component="format", below=1.0, cap=0.0).fires(0.5)
        True
    """

    component: str
    below: float | None = None
    above: float | None = None
    cap: float = 0.0

    def __post_init__(self) -> None:
        if (self.below is None) == (self.above is None):
            raise ConfigError(f"gate {self.component}: give either below or above, got {self.below=}, {self.above=}")
        if not all(isfinite(x) for x in (self.below, self.above, self.cap) if x is not None):
            raise ConfigError(f"gate {self.component}: limits and cap must be finite, got {self}")

    def fires(self, value: float) -> bool:
        """Return whether the reward is to be capped."""
        return value < self.below if self.below is not None else value > self.above  # type: ignore[operator]

    def __str__(self) -> str:
        limit = f"< {self.below:g}" if self.below is not None else f"> {self.above:g}"
        return f"{self.component} {limit} -> at most {self.cap:g}"


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
    def sign(self) -> int:
        """Which way the reward moves when the component's value rises: 1, -1, or 0 for weight 0."""
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
        on_failure: what happens where a component with a weight has no value. `unscored`: the reward is `None`.
            `renormalize`: the sum of the others times `sum of |weights| / sum of their |weights|`; `None` if none is
            left. A gate whose component has no value always leaves the case unscored: whether the report is broken is
            then unknown.
        normalize: `group` replaces each transformed value by `(x - mean) / (standard deviation + 1e-4)` over the cases
            of its group before weighting (the sample standard deviation; GDPO's decoupled normalisation), so
            that no component drowns another by its spread. Unscored cases are left out of the statistics. Rewards then
            depend on the group, by design.
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

    def combine(
        self, rows: Sequence[Sequence[Score]], groups: Sequence[str] = ()
    ) -> list[tuple[float | None, tuple[str, ...]]]:
        """Return, for each row of scores (in the order of `terms`), the reward and the gates that capped it.

        Args:
            rows: one sequence of scores a case.
            groups: one group name a case; read only where `normalize` is `group`.
        """
        if self.normalize == "group":
            values = self._standardised(rows, groups)
        else:
            active = [(i, t if t.transforms else None) for i, t in enumerate(self.terms.values()) if t.weight]
            values = [
                [v if (v := row[i].value) is None or term is None else term(v) for i, term in active] for row in rows
            ]
        weights = [t.weight for t in self.terms.values() if t.weight]
        if not self.gates:
            return [(self._sum(weights, row), ()) for row in values]
        return [self._gated(self._sum(weights, v), row) for v, row in zip(values, rows, strict=True)]

    def _sum(self, weights: Sequence[float], values: Sequence[float | None]) -> float | None:
        total = 0.0
        lost = False
        for weight, value in zip(weights, values, strict=True):
            if value is None:
                lost = True
            else:
                total += weight * value
        if not lost:
            return total
        left = sum(abs(w) for w, v in zip(weights, values, strict=True) if v is not None)
        if self.on_failure == "unscored" or left == 0:
            return None
        return total * sum(map(abs, weights)) / left

    def _gated(self, total: float | None, row: Sequence[Score]) -> tuple[float | None, tuple[str, ...]]:
        if total is None:
            return None, ()
        by_label = dict(zip(self.terms, row, strict=True))
        fired = []
        for gate in self.gates:
            value = by_label[gate.component].value
            if value is None:
                return None, ()
            if gate.fires(value):
                fired.append(gate.component)
                total = min(total, gate.cap)
        return total, tuple(fired)

    def _standardised(self, rows: Sequence[Sequence[Score]], groups: Sequence[str]) -> list[list[float | None]]:
        members: dict[str, list[int]] = {}
        for index, group in enumerate(groups):
            members.setdefault(group, []).append(index)
        columns: list[list[float | None]] = []
        for position, term in enumerate(self.terms.values()):
            if not term.weight:
                continue
            column = [None if (v := row[position].value) is None else term(v) for row in rows]
            for indexes in members.values():
                known = [x for i in indexes if (x := column[i]) is not None]
                mean = sum(known) / len(known) if known else 0.0
                variance = sum((x - mean) ** 2 for x in known) / (len(known) - 1) if len(known) > 1 else 0.0
                scale = sqrt(variance) + GROUP_EPSILON
                for i in indexes:
                    if (x := column[i]) is not None:
                        column[i] = (x - mean) / scale
            columns.append(column)
        return [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in rows]

    def bounds(self, of: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
        """Return the range of the reward, given each component's."""
        if self.normalize == "group":
            return -inf, inf
        ends = [term.bounds(*of[label]) for label, term in self.terms.items()]
        low, high = sum(e[0] for e in ends), sum(e[1] for e in ends)
        return min([low, *(g.cap for g in self.gates)]), high
