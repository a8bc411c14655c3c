"""The server against hostile and broken clients: its memory, its places and its words stay bounded."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from tests.serving import served, serving, wait_until

from cxr_rewards import CompositeReward
from cxr_rewards.server.protocol import MOST_BYTES, Protocol

ONE = {"cases": [{"candidate": "Left effusion.", "reference": "Small left effusion."}]}
JSON = {"Content-Type": "application/json"}
MB = 1 << 20
CASE = b'{"candidate":"Small left effusion.","reference":"Small left pleural effusion."},'
BROKEN = {
    "open": b"{" * (8 * MB),
    "cut": (b'{"cases":[' + CASE * (8 * MB // len(CASE)))[: 8 * MB],
    "unterminated": b'{"cases":[{"candidate":"' + b"x" * (8 * MB - 30),
    "empty lists": b'{"cases":[' + b"[]," * (8 * MB // 3 - 10),
    "wrong shape": b'{"cases":[' + b",".join([b'{"candidate":"x"}'] * 400_000) + b"]}",
    "wide letters": b'{"cases":[{"candidate":"\xf0\x9f\x98\x80' + b"x" * (8 * MB - 40),
    "quotes": b'{"cases":["' + b'\\"' * (4 * MB - 10),
}


def memory_mb(pid, what="VmRSS"):
    return int(Path(f"/proc/{pid}/status").read_text().split(f"{what}:")[1].split()[0]) / 1024


def post(port, body, headers=JSON):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/v1/score", body, headers)
        reply = connection.getresponse()
        reply.read()
        return reply.status
    finally:
        connection.close()


def port_of(url):
    return int(url.rpartition(":")[2])


def begun(url, size, part):
    """Return a connection that has announced a body of `size` bytes and sent a part of it."""
    one = socket.create_connection(("127.0.0.1", port_of(url)))
    one.sendall(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
    one.sendall(b"Content-Length: %d\r\n\r\n" % size + part)
    return one


def reply_on(connection):
    with connection:
        connection.settimeout(30)
        return connection.recv(1000)


@pytest.mark.slow
def test_broken_bodies_leave_no_memory_behind():
    with serving() as (url, process):
        before = memory_mb(process.pid)
        for body in BROKEN.values():
            connection = http.client.HTTPConnection("127.0.0.1", port_of(url), timeout=60)
            for _ in range(3):
                connection.request("POST", "/v1/score", body, JSON)
                reply = connection.getresponse()
                reply.read()
                assert reply.status in (413, 422)
            connection.close()
        assert memory_mb(process.pid) < before + 60
        assert memory_mb(process.pid, "VmHWM") < 200
        assert httpx2.post(f"{url}/v1/score", json=ONE).status_code == 200


@pytest.mark.slow
def test_many_large_bodies_at_once_are_bounded():
    body = b'{"cases":[{"candidate":"' + b"x" * (30 * MB) + b'","reference":"y"}]}'
    with serving() as (url, process):
        with ThreadPoolExecutor(20) as pool:
            codes = list(pool.map(lambda _: post(port_of(url), body), range(20)))
        assert set(codes) <= {200, 429}
        assert 200 in codes
        assert memory_mb(process.pid, "VmHWM") < 600


def test_a_body_counts_as_soon_as_it_is_announced():
    with served(CompositeReward(["bleu"]), most_bytes=MB, all_bytes=4 * MB, stall_s=20) as url:
        replies = []

        def is_answered(status):
            replies.append(httpx2.post(f"{url}/v1/score", content=b" " * (MB - 10), headers=JSON))
            return replies[-1].status_code == status

        waiting = [begun(url, MB, b"{") for _ in range(3)]
        wait_until(lambda: is_answered(429), 10)
        assert replies[-1].headers["Retry-After"] == "1"
        for one in waiting:
            one.close()
        wait_until(lambda: is_answered(422), 10)  # the room of those who have gone is free


def test_bodies_without_a_length_count_as_they_come():
    with served(CompositeReward(["bleu"]), most_bytes=4 * MB, all_bytes=4 * MB, stall_s=20) as url:
        waiting = begun(url, 3 * MB, b"{")
        chunks = iter([b" " * 100_000] * 30)
        assert httpx2.post(f"{url}/v1/score", content=chunks, headers=JSON).status_code == 429
        waiting.close()


def test_stalled_bodies_do_not_shut_others_out():
    with served(CompositeReward(["bleu"]), most_bytes=MB, all_bytes=8 * MB, stall_s=5) as url:
        stalled = [begun(url, MB, b"{" * (MB - 1)) for _ in range(9)]
        begin = time.monotonic()
        for _ in range(5):  # small ones at once
            assert httpx2.post(f"{url}/v1/score", json=ONE).status_code == 200
        codes = []
        while time.monotonic() < begin + 4.5 and 422 not in codes:  # large ones as soon as the others have stalled
            codes.append(httpx2.post(f"{url}/v1/score", content=b"x" * (MB - 1), headers=JSON).status_code)
            time.sleep(0.2)
        assert codes[-1] == 422
        assert set(codes) <= {422, 429}
        replies = [reply_on(one) for one in stalled]
        assert time.monotonic() - begin < 30
        assert all(b" 408 " in one.split(b"\r\n")[0] or b" 429 " in one.split(b"\r\n")[0] for one in replies)
        assert b"came too slowly" in b"".join(replies)


def test_a_body_that_trickles_is_given_up():
    with served(CompositeReward(["bleu"]), stall_s=1.0) as url:
        one = begun(url, MB, b"{")
        one.settimeout(0.2)
        begin, reply = time.monotonic(), b""
        while time.monotonic() < begin + 30 and not reply:
            try:
                one.sendall(b" ")
                reply = one.recv(1000)
            except TimeoutError:
                continue
        one.close()
        assert b" 408 " in reply


def test_headers_must_come_in_time_and_are_bounded(monkeypatch):
    monkeypatch.setattr(Protocol, "head_s", 1.0)
    with served(CompositeReward(["bleu"])) as url:
        late = socket.create_connection(("127.0.0.1", port_of(url)))
        late.sendall(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert b" 408 " in reply_on(late)
        silent = socket.create_connection(("127.0.0.1", port_of(url)))
        assert b" 408 " in reply_on(silent)
        kept = http.client.HTTPConnection("127.0.0.1", port_of(url), timeout=10)
        for pause in (0.0, 1.3):  # an idle connection that is kept alive is not late
            time.sleep(pause)
            kept.request("GET", "/healthz")
            assert kept.getresponse().read() == b'{"status":"ok"}'
        kept.close()
    monkeypatch.setattr(Protocol, "head_s", 20.0)
    with served(CompositeReward(["bleu"])) as url:
        for begin in (b"GET /healthz HTTP/1.1\r\nX-Long: ", b"GET /healthz?"):
            with socket.create_connection(("127.0.0.1", port_of(url))) as endless:
                endless.sendall(begin + b"x" * (2 * MOST_BYTES))
                assert b" 431 " in endless.recv(1000)
        assert httpx2.get(f"{url}/healthz?{'x' * 10_000}").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b'{"cases": [' + b"[" * 100_000, 400, "too deep"),
        (b'{"cases": [' + b'{"a":' * 100_000, 400, "too deep"),
        (b'{"cases": [], "timeout_s": ' + b"9" * 5000 + b"}", 422, "too many digits"),
        (b'{"cases": [], "timeout_s": 1e999}', 422, "finite"),
        (b'{"cases": [' + b"0," * 300_000 + b"0]}", 413, "262,144 texts, numbers and lists"),
        (b'{"cases": [' + b'"",' * 4096 + b'""]}', 413, "4,096 cases"),
        (b'{"cases": "' + b"[" * 300_000 + b'"}', 422, "body.cases: Input should be a valid list"),
        (b"[]", 422, "body: Input should be a valid dictionary"),
    ],
    ids=["deep lists", "deep objects", "digits", "infinite", "values", "cases", "brackets in a text", "list"],
)
def test_hostile_json_is_refused_with_the_reason(body, status, detail, url):
    reply = httpx2.post(f"{url}/v1/score", content=body, headers=JSON)
    assert (reply.status_code, detail in reply.json()["detail"]) == (status, True), reply.text


@pytest.fixture(scope="module")
def url():
    with served(CompositeReward(["bleu"]), unscored=-5.0) as address:
        yield address


def test_bodies_in_another_form_are_refused_with_the_reason(url):
    for headers, detail in (({"Content-Encoding": "gzip"}, "without Content-Encoding"), ({}, "application/json")):
        reply = httpx2.post(f"{url}/v1/score", content=b"{}", headers={"Content-Type": "text/plain", **headers})
        assert (reply.status_code, detail in reply.json()["detail"]) == (415, True)


SECRET = "Pneumothorax of Jane Doe"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/get_reward", {"query": [SECRET], "prompts": [SECRET + "!"], "labels": ["x"]}),
        ("/get_reward", {"query": [SECRET], "prompts": [], "labels": []}),
        ("/get_reward", {"query": SECRET, "prompts": [SECRET], "labels": [[SECRET]]}),
        ("/v1/score", {"cases": [{"candidate": "x", "reference": "y", SECRET: SECRET}]}),
        ("/v1/score", {"cases": [{"candidate": "x", "reference": "y", "context": {SECRET: [SECRET]}}]}),
        ("/v1/score", {"cases": [SECRET]}),
        ("/v1/score", {"cases": [{"candidate": [SECRET], "reference": {SECRET: 1}}]}),
        ("/v1/score", {"cases": [{"candidate": "x", "reference": "y"}], "\ud800" + SECRET: 1}),
    ],
)
def test_errors_never_quote_what_was_sent(url, path, body):
    reply = httpx2.post(f"{url}{path}", content=json.dumps(body).encode(), headers=JSON)
    assert reply.status_code == 422
    assert reply.json()["detail"]
    assert "Jane" not in reply.text
    assert "Pneumothorax" not in reply.text


@pytest.mark.parametrize(
    "label", [{"report": SECRET}, json.dumps({"report": SECRET}), {"reference": "x", "priors": {SECRET: 1}}]
)
def test_a_label_that_is_wrong_costs_its_own_sample_and_is_not_quoted(url, label):
    body = {"query": ["A: x"] * 3, "prompts": ["A:"] * 3, "labels": ["x", label, "x"]}
    reply = httpx2.post(f"{url}/get_reward", json=body)
    assert reply.status_code == 200
    first, lost, last = reply.json()["rewards"]
    assert first == last > lost == -5.0
    assert "Jane" not in reply.text


def test_an_error_of_the_server_quotes_nothing(monkeypatch, caplog):
    reward = CompositeReward(["bleu"])

    def fail(cases, parts):
        raise KeyError(cases[0].candidate)

    monkeypatch.setattr(reward, "combine", fail)
    with served(reward) as url, caplog.at_level(logging.DEBUG):
        body = {"cases": [{"candidate": SECRET, "reference": "x"}]}
        reply = httpx2.post(f"{url}/v1/score", json=body)
    assert (reply.status_code, "KeyError" in reply.json()["detail"]) == (500, True)
    assert "KeyError, its message withheld" in caplog.text
    assert "Jane" not in reply.text + caplog.text


def test_clients_beside_broken_ones_get_their_scores(url):
    stop = threading.Event()

    def break_things():
        while not stop.is_set():
            post(port_of(url), BROKEN["cut"][: 2 * MB])

    thread = threading.Thread(target=break_things)
    thread.start()
    try:
        for _ in range(10):
            assert httpx2.post(f"{url}/v1/score", json=ONE, timeout=30).status_code == 200
    finally:
        stop.set()
        thread.join()
