"""How the client reads what servers send: HTTP at its edges, errors in all their forms, usage, keys."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
import time
import zlib

import pytest
from tests.judge_server import ScriptedJudge, completion

from cxr_rewards import Case, CompositeReward
from cxr_rewards.core.usage import LEDGER
from cxr_rewards.errors import BudgetExceeded, ConfigError, JudgeStopped
from cxr_rewards.judges import asking
from cxr_rewards.judges.client import close_judges, tallies
from cxr_rewards.judges.protocols.chexprompt import Chexprompt

REFERENCE = "Small left pleural effusion. Heart size is normal."
CLEAN = completion()
SECRET = "sk-very/secret+0123456789"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No client of another test, no key of this machine, quick retries."""
    for variable in list(os.environ):
        if "API_KEY" in variable or variable.startswith("CXR_REWARDS_JUDGE") or variable.lower().endswith("_proxy"):
            monkeypatch.delenv(variable)
    pause = asking._pause
    monkeypatch.setattr(asking, "_pause", lambda state: min(pause(state), 0.05))
    LEDGER.clear()
    yield
    close_judges()


def errors(count):
    """Return a verdict with so many significant errors."""
    return json.dumps({"errors": [{"type": "A", "significant": True, "what": f"error {i}"} for i in range(count)]})


def cases(count):
    return [Case(candidate=f"Small left effusion. Count {i}.", reference=REFERENCE) for i in range(count)]


def number_in(request):
    return int(re.search(r"Count (\d+)\.", request.text)[1])


def score(judge, count=1, **settings):
    given = {"model": "m", "base_url": judge.url, "timeout_s": 5.0, "deadline_s": 10.0, **settings}
    return CompositeReward([Chexprompt(**given)]).score_batch(cases(count))


def one(respond, **settings):
    """Return the result of one case, and the server."""
    with ScriptedJudge(respond) as judge:
        (result,) = score(judge, **settings)
    return result, judge


def http(data, headers=""):
    body = json.dumps(data).encode()
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


# Connections


@pytest.mark.parametrize("delay_s", [None, 0.0, 0.003, 0.03])
@pytest.mark.parametrize("identity", ["same", "none"])
@pytest.mark.parametrize("padding", [0, 20_000, 70_000])
def test_a_reply_sent_twice_never_answers_the_next_question(delay_s, identity, padding):
    def respond(request):
        number = number_in(request)
        data = completion(errors(number), padding="x" * padding)
        if identity == "same":
            data |= {"id": f"chatcmpl-{number}", "created": number}
        if delay_s is None:
            return http(data) + http(data)

        def write(handler):
            time.sleep(0.05)  # as a judge thinks; the next reply must not be there together with the repetition
            handler.wfile.write(http(data))
            time.sleep(delay_s)
            if number == 0 or delay_s == 0:
                handler.wfile.write(http(data))

        return write

    with ScriptedJudge(respond) as judge:
        results = score(judge, 8, concurrency=1)
    assert [result.value for result in results] == [1 / (1 + i) for i in range(8)]


@pytest.mark.parametrize(
    "extra",
    [
        b"\r\n",
        b"garbage",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        http(completion(errors(9))),
        b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + http(completion(errors(9))),
    ],
)
def test_bytes_behind_a_response_are_never_read_as_one(extra):
    def respond(request):
        return http(completion(errors(number_in(request)))) + extra

    with ScriptedJudge(respond) as judge:
        results = score(judge, 6, concurrency=1)
    assert [result.value for result in results] == [1 / (1 + i) for i in range(6)]


def test_connections_are_used_again():
    with ScriptedJudge(lambda request: completion(errors(number_in(request) % 3))) as judge:
        results = score(judge, 40, concurrency=4)
    assert all(result.value is not None for result in results)
    assert judge.connections <= 4


def test_equal_replies_of_one_connection_are_believed():
    with ScriptedJudge(lambda _: CLEAN) as judge:
        results = score(judge, 12, concurrency=1)
    assert [result.value for result in results] == [1.0] * 12
    assert (len(judge.requests), judge.connections) == (12, 1)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
