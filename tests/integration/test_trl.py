"""Real runs of trl on tiny models, with and without eyes: the reward is learnt, and its parts are logged."""

from __future__ import annotations

import asyncio
import json
import math
import pickle
import runpy
import sys
import warnings

import pytest
from tests.command_line import run

from cxr_rewards import CompositeReward
from cxr_rewards.adapters import trl as adapter
from cxr_rewards.adapters.diagnostics import CollapseWarning, Diagnostics
from cxr_rewards.core.component import Component
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.protocols.chexprompt import Chexprompt
from cxr_rewards.testing.fake_judge import FakeJudge
from cxr_rewards.types import Failure, Score

pytest.importorskip("trl")
STEPS = 24


class Constant(Component):
    """1 for every report."""

    name = "constant"
    summary = "always 1"
    reads = ("candidate",)

    def score_case(self, case, features):
        return Score(1.0)


class Flaky(Component):
    """1 for every report, missing for those that speak of the heart's size."""

    name = "flaky"
    summary = "always 1, or missing"
    reads = ("candidate",)

    def score_case(self, case, features):
        if case.candidate.startswith("Severe"):
            return Score(None, failure=Failure("flaky", "made to fail"))
        return Score(1.0)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A model that writes reports and is often wrong, and its processor."""
    import torch

    from cxr_rewards.recipes import tiny

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on a shared machine two threads wait for each other
    processor = tiny.processor()
    model = tiny.model(processor.tokenizer)
    tiny.warm_start(model, processor)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    yield processor, model, state
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def started_text(started):
    """The same as a text-only model, whose prompt names what the film shows, and its tokenizer."""
    from cxr_rewards.recipes import tiny

    words = tiny.tokenizer()
    model = tiny.text_model(words)
    tiny.warm_start(model, words)
    return words, model, {key: value.clone() for key, value in model.state_dict().items()}


def train(started, reward, folder, steps=STEPS, algorithm="GRPO", **settings):
    """Train from the warm start; return the trainer."""
    import trl
    from datasets import Dataset

    from cxr_rewards.recipes import tiny

    processor, model, state = started
    model.load_state_dict(state)
    config = getattr(trl, f"{algorithm}Config")(
        output_dir=str(folder), use_cpu=True, bf16=False, activation_checkpointing=False, num_generations=8,
        per_device_train_batch_size=64, max_completion_length=8, learning_rate=5e-4, lr_scheduler_type="constant",
        beta=0.0, max_steps=steps, save_strategy="no", dataloader_pin_memory=False, seed=0,
        logging_steps=1, disable_tqdm=True, **{"report_to": "none", **settings},
    )  # fmt: skip
    rows = tiny.rows(256, seed=1, films=hasattr(processor, "image_processor"))
    trainer = getattr(trl, f"{algorithm}Trainer")(
        model=model, reward_funcs=reward, args=config, train_dataset=Dataset.from_list(rows), processing_class=processor
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # trl's and transformers' own
        trainer.train()
    return trainer


def means(trainer, key="reward"):
    """Return the mean of the first and of the last five steps."""
    values = [entry[key] for entry in trainer.state.log_history if key in entry]
    assert len(values) == STEPS
    return sum(values[:5]) / 5, sum(values[-5:]) / 5


@pytest.mark.slow
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_vision_language_model_learns_the_reward(started, tmp_path, asynchronous):
    with FakeJudge() as judge:
        rules = CompositeReward()
        component = Chexprompt(model="fake", base_url=judge.url, counts="all")
        weights = {label: term.weight for label, term in rules.total.terms.items()}
        reward = CompositeReward(
            {**rules.components, "chexprompt": component},
            weights={**weights, "chexprompt": 0.5},
            transforms={label: term.transforms for label, term in rules.total.terms.items()},
        )
        watch = Diagnostics(tmp_path / "d.jsonl")
        trainer = train(
            started, reward.as_trl(group="study_id", diagnostics=watch, asynchronous=asynchronous), tmp_path,
            steps=STEPS if not asynchronous else 6,
        )  # fmt: skip
        asked = judge.requests
    close_judges()
    history = trainer.state.log_history
    for name in ("findings_soft_f1/mean", "chexprompt/mean", "above_constant"):
        assert sum(f"cxr_rewards/{name}" in entry for entry in history) == watch.steps
    assert 4 <= asked <= 400  # of thousands of rollouts: what a policy says again is not asked again
    assert watch.steps == (6 if asynchronous else STEPS)
    assert len((tmp_path / "d.jsonl").read_text().splitlines()) == watch.steps
    if not asynchronous:
        first, last = means(trainer)
        print(f"\nreward {first:.3f} -> {last:.3f}")
        assert last > first + 0.3


@pytest.mark.slow
def test_a_constant_reward_teaches_nothing(started_text, tmp_path):
    """The control: watched by the same metrics, with the weight on a constant."""
    labels = CompositeReward().components
    reward = CompositeReward({**labels, "constant": Constant()}, weights={"constant": 1.0})
    score = reward.as_trl(group="study_id", diagnostics=Diagnostics(warn=False), log="all")
    trainer = train(started_text, score, tmp_path)
    first, last = means(trainer, "cxr_rewards/findings_soft_f1/mean")
    print(f"\nfindings_soft_f1 under a constant reward {first:.3f} -> {last:.3f}")
    assert abs(last - first) < 0.1
    assert means(trainer) == (1.0, 1.0)


@pytest.mark.slow
def test_a_text_model_learns_the_reward_by_rloo(started_text, tmp_path):
    reward = CompositeReward().as_trl(group="study_id", diagnostics=tmp_path / "d.jsonl")
    trainer = train(started_text, reward, tmp_path, algorithm="RLOO")
    first, last = means(trainer)
    shares = [e["cxr_rewards/share_of_step"] for e in trainer.state.log_history if "cxr_rewards/share_of_step" in e]
    print(f"\nreward {first:.3f} -> {last:.3f}; scoring takes {sum(shares) / len(shares):.1%} of a step")
    assert last > first + 0.2
    assert len(shares) == STEPS - 1  # of the first step it is not known yet


def scalars(folder):
    """Return the numbers in TensorBoard's files of a folder, by name: records of length, checksum, event, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in folder.rglob("events.out.tfevents.*"):
        data = path.read_bytes()
        at = 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 8], "little")
            event = Event.FromString(data[at + 12 : at + 12 + size])
            at += 16 + size
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


