"""Each dependency is there because code uses it, and what code uses is declared."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

MODULES = {"pillow": "PIL", "PyYAML": "yaml"}
"""Modules that are not called as their package, but for dashes."""

TOOLS = {
    "ruff": "Makefile", "mypy": "Makefile", "pytest-xdist": "Makefile", "import-linter": "pyproject.toml",
    "pre-commit": "CONTRIBUTING.md", "mkdocs-material": "mkdocs.yml", "mkdocstrings-python": "mkdocs.yml",
}  # fmt: skip
"""Commands of a contributor, and the file that has them run."""

READ = {"crimson-score"}
"""Packages whose files are read; importing them would load much more."""

TAKEN_BY = {"httptools": "uvicorn", "uvloop": "uvicorn"}
"""Packages that another one of the same extra takes if they are there, and is faster."""

COME_WITH = {
    "pydantic_core": "pydantic", "markupsafe": "jinja2", "starlette": "fastapi", "datasets": "trl", "accelerate": "trl", "peft": "", "pyarrow": "", "swift": "", "skyrl_gym": "",
}  # fmt: skip
"""Modules that a declared package brings; those of no package are asked for with a message where they are missing."""


def name_of(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0]


def module_of(name):
    return MODULES.get(name, name.replace("-", "_"))


@cache
def imported_by(*folders):
    """Return the top modules that the Python files of folders import, or ask for by `importorskip`."""
    packages = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                packages |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                packages.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "importorskip":
                packages |= {arg.value.partition(".")[0] for arg in node.args if isinstance(arg, ast.Constant)}
    return frozenset(packages)


@pytest.mark.parametrize("name", list(map(name_of, PROJECT["dependencies"])))
def test_each_dependency_is_imported_by_the_library(name):
    assert module_of(name) in imported_by("src"), f"{name} is declared, and nothing in src imports it"


OF_EXTRAS = [
    (extra, name) for extra, listed in EXTRAS.items() for name in map(name_of, listed) if name != "cxr_rewards"
]


@pytest.mark.parametrize(("extra", "name"), OF_EXTRAS)
def test_each_package_of_an_extra_is_used(extra, name):
    if extra in ("dev", "docs") and name in TOOLS:
        assert name in (ROOT / TOOLS[name]).read_text(encoding="utf-8").replace("importlinter", "import-linter")
    elif name in READ:
        assert any(name in path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    elif name in TAKEN_BY:
        assert TAKEN_BY[name] in map(name_of, EXTRAS[extra])
    else:
        # What a user installs serves the library; what is compared with it, and trainers, serve its tests.
        tests = ("tests", "benchmarks") if extra in ("dev", "reference", "verl") else ()
        assert module_of(name) in imported_by("src", *tests), f"{name} of the extra {extra} is not used"
    assert "[" not in next(one for one in EXTRAS[extra] if name_of(one) == name), (
        "an extra of an extra: nothing needs it"
    )


def test_what_the_library_imports_is_declared():
    listed = [*PROJECT["dependencies"], *(one for extra in EXTRAS.values() for one in extra)]
    declared = {module_of(name_of(one)) for one in listed}
    foreign = imported_by("src") - sys.stdlib_module_names - {"cxr_rewards"} - declared
    assert foreign <= set(COME_WITH), f"not declared: {sorted(foreign - set(COME_WITH))}"
    assert {package for package in COME_WITH.values() if package} <= declared


def test_the_peers_of_tests_are_no_dependency_of_users():
    core = set(map(name_of, PROJECT["dependencies"]))
    assert "rouge-score" not in core
    assert "rouge-score" in map(name_of, EXTRAS["reference"])
