"""Why a reward is what it is: findings marked in the reports, how they are weighed, what each component adds.

`explain` returns all of it as JSON-compatible data; `explain_page.show` prints that.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from math import isfinite
from pathlib import Path
from typing import Any

from cxr_rewards.components.findings_score import FindingsScore
from cxr_rewards.core.registry import component_names
from cxr_rewards.errors import ConfigError, InputError, SetupError, shorten, unknown_name
from cxr_rewards.files import ColumnMap, Table, to_case
from cxr_rewards.findings import Finding, ontology, read
from cxr_rewards.findings.report import places_meet, sides_meet
from cxr_rewards.remote.base import ElsewhereReward, part_of
from cxr_rewards.reward.composite import CompositeReward
from cxr_rewards.types import Case, Reward, Score

KINDS = {  # most pressing first: a phrase that is several things at once has the colour of the first
    "false": ("!", "bold red", "false: not in the reference"),
    "missed": ("-", "red", "missed; in the candidate: denied"),
    "contradicted": ("*", "magenta", "denied although told"),
    "differs": ("~", "yellow", "matched, told differently"),
    "matched": ("+", "green", "matched"),
    "statement": (":", "cyan", "read, not compared here"),
    "denied": ("0", "dim", "denied or normal"),
}
"""Kinds of marks: sign without colour, style with it, meaning."""


# ---------------------------------------------------------------- what is explained


def text_of(value: str) -> str:
    """Return a text given on the command line: itself, or for `@FILE` the contents of that file.

    Raises:
        InputError: the file is not UTF-8.
        OSError: the file cannot be read.

    Example:
        >>> text_of("No effusion.")
        'No effusion.'
    """
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{value[1:]}: byte 0x{error.object[error.start]:02X} is not UTF-8; save it as UTF-8"
        ) from None


def find_case(table: Table, columns: ColumnMap, *, row: int | None = None, case_id: str = "", max_chars: int) -> Case:
    """Return one case of a table, by row number (1 for the first) or by case id.

    Raises:
        InputError: there is no such row or id, several rows have the id, or the row is bad.
    """
    rows = table.rows(columns.used)
    if row is not None:
        last = 0
        for found in rows:
            last = found.number
            if last == row:
                return to_case(found, columns, max_chars=max_chars)
        raise InputError(f"{table.path}: there is no row {row:,}; the last is row {last:,}")
    if columns.case_id is None:
        raise InputError(f"{table.path}: no column for case ids; name it with --id-col, or choose with --row")
    named = columns.case_id
    matches = [r for r in rows if (value := r.values.get(named)) is not None and str(value) == case_id]
    if not matches:
        raise InputError(f"{table.path}, column {named!r}: there is no case id {shorten(case_id)}")
    if len(matches) > 1:
        numbers = ", ".join(str(r.number) for r in matches[:5]) + (", ..." if len(matches) > 5 else "")
        raise InputError(
            f"{table.path}, column {named!r}: case id {shorten(case_id)} is that of rows {numbers}; choose with --row"
        )
    return to_case(matches[0], columns, max_chars=max_chars)


def explain(reward: CompositeReward, case: Case, *, only: str = "") -> dict[str, Any]:
    """Return why a case's reward is what it is, as JSON-compatible data.

    Args:
        reward: what to score with; not one that normalises within groups, whose values depend on other cases.
        case: the case.
        only: explain this component alone: one of the reward's by label, or else any by name, with its defaults.

    Returns:
        `case` (id, context); `reports`, each with `marks` on its text; `findings`: the rows and sums of
        `findings_score` (with its defaults where it is not in the reward; None if another component alone is
        explained); `components`, each with value, weight, contribution and details; and `reward`: sum, gates, value
        (None with `only`).

    Raises:
        ConfigError: the reward normalises within groups, or `only` is unknown.

    Example:
        >>> told = explain(CompositeReward(["findings_score"]), Case(candidate="Effusion.", reference="Left effusion."))
        >>> told["reports"][0]["marks"]
        [{'span': [5, 13], 'notes': [{'kind': 'differs', 'number': 1}]}]
        >>> told["findings"]["C"] / told["findings"]["N"] == told["reward"]["value"] == 0.8
        True
    """
    if reward.total.normalize == "group":
        raise ConfigError(
            f"{reward.name}: normalize = 'group' needs whole groups at once; set it to 'none' for one case"
        )
    if isinstance(reward, ElsewhereReward):
        reward = reward.with_details()
    if only:
        known = {*reward.components, *component_names()}
        if only not in known:
            raise ConfigError(unknown_name("explain", "component", only, known))
        here = only in reward.components
        reward = (
            part_of(reward, only) if here else CompositeReward([only], cache=reward.cache, max_chars=reward.max_chars)
        )
    result = reward.score_batch([case])[0]
    texts = [("reference", case.reference), ("candidate", case.candidate)]
    texts += [(f"prior {i}", prior) for i, prior in enumerate(case.priors if isinstance(case.priors, tuple) else (), 1)]
    reports = [_report(role, text, reward.max_chars) for role, text in texts]
    context = {str(k): str(v) for k, v in case.context.items()} if isinstance(case.context, Mapping) else {}
    rows, findings = _weigh(reward, result, case)
    for report in reports:
        report["marks"] = _marks(report.pop("findings"), rows, report["role"])
    if only and not isinstance(reward.components[only], FindingsScore):
        findings = None
    return {
        "case": {"id": case.case_id, "context": context},
        "reports": reports,
        "findings": findings,
        "components": _components(reward, result),
        "reward": None if only else _reward(reward, result),
    }


def _report(role: str, text: Any, max_chars: int) -> dict[str, Any]:
    if not isinstance(text, str):
        return {"role": role, "text": None, "findings": ()}
    if len(text) > max_chars:  # it is unscored; reading it would take long
        return {"role": role, "text": f"{text[:1_000]}... ({len(text):,} characters)", "findings": ()}
    return {"role": role, "text": text, "findings": read(text)}


# ---------------------------------------------------------------- findings_score


def _weigh(reward: CompositeReward, result: Reward, case: Case) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the findings in rows, and the arithmetic of `findings_score`."""
    label = next((label for label, c in reward.components.items() if isinstance(c, FindingsScore)), None)
    in_reward = label is not None
    if label is None:
        label = FindingsScore.name
        reward = CompositeReward([label], max_chars=reward.max_chars)
        result = reward.score_batch([case])[0]
    component, score = reward.components[label], result.parts[label]
    assert isinstance(component, FindingsScore)
    try:
        rows = _rows(score.details, component.denial_cost) if score.value is not None else []
    except (KeyError, TypeError, AttributeError) as error:  # from a server
        raise SetupError(
            f"{reward.name}: the details of {label} are none of its: {type(error).__name__}: {error}"
        ) from None
    correct = sum(row["credit"] for row in rows)
    wrong = sum(row["penalty"] for row in rows)
    total = sum(row["weight"] for row in rows if row["kind"] in ("matched", "differs", "missed"))
    share = (correct - wrong) / total if total else 1.0 if wrong == 0 else -(wrong + 1)
    unread = score.value is not None and not read(case.candidate)
    return rows, {
        "label": label,
        "in_reward": in_reward,
        "rows": rows,
        "C": correct,
        "E": wrong,
        "N": total,
        "S": None if score.value is None or unread else share,
        "value": score.value,
        "failure": _reason(score),
    }


