"""The chat-completions protocol: what is sent, what comes back, and what each kind of error means."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NamedTuple

from cxr_rewards.errors import JudgeError, JudgeRefusal, JudgeStopped, JudgeTransportError, VerdictParseError
from cxr_rewards.judges.prompt import Messages
from cxr_rewards.judges.wire import Answer

_LONGEST = 200


class RetryLater(JudgeError):  # noqa: N818 - what is to be done
    """An attempt that failed in a way that may pass.

    Attributes:
        kind: for counting: `429`, `5xx`, `timeout`, `connection`, `malformed`, `down`.
        after_s: the least wait that the server asks for.
        hopeless: the judge has been down for so long that to wait is no use.
        lesson: how the address is to be asked from now on.
    """

    def __init__(
        self, kind: str, text: str, *, after_s: float = 0.0, hopeless: bool = False, lesson: Dialect | None = None
    ) -> None:
        super().__init__(text)
        self.kind, self.after_s, self.hopeless, self.lesson = kind, after_s, hopeless, lesson


class Question(NamedTuple):
    """One request.

    Attributes:
        item: whose it is.
        messages: what is said.
        form: all else that is sent, the same for all questions of a judge.
        number: of the vote: equal questions of different numbers are asked apart.
        check: raises `VerdictParseError` for a reply that is no verdict.
    """

    item: Any
    messages: Messages
    form: Form
    number: int
    check: Callable[[str], object]

    @property
    def key(self) -> Any:
        """What makes two questions one."""
        return self.messages, self.number, self.form

    @property
    def tokens(self) -> int:
        """A guess at the tokens of request and reply, before the endpoint counts them: 4 characters each."""
        return sum(len(text) for _, text in self.messages) // 4 + 200


class Form(NamedTuple):
    """What is sent besides messages.

    Attributes:
        fields: the request's other fields, as JSON.
        schema: JSON schema of the reply, as JSON; empty where it is free text.
        name: of the schema.
        structured: how the reply is bound to the schema, see `JudgeSettings.structured`.
    """

    fields: str
    schema: str
    name: str
    structured: str


class Dialect(NamedTuple):
    """How an address wants to be asked: what it was found to lack is left out from then on."""

    has_schema: bool = True
    limit_field: str = "max_tokens"

    def body(self, question: Question) -> bytes:
        """Return the request's JSON."""
        messages = json.dumps([{"role": role, "content": text} for role, text in question.messages])
        return f'{_fixed(self, question.form)[:-1]}, "messages": {messages}}}'.encode()

    def after(self, error: str) -> Dialect | None:
        """Return how to ask after a 400, if it says what the address lacks and that can be left out; else None."""
        text = error.lower()
        if "max_completion_tokens" in text and self.limit_field == "max_tokens":
            return self._replace(limit_field="max_completion_tokens")
        lacks = ("response_format", "json_schema", "guided", "structured output", "grammar")
        if self.has_schema and any(word in text for word in lacks):
            return self._replace(has_schema=False)
        return None


@lru_cache(maxsize=256)
def _fixed(dialect: Dialect, form: Form) -> str:
    """Return the JSON of all fields of a request but the messages."""
    data = dict(json.loads(form.fields))
    if dialect.limit_field not in data and "max_tokens" in data:
        data[dialect.limit_field] = data.pop("max_tokens")
    if form.schema:
        if form.structured == "json_schema" or (form.structured == "auto" and dialect.has_schema):
            bound = {"name": form.name, "strict": True, "schema": json.loads(form.schema)}
            data["response_format"] = {"type": "json_schema", "json_schema": bound}
        elif form.structured == "json_object":
            data["response_format"] = {"type": "json_object"}
    return json.dumps(data)


class Reply(NamedTuple):
    """A chat completion: its text, why it ended, and (prompt, completion) tokens."""

    text: str
    finish: str
    refusal: str
    tokens: tuple[int, int]

    def check(self) -> None:
        """Raise for a reply that is not whole."""
        if self.refusal or self.finish == "content_filter":
            raise JudgeRefusal(f"the model refused: {self.refusal[:_LONGEST] or 'content filter'}")
        if self.finish == "length":
            raise VerdictParseError(f"the reply was cut off after {self.tokens[1]} tokens; raise max_tokens")


def read_answer(answer: Answer, dialect: Dialect, key: str, address: str) -> Reply:
    """Return the completion in an HTTP response.

    Raises:
        RetryLater: 408, 409, 425, 429, 5xx, a body that is no completion, or a 400 that says how to ask instead.
        JudgeStopped: the key, the address or the model is refused.
        JudgeRefusal: the endpoint's content filter.
        JudgeTransportError: the case's request is refused, such as for its length.
    """
    if answer.status != 200:
        raise _refused(answer, dialect, key, address)
    try:
        data = json.loads(answer.body)
        choice = data["choices"][0]
        message = choice["message"]
        usage = data.get("usage") or {}
        tokens = (int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
        text = message.get("content") or ""
        if not isinstance(text, str):
            raise TypeError("content is no text")
        return Reply(text, str(choice.get("finish_reason") or ""), str(message.get("refusal") or ""), tokens)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise RetryLater(
            "malformed", f"{address}: the response is no chat completion ({type(error).__name__})"
        ) from None


def _refused(answer: Answer, dialect: Dialect, key: str, address: str) -> JudgeError:
    status = answer.status
    said = answer.body[:4000].decode("utf-8", "replace")
    code = ""
    try:
        error = json.loads(answer.body)["error"]
        if isinstance(error, str):
            said = error
        else:
            said, code = str(error.get("message") or said), f"{error.get('code') or ''} {error.get('type') or ''}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    told = " ".join((said.replace(key, "***") if key else said).split())[:_LONGEST]
    about = f"{address}: HTTP {status}: {told}"
    # OpenAI's way of saying that the account is empty: no use to try again.
    if status == 429 and "insufficient_quota" in code:
        return JudgeStopped(f"{about}. The account has no credit left.")
    if status in (408, 409, 425, 429) or status >= 500:
        kind = "429" if status == 429 else "5xx" if status >= 500 else "timeout"
        return RetryLater(kind, about, after_s=_retry_after(answer.headers))
    if status == 401:
        return JudgeStopped(f"{about}. Give a valid key: see api_key_env and api_key_file.")
    if status in {400, 413, 422}:
        lesson = dialect.after(f"{code} {said}")
        if lesson is not None:
            return RetryLater("dialect", about, lesson=lesson)
        return _bad_request(about, f"{code} {said}".lower())
    return JudgeStopped(f"{about}. Check base_url and model.")


def _bad_request(about: str, said: str) -> JudgeError:
    if any(word in said for word in ("content_filter", "content management", "content policy", "safety")):
        return JudgeRefusal(about)
    return JudgeTransportError(about)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds of `retry-after-ms` or `Retry-After`, a number or a date; 0 where there is none."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after", "")
        if not value:
            return 0.0
        if value.replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
