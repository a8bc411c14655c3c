"""What goes into a reward and what comes out: `Case`, `Score`, `Failure`, `Reward`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One report to be scored, with what it is scored against.

    Attributes:
        candidate: the report to score, as the policy or a CSV gave it.
        reference: the radiologist's report of the same study.
        priors: earlier reports of the same patient, oldest first; a lone text counts as one report.
        context: optional facts about the study: `age`, `sex`, `indication`, ...
        case_id: a name for messages and output rows.
        group: cases of one prompt share it (a GRPO group); only group normalisation reads it.

    Example:
        >>> case = Case(candidate="No effusion.", reference="Small left effusion.", priors=("Clear lungs.",))
        >>> case.priors
        ('Clear lungs.',)
    """

    candidate: str
    reference: str
    priors: tuple[str, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    case_id: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        # A lone text would pass for a tuple of characters, and a list cannot be a cache key.
        if type(self.priors) is not tuple:
            object.__setattr__(self, "priors", _as_tuple(self.priors))


def _as_tuple(priors: Any) -> Any:
    if priors is None:
        return ()
    if isinstance(priors, str):
        return (priors,)
    return tuple(priors) if isinstance(priors, Iterable) else priors  # the engine reports what is left


class Failure(NamedTuple):
    """Why a value is missing: the component or feature where it happened, and the error in words."""

    where: str
    error: str

    def __str__(self) -> str:
        return f"{self.where}: {self.error}"


@dataclass(frozen=True, slots=True)
class Score:
    """One component's number for one case.

    Attributes:
        value: the number, finite and within the component's bounds, or `None` if it could not be computed.
        details: what explains the number (counts, matched words, ...): JSON-compatible.
        failure: why `value` is `None`; `None` when there is a value.
    """

    value: float | None
    details: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Reward:
    """The combined number for one case, with everything it was made of.

    Attributes:
        value: the reward, or `None` if the case is unscored (see `reasons`); never 0 for a failure.
        parts: each component's `Score` by its name in the reward, before transform and weight.
        gates: names of the gates' components that capped the value.
        signature: identifies components, versions, settings, weights and models: equal signatures, equal numbers.
    """

    value: float | None
    parts: Mapping[str, Score]
    gates: tuple[str, ...] = ()
    signature: str = ""

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The distinct failures of the parts, in order; parts that share a failed feature count once."""
        return tuple(dict.fromkeys(part.failure for part in self.parts.values() if part.failure is not None))

    @property
    def reasons(self) -> str:
        """The failures in words, joined by `; `; empty if every part has a value.

        Example:
            >>> Reward(None, {"bleu": Score(None, failure=Failure("bleu", "no text"))}).reasons
            'bleu: no text'
        """
        return "; ".join(map(str, self.failures))
