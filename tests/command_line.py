"""`cxr-rewards` as its users meet it, with what it prints and its exit code.

In this process, unless a test is about the process itself: a process of its own costs a second, most of it imports.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from cxr_rewards.cli import main


def run(*arguments):
    """Run `cxr-rewards` in this process; an exception that it does not answer is raised here."""
    command = ["cxr-rewards", *map(str, arguments)]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    code = 0
    with patch.object(sys, "argv", command), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    for stream in (out, err):
        stream.seek(0)
    return subprocess.CompletedProcess(command, code, out.read(), err.read())


def run_process(*arguments, env=None, **options):
    """Run `cxr-rewards` in a process of its own, with more environment variables and other options of a process."""
    return subprocess.run(
        [sys.executable, "-m", "cxr_rewards", *map(str, arguments)], capture_output=True, text=True, check=False,
        env={**os.environ, **(env or {})}, timeout=120, **options,
    )  # fmt: skip
