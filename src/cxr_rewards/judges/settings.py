"""Settings of a judge: the model and its sampling, the endpoint and its limits."""

from __future__ import annotations

import json
import os
from typing import Any, Literal, get_args

from cxr_rewards.core.settings import Configurable, setting
from cxr_rewards.errors import ConfigError, shorten

URL_VARIABLE = "CXR_REWARDS_JUDGE_URL"
MODEL_VARIABLE = "CXR_REWARDS_JUDGE_MODEL"
KEY_VARIABLE = "CXR_REWARDS_JUDGE_KEY"

Structured = Literal["auto", "json_schema", "guided_json", "format", "json_object_schema", "json_object", "off"]
Vote = Literal["median", "mean", "majority"]


class JudgeSettings(Configurable):
    """Settings shared by every judge and the features it needs.

    If `model` or `base_url` is empty, it is taken from the environment when the judge is made.
    """

    model: str = setting("", f"Model's name at the endpoint; empty: the environment's {MODEL_VARIABLE}.")
    models: tuple[str, ...] = setting((), "Several models instead of `model`, each asked for `votes` votes.")
    model_urls: tuple[str, ...] = setting(
        (), "The `base_url` of each of `models`, if they differ.", changes_scores=False
    )
    temperature: float = setting(0.0, "Sampling temperature, 0 to 2; below 0: not sent, for models that refuse it.")
    top_p: float = setting(1.0, "Nucleus sampling, above 0 to 1; 1: not sent.")
    max_tokens: int = setting(2048, "Longest reply, in tokens.")
    seed: int = setting(-1, "Sampling seed, plus the number of the vote; below 0: not sent.")
    votes: int = setting(
        1, "Replies per case, 1 to 32, each cached separately; more than one needs a temperature above 0."
    )
    vote: Vote = setting(
        "median",
        "How votes are combined: median, mean, or majority (the most frequent value; of several, their median).",
    )
    structured: Structured = setting(
        "auto",
        "Structured output: json_schema, json_object, off; guided_json (old vLLM) or format (Ollama): a schema in the "
        "field of that name; json_object_schema (llama-cpp-python): a schema beside the type json_object; auto: "
        "json_schema until the endpoint refuses it, then the form that its refusal names.",
    )
    extra_body: str = setting("{}", "JSON object of further fields of each request, such as a reasoning effort.")
    max_chars: int = setting(8000, "Longest text shown to the judge, in characters; the rest of a report is cut.")
    base_url: str = setting(
        "",
        "Base of the endpoint up to /v1 (or an Azure deployment's); several of one model, separated by commas; "
        f"empty: the environment's {URL_VARIABLE}.",
        changes_scores=False,
    )
    api_version: str = setting(
        "", "Azure OpenAI's api-version; also selects Azure's header for the key.", changes_scores=False
    )
    api_key_env: str = setting(
        "",
        f"Environment variable that holds the key; empty: {KEY_VARIABLE}, or OpenAI's or Azure's own.",
        changes_scores=False,
    )
    api_key_file: str = setting("", "File that holds the key, instead of a variable.", changes_scores=False)
    concurrency: int = setting(64, "Requests in flight at once, in the whole process.", changes_scores=False)
    requests_per_minute: int = setting(0, "Limit of requests; 0: none.", changes_scores=False)
    tokens_per_minute: int = setting(0, "Limit of tokens, both ways; 0: none.", changes_scores=False)
    timeout_s: float = setting(120.0, "Longest wait for one answer, in seconds.", changes_scores=False)
    deadline_s: float = setting(600.0, "Longest time for a case, retries included, in seconds.", changes_scores=False)
    budget_calls: int = setting(0, "Calls a process may make; 0: any number.", changes_scores=False)
    budget_tokens: int = setting(0, "Tokens a process may use, both ways; 0: any number.", changes_scores=False)
    budget_usd: float = setting(0.0, "Money a process may spend by the prices below; 0: any.", changes_scores=False)
    usd_per_million_input: float = setting(0.0, "Price of a million prompt tokens.", changes_scores=False)
    usd_per_million_output: float = setting(0.0, "Price of a million reply tokens.", changes_scores=False)
    stop_after: int = setting(
        0,
        "Cases in a row without a verdict after which the run stops; 0: never, they stay unscored.",
        changes_scores=False,
    )

    def __post_init__(self) -> None:
        for key, variable in (("model", MODEL_VARIABLE), ("base_url", URL_VARIABLE)):
            if not getattr(self, key):  # here, so that a copy in another process has the same
                object.__setattr__(self, key, os.environ.get(variable, ""))
        self._check("temperature", "at most 2", self.temperature <= 2)
        self._check("top_p", "above 0 to 1", 0 < self.top_p <= 1)
        self._check("votes", "from 1 to 32", 1 <= self.votes <= 32)
        self._check("votes", "1 if temperature is 0 (all replies would be equal)", self.votes == 1 or self.temperature)
        self._check("vote", "median, mean or majority", self.vote in get_args(Vote))
        known = {model for model in self.models if isinstance(model, str) and model}
        self._check("models", "names, each once", len(known) == len(self.models))
        fit = not self.models or len(self.model_urls) in (0, len(self.models))
        self._check("model_urls", "as many as models, or none", fit)
        if self.models:
            object.__setattr__(self, "model", "")
        self._check("structured", f"one of {', '.join(_STRUCTURED)}", self.structured in _STRUCTURED)
        for key in ("max_tokens", "max_chars", "concurrency"):
            self._check(key, "1 or more", getattr(self, key) >= 1)
        for key in ("timeout_s", "deadline_s"):
            self._check(key, "above 0", getattr(self, key) > 0)
        for key in _LIMITS:
            self._check(key, "0 or more", getattr(self, key) >= 0)
        if self.budget_usd and not (self.usd_per_million_input or self.usd_per_million_output):
            raise ConfigError(f"{self.name}: budget_usd needs usd_per_million_input and usd_per_million_output")
        try:
            good = isinstance(json.loads(self.extra_body), dict)
        except ValueError:
            good = False
        self._check("extra_body", "a JSON object", good)
        if any("@" in url.partition("://")[2].partition("/")[0] for url in self.urls):
            raise ConfigError(f"{self.name}: base_url holds a password; give it as key: api_key_env or api_key_file")
        for url in self.urls:
            self._check("base_url", "http:// or https:// addresses", url.startswith(("http://", "https://")))

    def _check(self, key: str, expected: str, holds: object) -> None:
        if not holds:
            raise ConfigError(f"{self.name}: {key} must be {expected}, got {shorten(getattr(self, key))}")

    @property
    def is_configured(self) -> bool:
        """Whether a model and an address are given."""
        return bool(self.model or self.models) and bool(self.base_url or self.model_urls)

    @property
    def urls(self) -> tuple[str, ...]:
        """The endpoint's addresses."""
        return tuple(url.strip().rstrip("/") for url in self.base_url.split(",") if url.strip())

    @property
    def judge(self) -> dict[str, Any]:
        """The settings to pass on to features."""
        return {key: getattr(self, key) for key in JudgeSettings.settings()}


_STRUCTURED: tuple[str, ...] = get_args(Structured)
_LIMITS = (
    "requests_per_minute",
    "tokens_per_minute",
    "budget_calls",
    "budget_tokens",
    "budget_usd",
    "usd_per_million_input",
    "usd_per_million_output",
    "stop_after",
)
