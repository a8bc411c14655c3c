"""Judges in the large: chaos, a killed client, many processes on one cache, the command line."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.command_line import run

from cxr_rewards import Case, CompositeReward
from cxr_rewards.cache import SqliteCache
from cxr_rewards.core.usage import LEDGER
from cxr_rewards.judges.client import close_judges, tallies
from cxr_rewards.judges.protocols.chexprompt import Chexprompt
from cxr_rewards.judges.settings import MODEL_VARIABLE, URL_VARIABLE
from cxr_rewards.testing.fake_judge import FakeJudge

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "sample_reports.csv"
PARTS = (
    "Small left pleural effusion.", "Large right pneumothorax.", "Mild cardiomegaly.", "Severe pulmonary edema.",
    "Right basal atelectasis.", "The heart is normal in size.", "The lungs are clear.", "No pneumothorax.",
    "New left lower lobe opacity.", "Endotracheal tube in the right main bronchus.", "Old rib fractures.",
)  # fmt: skip


@pytest.fixture(autouse=True)
def closed(monkeypatch):
    for variable in list(os.environ):
        if variable.lower().endswith("_proxy"):
            monkeypatch.delenv(variable)
    LEDGER.clear()
    yield
    close_judges()


def cases(count, seed=0):
    draw = random.Random(seed)

    def report(number):
        return " ".join([*draw.sample(PARTS, draw.randint(1, 4)), f"Film {number}."])

    return [Case(candidate=report(i), reference=report(-i)) for i in range(count)]


@pytest.mark.slow
def test_in_chaos_every_case_is_scored_right_or_unscored_with_its_reason():
    work = cases(1000)
    with FakeJudge() as judge:
        reward = CompositeReward([Chexprompt(model="m", base_url=judge.url, concurrency=64)])
        truth = [result.value for result in reward.score_batch(work)]
        assert judge.requests == 1000
    assert len(set(truth)) >= 4
    close_judges()
    LEDGER.clear()
    with FakeJudge(latency_s=(0.0, 0.02), faults=0.3, seed=1, hang_s=60) as judge:
        component = Chexprompt(model="m", base_url=judge.url, concurrency=64, timeout_s=3.0)
        start = time.monotonic()
        results = CompositeReward([component]).score_batch(work)
        seconds = time.monotonic() - start
        unscored = [result.reasons for result in results if result.value is None]
        wrong = [r.value for r, value in zip(results, truth, strict=True) if r.value not in (None, value)]
        assert len(results) == 1000
        assert wrong == []
        assert all(
            (reason.startswith("chexprompt_reply: ") and "Judge" in reason) or "Verdict" in reason
            for reason in unscored
        )
        assert len(unscored) < 40  # refusals, and what failed three times
        (tally,) = tallies().values()
        assert tally.failures.total() == len(unscored)
        assert tally.calls == judge.requests == 1000 + tally.retries.total()  # the bill: no more than the retries
        assert max(judge.seen.values()) <= 30
        print(f"\n{seconds:.1f} s, {tally}; {judge.faulted}; unscored {len(unscored)}")


KILLED = """
import sys
from cxr_rewards import CompositeReward
from cxr_rewards.judges.protocols.chexprompt import Chexprompt
from tests.integration.test_judges import cases
reward = CompositeReward([Chexprompt(model="m", base_url=sys.argv[1], concurrency=16)], cache=sys.argv[2])
results = reward.score_batch(cases(int(sys.argv[3])))
print(sum(result.value is not None for result in results))
"""


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def test_a_killed_client_pays_only_for_what_was_not_answered(tmp_path):
    with FakeJudge(latency_s=0.05) as judge:
        process = start(KILLED, judge.url, tmp_path / "c.sqlite", 600)
        while judge.answered < 200:
            time.sleep(0.01)
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        time.sleep(0.2)
        paid = judge.requests
        assert paid < 600
        with SqliteCache(tmp_path / "c.sqlite") as cache:
            kept = cache.stats().entries
            assert cache.verify().ok
        # What was under way, or had come within the last moments, is lost.
        assert paid - 5 * 16 <= kept <= paid
        again = start(KILLED, judge.url, tmp_path / "c.sqlite", 600)
        out, errors = again.communicate(timeout=60)
        assert (out, again.returncode) == ("600\n", 0), errors
        assert judge.requests == paid + 600 - kept


def test_four_processes_share_one_cache(tmp_path):
    count, at_once = 800, 8
    code = KILLED.replace("concurrency=16", f"concurrency={at_once}")
    with FakeJudge(latency_s=0.02) as judge:
        processes = [start(code, judge.url, tmp_path / "c.sqlite", count) for _ in range(4)]
        for process in processes:
            out, errors = process.communicate(timeout=240)
            assert (out, errors, process.returncode) == (f"{count}\n", "", 0)
        asked_twice = sum(times - 1 for times in judge.seen.values())
        assert len(judge.seen) == count
        # Only what processes had under way at the same moment is asked twice: far from three times each.
        assert asked_twice <= 2 * 4 * 4 * at_once
    with SqliteCache(tmp_path / "c.sqlite") as cache:
        assert cache.stats().entries == count
        assert cache.verify().ok


def cli(*arguments):
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return done


def name_judge(monkeypatch, url, model):
    monkeypatch.setenv(URL_VARIABLE, url)
    monkeypatch.setenv(MODEL_VARIABLE, model)


@pytest.mark.parametrize("preset", ["judge_only", "unirg_step2"])
def test_presets_run_from_the_command_line_and_ask_nothing_twice(preset, tmp_path, models, monkeypatch):
    with FakeJudge() as judge:
        name_judge(monkeypatch, judge.url, "fake")
        given = ("--preset", preset, "--cache", tmp_path / "c.sqlite", "--json")
        first = cli("score", SAMPLE, "-o", tmp_path / "1.csv", *given)
        asked = judge.requests
        assert asked > 40
        summary = json.loads(first.stdout)
        assert summary["judges"]["fake"]["calls"] == asked
        assert f"judge fake: {asked} calls" in first.stderr
        assert summary["scores"]["reward"]["n"] == summary["scores"]["chexprompt"]["n"] > 40
        close_judges()
        LEDGER.clear()
        second = cli("score", SAMPLE, "-o", tmp_path / "2.csv", *given)
        assert judge.requests == asked
        assert json.loads(second.stdout)["judges"] == {} or "0 calls" in second.stderr
    one, two = (
        [row["chexprompt"] for row in csv.DictReader((tmp_path / name).read_text(encoding="utf-8").splitlines())]
        for name in ("1.csv", "2.csv")
    )
    assert one == two
    assert set(one) > {"0.5", "1.0"}


def test_the_endpoint_may_be_named_on_the_command_line(tmp_path):
    with FakeJudge() as judge:
        cli(
            "score",
            SAMPLE,
            "-o",
            tmp_path / "o.csv",
            "-p",
            "judge_only",
            "--judge-url",
            judge.url,
            "--judge-model",
            "x",
        )
        assert judge.requests > 40


def test_show_says_what_judge_is_needed(monkeypatch):
    name_judge(monkeypatch, "", "")
    assert "needs a judge: no model given at no endpoint given" in cli("show", "judge_only").stdout
    name_judge(monkeypatch, "http://h/v1", "m")
    assert cli("show", "judge_only").stdout.count("needs a judge: m at http://h/v1") == 1


def test_a_score_without_a_judge_says_how_to_get_one(tmp_path, monkeypatch):
    name_judge(monkeypatch, "", "")
    done = run("score", SAMPLE, "-o", tmp_path / "o.csv", "-p", "judge_only")
    assert done.returncode == 1
    assert "no model of a judge" in done.stderr
    assert "cxr-rewards fake-judge" in done.stderr


def test_the_fake_judge_serves_until_it_is_interrupted():
    process = subprocess.Popen(
        [sys.executable, "-m", "cxr_rewards", "fake-judge", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    line = process.stdout.readline()
    url = line.partition(f"{URL_VARIABLE}=")[2].split()[0]
    score = Chexprompt(model="m", base_url=url).score("Small left effusion.", "Small left effusion.")
    assert score.value == 1.0
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert errors.endswith("1 requests, 1 answered with a verdict\n")
    assert process.returncode == 0
