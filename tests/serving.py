"""Servers for tests: in a thread of this process, or by the command line in processes of their own."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx2

from cxr_rewards import Case, CompositeReward

FINDINGS = ("left pleural effusion", "right pneumothorax", "pulmonary edema", "cardiomegaly", "left basilar opacity")
GRADES = ("Small", "Moderate", "Large", "Mild", "Severe")


def cases(count=240):
    """Varied cases, among them blank, with priors, with context, with odd characters, and what cannot be scored."""
    made = []
    for i in range(count):
        one, two = FINDINGS[i % 5], FINDINGS[(i // 5) % 5]
        made.append(
            Case(
                candidate=f"{GRADES[i % 5]} {one}. No {two}." if i % 11 else " ",
                reference=f"{GRADES[(i + i // 7) % 5]} {two}, stable." if i % 17 else "",
                priors=(f"{GRADES[i % 3]} {one}.",) if i % 3 == 0 else (),
                context={"age": i, "indication": "Cough"} if i % 4 == 0 else {},
                group=str(i // 4),
            )
        )
    odd = ("Pneumothorax \ud800 left.", "Ⅳ \x00 effusion", "x" * 100_001, None, float("nan"))
    return [*made, *(Case(candidate=text, reference="Left effusion.", group="odd") for text in odd)]


def free_port():
    """Return a port below those the system hands out, which another process would be given before a server opens it."""
    while True:
        port = random.SystemRandom().randrange(20_000, 29_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def served(reward: CompositeReward, **settings):
    """Serve a reward from a thread; yields the URL."""
    import uvicorn

    from cxr_rewards.server.app import create_app
    from cxr_rewards.server.run import UVICORN
    from cxr_rewards.server.settings import ServeSettings

    port = free_port()
    config = uvicorn.Config(create_app(reward, ServeSettings(**settings)), port=port, **UVICORN)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    wait_until_ready(url)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(20)


@contextlib.contextmanager
def serving(*arguments, **environment):
    """Run `cxr-rewards serve`; yields the URL and the process."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "cxr_rewards", "serve", "--port", str(port), *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def wait_until(holds, seconds=60):
    """Wait until `holds()` is true, and fail if it is not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.05)


def wait_until_ready(url, process=None, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process is None or process.poll() is None, process.communicate()[0]
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"{url} is not ready")
