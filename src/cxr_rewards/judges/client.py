"""Clients of judges in this process, and the event loop they run in.

One client for each model, endpoint and set of limits, however many judges ask through it. The loop's thread starts
when first needed, so clients work from plain threads, from inside a running event loop and in forked or spawned
workers; `close_judges` ends it.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from typing import NamedTuple

from cxr_rewards.core.usage import LEDGER, Tally
from cxr_rewards.errors import ConfigError
from cxr_rewards.judges.asking import JudgeClient
from cxr_rewards.judges.settings import MODEL_VARIABLE, URL_VARIABLE, JudgeSettings


class Endpoint(NamedTuple):
    """Key of a client: the model, and every setting of its endpoint, limits and prices."""

    model: str
    others: tuple[object, ...]

    @classmethod
    def of(cls, settings: JudgeSettings) -> Endpoint:
        """Return the endpoint of a judge's settings.

        Raises:
            ConfigError: no model or no address is given, here or in the environment.
        """
        for key, variable in (("model", MODEL_VARIABLE), ("base_url", URL_VARIABLE)):
            if not getattr(settings, key):
                raise ConfigError(
                    f"{settings.name}: no {key} of a judge; give it in [judge] of the reward's TOML, "
                    f"as judge={{{key!r}: ...}} or in {variable}. To rehearse without one: cxr-rewards fake-judge"
                )
        declared = JudgeSettings.settings()
        others = [key for key, spec in declared.items() if not spec.metadata["changes_scores"]]
        return cls(settings.model, tuple(getattr(settings, key) for key in others))


class _Runtime:
    """The event loop of a process, its thread, and its clients."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.clients: dict[Endpoint, JudgeClient] = {}
        self.thread = threading.Thread(target=self.loop.run_forever, name="cxr-rewards-judges", daemon=True)
        self.thread.start()

    def call(self, work: Coroutine[object, object, object], timeout_s: float) -> object:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)


class _Process:
    """State that exists once per process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.runtime: _Runtime | None = None
        self.of_parents: list[_Runtime] = []

    def restart(self) -> None:
        """Start afresh in a forked child: the loop's thread and the sockets belong to the parent."""
        self.lock = threading.Lock()
        if self.runtime is not None:
            self.of_parents.append(self.runtime)  # kept, because collecting it would close the parent's sockets
            self.runtime = None


_process = _Process()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.restart)


def client_for(settings: JudgeSettings) -> JudgeClient:
    """Return this process's client for a judge's endpoint.

    Raises:
        ConfigError: the model, the address or a key that is needed is missing or cannot be used.
    """
    endpoint = Endpoint.of(settings)
    with _process.lock:
        runtime = _process.runtime = _process.runtime or _Runtime()
        if endpoint not in runtime.clients:
            tally = LEDGER.tally(endpoint, endpoint.model)
            runtime.clients[endpoint] = JudgeClient(settings, tally, runtime.loop)
        return runtime.clients[endpoint]


def tallies() -> dict[str, Tally]:
    """Return the cost of each judge in this process so far, by model; clients of one model are added up."""
    return LEDGER.tallies()


@atexit.register
def close_judges() -> None:
    """Close all connections to judges and end the loop's thread; the next question opens them again.

    Requests in flight are cancelled.
    """
    with _process.lock:
        runtime, _process.runtime = _process.runtime, None
    if runtime is None:
        return

    async def close() -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in runtime.clients.values():
            await client.aclose()

    runtime.call(close(), 10.0)
    runtime.loop.call_soon_threadsafe(runtime.loop.stop)
    runtime.thread.join(10.0)
    runtime.loop.close()


LEDGER.on_release(close_judges)
