"""One address of a judge: its connections, the form of its requests, its pace, and whether it is up."""

from __future__ import annotations

import ssl

from cxr_rewards.errors import JudgeError, JudgeStopped
from cxr_rewards.judges.chat import CHAT, Dialect, Question, Reply, read_answer
from cxr_rewards.judges.http import Connections, Headers, ResponseUnreadable
from cxr_rewards.judges.keys import Scrubber
from cxr_rewards.judges.limits import Breaker
from cxr_rewards.judges.pace import Pace
from cxr_rewards.judges.refusals import Lesson, RetryLater, Sent
from cxr_rewards.judges.settings import JudgeSettings

_DOUBT = 20
"""Answers to wait for before trying a schema again that was dropped perhaps because of one passing 500."""


class Address:
    """Asks one address of a judge.

    Raises:
        ConfigError: the address, or a proxy variable of the environment, is invalid.
    """

    def __init__(self, url: str, settings: JudgeSettings, headers: Headers, scrub: Scrubber) -> None:
        self._base = url.removesuffix(f"/{CHAT}")
        self.url = f"{self._base}/{CHAT}"
        self._query = f"?api-version={settings.api_version}" if settings.api_version else ""
        self.breaker = Breaker()
        self.pace = Pace(settings.concurrency, settings.timeout_s)
        self._connections = Connections(self.url + self._query, settings.concurrency)
        self._headers = headers
        self._scrub = scrub
        self._timeout_s = settings.timeout_s
        self._dialect = Dialect()
        self._has_answered = self._takes_schema = False
        self._forbidden = 0
        self._doubt = 0

    def plain(self) -> Dialect:
        """Return the form of a request without a schema, for a trial."""
        return self._dialect._replace(schema_field="")

    async def ask(self, question: Question, trial: Dialect | None = None) -> tuple[Reply, bytes]:
        """Return the reply to a question, whole or not, and the request.

        Args:
            question: sent once.
            trial: how to ask this time; adopted if there is a reply.

        Raises:
            JudgeError: there is no reply; see `refusals.refusal`.
        """
        dialect = trial or self._dialect
        request = dialect.body(question)
        number = self.pace.begin()
        try:
            reply = await self._exchange(request, dialect, question, number)
        except RetryLater as error:
            if error.kind in ("5xx", "malformed", "timeout", "connection"):
                self.breaker.failed(str(error))
            if error.lesson is not None and error.lesson.otherwise is None:
                self._learn(error.lesson)
            raise
        finally:
            self.pace.end(number)
        self._note_answer(dialect, question)
        return reply, request

    async def _exchange(self, request: bytes, dialect: Dialect, question: Question, number: int) -> Reply:
        url = f"{self._base}/{question.form.path}"
        try:
            answer = await self._connections.post(request, self._headers, self._timeout_s, url + self._query)
        except TimeoutError:
            self.pace.timed_out(number)
            raise RetryLater(
                "timeout",
                f"{url}: no answer within timeout_s = {self._timeout_s:g} ({self.pace}). If the judge is slow, "
                "raise timeout_s, or set concurrency to the number of requests it works on at once",
            ) from None
        except ssl.SSLCertVerificationError as refused:
            raise JudgeStopped(f"{url}: {refused}; for a certificate of your own set SSL_CERT_FILE") from None
        except OSError as broken:
            words = self._scrub.message(str(broken) or type(broken).__name__)
            raise RetryLater("connection", f"{url}: the connection broke: {words}") from None
        except ResponseUnreadable as unreadable:
            raise RetryLater("malformed", f"{url}: {unreadable}") from None
        sent = Sent(
            dialect.fields(question.form),
            dialect.limit_field,
            dialect.offers_schema(question.form),
            self._has_answered,
            self._takes_schema,
            self._forbidden,
        )
        self._forbidden += answer.status == 403
        try:
            reply = read_answer(answer, sent, url, self._scrub.message)
        except JudgeError as error:
            if isinstance(error, RetryLater) and (error.kind == "429" or answer.status == 503):
                self.pace.refused(number, error.after_s)
            raise
        self.pace.answered(number)
        return reply._replace(text=self._scrub.reply(reply.text), refusal=self._scrub.message(reply.refusal))

    def _note_answer(self, dialect: Dialect, question: Question) -> None:
        self.breaker.succeeded()
        self._has_answered = True
        self._takes_schema |= dialect.offers_schema(question.form)
        if self._doubt:
            self._doubt -= 1
            if not self._doubt:
                self._dialect = self._dialect._replace(schema_field=Dialect().schema_field)

    def _learn(self, lesson: Lesson) -> None:
        if lesson.limit_field:
            self._dialect = self._dialect._replace(limit_field=lesson.limit_field)
        if lesson.schema_field is not None:
            self._dialect = self._dialect._replace(schema_field=lesson.schema_field)

    def learn_from_trial(self, lesson: Lesson) -> None:
        """Leave out the schema from now on, because a request without it got a reply."""
        if lesson.status == 500 and self._dialect.schema_field and not self._takes_schema:
            self._doubt = _DOUBT
        self._learn(lesson)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connections.aclose()
