"""`RemoteReward`: the reward of `cxr-rewards serve`, with the interface and the numbers of a local one."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import random
import re
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import NoReturn

import httpx2

from cxr_rewards.core.filling import failure_of, reason
from cxr_rewards.errors import ConfigError, SetupError, shorten
from cxr_rewards.remote.base import ElsewhereReward, RewardInfo, case_table, score_of
from cxr_rewards.remote.connection import Connection, ForeignReply, Reply
from cxr_rewards.types import Case, Failure, FailureKind, Score

TOKEN_VARIABLE = "CXR_REWARDS_TOKEN"  # noqa: S105 - its name
_LATER = (408, 425, 429, 502, 503, 504)
"""Status codes after which a request is repeated, which is safe because scoring is a pure function."""
_LONGEST_PAUSE_S = 30.0
_DESCRIBE_S = 30.0
_MOST_CHARS = 4_000_000
"""Most characters of a request: a character takes at most 6 bytes, and a server accepts 32 MiB."""
_TIMEOUTS = (TimeoutError, httpx2.TimeoutException)


class RemoteReward(ElsewhereReward):
    """Scores at one or several servers, `cxr-rewards serve`, what `CompositeReward` scores here.

    The servers compute the parts, this process makes the sum: values are those of a local reward to the last bit, and
    groups for `normalize = "group"` stay whole. A call is split into requests of `batch` cases, for all the servers.
    After a passing failure (no connection, a full queue, a restart) a request is repeated, at the other servers too,
    until `deadline_s`; then its cases are unscored, with the reason. Threads may share it, and it can be pickled.

    Args:
        urls: base of a server, or several, in a list or between commas; all must serve the same reward.
        token: the servers' bearer token, else that in `CXR_REWARDS_TOKEN`.
        batch: cases per request; fewer if they are long.
        concurrency: requests in flight at once, per server.
        deadline_s: the longest time spent on a request, with all its retries.
        details: also fetch the details that explain each score; replies are shorter without.

    Raises:
        ConfigError: a bad URL, or servers that serve different rewards.
        SetupError: no server answers, or the token is refused; later also if a reply is not from a cxr-rewards server.

    Example:
        A server of `cxr-rewards serve` on this machine, and then:

        ```text
        reward = RemoteReward("http://127.0.0.1:8000")
        reward.score("Small left effusion.", "Left pleural effusion.").value
        ```
    """

    place = "the server"

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
        if not self.urls or not all(map(_is_address, self.urls)):
            shown = re.sub(r"//[^/]*@", "//***@", repr(urls))  # without a password
            raise ConfigError(f"RemoteReward: expected http:// or https:// addresses, got {shown}")
        if any(httpx2.URL(url).userinfo for url in self.urls):
            raise ConfigError(
                f"RemoteReward: an address holds a password; give the token by {TOKEN_VARIABLE} or token="
            )
        for name, number in (("batch", batch), ("concurrency", concurrency), ("deadline_s", deadline_s)):
            if not 0 < number < inf:
                raise ConfigError(f"RemoteReward: {name} must be above 0, got {number!r}")
        self.batch, self.concurrency, self.deadline_s, self.details = batch, concurrency, deadline_s, details
        self._token = check_token(token, "RemoteReward: token")
        self._begin()
        described = [self._describe(url) for url in self.urls]
        for url, other in zip(self.urls[1:], described[1:], strict=True):
            if other.get("signature") != described[0].get("signature"):
                raise ConfigError(
                    f"RemoteReward: {self.urls[0]} and {url} serve different rewards: "
                    f"{described[0].get('signature')!r} and {other.get('signature')!r}"
                )
        super().__init__(RewardInfo.parse(described[0], self.urls[0]))

    @classmethod
    def from_preset(cls, name: str, /, **_: object) -> NoReturn:
        """Refuse: the server has its reward.

        Raises:
            ConfigError: always; says how.
        """
        raise ConfigError(
            f"RemoteReward: the server chooses the preset: run `cxr-rewards serve --preset {name}` there, "
            "and here RemoteReward(URL)"
        )

    @classmethod
    def from_config(cls, path: str | Path, /, **_: object) -> NoReturn:
        """Refuse: the server has its reward.

        Raises:
            ConfigError: always; says how.
        """
        raise ConfigError(
            f"RemoteReward: the server has the reward's TOML: run `cxr-rewards serve --config {path}` there, "
            "and here RemoteReward(URL)"
        )

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._turn = 0
        self._client: Connection | None = None

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_turn", "_client")}

    def __setstate__(self, state: Mapping[str, object]) -> None:
        self.__dict__.update(state)
        self._begin()

    def _connected(self) -> Connection:
        with self._lock:
            if self._client is None or self._client.process != os.getpid():  # a forked child connects by itself
                token = self._token or check_token(os.environ.get(TOKEN_VARIABLE, "").strip(), TOKEN_VARIABLE)
                self._client = Connection(token, self.concurrency * len(self.urls))
                weakref.finalize(self, self._client.close)
            return self._client

    def _describe(self, url: str) -> dict[str, object]:
        client = self._connected()
        try:
            reply = client.wait(client.ask("GET", f"{url}/v1/reward", b"", _DESCRIBE_S))
        except (httpx2.HTTPError, TimeoutError) as error:
            raise SetupError(
                f"RemoteReward: {url} does not answer: {reason(error)}; is `cxr-rewards serve` running there?"
            ) from None
        except ForeignReply as error:
            raise SetupError(f"RemoteReward: {url} is not a cxr-rewards server: {error}") from None
        _refuse(url, reply)
        try:
            description = reply.json()
        except ForeignReply:
            description = None
        if not isinstance(description, dict):
            raise SetupError(f"RemoteReward: {url} is not a cxr-rewards server: it replies {shorten(reply.text)}")
        return description

    def send(self, cases: Sequence[Case]) -> list[tuple[Score, ...]]:
        """Return the scores of cases, in order, from any of the servers."""
        chunks = list(_chunks(cases, self.batch))
        client = self._connected()
        return client.wait(self._ask_all(client, chunks)) if chunks else []

    async def _ask_all(self, client: Connection, chunks: Sequence[Sequence[Case]]) -> list[tuple[Score, ...]]:
        tasks = [asyncio.create_task(self._ask(client, chunk)) for chunk in chunks]
        try:
            return [row for rows in await asyncio.gather(*tasks) for row in rows]
        finally:  # after an error nobody needs the others
            for task in tasks:
                task.cancel()

    async def _ask(self, client: Connection, cases: Sequence[Case]) -> list[tuple[Score, ...]]:
        """Request the scores of a chunk, with retries at all servers; after the deadline its cases fail."""
        async with client.places:
            end = time.monotonic() + self.deadline_s
            tables = [case_table(case) for case in cases]
            self._turn += 1
            turn, attempt, why = self._turn, 0, ""
            kind: FailureKind = "timeout"  # unless a try fails otherwise: the last one is often cut short
            while (left := end - time.monotonic()) > 0:
                url = self.urls[(turn + attempt) % len(self.urls)]
                asked = {"cases": tables, "details": self.details, "timeout_s": max(1.0, left), "parts_only": True}
                content = json.dumps(asked, ensure_ascii=False).encode("utf-8", "surrogatepass")
                pause = min(_LONGEST_PAUSE_S, 0.1 * 2 ** (attempt // len(self.urls))) * random.uniform(0.5, 1.0)  # noqa: S311
                try:
                    reply = await client.ask("POST", f"{url}/v1/score", content, left)
                    if reply.status == 200:
                        return self._rows(url, reply, len(cases), client)
                except (httpx2.HTTPError, TimeoutError) as error:
                    why = f"{url}: {reason(error)}"
                    kind = kind if isinstance(error, _TIMEOUTS) else "transport"
                except ForeignReply as error:
                    raise SetupError(
                        f"{url}: not a reply of a cxr-rewards server: {client.without_token(str(error))}"
                    ) from None
                else:
                    why = f"{url}: {_problem(reply)}"
                    kind = kind if reply.status in {408, 504} else "transport"
                    if reply.status not in _LATER:
                        _refuse(url, reply)
                    pause = max(pause, _seconds(reply.retry_after))
                attempt += 1
                await asyncio.sleep(max(0.0, min(pause, end - time.monotonic())))
        failed = f"no score within {self.deadline_s:g} s; the last of {attempt} tries: {why}"[:300]
        failure = Failure("remote", failed, kind)
        return [self.failed(failure)] * len(cases)

    def _rows(self, url: str, reply: Reply, count: int, client: Connection) -> list[tuple[Score, ...]]:
        data = reply.json()
        if not (isinstance(data, dict) and isinstance(data.get("rewards"), list)):
            raise ForeignReply("it holds no rewards")
        signature, rewards = data.get("signature"), data["rewards"]
        if signature != self.signature:
            raise SetupError(
                f"{url} serves another reward than when the run began: "
                f"{client.without_token(shorten(signature, 300))}, not {self.signature!r}"
            )
        if len(rewards) != count:
            raise SetupError(f"{url} replied {len(rewards)} rewards for {count} cases")
        return [self._row(one, client) for one in rewards]

    def _row(self, one: object, client: Connection) -> tuple[Score, ...]:
        parts = one.get("parts") if isinstance(one, dict) else None
        if not isinstance(parts, dict):
            raise ForeignReply("a reward has no parts")
        if not parts.keys() <= self.components.keys():
            raise ForeignReply(f"a reward has the parts {shorten(list(parts))}, not {shorten(list(self.components))}")
        row = []
        for label in self.components:
            try:
                score = score_of(parts.get(label))
            except ValueError as error:
                score = Score(None, failure=failure_of(label, error))
            if score.failure is not None:
                where, why = client.without_token(score.failure.where), client.without_token(score.failure.error)
                failure = Failure(where, why, score.failure.kind)
                score = Score(None, score.details, failure)
            row.append(score)
        return tuple(row)

    def with_details(self) -> RemoteReward:
        """Return this reward, with scores that hold their details."""
        if self.details:
            return self
        made = copy.copy(self)
        made.details = True
        return made

    def release(self) -> None:
        """Close the connections; the next call opens them again."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def __repr__(self) -> str:
        return f"<RemoteReward {self.name} #{self.signature.rpartition('#')[2]} at {', '.join(self.urls)}>"


