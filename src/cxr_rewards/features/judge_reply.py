"""What a judge answers about a case: the base of one feature a protocol."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from cxr_rewards.core.feature import Batch, CaseItem, FeatureTable, Over, PairItem, StreamedFeature
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import VerdictParseError
from cxr_rewards.judges import prompt as prompts
from cxr_rewards.judges.chat import Form, Question
from cxr_rewards.judges.settings import JudgeSettings
from cxr_rewards.types import Failure

CONTEXT = ("age", "sex", "indication", "history")
"""The context that a judge is told of a patient, where the case has it."""


class JudgeReply(JudgeSettings, StreamedFeature):
    """The text of a judge's reply, as it came; only replies that `parse` can read are values, all others failures.

    Its signature holds the model, the sampling settings and a digest of the prompt; a cached reply is parsed anew, so
    that a better parser costs nothing.

    Class attributes:
        prompt: the built-in prompt, with its version.
        places: what a template of the user's own may hold besides the candidate.
        schema: JSON schema of the reply; empty where it is free text.
    """

    prompt: ClassVar[str]
    places: ClassVar[frozenset[str]] = frozenset(("candidate", "reference", "priors", "patient", "mark"))
    schema: ClassVar[Mapping[str, Any]] = {}

    use_priors: bool = setting(True, "Show the priors, where a case has some.")
    template: str = setting("", "A prompt of one's own, a file; empty: the built-in one.", changes_scores=False)
    number: int = setting(0, "Which of several votes.")

    @property
    def over(self) -> Over:  # type: ignore[override]
        """A case, or a pair where priors and patient are not shown."""
        return "case" if self.use_priors and self._template.places & {"priors", "patient"} else "pair"

    @property
    def context(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the prompt tells of the patient."""
        return CONTEXT if "patient" in self._template.places else ()

    @property
    def _template(self) -> prompts.Template:
        return prompts.from_file(self.template, self.places) if self.template else prompts.built_in(self.prompt)

    def _sign(self) -> str:
        name = "template" if self.template else self.prompt
        return f"{super()._sign()}#{name}:{self._template.digest}"

    @classmethod
    @abstractmethod
    def parse(cls, reply: str) -> Any:
        """Return the verdict in a reply.

        Raises:
            VerdictParseError: the reply is none of the protocol's forms.
        """

    def checker(self, item: Any, upstream: FeatureTable) -> Callable[[str], object]:  # noqa: ARG002
        """Return what raises `VerdictParseError` for a reply that is no verdict on this item."""
        return self.parse

    def values(self, item: Any, upstream: FeatureTable) -> dict[str, str]:  # noqa: ARG002
        """Return what fills the places of the prompt."""
        return places_of(item, self.max_chars)

    def known(self, item: Any, upstream: FeatureTable) -> str | None:  # noqa: ARG002
        """Return the reply where nobody has to be asked; None where the judge is."""
        return None

    def form(self) -> Form:
        """Return what is sent besides messages."""
        fields: dict[str, Any] = {"model": self.model, "max_tokens": self.max_tokens}
        if self.temperature >= 0:
            fields["temperature"] = self.temperature
        if self.top_p != 1:
            fields["top_p"] = self.top_p
        if self.seed >= 0:
            fields["seed"] = self.seed + self.number
        fields.update(json.loads(self.extra_body))
        schema = json.dumps(self.schema) if self.schema else ""
        return Form(json.dumps(fields), schema, self.name, self.structured)

    def stream(self, items: Iterator[Any], upstream: FeatureTable) -> Iterator[Batch]:
        """Ask the judge about each item; see `cxr_rewards.judges.client`."""
        from cxr_rewards.judges.client import client_for

        form = self.form()
        known: Batch = []

        def questions() -> Iterator[Question]:
            for item in items:
                try:
                    reply = self.known(item, upstream)
                    if reply is not None:
                        known.append((item, reply))
                        continue
                    messages = prompts.render(self._template, self.values(item, upstream))
                    question = Question(item, messages, form, self.number, self.checker(item, upstream))
                except VerdictParseError as error:  # what an earlier reply said, read anew
                    known.append((item, Failure(self.name, f"{type(error).__name__}: {error}")))
                    continue
                yield question

        yield from client_for(self).ask(questions(), self.name)
        yield known


def places_of(item: PairItem | CaseItem, max_chars: int) -> dict[str, str]:
    """Return what of a case fills a prompt's places: each text harmless and between its marks."""
    priors = getattr(item, "priors", ())
    patient = dict(getattr(item, "context", ()))
    mark = prompts.mark_of(item.candidate, item.reference, *priors, *patient.values())

    def shown(kind: str, text: str) -> str:
        return prompts.wrap(kind, prompts.harmless(text, max_chars), mark)

    about = "\n".join(f"{key}: {prompts.harmless(patient[key], 500)}" for key in CONTEXT if patient.get(key))
    return {
        "candidate": shown("candidate", item.candidate),
        "reference": shown("reference", item.reference),
        "priors": "\n".join(shown("prior", text) for text in priors if text.strip()) or "(no earlier report)",
        "patient": prompts.wrap("patient", about, mark) if about else "(nothing known)",
        "mark": mark,
    }
