"""A judge's server whose every response a test writes itself, for what no well-behaved server sends."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from cxr_rewards import Case, CompositeReward, Score
from cxr_rewards.judges.client import close_judges
from cxr_rewards.testing.fake_judge import FakeJudge


class Request(NamedTuple):
    """One request: the path, the headers in lower case, the JSON, and how many came before."""

    path: str
    headers: dict[str, str]
    data: dict[str, Any]
    number: int
    connection: int

    @property
    def text(self) -> str:
        """The last message."""
        return self.data["messages"][-1]["content"]


def completion(content: Any = '{"errors": []}', *, finish: str | None = "stop", usage: Any = None, **message: Any):
    """Return the JSON of a chat completion."""
    said = {"role": "assistant", "content": content, **message}
    data = {"choices": [{"index": 0, "message": said, "finish_reason": finish}]}
    return data if usage is None else {**data, "usage": usage}


class ScriptedJudge:
    """Serves what `respond` returns for each `Request`: JSON, (status, JSON or bytes), (status, body, headers), or raw
    bytes, which are written as they are and after which the connection stays open."""

    def __init__(self, respond) -> None:
        lock = threading.Lock()
        self.requests: list[Request] = []
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                with lock:
                    outer.connections += 1
                    self.number = outer.connections
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    request = Request(self.path, headers, json.loads(body), len(outer.requests), self.number)
                    outer.requests.append(request)
                response = respond(request)
                if isinstance(response, bytes):
                    self.wfile.write(response)
                    return
                if callable(response):
                    response(self)
                    return
                status, content, *more = response if isinstance(response, tuple) else (200, response)
                payload = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                for name, value in (more[0] if more else {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 512
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # the client has gone

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def __enter__(self) -> ScriptedJudge:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def says(component, reply: str, **settings: Any) -> Score:
    """Return the score of a case if this is the judge's reply."""
    with FakeJudge(answer=lambda messages: reply) as fake:
        made = component(model="m", base_url=fake.url, **settings)
        (reward,) = CompositeReward([made]).score_batch([Case(candidate="x", reference="Left effusion.")])
    close_judges()
    return reward.parts[made.name]