def _chunks(cases: Sequence[Case], most: int) -> Iterator[Sequence[Case]]:
    """Yield chunks of at most `most` cases, each short enough for a server to accept."""
    start, chars = 0, 0
    for index, case in enumerate(cases):
        size = len(case.candidate) + len(case.reference) + sum(map(len, case.priors))
        if index > start and (index - start == most or chars + size > _MOST_CHARS):
            yield cases[start:index]
            start, chars = index, 0
        chars += size
    if cases:
        yield cases[start:]


def _is_address(url: str) -> bool:
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError):
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)


def check_token(token: str, where: str) -> str:
    """Return a token.

    Raises:
        ConfigError: it cannot be sent in a header; the message does not hold it.
    """
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError(f"{where}: a token has printable ASCII characters alone, without blanks and line breaks")
    return token


def token_of(variable: str, file: str | Path | None) -> str:
    """Return the token in a file, else that in an environment variable; empty if there is none.

    Raises:
        ConfigError: the file cannot be read or is empty, or the token cannot be sent.
    """
    if file is None:
        return check_token(os.environ.get(variable, "").strip(), variable)
    try:
        token = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the token cannot be read: {error}") from None
    if not token:
        raise ConfigError(f"{file}: holds no token")
    return check_token(token, str(file))


def _refuse(url: str, reply: Reply) -> None:
    if reply.status == 401:
        raise SetupError(f"{url}: the token is refused: set {TOKEN_VARIABLE}, or give token=")
    if 300 <= reply.status < 400:
        raise SetupError(f"{url}: status {reply.status}: redirects are not followed; give the address that answers")
    if reply.status != 200:
        raise SetupError(f"{url}: {_problem(reply)}")


def _problem(reply: Reply) -> str:
    try:
        data = reply.json()
    except ForeignReply:
        data = None
    detail = data["detail"] if isinstance(data, dict) and "detail" in data else reply.text
    return f"status {reply.status}: {shorten(detail, 200)}"


def _seconds(text: str) -> float:
    try:
        return min(_LONGEST_PAUSE_S, max(0.0, float(text or 0)))
    except ValueError:
        return 0.0
