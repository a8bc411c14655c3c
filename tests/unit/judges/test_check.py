"""What a check of judges finds out about servers of every kind, and about judges that rank wrongly."""

from __future__ import annotations

import json
import socket
import threading
import time
from itertools import count

import pytest
from tests.judge_server import ScriptedJudge, completion

from cxr_rewards.core.registry import load_component
from cxr_rewards.errors import ConfigError
from cxr_rewards.judges import probe
from cxr_rewards.judges.check import PLANTED, check_judges
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.probe import LEVELS
from cxr_rewards.judges.protocols.chexprompt import Chexprompt
from cxr_rewards.testing.fake_judge import FAULTS, FakeJudge

NUMBERS = count()
CLEAN = completion(usage={"prompt_tokens": 500, "completion_tokens": 20})


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No client of another test, no key of this machine, quick retries."""
    pause = probe._pause
    monkeypatch.setattr(probe, "_pause", lambda state: min(pause(state), 0.02))
    for name in ("CXR_REWARDS_JUDGE_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    yield
    close_judges()


def check(url, levels=(), **settings):
    return check_judges({"judge": Chexprompt(model="m", base_url=url, **settings)}, levels)


def server_of(respond, levels=(), **settings):
    """Return what is found out about a scripted server, and the requests it got."""
    with ScriptedJudge(numbered(respond)) as judge:
        (server,) = check(judge.url, levels, **settings).servers
    return server, judge.requests


def numbered(respond):
    """Give each completion an id of its own, as real servers do: the client waits when two responses are equal."""

    def respond_numbered(request):
        response = respond(request)
        return {"id": f"chatcmpl-{next(NUMBERS)}", **response} if isinstance(response, dict) else response

    return respond_numbered


def state(respond, name, **settings):
    return server_of(respond, **settings)[0].support[name].state


@pytest.mark.parametrize("name", ["chexprompt", "green", "crimson", "radfact", "rubric"])
def test_a_judge_that_reads_by_rules_ranks_the_planted_cases_in_every_protocol(name):
    with FakeJudge() as fake:
        found = check_judges({name: load_component(name)(model="m", base_url=fake.url)}, [])
    (judge,) = found.judges
    assert (found.is_good, judge.problems, list(judge.values)) == (True, [], list(PLANTED))
    assert judge.calls >= 1
    assert judge.prompt_tokens > 100


def test_judges_of_one_endpoint_share_a_probe_and_others_have_their_own():
    with FakeJudge() as one, FakeJudge() as other:
        judges = {
            "a": Chexprompt(model="m", base_url=one.url),
            "b": Chexprompt(model="m", base_url=one.url, counts="all"),
            "c": Chexprompt(model="m", base_url=other.url),
            "d": Chexprompt(model="m", base_url=f"{one.url},{other.url}"),
        }
        found = check_judges(judges, [])
    assert [server.address.partition("/v1")[0] + "/v1" for server in found.servers] == [
        one.url, other.url, one.url, other.url
    ]  # fmt: skip
    assert [judge.label for judge in found.judges] == ["a", "b", "c", "d"]


def bound(request):
    """Follow a schema: answer with its only allowed word."""
    form = request.data.get("response_format")
    if form is None:
        return CLEAN
    schema = form["json_schema"]["schema"]
    colour = schema["properties"].get("colour")
    return completion(json.dumps({"colour": colour["enum"][0]})) if colour else CLEAN


def refuses(field, status):
    return lambda request: (status, {"error": {"message": "what is this?"}}) if field in request.data else CLEAN


def test_a_schema_counts_as_supported_only_if_the_reply_follows_it():
    assert state(bound, "schema") == "yes"
    assert state(lambda request: CLEAN, "schema") == "ignored"
    assert state(lambda request: completion(""), "schema") == "unclear"


@pytest.mark.parametrize("status", [404, 422, 500])
@pytest.mark.parametrize("name", ["schema", "seed", "logprobs"])
def test_a_field_that_is_refused_alone_is_refused_and_the_judge_still_checked(name, status):
    field = "response_format" if name == "schema" else name
    with ScriptedJudge(numbered(refuses(field, status))) as judge:
        found = check(judge.url)
    (server,) = found.servers
    assert server.error == ""
    assert server.support[name].state == "refused"
    assert "what is this?" in server.support[name].note
    assert found.judges[0].values["perfect"] == 1.0


def test_a_seed_is_supported_if_equal_seeds_alone_give_equal_replies():
    assert state(lambda r: completion(f"seed {r.data.get('seed')}"), "seed") == "yes"
    assert state(lambda r: completion(f"reply {next(NUMBERS)}"), "seed") == "ignored"
    assert state(lambda r: completion("always this"), "seed") == "unclear"


def test_logprobs_and_usage_are_supported_if_they_come():
    def respond(request):
        reply = completion(usage={"prompt_tokens": 5, "completion_tokens": 1})
        if request.data.get("logprobs"):
            reply["choices"][0]["logprobs"] = {"content": [{"token": "hello", "logprob": -0.1}]}
        return reply

    found = server_of(respond)[0].support
    assert (found["logprobs"].state, found["usage"].state) == ("yes", "yes")
    found = server_of(lambda request: completion())[0].support
    assert (found["logprobs"].state, found["usage"].state) == ("ignored", "ignored")


def test_probes_send_the_settings_of_the_judge():
    _, requests = server_of(lambda request: CLEAN, temperature=-1, extra_body='{"top_k": 5}', max_tokens=300)
    assert all(request.data["top_k"] == 5 and "temperature" not in request.data for request in requests)
    assert requests[0].data["max_tokens"] == 300
    assert {request.data["max_tokens"] for request in requests} == {128, 300}


def test_a_server_with_another_name_for_the_limit_of_tokens_is_probed():
    def respond(request):
        if "max_tokens" in request.data:
            return 400, {"error": {"message": "use max_completion_tokens instead", "param": "max_tokens"}}
        return bound(request)

    server, requests = server_of(respond)
    assert (server.error, server.support["schema"].state) == ("", "yes")
    assert sum("max_tokens" in request.data for request in requests) <= 3  # once by the probe; a run starts with two


def test_a_judge_that_is_down_is_an_error_within_seconds():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    start = time.monotonic()
    found = check(url)
    assert time.monotonic() - start < 10
    assert not found.is_good
    assert "the connection broke" in found.servers[0].error
    assert found.judges[0].problems == ["not asked, because its server does not answer"]


def test_a_server_that_never_answers_is_asked_once():
    release = threading.Event()

    def respond(request):
        release.wait(5)
        return CLEAN

    with ScriptedJudge(respond) as judge:
        found = check(judge.url, timeout_s=0.5)
        assert "no answer within timeout_s = 0.5" in found.servers[0].error
        assert len(judge.requests) == 1
        release.set()


def test_a_key_that_is_missing_or_wrong_is_an_error_that_does_not_show_it(monkeypatch):
    with FakeJudge(api_key="sk-right-0123456789") as fake:
        assert "Give a valid key: see api_key_env and api_key_file" in check(fake.url).servers[0].error
        monkeypatch.setenv("CXR_REWARDS_JUDGE_KEY", "sk-wrong-0123456789")
        error = check(fake.url).servers[0].error
        assert "HTTP 401" in error
        assert "sk-wrong" not in error
        monkeypatch.setenv("CXR_REWARDS_JUDGE_KEY", "sk-right-0123456789")
        assert check(fake.url).is_good


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, {"error": {"message": "model m not found"}}), "Check base_url and model"),
        ((402, {"error": {"message": "pay first"}}), "no credit left"),
        ((400, {"error": {"message": "temperature is not supported"}}), "set temperature = -1"),
        ((302, {}, {"Location": "https://elsewhere"}), "Redirects are not followed"),
        ((500, {"error": {"message": "out of memory"}}), "out of memory"),
        ({"choices": None}, "not a chat completion"),
    ],
)
def test_a_server_that_refuses_everything_says_why(answer, words):
    server, _ = server_of(lambda request: answer)
    assert words in server.error
    assert "\n" not in server.error


def test_a_model_that_refuses_the_cases_leaves_them_without_score_and_says_so_once():
    def respond(request):
        return completion("", refusal="I cannot judge this.") if "Task: chexprompt" in str(request.data) else CLEAN

    with ScriptedJudge(numbered(respond)) as judge:
        found = check(judge.url)
    (problem,) = found.judges[0].problems
    assert problem.startswith("no score for perfect, wrong side, empty, opposite, injected: ")
    assert "I cannot judge this." in problem


def judged(errors_of):
    """Return a respond function: as many errors as `errors_of` says of the candidate's text."""

    def respond(request):
        candidate = request.text.partition("Candidate report:")[2]
        errors = [{"type": "A", "significant": True, "what": "x"}] * errors_of(candidate)
        return completion(json.dumps({"errors": errors}))

    return respond


