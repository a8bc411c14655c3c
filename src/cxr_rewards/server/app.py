"""The HTTP application around one reward."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic.json_schema import models_json_schema

from cxr_rewards import __version__
from cxr_rewards.adapters.openrlhf import cases_of, reply
from cxr_rewards.adapters.slime import result_of
from cxr_rewards.errors import CxrRewardsError, InputError
from cxr_rewards.remote.base import describe, score_table, settle
from cxr_rewards.reward.composite import CompositeReward
from cxr_rewards.server.batches import Batches, QueueFullError
from cxr_rewards.server.bodies import Bodies
from cxr_rewards.server.guard import Guard
from cxr_rewards.server.messages import (
    ERRORS,
    Body,
    ErrorOut,
    OpenRlhfIn,
    OpenRlhfOut,
    ScoreIn,
    ScoreOut,
    SlimeIn,
    SlimeOut,
    Unreadable,
)
from cxr_rewards.server.metrics import Metrics
from cxr_rewards.server.settings import ServeSettings
from cxr_rewards.types import Case, Score

T = TypeVar("T")
T_Body = TypeVar("T_Body", bound=Body)

_MARKER = (
    "no report can be found in any query: expected each to begin with its prompt, or to hold the text that begins the "
    "assistant's turn (serve --marker)"
)

_NO_VALUE = "start the server with a value for unscored rollouts: cxr-rewards serve --unscored -1.0"

_Answer = Response | dict[str, str]


class _Service:
    """The endpoints around one reward; each returns its reply or an error."""

    def __init__(
        self, reward: CompositeReward, settings: ServeSettings, metrics: Metrics, *, own_process: bool
    ) -> None:
        self.reward, self.settings, self.metrics, self.own_process = reward, settings, metrics, own_process
        self.description = describe(reward)
        self.samples = settings.samples(reward)
        self.batches: Batches
        self.warming: asyncio.Task[None]

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        settings = self.settings
        self.batches = Batches(
            self.reward,
            self.metrics,
            batch_cases=settings.batch_cases,
            batch_tokens=settings.batch_tokens,
            queue_cases=settings.queue_cases,
            threads=settings.threads_for(self.reward),
        )
        self.warming = asyncio.create_task(asyncio.to_thread(settle, self.reward, own_process=self.own_process))
        yield
        self.warming.cancel()
        await self.batches.close()

    async def score(self, request: Request) -> Response:
        """Score cases: a reward with its parts for each, in order."""
        body = await self._read(ScoreIn, request)
        if isinstance(body, Response):
            return body
        cases = [
            Case(
                candidate=one.candidate,
                reference=one.reference,
                priors=tuple(one.priors),
                context=one.context,
                group=one.group,
            )
            for one in body.cases
        ]
        if not body.parts_only and self.reward.total.normalize == "group" and not all(case.group for case in cases):
            return _error(422, "the reward is normalised within groups: give a group for each case")
        parts = await self._scored(request, cases, body.timeout_s)
        if isinstance(parts, Response):
            return parts
        keys_of = {
            label: None if body.details else component.corpus_details
            for label, component in self.reward.components.items()
        }
        tables: list[dict[str, object]] = [
            {"parts": {label: score_table(one, keys) for (label, keys), one in zip(keys_of.items(), row, strict=True)}}
            for row in parts
        ]
        if not body.parts_only:
            for table, reward in zip(tables, self.reward.combine(cases, parts), strict=True):
                reasons, kinds = (reward.reasons, reward.kinds) if reward.value is None else ("", ())
                table |= {"value": reward.value, "gates": reward.gates, "reasons": reasons, "kinds": kinds}
        return _json({"rewards": tables, "signature": self.reward.signature})

    async def get_reward(self, request: Request) -> Response:
        """Score rollouts as OpenRLHF asks for it; see `cxr_rewards.adapters.openrlhf`."""
        if self.samples is None:
            return _error(501, _NO_VALUE)
        body = await self._read(OpenRlhfIn, request)
        if isinstance(body, Response):
            return body
        if not len(body.query) == len(body.prompts) == len(body.labels):
            lengths = f"{len(body.query)} queries, {len(body.prompts)} prompts and {len(body.labels)} labels"
            return _error(422, f"{lengths}: lengths differ")
        try:
            cases = cases_of(self.samples, body.query, body.prompts, body.labels, self.settings.marker)
        except InputError:  # its message quotes the request
            return _error(422, _MARKER)
        parts = await self._scored(request, cases, None)
        if isinstance(parts, Response):
            return parts
        return _json(reply(self.samples, self.reward.combine(cases, parts)))

    async def slime(self, request: Request) -> Response:
        """Score a rollout as slime's `remote_rm` asks for it: a number, or with `?parts=true` an object that also has
        the components; see `cxr_rewards.adapters.slime`.
        """
        if self.samples is None:
            return _error(501, _NO_VALUE)
        body = await self._read(SlimeIn, request)
        if isinstance(body, Response):
            return body
        cases = [self.samples.labelled_case(body.response, body.label)]
        parts = await self._scored(request, cases, None)
        if isinstance(parts, Response):
            return parts
        (reward,) = self.reward.combine(cases, parts)
        with_parts = request.query_params.get("parts", "false").lower() in ("1", "true")
        return _json(result_of(self.samples, self.samples.value(reward), reward, with_parts=with_parts))

    async def _read(self, model: type[T_Body], request: Request) -> T_Body | Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            return _error(415, "send JSON, with the header `Content-Type: application/json`")
        try:
            return model.read((await request.receive())["body"], self.settings.most_cases)
        except Unreadable as error:
            return _error(error.status, str(error))

    async def _scored(
        self, request: Request, cases: Sequence[Case], timeout_s: float | None
    ) -> list[tuple[Score, ...]] | Response:
        settings = self.settings
        limit = min(timeout_s or settings.timeout_s, settings.timeout_s)
        try:
            return await _while_connected(request, self.batches.parts(cases, limit))
        except QueueFullError as full:
            return _error(429, str(full), {"Retry-After": str(round(full.retry_after_s))})
        except TimeoutError:
            return _error(504, f"not scored within {limit:g} s")
        except CxrRewardsError as error:
            return _error(500, str(error))

    async def describe(self) -> Response:
        """Return the reward's components, weights and signature."""
        return _json(self.description)

    async def is_healthy(self) -> _Answer:
        """Return 200 while the process serves."""
        return {"status": "ok"}

    async def is_ready(self) -> _Answer:
        """Return 200 when models are loaded, else 503."""
        if not self.warming.done() or not self.batches.is_alive:
            return _error(503, "models are being loaded")
        error = self.warming.exception()
        return {"status": "ready"} if error is None else _error(503, f"the reward cannot work: {error}")

    async def tell_metrics(self) -> Response:
        """Return metrics for Prometheus."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")


def create_app(reward: CompositeReward, settings: ServeSettings | None = None, *, own_process: bool = False) -> Guard:
    """Return the ASGI application that serves a reward.

    Args:
        reward: the reward to serve.
        settings: limits, token, and the number that trainers get for an unscored rollout.
        own_process: whether the process does nothing else, so that its garbage collector may be tuned.

    Raises:
        ConfigError: a report could earn the reward `unscored`, or the options of samples are wrong.
    """
    settings = settings or ServeSettings()
    metrics = Metrics()
    service = _Service(reward, settings, metrics, own_process=own_process)
    app = FastAPI(
        title="cxr_rewards",
        version=__version__,
        lifespan=service.lifespan,
        redoc_url=None,
        description=f"Scores reports with the reward {reward.name}.",
    )

    @app.exception_handler(Exception)
    async def admit(_: Request, error: Exception) -> Response:  # `Guard` logs it afterwards
        return _error(500, f"an error of the server: {type(error).__name__}; see its log")

    refused: dict[int | str, dict[str, object]] = {401: ERRORS[401]}
    absent: dict[int | str, dict[str, object]] = {503: {"model": ErrorOut}}
    app.post("/v1/score", response_model=ScoreOut, responses=ERRORS, openapi_extra=_body_schema(ScoreIn))(service.score)
    app.get("/v1/reward", responses=refused)(service.describe)
    app.post(
        "/get_reward",
        response_model=OpenRlhfOut,
        responses={**ERRORS, 501: {"model": ErrorOut}},
        openapi_extra=_body_schema(OpenRlhfIn),
    )(service.get_reward)
    app.post(
        "/slime",
        response_model=SlimeOut,
        responses={**ERRORS, 501: {"model": ErrorOut}},
        openapi_extra=_body_schema(SlimeIn),
    )(service.slime)
    app.get("/healthz", response_model=None)(service.is_healthy)
    app.get("/readyz", response_model=None, responses=absent)(service.is_ready)
    app.get("/metrics", response_class=PlainTextResponse, responses=refused)(service.tell_metrics)
    _, bodies = models_json_schema(
        [(ScoreIn, "validation"), (OpenRlhfIn, "validation"), (SlimeIn, "validation")], ref_template=_SCHEMAS
    )
    app.openapi()["components"]["schemas"] |= bodies["$defs"]
    return Guard(
        app,
        token=settings.token,
        metrics=metrics,
        bodies=Bodies(most_bytes=settings.most_bytes, all_bytes=settings.all_bytes, stall_s=settings.stall_s),
    )


_SCHEMAS = "#/components/schemas/{model}"


def _body_schema(model: type[Body]) -> dict[str, object]:
    """Describe the body of a path. We read it ourselves, because FastAPI's errors keep the body in memory."""
    schema = {"$ref": _SCHEMAS.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _while_connected(request: Request, work: Awaitable[T]) -> T:
    """Await the work, and cancel it if the client disconnects."""
    result, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({result, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            result.cancel()
            raise TimeoutError("the client went away")
        return result.result()
    finally:
        result.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _json(table: object) -> Response:
    try:
        body = orjson.dumps(table)
    except TypeError:  # half of a surrogate pair, quoted from a report
        body = json.dumps(table, allow_nan=False, separators=(",", ":")).encode()
    return Response(body, media_type="application/json")


def _error(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    reply = _json({"detail": detail})
    reply.status_code = status
    reply.headers.update(headers or {})
    return reply
