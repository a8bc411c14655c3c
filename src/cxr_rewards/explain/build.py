"""Build an explanation: score one case and gather the parts of its reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from math import isfinite
from typing import Any, Literal

from cxr_rewards.components.findings_score import FindingsScore
from cxr_rewards.core.registry import component_names
from cxr_rewards.errors import ConfigError, SetupError, unknown_name
from cxr_rewards.explain.explanation import (
    ExplainedComponent,
    Explanation,
    FindingRow,
    GateState,
    MarkedReport,
    Total,
    Weighing,
)
from cxr_rewards.explain.marks import marks_of
from cxr_rewards.findings import read
from cxr_rewards.findings.certainty import denial_weight
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.reward.composite import CompositeReward
from cxr_rewards.types import Case, Reward, Score


def explain(reward: BaseReward, case: Case, *, only: str = "") -> Explanation:
    """Explain a case's reward.

    Args:
        reward: the reward to score with; not one that normalises within groups, whose values depend on other cases.
        case: the case.
        only: explain this component alone: one of the reward's by label, or else any by name, with its defaults.

    Raises:
        ConfigError: the reward normalises within groups, or `only` is unknown.

    Example:
        >>> why = explain(CompositeReward(["findings_score"]), Case(candidate="Effusion.", reference="Left effusion."))
        >>> why.reports[0].marks
        (Mark(span=(5, 13), notes=(Note(kind='differs', number=1),)),)
        >>> why.findings.credit / why.findings.weights == why.reward.value == 0.8
        True
    """
    if reward.total.normalize == "group":
        raise ConfigError(
            f"{reward.name}: normalize = 'group' needs whole groups at once; set it to 'none' for one case"
        )
    reward = reward.with_details()
    if only:
        reward = _only_component(reward, only)
    result = reward.score_batch([case])[0]
    findings = _weigh(reward, result, case)
    alone = only and not isinstance(reward.components[only], FindingsScore)
    return Explanation(
        case_id=case.case_id,
        context={str(k): str(v) for k, v in case.context.items()} if isinstance(case.context, Mapping) else {},
        reports=tuple(
            _marked_report(role, text, findings.rows, reward.max_chars) for role, text in _texts(case).items()
        ),
        findings=None if alone else findings,
        components=tuple(_components(reward, result)),
        reward=None if only else _total(reward, result),
    )


def _only_component(reward: BaseReward, name: str) -> BaseReward:
    """Return the reward of one component: the reward's own by label, else any by name with its defaults."""
    known = {*reward.components, *component_names()}
    if name not in known:
        raise ConfigError(unknown_name("explain", "component", name, known))
    if name in reward.components:
        return reward.only(name)
    return CompositeReward([name], cache=reward.cache, max_chars=reward.max_chars)


def _texts(case: Case) -> dict[str, object]:
    """Return the texts of a case by role; a bad case may have anything in their places."""
    priors = case.priors if isinstance(case.priors, tuple) else ()
    return {
        "reference": case.reference,
        "candidate": case.candidate,
        **{f"prior {i}": prior for i, prior in enumerate(priors, 1)},
    }


def _marked_report(role: str, text: object, rows: tuple[FindingRow, ...], max_chars: int) -> MarkedReport:
    if not isinstance(text, str):
        return MarkedReport(role=role, text=None, marks=marks_of(role, (), rows))
    if len(text) > max_chars:  # it is unscored; reading it would take long
        start = f"{text[:1_000]}... ({len(text):,} characters)"
        return MarkedReport(role=role, text=start, marks=marks_of(role, (), rows))
    return MarkedReport(role=role, text=text, marks=marks_of(role, read(text), rows))


# ---------------------------------------------------------------- findings_score


def _weigh(reward: BaseReward, result: Reward, case: Case) -> Weighing:
    """Return the arithmetic of `findings_score`: the reward's own, or else one with default settings."""
    label = next((label for label, c in reward.components.items() if isinstance(c, FindingsScore)), None)
    in_reward = label is not None
    if label is None:
        label = FindingsScore.name
        reward = CompositeReward([label], max_chars=reward.max_chars)
        result = reward.score_batch([case])[0]
    component, score = reward.components[label], result.parts[label]
    assert isinstance(component, FindingsScore)
    try:
        rows = _rows(score.details, component.denial_cost) if score.value is not None else ()
    except (KeyError, TypeError, AttributeError) as error:  # from a server
        raise SetupError(
            f"{reward.name}: the details of {label} are not those of findings_score: {type(error).__name__}: {error}"
        ) from None
    credit = sum(row.credit for row in rows)
    errors = sum(row.penalty for row in rows)
    weights = sum(row.weight for row in rows if row.kind in ("matched", "differs", "missed"))
    share = (credit - errors) / weights if weights else 1.0 if errors == 0 else -(errors + 1)
    unread = score.value is not None and not read(case.candidate)
    return Weighing(
        label=label,
        in_reward=in_reward,
        rows=rows,
        credit=credit,
        errors=errors,
        weights=weights,
        share=None if score.value is None or unread else share,
        value=score.value,
        failure=_reason(score),
    )