def _rows(details: Mapping[str, Any], denial_cost: float) -> list[dict[str, Any]]:
    """Return a row for each matched, missed, false and contradicted finding, numbered in order of reading."""
    rows: list[dict[str, Any]] = []

    def add(kind: str, reference: Any, candidate: Any, weighed: Any, **more: Any) -> None:
        row = {"number": 0, "kind": kind, "reference": reference, "candidate": candidate, "differs": []}
        row |= {key: weighed[key] for key in ("significance", "weight")}
        rows.append({**row, "cost": 0.0, "credit": 0.0, "penalty": 0.0, **more})

    for pair in details["matched"]:
        weight, cost, excess = pair["reference"]["weight"], pair["cost"], pair["excess"]
        credit = weight * weight / (weight + cost) if weight else 0.0
        kind = "differs" if pair["differs"] or excess else "matched"
        add(
            kind, pair["reference"], pair["candidate"], pair["reference"],
            differs=pair["differs"], cost=cost, credit=credit, penalty=excess,
        )  # fmt: skip
    for finding in details["missed"]:
        denial = finding.get("denied_by")
        add("missed", finding, denial, finding, penalty=denial_cost * finding["weight"] if denial else 0.0)
    rows.sort(key=lambda row: row["reference"]["span"])
    for finding in sorted(details["false"], key=lambda finding: finding["span"]):
        add("false", None, finding, finding, penalty=finding["weight"])
    for number, row in enumerate(rows, 1):
        row["number"] = number
    told = [row for row in rows if row["kind"] != "missed" and row["candidate"]]
    fresh = count(len(rows) + 1)
    for finding in details["contradicted"]:
        same = [row for row in told if row["candidate"]["observation"] == finding["observation"]]
        same.sort(key=lambda row: row["candidate"]["span"] != finding["span"])  # two effusions: the one told here
        number = same[0]["number"] if same else next(fresh)
        add("contradicted", None, finding, finding, number=number, penalty=denial_cost * finding["weight"])
    return rows


# ---------------------------------------------------------------- marks on the text


def _finding(told: Mapping[str, Any]) -> Finding:
    """Return the finding that `Finding.as_dict` told."""
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items() if k in Finding._fields}
    return Finding(**given, start=told["span"][0], end=told["span"][1])


