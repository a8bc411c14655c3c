"""The client through real sockets: each fault, limits, keys, loops, forks."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from cxr_rewards import Case, CompositeReward
from cxr_rewards.core.usage import LEDGER
from cxr_rewards.errors import BudgetExceeded, ConfigError, JudgeStopped
from cxr_rewards.judges import asking, limits
from cxr_rewards.judges.client import client_for, close_judges, tallies
from cxr_rewards.judges.protocols.chexprompt import Chexprompt
from cxr_rewards.judges.protocols.crimson import Crimson
from cxr_rewards.testing.fake_judge import FAULTS, FakeJudge

REFERENCE = "Small left pleural effusion. Heart size is normal."


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No client of another test, no key of this machine, quick retries."""
    for variable in list(os.environ):
        if "API_KEY" in variable or variable.startswith("CXR_REWARDS_JUDGE") or variable.lower().endswith("_proxy"):
            monkeypatch.delenv(variable)
    pause = asking._pause
    monkeypatch.setattr(asking, "_pause", lambda state: min(pause(state), 0.3))
    LEDGER.clear()
    yield
    close_judges()


def cases(count):
    return [Case(candidate=f"Small left effusion. Note {i}.", reference=REFERENCE) for i in range(count)]


def run(judge, count=1, **settings):
    given = {"model": "m", "base_url": judge.url, "timeout_s": 5.0, **settings}
    return CompositeReward([Chexprompt(**given)]).score_batch(cases(count))


