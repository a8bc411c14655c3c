"""Monotone functions applied to a component's value before its weight."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import exp, isfinite
from numbers import Real
from typing import ClassVar

from cxr_rewards.errors import ConfigError, shorten, unknown_name


@dataclass(frozen=True, kw_only=True)
class Transform(ABC):
    """A monotone function applied to a component's value before its weight."""

    kind: ClassVar[str]

    @abstractmethod
    def __call__(self, x: float) -> float:
        """Return the transformed value."""

    @property
    def sign(self) -> int:
        """1 if the transform keeps the order of values, -1 if it reverses it."""
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
            self._reject("slope", "above 0 (put `negate` before it to reverse the direction)")

    def __call__(self, x: float) -> float:
        z = self.slope * (x - self.center)
        if z >= 0:
            return 1.0 / (1.0 + exp(-z))
        return exp(z) / (1.0 + exp(z))  # the same, without overflow if z is far below 0


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
    """`(x - mean) / scale` with a fixed mean and scale (standard deviation), never taken from the batch.

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


def as_number(value: object, where: str) -> float:
    """Return a finite number as a float.

    Raises:
        ConfigError: it is not a number (a truth value does not count), or not finite; begins with `where`.
    """
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    except OverflowError:
        number = math.inf
    if not isfinite(number):
        raise ConfigError(f"{where} must be a finite number, got {shorten(value)}")
    return number


def parse_transform(spec: object, where: str) -> Transform:
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
    for key in arguments:
        if key not in known:
            raise ConfigError(unknown_name(where, f"argument of {kind}", key, known))
    numbers = {key: as_number(value, f"{where}: {kind}.{key}") for key, value in arguments.items()}
    try:
        return TRANSFORMS[kind](**numbers)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
