"""The command `judge-check` as its users meet it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

from tests.judge_server import ScriptedJudge, completion

from cxr_rewards.testing.fake_judge import FakeJudge

CONFIG = """
name = "mine"

[judge]
model = "fake"
base_url = "{url}"
usd_per_million_input = 1.0
usd_per_million_output = 10.0

[components.chexprompt]
weight = 0.5

[components.radgraph_f1]  # its weights are not needed
weight = 0.5
"""


def run(*arguments):
    command = [sys.executable, "-m", "cxr_rewards", "judge-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done, " ".join(done.stdout.split()), [line for line in done.stderr.splitlines() if line.startswith("error")]


def test_a_good_judge_is_described_with_the_cost_of_a_run(tmp_path):
    with FakeJudge(latency_s=0.01) as fake:
        (tmp_path / "mine.toml").write_text(CONFIG.format(url=fake.url))
        done, text, errors = run("--config", tmp_path / "mine.toml", "--cases", 20_000, "--most", 8)
        assert (done.returncode, errors) == (0, []), done.stderr
        assert f"fake at {fake.url}/chat/completions" in text
        assert "replies count their tokens" in text
        assert "one answer alone takes" in text
        assert "right" in text
        assert "chexprompt: 20,000 cases like these take about 20,000 requests" in text
        assert "USD" in text
        assert fake.most_at_once <= 8


def test_json_has_everything_for_a_program(tmp_path):
    with FakeJudge() as fake:
        (tmp_path / "mine.toml").write_text(CONFIG.format(url=fake.url))
        done, _, _ = run("--config", tmp_path / "mine.toml", "--cases", 100, "--most", 1, "--json")
    data = json.loads(done.stdout)
    (server,), (judge,) = data["servers"], data["judges"]
    assert data["is_good"] is True
    assert server["support"]["usage"] == {"state": "yes", "note": "replies count their tokens"}
    assert [speed["at_once"] for speed in server["speeds"]] == [1]
    assert judge["label"] == "chexprompt"
    assert judge["values"]["perfect"] == 1.0
    cost = judge["cost"]
    assert (cost["cases"], cost["requests"]) == (100, 100)
    assert abs(cost["usd"] - (cost["prompt_tokens"] + 10 * cost["completion_tokens"]) / 1e6) < 1e-4


def test_without_a_config_the_preset_of_judges_is_checked_and_a_down_one_is_one_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    done, _, errors = run("--judge-url", url, "--judge-model", "m")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(errors) == 3  # the server, and the two judges that were not asked
    assert f"error: {url}/chat/completions: the connection broke" in errors[0]


def test_a_judge_that_praises_everything_ends_with_exit_code_1():
    with ScriptedJudge(lambda request: {"id": f"x{request.number}", **completion()}) as judge:
        done, text, errors = run("--judge-url", judge.url, "--judge-model", "m", "--most", 0)
    assert done.returncode == 1
    assert "wrong" in text
    assert "error: chexprompt: opposite is as good as perfect or better: 1.000 against 1.000" in errors


def test_a_reward_without_a_judge_is_refused():
    done, _, errors = run("--preset", "rules")
    assert done.returncode == 1
    assert errors == ["error: rules: has no judge to check; a reward with judges is --preset judge_only"]
