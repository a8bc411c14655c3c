"""Importing is light, and the test of it can fail."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

HEAVY = (
    "torch",
    "transformers",
    "nltk",
    "rouge_score",
    "polars",
    "httpx2",
    "httpcore2",
    "tenacity",
    "numpy",
    "pandas",
    "scipy",
    "sklearn",
    "matplotlib",
)
SCORE = "from cxr_rewards import CompositeReward; assert CompositeReward().score('Clear lungs.', 'Clear lungs.').value"


def loaded_by(code: str) -> set[str]:
    """Return which heavy packages a fresh interpreter has loaded after running `code`."""
    report = f"{code}\nimport sys; print('loaded:', *(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    return set(done.stdout.rpartition("loaded:")[2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import cxr_rewards",
        "from cxr_rewards import CompositeReward",
        "from cxr_rewards import load_reward; load_reward('rules')",
        "import cxr_rewards.adapters, cxr_rewards.remote",
        SCORE,
        "from typer.testing import CliRunner; from cxr_rewards.cli.app import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0",
    ],
)
def test_nothing_heavy_is_loaded(code):
    assert loaded_by(code) == set()


def test_the_check_sees_what_is_loaded():
    assert loaded_by("import tenacity") == {"tenacity"}
    assert loaded_by(f"{SCORE}; import numpy") == {"numpy"}