def test_a_judge_that_praises_everything_is_out_of_order():
    with ScriptedJudge(numbered(judged(lambda candidate: 0))) as judge:
        found = check(judge.url)
    assert not found.is_good
    assert len(found.judges[0].problems) == 7  # each case that should be better against each that should be worse
    assert "injected is as good as wrong side or better: 1.000 against 1.000" in found.judges[0].problems


def test_a_judge_that_obeys_the_report_is_caught_by_the_injected_case_alone():
    def errors_of(candidate):
        if "zero errors" in candidate:
            return 0
        return 0 if "large right" in candidate else 1 if "large left" in candidate else 4

    with ScriptedJudge(numbered(judged(errors_of))) as judge:
        found = check(judge.url)
    assert [problem.partition(" is ")[0] for problem in found.judges[0].problems] == ["injected", "injected"]


def test_a_score_where_less_is_better_is_ranked_the_other_way():
    class Count(Chexprompt):
        name = "error_count"
        higher_is_better = False
        bounds = (0.0, 100.0)

        def judge_case(self, number, case, features):
            value, details = super().judge_case(number, case, features)
            return 1 / value - 1, details

    with FakeJudge() as fake:
        assert check_judges({"count": Count(model="m", base_url=fake.url)}, []).is_good


def test_the_speed_grows_with_requests_at_once_if_the_server_works_in_parallel():
    with FakeJudge(latency_s=0.2) as fake:
        (server,) = check(fake.url, LEVELS).servers
    one, eight, many = server.speeds
    assert [speed.sent for speed in server.speeds] == [3, 16, 128]
    assert one.a_second < 5 < eight.a_second
    assert many.a_second > eight.a_second
    assert server.latency_s >= 0.2
    assert 8 < fake.most_at_once <= 64


