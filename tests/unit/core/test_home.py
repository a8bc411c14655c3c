"""Which code may lend its values to other processes through a file: code that they can import, and find unchanged."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import types
import warnings

import pytest

from cxr_rewards import Case, CompositeReward
from cxr_rewards.cache import CacheWarning, MemoryCache, SqliteCache
from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import Feature
from cxr_rewards.core.home import class_home, module_home
from cxr_rewards.features.external import ExternalValues
from cxr_rewards.features.findings import Findings
from cxr_rewards.types import Score

FEATURE = """
from cxr_rewards.core.feature import Feature
class Size(Feature):
    name = "size"
    def compute(self, items, upstream):
        return [{value} for _ in items]
"""
SCRIPT = """
import sys
from cxr_rewards import Case, CompositeReward
from cxr_rewards.core.component import Component
from cxr_rewards.types import Score
class ByFeature(Component):
    name = "by_feature"
    bounds = (0.0, 10.0)
    @property
    def needs(self):
        return (Size(),)
    def score_case(self, case, features):
        return Score(float(features.value(Size(), case.reference)))
def main():
    reward = CompositeReward([ByFeature()], cache=sys.argv[1])
    print(reward.score("Clear lungs.", "Clear lungs.").value, reward.cache.stats().entries)
"""
SPAWNED = """
import multiprocessing
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=main)
    child.start()
    child.join()
"""
WAYS = {
    "script": FEATURE + SCRIPT + "main()\n",
    "spawned child": FEATURE + SCRIPT + SPAWNED,
    "function": "def make():\n" + FEATURE.replace("\n", "\n    ") + "\n    return Size\nSize = make()\n" + SCRIPT + "main()\n",
    "executed": "exec('''" + FEATURE + "''', globals())\n" + SCRIPT + "main()\n",
    "made module": "import types, sys\nm = sys.modules['made'] = types.ModuleType('made')\n"
    "exec('''" + FEATURE + "''', m.__dict__)\nSize = m.Size\n" + SCRIPT + "main()\n",
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_two_programs_with_a_feature_of_one_name_never_share_its_values(tmp_path, way):
    printed = []
    for value in (3, 7):
        script = tmp_path / f"program_{value}.py"
        script.write_text(WAYS[way].replace("{value}", str(value)))
        done = subprocess.run(
            [sys.executable, script, tmp_path / "cache.sqlite"], capture_output=True, text=True, check=True
        )
        printed.append(done.stdout.split())
        assert done.stderr.count("its values are kept in memory only") == 1, done.stderr
    assert printed == [["3.0", "0"], ["7.0", "0"]]


def test_modules_of_one_name_in_two_projects_never_share_values_and_each_finds_its_own(tmp_path):
    printed = []
    for project, value in (("a", 3), ("b", 7), ("a", 3), ("b", 8)):  # the last one was edited
        folder = tmp_path / project
        folder.mkdir(exist_ok=True)
        (folder / "sizes.py").write_text(FEATURE.replace("{value}", str(value)))
        (folder / "program.py").write_text("from sizes import Size\n" + SCRIPT + "main()\n")
        done = subprocess.run(
            # -B: Python takes a module's old bytecode if its file has the same size and was written in the same second
            [sys.executable, "-B", folder / "program.py", tmp_path / "cache.sqlite"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stderr == ""
        printed.append(done.stdout.split())
    assert printed == [["3.0", "1"], ["7.0", "2"], ["3.0", "2"], ["8.0", "3"]]


def test_a_function_of_two_projects_is_told_apart_too(tmp_path):
    printed = []
    for project, value in (("a", 3), ("b", 7)):
        (tmp_path / project).mkdir()
        (tmp_path / project / "sizes.py").write_text(
            f"def size(candidates, references):\n    return [{value}] * len(candidates)\n"
        )
        (tmp_path / project / "program.py").write_text(
            "import sys\nfrom cxr_rewards import CompositeReward\nfrom cxr_rewards.components.external import External\n"
            "reward = CompositeReward([External(metric='sizes:size')], cache=sys.argv[1])\n"
            "print(reward.score('Clear.', 'Clear.').value)\n"
        )
        command = [sys.executable, tmp_path / project / "program.py", tmp_path / "cache.sqlite"]
        printed.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    assert printed == ["3.0", "7.0"]


class Homely(Feature):
    name = "homely"

    def compute(self, items, upstream):
        return [1 for _ in items]


def test_what_needs_code_without_a_home_has_none_either():
    class Homeless(Homely):
        name = "homeless"

    class Above(Homely):
        name = "above"
        __qualname__ = "Homely"

    assert Homely().code_home
    assert Findings().code_home == ""
    assert class_home(Homeless) is None
    assert class_home(Above) is None  # under its name lies another class
    needing = type("Needing", (Homely,), {"__module__": "cxr_rewards.core.feature", "needs": (Homeless(),)})
    assert needing().code_home is None
    assert ExternalValues(metric="operator:eq").code_home == ""
    assert ExternalValues(metric="__main__:score").code_home is None


def test_a_reloaded_module_has_a_home_of_its_own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "reloaded_sizes.py").write_text(FEATURE.replace("{value}", "3"))
    module = importlib.import_module("reloaded_sizes")
    before, old = class_home(module.Size), module.Size
    (tmp_path / "reloaded_sizes.py").write_text(FEATURE.replace("{value}", "7777"))
    module = importlib.reload(module)
    assert class_home(old) == before
    assert class_home(module.Size) not in (before, None)


def test_a_module_that_cannot_be_imported_is_no_home(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "failing_package").mkdir()
    (tmp_path / "failing_package" / "__init__.py").write_text("1 / 0\n")
    monkeypatch.setitem(sys.modules, "made_by_hand", types.ModuleType("made_by_hand"))
    assert module_home("failing_package.inner") is None
    assert module_home("no_such_module") is None
    assert module_home("made_by_hand") is None


class OfANotebook(Feature):
    """As if a notebook had defined it."""

    __module__ = "__main__"
    name = "of_a_notebook"

    def compute(self, items, upstream):
        return items


class Inheriting(OfANotebook):
    """In a module, but what it does is the notebook's."""


