"""CRIMSON as published: its own prompt, from the installed package, and its own arithmetic."""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import CaseItem, FeatureTable, Over, PairItem
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ConfigError, VerdictParseError
from cxr_rewards.formulas.crimson import crimson_score
from cxr_rewards.judges.component import ErrorJudge
from cxr_rewards.judges.details import Assessment, no_counts, unnamed_errors
from cxr_rewards.judges.official import store
from cxr_rewards.judges.official.reply import OfficialJudge, OfficialReply, texts
from cxr_rewards.judges.prompt import Messages
from cxr_rewards.judges.protocols.crimson import ATTRIBUTES, TYPES, CrimsonReply, CrimsonVerdict
from cxr_rewards.judges.reading import json_in
from cxr_rewards.types import Case

Guidelines = Literal["auto", "on", "off"]
_OWN_MODEL = "medgemma-4b-it-crimson"
_PATIENT = {"age": "Age", "indication": "Indication"}
_GUIDELINES = "Guidelines in the prompt: on, off; auto: off for CRIMSON's own model, which never saw them, else on."
_CONTEXT = "Show age and indication, if the case has them."
_FAILURES = "Read an inconsistent reply as the published code does, instead of leaving the case unscored."


class CrimsonOfficialReply(OfficialReply):
    """The reply to CRIMSON's own messages, built by the installed package's function.

    Other models than CRIMSON's own get the published settings for them: the guidelines, a seed of 42, JSON mode, and no
    limit of tokens.
    """

    name = "crimson_official_reply"
    version = 1
    published = "crimson"

    guidelines: Guidelines = setting("auto", _GUIDELINES)
    use_context: bool = setting(True, _CONTEXT)
    upstream_failures: bool = setting(False, _FAILURES)

    @property
    def over(self) -> Over:  # type: ignore[override]
        """A case, or a pair if the patient is not shown."""
        return "case" if self.use_context else "pair"

    @property
    def context(self) -> tuple[str, ...]:  # type: ignore[override]
        """Keys of the context that the prompt shows."""
        return tuple(_PATIENT) if self.use_context else ()

    @property
    def has_guidelines(self) -> bool:
        """Whether the prompt has guidelines."""
        return self.guidelines == "on" or (self.guidelines == "auto" and _OWN_MODEL not in self.model.lower())

    def messages(self, item: PairItem | CaseItem, upstream: FeatureTable) -> Messages:  # noqa: ARG002
        """Return the messages of a request."""
        known = dict(getattr(item, "context", ()))
        patient = {title: known[key] for key, title in _PATIENT.items() if known.get(key, "").strip()}
        return messages(self.files, item.reference, item.candidate, patient, self.has_guidelines)

    def fields(self) -> Mapping[str, object]:
        """Return what is sent to models other than CRIMSON's own."""
        if not self.has_guidelines:
            return {}
        seed = {} if self.seed >= 0 else {"seed": 42}
        return {**seed, "max_tokens": None, "response_format": {"type": "json_object"}}

    @classmethod
    def parse(cls, reply: str) -> CrimsonVerdict:
        """Return the weights in a consistent reply."""
        return CrimsonReply.parse(reply)

    def checker(self, item: object, upstream: FeatureTable) -> Callable[[str], object]:  # noqa: ARG002
        """Return the function that reads a reply."""
        return published_score if self.upstream_failures else self.parse


class CrimsonOfficial(ErrorJudge, OfficialJudge):
    """CRIMSON as published: the same messages, settings and arithmetic, to reproduce its numbers.

    The messages are built by the installed package `crimson-score`. Reports stand in them as they are, so that a
    report can speak to the judge: use `crimson` to train. The published score is rounded to four digits; this one is
    not. Published code scores an inconsistent reply (an id that is not listed, a significance that is unknown) by
    default weights; here such a reply is asked for again and the case is unscored, unless `upstream_failures`.

    Range: (-1, 1].

    Details: as of `crimson`; with `upstream_failures`, numbers of errors alone if the reply is inconsistent.

    Source: CRIMSON (arXiv 2603.06183); crimson-score 0.2.0.
    """

    name = "crimson_official"
    version = 1
    summary = "CRIMSON with its published prompt and arithmetic"
    bounds = (-1.0, 1.0)
    requires = ("CRIMSON",)
    extra = "crimson"
    reply = CrimsonOfficialReply
    types = TYPES

    max_tokens: int = setting(8192, "Longest reply, in tokens; models other than CRIMSON's own get no limit.")
    guidelines: Guidelines = setting("auto", _GUIDELINES)
    use_context: bool = setting(True, _CONTEXT)
    upstream_failures: bool = setting(False, _FAILURES)

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "guidelines", ("auto", "on", "off"))

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, Assessment]:
        """Return the score of a reply."""
        (reply,) = self.replies(number)
        text = features.value(reply, case)
        if self.upstream_failures:
            return published_score(text), published_assessment(text)
        return crimson_score(*CrimsonReply.parse(text)), CrimsonReply.assessment(text)

    @classmethod
    def sample(cls, files: store.PromptFiles) -> dict[str, Messages]:
        """Return the messages with words of a template in place of the reports."""
        patient = {title: f"{{{{{key}}}}}" for key, title in _PATIENT.items()}
        return {"request": messages(files, "{{reference}}", "{{candidate}}", patient, has_guidelines=True)}


