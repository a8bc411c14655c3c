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

NAMED_BY_A_SETTING = {"variable", "where"}
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
    ranges["0 and up"] = (0, math.inf)
    seen = 0
    for names, direction, range_ in rows:
        for name in re.findall(r"`(\w+)`", names):
            component = load_component(name)
            assert (component.higher_is_better, component.bounds) == (direction == "higher", ranges[range_]), name
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


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FILE = re.compile(r"[\w.]+/|(?:[\w.]+/)*(?:\w+\.(?:py|toml|md|txt)|Makefile)|(?:\w+/)+")


def places_on(page):
    """Return each (file or folder, names given after it) of a page's paragraphs, list items and table rows."""
    text = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    places = []
    for block in re.split(r"\n\s*\n|\n(?=\d+\. |- |\|)", text):
        names = None
        for quoted in re.findall(r"`([^`]+)`", block):
            if FILE.fullmatch(quoted):
                names = []
                places.append((quoted, names))
            elif names is not None and re.fullmatch(r"[A-Za-z_]\w*", quoted):
                names.append(quoted)
    return [(file, tuple(names)) for file, names in places if "NAME" not in file]


def path_of(file):
    return next((path for path in (ROOT / "src/cxr_rewards" / file, ROOT / file) if path.exists()), None)


@pytest.mark.parametrize(("file", "names"), places_on(ARCHITECTURE))
def test_each_file_of_the_architecture_exists_and_defines_the_names_given_after_it(file, names):
    path = path_of(file)
    assert path is not None, f"{file} is not there"
    for name in names:
        defined = rf"\b(?:def|class) {name}\b|^\s*{name}\b\s*[:=]"
        assert re.search(defined, path.read_text(encoding="utf-8"), re.MULTILINE), f"{file} defines no {name}"


def test_the_architecture_has_the_four_walks_and_every_room():
    assert len(places_on(ARCHITECTURE)) >= 60
    assert sum(len(names) for _, names in places_on(ARCHITECTURE)) >= 60
    for walk in ("a CSV row to a reward", "a rollout to a reward", "a judge's reply to a score", "adding something"):
        assert f": {walk}\n" in ARCHITECTURE
    rooms = {path.parent.name for path in (ROOT / "src/cxr_rewards").glob("*/__init__.py")}
    assert rooms == set(re.findall(r"^\| `(\w+)/` \|", ARCHITECTURE, re.MULTILINE))


def test_a_wrong_name_on_the_page_of_the_architecture_would_be_seen():
    assert places_on("1. `core/engine.py`: `Engine` and `Motor`.") == [("core/engine.py", ("Engine", "Motor"))]
