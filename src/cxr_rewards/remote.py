"""`RemoteReward`: the reward of `cxr-rewards serve`, with the interface and the numbers of a local one."""

from __future__ import annotations

import json
import os
import random
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from cxr_rewards.elsewhere import ElsewhereReward, case_table, score_of
from cxr_rewards.errors import ConfigError, SetupError, shorten
from cxr_rewards.types import Case, Failure, Score

TOKEN_VARIABLE = "CXR_REWARDS_TOKEN"  # noqa: S105 - its name
_LATER = (408, 425, 429, 502, 503, 504)
"""Status codes after which the same is asked again; scoring is a pure function, so it may be."""
_LONGEST_PAUSE_S = 30.0
_JSON = {"Content-Type": "application/json"}


class RemoteReward(ElsewhereReward):
    """Scores at one or several servers, `cxr-rewards serve`, what `CompositeReward` scores here.

    The servers compute the parts, this process makes the sum: values are those of a local reward to the last bit, and
    groups for `normalize = "group"` stay whole. A call is cut into requests of `batch` cases, spread over the servers.
    What fails for a while (no connection, a full queue, a restart) is asked again, also of the others, until
    `deadline_s`; then its cases are unscored, with the reason. It may be shared by threads and goes through pickle.

    Args:
        urls: base of a server, or several, in a list or between commas; all must serve the same reward.
        token: the servers' bearer token, else that in `CXR_REWARDS_TOKEN`.
        batch: cases of a request.
        concurrency: requests under way at once, for each server.
        deadline_s: how long a request is tried for, in all.
        details: fetch what explains each score, too; without, replies are shorter.

    Raises:
        ConfigError: a bad URL, or servers that serve different rewards.
        SetupError: no server answers, or the token is refused.

    Example:
        A server of `cxr-rewards serve` on this machine, and then:

        ```text
        reward = RemoteReward("http://127.0.0.1:8000")
        reward.score("Small left effusion.", "Left pleural effusion.").value
        ```
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        token: str = "",
        batch: int = 256,
        concurrency: int = 4,
        deadline_s: float = 600.0,
        details: bool = True,
    ) -> None:
        listed = urls.split(",") if isinstance(urls, str) else list(urls)
        self.urls = tuple(url.strip().rstrip("/") for url in listed if url.strip())
        if not self.urls or not all(url.startswith(("http://", "https://")) for url in self.urls):
            raise ConfigError(f"RemoteReward: expected http:// or https:// addresses, got {urls!r}")
        for name, number in (("batch", batch), ("concurrency", concurrency), ("deadline_s", deadline_s)):
            if not number > 0:
                raise ConfigError(f"RemoteReward: {name} must be above 0, got {number!r}")
        self.batch, self.concurrency, self.deadline_s, self.details = batch, concurrency, deadline_s, details
        self._token = token
        self._begin()
        told = [self._describe(url) for url in self.urls]
        for url, other in zip(self.urls[1:], told[1:], strict=True):
            if other.get("signature") != told[0].get("signature"):
                raise ConfigError(
                    f"RemoteReward: {self.urls[0]} and {url} serve different rewards: "
                    f"{told[0].get('signature')!r} and {other.get('signature')!r}"
                )
        super().__init__(told[0], self.urls[0])

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._process = 0
        self._turn = 0
        self._client: httpx.Client | None = None
        self._pool: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_process", "_turn", "_client", "_pool")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def _connected(self) -> tuple[httpx.Client, ThreadPoolExecutor]:
        with self._lock:
            if self._client is None or self._pool is None or self._process != os.getpid():
                self._process = os.getpid()  # a forked child must not share its parent's connections
                token = self._token or os.environ.get(TOKEN_VARIABLE, "")
                most = self.concurrency * len(self.urls)
                self._client = httpx.Client(
                    headers={"Authorization": f"Bearer {token}"} if token else {},
                    limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
                    timeout=httpx.Timeout(self.deadline_s, connect=10.0),
                )
                self._pool = ThreadPoolExecutor(most, "cxr-rewards-remote")
                weakref.finalize(self, _close, self._client, self._pool)
            return self._client, self._pool

    def _describe(self, url: str) -> dict[str, Any]:
        client, _ = self._connected()
        try:
            reply = client.get(f"{url}/v1/reward", timeout=30.0)
        except httpx.HTTPError as error:
            raise SetupError(
                f"RemoteReward: {url} does not answer: {error!r}; is `cxr-rewards serve` running there?"
            ) from None
        _refuse(url, reply)
        try:
            told = reply.json()
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise SetupError(f"RemoteReward: {url} is no cxr-rewards server: it replies {shorten(reply.text)}")
        return told

    def send(self, cases: Sequence[Case]) -> list[tuple[Score, ...]]:
        """Return the scores of cases, in order, from whichever server gives them."""
        chunks = [cases[i : i + self.batch] for i in range(0, len(cases), self.batch)]
        _, pool = self._connected()
        return [row for rows in pool.map(self._ask, chunks) for row in rows]

    def _ask(self, cases: Sequence[Case]) -> list[tuple[Score, ...]]:
        """Ask for a chunk, again and elsewhere if need be; after the deadline its cases fail."""
        client, _ = self._connected()
        end = time.monotonic() + self.deadline_s
        tables = [case_table(case) for case in cases]
        with self._lock:
            self._turn += 1
            turn = self._turn
        attempt, why = 0, ""
        while (left := end - time.monotonic()) > 0:
            url = self.urls[(turn + attempt) % len(self.urls)]
            asked = {"cases": tables, "details": self.details, "timeout_s": max(1.0, left), "parts_only": True}
            pause = min(_LONGEST_PAUSE_S, 0.1 * 2 ** (attempt // len(self.urls))) * random.uniform(0.5, 1.0)  # noqa: S311
            try:
                reply = client.post(
                    f"{url}/v1/score", content=json.dumps(asked), headers=_JSON,
                    timeout=httpx.Timeout(left + 5.0, connect=10.0),
                )  # fmt: skip
            except httpx.HTTPError as error:
                why = f"{url}: {type(error).__name__}: {error}"
            else:
                if reply.status_code == 200:
                    return self._rows(url, reply, len(cases))
                why = f"{url}: {_told(reply)}"
                if reply.status_code not in _LATER:
                    _refuse(url, reply)
                pause = max(pause, _seconds(reply.headers.get("Retry-After")))
            attempt += 1
            time.sleep(max(0.0, min(pause, end - time.monotonic())))
        failure = Failure("remote", f"no score within {self.deadline_s:g} s; the last of {attempt} tries: {why}"[:300])
        return [self.failed(failure)] * len(cases)

    def _rows(self, url: str, reply: httpx.Response, count: int) -> list[tuple[Score, ...]]:
        try:
            told = reply.json()
            signature = told["signature"]
            rows = [tuple(score_of(one["parts"][label]) for label in self.components) for one in told["rewards"]]
        except (ValueError, KeyError, TypeError) as error:
            raise SetupError(f"{url}: not a reply of a cxr-rewards server: {type(error).__name__}: {error}") from None
        if signature != self.signature:
            raise SetupError(
                f"{url} serves another reward than when the run began: {signature!r}, not {self.signature!r}"
            )
        if len(rows) != count:
            raise SetupError(f"{url} replied {len(rows)} rewards for {count} cases")
        return rows

    def release(self) -> None:
        """Close the connections; the next call opens them again."""
        with self._lock:
            client, pool, self._client, self._pool = self._client, self._pool, None, None
        if client is not None and pool is not None:
            _close(client, pool)

    def __repr__(self) -> str:
        return f"<RemoteReward {self.name} #{self.signature.rpartition('#')[2]} at {', '.join(self.urls)}>"


def _close(client: httpx.Client, pool: ThreadPoolExecutor) -> None:
    pool.shutdown(wait=False)
    client.close()


def token_of(variable: str, file: str | Path | None) -> str:
    """Return the token in a file, else that in an environment variable; empty if there is none.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    if file is None:
        return os.environ.get(variable, "").strip()
    try:
        token = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the token cannot be read: {error}") from None
    if not token:
        raise ConfigError(f"{file}: holds no token")
    return token


def _refuse(url: str, reply: httpx.Response) -> None:
    if reply.status_code == 401:
        raise SetupError(f"{url}: the token is refused: set {TOKEN_VARIABLE}, or give token=")
    if reply.status_code != 200:
        raise SetupError(f"{url}: {_told(reply)}")


def _told(reply: httpx.Response) -> str:
    try:
        detail = reply.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = reply.text
    return f"status {reply.status_code}: {shorten(detail, 200)}"


def _seconds(text: str | None) -> float:
    try:
        return min(_LONGEST_PAUSE_S, max(0.0, float(text or 0)))
    except ValueError:
        return 0.0
