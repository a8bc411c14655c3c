"""CRIMSON: a judge lists both reports' findings by significance, matches them and names attribute errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.errors import VerdictParseError, shorten
from cxr_rewards.formulas.crimson import WEIGHTS, crimson_score
from cxr_rewards.judges.component import ErrorJudge, OneReplyJudge
from cxr_rewards.judges.details import Assessment, JudgedError, JudgedFinding, findings_of, no_counts
from cxr_rewards.judges.reading import a_list, json_in, only_keys
from cxr_rewards.judges.reply import JudgeReply
from cxr_rewards.types import Case

ATTRIBUTES = (
    "location",
    "severity",
    "descriptor",
    "measurement",
    "certainty",
    "unspecific",
    "overinterpretation",
    "temporal",
)
TYPES = ("false", "missed", *ATTRIBUTES, "other")
"""Types of errors in the details: false and missed findings, and attribute errors by kind (`other`: none is named)."""

_UNKNOWN = 0.25
_NAMES = {
    "urgent": WEIGHTS["urgent"],
    "actionable_not_urgent": WEIGHTS["actionable"],
    "actionable_nonurgent": WEIGHTS["actionable"],
    "actionable": WEIGHTS["actionable"],
    "not_actionable_not_urgent": WEIGHTS["not_actionable"],
    "not_actionable": WEIGHTS["not_actionable"],
    "benign_expected": WEIGHTS["benign"],
    "benign": WEIGHTS["benign"],
    "expected": WEIGHTS["benign"],
    "unknown": _UNKNOWN,
}
_SEVERITIES = {"significant": 0.5, "negligible": 0.0, "unknown": _UNKNOWN}


class CrimsonVerdict(NamedTuple):
    """Input of CRIMSON's arithmetic.

    Attributes:
        matched: weight, and cost of attribute errors, of each matched finding.
        missed: weight of each missed finding.
        false: weight of each false finding.
    """

    matched: tuple[tuple[float, float], ...]
    missed: tuple[float, ...]
    false: tuple[float, ...]


def _findings() -> dict[str, object]:
    properties = {
        "id": {"type": "string"},
        "finding": {"type": "string"},
        "clinical_significance": {
            "type": "string",
            "enum": ["urgent", "actionable_not_urgent", "not_actionable", "benign_expected"],
        },
    }
    return _objects(properties)


def _objects(properties: dict[str, object]) -> dict[str, object]:
    entry = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "array", "items": entry}


_ID = {"type": "string"}
_ERRORS: dict[str, object] = {
    "false_findings": {"type": "array", "items": _ID},
    "missing_findings": {"type": "array", "items": _ID},
    "attribute_errors": _objects(
        {
            "ref_id": _ID,
            "pred_id": _ID,
            "severity": {"type": "string", "enum": ["significant", "negligible"]},
            "error_types": {"type": "array", "items": {"type": "string", "enum": list(ATTRIBUTES)}},
        }
    ),
}
_TOP: dict[str, object] = {
    "reference_findings": _findings(),
    "predicted_findings": _findings(),
    "matched_findings": _objects({"ref_id": _ID, "pred_id": _ID}),
    "errors": {
        "type": "object",
        "properties": _ERRORS,
        "required": list(_ERRORS),
        "additionalProperties": False,
    },
}


class CrimsonReply(JudgeReply):
    """The judge's findings, matches and errors as JSON; `parse` returns their weights.

    Source: CRIMSON (arXiv 2603.06183), generate_score.py at 07e3331, for the format and the weights.
    """

    name = "crimson_reply"
    version = 1
    prompt = "crimson_v1"
    schema: ClassVar[Mapping[str, object]] = {
        "type": "object",
        "properties": _TOP,
        "required": list(_TOP),
        "additionalProperties": False,
    }

    @classmethod
    def parse(cls, reply: str) -> CrimsonVerdict:
        """Return the weights; an id that is unknown, listed twice, or in two roles, is an error."""
        data = json_in(reply)
        only_keys(data, _TOP, ("explanation", "reasoning"))
        reference = _weights(data, "reference_findings")
        predicted = _weights(data, "predicted_findings")
        errors = data["errors"]
        if not isinstance(errors, dict):
            raise VerdictParseError(f"errors: expected an object, got {shorten(errors)}")
        only_keys(errors, _ERRORS)
        matched = dict.fromkeys(_id(match, "ref_id", reference) for match in a_list(data, "matched_findings"))
        partners = {_id(m, "pred_id", predicted) for m in data["matched_findings"] if "pred_id" in m}
        false = _ids(errors, "false_findings", predicted)
        missing = _ids(errors, "missing_findings", reference)
        if clash := set(missing) & matched.keys() | set(false) & partners:
            raise VerdictParseError(f"both matched and missing or false: {sorted(clash)}")
        costs = dict.fromkeys(matched, 0.0)
        for error in a_list(errors, "attribute_errors"):
            severity = error.get("severity")
            if not isinstance(severity, str) or severity not in _SEVERITIES:
                raise VerdictParseError(f"severity: expected one of {list(_SEVERITIES)}, got {shorten(severity)}")
            kinds = error.get("error_types", [])
            if not isinstance(kinds, list) or not all(kind in ATTRIBUTES for kind in kinds):
                raise VerdictParseError(f"error_types: expected some of {ATTRIBUTES}, got {shorten(kinds)}")
            costs[_id(error, "ref_id", costs)] += _SEVERITIES[severity]
        return CrimsonVerdict(
            tuple((reference[key], cost) for key, cost in costs.items()),
            tuple(weight for key, weight in reference.items() if key not in matched),
            tuple(predicted[key] for key in false),
        )

    @classmethod
    def assessment(cls, reply: str) -> Assessment:
        """Return errors and findings with the judge's words, of a reply that `parse` accepts.

        A false or missed finding is a significant error if it is urgent or actionable.
        """
        data = json_in(reply)
        reference, predicted = (_by_id(data, key) for key in ("reference_findings", "predicted_findings"))
        matched = dict.fromkeys(str(match["ref_id"]) for match in data["matched_findings"])
        false = [predicted[str(key)] for key in data["errors"]["false_findings"]]
        missed = [finding for key, finding in reference.items() if key not in matched]
        errors = [_finding_error("false", finding) for finding in false]
        errors += [_finding_error("missed", finding) for finding in missed]
        for error in data["errors"]["attribute_errors"]:
            grade = error["severity"]
            text = reference[str(error["ref_id"])]["text"]
            errors += [
                JudgedError(type=kind, significant=grade == "significant", grade=grade, text=text)
                for kind in error.get("error_types") or ["other"]
            ]
        counts = no_counts(TYPES)
        for entry in errors:
            counts["significant" if entry["significant"] else "insignificant"][entry["type"]] += 1
        words = data.get("explanation") or data.get("reasoning") or ""
        return Assessment(
            counts=counts,
            errors=errors,
            matched=[reference[key] for key in matched],
            missed=findings_of(errors, "missed"),
            explanation=words if isinstance(words, str) else json.dumps(words),
        )


class Crimson(ErrorJudge, OneReplyJudge):
    """CRIMSON: a language model lists the abnormal findings of both reports, weighs them and matches them.

    The arithmetic is that of `cxr_rewards.formulas.crimson.crimson_score`: weights 1, 0.5, 0.25, 0 for urgent,
    actionable, not actionable and benign findings; 0.5 for a significant attribute error, 0 for a negligible one. The
    judge is shown the patient's `age`, `sex`, `indication` and `history`, if the context has them. `findings_score`
    uses the same arithmetic on findings read by rules.

    Range: (-1, 1].

    Details: `matched` (weight, cost of attribute errors), `missed` and `false`, by weight.

    Source: CRIMSON (arXiv 2603.06183; generate_score.py at 07e3331). The prompt is our own; `template`
    replaces it. A reply that lists an id twice, or names an id that is not listed, is not a verdict.

    Example:
        >>> from cxr_rewards.testing.fake_judge import FakeJudge
        >>> with FakeJudge() as judge:
        ...     crimson = Crimson(model="any", base_url=judge.url)
        ...     crimson.score("Left effusion.", "Left effusion.").value
        1.0
    """

    name = "crimson"
    version = 2
    summary = "CRIMSON: findings by clinical significance, found and matched by a judge"
    bounds = (-1.0, 1.0)
    reply = CrimsonReply
    types = TYPES

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, Assessment]:
        """Apply the arithmetic."""
        (reply,) = self.replies(number)
        text = features.value(reply, case)
        return crimson_score(*CrimsonReply.parse(text)), CrimsonReply.assessment(text)


def _name(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _weights(data: Mapping[str, object], key: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for entry in a_list(data, key):
        name, word = _name(entry.get("id")), entry.get("clinical_significance")
        weight = _NAMES.get(_plain(word)) if isinstance(word, str) else None
        if name is None or name in weights or weight is None:
            raise VerdictParseError(f"{key}: expected an id of its own and a known significance, got {shorten(entry)}")
        weights[name] = weight
    return weights


def _by_id(data: Mapping[str, Any], key: str) -> dict[str, JudgedFinding]:
    return {
        str(entry["id"]): JudgedFinding(text=str(entry.get("finding") or ""), grade=entry["clinical_significance"])
        for entry in data[key]
    }


def _finding_error(kind: str, finding: JudgedFinding) -> JudgedError:
    weight = _NAMES[_plain(finding["grade"])]
    significant = weight >= WEIGHTS["actionable"]
    return JudgedError(type=kind, significant=significant, grade=finding["grade"], text=finding["text"])


def _plain(significance: str) -> str:
    return re.sub(r"[\W_]+", "_", significance.strip().lower())


def _id(entry: Mapping[str, object], key: str, known: Mapping[str, object]) -> str:
    name = _name(entry.get(key))
    if name not in known:
        raise VerdictParseError(f"{key}: expected one of {sorted(known)}, got {shorten(entry.get(key))}")
    return str(name)


def _ids(errors: Mapping[str, object], key: str, known: Mapping[str, object]) -> list[str]:
    value = errors[key]
    if not isinstance(value, list):
        raise VerdictParseError(f"{key}: expected a list of ids, got {shorten(value)}")
    names = [_id({key: entry}, key, known) for entry in value]
    if len(set(names)) < len(names):
        raise VerdictParseError(f"{key}: an id is given twice: {shorten(names)}")
    return names
