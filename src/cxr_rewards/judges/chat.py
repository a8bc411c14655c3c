"""Chat completions, and completions of a plain text: the request's JSON, and the completion in a response."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from cxr_rewards.errors import JudgeRefusal, VerdictParseError
from cxr_rewards.judges.http import Answer
from cxr_rewards.judges.prompt import Messages
from cxr_rewards.judges.refusals import JSON_OBJECT, RetryLater, Sent, error_in, refusal

CHAT = "chat/completions"
TEXT = "completions"

_LONGEST = 200
_OVERHEAD_TOKENS = 1000
"""Tokens of a request beyond its bytes: marks of the chat template."""
_CUT_OFF = ("length", "max_tokens", "model_length", "model_context_window_exceeded")
_FILTERED = ("content_filter", "safety", "recitation", "blocklist", "prohibited_content", "refusal")
_BROKEN = ("abort", "aborted", "error", "cancelled", "canceled", "insufficient_system_resource", "other")


_SCHEMA_FIELDS = {
    "json_schema": "response_format",
    "guided_json": "guided_json",
    "format": "format",
    "json_object_schema": JSON_OBJECT,
}
"""The place of the schema, by `JudgeSettings.structured`."""


class Question(NamedTuple):
    """One request.

    Attributes:
        item: the pair or case that the question is about.
        messages: role and text of each message.
        form: the rest of the request, the same for all questions of a judge.
        number: the vote's number; equal questions of different votes are asked separately.
        check: raises `VerdictParseError` for a reply that is not a verdict.
    """

    item: object
    messages: Messages
    form: Form
    number: int
    check: Callable[[str], object]

    @property
    def key(self) -> object:
        """Identity of the question: equal questions are asked once."""
        return self.messages, self.number, self.form

    @property
    def tokens(self) -> int:
        """Estimated tokens of request and reply, before the endpoint counts them: 4 characters each."""
        return sum(len(text) for _, text in self.messages) // 4 + 200


class Form(NamedTuple):
    """Fields of a request besides its messages.

    Attributes:
        fields: the request's other fields, as JSON.
        schema: JSON schema of the reply, as JSON; empty if the reply is free text.
        name: the schema's name.
        structured: how the reply is bound to the schema, see `JudgeSettings.structured`.
        path: end of the address: `CHAT`, or `TEXT`, to which the only message goes as a text without a chat template.
        reads_cut_off: whether a reply that reached the limit of tokens is read as far as it goes.
    """

    fields: str
    schema: str
    name: str
    structured: str
    path: str = CHAT
    reads_cut_off: bool = False

    @property
    def most_tokens(self) -> int:
        """Most tokens of a reply."""
        fields = json.loads(self.fields)
        most = fields.get("max_tokens") or fields.get("max_completion_tokens")
        return most if isinstance(most, int) else 0


class Dialect(NamedTuple):
    """Form of the requests that an address accepts: whatever it refuses is left out from then on.

    Attributes:
        schema_field: the field that holds the schema of the reply, or `JSON_OBJECT`; empty: none does.
        limit_field: the field that holds the limit of tokens.
    """

    schema_field: str = "response_format"
    limit_field: str = "max_tokens"

    def body(self, question: Question) -> bytes:
        """Return the request's JSON."""
        fixed = _fixed(self, question.form)[:-1]
        if question.form.path == TEXT:
            return f'{fixed}, "prompt": {json.dumps(question.messages[0][1])}}}'.encode()
        messages = json.dumps([{"role": role, "content": text} for role, text in question.messages])
        return f'{fixed}, "messages": {messages}}}'.encode()

    def fields(self, form: Form) -> dict[str, object]:
        """Return all fields of a request but the messages."""
        return dict(json.loads(_fixed(self, form)))

    def offers_schema(self, form: Form) -> bool:
        """Whether a request holds a schema that may be left out."""
        return bool(form.schema) and form.structured == "auto" and bool(self.schema_field)


@lru_cache(maxsize=256)
def _fixed(dialect: Dialect, form: Form) -> str:
    """Return the JSON of all fields of a request but the messages."""
    data = dict(json.loads(form.fields))
    if dialect.limit_field not in data and "max_tokens" in data:
        data[dialect.limit_field] = data.pop("max_tokens")
    if form.schema:
        schema = json.loads(form.schema)
        field = dialect.schema_field if form.structured == "auto" else _SCHEMA_FIELDS.get(form.structured, "")
        if form.structured == "json_object":
            data["response_format"] = {"type": "json_object"}
        elif field == "response_format":
            bound = {"name": form.name, "strict": True, "schema": schema}
            data["response_format"] = {"type": "json_schema", "json_schema": bound}
        elif field == JSON_OBJECT:
            data["response_format"] = {"type": "json_object", "schema": schema}
        elif field:
            data[field] = schema
    return json.dumps(data)