def test_a_compressed_body_is_read_though_it_was_not_asked_for(encoding, pack):
    body = pack(json.dumps(CLEAN).encode())
    result, judge = one(lambda _: (200, body, {"Content-Encoding": encoding}))
    assert result.value == 1.0
    assert judge.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b" " * (5 << 20), {}, "more than 4,194,304 bytes"),
        (gzip.compress(b" " * (64 << 20)), {"Content-Encoding": "gzip"}, "more than 4,194,304 bytes once unpacked"),
        (gzip.compress(gzip.compress(b" " * 999)), {"Content-Encoding": "gzip, gzip"}, "compressed by 'gzip, gzip'"),
        (b"(\xb5/\xfd", {"Content-Encoding": "zstd"}, "compressed by 'zstd'"),
        (gzip.compress(json.dumps(CLEAN).encode())[:-9], {"Content-Encoding": "gzip"}, "cut off"),
        (b"no gzip", {"Content-Encoding": "gzip"}, "damaged"),
        (b"[" * 200_000, {}, "not a chat completion"),
    ],
    ids=["long", "bomb", "twice", "zstd", "cut", "plain", "nested"],
)
def test_a_body_that_cannot_be_read_leaves_the_case_unscored(body, headers, message):
    result, judge = one(lambda _: (200, body, headers), deadline_s=0.5)
    assert result.value is None
    assert message in result.reasons
    assert len(judge.requests) > 1


def test_an_endless_body_is_cut_off():
    def respond(_):
        def write(handler):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(4000):
                handler.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")

        return write

    start = time.monotonic()
    result, _ = one(respond, deadline_s=1.0)
    assert "more than 4,194,304 bytes" in result.reasons
    assert time.monotonic() - start < 30


def test_a_redirect_is_not_followed_and_names_where_it_leads():
    with (
        ScriptedJudge(lambda _: (307, {}, {"Location": "http://elsewhere.example/v1"})) as judge,
        pytest.raises(JudgeStopped, match=r"not followed: set base_url .*elsewhere\.example"),
    ):
        score(judge)


# Completions


def test_content_in_parts_is_joined():
    parts = [
        {"type": "thinking", "thinking": 'I say {"errors": [1]}'},
        {"type": "text", "text": '{"err'},
        {"type": "text", "text": 'ors": []}'},
    ]
    assert one(lambda _: completion(parts))[0].value == 1.0
    assert one(lambda _: completion(['{"errors"', ": []}"]))[0].value == 1.0


def test_blank_lines_before_the_json_are_skipped():
    assert one(lambda _: (200, b"\n\n  " + json.dumps(CLEAN).encode()))[0].value == 1.0


@pytest.mark.parametrize(
    "data", [{"choices": None}, {"choices": []}, {"choices": [{}]}, {"choices": [{"message": None}]}, []]
)
def test_a_response_without_a_choice_is_asked_for_again(data):
    result, judge = one(lambda request: data if request.number < 2 else CLEAN)
    assert result.value == 1.0
    assert len(judge.requests) == 3


@pytest.mark.parametrize("finish", ["abort", "error", "cancelled"])
def test_a_reply_that_the_server_ended_is_not_whole(finish):
    result, judge = one(lambda r: completion(errors(4), finish=finish) if r.number == 0 else CLEAN)
    assert result.value == 1.0
    assert len(judge.requests) == 2
    assert "not whole" in one(lambda _: completion(errors(4), finish=finish), deadline_s=0.3)[0].reasons


@pytest.mark.parametrize("finish", ["stop", "STOP", "eos_token", "end_turn", None, ""])
def test_a_reply_that_ended_by_itself_is_whole(finish):
    assert one(lambda _: completion(finish=finish))[0].value == 1.0


@pytest.mark.parametrize("finish", ["length", "max_tokens", "MAX_TOKENS"])
def test_a_reply_that_was_cut_off_says_what_to_raise(finish):
    assert "raise max_tokens" in one(lambda _: completion(finish=finish))[0].reasons


