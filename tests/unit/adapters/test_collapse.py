"""The benchmark of the warnings, on a run without one, and on runs that earn one."""

from __future__ import annotations

import random

import pytest
from tests.benchmark_scripts import load_benchmark

from cxr_rewards import CompositeReward

collapse = load_benchmark("collapse")


@pytest.fixture(scope="module")
def material():
    return collapse.made_up(random.Random(0), 120)


@pytest.mark.parametrize(("kind", "signs"), [("improving", set()), ("normal", {"normal"}), ("hedge", {"hedge"})])
def test_bad_runs_are_told_from_good_ones(kind, signs, material, monkeypatch):
    for name, number in {"STEPS": 32, "ONSET": 12, "RAMP": 4, "STUDIES": 3, "ROLLOUTS": 2}.items():
        monkeypatch.setattr(collapse, name, number)
    reward = CompositeReward(["rouge_l", "findings_f1"])
    found = collapse.began(collapse.record(collapse.Run(kind, 1.0 if signs else 0.0, 7), material, reward), reward)
    assert signs <= set(found)
    assert signs or not found
    assert all(found[sign] >= 12 for sign in signs)


def test_the_table_counts_false_alarms_and_found_runs():
    run = collapse.Run
    recorded = [
        (run("still", 0.0, 1), {}),
        (run("still", 0.0, 2), {"hedge": 20}),
        (run("hedge", 0.4, 1), {"hedge": collapse.ONSET + 5}),
        (run("hedge", 0.8, 1), {"hedge": 3}),  # before it had begun
    ]
    row = collapse.measure(recorded)["hedge"]
    assert (row["false"], row["found at 0.4"], row["found at 0.8"]) == ("2/4", "1/1", "0/1")
    assert (row["recall"], row["precision"], row["median steps"]) == (0.5, pytest.approx(1 / 3), 5)
    assert "| `hedge` | 2/4 | 1/1 | 0/1 | 0.50 | 0.33 |" in collapse.shown({"hedge": row})
