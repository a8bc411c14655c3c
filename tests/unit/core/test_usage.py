"""The ledger adds up what is spent, and releases what is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.core.usage import LEDGER, Ledger, Tally


def test_tallies_of_one_model_are_added_up_and_equal_keys_share_one():
    ledger = Ledger()
    assert ledger.tally("here", "a") is ledger.tally("here", "a")
    for place, calls in (("here", 2), ("there", 3)):
        tally = ledger.tally(place, "a")
        tally.calls, tally.usd, tally.in_flight = calls, 0.5, 1
        tally.retries["HTTP 429"] += calls
    ledger.tally("elsewhere", "b").calls = 7
    assert ledger.tallies() == {"a": Tally(calls=5, retries={"HTTP 429": 5}, usd=1.0, in_flight=2), "b": Tally(calls=7)}
    assert (ledger.total().calls, ledger.total().usd) == (12, 1.0)
    ledger.clear()
    assert (ledger.tallies(), ledger.total()) == ({}, Tally())


def test_a_tally_with_retries_and_failures_can_be_written_as_json():
    tally = Tally(calls=5, usd=0.25)
    tally.retries["HTTP 429"] += 2
    tally.failures["timeout"] += 1
    written = json.loads(json.dumps(tally.as_json()))
    assert written == {
        "calls": 5, "replies": 0, "retries": {"HTTP 429": 2}, "failures": {"timeout": 1},
        "prompt_tokens": 0, "completion_tokens": 0, "usd": 0.25, "in_flight": 0,
    }  # fmt: skip


def test_release_calls_what_is_registered_each_time():
    ledger, released = Ledger(), []
    ledger.on_release(lambda: released.append("models"))
    ledger.on_release(lambda: released.append("judges"))
    ledger.release()
    ledger.release()
    assert released == ["models", "judges"] * 2


def test_a_reward_releases_what_the_ledger_holds(monkeypatch):
    released = []
    monkeypatch.setattr(LEDGER, "_releases", [lambda: released.append("all")])
    CompositeReward(["bleu"]).release()
    assert released == ["all"]


@pytest.mark.parametrize("name", ["cxr_rewards.judges.client", "cxr_rewards.models.pool"])
def test_judges_and_models_register_what_can_be_released(name):
    code = (
        "from cxr_rewards.core.usage import LEDGER; assert not LEDGER._releases;"
        f"import {name}; assert len(LEDGER._releases) == 1; LEDGER.release()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_counts_its_own_costs_even_if_the_parent_held_the_lock():
    code = (
        "import os\n"
        "from cxr_rewards.core.usage import LEDGER\n"
        "LEDGER.tally(1, 'a').calls = 5\n"
        "LEDGER._lock.acquire()\n"
        "child = os.fork()\n"
        "if not child: os._exit(LEDGER.total().calls)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
