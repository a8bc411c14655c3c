"""The suite itself: what lies beside the checkout changes nothing, and named data that is absent is an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.mark.shared
def test_marked(shared_data):
    assert (shared_data / "a.txt").read_text() == "right"

def test_other():
    pass
"""


@pytest.fixture
def run_suite(tmp_path):
    """Run two tests, one of them marked, with the settings and the conftest of this suite; returns code and output."""
    checkout = tmp_path / "checkout"
    (checkout / "tests").mkdir(parents=True)
    for name in ("pyproject.toml", "tests/conftest.py"):
        (checkout / name).write_bytes((ROOT / name).read_bytes())

    def run(*arguments, tests=TESTS):
        (checkout / "tests" / "test_it.py").write_text(tests)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments, "tests"]
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, env=environment)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def beside(tmp_path):
    """The path of a folder `shared` beside that checkout."""
    return tmp_path / "shared"


def write_data(beside, text):
    (beside / "data").mkdir(parents=True)
    (beside / "data" / "a.txt").write_text(text)


def test_what_lies_beside_the_checkout_changes_nothing(run_suite, beside):
    write_data(beside, "wrong")
    code, output = run_suite()
    assert (code, "1 passed, 1 deselected" in output) == (0, True), output


@pytest.mark.parametrize(("text", "code", "part"), [("right", 0, "1 passed, 1 deselected"), ("wrong", 1, "1 failed")])
def test_named_data_is_tested(run_suite, beside, text, code, part):
    write_data(beside, text)
    exit_code, output = run_suite("-m", "shared", "--shared=../shared")
    assert (exit_code, part in output) == (code, True), output


def test_named_data_that_is_absent_is_an_error(run_suite, beside):
    code, output = run_suite("-m", "shared", "--shared=../shared")
    assert code != 0
    assert f"--shared '../shared': there is no folder {beside / 'data'}" in output


def test_a_test_of_the_data_without_the_mark_fails(run_suite):
    code, output = run_suite(tests=TESTS.replace("@pytest.mark.shared\n", ""))
    assert (code, "must be marked `shared`" in output) == (1, True), output
