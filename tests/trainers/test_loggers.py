"""A real training that logs to W&B (offline), MLflow and trackio at once; each is read back; run by `make test-loggers`.

MLflow's file store keeps a number in a file of its name, so that no name may lie below another.
"""

from __future__ import annotations

import json
import warnings
from importlib.util import find_spec

import pytest

from cxr_rewards import CompositeReward

if not all(map(find_spec, ("mlflow", "trackio", "wandb"))):
    pytest.skip("needs mlflow, trackio and wandb", allow_module_level=True)
STEPS = 2
TABLE = ("prompt", "completion", "findings_soft_f1", "unscored", "unscored_kind")
WATCHED = ("findings_soft_f1/mean", "normal_rate", "above_constant", "bleu/std")


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The folder of a run, in which each package has kept what it was sent, and the lines of diagnostics."""
    import torch
    import trl
    from datasets import Dataset

    from cxr_rewards.recipes import tiny

    folder = tmp_path_factory.mktemp("logged")
    torch.set_num_threads(1)
    words = tiny.tokenizer()
    model = tiny.text_model(words)
    tiny.warm_start(model, words)
    reward = CompositeReward().as_trl(
        group="study_id", diagnostics=folder / "diagnostics.jsonl", log=["default", "bleu/*"]
    )
    places = {
        "WANDB_MODE": "offline", "WANDB_DIR": folder, "WANDB_SILENT": "true", "WANDB_PROJECT": "reports",
        "MLFLOW_TRACKING_URI": (folder / "mlflow").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true",
        "TRACKIO_DIR": folder / "trackio", "GRADIO_ANALYTICS_ENABLED": "false",
    }  # fmt: skip
    config = trl.GRPOConfig(
        output_dir=str(folder / "out"), use_cpu=True, bf16=False, activation_checkpointing=False, num_generations=8,
        per_device_train_batch_size=32, max_completion_length=8, max_steps=STEPS, save_strategy="no", logging_steps=1,
        dataloader_pin_memory=False, disable_tqdm=True, beta=0.0, seed=0, run_name="mine", project="reports",
        log_completions=True, report_to=["wandb", "mlflow", "trackio"],
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # trl's and transformers' own
        for name, value in places.items():
            patch.setenv(name, str(value))
        trainer = trl.GRPOTrainer(
            model=model, reward_funcs=reward, args=config, train_dataset=Dataset.from_list(tiny.rows(64, films=False)),
            processing_class=words,
        )  # fmt: skip
        trainer.train()
        yield folder, [json.loads(line) for line in (folder / "diagnostics.jsonl").read_text().splitlines()]


def expected(lines):
    """Return the values of each step by the logged name, from the lines of diagnostics."""
    assert len(lines) == STEPS
    own = {"above_constant": "reward/above_constant"}
    return {f"cxr_rewards/{name}": [line[own.get(name, name)] for line in lines] for name in WATCHED}


def test_mlflow_has_the_numbers(logged):
    from mlflow import MlflowClient

    folder, lines = logged
    client = MlflowClient((folder / "mlflow").as_uri())
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    for name, values in expected(lines).items():
        found = [metric.value for metric in client.get_metric_history(run.info.run_id, name)]
        assert found == pytest.approx(values, abs=1e-4), name


def test_trackio_has_the_numbers_and_the_table(logged):
    from trackio.sqlite_storage import SQLiteStorage

    _, lines = logged
    rows = SQLiteStorage.get_logs("reports", "mine")
    for name, values in expected(lines).items():
        key = f"train/{name}"
        assert [row[key] for row in rows if key in row] == pytest.approx(values, abs=1e-4), name
    tables = [row["completions"]["_value"] for row in rows if "completions" in row]
    assert set(TABLE) <= set(tables[0][0])


def test_wandb_has_the_numbers_and_the_table(logged):
    folder, lines = logged
    found = {}
    for record in wandb_records(next(folder.rglob("run-*.wandb"))):
        for item in record.history.item:
            found.setdefault(item.key or "/".join(item.nested_key), []).append(json.loads(item.value_json))
    for name, values in expected(lines).items():
        assert found[f"train/{name}"] == pytest.approx(values, abs=1e-4), name
    table = json.loads(next(folder.rglob("completions_*.table.json")).read_text())
    assert set(TABLE) <= set(table["columns"])
    assert len(table["data"]) == 32


def wandb_records(path):
    """Yield the records of an offline run: pieces of a checksum, a length and a type, in blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := -at % 32768) and left < 7:  # too short for a piece
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last piece
            yield Record.FromString(parts)
            parts = b""