@pytest.mark.parametrize("text", ["I am sorry for your loss.", '{"errors": [{"type": "Z"}]}'])
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_a_judge_that_says_the_same_again_is_not_asked_a_third_time(text, finish):
    result, judge = one(lambda _: completion(text, finish=finish))
    assert result.value is None
    assert len(judge.requests) == 2
    _, judge = one(lambda request: completion(f"{text} {request.number}", finish=finish))
    assert len(judge.requests) == asking.ASKS
    result, judge = one(lambda request: completion(text) if request.number == 0 else CLEAN)
    assert (result.value, len(judge.requests)) == (1.0, 2)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("content", [None, "", []])
def test_a_verdict_in_the_reasoning_is_no_verdict_and_says_so(field, content):
    result, judge = one(lambda _: completion(content, **{field: errors(0)}))
    assert result.value is None
    assert "all of it came as reasoning" in result.reasons
    assert "extra_body" in result.reasons
    assert len(judge.requests) == asking.ASKS


# Errors


@pytest.mark.parametrize(
    ("error", "asked", "expected"),
    [
        ({"code": 503, "message": "no worker free"}, 2, 1.0),
        ({"code": "429", "message": "slow down"}, 2, 1.0),
        ({"type": "server_error", "message": "no worker free"}, 2, 1.0),
        ("upstream is down", 2, 1.0),
        ({"code": "context_length_exceeded", "message": "maximum context length is 4096"}, 1, "maximum context length"),
        ({"code": 400, "message": "This model's context window is 4096 tokens"}, 1, "context window"),
        ({"code": 400, "message": "blocked by the content filter"}, 1, "JudgeRefusal"),
    ],
)
def test_an_error_with_status_200_is_taken_as_its_own_status(error, asked, expected):
    result, judge = one(lambda r: {"error": error, "choices": []} if r.number == 0 else CLEAN)
    assert len(judge.requests) == asked
    if expected == 1.0:
        assert result.value == 1.0
    else:
        assert expected in result.reasons


def test_an_error_with_status_200_keeps_its_words():
    for error in ({"message": "GPU is on fire"}, "GPU is on fire"):
        assert "GPU is on fire" in one(lambda _, error=error: {"error": error}, deadline_s=0.3)[0].reasons


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "too warm"}},
        {"error": "too warm"},
        {"object": "error", "message": "too warm", "type": "X", "code": 500},
        {"detail": "too warm"},
        [{"error": {"code": 500, "message": "too warm", "status": "INTERNAL"}}],
        {"choices": [{"error": {"code": 502, "message": "too warm"}, "message": {"content": ""}}]},
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_the_words_of_every_form_of_error_are_kept(body, status):
    assert "too warm" in one(lambda _: (status, body), deadline_s=0.3)[0].reasons


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_context_that_is_too_long_is_asked_once(status):
    said = {"error": {"message": "This model's maximum context length is 4096 tokens."}}
    result, judge = one(lambda _: (status, said))
    assert "maximum context length" in result.reasons
    assert len(judge.requests) == 1


def test_a_schema_that_could_not_be_kept_to_is_asked_again():
    failed = {"error": {"message": "Failed to generate JSON", "code": "json_validate_failed"}}
    result, judge = one(lambda r: (400, failed) if r.number == 0 else CLEAN)
    assert result.value == 1.0
    assert ["response_format" in request.data for request in judge.requests] == [True, True]
    _, judge = one(lambda _: (400, failed))
    assert len(judge.requests) == asking.ASKS