def _rows(details: Mapping[str, Any], denial_cost: float) -> tuple[FindingRow, ...]:
    """Return a row for each matched, missed, false and contradicted finding, numbered in order of reading."""
    of_reference = [_matched_row(pair) for pair in details["matched"]]
    of_reference += [_missed_row(finding, denial_cost) for finding in details["missed"]]
    of_reference.sort(key=lambda row: row.reference["span"] if row.reference else [])
    false = sorted(details["false"], key=lambda finding: finding["span"])
    rows = [*of_reference, *(_candidate_row("false", finding, finding["weight"]) for finding in false)]
    rows = [replace(row, number=number) for number, row in enumerate(rows, 1)]
    next_number = count(len(rows) + 1)
    stated = [(row.candidate, row.number) for row in rows if row.kind != "missed" and row.candidate]
    for finding in details["contradicted"]:
        same = [
            (candidate, number) for candidate, number in stated if candidate["observation"] == finding["observation"]
        ]
        same.sort(key=lambda pair: pair[0]["span"] != finding["span"])  # of two effusions, the one at this place
        number = same[0][1] if same else next(next_number)
        row = _candidate_row("contradicted", finding, denial_cost * finding["weight"])
        rows.append(replace(row, number=number))
    return tuple(rows)


def _matched_row(pair: Mapping[str, Any]) -> FindingRow:
    reference, cost, excess = pair["reference"], pair["cost"], pair["excess"]
    weight = reference["weight"]
    return FindingRow(
        kind="differs" if pair["differs"] or excess else "matched",
        reference=reference,
        candidate=pair["candidate"],
        differs=tuple(pair["differs"]),
        significance=reference["significance"],
        weight=weight,
        cost=cost,
        credit=weight * weight / (weight + cost) if weight else 0.0,
        penalty=excess,
    )


def _missed_row(finding: Mapping[str, Any], denial_cost: float) -> FindingRow:
    denial = finding.get("denied_by")
    return FindingRow(
        kind="missed",
        reference=finding,
        candidate=denial,
        significance=finding["significance"],
        weight=finding["weight"],
        penalty=denial_cost * finding["weight"] * denial_weight(denial.get("certainty", "absent")) if denial else 0.0,
    )


def _candidate_row(kind: Literal["false", "contradicted"], finding: Mapping[str, Any], penalty: float) -> FindingRow:
    return FindingRow(
        kind=kind,
        reference=None,
        candidate=finding,
        significance=finding["significance"],
        weight=finding["weight"],
        penalty=penalty,
    )


# ---------------------------------------------------------------- the composite


def _reason(score: Score) -> str | None:
    return None if score.failure is None else str(score.failure)


def _finite(end: float) -> float | None:
    return end if isfinite(end) else None


def _components(reward: BaseReward, result: Reward) -> list[ExplainedComponent]:
    shares = _shares(reward, result)
    explained = []
    for label, score in result.parts.items():
        term, component = reward.total.terms[label], reward.components[label]
        transformed = None if score.value is None else term(score.value)
        low, high = component.bounds
        explained.append(
            ExplainedComponent(
                label=label,
                component=component.name,
                measures=component.summary,
                higher_is_better=component.higher_is_better,
                bounds=(_finite(low), _finite(high)),
                value=score.value,
                transforms=tuple(map(str, term.transforms)),
                transformed=transformed,
                weight=term.weight,
                contribution=None if transformed is None else term.weight * transformed * shares[term.side],
                details=dict(score.details),
                failure=_reason(score),
            )
        )
    return explained


def _shares(reward: BaseReward, result: Reward) -> dict[int, float]:
    """Return the factors by which the policy `renormalize` multiplies metrics (1) and penalties (-1)."""
    shares = {1: 1.0, 0: 1.0, -1: 1.0}
    if reward.total.on_failure == "renormalize":
        for sign in (1, -1):
            side = [(label, abs(term.weight)) for label, term in reward.total.terms.items() if term.side == sign]
            left = sum(weight for label, weight in side if result.parts[label].value is not None)
            shares[sign] = sum(weight for _, weight in side) / left if left else 1.0
    return shares


def _total(reward: BaseReward, result: Reward) -> Total:
    before_gates = replace(reward.total, gates=()).combine([list(result.parts.values())])[0][0]
    gates = []
    for gate in reward.total.gates:
        value = result.parts[gate.component].value
        closed = None if value is None else gate.closes(value)
        gates.append(GateState(gate=str(gate), component=gate.component, value=value, cap=gate.cap, closed=closed))
    return Total(
        name=reward.name,
        signature=reward.signature,
        sum=None if before_gates is None else _finite(before_gates),
        gates=tuple(gates),
        value=result.value,
        reasons=result.reasons,
    )
