"""ms-swift's outcome reward models without ms-swift: groups, options, one scorer for a run."""

from __future__ import annotations

import asyncio
import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.adapters.swift import register
from cxr_rewards.core.component import Component
from cxr_rewards.errors import MissingDependencyError
from cxr_rewards.types import Failure, Score


class Picky(Component):
    """1 for a report that says good, missing if it says broken."""

    name = "picky"
    summary = "good or not"
    reads = ("candidate",)

    def score_case(self, case, features):
        if "broken" in case.candidate:
            return Score(None, failure=Failure("picky", "is broken"))
        return Score(float("good" in case.candidate))


@pytest.fixture
def orms(monkeypatch):
    """The table of ms-swift's reward models."""
    module = ModuleType("swift.rewards")
    module.orms = {}
    monkeypatch.setitem(sys.modules, "swift", ModuleType("swift"))
    monkeypatch.setitem(sys.modules, "swift.rewards", module)
    return module.orms


COMPLETIONS = ["good", "broken", "bad", "broken", "bad"]
COLUMNS = {"reference": ["x"] * 5, "prompt_id": ["p", "p", "q", "q", "q"], "study": ["a", "b", "b", "a", "a"]}


def test_an_unscored_rollout_gets_the_mean_of_its_prompts_rollouts(orms):
    made = register(reward=CompositeReward([Picky()]))
    assert orms == {"cxr_rewards": made}
    assert made.__name__ == "cxr_rewards"
    assert made(args=None)(COMPLETIONS, **COLUMNS) == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_a_column_that_is_named_comes_before_swifts_prompts(orms):
    made = register(reward=CompositeReward([Picky()]), group="study")
    assert made()(COMPLETIONS, **COLUMNS) == [1.0, 0.0, 0.0, 0.5, 0.0]


@pytest.mark.parametrize("columns", [{}, {"prompt_id": None}])
def test_without_swifts_prompts_equal_references_are_a_group(orms, columns):
    made = register(reward=CompositeReward([Picky()]))
    references = ["x", "x", "y", "y", "y"]
    assert made()(COMPLETIONS, reference=references, **columns) == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_what_the_unscored_get_may_be_chosen(orms):
    made = register(reward=CompositeReward([Picky()]), unscored=-1.0)
    assert made()(COMPLETIONS, **COLUMNS) == [1.0, -1.0, 0.0, -1.0, 0.0]


def test_a_run_has_one_scorer_and_its_steps_are_noted(orms, tmp_path):
    path = tmp_path / "steps.jsonl"
    function = register(reward=CompositeReward([Picky()]), diagnostics=str(path))()
    scorers = []
    for step in (3, 4):
        function(COMPLETIONS, trainer_state=SimpleNamespace(global_step=step), **COLUMNS)
        scorers.append(function._rollouts)
    assert scorers[0] is scorers[1]
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [3, 4]


def test_each_reward_is_a_class_with_options_of_its_own(orms):
    first = register("first", CompositeReward([Picky()]), unscored=-1.0)
    second = register("second", CompositeReward([Picky()]), unscored=-2.0)
    assert first()(["broken"], reference=["x"]) == [-1.0]
    assert second()(["broken"], reference=["x"]) == [-2.0]
    assert list(orms) == ["first", "second"]


def test_the_asynchronous_form_gives_the_same_values(orms):
    made = register(reward=CompositeReward([Picky()]), asynchronous=True)
    assert asyncio.run(made()(COMPLETIONS, **COLUMNS)) == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_the_reward_may_be_named_by_the_environment(orms, monkeypatch):
    monkeypatch.delenv("CXR_REWARDS_CONFIG", raising=False)
    (value,) = register()()(["Small effusion."], reference=["Small effusion."])
    assert value == CompositeReward().score("Small effusion.", "Small effusion.").value


def test_without_ms_swift_the_error_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "swift", None)
    with pytest.raises(MissingDependencyError, match="pip install ms-swift"):
        register()
