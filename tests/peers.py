"""The packages whose numbers ours must equal, run unmodified on the same weights in a process of their own.

`python tests/peers.py` reads jobs, `{"run": name, "texts": [...], ...}`, one a line, and answers each with what the
package says of it and the seconds of the call itself (loading left out). Under transformers 5 and scikit-learn 1.8 the
packages need `shim()`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

ANSWER = "ANSWER "
SHORT_NAMES = ("bert-base-uncased",)
REVISION = "0123456789abcdef0123456789abcdef01234567"


def hub_environment(models: Path, root: Path) -> dict[str, str]:
    """Lay a models folder out as the packages look for it, and return the environment variables that say so."""
    hub = root / "hf" / "hub"
    if not hub.exists():
        for repo in models.iterdir():
            for name in {repo.name, *(short for short in SHORT_NAMES if repo.name.endswith(f"--{short}"))}:
                home = hub / f"models--{name}"
                (home / "refs").mkdir(parents=True)
                (home / "refs" / "main").write_text(REVISION)
                (home / "snapshots").mkdir()
                (home / "snapshots" / REVISION).symlink_to(repo.resolve())
        scorers = models / "StanfordAIMI--RRG_scorers"
        chexbert = root / "xdg" / "chexbert"
        chexbert.mkdir(parents=True)
        (chexbert / "chexbert.pth").symlink_to((scorers / "chexbert.pth").resolve())
        for archive in scorers.glob("*.tar.gz"):
            with tarfile.open(archive) as files:
                files.extractall(
                    root / "xdg" / "radgraph" / "0.1.18" / archive.name.removesuffix(".tar.gz"), filter="data"
                )
    return {
        "HF_HOME": str(root / "hf"), "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(root / "xdg"),
        "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1",
    }  # fmt: skip


class PeerProcess:
    """A process that runs jobs until it is closed. It imports the packages once, which takes longer than most jobs."""

    def __init__(self, models: Path, root: Path, *, threads: int = 1) -> None:
        environment = {
            **os.environ, **hub_environment(models, root), "OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore",
            "PYTHONUTF8": "1",
        }  # fmt: skip
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            encoding="utf-8", env=environment,
        )  # fmt: skip

    def run(self, job: dict[str, Any]) -> Any:
        """Run one job and return its answer: `{"seconds": ..., "values": ...}`."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        for line in self._process.stdout:  # the packages print, too
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
        self._process.wait()
        self._errors.seek(0)
        raise RuntimeError(f"{job['run']}: {self._errors.read()[-3000:]}")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._errors.close()


def run_peer(job: dict[str, Any], models: Path, root: Path, *, threads: int = 1) -> Any:
    """Run one job in a process of its own."""
    with contextlib.closing(PeerProcess(models, root, threads=threads)) as peer:
        return peer.run(job)


def shim() -> None:
    """Give transformers 5 and scikit-learn 1.8 what the packages still call."""
    from transformers import PreTrainedTokenizerBase as Base

    if not hasattr(Base, "encode_plus"):

        def encode_plus(self, text, pair=None, **options):
            # Lists of pieces, which f1chexbert passes, were ids to be looked up; texts are texts.
            if isinstance(text, list):
                ids = self.convert_tokens_to_ids(text)
                return {"input_ids": [self.cls_token_id, *ids, self.sep_token_id]}
            return self(text, pair, **options)

        Base.encode_plus = encode_plus
    if not hasattr(Base, "build_inputs_with_special_tokens"):

        def build_inputs_with_special_tokens(self, first, second=None):
            ids = [self.cls_token_id, *first, self.sep_token_id]
            return [*ids, *second, self.sep_token_id] if second else ids

        Base.build_inputs_with_special_tokens = build_inputs_with_special_tokens
    import sklearn.metrics._classification as classification

    original = classification._check_targets
    classification._check_targets = lambda *args, **options: original(*args, **options)[:3]


def chexbert(job: dict[str, Any]) -> Any:
    from f1chexbert import F1CheXbert

    scorer = F1CheXbert(device="cpu")
    vectors: list[Any] = []
    scorer.model.bert.register_forward_hook(lambda m, i, out: vectors.append(out[0][0, 0].tolist()))
    scorer.get_label(job["texts"][0])
    vectors.clear()
    start = time.perf_counter()
    labels = [scorer.get_label(text, mode="classification") for text in job["texts"]]
    seconds = time.perf_counter() - start
    return seconds, {"labels": labels, "vectors": vectors}


def radgraph(job: dict[str, Any]) -> Any:
    from radgraph import RadGraph

    scorer = RadGraph(model_type=job["model"], cuda=-1)
    scorer(job["texts"][:1])
    start = time.perf_counter()
    graphs = scorer(job["texts"])
    seconds = time.perf_counter() - start
    return seconds, [graphs[str(i)]["entities"] for i in range(len(job["texts"]))]


def radgraph_rewards(job: dict[str, Any]) -> Any:
    from radgraph import F1RadGraph

    scorer = F1RadGraph(reward_level="all", model_type=job["model"], cuda=-1)
    start = time.perf_counter()
    _, rewards, _, _ = scorer(hyps=job["candidates"], refs=job["references"])
    return time.perf_counter() - start, [list(map(float, level)) for level in rewards]


def bertscore(job: dict[str, Any]) -> Any:
    """Score in batches of `job["batch"]` pairs.

    The package pads a batch to its longest report and masks the cosines of the padding to 0. A token whose cosines with
    all real tokens are negative then takes that 0 for its best match, so its value depends on its neighbours in the
    batch. Batches of one pair have no padding.
    """
    from bert_score import BERTScorer

    scorer = BERTScorer(**job["settings"])
    if job.get("prefix_space"):  # as the package's own `add_prefix_space=True`, which transformers 5 ignores
        from transformers import AutoTokenizer

        scorer._tokenizer = AutoTokenizer.from_pretrained(job["settings"]["model_type"], add_prefix_space=True)
    scorer.score(job["candidates"][:2], job["references"][:2])
    start = time.perf_counter()
    parts = scorer.score(job["candidates"], job["references"], batch_size=job.get("batch", 64))
    return time.perf_counter() - start, [part.tolist() for part in parts]


def ratescore(job: dict[str, Any]) -> Any:
    # Its sentences come from medspaCy, which this stands in for with ours: what is compared is all that follows.
    from types import ModuleType, SimpleNamespace

    from cxr_rewards.text.sentences import sentences

    medspacy = ModuleType("medspacy")
    medspacy.load = lambda **options: lambda text: SimpleNamespace(sents=[text[a:b] for a, b in sentences(text)])
    sys.modules["medspacy"] = medspacy
    from RaTEScore import RaTEScore
    from RaTEScore.score import run_ner

    scorer = RaTEScore(bert_model=job["ner"], eval_model=job["encoder"], use_gpu=False)
    start = time.perf_counter()
    scores = scorer.compute_score(job["candidates"], job["references"])
    seconds = time.perf_counter() - start
    entities = run_ner(job["candidates"], scorer.idx2label, scorer.tokenizer, scorer.model, scorer.device, 1)
    return seconds, {"scores": list(map(float, scores)), "entities": entities}


JOBS = {
    "chexbert": chexbert,
    "ratescore": ratescore,
    "radgraph": radgraph,
    "radgraph_rewards": radgraph_rewards,
    "bertscore": bertscore,
}

if __name__ == "__main__":
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    shim()
    for line in sys.stdin:
        given = json.loads(line)
        took, values = JOBS[given["run"]](given)
        print("\n" + ANSWER + json.dumps({"seconds": took, "values": values}), flush=True)