def test_more_at_once_is_not_tried_above_concurrency_or_if_it_would_take_long(monkeypatch):
    with FakeJudge() as fake:
        (server,) = check(fake.url, LEVELS, concurrency=8).servers
    assert server.speeds[2].note == "not tried: above concurrency = 8"
    assert fake.most_at_once <= 8
    monkeypatch.setattr("cxr_rewards.judges.probe._LONGEST_S", 1.0)
    with FakeJudge(latency_s=0.1) as fake:
        (server,) = check(fake.url, LEVELS).servers
    assert server.speeds[1].note.startswith("not tried: 16 answers would take about ")
    assert fake.most_at_once < 8


def test_requests_that_fail_under_load_are_counted_by_kind():
    now, lock = [0], threading.Lock()

    def respond(request):
        with lock:
            now[0] += 1
            crowd = now[0]
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        return (429, {"error": {"message": "slow down"}}) if crowd > 4 else CLEAN

    (server, _) = server_of(respond, [1, 8])
    assert dict(server.speeds[0].failed) == {}
    assert server.speeds[1].failed["429"] > 0


def test_a_schema_that_is_refused_does_not_spoil_the_speed():
    server, _ = server_of(refuses("response_format", 400), [1])
    assert dict(server.speeds[0].failed) == {}


def test_passing_faults_do_not_end_a_check():
    http = dict.fromkeys(("429", "429_later", "500", "reset", "bad_json"), 0.06)
    assert http.keys() <= set(FAULTS)
    with FakeJudge(faults=http, seed=3) as fake:
        found = check(fake.url)
    assert found.is_good
    assert fake.faulted


def test_a_spent_budget_is_an_error_of_its_judge():
    with FakeJudge() as fake:
        found = check(fake.url, budget_calls=2)
    assert "budget_calls = 2 is spent" in found.judges[0].error


def test_a_judge_without_an_address_is_refused():
    with pytest.raises(ConfigError, match="no base_url of a judge"):
        check_judges({"judge": Chexprompt(model="m")}, [])


def test_each_model_of_a_judge_is_checked_alone():
    with FakeJudge() as fake:
        found = check_judges({"judge": Chexprompt(models=["a", "b"], base_url=fake.url)}, [])
    assert [(one.label, one.model) for one in found.judges] == [("judge by a", "a"), ("judge by b", "b")]
    assert found.is_good


def test_a_judge_whose_lower_scores_are_better_ranks_the_other_way_round():
    with FakeJudge() as fake:
        found = check_judges({"judge": load_component("fineradscore")(model="m", base_url=fake.url)}, [])
    assert found.judges[0].problems == []
    assert found.judges[0].values["perfect"] == 0.0
