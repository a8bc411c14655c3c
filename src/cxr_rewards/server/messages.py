"""What goes in and out by HTTP; the OpenAPI description is made of this."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class CaseIn(_Strict):
    """A report to be scored, as `cxr_rewards.Case`."""

    candidate: str = Field(description="The report to score.")
    reference: str = Field(description="The radiologist's report of the same study.")
    priors: list[str] = Field(default=[], description="Earlier reports of the patient, oldest first.")
    context: dict[str, str | bool | int | float] = Field(default={}, description="Age, sex, indication, ...")
    group: str = Field(default="", description="Cases of one prompt share it.")


class ScoreIn(_Strict):
    """Cases of one request."""

    cases: list[CaseIn]
    parts_only: bool = Field(
        default=False, description="The caller makes the sum, as `RemoteReward` does: no values, no groups needed."
    )
    details: bool = Field(default=False, description="Also return what explains each score.")
    timeout_s: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = Field(
        default=None, description="After so many seconds the client no longer waits; at most the server's limit."
    )


class PartOut(BaseModel):
    """A component's score."""

    value: float | None
    details: dict[str, Any] = {}
    failure: tuple[str, str] | None = Field(default=None, description="Where it failed, and why.")


class RewardOut(BaseModel):
    """A case's reward."""

    value: float | None = Field(default=None, description="Null where there is none: see `reasons`.")
    parts: dict[str, PartOut]
    gates: list[str] = []
    reasons: str = ""


class ScoreOut(BaseModel):
    """One reward a case, in order."""

    rewards: list[RewardOut]
    signature: str = Field(description="Equal signatures, equal numbers.")


class ErrorOut(BaseModel):
    """Why a request was refused."""

    detail: str


class OpenRlhfIn(BaseModel):
    """What OpenRLHF sends."""

    query: list[str]
    prompts: list[str]
    labels: list[str | dict[str, Any]]


class OpenRlhfOut(BaseModel):
    """What OpenRLHF takes."""

    rewards: list[float]
    scores: list[float]
    extra_logs: dict[str, list[float]]


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorOut, "description": "The body is no JSON."},
    401: {"model": ErrorOut, "description": "The bearer token is missing or wrong."},
    413: {"model": ErrorOut, "description": "The body is too large, or has too many cases."},
    422: {"model": ErrorOut, "description": "The body is not what it should be."},
    429: {"model": ErrorOut, "description": "The queue is full; come again after `Retry-After` seconds."},
    500: {"model": ErrorOut, "description": "The reward cannot work: weights or settings are missing."},
    504: {"model": ErrorOut, "description": "Not scored in time."},
}