@pytest.mark.parametrize("status", [400, 404, 415, 422, 500, 501])
@pytest.mark.parametrize("words", ["what is this?", 'Unknown name "additionalProperties" at response_schema'])
def test_a_schema_refused_in_any_words_is_left_out_from_then_on(status, words):
    def respond(request):
        return (status, {"error": {"message": words}}) if "response_format" in request.data else CLEAN

    with ScriptedJudge(respond) as judge:
        results = score(judge, 6, concurrency=1)
    assert [result.value for result in results] == [1.0] * 6
    assert sum("response_format" in request.data for request in judge.requests) == 1


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("response_format json_schema is not supported; use guided_json", "guided_json"),
        ("unknown field response_format: use the `format` parameter for a schema", "format"),
        ("response_format: set 'format' to the schema", "format"),
        ("invalid format of response_format", ""),
        ("response_format.type: Input should be 'text' or 'json_object'", "json_object"),
    ],
)
def test_a_schema_goes_into_the_field_that_a_refusal_names(words, field):
    def respond(request):
        refused = request.data.get("response_format", {}).get("type") == "json_schema"
        return (400, {"error": {"message": words}}) if refused else CLEAN

    with ScriptedJudge(respond) as judge:
        results = score(judge, 4, concurrency=1)
    assert [result.value for result in results] == [1.0] * 4
    first, *others = judge.requests
    assert "response_format" in first.data
    schema = first.data["response_format"]["json_schema"]["schema"]
    expected = {"response_format": {"type": "json_object", "schema": schema}} if field == "json_object" else {}
    expected = expected or ({field: schema} if field else {})
    for request in others:
        places = ("response_format", "guided_json", "format")
        assert {key: request.data[key] for key in places if key in request.data} == expected


def test_a_schema_beside_json_object_that_is_refused_in_its_turn_is_left_out():
    def respond(request):
        bound = request.data.get("response_format", {})
        if bound.get("type") == "json_schema":
            return 500, {"error": {"message": "response_format: Input should be 'text' or 'json_object'"}}
        return (400, {"error": {"message": "response_format.schema: unexpected; use json_object"}}) if bound else CLEAN

    with ScriptedJudge(respond) as judge:
        results = score(judge, 4, concurrency=1)
    assert [result.value for result in results] == [1.0] * 4
    assert len(judge.requests) == 6


def test_a_field_for_the_schema_that_is_refused_in_its_turn_is_left_out():
    def respond(request):
        fields = [key for key in ("response_format", "guided_json") if key in request.data]
        return (400, {"error": {"message": f"unexpected {fields[0]}; use guided_json"}}) if fields else CLEAN

    with ScriptedJudge(respond) as judge:
        results = score(judge, 4, concurrency=1)
    assert [result.value for result in results] == [1.0] * 4
    assert len(judge.requests) == 6


def test_a_schema_beside_json_object_can_be_set():
    with ScriptedJudge(lambda _: CLEAN) as judge:
        assert score(judge, 1, structured="json_object_schema")[0].value == 1.0
    assert judge.requests[0].data["response_format"]["type"] == "json_object"
    assert judge.requests[0].data["response_format"]["schema"]["type"] == "object"


@pytest.mark.parametrize("field", ["guided_json", "format"])
def test_the_field_for_the_schema_can_be_set(field):
    with ScriptedJudge(lambda _: CLEAN) as judge:
        assert score(judge, 1, structured=field)[0].value == 1.0
    assert judge.requests[0].data[field]["type"] == "object"
    assert "response_format" not in judge.requests[0].data


def test_a_schema_dropped_for_one_passing_500_comes_back():
    with ScriptedJudge(lambda r: (500, {"error": "a hiccup"}) if r.number == 0 else CLEAN) as judge:
        results = score(judge, 40, concurrency=1)
    assert all(result.value == 1.0 for result in results)
    assert "response_format" not in judge.requests[2].data
    assert "response_format" in judge.requests[-1].data


def test_an_address_that_took_a_schema_keeps_it():
    with ScriptedJudge(lambda r: (400, {"error": "no"}) if r.number == 3 else CLEAN) as judge:
        results = score(judge, 8, concurrency=1)
    assert [result.value for result in results].count(None) == 1
    assert all("response_format" in request.data for request in judge.requests)