class Reply(NamedTuple):
    """A completion.

    Attributes:
        text: the text, or the message's content.
        finish: why it ended, in lower case; empty if not given.
        refusal: the model's words for declining.
        has_reasoning: whether the model's reasoning came in a field of its own.
        has_logprobs: whether the probabilities of its tokens came with it.
        usage: tokens of the prompt and of the completion as the endpoint counts them; None if not given.
    """

    text: str
    finish: str
    refusal: str
    has_reasoning: bool
    has_logprobs: bool
    usage: tuple[int | None, int | None]

    def prompt_tokens(self, request: bytes) -> int:
        """Return the prompt's tokens as the endpoint counts them, at most its bytes; else an estimate."""
        counted = self.usage[0]
        return len(request) // 4 if counted is None else min(counted, len(request) + _OVERHEAD_TOKENS)

    def completion_tokens(self, most: int) -> int:
        """Return the reply's tokens, reasoning included, as the endpoint counts them, at most those allowed."""
        counted = self.usage[1]
        size = len(self.text.encode("utf-8", "surrogatepass"))
        return size // 4 + 1 if counted is None else min(counted, max(most, size) + _OVERHEAD_TOKENS)

    def check(self, *, cut_off: bool = False) -> None:
        """Raise for a reply that is not whole; one that was cut off passes if `cut_off`.

        Raises:
            JudgeRefusal: the model declined.
            VerdictParseError: it was cut off, or all of it is in the field for reasoning.
            RetryLater: the server ended it in the middle.
        """
        if self.refusal or self.finish in _FILTERED:
            raise JudgeRefusal(f"the model refused: {self.refusal[:_LONGEST] or self.finish}")
        if self.finish in _CUT_OFF and not cut_off:
            raise VerdictParseError(f"the reply was cut off after {self.usage[1] or '?'} tokens; raise max_tokens")
        if self.finish in _BROKEN:
            raise RetryLater("malformed", f"the reply is not whole: the server ended it with {self.finish!r}")
        if self.has_reasoning and not self.text.strip():
            raise VerdictParseError(
                "the reply has no content: all of it came as reasoning; start the server without a reasoning parser, "
                "turn thinking off (extra_body) or raise max_tokens"
            )


def read_answer(answer: Answer, sent: Sent, address: str, scrub: Callable[[str], str]) -> Reply:
    """Return the completion in an HTTP response.

    Args:
        answer: the response.
        sent: the parts of the request that a server may refuse.
        address: for messages.
        scrub: takes the key out of what the server says.

    Raises:
        JudgeError: there is no completion; its class says how to react, see `refusal`.
    """
    try:
        data = json.loads(answer.body)
    except (ValueError, RecursionError):
        data = None
    error = error_in(data)
    if answer.status != 200 or error is not None:
        raise refusal(answer, error, sent, address, scrub)
    try:
        return _reply(data["choices"][0])._replace(usage=_usage(data))
    except (KeyError, IndexError, TypeError, AttributeError) as broken:
        raise RetryLater(
            "malformed", f"{address}: the response is not a chat completion ({type(broken).__name__})"
        ) from None


def _reply(choice: Mapping[str, Any]) -> Reply:
    # A completion of a plain text has no message around its text.
    message = {"content": choice["text"]} if "text" in choice and "message" not in choice else choice["message"]
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    return Reply(
        text=_text_of(message.get("content")),
        finish=str(choice.get("finish_reason") or "").lower(),
        refusal=str(message.get("refusal") or ""),
        has_reasoning=bool(reasoning),
        has_logprobs=bool(choice.get("logprobs")),
        usage=(None, None),
    )


def _text_of(content: str | Sequence[Any] | None) -> str:
    """Return the content of a message: a text, or parts whose texts are joined; parts of reasoning are left out."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise TypeError("content is not a text")
    parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    return "".join(part["text"] for part in parts if part.get("type", "text") in ("text", "output_text"))


def _usage(data: Mapping[str, object]) -> tuple[int | None, int | None]:
    usage = data.get("usage")
    if not isinstance(usage, dict):
        return None, None
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))


def _count(value: object) -> int | None:
    """Return a number of tokens; None if it is not one, such as a negative number, infinity or a text."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        return None
    return int(value)
