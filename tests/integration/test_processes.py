"""A training in two processes: models load once in each, judges are asked once for all, and the scores are the same."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.judges.client import close_judges
from cxr_rewards.testing.fake_judge import FakeJudge

pytest.importorskip("trl")

RECIPE = """
import json, os, sys
from cxr_rewards import CompositeReward
from cxr_rewards.models.pool import ModelPool
from cxr_rewards.recipes import grpo_trl

out, toml = sys.argv[1:]
loads, scored = [], []
get, score_batch = ModelPool.get, CompositeReward.score_batch

def counted(pool, name, key, device, dtype, load):
    return get(pool, name, key, device, dtype, lambda: (loads.append(name), load())[1])

def kept(reward, cases, **options):
    found = score_batch(reward, cases, **options)
    if "chexprompt" in reward.components:  # not what diagnostics score for themselves
        scored.extend((case.candidate, case.reference, r.value) for case, r in zip(cases, found))
    return found

ModelPool.get, CompositeReward.score_batch = counted, kept
grpo_trl.main(["--tiny", "--max-steps", "6", "--reward", toml, "-o", out])
with open(f"{out}/scored.{os.environ['RANK']}.json", "w") as file:
    json.dump({"loads": loads, "scored": scored}, file)
"""

REWARD = """
name = "two"
cache = "{cache}"
[components.bertscore]
weight = 0.4
[components.semb_score]
weight = 0.2
[components.radgraph_f1]
weight = 0.4
[components.findings_soft_f1]
weight = 1.0
[components.chexprompt]
weight = 0.5
[judge]
model = "fake"
base_url = "{url}"
"""


@pytest.mark.slow
def test_two_processes_score_as_one(models_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("CXR_REWARDS_MODELS", str(models_folder))
    script, toml, out = tmp_path / "train.py", tmp_path / "two.toml", tmp_path / "run"
    script.write_text(RECIPE)
    with FakeJudge() as judge:
        toml.write_text(REWARD.format(cache=tmp_path / "cache.sqlite", url=judge.url))
        # `--cpu` would launch by MPI; so it is torchrun, and the recipe's `use_cpu` makes it gloo.
        launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--mixed_precision", "no"]
        done = subprocess.run(
            [sys.executable, *launch, "--num_machines", "1", "--dynamo_backend", "no", script, out, toml],
            capture_output=True, text=True, check=False, cwd=tmp_path, timeout=600,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        )  # fmt: skip
        asked = judge.requests
        assert done.returncode == 0, done.stderr[-3000:]

        records = [json.loads((out / f"scored.{rank}.json").read_text()) for rank in (0, 1)]
        evaluated = 3 * (64 + 2 * 64)  # before, after and a constant report; one greedy and two sampled
        for process, more in zip(records, (evaluated, 0), strict=True):  # the first evaluates
            assert len(process["loads"]) == len(set(process["loads"])) == 3
            assert len(process["scored"]) == 3 * 64 + more
        values = {}
        for candidate, reference, value in [row for process in records for row in process["scored"]]:
            assert values.setdefault((candidate, reference), value) == pytest.approx(value, abs=1e-5)
        toml.write_text(toml.read_text().replace("cache =", "# cache ="))
        alone = CompositeReward.from_config(toml)
        pairs = list(values)
        again = alone.score_batch(candidates=[c for c, _ in pairs], references=[r for _, r in pairs])
        assert [r.value for r in again] == pytest.approx(list(values.values()), abs=1e-5)
        needed = judge.requests - asked
    close_judges()
    print(f"\n{len(pairs)} pairs; the judge was asked {asked} times by two processes, {needed} times by one")
    assert needed <= asked <= 2 * needed

    for end in ("before", "after"):
        rows = list(csv.DictReader((out / f"{end}.greedy.csv").read_text(encoding="utf-8").splitlines()))
        assert len({row["study_id"] for row in rows}) == 64
    assert len((out / "diagnostics.rank1.jsonl").read_text().splitlines()) == 3
    assert json.loads((out / "result.json").read_text())["greedy"]["after"] > 0
