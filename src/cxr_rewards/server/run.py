"""Runs the server: one process, or several that share a port, a cache and a token."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_rewards.errors import ConfigError, MissingDependencyError
from cxr_rewards.reward.composite import load_composite
from cxr_rewards.server.settings import ServeSettings

if TYPE_CHECKING:
    from cxr_rewards.server.guard import Guard

_VARIABLE = "CXR_REWARDS_SERVE"
"""Environment variable that carries the settings to the workers; the token has a variable of its own."""
_held: list[int] = []
UVICORN: dict[str, Any] = {
    "http": "cxr_rewards.server.protocol:Protocol",
    "ws": "none",
    "server_header": False,
    "log_level": "warning",
}
"""Options for uvicorn."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    config: str,
    settings: ServeSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    devices: Sequence[str] = (),
    drain_s: float = 30.0,
    **overrides: Any,
) -> None:
    """Serve a reward until SIGTERM or SIGINT; requests under way then have `drain_s` seconds to finish.

    Args:
        config: a preset or a reward's TOML.
        settings: limits and token.
        host, port: address to listen on; beyond loopback a token is required.
        workers: number of processes; one that dies is replaced.
        devices: one for each worker's models, or none at all.
        drain_s: seconds that requests under way may take after SIGTERM.
        **overrides: settings of the reward: judge, cache, device, dtype.

    Raises:
        ConfigError: there is no token beyond loopback, or the number of devices is not that of workers.
        MissingDependencyError: the extra `serve` is not installed.
    """
    try:
        import fastapi  # noqa: F401
        import orjson  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise MissingDependencyError(f'serve: needs pip install "cxr_rewards[serve]" ({error})') from error
    if not settings.token and not is_loopback(host):
        raise ConfigError(
            f"serve: {host} can be reached from other machines: give a token, in CXR_REWARDS_TOKEN or --token-file"
        )
    if workers < 1:
        raise ConfigError(f"serve: workers must be above 0, got {workers}")
    if devices and len(devices) != workers:
        raise ConfigError(f"serve: {len(devices)} devices for {workers} workers: give each worker one")
    reward = load_composite(config, **overrides)  # fails here, once, and not in every worker
    settings.samples(reward)  # an error here is one line, in a worker it would be a loop of restarts
    with tempfile.TemporaryDirectory(prefix="cxr-rewards-serve-") as folder:
        handed_over = {
            "config": config,
            "settings": {**dataclasses.asdict(settings), "token": ""},
            "overrides": overrides,
            "devices": list(devices),
            "folder": folder,
        }
        os.environ[_VARIABLE] = json.dumps(handed_over)
        os.environ["CXR_REWARDS_TOKEN"] = settings.token
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        uvicorn.run(
            "cxr_rewards.server.run:worker",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            timeout_graceful_shutdown=max(1, round(drain_s)),
            **UVICORN,
        )


def worker() -> Guard:
    """Return the application of a worker, from the settings that `serve` left in the environment."""
    from cxr_rewards.server.app import create_app

    handed_over = json.loads(os.environ[_VARIABLE])
    _forget_the_dead(Path(handed_over["folder"]))
    overrides = handed_over["overrides"]
    if handed_over["devices"]:
        overrides["device"] = _claim(handed_over["devices"], Path(handed_over["folder"]))
    settings = ServeSettings(**{**handed_over["settings"], "token": os.environ["CXR_REWARDS_TOKEN"]})
    return create_app(load_composite(handed_over["config"], **overrides), settings, own_process=True)


def _forget_the_dead(folder: Path) -> None:
    """Remove killed workers from the metrics of the present state, such as the queue."""
    from prometheus_client import multiprocess

    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not _is_alive(pid):
            multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _claim(devices: Sequence[str], folder: Path) -> str:
    """Return a device that no other worker has, and lock its file for as long as this process lives."""
    import fcntl

    for number, device in enumerate(devices):
        file = os.open(folder / f"device-{number}", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            continue
        _held.append(file)
        return device
    raise ConfigError(f"serve: all of {', '.join(devices)} are taken")
