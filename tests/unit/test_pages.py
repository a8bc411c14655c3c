"""Pages of docs/ that must keep up with the code say all of it, and nothing that is not there."""

from __future__ import annotations

import math
import pkgutil
import re
from pathlib import Path

import pytest

from cxr_rewards.core.registry import load_component

ROOT = Path(__file__).parents[2]
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
ENVIRONMENT = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")

NAMED_BY_A_SETTING = {"endpoint.api_key_env", "variable", "own"}
"""Expressions for a variable whose name comes from a setting, or from a constant passed on."""

OF_OTHERS = {
    "ALL_PROXY", "COLUMNS", "CUDA_VISIBLE_DEVICES", "FORCE_COLOR", "HF_HOME", "HTTPS_PROXY", "HTTP_PROXY", "NO_COLOR",
    "NO_PROXY",
}  # fmt: skip
"""Variables that only the libraries we use read."""


def variables_read():
    """Return the environment variables that src reads or sets."""
    constants = dict(re.findall(r'^(_?[A-Z_]+) = "([A-Z_]+)"', SOURCE, re.MULTILINE))
    keys = re.findall(r"os\.(?:environ(?:\.\w+)?[(\[]|getenv\()([\w.\"]+)", SOURCE)
    keys += re.findall(r'("\w+") (?:not )?in os\.environ', SOURCE)
    return {constants.get(key, key.strip('"')) for key in set(keys) - NAMED_BY_A_SETTING}


def on_page(pattern):
    """Return what `pattern` finds in the first cells of the page's tables."""
    cells = re.findall(r"^\| ([^|]+) \|", ENVIRONMENT, re.MULTILINE)
    return {match for cell in cells for match in re.findall(pattern, cell)}


def test_each_environment_variable_that_the_code_reads_is_on_the_page():
    read = variables_read()
    assert {"CXR_REWARDS_MODELS", "XDG_CACHE_HOME", "RANK", "PROMETHEUS_MULTIPROC_DIR"} < read
    assert read - on_page(r"`(\w+)`") == set()


def test_each_variable_of_our_own_that_src_names_is_on_the_page():
    named = set(re.findall(r"CXR_REWARDS_[A-Z_]*[A-Z]", SOURCE))
    assert "CXR_REWARDS_JUDGE_URL" in named
    assert named - on_page(r"`(\w+)`") == set()


def test_each_variable_on_the_page_is_read_by_someone():
    assert {name for name in on_page(r"`(\w+)`") - OF_OTHERS if name not in SOURCE} == set()


def test_each_exit_code_that_the_code_gives_is_on_the_page():
    given = re.findall(r"(?:sys\.exit|typer\.Exit|SystemExit)\((\d+)\)|\bfail\(.*, (\d+)\)$", SOURCE, re.MULTILINE)
    codes = {int(one or other) for one, other in given} | {2}  # typer's, for wrong usage
    assert {1, 130} < codes
    assert codes <= set(map(int, on_page(r"^(\d+)$")))


def test_directions_and_ranges_of_which_number_are_the_components_own():
    page = (ROOT / "docs" / "which-number.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+) \| (?:\*\*)?(higher|lower)(?:\*\*)? \| ([^|]+) \|", page, re.MULTILINE)
    ranges = {"0 to 1": (0, 1), "−1 to 1": (-1, 1), "above −1, to 1": (-1, 1), "unbounded": (-math.inf, math.inf)}
    seen = 0
    for names, direction, told in rows:
        for name in re.findall(r"`(\w+)`", names):
            component = load_component(name)
            assert (component.higher_is_better, component.bounds) == (direction == "higher", ranges[told]), name
            seen += 1
    assert seen >= 15


API_NAMES = [
    name
    for page in (ROOT / "docs" / "api").glob("*.md")
    for name in re.findall(r"^::: (\S+)", page.read_text("utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("name", API_NAMES)
def test_each_name_on_the_pages_of_the_python_api_exists_and_has_a_docstring(name):
    assert pkgutil.resolve_name(name).__doc__
