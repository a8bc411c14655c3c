"""How to react if a judge's server does not answer: ask again, change the request, give up the case, or end the run.

Servers agree on little here. Statuses are read together with the words, and with what is known of the address: one
that has answered before does not have a wrong URL, key or setting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isnan
from typing import NamedTuple

from cxr_rewards.errors import JudgeError, JudgeRefusal, JudgeStopped, JudgeTransportError, VerdictParseError
from cxr_rewards.judges.http import Answer

JSON_OBJECT = "json_object"
"""Stands for a schema inside `response_format` beside the type `json_object`."""

_LONGEST = 200
_FORBIDDEN = 4
"""Number of 403s at the start of a run that may come from a content filter."""
_LESSON_STATUSES = (400, 404, 415, 422, 500, 501)
"""Statuses with which servers refuse a schema, in any words."""


class RetryLater(JudgeError):  # noqa: N818 - named for the reaction
    """A failed attempt that may succeed later.

    Attributes:
        kind: for counting: `429`, `5xx`, `timeout`, `connection`, `malformed`, `down`, `dialect`.
        after_s: the least wait that the server asks for.
        is_hopeless: the judge has been down for so long that waiting is useless.
        lesson: the part of the request that the server may refuse, see `Lesson`.
    """

    def __init__(
        self, kind: str, text: str, *, after_s: float = 0.0, is_hopeless: bool = False, lesson: Lesson | None = None
    ) -> None:
        super().__init__(text)
        self.kind, self.after_s, self.is_hopeless, self.lesson = kind, after_s, is_hopeless, lesson


class Lesson(NamedTuple):
    """Part of a request that a server refuses, or may refuse.

    Attributes:
        limit_field: the server's name for the limit of tokens; empty: as before.
        schema_field: the field that the server wants the schema in, or `JSON_OBJECT`; empty: it takes none; None: as
            before.
        otherwise: the error if the same request fails without the schema too; None if the server said clearly that it
            takes no schema.
        status: HTTP status of the refusal.
    """

    limit_field: str = ""
    schema_field: str | None = None
    otherwise: JudgeError | None = None
    status: int = 0


class Sent(NamedTuple):
    """Parts of a request that a server may refuse, and what is known about the server.

    Attributes:
        fields: the request without its messages.
        limit_field: the name of the limit of tokens in it.
        has_schema: whether it held a schema that may be omitted or sent in another field.
        has_answered: whether this address has ever answered.
        takes_schema: whether it has ever answered a request with a schema.
        forbidden: how many requests it refused with a 403 before it ever answered.
    """

    fields: Mapping[str, object]
    limit_field: str
    has_schema: bool
    has_answered: bool
    takes_schema: bool
    forbidden: int


class ErrorBody(NamedTuple):
    """The error in a response's JSON: words, all codes, the status it names (0: none), the field it blames."""

    words: str
    codes: str
    status: int
    field: str


def error_in(data: object) -> ErrorBody | None:
    """Return the error that a response's JSON holds, in any of the forms that servers use; None if there is none."""
    if isinstance(data, list) and len(data) == 1:  # Google's
        data = data[0]
    if not isinstance(data, dict):
        return None
    error = data.get("error")
    if not error and not data.get("choices"):
        if data.get("object") == "error" or (data.get("message") and "choices" not in data):  # older vLLM's
            error = data
        else:
            error = data.get("detail") or data.get("errors")  # FastAPI's
    if not error:
        choices = data.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        error = first.get("error") if isinstance(first, dict) else None  # OpenRouter's
    if not error:
        return None
    if not isinstance(error, dict):
        return ErrorBody(error if isinstance(error, str) else str(error), str(data.get("error_type") or ""), 0, "")
    named = [error.get(key) for key in ("code", "status", "type")] + [data.get("code"), data.get("status")]
    numbers = [int(str(name)) for name in named if re.fullmatch("[1-5][0-9][0-9]", str(name))]
    status = next((number for number in numbers if number >= 400), 0)
    words = error.get("message") or error.get("detail") or error.get("error")
    codes = " ".join(str(name) for name in named if name)
    return ErrorBody(str(words or error), codes, status, str(error.get("param") or ""))


