"""The server over real sockets: the same numbers, honest refusals, faults that lose nothing."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from tests.serving import cases, free_port, served, serving, wait_until, wait_until_ready

from cxr_rewards import Case, CompositeReward
from cxr_rewards.core.component import Component
from cxr_rewards.errors import ConfigError, SetupError
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.protocols.chexprompt import Chexprompt
from cxr_rewards.remote.http import RemoteReward, token_of
from cxr_rewards.remote.load import load_reward
from cxr_rewards.server.run import is_loopback, serve
from cxr_rewards.server.settings import ServeSettings
from cxr_rewards.testing.fake_judge import FakeJudge
from cxr_rewards.types import Score

ONE = {"cases": [{"candidate": "Left effusion.", "reference": "Small left effusion."}]}


def plain(rewards):
    """Rewards as JSON holds them, for details may have tuples."""
    return [
        (r.value, r.gates, r.reasons, r.kinds, json.dumps({k: [s.value, s.details, s.failure] for k, s in r.parts.items()}))
        for r in rewards
    ]  # fmt: skip


class Slow(Component):
    """1 after a while."""

    name = "slow"
    summary = "1 after a while"
    reads = ("candidate",)

    def score_case(self, case, features):
        time.sleep(0.15)
        return Score(1.0)


GATE = threading.Event()
GATE.set()


class Held(Component):
    """1 while the gate is open."""

    name = "held"
    summary = "1 while the gate is open"
    reads = ("candidate",)

    def score_case(self, case, features):
        GATE.wait(60)
        return Score(1.0)


@pytest.fixture(scope="module")
def url():
    with served(CompositeReward(), unscored=-5.0, most_cases=1000, most_bytes=1 << 20) as address:
        yield address


def test_a_server_scores_as_a_local_reward(url):
    local, remote = CompositeReward(), RemoteReward(url, batch=50)
    assert (remote.name, remote.signature, remote.bounds) == (local.name, local.signature, local.bounds)
    assert plain(remote.score_batch(cases())) == plain(local.score_batch(cases()))
    assert str(remote.describe()) == str(local.describe())
    assert remote.score("Left effusion.", "Left effusion.").value == 1.0
    assert remote.seconds["elsewhere"] > 0
    with pytest.raises(ConfigError, match="its cache is elsewhere"):
        remote.warm(["x"])
    remote.release()
    assert remote.score("Left effusion.", "Left effusion.").value == 1.0


def test_a_failure_comes_with_its_kind(url):
    given = [("Left effusion.", " "), ("Left effusion.", "Left effusion."), ("x" * 100_001, "Left effusion.")]
    body = {"cases": [{"candidate": candidate, "reference": reference} for candidate, reference in given]}
    lost, good, long = httpx2.post(f"{url}/v1/score", json=body).json()["rewards"]
    assert (lost["kinds"], good["kinds"], long["kinds"]) == (["missing_text"], [], ["too_long"])
    failure = ["reference", "is empty: there is nothing to compare with", "missing_text"]
    assert lost["parts"]["bleu"]["failure"] == failure
    rewards = RemoteReward(url).score_batch([Case(candidate=c, reference=r) for c, r in given])
    assert [reward.kinds for reward in rewards] == [("missing_text",), (), ("too_long",)]


def test_groups_are_normalised_here_and_there():
    """Whole groups are needed: a server must not mix those of several requests, nor a client cut them."""
    reward = CompositeReward(["bleu", "rouge_l"], normalize="group")
    with served(reward) as url:
        whole = [case for case in cases(40) if isinstance(case.candidate, str)]
        local = reward.score_batch(whole)
        assert plain(RemoteReward(url, batch=3).score_batch(whole)) == plain(local)
        body = {"cases": [{"candidate": c.candidate, "reference": c.reference, "group": c.group} for c in whole[:40]]}
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda _: httpx2.post(f"{url}/v1/score", json=body).json(), range(8)))
        expected = [r.value for r in reward.score_batch([Case(**one) for one in body["cases"]])]
        for reply in replies:
            assert [one["value"] for one in reply["rewards"]] == expected
        assert httpx2.post(f"{url}/v1/score", json=ONE).status_code == 422


def test_remote_rewards_go_where_rewards_go(url, monkeypatch):
    again = pickle.loads(pickle.dumps(RemoteReward(url)))
    assert again.score("Left effusion.", "Left effusion.").value == 1.0
    monkeypatch.setenv("CXR_REWARDS_CONFIG", url)
    score = load_reward().as_trl(reference="report", diagnostics=None)
    assert score(completions=["Left effusion.", " "], report=["Left effusion.", "x"])[0] == 1.0
    with pytest.raises(ConfigError, match="is set up where it runs"):
        load_reward(url, cache="x")


def test_many_clients_share_batches(url):
    expected = CompositeReward().score_batch(cases(64))
    with ThreadPoolExecutor(32) as pool:
        remote = RemoteReward(url, concurrency=32)
        rewards = list(pool.map(lambda case: remote.score_batch([case])[0], cases(64)))
    assert plain(rewards) == plain(expected)
    text = httpx2.get(f"{url}/metrics").text
    metrics = {line.split(" ")[0]: float(line.split(" ")[1]) for line in text.splitlines() if not line.startswith("#")}
    assert metrics["cxr_rewards_batch_cases_count"] < metrics["cxr_rewards_cases_total"]
    assert metrics["cxr_rewards_queue_cases"] == 0
    assert metrics['cxr_rewards_failed_total{kind="missing_text",where="reference"}'] > 0
    assert metrics['cxr_rewards_cache_total{found="yes"}'] > 0
    assert metrics['cxr_rewards_request_seconds_count{path="/v1/score",status="200"}'] > 60


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"", 422, "body: Field required"),
        (b"\xff\xfe", 422, "body"),
        (b"{" * 50_000, 422, "JSON decode error"),
        (b"[" * 200_000, 400, ""),
        (b'{"cases": NaN}', 422, "body.cases"),
        (b'{"cases": [{"candidate": NaN, "reference": "x"}]}', 422, "body.cases.0.candidate: Input should be a valid string"),
        (b'{"cases": [{"candidate": "secret finding"}]}', 422, "body.cases.0.reference: Field required"),
        (b'{"cases": [{"candidate": "x", "reference": "y", "path": "/etc/passwd"}]}', 422, "body.cases.0.path: Extra"),
        (b'{"cases": [], "timeout_s": Infinity}', 422, "finite"),
        (b'{"cases": [], "timeout_s": -1}', 422, "greater than or equal to 1"),
        (b'{"cases": [' + b'{"candidate":"x","reference":"y"},' * 1000 + b'{"candidate":"x","reference":"y"}]}', 413, "1,000 cases"),
        (b" " * (1 << 20) + b"{}", 413, "1,048,576 bytes"),
    ],
    ids=["empty", "no utf-8", "deep objects", "deep lists", "nan", "nan text", "no reference", "unknown key",
         "endless", "negative", "many cases", "large"],
)  # fmt: skip
def test_a_bad_request_is_refused_with_the_reason(url, body, status, detail):
    reply = httpx2.post(f"{url}/v1/score", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == status
    assert detail in reply.json()["detail"]
    assert "secret" not in reply.text
    chunked = httpx2.post(
        f"{url}/v1/score", content=iter([body[:10], body[10:]]), headers={"Content-Type": "application/json"}
    )
    assert chunked.status_code == status
    assert httpx2.get(f"{url}/readyz").json() == {"status": "ready"}


def test_nothing_to_score_is_no_error(url):
    assert httpx2.post(f"{url}/v1/score", json={"cases": []}).json()["rewards"] == []


def test_openrlhf_gets_what_it_asks_for(url):
    label = json.dumps({"reference": "Small left effusion.", "priors": ["Clear lungs."]})
    body = {
        "query": ["Q: A: Small left effusion.<|im_end|>", "Q: A: "],
        "prompts": ["Q: A:"] * 2,
        "labels": [label, "Effusion."],
    }
    reply = httpx2.post(f"{url}/get_reward", json=body).json()
    right, empty = reply["rewards"]
    assert right == 1.0
    assert empty <= 0  # no words, no reward
    assert 0 <= min(reply["scores"]) <= max(reply["scores"]) <= 1
    assert reply["extra_logs"]["findings_soft_f1"][0] == 1.0
    assert httpx2.post(f"{url}/get_reward", json={**body, "labels": ["x"]}).status_code == 422
    with served(CompositeReward()) as other:
        assert "--unscored" in httpx2.post(f"{other}/get_reward", json=body).json()["detail"]


def test_slime_gets_what_it_asks_for(url):
    body = {
        "prompt": [{"role": "user", "content": "Report."}],
        "response": "<think>Hm.</think>Small left effusion.<|im_end|>",
    }
    label = json.dumps({"reference": "Small left effusion.", "priors": ["Clear lungs."]})
    assert httpx2.post(f"{url}/slime", json={**body, "label": label}).json() == 1.0
    scored = httpx2.post(f"{url}/slime?parts=true", json={**body, "label": label}).json()
    assert (scored["score"], scored["findings_soft_f1"], scored["unscored"]) == (1.0, 1.0, 0.0)
    assert httpx2.post(f"{url}/slime", json={**body, "label": None}).json() == -5.0
    boxed = {**body, "response": "Final answer: Small left effusion.", "label": label}
    options = {"extract": {"markers": ["Final answer:"]}}
    with served(CompositeReward(), unscored=-5.0, options=options) as other:
        assert httpx2.post(f"{other}/slime", json=boxed).json() == 1.0


def test_every_path_that_reveals_something_needs_the_token(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.delenv("CXR_REWARDS_TOKEN", raising=False)
    with served(CompositeReward(["bleu"]), token=token_of("CXR_REWARDS_TOKEN", tmp_path / "token")) as url:
        for path in ("/v1/reward", "/metrics", "/docs", "/openapi.json", "/nothing"):
            assert httpx2.get(f"{url}{path}").status_code == 401
            assert httpx2.get(f"{url}{path}", headers={"Authorization": "Bearer s3cre"}).status_code == 401
        for headers in (
            {},
            {"Authorization": "Bearer"},
            {"Authorization": "s3cret"},
            {"Authorization": "Bearer s3cret2"},
        ):
            assert httpx2.post(f"{url}/v1/score", json=ONE, headers=headers).status_code == 401
        assert httpx2.post(f"{url}/v1/score", json=ONE, headers={"Authorization": "Bearer s3cret"}).status_code == 200
        with pytest.raises(SetupError, match="the token is refused: set CXR_REWARDS_TOKEN"):
            RemoteReward(url)
        assert RemoteReward(url, token="s3cret").score("Clear lungs.", "Clear lungs.").value == 1.0
        monkeypatch.setenv("CXR_REWARDS_TOKEN", "s3cret")
        kept = RemoteReward(url)
        assert kept.score("Clear lungs.", "Clear lungs.").value == 1.0
        assert b"s3cret" not in pickle.dumps(kept)


def test_a_full_queue_says_when_to_come_again():
    with served(CompositeReward([Slow()]), queue_cases=4, batch_cases=1) as url:
        body = {"cases": [{"candidate": "x", "reference": "y"}] * 2}
        with ThreadPoolExecutor(10) as pool:
            replies = list(pool.map(lambda _: httpx2.post(f"{url}/v1/score", json=body, timeout=30), range(10)))
        codes = [reply.status_code for reply in replies]
        assert set(codes) == {200, 429}
        refused = replies[codes.index(429)]
        assert int(refused.headers["Retry-After"]) >= 1
        assert "the queue is full" in refused.json()["detail"]
        with ThreadPoolExecutor(10) as pool:  # a client that comes again gets all
            remote = RemoteReward(url, concurrency=10)
            values = list(pool.map(lambda _: remote.score_batch([Case(candidate="x", reference="y")] * 2), range(10)))
        assert [r.value for rewards in values for r in rewards] == [1.0] * 20


def test_bodies_under_way_are_bounded():
    with served(CompositeReward([Slow()]), all_bytes=1000) as url:
        body = {"cases": [{"candidate": "x" * 800, "reference": "y"}]}
        with ThreadPoolExecutor(3) as pool:
            codes = [r.status_code for r in pool.map(lambda _: httpx2.post(f"{url}/v1/score", json=body), range(3))]
        assert sorted(codes)[0] == 200
        assert 429 in codes


def test_a_late_request_gets_the_reason():
    with served(CompositeReward([Held()]), batch_cases=1) as url:
        GATE.clear()
        try:
            asked = {"cases": [{"candidate": "x", "reference": "y"}] * 2, "timeout_s": 1}
            reply = httpx2.post(f"{url}/v1/score", json=asked, timeout=30)
            many = RemoteReward(url, deadline_s=0.4).score_batch([Case(candidate="x", reference="y")] * 8)
        finally:
            GATE.set()
    assert (reply.status_code, reply.json()) == (504, {"detail": "not scored within 1 s"})
    assert [one.value for one in many] == [None] * 8
    assert many[0].reasons.startswith("remote: no score within 0.4 s; the last of")
    assert many[0].kinds == ("timeout",)


def test_clients_that_go_away_cost_nothing_more():
    """A judge that takes its time is not asked for cases that nobody waits for."""
    with FakeJudge(latency_s=0.2) as judge:
        component = Chexprompt(model="fake", base_url=judge.url, concurrency=2)
        with served(CompositeReward([component])) as url:
            body = {"cases": [{"candidate": f"Effusion {i}.", "reference": "Clear lungs."} for i in range(200)]}
            with pytest.raises(httpx2.ReadTimeout):
                httpx2.post(f"{url}/v1/score", json=body, timeout=1.0)
            asked = -1
            while asked != judge.requests:
                asked = judge.requests
                time.sleep(1.0)
            assert asked < 150
            assert RemoteReward(url).score("Effusion 0.", "Clear lungs.").value is not None
        close_judges()


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_nothing_is_lost(tmp_path):
    expected = plain(CompositeReward().score_batch(cases(600)))
    with serving("--workers", 2, "--cache", tmp_path / "c.sqlite", "--drain", 5) as (url, process):
        remote = RemoteReward(url, batch=10, concurrency=4)
        rounds = []
        thread = threading.Thread(target=lambda: rounds.extend(remote.score_batch(cases(600)) for _ in range(3)))
        thread.start()
        time.sleep(0.3)
        children = [int(pid) for pid in subprocess.check_output(["pgrep", "-P", str(process.pid)], text=True).split()]
        workers = [pid for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        thread.join(120)
        assert [plain(rewards) == expected for rewards in rounds] == [True] * 3
        time.sleep(2)
        wait_until_ready(url, process)
        metrics = httpx2.get(f"{url}/metrics").text
        assert "cxr_rewards_cases_total" in metrics
        assert "\ncxr_rewards_queue_cases 0.0\n" in metrics  # what waited at the dead one does not


@pytest.mark.slow
def test_what_is_under_way_is_finished_after_sigterm():
    with (
        FakeJudge(latency_s=2.0) as judge,
        serving("--preset", "judge_only", "--judge-url", judge.url, "--judge-model", "fake") as (url, process),
    ):
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(httpx2.post, f"{url}/v1/score", json=ONE, timeout=30)
            wait_until(lambda: judge.requests)
            process.send_signal(signal.SIGTERM)
            reply = waiting.result()
        assert reply.json()["rewards"][0]["value"] is not None
        process.wait(20)
        assert "Left effusion" not in process.stdout.read()


def test_connections_that_break_are_tried_again(url):
    """Behind a proxy that drops every other connection, all is scored as ever."""
    port = int(url.rpartition(":")[2])
    listener = socket.create_server(("127.0.0.1", 0))
    dropped = []

    def forward(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            for one in (source, target):
                one.close()

    def accept():
        number = 0
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            number += 1
            if number % 2 == 0:
                dropped.append(number)
                client.recv(100)
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=forward, args=(client, server), daemon=True).start()
            threading.Thread(target=forward, args=(server, client), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    remote = RemoteReward(f"http://127.0.0.1:{listener.getsockname()[1]}", batch=20)
    assert plain(remote.score_batch(cases())) == plain(CompositeReward().score_batch(cases()))
    assert dropped
    listener.close()


def test_several_servers_must_serve_one_reward(url):
    with served(CompositeReward()) as same, served(CompositeReward(["bleu"])) as other:
        both = RemoteReward([url, same], batch=10)
        assert plain(both.score_batch(cases(50))) == plain(CompositeReward().score_batch(cases(50)))
        with pytest.raises(ConfigError, match="serve different rewards"):
            RemoteReward(f"{url},{other}")
        gone = RemoteReward([url, same], batch=5)
        gone.urls = (url, "http://127.0.0.1:9")  # one has gone away since
        assert plain(gone.score_batch(cases(30))) == plain(CompositeReward().score_batch(cases(30)))


@pytest.mark.parametrize(
    ("urls", "error", "message"),
    [
        ("", ConfigError, "expected http://"),
        ("ftp://x", ConfigError, "expected http://"),
        ("http://127.0.0.1:9", SetupError, "does not answer.*cxr-rewards serve"),
    ],
)
def test_wrong_addresses_are_reported(urls, error, message):
    with pytest.raises(error, match=message):
        RemoteReward(urls)
    with pytest.raises(ConfigError, match="batch must be above 0"):
        RemoteReward("http://x", batch=0)


def test_a_server_that_changes_is_an_error(url):
    remote = RemoteReward(url)
    remote.signature = "as it was before it was set up again"
    with pytest.raises(SetupError, match="serves another reward than when the run began"):
        remote.score("Left effusion.", "Left effusion.")


def test_the_command_line_says_what_is_wrong():
    for arguments, message in (
        (("--host", "0.0.0.0"), "give a token, in CXR_REWARDS_TOKEN or --token-file"),
        (("--preset", "rulez"), "unknown preset 'rulez'"),
        (("--unscored", "0.5", "--workers", "2"), "must lie below every reward"),
    ):
        command = [sys.executable, "-m", "cxr_rewards", "serve", "--port", str(free_port()), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode != 0
        assert message in " ".join(done.stderr.split())


def test_another_service_is_no_reward(monkeypatch):
    with FakeJudge() as judge, pytest.raises(SetupError, match="status 404"):
        RemoteReward(judge.url)


def test_beyond_this_machine_a_token_is_needed(tmp_path):
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.1.2.3", "x.org")] == [
        True
    ] * 3 + [False] * 3
    with pytest.raises(ConfigError, match="give a token"):
        serve("rules", ServeSettings(), host="0.0.0.0")
    with pytest.raises(ConfigError, match="2 devices for 3 workers"):
        serve("rules", ServeSettings(), workers=3, devices=["cuda:0", "cuda:1"])
    with pytest.raises(ConfigError, match="most_cases must be above 0"):
        ServeSettings(most_cases=0)
    with pytest.raises(ConfigError, match="holds no token"):
        token_of("X", (tmp_path / "empty").write_text("") or tmp_path / "empty")
    with pytest.raises(ConfigError, match="cannot be read"):
        token_of("X", tmp_path / "absent")


def test_workers_claim_devices_of_their_own(tmp_path, monkeypatch):
    from cxr_rewards.server import run

    monkeypatch.setattr(run, "_held", [])
    assert [run._claim(["cuda:0", "cuda:1"], tmp_path) for _ in range(2)] == ["cuda:0", "cuda:1"]
    with pytest.raises(ConfigError, match="are taken"):
        run._claim(["cuda:0", "cuda:1"], tmp_path)
    os.close(run._held.pop())  # as when a worker dies
    assert run._claim(["cuda:0", "cuda:1"], tmp_path) == "cuda:1"
    for file in run._held:
        os.close(file)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "besides"),
    [("/v1/|/slime|/healthz|/readyz|/metrics", ()), ("/get_reward", ("--exclude-checks", "positive_data_acceptance"))],
)  # the lists of /get_reward must be of one length, which a schema cannot say
def test_whatever_the_description_allows_is_answered(url, path, besides, tmp_path):
    pytest.importorskip("schemathesis")
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--include-path-regex", path,
            "--max-examples", "20", "--seed", "1", "--no-color", "--generation-database", "none", *besides,
        ],
        capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "No issues found" in done.stdout
    assert httpx2.get(f"{url}/readyz").status_code == 200


def test_dead_workers_are_forgotten(tmp_path):
    from cxr_rewards.server import run

    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    for pid in (done.pid, os.getpid()):
        (tmp_path / f"gauge_livesum_{pid}.db").write_bytes(b"")
    run._forget_the_dead(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [f"gauge_livesum_{os.getpid()}.db"]
