"""A hub of models on loopback: what `huggingface_hub` asks when it downloads a file, and faults."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves `root/org--name/file` as `/org/name/resolve/REVISION/file`.

    Attributes:
        url: where it listens.
        requests: (method, path) so far.
        gated: repositories that ask for a token.
        cut: paths whose body breaks off half-way, once each.
        failing: paths that are answered with 500.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.requests: list[tuple[str, str]] = []
        self.gated: set[str] = set()
        self.cut: set[str] = set()
        self.failing: set[str] = set()
        self.url = ""


@contextmanager
def serve(root: Path):
    """Run a hub for a folder of repositories."""
    hub = Hub(root)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def say(self, status, **headers):
            self.send_response(status)
            for key, value in {"Content_Length": "0", "X_Repo_Commit": COMMIT, **headers}.items():
                self.send_header(key.replace("_", "-"), value)
            self.end_headers()

        def answer(self, body):
            hub.requests.append((self.command, self.path))
            parts = self.path.strip("/").split("/")
            if len(parts) < 5 or parts[2] != "resolve":
                return self.say(404)
            repo, name = "/".join(parts[:2]), "/".join(parts[4:])
            if repo in hub.gated:
                return self.say(401, X_Error_Code="GatedRepo", X_Error_Message="Access to it is restricted")
            if name in hub.failing:
                return self.say(500)
            path = hub.root / repo.replace("/", "--") / name
            if not path.parent.is_dir():
                return self.say(404, X_Error_Code="RepoNotFound")
            if not path.is_file():
                return self.say(404, X_Error_Code="EntryNotFound")
            data = path.read_bytes()
            headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "Accept_Ranges": "bytes"}
            start = 0
            if "Range" in self.headers:
                start = int(self.headers["Range"].removeprefix("bytes=").partition("-")[0])
                headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            rest = data[start:]
            self.say(206 if start else 200, Content_Length=str(len(rest)), **headers)
            if not body:
                return None
            if name in hub.cut:
                hub.cut.discard(name)
                self.wfile.write(rest[: len(rest) // 2])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return None
            self.wfile.write(rest)
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
