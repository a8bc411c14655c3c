"""Replies of the fake judge: a verdict for each protocol, from the rule-based reader's comparison."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from cxr_rewards.findings import Comparison, Finding, Report, compare, merge, read, significance
from cxr_rewards.testing.fake_published import in_published_form, published_task

_TASK = re.compile(r"Task: (\w+)\.")
_MARK = re.compile(r"<(\w+) mark=\"(\w+)\">\n(.*?)\n</\1 mark=\"\2\">", re.DOTALL)
_NUMBERED = re.compile(r"^\d+\. ", re.MULTILINE)
_CRITERION = re.compile(r"^- ([^:\n]+)", re.MULTILINE)
_SCALE = re.compile(r"on a scale from (\S+) .*? to (\S+) ", re.DOTALL)
_OBEYED = re.compile(
    r"\b(ignor|disregard|forget|overrid)\w*\b.{0,80}\b(above|previous|instruction|rule|prompt)|\bzero errors?\b"
    r"|\bno errors?\b.{0,40}\breport\b|\bperfect score\b",
    re.IGNORECASE | re.DOTALL,
)
_TYPES = {"location": "C", "severity": "D", "measurement": "D"}
_EMPTY = Report((), (), (), ())
_NAMES = {
    "urgent": "urgent",
    "actionable": "actionable_not_urgent",
    "not_actionable": "not_actionable",
    "benign": "benign_expected",
}


def answer_to(messages: Sequence[Mapping[str, str]]) -> str:
    """Return the verdict on a question from one of this library's prompts, or from a published one.

    It is gullible on purpose: it obeys any text outside the marks, so a report that escapes its marks gets its way.

    Raises:
        ValueError: the messages hold none of the known tasks.
    """
    text = "\n".join(message["content"] for message in messages)
    task = _TASK.search(messages[0]["content"])
    if task is None and (published := published_task(messages)):
        name, parts = published
        return in_published_form(name, parts, _ANSWERS[name](parts, text))
    if task is None or task[1] not in _ANSWERS:
        raise ValueError(f"no task in {messages[0]['content'][:80]!r}; the fake judge knows {', '.join(_ANSWERS)}")
    last = messages[-1]["content"]
    outside = _MARK.sub("", last)
    parts = {}
    for kind, _, inside in _MARK.findall(last):
        parts.setdefault(kind, []).append(inside)
    if _OBEYED.search(outside):
        parts["candidate"] = parts.get("reference", [""])  # praised as if it were the reference
        parts["phrases"] = parts.get("evidence", [""])
    return _ANSWERS[task[1]](parts, text)


@lru_cache(maxsize=4096)
def _report(text: str) -> Report:
    return merge(read(text))


def _comparison_and_patient(parts: Mapping[str, list[str]]) -> tuple[Comparison, dict[str, object]]:
    candidate, reference = ((parts.get(key) or [""])[0] for key in ("candidate", "reference"))
    lines = [line.partition(": ") for line in (parts.get("patient") or [""])[0].split("\n")]
    return compare(_report(reference), _report(candidate)), {key: value for key, _, value in lines if value}


def _matters(finding: Finding, patient: Mapping[str, object]) -> bool:
    return significance(finding, patient) in ("urgent", "actionable")


def _supported(finding: Finding, parts: Mapping[str, list[str]]) -> bool:
    """Return whether a prior report has the finding whose change is reported."""
    return any(
        other.observation == finding.observation
        for prior in parts.get("prior", [])
        for other in _report(prior).abnormal
    )


def _errors(parts: Mapping[str, list[str]]) -> list[tuple[str, bool, str]]:
    """Return (type, whether significant, description) of each error, with CheXprompt's types."""
    comparison, patient = _comparison_and_patient(parts)
    errors = [("A", _matters(f, patient), f.observation) for f in comparison.false]
    errors += [("B", _matters(f, patient), f.observation) for f in comparison.missed]
    for match in comparison.matched:
        for differs in match.differences:
            heavy = differs.cost >= 0.25 and _matters(match.reference, patient)
            if differs.kind == "temporal":
                if not match.candidate.change:
                    errors.append(("F", heavy, differs.says))
                elif not _supported(match.candidate, parts):
                    errors.append(("E", heavy, differs.says))
            elif differs.kind in _TYPES:
                errors.append((_TYPES[differs.kind], heavy, differs.says))
            else:
                errors.append(("D", False, differs.says))
    return errors


def _chexprompt(parts: Mapping[str, list[str]], text: str) -> str:  # noqa: ARG001
    errors = [{"type": kind, "significant": heavy, "what": what} for kind, heavy, what in _errors(parts)]
    return json.dumps({"errors": errors})