@pytest.mark.parametrize(
    ("name", "settings", "cure"),
    [
        ("temperature", {"temperature": 0.0}, "set temperature = -1"),
        ("top_p", {"top_p": 0.5}, "set top_p = 1"),
        ("seed", {"seed": 3}, "set seed = -1"),
        ("reasoning_effort", {"extra_body": '{"reasoning_effort": "low"}'}, "extra_body"),
    ],
)
@pytest.mark.parametrize(
    "said",
    [
        {"error": {"message": "Unsupported value: '{}' does not support 0 with this model.", "param": "{}"}},
        {"error": {"message": "`{}` is deprecated for this model."}},
        {"detail": [{"loc": ["body", "{}"], "msg": "Extra inputs are not permitted"}]},
    ],
)
def test_a_setting_that_is_refused_ends_the_run_and_is_named(name, settings, cure, said):
    said = json.loads(json.dumps(said).replace("{}", name))

    def respond(request):
        return (400, said) if name in request.data else CLEAN

    with ScriptedJudge(respond) as judge, pytest.raises(JudgeStopped, match=f"does not take {name} = .*{cure}"):
        score(judge, 30, **settings)
    assert len(judge.requests) <= 8


def test_one_403_costs_its_case_only():
    for number in (0, 5):
        with ScriptedJudge(
            lambda r, n=number: (403, {"error": "not this text"}) if number_in(r) == n else CLEAN
        ) as judge:
            results = score(judge, 12, concurrency=1)
        assert [i for i, result in enumerate(results) if result.value is None] == [number]
        assert "JudgeRefusal" in results[number].reasons


def test_nothing_but_403_ends_the_run():
    with (
        ScriptedJudge(lambda _: (403, {"error": "no access"})) as judge,
        pytest.raises(JudgeStopped, match="no access"),
    ):
        score(judge, 50, concurrency=1)
    assert len(judge.requests) < 8


@pytest.mark.parametrize("status", [404, 405, 302, 503])
def test_a_gateway_that_restarts_is_waited_for(status):
    with ScriptedJudge(lambda r: (status, {"error": "starting"}) if 4 <= r.number < 7 else CLEAN) as judge:
        results = score(judge, 12, concurrency=1)
    assert [result.value for result in results] == [1.0] * 12


def test_a_url_without_v1_is_reported_with_it():
    def respond(request):
        return CLEAN if request.path.startswith("/v1/") else (404, {"detail": "Not Found"})

    with ScriptedJudge(respond) as judge, pytest.raises(JudgeStopped, match=re.escape(judge.url)):
        score(judge, base_url=judge.url.removesuffix("/v1"))


def test_the_last_words_of_the_server_are_kept_when_the_deadline_passes():
    def respond(request):
        if request.number < 2:
            return (503, {"error": {"message": "warming up, 40 percent"}})
        time.sleep(2)
        return CLEAN

    result, _ = one(respond, deadline_s=0.5, timeout_s=30.0)
    assert "warming up, 40 percent" in result.reasons
    assert "deadline_s = 0.5" in result.reasons