def _marks(findings: Sequence[Finding], rows: Iterable[Mapping[str, Any]], role: str) -> list[dict[str, Any]]:
    """Return what to mark in a report: spans that do not overlap, in order, each with what it is."""
    numbered: list[tuple[Finding, str, int]] = []
    contradicted: list[tuple[Finding, int]] = []
    for row in rows:
        if role in ("reference", "candidate") and row[role] is not None:
            if row["kind"] == "contradicted":
                contradicted.append((_finding(row[role]), row["number"]))
            else:
                numbered.append((_finding(row[role]), row["kind"], row["number"]))
    spans = {(finding.start, finding.end) for finding, _, _ in numbered}
    notes = [((finding.start, finding.end), kind, number) for finding, kind, number in numbered]
    for finding in findings:
        span = (finding.start, finding.end)
        if finding.polarity == "absent":
            clash = [number for told, number in contradicted if _denies(told, finding)]
            notes += [(span, "contradicted", number) for number in clash] or [(span, "denied", 0)]
        elif span not in spans:  # one more mention of a finding, or nothing that is compared
            same = next((told for told in numbered if _one(told[0], finding)), None)
            notes.append((span, same[1], same[2]) if same else (span, "statement", 0))
    return _disjoint(notes)


def _denies(told: Finding, denial: Finding) -> bool:
    return not denial.implied and told.observation == denial.observation and _in_one_place(told, denial)


def _one(told: Finding, mention: Finding) -> bool:
    """Judge whether a mention was joined into a finding: it names the finding, or something that it is a kind of."""
    if told.polarity == "absent" or mention.observation == "comparison":
        return False
    names = (told.observation, *ontology().observations[told.observation].ancestors)
    return mention.observation in names and _in_one_place(told, mention)


def _in_one_place(one: Finding, two: Finding) -> bool:
    return sides_meet(one, two) and places_meet(ontology(), one, two)


def _disjoint(notes: Sequence[tuple[tuple[int, int], str, int]]) -> list[dict[str, Any]]:
    """Join what overlaps into one mark; what is not compared, then what is denied, gives way to what is compared."""
    marks: list[dict[str, Any]] = []
    order = list(KINDS)
    for kinds in (order[:-2], order[-2:-1], order[-1:]):
        layer: list[dict[str, Any]] = []
        for (start, end), kind, number in sorted(note for note in notes if note[1] in kinds):
            note = {"kind": kind, "number": number or None}
            if layer and start < layer[-1]["span"][1]:
                layer[-1]["span"][1] = max(end, layer[-1]["span"][1])
                if note not in layer[-1]["notes"]:
                    layer[-1]["notes"].append(note)
            else:
                layer.append({"span": [start, end], "notes": [note]})
        starts = [mark["span"][0] for mark in marks]
        for mark in layer:
            i = bisect(starts, mark["span"][0])
            before = i and marks[i - 1]["span"][1] > mark["span"][0]
            if not before and (i == len(starts) or starts[i] >= mark["span"][1]):
                marks.append(mark)
        marks.sort(key=lambda mark: mark["span"])
    return marks


# ---------------------------------------------------------------- the composite


def _reason(score: Score) -> str | None:
    return None if score.failure is None else str(score.failure)


def _components(reward: CompositeReward, result: Reward) -> list[dict[str, Any]]:
    shares = _shares(reward, result)
    listed = []
    for label, score in result.parts.items():
        term, component = reward.total.terms[label], reward.components[label]
        changed = None if score.value is None else term(score.value)
        listed.append({
            "label": label,
            "component": component.name,
            "measures": component.summary,
            "higher_is_better": component.higher_is_better,
            "bounds": [end if isfinite(end) else None for end in component.bounds],
            "value": score.value,
            "transforms": [str(transform) for transform in term.transforms],
            "transformed": changed,
            "weight": term.weight,
            "contribution": None if changed is None else term.weight * changed * shares[term.side],
            "details": dict(score.details),
            "failure": _reason(score),
        })  # fmt: skip
    return listed


def _shares(reward: CompositeReward, result: Reward) -> dict[int, float]:
    """Return by what the policy `renormalize` multiplies metrics (1) and penalties (-1)."""
    shares = {1: 1.0, 0: 1.0, -1: 1.0}
    if reward.total.on_failure == "renormalize":
        for sign in (1, -1):
            side = [(label, abs(term.weight)) for label, term in reward.total.terms.items() if term.side == sign]
            left = sum(weight for label, weight in side if result.parts[label].value is not None)
            shares[sign] = sum(weight for _, weight in side) / left if left else 1.0
    return shares


def _reward(reward: CompositeReward, result: Reward) -> dict[str, Any]:
    total = replace(reward.total, gates=()).combine([list(result.parts.values())])[0][0]
    gates = []
    for gate in reward.total.gates:
        value = result.parts[gate.component].value
        closed = None if value is None else gate.closes(value)
        gates.append(
            {"gate": str(gate), "component": gate.component, "value": value, "cap": gate.cap, "closed": closed}
        )
    return {
        "name": reward.name,
        "signature": reward.signature,
        "sum": total if total is not None and isfinite(total) else None,
        "gates": gates,
        "value": result.value,
        "reasons": result.reasons,
    }
