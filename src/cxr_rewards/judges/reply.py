"""A judge's reply about a case: the base of each protocol's feature."""

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
from cxr_rewards.judges.details import ReplyText
from cxr_rewards.judges.settings import JudgeSettings
from cxr_rewards.types import Failure

CONTEXT = ("age", "sex", "indication", "history")
"""Keys of a case's context that a judge is shown."""


class JudgeReply(JudgeSettings, StreamedFeature):
    """The unchanged text of a judge's reply. A reply that `parse` cannot read is a failure.

    Its signature holds the model, the sampling settings and a digest of the prompt. A cached reply is parsed again
    whenever it is used, so a better parser costs no request.

    Class attributes:
        prompt: name of the built-in prompt, with its version.
        places: places that a user's template may have.
        schema: JSON schema of the reply; empty if the reply is free text.
    """

    prompt: ClassVar[str]
    places: ClassVar[frozenset[str]] = frozenset(("candidate", "reference", "priors", "patient", "mark"))
    schema: ClassVar[Mapping[str, object]] = {}

    use_priors: bool = setting(True, "Show the priors, if a case has any.")
    template: str = setting("", "File with a prompt of your own; empty: the built-in one.", changes_scores=False)
    number: int = setting(0, "Number of the vote, from 0.")

    @property
    def over(self) -> Over:  # type: ignore[override]
        """A case, or a pair if priors and patient are not shown."""
        return "case" if self.use_priors and self._template.places & {"priors", "patient"} else "pair"

    @property
    def context(self) -> tuple[str, ...]:  # type: ignore[override]
        """Keys of the context that the prompt shows."""
        return CONTEXT if "patient" in self._template.places else ()

    @property
    def _template(self) -> prompts.Template:
        return prompts.from_file(self.template, self.places) if self.template else prompts.built_in(self.prompt)

    @property
    def prompt_id(self) -> str:
        """Name and digest of the prompt."""
        return f"{'template' if self.template else self.prompt}:{self._template.digest}"

    def _sign(self) -> str:
        return f"{super()._sign()}#{self.prompt_id}"

    def encode(self, value: str) -> object:
        """Return the reply as JSON can hold it: a text, or a table if it is known what it cost."""
        if not isinstance(value, ReplyText):
            return value
        return {"text": str(value), **{key: getattr(value, key) for key in ReplyText.__slots__}}

    def decode(self, stored: Any) -> str:
        """Invert `encode`."""
        return stored if isinstance(stored, str) else ReplyText(**stored)

    @classmethod
    @abstractmethod
    def parse(cls, reply: str) -> Any:
        """Return the verdict in a reply.

        Raises:
            VerdictParseError: the reply has none of the protocol's forms.
        """

    def checker(self, item: Any, upstream: FeatureTable) -> Callable[[str], object]:  # noqa: ARG002
        """Return a function that raises `VerdictParseError` if a reply is not a verdict on this item."""
        return self.parse

    def values(self, item: Any, upstream: FeatureTable) -> dict[str, str]:  # noqa: ARG002
        """Return the text for each place of the prompt."""
        return places_of(item, self.max_chars)

    def messages(self, item: Any, upstream: FeatureTable) -> prompts.Messages:
        """Return the messages of a request."""
        return prompts.render(self._template, self.values(item, upstream))

    def known(self, item: Any, upstream: FeatureTable) -> str | None:  # noqa: ARG002
        """Return the reply if it is known without asking the judge, else None."""
        return None

    def form(self) -> Form:
        """Return the fields of a request other than its messages."""
        fields: dict[str, object] = {"model": self.model, "max_tokens": self.max_tokens}
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
                    messages, check = self.messages(item, upstream), self.checker(item, upstream)
                    question = Question(item, messages, form, self.number, check)
                except VerdictParseError as error:  # an earlier reply, on which this question depends, cannot be read
                    known.append((item, Failure(self.name, f"{type(error).__name__}: {error}", "unparsable")))
                    continue
                yield question

        yield from client_for(self).ask(questions(), self.name)
        yield known


def places_of(item: PairItem | CaseItem, max_chars: int) -> dict[str, str]:
    """Return the texts of a case for a prompt's places, each made harmless and put between marks."""
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
