"""`RemoteReward` against broken and hostile servers: bad parts fail, bad replies are errors, deadlines hold."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time

import pytest
from tests.serving import served

from cxr_rewards import Case, CompositeReward
from cxr_rewards.errors import ConfigError, SetupError
from cxr_rewards.remote.base import describe
from cxr_rewards.remote.http import TOKEN_VARIABLE, RemoteReward, token_of

LOCAL = CompositeReward(["bleu", "rouge_l"])
CASE = Case(candidate="Left effusion.", reference="Left effusion.")
GOOD = {"value": 0.5}
TOKEN = "a-long-s3cret-token"


def whole(body, status="200 OK", headers=""):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{headers}\r\n".encode() + content


@contextlib.contextmanager
def answering(answer, description=None):
    """Serve a description, and then `answer(connection, request)` for each request; yields URL and requests."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests, sockets = [], []

    def talk(connection):
        with contextlib.suppress(OSError):
            text = b""
            while True:
                while b"\r\n\r\n" not in text:
                    part = connection.recv(65536)
                    if not part:
                        raise ConnectionError
                    text += part
                head, _, text = text.partition(b"\r\n\r\n")
                size = next((int(x[15:]) for x in head.lower().split(b"\r\n") if x[:15] == b"content-length:"), 0)
                while len(text) < size:
                    text += connection.recv(65536)
                text = text[size:]
                requests.append(head)
                if b"/v1/reward" in head:
                    connection.sendall(whole(describe(LOCAL) if description is None else description))
                else:
                    answer(connection)
                    break
        connection.close()

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                sockets.append(connection)
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in sockets:
            one.close()


def replying(body, **more):
    return answering(lambda connection: connection.sendall(whole(body, **more)))


def rewards(**parts):
    return {"rewards": [{"parts": {"bleu": GOOD, "rouge_l": GOOD, **parts}}], "signature": LOCAL.signature}


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"value": 7.0}, "returned 7.0, which is not within (0.0, 1.0)"),
        ({"value": -3.0}, "returned -3.0, which is not within"),
        ({"value": float("nan")}, "returned nan"),
        ({"value": float("inf")}, "returned inf"),
        ({"value": 10**400}, "OverflowError"),
        ({"value": "0.5"}, "expected a number, got '0.5'"),
        ({"value": True}, "expected a number, got True"),
        ({"value": [0.5]}, "expected a number, got [0.5]"),
        ({"value": None}, "returned no value and no failure"),
        ({}, "returned no value and no failure"),
        (None, "expected a part, got None"),
        ([], "expected a part, got []"),
        ({"value": 0.5, "details": [1]}, "expected details by name, got [1]"),
        ({"value": 0.5, "failure": "oh"}, "expected where a part failed, why, and the kind, got 'oh'"),
        ({"value": 0.5, "failure": ["bleu", 1]}, "expected where a part failed"),
        ({"value": 0.5, "failure": ["bleu", "no text"]}, "no text"),
    ],
    ids=str,
)
def test_a_part_that_no_component_gives_is_a_failure(part, reason):
    with replying(rewards(bleu=part)) as (url, _):
        result = RemoteReward(url).score_batch([CASE])[0]
    assert result.value is None
    assert result.parts["bleu"].value is None
    assert reason in result.parts["bleu"].failure.error
    assert result.parts["rouge_l"].value == 0.5


def test_a_whole_number_is_a_value():
    with replying(rewards(bleu={"value": 1})) as (url, _):
        value = RemoteReward(url).score_batch([CASE])[0].parts["bleu"].value
    assert (value, type(value)) == (1.0, float)


def test_a_server_that_is_gone_is_a_failure_of_transport():
    with replying(rewards()) as (url, _):
        remote = RemoteReward(url, deadline_s=0.5)
    result = remote.score_batch([CASE])[0]
    assert result.value is None
    assert result.kinds == ("transport",)


