"""Judges: requests a second, CPU a request, cache hits, and how much of the wait local components fill.

The server, in a process of its own on this machine, answers each request after 100 ms, so that 64 at once can be
answered 640 a second at most; a second one takes 1 s, which is nearer to a real judge, so that 256 at once make 256 a
second. Beside ours is what one would write without this library: the same requests through one `httpx2.AsyncClient`,
and one after the other.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from cxr_rewards import Case, CompositeReward
from cxr_rewards.cache import SqliteCache
from cxr_rewards.core.engine import Engine
from cxr_rewards.core.feature import item_of
from cxr_rewards.core.registry import load_component
from cxr_rewards.judges import prompt
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.protocols.chexprompt import Chexprompt
from cxr_rewards.judges.reply import places_of
from cxr_rewards.testing.fake_answers import answer_to
from cxr_rewards.testing.fake_judge import FakeJudge
from report import options_of, report

LATENCY_S = 0.1
REPLY = '{"errors": [{"type": "B", "significant": true, "what": "effusion"}]}'
WORDS = [
    "small",
    "large",
    "left",
    "right",
    "bilateral",
    "effusion",
    "pneumothorax",
    "cardiomegaly",
    "edema",
    "opacity",
    "at",
    "the",
    "base",
    "no",
    "acute",
    "new",
    "stable",
    "heart",
    "lungs",
]


def answer(messages: object) -> str:  # noqa: ARG001
    return REPLY


def _serve(pipe: multiprocessing.connection.Connection, latency_s: float) -> None:
    with FakeJudge(latency_s=latency_s, answer=answer) as judge:
        pipe.send(judge.url)
        pipe.recv()


@contextmanager
def server(latency_s: float) -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, latency_s))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


def cases(count: int, seed: int) -> list[Case]:
    """Reports of about 35 words, each pair distinct."""
    draw = random.Random(seed)

    def text() -> str:
        return " ".join(draw.choices(WORDS, k=35)).capitalize() + "."

    return [Case(candidate=text(), reference=text()) for _ in range(count)]


def with_httpx2(url: str, work: list[Case], at_once: int) -> None:
    reply = Chexprompt(model="m", base_url=url).needs[0]
    template = prompt.built_in(reply.prompt)

    async def run() -> None:
        left = iter(work)
        limits = httpx2.Limits(max_connections=at_once, max_keepalive_connections=at_once)
        async with httpx2.AsyncClient(limits=limits, timeout=60) as client:

            async def worker() -> None:
                for case in left:
                    messages = prompt.render(template, places_of(item_of(reply, case), 8000))
                    data = {"model": "m", "messages": [{"role": r, "content": t} for r, t in messages]}
                    response = await client.post(f"{url}/chat/completions", json=data)
                    reply.parse(response.json()["choices"][0]["message"]["content"])

            await asyncio.gather(*(worker() for _ in range(at_once)))

    asyncio.run(run())


def with_ours(url: str, work: list[Case], at_once: int) -> None:
    component = Chexprompt(model="m", base_url=url, concurrency=at_once)
    rows = Engine({"chexprompt": component}).run(work)
    assert all(row[0].value == 0.5 for row in rows)


def timed(function, *given) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    function(*given)
    return time.perf_counter() - wall, time.process_time() - cpu


def throughput(url: str, latency_s: float, at_once: int, rounds: int) -> list[dict[str, object]]:
    """Requests a second by ours and by one httpx2 client, after a first run that finds the pace."""
    with_ours(url, cases(6 * at_once, 1), at_once)
    rows = []
    for name, function in (("cxr_rewards", with_ours), ("httpx2.AsyncClient", with_httpx2)):
        count = rounds * at_once
        wall, cpu = timed(function, url, cases(count, at_once), at_once)
        most = at_once / latency_s
        rows.append({
            "client": name, "latency_s": latency_s, "at_once": at_once, "requests": count,
            "a_second": round(count / wall), "of_possible": round(count / wall / most, 3),
            "cpu_ms_a_request": round(1e3 * cpu / count, 3),
        })  # fmt: skip
    return rows


def one_by_one(url: str) -> dict[str, object]:
    wall, _ = timed(with_httpx2, url, cases(20, 3), 1)
    return {"client": "one after the other", "latency_s": LATENCY_S, "at_once": 1, "a_second": round(20 / wall, 1)}


def cache_hits(url: str) -> dict[str, int]:
    work = cases(5000, 5)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache.sqlite"
        component = Chexprompt(model="m", base_url=url, concurrency=256)
        (reply,) = component.needs
        items = [item_of(reply, case) for case in work]
        with SqliteCache(path) as cache:
            Engine({"chexprompt": component}).run(work, cache)
        with SqliteCache(path) as cache:
            for name in ("from the file", "from memory"):
                wall, _ = timed(cache.get_many, reply, items)
                found[f"replies {name}, a second"] = round(len(work) / wall)
        with SqliteCache(path) as cache:
            for name in ("from the file", "from memory"):
                wall, _ = timed(Engine({"chexprompt": component}).run, work, cache)
                found[f"scores {name}, a second"] = round(len(work) / wall)
    return found


def tokens() -> dict[str, dict[str, int]]:
    """Tokens of a request and of its part that is the same for every case, and of a reply; 4 characters are one."""
    found = {}
    for name in ("chexprompt", "green", "crimson"):
        (reply,) = load_component(name)().needs
        template = prompt.built_in(reply.prompt)
        sent = answered = 0
        work = cases(200, 11)
        for case in work:
            messages = prompt.render(template, places_of(item_of(reply, case), reply.max_chars))
            sent += sum(len(text) for _, text in messages)
            answered += len(answer_to([{"role": role, "content": text} for role, text in messages]))
        same = len(template.parts[0][1]) // 4
        found[name] = {"in": sent // len(work) // 4, "of it the same": same, "out": answered // len(work) // 4}
    return found


def overlap(url: str) -> dict[str, float]:
    """A judge and the default reward's rules, each alone and both."""
    work = cases(4000, 7)
    judge = {"model": "m", "base_url": url}
    chexprompt = Chexprompt(**judge, concurrency=256)
    rules = CompositeReward().components
    seconds = {}
    for name, parts in (
        ("judge", {"chexprompt": chexprompt}),
        ("rules", rules),
        ("both", {**rules, "chexprompt": chexprompt}),
    ):
        seconds[name] = round(timed(CompositeReward(parts).score_batch, work)[0], 2)
    return seconds


def main() -> None:
    given = options_of(__doc__).parse_args()
    figures: dict[str, object] = {}
    with server(LATENCY_S) as url:
        rows = [*throughput(url, LATENCY_S, 64, 60), *throughput(url, LATENCY_S, 256, 30), one_by_one(url)]
        figures |= {"cache": cache_hits(url), "seconds": overlap(url), "tokens": tokens()}
    with server(1.0) as url:
        rows += throughput(url, 1.0, 256, 10)
    close_judges()
    report({"throughput": rows, **figures}, given.json)


if __name__ == "__main__":
    main()