def refusal(
    answer: Answer, error: ErrorBody | None, sent: Sent, address: str, scrub: Callable[[str], str]
) -> JudgeError:
    """Return the error that a response without a completion means.

    Returns:
        `RetryLater`: a failure that may pass (408, 409, 425, 429, 5xx), or a request to send in another form.
        `VerdictParseError`: the server could not bind the model to its schema this time.
        `JudgeRefusal`: a filter declined the case; a single 403 counts as one.
        `JudgeTransportError`: this request is refused for good, such as for its length.
        `JudgeStopped`: no request will be answered: the key, address, model or a setting is refused, or the account
        is empty.
    """
    if error is None:
        error = ErrorBody(answer.body.decode("utf-8", "replace"), "", 0, "")
    status = answer.status if answer.status != 200 else error.status or _status_of(error)
    shown = " ".join(scrub(error.words).split())
    code = f"HTTP 200 with error {status}" if answer.status == 200 else f"HTTP {status}"
    about = f"{address}: {code}: {shown[:_LONGEST]}"
    said = f"{error.codes} {error.words}"[:20_000].lower()
    about_case = _of_this_case(status, said, about)
    if about_case is not None:
        return about_case
    for_good = _of_every_case(status, said, error.field, sent, about)
    if for_good is not None:
        return for_good
    headers = {name: scrub(value) for name, value in answer.headers.items()}
    plain = _by_status(status, about, headers, sent, address)
    return _lesson(status, said, sent, about, plain) or plain


def _status_of(error: ErrorBody) -> int:
    """Return the status that an error's codes stand for; 500 if unknown."""
    codes = error.codes.lower()
    return next((status for pattern, status in _CODES if re.search(pattern, codes)), 500)


_CODES = (
    ("rate_?limit|too_?many|quota|resource_exhausted", 429),
    ("auth|api_key|unauthenticated", 401),
    ("permission|forbidden", 403),
    ("not_?found", 404),
    ("bad_?request|invalid|validation|unsupported", 400),
)
_FILTER = re.compile(
    "content[ _-]?(?:filter|policy|management|moderation)|moderation|safety|flagged|responsible.?ai|data_inspection|"
    "usage polic|prohibited content|sensitive content|inappropriate"
)
_TOO_LONG = re.compile(
    "context[ _-]?(?:length|window|size)|maximum context|max_model_len|"
    "(?:prompt|input|request|message)s? (?:is|are|was) too (?:long|large)|too many (?:input )?tokens|"
    "reduce the length|token limit|string_above_max_length|max(?:imum)?_?(?:completion_)?tokens must be at least 1"
)
_BROKEN_JSON = re.compile("json_validate_failed|failed[ _](?:to )?generat(?:e|ion)")


def _of_this_case(status: int, said: str, about: str) -> JudgeError | None:
    """Return the error if a refusal is about the texts of the case."""
    if status < 500 and _BROKEN_JSON.search(said):
        return VerdictParseError(about)
    if status in (400, 403, 422, 451) and _FILTER.search(said):
        return JudgeRefusal(about)
    if status == 413 or (status != 429 and _TOO_LONG.search(said)):
        return JudgeTransportError(about)
    return None


_EMPTY_ACCOUNT = re.compile("insufficient_quota|insufficient[ _](?:balance|credit|funds)|no credit|billing")
_NO_MODEL = re.compile(
    r"model\b.*(?:not found|not exist|no such|unknown|invalid|not available|unavailable)|invalid model|no model\b"
)
_NOT_TAKEN = re.compile(
    "unsupported|n[o']t support|not (?:allowed|permitted|available|accepted|recognized)|unrecognized|unknown|"
    "unexpected|extra (?:inputs|fields|properties)|invalid|only the default|must be|deprecated|cannot be|incompatible|"
    "too large|at most|less than or equal|greater than"
)
_CURES = {"temperature": "temperature = -1 (not sent)", "top_p": "top_p = 1 (not sent)", "seed": "seed = -1 (not sent)"}
_NOT_A_SETTING = ("model", "messages", "response_format", "guided_json", "format", "stream")