def test_a_part_that_is_missing_is_a_failure():
    body = rewards()
    del body["rewards"][0]["parts"]["bleu"]
    with replying(body) as (url, _):
        assert "expected a part" in RemoteReward(url).score_batch([CASE])[0].reasons


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (rewards(meteor=GOOD), "has the parts .*meteor"),
        ({"rewards": [{"parts": []}], "signature": LOCAL.signature}, "has no parts"),
        ({"rewards": [7], "signature": LOCAL.signature}, "has no parts"),
        ({"rewards": {}, "signature": LOCAL.signature}, "holds no rewards"),
        ({"rewards": [], "signature": LOCAL.signature}, "replied 0 rewards for 1 cases"),
        ({"rewards": [], "signature": "x" * 10_000}, "serves another reward"),
        ([], "holds no rewards"),
        (b"<html>", "not a reply of a cxr-rewards server: JSONDecodeError"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"[" * 100_000, "too deep"),
        (b'{"a":' * 100_000, "too deep"),
        (b"[" + b"9" * 5000 + b"]", "ValueError"),
        (b"[" + b"[]," * 1_000_000 + b"0]", "too many values"),
        (b" " * (6 << 20), "more than 4,2"),
    ],
    ids=["extra part", "parts", "reward", "rewards", "count", "signature", "list", "html", "bytes", "deep lists",
         "deep objects", "digits", "values", "large"],
)  # fmt: skip
def test_a_reply_that_is_not_ours_is_reported(body, message):
    with replying(body) as (url, _), pytest.raises(SetupError, match=message) as caught:
        RemoteReward(url).score_batch([CASE])
    assert len(str(caught.value)) < 1500


def test_compressed_replies_are_not_unpacked():
    bomb = gzip.compress(b" " * (64 << 20))
    with replying(bomb, headers="Content-Encoding: gzip\r\n") as (url, requests):
        remote = RemoteReward(url)
        with pytest.raises(SetupError, match="compressed"):
            remote.score_batch([CASE])
    assert b"accept-encoding: identity" in requests[-1].lower()


def endless(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"100000\r\n" + b" " * 0x100000 + b"\r\n")


def trickling(head, drop):
    def answer(connection):
        connection.sendall(head)
        while True:
            connection.sendall(drop)
            time.sleep(0.05)

    return answer


def test_an_endless_body_is_cut_off():
    with answering(endless) as (url, _), pytest.raises(SetupError, match="more than 4,2"):
        RemoteReward(url).score_batch([CASE])


