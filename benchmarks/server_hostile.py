"""The server's memory under hostile clients.

Run: `python benchmarks/server_hostile.py [--requests 1000] [--megabytes 8] [--json FILE]`. Broken bodies are sent one
after another, of each kind `--requests` / kinds; then bodies of 30 MB over 20 connections at once; then nine
connections stall with a body that lacks its last byte, while small requests go on. Memory is the resident memory of
the one process that serves, in MB.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from report import options_of, report
from server import PORT, memory_mb, wait

MB = 1 << 20
CASE = b'{"candidate":"Small left effusion.","reference":"Small left pleural effusion."},'
HEADERS = {"Content-Type": "application/json"}
GOOD = b'{"cases":[' + CASE[:-1] + b"]}"


def bodies(size: int) -> dict[str, bytes]:
    """Return broken bodies of a size, by kind."""
    return {
        "nothing but braces": b"{" * size,
        "cut off": (b'{"cases":[' + CASE * (size // len(CASE) + 1))[:size],
        "unterminated text": (b'{"cases":[{"candidate":"' + b"x" * size)[:size],
        "escaped quotes": (b'{"cases":["' + b'\\"' * size)[:size],
        "empty lists": (b'{"cases":[' + b"[]," * size)[:size],
        "small numbers": (b'{"cases":[' + b"0," * size)[:size],
        "no references": b'{"cases":[' + b",".join([b'{"candidate":"x"}'] * (size // 18)) + b"]}",
        "wide letters": b'{"cases":[{"candidate":"\xf0\x9f\x98\x80' + b"x" * (size - 40),
    }


def post(body: bytes, count: int = 1) -> Counter[int]:
    """Send a body so often over one connection; return how often which status came."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    codes: Counter[int] = Counter()
    for _ in range(count):
        connection.request("POST", "/v1/score", body, HEADERS)
        reply = connection.getresponse()
        reply.read()
        codes[reply.status] += 1
    connection.close()
    return codes


def broken(pid: int, requests: int, size: int) -> dict[str, object]:
    """Return memory after broken bodies of each kind."""
    found: dict[str, object] = {"before_mb": round(memory_mb(pid))}
    kinds = bodies(size)
    for kind, body in kinds.items():
        begin = time.perf_counter()
        codes = post(body, requests // len(kinds))
        seconds = round((time.perf_counter() - begin) / max(1, codes.total()), 4)
        found[kind] = {"statuses": dict(codes), "after_mb": round(memory_mb(pid)), "seconds_each": seconds}
    return {**found, "highest_mb": round(memory_mb(pid, "VmHWM"))}


def large(pid: int) -> dict[str, object]:
    """Return what 20 connections get that send 30 MB at once."""
    body = b'{"cases":[{"candidate":"' + b"x" * (30 * MB) + b'","reference":"y"}]}'
    with ThreadPoolExecutor(20) as pool:
        codes = sum(pool.map(post, [body] * 20), Counter[int]())
    return {"statuses": dict(codes), "after_mb": round(memory_mb(pid)), "highest_mb": round(memory_mb(pid, "VmHWM"))}


def stalled() -> dict[str, object]:
    """Return what others get while nine bodies of 30 MB lack their last byte."""
    head = b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    held = []
    for _ in range(9):
        one = socket.create_connection(("127.0.0.1", PORT))
        one.sendall(head % (30 * MB) + b" " * (30 * MB - 1))
        held.append(one)
    codes: Counter[int] = Counter()
    slowest, end = 0.0, time.perf_counter() + 5.0
    while time.perf_counter() < end:
        begin = time.perf_counter()
        codes += post(GOOD)
        slowest = max(slowest, time.perf_counter() - begin)
        time.sleep(0.05)
    for one in held:
        one.close()
    return {"statuses": dict(codes), "slowest_s": round(slowest, 2)}


def main() -> None:
    """Measure and report."""
    parser = options_of(__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--megabytes", type=int, default=8)
    options = parser.parse_args()
    command = [sys.executable, "-m", "cxr_rewards", "serve", "--port", str(PORT)]
    server = subprocess.Popen(command, env=dict(os.environ))
    try:
        wait(server)
        result = {
            "broken": broken(server.pid, options.requests, options.megabytes * MB),
            "stalled": stalled(),
            "large": large(server.pid),
        }
    finally:
        server.terminate()
        server.wait(60)
    report(result, options.json)


if __name__ == "__main__":
    main()