@pytest.mark.slow
def test_tensorboard_gets_the_numbers_and_the_folder_the_table_and_the_rollouts(started_text, tmp_path):
    pytest.importorskip("tensorboardX")
    pl = pytest.importorskip("polars")
    reward = CompositeReward().as_trl(
        group="study_id", diagnostics=tmp_path / "d.jsonl", rollout_log=tmp_path / "r.jsonl", log=["default", "bleu/*"]
    )
    train(started_text, reward, tmp_path / "out", steps=2, report_to="tensorboard", log_completions=True)
    logged = scalars(tmp_path / "out")
    ours = {
        name.removeprefix("train/cxr_rewards/"): of
        for name, of in logged.items()
        if name.startswith("train/cxr_rewards/")
    }
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    for name in ("findings_soft_f1/mean", "normal_rate", "bleu/std"):
        assert list(ours[name].values()) == pytest.approx([line[name] for line in lines], abs=1e-4)
    above = [line["reward/above_constant"] for line in lines]
    assert list(ours["above_constant"].values()) == pytest.approx(above, abs=1e-4)
    assert len(ours) <= 24
    table = pl.read_parquet(next((tmp_path / "out" / "completions").iterdir()))
    assert {"findings_soft_f1", "unscored", "unscored_kind"} <= set(table.columns)
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert len(rows) == sum(line["rollouts"] for line in lines) == 128
    assert {row["step"] for row in rows} == {line["step"] for line in lines}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # trl's and transformers' own
def test_trl_finds_the_reward_by_name(started_text, tmp_path, monkeypatch, capsys):
    """`trl grpo --reward_funcs cxr_rewards.adapters.trl.reward`, set by the environment alone."""
    from cxr_rewards.recipes import tiny

    words, model, state = started_text
    model.load_state_dict(state)
    model.save_pretrained(tmp_path / "model")
    words.save_pretrained(tmp_path / "model")
    (tmp_path / "data").mkdir()
    rows = [{**row, "report": row.pop("reference")} for row in tiny.rows(64, films=False)]
    (tmp_path / "data" / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    options = {"reference": "report", "group": "study_id", "diagnostics": str(tmp_path / "d.jsonl")}
    settings = {
        "model_name_or_path": tmp_path / "model", "dataset_name": tmp_path / "data", "output_dir": tmp_path / "out",
        "reward_funcs": "cxr_rewards.adapters.trl.reward", "use_cpu": True, "bf16": False, "max_steps": 3,
        "num_generations": 8, "per_device_train_batch_size": 32, "max_completion_length": 8, "report_to": "none",
        "logging_steps": 1, "save_strategy": "no", "activation_checkpointing": False, "learning_rate": 1e-4,
        "dtype": "float32", "dataset_train_split": "train",
    }  # fmt: skip
    arguments = [part for key, value in settings.items() for part in (f"--{key}", str(value))]
    monkeypatch.setattr(adapter.reward, "_made", None)
    monkeypatch.setenv("CXR_REWARDS_CONFIG", "rules")
    monkeypatch.setenv("CXR_REWARDS_OPTIONS", json.dumps(options))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["grpo", *arguments])
    runpy.run_module("trl.scripts.grpo", run_name="__main__")  # as a program, in this process: trl is imported already
    assert "cxr_rewards/findings_soft_f1/mean" in capsys.readouterr().out
    steps = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert len(steps) == 3
    low, high = CompositeReward().bounds
    assert all(low < step["reward/mean"] < high for step in steps)


