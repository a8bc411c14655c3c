"""An explanation as data: marked reports, weighed findings, what each component adds, and the reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["false", "missed", "contradicted", "differs", "matched", "statement", "denied"]
"""Kinds of findings and marks:

- `false`: in the candidate and not in the reference.
- `missed`: in the reference and not in the candidate, which may deny it.
- `contradicted`: the candidate both states and denies it.
- `differs`: matched, with attributes that differ.
- `matched`: in both reports.
- `statement`: read, but not compared by `findings_score`.
- `denied`: denied, or ruled out by a normal statement.
"""

Row = Literal["false", "missed", "contradicted", "differs", "matched"]
"""Kinds that `findings_score` counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Label of a phrase.

    Attributes:
        kind: the kind of mark.
        number: that of the row of `findings`, or None.
    """

    kind: Kind
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A phrase of a report, `text[span[0]:span[1]]`, and its labels."""

    span: tuple[int, int]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedReport:
    """One report of the case.

    Attributes:
        role: `reference`, `candidate`, or `prior 1`, `prior 2`, ...
        text: shortened if it is too long to be scored; None if the case has no text there.
        marks: in order, never overlapping.
    """

    role: str
    text: str | None
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """A matched, missed, false or contradicted finding.

    Attributes:
        number: as in the marks.
        kind: which of them.
        reference: the reference's finding as `Finding.as_dict` has it, or None.
        candidate: that of the candidate (for `missed`, its denial), or None.
        differs: the attributes that differ: tables of `kind`, `cost` and `says`.
        significance: clinical significance of the finding.
        weight: its weight.
        cost: sum of the costs of what differs, limited by the weight.
        credit: its share of `Weighing.credit`.
        penalty: its share of `Weighing.errors`.
    """

    number: int = 0
    kind: Row
    reference: Mapping[str, Any] | None
    candidate: Mapping[str, Any] | None
    differs: tuple[Mapping[str, Any], ...] = ()
    significance: str
    weight: float
    cost: float = 0.0
    credit: float = 0.0
    penalty: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """The arithmetic of `findings_score`.

    Attributes:
        label: the component's label.
        in_reward: whether the reward has the component; if not, it is one with default settings.
        rows: the findings.
        credit: sum of the credits of matched findings; `C` in JSON.
        errors: sum of the penalties; `E` in JSON.
        weights: sum of the weights of the reference's findings; `N` in JSON.
        share: (C - E) / N; `S` in JSON. None if the case is unscored or nothing was read in the candidate.
        value: the component's value.
        failure: the reason if there is none.
    """

    label: str
    in_reward: bool
    rows: tuple[FindingRow, ...]
    credit: float
    errors: float
    weights: float
    share: float | None
    value: float | None
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedComponent:
    """One component: its value and what it adds to the reward.

    Attributes:
        label: the component's label in the reward.
        component: its registered name.
        measures: what it measures, in a few words.
        higher_is_better: its direction.
        bounds: its range; None for an end without bound.
        value: None if it has no value for this case.
        transforms: in order, in words.
        transformed: the value after the transforms.
        weight: its weight in the reward.
        contribution: what it adds to the weighted sum.
        details: what explains the value.
        failure: the reason if there is no value.
    """

    label: str
    component: str
    measures: str
    higher_is_better: bool
    bounds: tuple[float | None, float | None]
    value: float | None
    transforms: tuple[str, ...]
    transformed: float | None
    weight: float
    contribution: float | None
    details: Mapping[str, object] = field(default_factory=dict)
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """One gate: its condition in words, its component's value, its cap, and whether it closed (None: unknown)."""

    gate: str
    component: str
    value: float | None
    cap: float
    closed: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The reward.

    Attributes:
        name: the reward's name.
        signature: its signature.
        sum: the weighted sum before gates; None if it does not exist.
        gates: in order.
        value: the reward; None if the case is unscored.
        reasons: why it is unscored, else "".
    """

    name: str
    signature: str
    sum: float | None
    gates: tuple[GateState, ...]
    value: float | None
    reasons: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Explanation of a case's reward.

    Attributes:
        case_id: the case's id.
        context: the case's context, as text.
        reports: the reference, the candidate and the priors, marked.
        findings: the arithmetic of `findings_score`, with default settings if the reward does not have it; None if
            another component alone is explained.
        components: one by one.
        reward: None if one component alone is explained.
    """

    case_id: str
    context: Mapping[str, str]
    reports: tuple[MarkedReport, ...]
    findings: Weighing | None
    components: tuple[ExplainedComponent, ...]
    reward: Total | None

    @property
    def unscored(self) -> str | None:
        """The reason if what is explained, the reward or the one component, has no value."""
        if self.reward is not None:
            return self.reward.reasons if self.reward.value is None else None
        return self.components[0].failure

    def as_json(self) -> dict[str, Any]:
        """Return the explanation as JSON-compatible data."""
        data = asdict(self)
        data["case"] = {"id": data.pop("case_id"), "context": data.pop("context")}
        if data["findings"] is not None:
            data["findings"] = {_LETTERS.get(key, key): value for key, value in data["findings"].items()}
        return {key: _with_lists(data[key]) for key in ("case", "reports", "findings", "components", "reward")}


_LETTERS = {"credit": "C", "errors": "E", "weights": "N", "share": "S"}


def _with_lists(value: object) -> object:
    """Return JSON-compatible data with lists for tuples."""
    if isinstance(value, Mapping):
        return {key: _with_lists(item) for key, item in value.items()}
    return [_with_lists(item) for item in value] if isinstance(value, list | tuple) else value
