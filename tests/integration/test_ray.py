"""The reward in Ray actors: the same numbers, actors that die, trainers and files on top."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest
from tests.integration.test_server import plain
from tests.serving import cases, served

from cxr_rewards import Case, CompositeReward
from cxr_rewards.errors import ConfigError, SetupError
from cxr_rewards.remote.load import load_reward
from cxr_rewards.types import Score

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]


@pytest.fixture(scope="module")
def pool():
    from cxr_rewards.remote.ray import RayReward

    ray.init(num_cpus=4, namespace="cxr_rewards", log_to_driver=False, include_dashboard=False)
    reward = RayReward("rules", actors=2, batch=40)
    yield reward
    reward.close()
    ray.shutdown()


def pid_of(pool, number):
    return ray.get(pool._actors[number].__ray_call__.remote(lambda _: os.getpid()))


def test_actors_score_as_a_local_reward(pool):
    local = CompositeReward()
    assert (pool.name, pool.signature, pool.bounds) == (local.name, local.signature, local.bounds)
    assert plain(pool.score_batch(cases())) == plain(local.score_batch(cases()))
    assert pool.score_batch([]) == []


def test_a_killed_actor_costs_no_case(pool):
    expected = plain(CompositeReward().score_batch(cases(2000)))
    rounds = []
    thread = threading.Thread(target=lambda: rounds.extend(plain(pool.score_batch(cases(2000))) for _ in range(2)))
    thread.start()
    time.sleep(0.2)
    os.kill(pid_of(pool, 0), signal.SIGKILL)
    thread.join(120)
    assert [one == expected for one in rounds] == [True, True]
    assert pid_of(pool, 0)  # begun again


def test_a_pool_is_found_by_its_name(pool):
    again = pickle.loads(pickle.dumps(pool))
    assert again.score("Left effusion.", "Left effusion.").value == 1.0
    named = load_reward(f"ray:{pool.pool}")
    assert named.score("Left effusion.", "Left effusion.").value == 1.0
    with pytest.raises(SetupError, match="no pool 'absent'"):
        load_reward("ray:absent")
    with pytest.raises(ConfigError, match="is set up where it runs"):
        load_reward("ray:absent", cache="x")


def test_settings_that_cannot_work_are_reported(pool, monkeypatch):
    from cxr_rewards.remote.ray import RayReward

    with pytest.raises(SetupError, match="the actors cannot be made.*unknown preset"):
        RayReward("rulez", actors=1)
    with pytest.raises(SetupError, match=r"no actor within 1 s.*Free: 2 CPUs"):
        RayReward("rules", actors=1, num_cpus=64, start_s=1)
    with pytest.raises(ConfigError, match="actors must be 1 or more"):
        RayReward(actors=0)


def test_a_batch_that_kills_every_actor_is_unscored(pool):
    from cxr_rewards.core.component import Component
    from cxr_rewards.remote.ray import RayReward
    from cxr_rewards.types import Score

    class Deadly(Component):
        name = "deadly"
        summary = "ends the process for one report"
        reads = ("candidate",)

        def score_case(self, case, features):
            if case.candidate == "boom":
                os._exit(1)
            return Score(1.0)

    import cloudpickle

    cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["x"]))
    deadly = RayReward(CompositeReward([Deadly()]), actors=1, batch=1, retries=1)
    try:
        one, two = deadly.score_batch([Case(candidate=text, reference="x") for text in ("fine", "boom")])
        assert one.value == 1.0
        assert two.value is None
        assert two.reasons.startswith("ray: 2 actors died")
    finally:
        deadly.close()


def test_whole_files_keep_their_statistics(pool, tmp_path):
    """Files give the same rows, details and summary through the pool."""
    from cxr_rewards.files import choose_columns, open_table, score_file

    rows = [case for case in cases(60) if str(case.candidate).isprintable() and len(str(case.candidate)) < 100][:60]
    source = tmp_path / "in.jsonl"
    source.write_text("\n".join(json.dumps({"candidate": c.candidate, "reference": c.reference}) for c in rows))
    texts = []
    for name, reward in (("local", CompositeReward()), ("ray", pool)):
        table = open_table(source)
        more = {"details": tmp_path / f"{name}.jsonl", "detail_columns": ["bleu.brevity_penalty"]}
        score_file(table, choose_columns(table.columns, where="x"), reward, tmp_path / f"{name}.csv", **more)
        texts.append([(tmp_path / f"{name}.{kind}").read_text() for kind in ("csv", "jsonl")])
    assert texts[0] == texts[1]


def run(*arguments):
    command = [sys.executable, "-m", "cxr_rewards", "score", *map(str, arguments), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_files_are_scored_in_actors_and_go_on_after_a_kill(tmp_path):
    """`--engine ray` writes what the local engine writes, also when it is killed on its way."""
    texts = [(c.candidate, c.reference) for c in cases(250) if str(c.candidate).isascii() and c.reference][:200]
    (tmp_path / "in").mkdir()
    # Most texts come often, so that they are read once. The last ones do not: they are to take some time.
    films = [i if i >= 40 else i % 2 for i in range(50)]
    rows = [{"candidate": f"{a} Film {i}.", "reference": f"{b} Film {i}."} for i in films for a, b in texts]
    (tmp_path / "in" / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "in" / "b.csv").write_text("candidate,reference\nLeft effusion.,Left effusion.\n")
    local = run(tmp_path / "in", "-o", tmp_path / "local")
    assert local.wait(120) == 0, local.communicate()[1]
    local.communicate()

    out, distributed = tmp_path / "ray", ("--engine", "ray", "--workers", "2")
    first = run(tmp_path / "in", "-o", out, *distributed)
    end = time.monotonic() + 90
    while time.monotonic() < end and not any(file.stat().st_size > 100_000 for file in out.glob(".*a.jsonl*")):
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.02)
    first.kill()
    first.communicate()
    assert not (out / "a.jsonl").exists()
    again = run(tmp_path / "in", "-o", out, *distributed)
    output, errors = again.communicate(timeout=180)
    assert again.returncode == 0, errors
    resumed, other = (file["resumed_rows"] for file in json.loads(output)["files"])
    assert 0 < resumed < len(rows)  # a batch, or what of it was written when the kill came
    assert other == 0
    for name in ("a.jsonl", "b.csv"):
        assert (out / name).read_text() == (tmp_path / "local" / name).read_text()


def test_a_training_logs_the_same_rewards_from_anywhere(pool, tmp_path):
    """The tiny recipe, with the reward here, at a server, and in Ray actors: every logged number is the same."""
    pytest.importorskip("trl")
    from cxr_rewards.recipes import grpo_trl

    logged = {}
    start = []  # the first run makes the data and the fine-tuned model that all start from
    with served(CompositeReward()) as url:
        for name, reward in (("here", "rules"), ("server", url), ("ray", f"ray:{pool.pool}")):
            out = tmp_path / name
            rehearsal = ["--tiny", "--text", "--max-steps", "4", *start]
            result = grpo_trl.main([*rehearsal, "--reward", reward, "-o", str(out)])
            start = start or ["--data", str(out / "tiny"), "--model", str(out / "sft"), "--no-sft"]
            lines = [json.loads(line) for line in (out / "diagnostics.jsonl").read_text().splitlines()]
            measured = ("seconds", "share_of_step", "cache/", "reward/above_constant")  # the last only here
            logged[name] = [
                result,
                [{key: value for key, value in line.items() if not key.startswith(measured)} for line in lines],
            ]
    assert len(logged["here"][1]) == 2  # four updates of two generations
    assert logged["server"] == logged["here"]
    assert logged["ray"] == logged["here"]


def test_a_pool_does_what_a_local_reward_does(pool):
    """Explanations, single components, building and releasing; and a value out of bounds is a failure."""
    from cxr_rewards.explain.build import explain
    from cxr_rewards.remote.ray import RayReward

    local, case = CompositeReward(), Case(candidate="Small left effusion.", reference="Left effusion with edema.")
    for only in ("", "bleu", "length"):
        assert explain(pool, case, only=only) == explain(local, case, only=only)
    pool.release()
    assert pool.score_batch([case])[0].value == local.score_batch([case])[0].value
    with pytest.raises(ConfigError, match="its cache is elsewhere"):
        pool.warm(["x"])
    made = RayReward.from_preset("rules", actors=1, name="made-of-a-preset")
    try:
        assert made.signature == local.signature
        send = made.send
        made.send = lambda cases: [(Score(7.0), *row[1:]) for row in send(cases)]
        (scored,) = made.score_batch([case])
        first = next(iter(made.components))
        assert "an actor returned 7.0" in scored.parts[first].failure.error
    finally:
        made.close()