def _green(parts: Mapping[str, list[str]], text: str) -> str:  # noqa: ARG001
    errors = _errors(parts)
    matched = [match.reference.observation for match in _comparison_and_patient(parts)[0].matched]
    lines = ["[Explanation]:", "Read by rules.", ""]
    for title, wanted in (("Significant", True), ("Insignificant", False)):
        lines.append(f"[Clinically {title} Errors]:")
        for kind in "ABCDEF":
            listed = [what for k, heavy, what in errors if k == kind and heavy is wanted]
            if listed:
                lines.append(f"({kind.lower()}) Errors of this type: {len(listed)}. {'; '.join(listed)}")
        if lines[-1].startswith("["):
            lines.append(f"No {title.lower()} errors")
        lines.append("")
    lines += ["[Matched Findings]:", f"{len(matched)}. {'; '.join(matched)}" if matched else "No matched findings"]
    return "\n".join(lines)


def _crimson(parts: Mapping[str, list[str]], text: str) -> str:  # noqa: ARG001
    comparison, patient = _comparison_and_patient(parts)
    reference = [*(match.reference for match in comparison.matched), *comparison.missed]
    predicted = [*(match.candidate for match in comparison.matched), *comparison.false]

    def listed(findings: Sequence[Finding], letter: str) -> list[dict[str, str]]:
        return [
            {"id": f"{letter}{i}", "finding": f.observation, "clinical_significance": _NAMES[significance(f, patient)]}
            for i, f in enumerate(findings, 1)
        ]

    count = len(comparison.matched)
    attributes = [
        {
            "ref_id": f"R{i}",
            "pred_id": f"P{i}",
            "severity": "significant" if differs.cost >= 0.25 else "negligible",
            "error_types": [differs.kind],
        }
        for i, match in enumerate(comparison.matched, 1)
        for differs in match.differences
    ]
    return json.dumps(
        {
            "reference_findings": listed(reference, "R"),
            "predicted_findings": listed(predicted, "P"),
            "matched_findings": [{"ref_id": f"R{i}", "pred_id": f"P{i}"} for i in range(1, count + 1)],
            "errors": {
                "false_findings": [f"P{i}" for i in range(count + 1, len(predicted) + 1)],
                "missing_findings": [f"R{i}" for i in range(count + 1, len(reference) + 1)],
                "attribute_errors": attributes,
            },
        }
    )


def _fineradscore(parts: Mapping[str, list[str]], text: str) -> str:  # noqa: ARG001
    lines = _NUMBERED.split((parts.get("candidate") or [""])[0])[1:]
    errors = _errors({**parts, "candidate": [" ".join(lines)]})
    corrections: dict[int, dict[str, object]] = {}
    added = []
    for kind, heavy, what in sorted(errors, key=lambda error: not error[1]):
        stated = (n for n, line in enumerate(lines, 1) if any(f.observation == what for f in _report(line).abnormal))
        line = 0 if kind == "B" else next(stated, 1)
        severity = "urgent" if heavy else "not_actionable"
        entry = {"line": line, "type": kind, "severity": severity, "correction": "", "comment": what}
        if line:
            corrections.setdefault(line, entry)
        else:
            added.append(entry)
    return json.dumps({"corrections": [*corrections.values(), *added]})


def _phrases(parts: Mapping[str, list[str]], text: str) -> str:  # noqa: ARG001
    sentences = re.split(r"(?<=[.;!?])\s+|\n+", (parts.get("report") or [""])[0])
    return json.dumps({"phrases": [sentence.strip() for sentence in sentences if re.search(r"\w", sentence)]})


def _entailment(parts: Mapping[str, list[str]], text: str) -> str:  # noqa: ARG001
    phrases, evidence = (_NUMBERED.split((parts.get(key) or [""])[0])[1:] for key in ("phrases", "evidence"))
    known = _report(" ".join(evidence))
    verdicts = []
    for number, phrase in enumerate(phrases, 1):
        stated = _report(phrase.strip())
        comparison = compare(known, stated)
        entailed = bool(stated.abnormal or stated.absent) and not comparison.false
        entailed = entailed and not any(match.cost >= 0.25 for match in comparison.matched)
        denied = {finding.observation for finding in stated.absent}
        verdicts.append(
            {
                "phrase": number,
                "entailed": entailed and denied.isdisjoint(finding.observation for finding in known.abnormal),
            }
        )
    return json.dumps({"verdicts": verdicts})


def _rubric(parts: Mapping[str, list[str]], text: str) -> str:
    scale = _SCALE.search(text)
    low, high = (float(end) for end in scale.groups()) if scale else (0.0, 10.0)
    share = 1 / (1 + sum(heavy for _, heavy, _ in _errors(parts)))
    names = _CRITERION.findall(text.partition("by these criteria")[2])
    return json.dumps(dict.fromkeys((name.strip() for name in names), low + share * (high - low)))


_ANSWERS: Mapping[str, Callable[[Mapping[str, list[str]], str], str]] = {
    "chexprompt": _chexprompt,
    "green": _green,
    "crimson": _crimson,
    "fineradscore": _fineradscore,
    "radfact_phrases": _phrases,
    "radfact_entailment": _entailment,
    "rubric": _rubric,
    "greeting": lambda parts, text: "hello",  # noqa: ARG005 - of `cxr_rewards.judges.probe`, as the next
    "numbers": lambda parts, text: "271 828 182 845 904 523 536 28 747 135",  # noqa: ARG005
}