def raw_server(answers):
    """A server that reads a request, sends raw bytes, and closes; one connection an answer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
        listener.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/v1", thread


def status(code, body, headers=""):
    text = body.encode()
    return f"HTTP/1.1 {code} X\r\nContent-Length: {len(text)}\r\n{headers}Connection: close\r\n\r\n".encode() + text


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("refusal", "slow", "hang")])
def test_a_fault_that_passes_is_overcome(fault):
    with FakeJudge(faults={fault: 0.1 if fault == "503_burst" else 0.5}, seed=3) as judge:
        rewards = run(judge, 24)
        assert judge.faulted[fault] >= 5
        assert judge.requests == sum(judge.faulted.values()) + judge.answered
    (tally,) = tallies().values()
    scored = [reward for reward in rewards if reward.value is not None]
    assert all(reward.value == 1.0 for reward in scored)
    # A verdict is asked for three times, or twice if the judge says the same again; all else until the deadline.
    says_the_same = fault in ("bad_json", "not_json", "wrong_language", "wrong_count", "duplicated_key", "truncated")
    assert len(scored) >= (12 if says_the_same else 20)
    assert all("chexprompt_reply: VerdictParseError" in r.reasons for r in rewards if r.value is None)
    assert tally.calls == judge.requests
    assert tally.retries.total() == judge.requests - 24
    assert tally.replies == len(scored)


def test_a_hanging_request_is_given_up_and_sent_again():
    with FakeJudge(faults={"hang": 0.5}, seed=1) as judge:
        rewards = run(judge, 6, timeout_s=0.4)
        assert [reward.value for reward in rewards] == [1.0] * 6
        assert judge.faulted["hang"] >= 2


def test_a_refusal_is_not_asked_again_and_not_kept():
    with FakeJudge(faults={"refusal": 1.0}) as judge:
        reward = CompositeReward([Chexprompt(model="m", base_url=judge.url)])
        for expected in (1, 2):
            result = reward.score("Small left effusion.", REFERENCE)
            assert result.reasons == "chexprompt_reply: JudgeRefusal: the model refused: I cannot help with that."
            assert result.kinds == ("refusal",)
            assert judge.requests == expected


def test_what_never_passes_ends_at_the_deadline_with_the_last_error():
    with FakeJudge(faults={"500": 1.0}) as judge:
        start = time.monotonic()
        (result,) = run(judge, deadline_s=1.0)
        assert time.monotonic() - start < 20
    assert result.value is None
    assert "JudgeTransportError" in result.reasons
    assert "HTTP 500: made to fail: 500" in result.reasons
    assert result.kinds == ("transport",)


def test_a_judge_that_never_answers_is_a_timeout():
    with FakeJudge(faults={"hang": 1.0}) as judge:
        (result,) = run(judge, timeout_s=0.2, deadline_s=0.5)
    assert result.value is None
    assert "JudgeTimeout: " in result.reasons
    assert result.kinds == ("timeout",)


def test_a_reply_that_is_not_a_verdict_is_unparsable():
    reply = '{"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}]}'
    url, thread = raw_server([status(200, reply)] * 3)
    score = Chexprompt(model="m", base_url=url).score("Clear.", REFERENCE)
    thread.join(5)
    assert score.failure.error.startswith("VerdictParseError: ")
    assert score.failure.kind == "unparsable"


def test_an_unexpected_error_of_a_question_is_logged_with_its_traceback(monkeypatch, caplog):
    async def broken(*_):
        raise KeyError("torn")

    monkeypatch.setattr(asking.JudgeClient, "_once", broken)
    with FakeJudge() as judge, caplog.at_level("DEBUG", logger="cxr_rewards"):
        (result,) = run(judge)
    assert result.reasons == "chexprompt_reply: KeyError: 'torn'"
    assert result.kinds == ("error",)
    assert "chexprompt_reply failed: error\nTraceback" in caplog.text


def test_a_wait_that_the_server_asks_for_is_kept():
    with FakeJudge(faults={"429_later": 0.5}, seed=0) as judge:
        start = time.monotonic()
        rewards = run(judge, 4, concurrency=1)
        assert [reward.value for reward in rewards] == [1.0] * 4
        assert time.monotonic() - start >= 0.2 * judge.faulted["429_later"] > 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Retry-After: 7", 7),
        ("retry-after-ms: 250", 0.25),
        ("Retry-After: soon", 0),
        ("Retry-After: -1", 0),
        ("X: y", 0),
    ],
)
def test_retry_after_is_read_in_every_form(header, seconds):
    from cxr_rewards.judges.refusals import retry_after

    name, _, value = header.partition(": ")
    assert retry_after({name.lower(): value}) == pytest.approx(seconds)


def test_retry_after_may_be_a_date():
    from datetime import UTC, datetime, timedelta
    from email.utils import format_datetime

    from cxr_rewards.judges.refusals import retry_after

    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < retry_after({"retry-after": later}) <= 30


@pytest.mark.parametrize(
    ("code", "body", "message"),
    [
        (401, '{"error": {"message": "bad key sk-secret"}}', "HTTP 401: bad key .*Give a valid key"),
        (404, '{"error": {"message": "no model m"}}', "HTTP 404: no model m. Check base_url and model"),
        (
            429,
            '{"error": {"message": "pay", "code": "insufficient_quota"}}',
            "HTTP 429: pay. The account has no credit",
        ),
        (302, "", "HTTP 302"),
    ],
)
def test_what_no_retry_can_mend_stops_at_once(code, body, message):
    url, thread = raw_server([status(code, body)])
    with pytest.raises(JudgeStopped, match=message):
        Chexprompt(model="m", base_url=url).score("Clear.", REFERENCE)
    thread.join(5)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (
            '{"error": {"message": "maximum context length is 4096", "code": "context_length_exceeded"}}',
            "JudgeTransportError",
        ),
        ('{"error": {"message": "filtered", "code": "content_filter"}}', "JudgeRefusal"),
        ('{"error": "plain"}', "JudgeTransportError: .*HTTP 400: plain"),
        ("no json", "JudgeTransportError: .*HTTP 400: no json"),
    ],
)
def test_a_request_that_is_refused_costs_its_case_only(body, kind):
    import re

    url, thread = raw_server([status(400, body)])
    score = Chexprompt(model="m", base_url=url).score("Clear.", REFERENCE)
    thread.join(5)
    assert re.search(kind, score.failure.error)


def test_an_endpoint_without_structured_output_is_asked_without():
    with FakeJudge(has_schema=False) as judge:
        assert [reward.value for reward in run(judge, 3, concurrency=1)] == [1.0] * 3
        assert judge.requests == 4  # found out once
    with FakeJudge(has_schema=False, latency_s=0.1) as judge:
        assert [reward.value for reward in run(judge, 40, concurrency=40)] == [1.0] * 40
        assert run(judge, structured="json_object")[0].value is None  # asked for, so not left out


def test_an_endpoint_with_another_name_for_the_limit_gets_it():
    answer = '{"choices": [{"message": {"content": "{\\"errors\\": []}"}, "finish_reason": "stop"}]}'
    refusal = '{"error": {"message": "Unsupported parameter: max_tokens. Use max_completion_tokens instead."}}'
    url, thread = raw_server([status(400, refusal), status(200, answer)])
    assert Chexprompt(model="m", base_url=url).score("Clear.", REFERENCE).value == 1.0
    thread.join(5)


def test_a_server_that_does_not_speak_http_is_reported():
    url, _ = raw_server([b"what do you want\r\n\r\n"] * 20)
    score = Chexprompt(model="m", base_url=url, deadline_s=1.0).score("Clear.", REFERENCE)
    assert "the connection broke" in score.failure.error


def test_a_closed_port_is_reported_soon(monkeypatch):
    monkeypatch.setattr(asking, "_FIRST_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start = time.monotonic()
    component = Chexprompt(model="m", base_url=f"http://127.0.0.1:{port}/v1")
    rewards = CompositeReward([component]).score_batch(cases(40))
    assert all("Connect call failed" in reward.reasons for reward in rewards)
    assert time.monotonic() - start < 25


def test_two_addresses_share_the_work_and_one_may_be_down():
    with FakeJudge(latency_s=0.02) as one, FakeJudge(latency_s=0.02) as two:
        urls = f"{one.url}, {two.url}"
        assert all(r.value == 1.0 for r in run(one, 60, base_url=urls, concurrency=8))
        assert min(one.requests, two.requests) >= 20
    with FakeJudge() as up, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        rewards = run(up, 60, base_url=f"http://127.0.0.1:{port}/v1,{up.url}", concurrency=8)
        assert all(reward.value == 1.0 for reward in rewards)


def test_a_breaker_opens_tries_and_closes(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(limits, "monotonic", lambda: now[0])
    breaker = limits.Breaker()
    for _ in range(limits.Breaker.FAILURES):
        assert breaker.may_send()
        breaker.failed("x")
    assert breaker.is_open
    assert not breaker.may_send()
    now[0] += 0.6
    assert breaker.may_send()  # the trial
    assert not breaker.may_send()
    now[0] += 0.6
    assert not breaker.may_send()  # the pause has grown
    now[0] += 0.6
    assert breaker.may_send()
    assert not breaker.may_send()
    breaker.succeeded()
    assert breaker.may_send()
    assert not breaker.is_open


def test_never_more_at_once_than_allowed():
    with FakeJudge(latency_s=0.02) as judge:
        run(judge, 60, concurrency=5)
        assert judge.most_at_once == 5


def test_requests_a_minute_are_kept():
    with FakeJudge() as judge:
        start = time.monotonic()
        run(judge, 13, requests_per_minute=1200)  # one each 50 ms
        assert time.monotonic() - start >= 0.55


def test_tokens_a_minute_are_kept():
    with FakeJudge() as judge:
        start = time.monotonic()
        run(judge, 6, tokens_per_minute=200_000)
        assert time.monotonic() - start >= 0.8  # of about 900 tokens each


@pytest.mark.parametrize("budget", [{"budget_calls": 10}, {"budget_tokens": 5000}, {"budget_usd": 0.001}])
def test_a_budget_stops_the_run_and_what_was_paid_is_kept(budget, tmp_path):
    prices = {"usd_per_million_input": 0.15, "usd_per_million_output": 0.6}
    with FakeJudge() as judge:
        settings = {"model": "m", "base_url": judge.url, "concurrency": 2, **prices}
        reward = CompositeReward([Chexprompt(**settings, **budget)], cache=tmp_path / "c.sqlite")
        with pytest.raises(
            BudgetExceeded, match=f"{next(iter(budget))} = .* is spent .*what was answered is in the cache"
        ):
            reward.score_batch(cases(50))
        paid = judge.requests
        assert 1 < paid < 20
        if "budget_calls" in budget:
            assert paid == 10
        (tally,) = tallies().values()
        expected = tally.prompt_tokens * 0.15e-6 + tally.completion_tokens * 0.6e-6
        assert tally.usd == pytest.approx(expected) != 0
        again = CompositeReward([Chexprompt(**settings)], cache=tmp_path / "c.sqlite")
        assert all(r.value == 1.0 for r in again.score_batch(cases(50)))
        assert judge.requests == 50


def test_a_run_may_stop_after_failures_in_a_row():
    with FakeJudge(faults={"refusal": 1.0}) as judge, pytest.raises(JudgeStopped, match="3 cases in a row without"):
        run(judge, 50, stop_after=3, concurrency=1)


@pytest.mark.parametrize("policy", ["unscored", "renormalize"])
def test_what_a_judge_that_is_down_means_is_the_users_choice(policy):
    with FakeJudge(faults={"refusal": 1.0}) as judge:
        reward = CompositeReward(
            {"chexprompt": Chexprompt(model="m", base_url=judge.url), "bleu": "bleu"}, on_failure=policy
        )
        result = reward.score(REFERENCE, REFERENCE)
    assert result.value == (None if policy == "unscored" else 1.0)
    assert "JudgeRefusal" in result.reasons


def test_equal_questions_under_way_are_sent_once():
    with FakeJudge(latency_s=0.3) as judge:
        component = Chexprompt(model="m", base_url=judge.url)
        with ThreadPoolExecutor(8) as pool:
            scores = list(pool.map(lambda _: component.score("Small left effusion.", REFERENCE), range(8)))
        assert {score.value for score in scores} == {1.0}
        assert judge.requests == 1


def test_cases_that_differ_in_what_no_judge_sees_are_one_question():
    with FakeJudge() as judge:
        settings = {"model": "m", "base_url": judge.url}
        for component, asked in ((Chexprompt(**settings), 1), (Crimson(**settings), 1 + 3)):
            reward = CompositeReward([component])
            for age, site in ((60, "a"), (60, "b"), (61, "a"), (62, "a")):
                context = {"age": str(age), "site": site}
                assert reward.score("x", REFERENCE, context=context).value is not None
            assert judge.requests == asked  # CheXprompt is shown nothing of the patient


def test_votes_are_asked_and_kept_one_by_one(tmp_path):
    with FakeJudge() as judge:
        settings = {"model": "m", "base_url": judge.url, "temperature": 0.7}

        def score(**more):
            reward = CompositeReward([Chexprompt(**settings, **more)], cache=tmp_path / "c.sqlite")
            return reward.score("Small left effusion.", REFERENCE).parts["chexprompt"]

        assert score().value == 1.0
        assert judge.requests == 1
        three = score(votes=3, vote="mean")
        assert judge.requests == 3  # the first is not paid again
        assert three.value == 1.0
        assert [vote["value"] for vote in three.details["votes"]] == [1.0] * 3


def test_one_failed_vote_leaves_the_case_unscored():
    replies = iter(['{"errors": []}'] + ["no verdict"] * 9)
    with FakeJudge(answer=lambda messages: next(replies)) as judge:
        score = Chexprompt(model="m", base_url=judge.url, temperature=1.0, votes=2, concurrency=1).score("x", REFERENCE)
    assert score.value is None
    assert "VerdictParseError" in score.failure.error


def test_works_inside_a_running_event_loop():
    async def main():
        with FakeJudge() as judge:
            component = Chexprompt(model="m", base_url=judge.url)
            direct = component.score("Small left effusion.", REFERENCE).value
            in_thread = await asyncio.to_thread(component.score, "Left effusion.", REFERENCE)
            return direct, in_thread.value

    assert asyncio.run(main())[0] == 1.0


def _score_in_child(judge_settings):
    return CompositeReward([Chexprompt(**judge_settings)]).score("Small left effusion.", REFERENCE).value


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_works_in_workers(method):
    import multiprocessing

    with FakeJudge() as judge:
        settings = {"model": "m", "base_url": judge.url}
        assert _score_in_child(settings) == 1.0  # the parent has a loop and open connections
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(_score_in_child, [settings] * 2) == [1.0, 1.0]
        assert _score_in_child({**settings, "temperature": 0.5}) == 1.0  # and they still work


def test_closing_leaves_nothing_open_and_the_next_question_opens_again():
    with FakeJudge() as judge, warnings.catch_warnings():
        warnings.simplefilter("error")
        before = threading.active_count()
        reward = CompositeReward([Chexprompt(model="m", base_url=judge.url)])
        reward.score_batch(cases(10))
        reward.release()
        assert threading.active_count() == before
        for _ in range(50):
            if not judge._writers:
                break
            time.sleep(0.02)
        assert not judge._writers
        reward.score_batch(cases(11))
        close_judges()
        close_judges()


def test_closed_while_asking_the_cases_get_an_error_and_nothing_hangs():
    with FakeJudge(latency_s=30) as judge:
        threading.Timer(0.5, close_judges).start()
        with pytest.raises(JudgeStopped, match="closed meanwhile"):
            run(judge, timeout_s=60.0)


def test_a_program_ends_without_a_word():
    code = (
        "from cxr_rewards.testing.fake_judge import FakeJudge\n"
        "from cxr_rewards.judges.protocols.chexprompt import Chexprompt\n"
        "judge = FakeJudge()\n"
        "print(Chexprompt(model='m', base_url=judge.url).score('Clear.', 'Clear lungs.').value)\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout == "1.0\n"
    printed = [line for line in done.stderr.splitlines() if "Executing <" not in line]  # of a slow machine, in dev mode
    assert printed == []


SECRET = "sk-very-secret-0123456789"


def test_the_key_is_sent_and_shows_nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("MY_KEY", SECRET)
    with FakeJudge(api_key=SECRET) as judge:
        component = Chexprompt(model="m", base_url=judge.url, api_key_env="MY_KEY")
        reward = CompositeReward([component], cache=tmp_path / "cache.sqlite")
        result = reward.score("Small left effusion.", REFERENCE)
        assert result.value == 1.0
        reward.cache.close()
        shown = repr(component) + repr(reward) + reward.signature + repr(client_for(component)) + repr(result)
        assert SECRET not in shown
        assert SECRET.encode() not in pickle.dumps(reward) + (tmp_path / "cache.sqlite").read_bytes()
    url, thread = raw_server([status(401, f'{{"error": {{"message": "wrong key {SECRET}"}}}}')])
    with pytest.raises(JudgeStopped) as caught:
        Chexprompt(model="m", base_url=url, api_key_env="MY_KEY").score("x", REFERENCE)
    thread.join(5)
    assert SECRET not in str(caught.value)
    assert "***" in str(caught.value)


def test_the_key_may_lie_in_a_file(tmp_path):
    (tmp_path / "key").write_text(f"{SECRET}\n")
    with FakeJudge(api_key=SECRET) as judge:
        component = Chexprompt(model="m", base_url=judge.url, api_key_file=str(tmp_path / "key"))
        assert component.score("Small left effusion.", REFERENCE).value == 1.0
        with pytest.raises(JudgeStopped, match="HTTP 401"):
            Chexprompt(model="m", base_url=judge.url).score("x", REFERENCE)


def test_openais_key_goes_to_openai_alone(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    ours = Chexprompt(model="m", base_url="https://api.openai.com/v1")
    other = Chexprompt(model="m", base_url="https://api.openai.com.example.org/v1")
    assert client_for(ours)._key == SECRET
    assert client_for(other)._key == ""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "chexprompt_reply: no model of a judge; give it in .judge. .* or in CXR_REWARDS_JUDGE_MODEL"),
        ({"model": "m"}, "no base_url of a judge"),
        ({"model": "m", "base_url": "http://h/v1", "api_key_env": "NOT_SET"}, "NOT_SET: holds no key"),
        (
            {"model": "m", "base_url": "http://h/v1", "api_key_file": "/nowhere"},
            "api_key_file /nowhere: cannot be read",
        ),
    ],
)
def test_a_missing_setting_is_reported_at_the_first_question(settings, message):
    with pytest.raises(ConfigError, match=message):
        Chexprompt(**settings).score("x", REFERENCE)
