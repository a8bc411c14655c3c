"""The server under load: 64 clients at once for a minute, against the local engine on the same work.

Run: `python benchmarks/server.py [--data reports.csv] [--seconds 60] [--clients 64] [--cases 16] [--json FILE]`. The
data is a CSV with columns `findings` and `impression`; without it the sample reports of `examples/` are used. Each
request holds `--cases` rollouts of one reference, as a trainer sends a group; every candidate is a new text. `local`
is one process that scores the same cases in batches of 512; `server` is `cxr-rewards serve` with one worker, also one
process that scores, while the clients load another core. Rates are cases a second, in turns: local, server, local.
`--component length` scores with that component alone, which costs next to nothing: what is left is the way there and
back.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from cxr_rewards import Case, CompositeReward
from engine import load_pairs
from report import options_of, report

PORT = 8765


def groups(data: Path | None, size: int):
    """Yield one group of cases after the other, endlessly; no candidate comes twice."""
    pairs = load_pairs(data, 2000)
    numbers = itertools.count()
    while True:
        for i in range(0, len(pairs) - size, size):
            reference = pairs[i][1]
            yield [
                {"candidate": f"{candidate} Film {next(numbers)}.", "reference": reference}
                for candidate, _ in pairs[i : i + size]
            ]


def local_rate(reward: CompositeReward, data: Path | None, size: int, seconds: float) -> float:
    """Return cases a second of one process."""
    source, done = groups(data, size), 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        batch = [Case(**case) for _ in range(max(1, 512 // size)) for case in next(source)]
        reward.score_batch(batch)
        done += len(batch)
    return done / (time.perf_counter() - begin)


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """Return the resident memory of a process, in MB; the highest that it was as `VmHWM`."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(text.split(f"{what}:")[1].split()[0]) / 1024


def load(data: Path | None, clients: int, size: int, seconds: float, pid: int) -> dict[str, object]:
    """Return what clients saw who ask at once and again."""
    source, lock, end = groups(data, size), threading.Lock(), time.perf_counter() + seconds
    times: list[float] = []
    codes: Counter[str] = Counter()
    memory: list[float] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
        while time.perf_counter() < end:
            with lock:
                body = json.dumps({"cases": next(source)})
            begin = time.perf_counter()
            try:
                connection.request("POST", "/v1/score", body, {"Content-Type": "application/json"})
                reply = connection.getresponse()
                reply.read()
                codes[str(reply.status)] += 1
                if reply.status == 200:
                    times.append(time.perf_counter() - begin)
                else:
                    time.sleep(float(reply.headers.get("Retry-After", 1)))
            except OSError as error:
                codes[type(error).__name__] += 1
                connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    while time.perf_counter() < end:
        time.sleep(min(5.0, max(0.1, end - time.perf_counter())))
        memory.append(round(memory_mb(pid), 1))
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    cuts = statistics.quantiles(times, n=100)
    return {
        "cases_per_s": round(len(times) * size / took),
        "requests": dict(codes),
        "p50_ms": round(1000 * cuts[49]),
        "p99_ms": round(1000 * cuts[98]),
        "memory_mb": {"first": memory[0], "middle": memory[len(memory) // 2], "last": memory[-1]},
    }


def main() -> None:
    """Measure and report."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--cases", type=int, default=16, help="of a request")
    parser.add_argument("--component", help="in place of the preset `rules`")
    options = parser.parse_args()
    command = [sys.executable, "-m", "cxr_rewards", "serve", "--port", str(PORT)]
    reward = CompositeReward([options.component] if options.component else None)
    if options.component:
        config = Path(tempfile.mkdtemp()) / "one.toml"
        config.write_text(f'name = "one"\n[components.{options.component}]\nweight = 1.0\n', encoding="utf-8")
        command += ["--config", str(config)]
    before = local_rate(reward, options.data, options.cases, 10.0)
    server = subprocess.Popen(command, env=dict(os.environ))
    try:
        wait(server)
        served = load(options.data, options.clients, options.cases, options.seconds, server.pid)
    finally:
        server.terminate()
        server.wait(60)
    after = local_rate(reward, options.data, options.cases, 10.0)
    local = (before + after) / 2
    result = {"local_cases_per_s": round(local), "server": served, "ratio": round(served["cases_per_s"] / local, 2)}
    report(result, options.json)


def wait(server: subprocess.Popen[bytes]) -> None:
    """Return when the server is ready."""
    while server.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit("the server has ended")


if __name__ == "__main__":
    main()
