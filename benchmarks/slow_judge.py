"""A judge that works on one request at a time: how many requests it takes until every row is scored, and how long.

The server, in a process of its own on this machine, works on one request at a time and finishes what it has begun,
also when nobody waits for it any more, as the servers of language models do. `possible` is the time of the work
itself. Requests beyond one a row are time-outs that were sent again.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cxr_rewards import Case, CompositeReward
from cxr_rewards.core.usage import LEDGER
from cxr_rewards.judges.client import close_judges, tallies
from cxr_rewards.judges.protocols.chexprompt import Chexprompt
from report import options_of, report

REPLY = (
    b'{"id": "x%d", "choices": [{"message": {"content": "{\\"errors\\": []}"}, "finish_reason": "stop"}], '
    b'"usage": {"prompt_tokens": 600, "completion_tokens": 8}}'
)


def _serve(pipe: multiprocessing.connection.Connection, seconds: float) -> None:
    async def main() -> None:
        turn, count = asyncio.Lock(), 0

        async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = int(head.lower().partition(b"content-length:")[2].split()[0])
                await reader.readexactly(size)
                count += 1
                reply = REPLY % count
                async with turn:  # whoever hangs up meanwhile is worked for all the same
                    await asyncio.sleep(seconds)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(reply) + reply)

        async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await work(reader, writer)
            except (asyncio.IncompleteReadError, OSError):
                writer.close()

        server = await asyncio.start_server(quietly, "127.0.0.1", 0, backlog=512)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        pipe.send(count)

    asyncio.run(main())


@contextmanager
def server(seconds: float) -> Iterator[tuple[str, list[int]]]:
    """Yield the address, and a list that holds the number of requests afterwards."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, seconds), daemon=True)
    process.start()
    requests: list[int] = []
    yield f"http://127.0.0.1:{ours.recv()}/v1", requests
    ours.send(None)
    requests.append(ours.recv())
    process.terminate()
    process.join()


def run(rows: int, seconds: float, timeout_s: float, concurrency: int) -> dict[str, object]:
    work = [Case(candidate=f"Small left effusion. Film {i}.", reference="Left effusion.") for i in range(rows)]
    with server(seconds) as (url, requests):
        judge = Chexprompt(
            model="m", base_url=url, timeout_s=timeout_s, deadline_s=5 * timeout_s, concurrency=concurrency
        )
        start = time.monotonic()
        results = CompositeReward([judge]).score_batch(work)
        took = time.monotonic() - start
        (tally,) = tallies().values()
        timeouts = tally.retries["timeout"]
        close_judges()
    return {
        "rows": rows, "seconds_a_request": seconds, "timeout_s": timeout_s, "concurrency": concurrency,
        "scored": sum(result.value is not None for result in results), "requests": requests[0], "timeouts": timeouts,
        "took_s": round(took, 1), "possible_s": rows * seconds,
    }  # fmt: skip


def main() -> None:
    given = options_of(__doc__).parse_args()
    logging.basicConfig(format="%(message)s")
    figures = []
    for rows, seconds, timeout_s, concurrency in (
        (6, 3.0, 12.0, 64),
        (100, 0.5, 5.0, 64),
        (100, 0.5, 2.0, 64),
        (20, 2.0, 3.0, 8),
    ):
        figures.append(run(rows, seconds, timeout_s, concurrency))
        LEDGER.clear()
    report({"one at a time": figures}, given.json)


if __name__ == "__main__":
    main()
