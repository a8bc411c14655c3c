"""Examples of README and docs run; links lead somewhere; generated pages are up to date."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page, language):
    return [body for kind, body in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]
COMMANDS = [
    (page, line.removeprefix("$ "))
    for page in PAGES
    for body in blocks(page, "console")
    for line in body.replace("\\\n", " ").splitlines()
    if line.startswith("$ cxr-rewards ")
]


def name_of(value):
    return value.relative_to(ROOT).as_posix() if isinstance(value, Path) else str(value)


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_examples_run_in_order(page, tmp_path):
    (tmp_path / "example.py").write_text("\n".join(blocks(page, "python")), encoding="utf-8")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=name_of)
def test_commands_run(page, command, tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name, body in re.findall(
        r"^<!-- file: (\S+) -->\n```\w*\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL
    ):
        (tmp_path / name).write_text(body)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if "cache " in command:  # these need a cache file to look at
        code = "from cxr_rewards.cache import SqliteCache; SqliteCache('cache.sqlite').close()"
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    done = subprocess.run(
        shlex.split(command),
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
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


def test_generated_pages_are_up_to_date():
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