@pytest.mark.parametrize(
    "answer",
    [
        trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
        trickling(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda connection: time.sleep(30),
    ],
    ids=["body", "headers", "informational", "silence"],
)
def test_the_deadline_holds_whatever_a_server_does(answer):
    with answering(answer) as (url, _):
        remote = RemoteReward(url, deadline_s=1.0)
        begin = time.monotonic()
        result = remote.score_batch([CASE])[0]
        assert time.monotonic() - begin < 20
    assert result.value is None
    assert result.reasons.startswith("remote: no score within 1 s; the last of 1 tries")
    assert result.kinds == ("timeout",)


def test_redirects_are_reported_and_the_token_goes_nowhere_else():
    with (
        answering(lambda _: None) as (other, seen),
        replying(b"", status="307 Temporary Redirect", headers=f"Location: {other}/v1/score\r\n") as (url, _),
    ):
        remote = RemoteReward(url, token=TOKEN)
        with pytest.raises(SetupError, match="redirects are not followed"):
            remote.score_batch([CASE])
        assert not seen


@pytest.mark.parametrize(
    "more",
    [
        {"body": {"detail": f"Bearer {TOKEN} is unknown"}, "status": "403 Forbidden"},
        {"body": f"headers: {TOKEN}", "status": "500 Oh"},
        {"body": rewards(bleu={"value": None, "failure": ["bleu", TOKEN]})},
        {"body": rewards(bleu={"value": TOKEN})},
        {"body": {"rewards": [], "signature": TOKEN}},
        {"body": {"rewards": [], TOKEN: 1}},
        {"body": {"detail": TOKEN}, "status": "503 Later"},
    ],
    ids=["403", "500", "failure", "value", "signature", "key", "503"],
)
@pytest.mark.parametrize("token", [TOKEN, "s3cret"])
def test_an_echo_of_the_token_is_not_shown(more, token):
    more = json.loads(json.dumps(more).replace(TOKEN, token))
    with replying(more.pop("body"), **more) as (url, requests):
        remote = RemoteReward(url, token=token, deadline_s=0.5)
        try:
            shown = repr(remote.score_batch([CASE]))
        except SetupError as error:
            shown = str(error)
    assert token.encode() in requests[-1]
    assert shown
    assert token not in shown + repr(remote)


@pytest.mark.parametrize("token", ["s3cret\nX-Other: 1", "s3cret\x00", "s3crét", "s3 cret"])
def test_a_token_that_cannot_be_sent_is_reported_without_it(token, monkeypatch, tmp_path):
    (tmp_path / "token").write_text(token)
    with pytest.raises(ConfigError, match="printable ASCII") as given:
        RemoteReward("http://127.0.0.1:9", token=token)
    with pytest.raises(ConfigError, match="printable ASCII") as read:
        token_of(TOKEN_VARIABLE, tmp_path / "token")
    if "\x00" not in token:
        monkeypatch.setenv(TOKEN_VARIABLE, token)
        with pytest.raises(ConfigError, match="printable ASCII") as set_:
            RemoteReward("http://127.0.0.1:9")
        assert "s3" not in str(set_.value)
    assert "s3" not in str(given.value) + str(read.value)


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ("http://", "expected http://"),
        ("http://x:port", "expected http://"),
        ("http://user:s3cret@127.0.0.1:9", "holds a password"),
        ("http://user:s3cret@x:port", "expected http://"),
    ],
)
def test_addresses_that_cannot_be_used_are_reported(urls, message):
    with pytest.raises(ConfigError, match=message) as caught:
        RemoteReward(urls)
    assert "s3cret" not in str(caught.value)


def described(**changes):
    description = json.loads(json.dumps(describe(LOCAL)))
    description["components"]["bleu"] |= changes.pop("bleu", {})
    return {**description, **changes}


@pytest.mark.parametrize(
    "description",
    [
        described(bleu={"bounds": [float("nan"), 1]}),
        described(bleu={"bounds": [1, 0]}),
        described(bleu={"bounds": ["0", {}]}),
        described(bleu={"bounds": [10**400, None]}),
        described(bleu={"higher_is_better": "yes"}),
        described(bleu={"reads": 7}),
        described(total={"terms": {}, "gates": [], "on_failure": "unscored", "normalize": "none"}),
        described(components={}),
        described(max_chars="many"),
    ],
)
def test_an_impossible_description_is_reported(description):
    with answering(None, description) as (url, _), pytest.raises(ConfigError, match="not a description of a reward"):
        RemoteReward(url)


def test_a_description_that_is_not_json_is_reported():
    for body in (b"[" * 100_000, b" " * (6 << 20), b"<html>"):
        with answering(None, body) as (url, _), pytest.raises(SetupError, match="is not a cxr-rewards server"):
            RemoteReward(url)


def test_no_component_is_built_of_what_a_server_says():
    description = described(bleu={"name": "external", "settings": {"metric": "os:getcwd"}})
    with answering(None, description) as (url, _):
        assert type(RemoteReward(url).components["bleu"]).__name__ == "Described"


def test_a_release_in_mid_call_is_reported():
    asked = threading.Event()
    with answering(lambda _: asked.set() or time.sleep(3)) as (url, _):
        remote = RemoteReward(url)
        threading.Thread(target=lambda: asked.wait(30) and remote.release()).start()
        with pytest.raises(SetupError, match="released while it scored"):
            remote.score_batch([CASE])
    with served(LOCAL) as url:
        remote = RemoteReward(url)
        remote.release()
        assert remote.score_batch([CASE])[0].value == 1.0
