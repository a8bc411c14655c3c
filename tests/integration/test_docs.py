"""Examples of README and docs run; links lead somewhere. (`make check` sees to the generated pages.)"""

from __future__ import annotations

import os
import re
import runpy
import shlex
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

import pytest
from tests.command_line import run

from cxr_rewards.cache import SqliteCache

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page, language):
    return [body for kind, body in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]
COMMANDS = [
    (page, "\n".join(commands))
    for page in PAGES
    for body in blocks(page, "console")
    if (commands := re.findall(r"^\$ (cxr-rewards .*)$", body.replace("\\\n", " "), re.MULTILINE))
]
"""The commands of each block, which run in one folder, in order."""


def name_of(value):
    return value.relative_to(ROOT).as_posix() if isinstance(value, Path) else str(value)


@contextmanager
def server_of(page, code):
    """Run the page's `cxr-rewards serve` at a free port while its example runs; yields the example for that port."""
    command = re.search(r"^\$ cxr-rewards (serve .*--port )(\d+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    if not command or f"http://127.0.0.1:{command[2]}" not in code:
        yield code
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    server = subprocess.Popen([sys.executable, "-m", "cxr_rewards", *shlex.split(command[1]), port])
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and server.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(port))):
                break
            time.sleep(0.1)
        yield code.replace(f":{command[2]}", f":{port}")
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_examples_run_in_order(page, tmp_path, monkeypatch):
    """In this process, as a program: a process of its own would import everything anew."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    with server_of(page, "\n".join(blocks(page, "python"))) as code, patch.dict(os.environ):
        (tmp_path / "example.py").write_text(code, encoding="utf-8")
        runpy.run_path("example.py", run_name="__main__")


def test_the_readme_has_a_server_and_an_example_that_asks_it():
    page = ROOT / "README.md"
    assert re.search(r"^\$ cxr-rewards serve .*--port 8000$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert 'RemoteReward("http://127.0.0.1:8000")' in "\n".join(blocks(page, "python"))


@pytest.mark.parametrize(("page", "commands"), COMMANDS, ids=name_of)
def test_commands_run(page, commands, tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    for name, body in re.findall(
        r"^<!-- file: (\S+) -->\n```\w*\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL
    ):
        (tmp_path / name).write_text(body)
    wanted = " rewards.csv" in commands and " score " not in commands
    if wanted and not Path("rewards.csv").exists():
        assert run("score", "examples/sample_reports.csv", "-o", "rewards.csv").returncode == 0
    if "cache " in commands:  # these need a cache file to look at
        SqliteCache("cache.sqlite").close()
    *others, last = commands.splitlines()
    if page.name == "README.md" and any(last in more.splitlines() for of, more in COMMANDS if of != page):
        commands = "\n".join(others)  # a page runs it that looks at what it writes
    for command in commands.splitlines():
        done = run(*shlex.split(command)[1:])
        assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_examples_to_run():
    assert len(WITH_PYTHON) >= 4
    assert len(COMMANDS) >= 4


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