def messages(
    files: store.PromptFiles, reference: str, candidate: str, patient: Mapping[str, str], has_guidelines: bool
) -> Messages:
    """Return the messages of a request; the patient's block is left out if nothing is known."""
    prompt = _builder(str(store.place_of("crimson") / "prompt_parts.py"))(
        reference,
        candidate,
        patient_context=dict(patient) or None,
        include_significance_examples=has_guidelines,
        include_attribute_guidelines=has_guidelines,
        include_context_guidelines=has_guidelines,
    )
    return (("system", _system(files)), ("user", texts("crimson: build_prompt", prompt)[0]))


@lru_cache(maxsize=4)
def _builder(path: str) -> Callable[..., object]:
    """Return the package's function: its module alone is run, because the package loads much more."""
    spec = importlib.util.spec_from_file_location("crimson_prompt_parts", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    builder: Callable[..., object] | None = getattr(module, "build_prompt", None)
    if builder is None:
        raise ConfigError(f"{path}: there is no build_prompt")
    return builder


@lru_cache(maxsize=4)
def _system(files: store.PromptFiles) -> str:
    """Return the system message that the package's code holds."""
    found = dict.fromkeys(_system_messages(files.text("generate_score.py")))
    if len(found) != 1:
        raise ConfigError(f"crimson: expected one system message in generate_score.py, found {len(found)}")
    return next(iter(found))


def _system_messages(source: str) -> list[str]:
    """Return the contents of all messages of the system in Python source."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Dict):
            pairs = {
                key.value: value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            }
            role, content = pairs.get("role"), pairs.get("content")
            if isinstance(role, ast.Constant) and role.value == "system" and isinstance(content, ast.Constant):
                found.append(str(content.value))
    return found


_WEIGHTS = {"urgent": 1.0, "actionable_not_urgent": 0.5, "not_actionable_not_urgent": 0.25, "benign_expected": 0.0}
_COSTS = {"significant": 0.5, "negligible": 0.0}
_UNKNOWN = 0.25


def published_score(reply: str) -> float:
    """Return the score that the published code gives any JSON reply, consistent or not.

    An unknown significance or severity weighs 0.25, an id that is not listed 0, and a list that is missing is empty.
    Its repairs of broken JSON are not made.

    Raises:
        VerdictParseError: the reply is not JSON, or the published code fails on it.
    """
    try:
        return _published_score(_published_data(reply))
    except (KeyError, TypeError, AttributeError) as error:
        raise VerdictParseError(f"the published code fails on this reply: {type(error).__name__}: {error}") from None


def published_assessment(reply: str) -> Assessment:
    """Return the details of a reply that `published_score` accepts."""
    try:
        CrimsonReply.parse(reply)
    except VerdictParseError:
        errors = _published_data(reply).get("errors", {})
    else:
        return CrimsonReply.assessment(reply)
    counts = no_counts(TYPES)
    counts["significant"]["false"] = len(errors.get("false_findings", []))
    counts["significant"]["missed"] = len(errors.get("missing_findings", []))
    for error in errors.get("attribute_errors", []):
        sort = "significant" if error.get("severity") == "significant" else "insignificant"
        for kind in ATTRIBUTES:
            counts[sort][kind] += kind in error.get("error_types", [])
    return Assessment(counts=counts, errors=unnamed_errors(counts))


def _published_data(reply: str) -> Any:
    try:
        return json.loads(reply, object_pairs_hook=_first_of_each_key)
    except (ValueError, RecursionError):
        return json_in(reply)


def _first_of_each_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


def _published_score(data: Mapping[str, Any]) -> float:
    errors, matches = data.get("errors", {}), data.get("matched_findings", [])
    listed = data.get("reference_findings", [])
    reference, predicted = (
        {finding["id"]: _WEIGHTS.get(finding.get("clinical_significance", ""), _UNKNOWN) for finding in findings}
        for findings in (listed, data.get("predicted_findings", []))
    )
    wrong = sum(predicted.get(key, 0.0) for key in errors.get("false_findings", []))
    missed = sum(reference.get(key, 0.0) for key in errors.get("missing_findings", []))
    costs: dict[Any, float] = {}
    for error in errors.get("attribute_errors", []):
        costs[error["ref_id"]] = costs.get(error["ref_id"], 0.0) + _COSTS.get(error.get("severity", ""), _UNKNOWN)
    correct = 0.0
    for key in dict.fromkeys(match["ref_id"] for match in matches):
        weight = reference.get(key, 0.0)
        correct += weight * (weight / (weight + costs.get(key, 0.0))) if weight else 0.0
    weights = [_WEIGHTS.get(finding.get("clinical_significance", ""), _UNKNOWN) for finding in listed]
    total = sum(weights) if listed else len(matches) + missed
    if total:
        score = (correct - wrong) / total
    else:
        score = 1.0 if wrong == missed == 0 else -1.0
    excess = wrong - correct
    return score if score >= 0 else -excess / (1 + excess) if excess > 0 else 0.0