def test_a_class_whose_base_has_no_home_has_none_either():
    assert class_home(Inheriting) is None


def test_the_module_that_a_spawned_process_runs_is_no_home(monkeypatch):
    """Under `python -m` its name there is `__mp_main__`, and it has the place of the real module."""
    module = types.ModuleType("__mp_main__")
    module.__spec__ = importlib.util.spec_from_file_location("__mp_main__", __file__)
    monkeypatch.setitem(sys.modules, "__mp_main__", module)
    assert module_home("__mp_main__") is None


def feature_of(value):
    """Make a class as a notebook's cell does: under the same name each time."""
    space = {"__name__": "__main__"}
    exec(FEATURE.replace("{value}", str(value)), space)
    return space["Size"]


def test_a_class_that_a_notebook_defines_anew_never_meets_old_values(tmp_path):
    with SqliteCache(tmp_path / "cache.sqlite") as on_disk, warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        for cache in (MemoryCache(), on_disk):
            for value in (3, 7):
                size = feature_of(value)()

                class BySize(Component):
                    name = "by_size"
                    bounds = (0.0, 10.0)
                    needs = (size,)

                    def score_case(self, case, features):
                        return Score(float(features.value(self.needs[0], case.reference)))

                reward = CompositeReward([BySize()], cache=cache)
                assert reward.score_batch([Case(candidate="a", reference="a")])[0].value == value


def test_warming_leaves_out_what_would_stay_in_memory(tmp_path):
    class Warm(Component):
        name = "warm"
        bounds = (0.0, 10.0)
        needs = (feature_of(3)(), Homely())

        def score_case(self, case, features):
            return Score(1.0)

    with SqliteCache(tmp_path / "cache.sqlite") as cache:
        assert CompositeReward([Warm()], cache=cache).warm(["Clear."]) == {"homely": 1}
