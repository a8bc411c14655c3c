"""Requests and replies of the server; its OpenAPI description is generated from them."""

from __future__ import annotations

import json
import re
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from cxr_rewards.errors import CxrRewardsError
from cxr_rewards.text.json_text import too_many_values
from cxr_rewards.types import FailureKind


class Unreadable(CxrRewardsError):  # noqa: N818 - it says what happened
    """A body that cannot be read. The message says where and never quotes the body, which may hold a report."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Body(BaseModel):
    """Body of a request."""

    counted: ClassVar[str]
    """Name of the field whose entries are cases."""

    @classmethod
    def read(cls, content: bytearray, most_cases: int) -> Self:
        """Parse a body, and empty it, so that text and parsed values are never in memory together.

        Raises:
            Unreadable: it is not JSON, has too many cases or values, or does not fit the model.
        """
        if not content:
            raise Unreadable(422, "body: Field required")
        try:
            text = content.decode("utf-8", "surrogatepass")
            content.clear()
            most = max(_LEAST_VALUES, most_cases * _VALUES_OF_CASE)
            if too_many_values(text, most):
                raise Unreadable(413, f"a body may hold {most:,} texts, numbers and lists; send fewer cases at a time")
            data = json.loads(text)
            del text
        except UnicodeDecodeError as error:
            raise Unreadable(422, f"body: not UTF-8 at byte {error.start:,}") from None
        except json.JSONDecodeError as error:
            raise Unreadable(422, f"body.{error.pos}: JSON decode error: {error.msg}") from None
        except ValueError:
            raise Unreadable(422, "body: a number has too many digits") from None
        except RecursionError:
            raise Unreadable(400, "body: lists and objects are nested too deeply") from None
        cases = data.get(cls.counted) if isinstance(data, dict) else None
        if isinstance(cases, list) and len(cases) > most_cases:
            raise Unreadable(413, f"a request may have {most_cases:,} cases, not {len(cases):,}")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise Unreadable(422, f"{_place(first)}: {first['msg']}") from None


_VALUES_OF_CASE = 64
_LEAST_VALUES = 1 << 18
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,31}")


def _place(error: ErrorDetails) -> str:
    """Return the place of an error. A key that cannot be a field name is hidden, because it may be a report's text."""
    steps = (step if isinstance(step, int) or _NAME.fullmatch(step) else "[key]" for step in error["loc"])
    return ".".join(["body", *map(str, steps)])


class CaseIn(BaseModel):
    """A report to be scored, as `cxr_rewards.Case`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    candidate: str = Field(description="The report to score.")
    reference: str = Field(description="The radiologist's report of the same study.")
    priors: list[str] = Field(default=[], description="Earlier reports of the patient, oldest first.")
    context: dict[str, str | bool | int | float] = Field(default={}, description="Age, sex, indication, ...")
    group: str = Field(default="", description="Cases of one prompt share it.")


class ScoreIn(Body):
    """Cases of one request."""

    model_config = ConfigDict(extra="forbid", strict=True)
    counted = "cases"

    cases: list[CaseIn]
    parts_only: bool = Field(
        default=False, description="The caller computes the sum, as `RemoteReward` does: no values, no groups needed."
    )
    details: bool = Field(default=False, description="Also return what explains each score.")
    timeout_s: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = Field(
        default=None, description="Seconds that the client waits; at most the server's limit."
    )


class PartOut(BaseModel):
    """A component's score."""

    value: float | None
    details: dict[str, object] = {}
    failure: tuple[str, str, FailureKind] | None = Field(
        default=None, description="Where it failed, why in words, and the kind of reason."
    )


class RewardOut(BaseModel):
    """A case's reward."""

    value: float | None = Field(default=None, description="Null if the case is unscored: see `reasons`.")
    parts: dict[str, PartOut]
    gates: list[str] = []
    reasons: str = ""
    kinds: list[FailureKind] = Field(default=[], description="The kinds of `reasons`, each once.")


class ScoreOut(BaseModel):
    """One reward per case, in order."""

    rewards: list[RewardOut]
    signature: str = Field(description="Equal signatures mean equal numbers.")


class ErrorOut(BaseModel):
    """Why a request was refused."""

    detail: str


class OpenRlhfIn(Body):
    """Request of OpenRLHF."""

    counted = "query"

    query: list[str]
    prompts: list[str]
    labels: list[str | dict[str, object]]


class OpenRlhfOut(BaseModel):
    """Reply to OpenRLHF."""

    rewards: list[float]
    scores: list[float]
    extra_logs: dict[str, list[float]]


class SlimeIn(Body):
    """Request of slime's `remote_rm`: one rollout."""

    counted = "response"

    prompt: str | list[object] | None = Field(default=None, description="Not used.")
    response: str
    label: str | dict[str, object] | None = Field(
        default=None, description="The reference report, or an object (or its JSON) with `reference` and other fields."
    )


SlimeOut = float | dict[str, float]
"""Reply to slime."""

ERRORS: dict[int | str, dict[str, object]] = {
    400: {"model": ErrorOut, "description": "The body is nested too deeply."},
    401: {"model": ErrorOut, "description": "The bearer token is missing or wrong."},
    408: {"model": ErrorOut, "description": "The body came too slowly."},
    413: {"model": ErrorOut, "description": "The body is too large, or has too many cases."},
    415: {"model": ErrorOut, "description": "The body is compressed, or its content type is not JSON."},
    422: {"model": ErrorOut, "description": "The body does not match its description."},
    429: {"model": ErrorOut, "description": "The queue or the memory is full; try again after `Retry-After` seconds."},
    500: {"model": ErrorOut, "description": "The reward cannot work: weights or settings are missing."},
    504: {"model": ErrorOut, "description": "Not scored in time."},
}