def test_asynchronous_grpo_of_trl_scores_groups():
    """AsyncGRPO pickles the function into a process of its own and calls it a group at a time, without hooks."""
    worker = pytest.importorskip("trl.experimental.async_grpo.async_rollout_worker")
    loop = object.__new__(worker._AsyncRolloutLoop)
    for asynchronous in (False, True):
        made = CompositeReward([Flaky(), CompositeReward().components["rouge_l"]]).as_trl(asynchronous=asynchronous)
        loop.reward_funcs = [pickle.loads(pickle.dumps(made))]
        loop.reward_func_names, loop._env_reward_types, loop._provides_rollout_reward = ["cxr_rewards"], [], False
        texts = ["Small left effusion.", "Severe cardiomegaly.", "Clear lungs.", "Left effusion."]
        completions = [[{"role": "assistant", "content": text}] for text in texts]
        sequence = worker.TrainingSequence([1, 2], completion_mask=[0, 1], old_log_probs=[0.0, 0.0], rollout_id=0)
        group = worker.RolloutGroup(
            prompts=[[{"role": "user", "content": "?"}]] * 4, completions=completions, completions_ids=[[2]] * 4,
            completions_sequences=[[sequence]] * 4, reward_kwargs={"reference": ["Small left effusion."] * 4},
            tool_call_counts=[0] * 4, tool_failure_counts=[0] * 4, env_rewards=[None] * 4, rollout_rewards=[None] * 4,
            model_version=0, group_id=0,
        )  # fmt: skip
        samples = asyncio.run(loop._score_group(group))
        got = [sample.metrics["reward"] for sample in samples]
        assert got[0] == 1.0
        assert math.isnan(got[1])
        assert samples[1].advantage == 0.0
        assert got[0] > got[3] > got[2]


@pytest.mark.slow
def test_what_is_unscored_does_not_disturb_the_others(started, tmp_path):
    """Rollouts that fail are left out: with a constant reward for all others no weight moves."""
    reward = CompositeReward([Flaky()]).as_trl(group="study_id", diagnostics=Diagnostics(warn=False))
    trainer = train(started, reward, tmp_path, steps=3)
    logged = [entry["cxr_rewards/unscored"] for entry in trainer.state.log_history if "cxr_rewards/unscored" in entry]
    assert max(logged) > 0.05
    _, model, state = started
    drift = max((model.state_dict()[key] - state[key]).abs().max().item() for key in state)
    assert drift < 1e-5


def test_warnings_of_a_collapse_are_warnings():
    assert issubclass(CollapseWarning, UserWarning)


def test_dpo_learns_pairs_that_the_command_wrote(started_text, tmp_path):
    from datasets import load_dataset
    from trl import DPOConfig, DPOTrainer

    from cxr_rewards.recipes import tiny

    rows = [{**row, "candidate": text} for row in tiny.rows(16, films=False) for text in tiny.REPORTS]
    (tmp_path / "candidates.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run(
        "pairs",
        tmp_path / "candidates.jsonl",
        "-o",
        tmp_path / "pairs.jsonl",
        "--group",
        "study_id",
        "--per-group",
        "0",
    )
    assert done.returncode == 0, done.stderr
    data = load_dataset(
        "json", data_files=str(tmp_path / "pairs.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    words, model, state = started_text
    model.load_state_dict(state)
    same = tiny.text_model(words)
    same.load_state_dict(state)
    config = DPOConfig(
        output_dir=str(tmp_path / "out"), use_cpu=True, bf16=False, activation_checkpointing=False, max_steps=6,
        per_device_train_batch_size=16, learning_rate=1e-3, lr_scheduler_type="constant", report_to="none",
        save_strategy="no", dataloader_pin_memory=False, seed=0, logging_steps=1, disable_tqdm=True,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # trl's and transformers' own
        trainer = DPOTrainer(model=model, ref_model=same, args=config, train_dataset=data, processing_class=words)
        trainer.train()
    margins = [entry["rewards/margins"] for entry in trainer.state.log_history if "rewards/margins" in entry]
    assert margins[0] == pytest.approx(0, abs=1e-6)
    assert margins[-1] > 0.1
    assert trainer.state.log_history[-2]["rewards/accuracies"] > 0.8
