"""Input and output of a reward: `Case`, `Score`, `Failure`, `Reward`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

FailureKind = Literal[
    "missing_text",
    "invalid_input",
    "too_long",
    "nothing_to_compare",
    "unread",
    "refusal",
    "unparsable",
    "transport",
    "timeout",
    "out_of_bounds",
    "error",
]
"""Why a value is missing, for programs:

- `missing_text`: the candidate, the reference or a prior is absent (None, NaN), or the reference is blank.
- `invalid_input`: a text, prior, context, row or rollout is not of the expected form.
- `too_long`: a text has more than `max_chars` characters.
- `nothing_to_compare`: the reference states nothing that the component measures.
- `unread`: more of the reference than `max_unread` is text that the rule-based reader does not understand.
- `refusal`: the judge declined the case.
- `unparsable`: the judge's reply is not a verdict.
- `transport`: the judge, server or actor could not be reached, or answered with an error status.
- `timeout`: no answer came in time, or the caller stopped waiting.
- `out_of_bounds`: the number is not finite, or not within the component's bounds.
- `error`: anything else.
"""

FAILURE_KINDS: tuple[FailureKind, ...] = get_args(FailureKind)


def known_kind(kind: object) -> FailureKind:
    """Return a failure kind that came from elsewhere; `error` if it is not one of ours.

    Example:
        >>> known_kind("refusal"), known_kind("of a later version")
        ('refusal', 'error')
    """
    return next((known for known in FAILURE_KINDS if type(kind) is str and kind == known), "error")


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
    context: Mapping[str, object] = field(default_factory=dict)
    case_id: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        # A lone text would pass for a tuple of characters, and a list cannot be a cache key.
        if type(self.priors) is not tuple:
            object.__setattr__(self, "priors", _as_tuple(self.priors))
        if self.context is None:
            object.__setattr__(self, "context", {})


def _as_tuple(priors: object) -> Any:
    if priors is None or (isinstance(priors, float) and priors != priors):  # noqa: PLR0124 - NaN, a table's empty cell
        return ()
    if isinstance(priors, str):
        return (priors,)
    try:
        return tuple(priors) if isinstance(priors, Iterable) and not isinstance(priors, Mapping) else priors
    except Exception:  # noqa: BLE001 - the engine reports what is left, and an array without dimensions raises
        return priors


class Failure(NamedTuple):
    """Why a value is missing.

    Attributes:
        where: the component, feature or text where it happened.
        error: the reason in words, for people.
        kind: the reason for programs, one of `FailureKind`.

    Example:
        >>> str(Failure("judge", "HTTP 503", "transport"))
        'judge: HTTP 503'
    """

    where: str
    error: str
    kind: FailureKind = "error"

    def __str__(self) -> str:
        return f"{self.where}: {self.error}"


class _LateDetails:
    """The part of a `Score` that computes `details` if they were not given."""

    __slots__ = ("_explain", "_of")
    if not TYPE_CHECKING:  # a checker would take any attribute for one

        def __getattr__(self, name: str) -> Any:  # called only for an attribute that is not set
            if name != "details":
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            of = self._of
            if of is not None:  # else another thread has set them
                _set(self, "details", self._explain(*of))
                _set(self, "_of", None)
            return self.details


_set = object.__setattr__  # a score is frozen


@dataclass(frozen=True, slots=True)
class Score(_LateDetails):
    """One component's number for one case.

    Attributes:
        value: the number, finite and within the component's bounds, or `None` if it could not be computed.
        details: what explains the number (counts, matched words, ...): JSON-compatible.
        failure: why `value` is `None`; `None` when there is a value.
    """

    value: float | None
    details: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None

    @classmethod
    def explained(cls, value: float, explain: Callable[..., Mapping[str, Any]], *of: Any) -> Score:
        """Return a score whose details are `explain(*of)`, computed when they are first read: training never does.

        Args:
            value: the number.
            explain: returns the details; it must not raise.
            *of: what it needs. It is kept until then, so pass values of the case and not the `FeatureTable`.

        Example:
            >>> score = Score.explained(0.5, lambda words: {"words": words}, 2)
            >>> score, score == Score(0.5, {"words": 2})
            (Score(value=0.5, details={'words': 2}, failure=None), True)
        """
        score: Score = _new(cls)
        _set(score, "value", value)
        _set(score, "failure", None)
        _set(score, "_explain", explain)
        _set(score, "_of", of)
        return score


_new = object.__new__


_SHOWN = 200
"""Characters of a reason that a notebook shows."""


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

    def to_dict(self, *, details: bool = False) -> dict[str, Any]:
        """Return a row of a table, JSON-compatible: the columns that `cxr-rewards score` adds.

        Args:
            details: also add `gates`, `signature` and `details`, the details of each component.

        Example:
            >>> Reward(0.5, {"bleu": Score(0.5)}).to_dict()
            {'bleu': 0.5, 'reward': 0.5, 'reason': None, 'reason_kind': None}
        """
        row: dict[str, Any] = {label: part.value for label, part in self.parts.items()}
        row |= {"reward": self.value, "reason": self.reasons or None, "reason_kind": "; ".join(self.kinds) or None}
        if details:
            told = {label: dict(part.details) for label, part in self.parts.items()}
            row |= {"gates": list(self.gates), "signature": self.signature, "details": told}
        return row

    def _repr_html_(self) -> str:
        """Return a small table for notebooks, in the colours of the page."""
        from html import escape

        def row(name: str, value: float | None, why: str, tag: str = "td") -> str:
            number = "-" if value is None else f"{value:.4g}"
            why = why if len(why) <= _SHOWN else f"{why[:_SHOWN]}..."
            cells = "".join(f'<{tag} style="text-align:left">{escape(cell)}</{tag}>' for cell in (name, number, why))
            return f"<tr>{cells}</tr>"

        gated = f"gate closed: {', '.join(self.gates)}" if self.gates else ""
        rows = [row(label, part.value, str(part.failure or "")) for label, part in self.parts.items()]
        why = gated if self.failure is None else str(self.failure)
        return f"<table><tbody>{''.join(rows)}{row('reward', self.value, why, 'th')}</tbody></table>"

    def unread_share(self, role: str) -> float:
        """Return the share of a text's sentences of which nothing was read, as the components that read findings tell.

        Args:
            role: `candidate` or `reference`.

        Example:
            >>> told = {"unread": {"reference": {"sentences": 4, "unread": [[0, 12]], "words": []}}}
            >>> Reward(1.0, {"findings_f1": Score(1.0, told)}).unread_share("reference")
            0.25
        """
        told = (part.details.get("unread", {}).get(role) for part in self.parts.values())
        return max((len(text["unread"]) / (text["sentences"] or 1) for text in told if text), default=0.0)

    @property
    def kinds(self) -> tuple[FailureKind, ...]:
        """The distinct kinds of the failures, in order; empty if nothing failed.

        Example:
            >>> Reward(None, {"bleu": Score(None, failure=Failure("reference", "is empty", "missing_text"))}).kinds
            ('missing_text',)
        """
        return tuple(dict.fromkeys(failure.kind for failure in self.failures))

    @property
    def reasons(self) -> str:
        """The failures in words, joined by `; `; empty if nothing failed.

        Example:
            >>> Reward(None, {"bleu": Score(None, failure=Failure("bleu", "no text"))}).reasons
            'bleu: no text'
        """
        return "; ".join(map(str, self.failures))
