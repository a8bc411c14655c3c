"""Gates: conditions on one component that cap the reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cxr_rewards.errors import ConfigError, shorten
from cxr_rewards.reward.transforms import as_number


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Caps the reward at `cap` where a component's value (before transform and weight) is below, or above, a limit.

    Exactly one of `below` and `above` is given: `below` for a component whose higher values are better, `above` for
    the others. A gate's component may have weight 0. The cap should lie below every reward that a good report can get.
    Under group normalisation, which changes the size of all numbers, a closed gate puts the case at most level with the
    lowest of its group that passed; if none passed, all are level.

    Example:
        >>> Gate(component="format", below=1.0, cap=0.0).closes(0.5)
        True
    """

    component: str
    below: float | None = None
    above: float | None = None
    cap: float = 0.0

    def __post_init__(self) -> None:
        if (self.below is None) == (self.above is None):
            raise ConfigError(
                f"gate {self.component}: give either below or above, got below={self.below!r} and above={self.above!r}"
            )
        for key in ("below", "above", "cap"):
            value = getattr(self, key)
            if value is not None:
                object.__setattr__(self, key, as_number(value, f"gate {self.component}: {key}"))

    def closes(self, value: float) -> bool:
        """Return whether the gate caps the reward."""
        return value < self.below if self.below is not None else value > self.above  # type: ignore[operator]

    @property
    def condition(self) -> str:
        """The gate's condition in words."""
        return f"{self.component} {f'< {self.below:g}' if self.below is not None else f'> {self.above:g}'}"

    def __str__(self) -> str:
        return f"{self.condition} -> at most {self.cap:g}"


def parse_gates(gates: object, where: str) -> tuple[Gate, ...]:
    """Return gates given as `Gate`s or tables of their arguments; one or a list of them.

    Raises:
        ConfigError: something else, an unknown argument or a bad value; begins with `where`.
    """
    listed = [gates] if isinstance(gates, Gate | Mapping) else gates
    if not isinstance(listed, list | tuple):
        raise ConfigError(f"{where}: gates must be a list of gates, got {shorten(gates)}")
    parsed = []
    for gate in listed:
        try:
            parsed.append(gate if isinstance(gate, Gate) else Gate(**gate))
        except TypeError as error:
            message = f"{where}: expected a Gate or a table of its arguments, got {shorten(gate)} ({error})"
            raise ConfigError(message) from None
    return tuple(parsed)
