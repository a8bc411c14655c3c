"""The public face: the names that users may import, and nothing that the documentation tells them to import beside."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import cxr_rewards

ROOT = Path(__file__).parents[2]

PUBLIC = {
    "cxr_rewards": (
        "BaseReward Case Component CompositeReward Failure Feature Reward Score __version__ load_reward"
    ),
    "cxr_rewards.adapters": "Diagnostics Extract RolloutLog Rollouts Samples",
    "cxr_rewards.adapters.openrlhf": "reward_func",
    "cxr_rewards.adapters.swift": "register",
    "cxr_rewards.adapters.trl": "as_trl reward",
    "cxr_rewards.adapters.verifiers": "reward_funcs score_trace",
    "cxr_rewards.adapters.easyr1": "REWARD_NAME REWARD_TYPE compute_score",
    "cxr_rewards.adapters.slime": "reward",
    "cxr_rewards.adapters.skyrl": "register",
    "cxr_rewards.adapters.preferences": "Candidate Preferences best_of preference_pairs rows_of",
    "cxr_rewards.adapters.verl": "compute_score compute_scores",
    "cxr_rewards.cache": "MemoryCache SqliteCache",
    "cxr_rewards.components.prior_consistency": "PriorConsistency",
    "cxr_rewards.core.feature": "StreamedFeature",
    "cxr_rewards.core.settings": "setting",
    "cxr_rewards.errors": (
        "BudgetExceeded CacheError ConfigError CxrRewardsError InputError JudgeError JudgeRefusal JudgeStopped "
        "JudgeTransportError MissingDependencyError ModelLoadError ModelWarning SetupError VerdictParseError"
    ),
    "cxr_rewards.evaluation": (
        "Audit Calibration Comparison Estimate Evaluation JoinedScores NonInferiority Pair Protocol "
        "RatingColumns Ratings SystemScores audit calibrate change_of compare evaluate join_scores "
        "load_scores read_ratings reward_of tables_of"
    ),
    "cxr_rewards.evaluation.report": "ReportOptions build_report write_page",
    "cxr_rewards.files": (
        "CaseDetails JoinedTable Provenance Scored choose_columns open_table read_details read_provenance score_file "
        "score_frame to_frame"
    ),
    "cxr_rewards.findings": "Finding compare merge read reading significance",
    "cxr_rewards.formulas.radcliq": "Metrics radcliq",
    "cxr_rewards.judges.details": "JudgeDetails Verdict",
    "cxr_rewards.judges.reading": "json_in only_keys",
    "cxr_rewards.models.feature": "ModelFeature",
    "cxr_rewards.models.placement": "ModelComponent",
    "cxr_rewards.recipes": "tiny",
    "cxr_rewards.remote": "RayReward RemoteReward load_reward",
    "cxr_rewards.reward": "BaseReward CompositeReward Gate",
    "cxr_rewards.testing": (
        "Check CheckResult Protocol check_component check_protocol component_checks parametrize_with_checks "
        "protocol_checks run_checks"
    ),
    "cxr_rewards.testing.fake_judge": "FakeJudge",
    "cxr_rewards.testing.models": "build_models",
}  # fmt: skip
"""Public names by the module to import them from."""

LAZY = ("cxr_rewards", "cxr_rewards.adapters", "cxr_rewards.evaluation", "cxr_rewards.remote", "cxr_rewards.reward")


def imports_on(page):
    """Return the (module, name) pairs that a page says to import, or documents as part of the API."""
    pairs = []
    for module, names in re.findall(r"from (cxr_rewards[\w.]*) import ([\w, ]+)", page):
        pairs += [(module, name.strip()) for name in names.split(",")]
    for path in re.findall(r"^::: (cxr_rewards[\w.]*)", page, re.MULTILINE):
        pairs.append((path, "") if path in PUBLIC else tuple(path.rsplit(".", 1)))
    return pairs


@pytest.mark.parametrize("module", PUBLIC)
def test_each_public_name_is_there(module):
    loaded = importlib.import_module(module)
    for name in PUBLIC[module].split():
        if name == "tiny":  # a module
            importlib.import_module(f"{module}.{name}")
        assert getattr(loaded, name) is not None


@pytest.mark.parametrize("package", LAZY)
def test_a_package_with_lazy_names_exports_the_public_ones_and_no_others(package):
    loaded = importlib.import_module(package)
    assert set(loaded.__all__) == set(dir(loaded)) == set(PUBLIC[package].split())
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'CompositReward'"):
        _ = loaded.CompositReward


def test_the_documentation_imports_public_names_only():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    pairs = {pair for page in pages for pair in imports_on(page.read_text(encoding="utf-8"))}
    assert {("cxr_rewards", "CompositeReward"), ("cxr_rewards.remote", "RemoteReward")} < pairs
    assert {pair for pair in pairs if pair[1] not in ["", *PUBLIC.get(pair[0], "").split()]} == set()


def test_an_internal_name_on_a_page_would_be_seen():
    page = (
        "from cxr_rewards.core.engine import Engine, run\n::: cxr_rewards.core.engine.Engine\n::: cxr_rewards.errors\n"
    )
    engine = "cxr_rewards.core.engine"
    assert imports_on(page) == [(engine, "Engine"), (engine, "run"), (engine, "Engine"), ("cxr_rewards.errors", "")]


def test_the_architecture_lists_the_public_modules():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.partition("\n## What is public\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(cxr_rewards[\w.]*)`", section)) == set(PUBLIC)


def test_one_name_is_one_thing_wherever_it_is_imported_from():
    from cxr_rewards import remote, reward

    assert cxr_rewards.load_reward is remote.load_reward
    assert cxr_rewards.CompositeReward is reward.CompositeReward
    assert cxr_rewards.BaseReward is reward.BaseReward
