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
        context: optional facts about the study: `age`, `sex`, `indication`, ...; None counts as empty.
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
    context: Mapping[str, Any] = field(default_factory=dict)
    case_id: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        # A lone text would pass for a tuple of characters, and a list cannot be a cache key.
        if type(self.priors) is not tuple:
            object.__setattr__(self, "priors", _as_tuple(self.priors))
        if self.context is None:
            object.__setattr__(self, "context", {})


def _as_tuple(priors: Any) -> Any:
    if priors is None or (isinstance(priors, float) and priors != priors):  # noqa: PLR0124 - NaN, a table's empty cell
        return ()
    if isinstance(priors, str):
        return (priors,)
    try:
        return tuple(priors) if isinstance(priors, Iterable) and not isinstance(priors, Mapping) else priors
    except Exception:  # noqa: BLE001 - the engine reports what is left, and an array without dimensions raises
        return priors


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
        gates: names of the components whose gates closed on the case.
        failure: why there is no value although its parts have theirs (the sum is not finite); else `None`.
        signature: identifies components, versions, settings, weights and models: equal signatures, equal numbers.
    """

    value: float | None
    parts: Mapping[str, Score]
    gates: tuple[str, ...] = ()
    signature: str = ""
    failure: Failure | None = None

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The distinct failures, in order; parts that share a failed feature count once."""
        failures = [*(part.failure for part in self.parts.values()), self.failure]
        return tuple(dict.fromkeys(failure for failure in failures if failure is not None))

    @property
    def reasons(self) -> str:
        """The failures in words, joined by `; `; empty if nothing failed.

        Example:
            >>> Reward(None, {"bleu": Score(None, failure=Failure("bleu", "no text"))}).reasons
            'bleu: no text'
        """
        return "; ".join(map(str, self.failures))