@pytest.mark.parametrize("later", ["1e999", "99999999999", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_an_absurd_wait_leaves_the_case_unscored_at_once(later):
    start = time.monotonic()
    result, _ = one(lambda _: (429, {"error": "later"}, {"Retry-After": later}), deadline_s=2.0)
    assert result.value is None
    assert time.monotonic() - start < 60


# Usage


@pytest.mark.parametrize("tokens", [10**9, 10**400, -5, 1e300, "many", True, None, float("inf"), 0.5])
def test_usage_is_never_believed_beyond_reason(tokens):
    text = json.dumps(completion(usage={"prompt_tokens": tokens, "completion_tokens": tokens}))
    text = text.replace("Infinity", "1e999")
    with ScriptedJudge(lambda _: (200, text.encode())) as judge:
        start = time.monotonic()
        results = score(judge, 4, tokens_per_minute=10_000_000, concurrency=1)
        took_s = time.monotonic() - start
    assert [result.value for result in results] == [1.0] * 4
    assert took_s < 15
    (tally,) = tallies().values()
    assert 0 <= tally.prompt_tokens <= 4 * 20_000
    assert 0 <= tally.completion_tokens <= 4 * (2048 + 1000)


def test_negative_usage_does_not_lengthen_a_budget():
    usage = {"prompt_tokens": -1000, "completion_tokens": -1000}
    with ScriptedJudge(lambda _: completion(usage=usage)) as judge, pytest.raises(BudgetExceeded):
        score(judge, 50, budget_tokens=3000, concurrency=1)
    assert len(judge.requests) < 10


# Keys


@pytest.mark.parametrize("key", ["sk-1\nX-Evil: 1", "sk 1", "sk-\x00", "schlüssel", "sk-1\r", "‘sk-1’"])
@pytest.mark.parametrize("source", ["CXR_REWARDS_JUDGE_KEY", "MY_KEY", "file"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key, source, monkeypatch, tmp_path):
    settings = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}
    if source == "file":
        (tmp_path / "key").write_text(f"{key}x", encoding="utf-8")
        settings["api_key_file"] = str(tmp_path / "key")
    elif "\x00" in key:
        pytest.skip("no variable can hold it")
    else:
        monkeypatch.setenv(source, f"{key}x")
        settings |= {} if source.startswith("CXR") else {"api_key_env": source}
    with pytest.raises(ConfigError, match="printable ASCII") as caught:
        Chexprompt(**settings).score("x", REFERENCE)
    assert "sk" not in str(caught.value).replace(str(tmp_path), "")


@pytest.mark.parametrize("form", ["plain", "header", "json", "url", "base64"])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_an_endpoint_that_echoes_the_key_leaks_it_nowhere(form, status, monkeypatch, tmp_path):
    import base64
    from urllib.parse import quote

    monkeypatch.setenv("MY_KEY", SECRET)
    shown = {
        "plain": SECRET, "header": f"Authorization: Bearer {SECRET}", "json": SECRET.replace("/", "\\/"),
        "url": quote(SECRET, safe=""), "base64": base64.b64encode(SECRET.encode()).decode(),
    }[form]  # fmt: skip
    verdict = json.dumps({"errors": [{"type": "A", "significant": True, "what": f"echo {shown}"}]})
    padding = "y" * 190  # the key lies where the words are cut

    def respond(_):
        return completion(verdict) if status == 200 else (status, {"error": {"message": f"{padding} {shown}"}})

    with ScriptedJudge(respond) as judge:
        component = Chexprompt(model="m", base_url=judge.url, api_key_env="MY_KEY", deadline_s=0.3)
        reward = CompositeReward([component], cache=tmp_path / "cache.sqlite")
        try:
            result = reward.score("Small left effusion.", REFERENCE)
            printed = (
                repr(result) + result.reasons + json.dumps({k: v.details for k, v in result.parts.items()}, default=str)
            )
        except JudgeStopped as stopped:
            printed = repr(stopped)
        reward.cache.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("cache*")) + pickle.dumps(reward)
    for part in (SECRET, SECRET[:10], shown.removeprefix("Authorization: ")[:14]):
        assert part not in printed
        assert part.encode() not in stored


def test_azure_gets_its_header_and_version(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", SECRET)
    with ScriptedJudge(lambda _: CLEAN) as judge:
        base = judge.url.replace("/v1", "/openai/deployments/gpt")
        assert score(judge, base_url=base, api_version="2024-10-21")[0].value == 1.0
    (request,) = judge.requests
    assert request.headers["api-key"] == SECRET
    assert request.path == "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    with ScriptedJudge(lambda _: CLEAN) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        assert score(proxy, base_url="http://judge.invalid/v1")[0].value == 1.0
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        close_judges()
        assert score(proxy)[0].value == 1.0
    paths = [request.path for request in proxy.requests]
    assert paths == ["http://judge.invalid/v1/chat/completions", "/v1/chat/completions"]


def test_a_proxy_that_is_not_an_address_is_reported(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy:port")
    with pytest.raises(ConfigError, match="HTTP_PROXY"):
        Chexprompt(model="m", base_url="http://judge.invalid/v1").score("x", REFERENCE)
