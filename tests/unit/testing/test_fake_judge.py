"""The fake judge speaks the protocol, answers equal questions equally, and fails on request."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.judges.client import close_judges
from cxr_rewards.testing.fake_answers import answer_to
from cxr_rewards.testing.fake_judge import FAULTS, FakeJudge


def post(url, data, key="", path="/chat/completions"):
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(url + path, body, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


QUESTION = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Task: chexprompt."},
        {
            "role": "user",
            "content": '<reference mark="x">\nLeft effusion.\n</reference mark="x">\n'
            '<candidate mark="x">\nEdema.\n</candidate mark="x">',
        },
    ],
}


def test_a_completion_looks_as_the_field_expects():
    with FakeJudge() as judge:
        code, data = post(judge.url, QUESTION)
        assert post(judge.url, QUESTION)[1]["choices"] == data["choices"]
    assert code == 200
    assert data["object"] == "chat.completion"
    assert data["model"] == "m"
    assert data["usage"]["prompt_tokens"] > 0
    (choice,) = data["choices"]
    assert choice["finish_reason"] == "stop"
    errors = json.loads(choice["message"]["content"])["errors"]
    assert sorted(error["type"] for error in errors) == ["A", "B"]
    assert judge.requests == judge.answered == 2


def test_published_judges_can_be_rehearsed(prompts):
    for name in ("green_official", "chexprompt_official", "radfact_official"):
        with FakeJudge() as judge:
            reward = CompositeReward.from_preset(name, judge={"model": "m", "base_url": judge.url})
            result = reward.score("Small left effusion.", "Small left effusion. Right pneumothorax.")
        close_judges()
        assert result.value == pytest.approx(2 / 3 if name == "radfact_official" else 0.5)


@pytest.mark.parametrize(
    ("data", "path", "code", "says"),
    [
        (b"no json", "/chat/completions", 400, "JSONDecodeError"),
        ({"model": "m"}, "/chat/completions", 400, "KeyError"),
        ({"messages": [{"content": "Hello"}]}, "/chat/completions", 400, "no task in 'Hello'"),
        (QUESTION, "/embeddings", 404, "there is nothing at /v1/embeddings"),
    ],
)
def test_bad_requests_are_reported(data, path, code, says):
    with FakeJudge() as judge:
        got, answer = post(judge.url, data, path=path)
    assert got == code
    assert says in answer["error"]["message"]


def test_a_key_is_asked_for():
    with FakeJudge(api_key="right") as judge:
        assert post(judge.url, QUESTION, "wrong")[0] == 401
        assert post(judge.url, QUESTION, "right")[0] == 200


def test_equal_seeds_fail_alike():
    def faults(seed):
        with FakeJudge(faults={"500": 0.4, "429": 0.2}, seed=seed) as judge:
            return [post(judge.url, QUESTION)[0] for _ in range(12)]

    assert faults(1) == faults(1)
    assert faults(1) != faults(2)
    assert set(faults(1)) == {200, 429, 500}


def test_faults_are_named():
    with pytest.raises(ValueError, match="unknown faults .'fire'.; known: 429, "):
        FakeJudge(faults={"fire": 0.5})
    with FakeJudge(faults=0.34) as judge:
        assert sum(judge._faults.values()) == pytest.approx(0.34)
        assert set(judge._faults) == set(FAULTS)


def test_a_taken_port_is_reported():
    with FakeJudge() as judge, pytest.raises(OSError, match="in use"):
        FakeJudge(judge.port)


def test_every_prompt_of_the_library_is_answered():
    reports = {"candidate": "Severe cardiomegaly. Left effusion.", "reference": "Left effusion. Edema."}
    with FakeJudge() as judge:
        settings = {"model": "m", "base_url": judge.url}
        from cxr_rewards.core.registry import load_component

        names = ("chexprompt", "green", "crimson", "fineradscore", "radfact", "rubric")
        reward = CompositeReward([load_component(name)(**settings) for name in names])
        right, wrong = (
            reward.score(text, reports["reference"]) for text in (reports["reference"], reports["candidate"])
        )
    close_judges()
    for name in names:
        best = 0.0 if name == "fineradscore" else 1.0
        assert right.parts[name].value == best
        assert (wrong.parts[name].value - best) * (-1 if best else 1) > 0


def test_what_is_no_task_is_an_error():
    with pytest.raises(ValueError, match="the fake judge knows chexprompt, green"):
        answer_to([{"role": "system", "content": "Task: cooking."}])