def _of_every_case(status: int, said: str, field: str, sent: Sent, about: str) -> JudgeError | None:
    """Return the error if every case would be refused."""
    if status == 402 or (status in (403, 429) and _EMPTY_ACCOUNT.search(said)):
        return JudgeStopped(f"{about}. The account has no credit left.")
    if status == 401:
        return JudgeStopped(f"{about}. Give a valid key: see api_key_env and api_key_file.")
    if sent.has_answered or status not in (400, 404, 422, 500, 501):
        return None
    if "max_completion_tokens" in said and sent.limit_field == "max_tokens" and "max_tokens" in sent.fields:
        return RetryLater("dialect", about, lesson=Lesson(limit_field="max_completion_tokens"))
    for name, value in sent.fields.items():
        is_named = re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", said) is not None
        is_blamed = field.rpartition(".")[2] == name or (is_named and _NOT_TAKEN.search(said) is not None)
        if name not in _NOT_A_SETTING and is_blamed:
            cure = f"set {_CURES[name]}" if name in _CURES else f"change {name} (max_tokens, or extra_body)"
            return JudgeStopped(f"{about}. The model does not take {name} = {value}: {cure}.")
    return None


_SCHEMA = re.compile(
    "response_format|response_schema|json_?schema|guided|structured.?output|grammar|additionalproperties"
)


def _lesson(status: int, said: str, sent: Sent, about: str, plain: JudgeError) -> JudgeError | None:
    """Return the request to ask with the schema in another field, or without it, if that may help."""
    if not sent.has_schema or status not in _LESSON_STATUSES:
        return None
    if _SCHEMA.search(said) and status != 404:
        return RetryLater("dialect", about, lesson=Lesson(schema_field=_field_wanted(said, sent), status=status))
    if sent.takes_schema or (status == 404 and _NO_MODEL.search(said)):
        return None
    return RetryLater("dialect", about, lesson=Lesson(schema_field="", otherwise=plain, status=status))


def _field_wanted(said: str, sent: Sent) -> str:
    """Return where a server that does not take our schema in `response_format` wants it; empty if it does not say."""
    bound = sent.fields.get("response_format")
    if not isinstance(bound, dict) or bound.get("type") != "json_schema":
        return ""
    return next((field for field, named in _OTHER_FIELDS if named.search(said)), "")


_OTHER_FIELDS = (
    ("guided_json", re.compile("guided_json")),
    ("format", re.compile(r"(?<!\w)(?:use|set|pass|try|with) (?:the )?(?:field )?[`'\"]?format\b")),
    (JSON_OBJECT, re.compile("json_object")),
)
"""Where vLLM, Ollama and llama-cpp-python take a schema if not as a `json_schema`, and the words that say so."""


def _by_status(status: int, about: str, headers: Mapping[str, str], sent: Sent, address: str) -> JudgeError:
    if status in (408, 409, 425, 429) or status >= 500:
        kind = "429" if status == 429 else "5xx" if status >= 500 else "timeout"
        return RetryLater(kind, about, after_s=retry_after(headers))
    if status == 403 and not sent.has_answered and sent.forbidden >= _FORBIDDEN:
        return JudgeStopped(f"{about}. So were all before it: check what the key may use, and model.")
    if status == 403:
        return JudgeRefusal(about)
    if status in (400, 413, 415, 422, 451):
        return JudgeTransportError(about)
    if sent.has_answered:  # a gateway whose server restarts
        return RetryLater("5xx", about, after_s=retry_after(headers))
    where = headers.get("location", "")
    if 300 <= status < 400:
        return JudgeStopped(
            f"{about}. Redirects are not followed: set base_url to the address that answers{where and f', {where}'}."
        )
    base = re.sub("/(?:chat/)?completions$", "", address)
    hint = "" if re.search(r"/v\d|/deployments/|/openai", base) else f"; most servers' ends in /v1: {base}/v1"
    return JudgeStopped(f"{about}. Check base_url and model{hint}.")


def retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds of `retry-after-ms` or `Retry-After`, a number or a date; 0 if there is none.

    Example:
        >>> [retry_after({"retry-after": value}) for value in ("7", "0.5", "soon")]
        [7.0, 0.5, 0.0]
    """
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        else:
            value = headers.get("retry-after", "").strip()
            if not value:
                return 0.0
            if value.replace(".", "", 1).isdigit():
                seconds = float(value)
            else:
                date = parsedate_to_datetime(value)
                seconds = (date - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return 0.0 if isnan(seconds) else max(0.0, min(seconds, 1e9))
