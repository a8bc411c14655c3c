"""Real GRPO runs of trl on a tiny vision-language model: the reward is learnt, and its parts are logged."""

from __future__ import annotations

import warnings

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.component import Component
from cxr_rewards.components.chexprompt import Chexprompt
from cxr_rewards.diagnostics import CollapseWarning, Diagnostics
from cxr_rewards.judges.client import close_judges
from cxr_rewards.testing.fake_judge import FakeJudge
from cxr_rewards.types import Failure, Score

pytest.importorskip("trl")
STEPS = 60


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
    tiny.warm_start(model, processor, steps=400)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    yield processor, model, state
    torch.set_num_threads(threads)


def train(started, reward, folder, steps=STEPS, **settings):
    """Train from the warm start; return the trainer."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from cxr_rewards.recipes import tiny

    processor, model, state = started
    model.load_state_dict(state)
    config = GRPOConfig(
        output_dir=str(folder), use_cpu=True, bf16=False, activation_checkpointing=False, num_generations=8,
        per_device_train_batch_size=128, max_completion_length=8, learning_rate=5e-4, lr_scheduler_type="constant",
        beta=0.0, max_steps=steps, report_to="none", save_strategy="no", dataloader_pin_memory=False, seed=0,
        logging_steps=1, disable_tqdm=True, **settings,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=model, reward_funcs=reward, args=config, train_dataset=Dataset.from_list(tiny.rows(256, seed=1)),
        processing_class=processor,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # trl's and transformers' own
        trainer.train()
    return trainer


def means(trainer, key="reward"):
    """Return the mean of the first and of the last eight steps."""
    values = [entry[key] for entry in trainer.state.log_history if key in entry]
    assert len(values) >= 16
    return sum(values[:8]) / 8, sum(values[-8:]) / 8


@pytest.mark.slow
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_vision_language_model_learns_the_reward(started, tmp_path, asynchronous):
    with FakeJudge() as judge:
        parts = CompositeReward().components
        component = Chexprompt(model="fake", base_url=judge.url, counts="all")
        weights = {label: term.weight for label, term in CompositeReward().total.terms.items()}
        reward = CompositeReward(
            {**parts, "chexprompt": component},
            weights={**weights, "chexprompt": 0.5},
            transforms={"prior_consistency": [{"affine": {"scale": -1.0, "offset": 1.0}}]},
        )
        watch = Diagnostics(tmp_path / "d.jsonl")
        trainer = train(
            started, reward.as_trl(group="study_id", diagnostics=watch, asynchronous=asynchronous), tmp_path,
            steps=STEPS if not asynchronous else 16,
        )  # fmt: skip
        asked = judge.requests
    close_judges()
    history = trainer.state.log_history
    for name in ("findings_soft_f1", "chexprompt", "reward"):
        assert sum(f"reward/{name}/mean" in entry for entry in history) >= 16
    assert 4 <= asked <= 400  # of thousands of rollouts: what a policy says again is not asked again
    assert watch.steps >= 16
    assert len((tmp_path / "d.jsonl").read_text().splitlines()) == watch.steps
    if not asynchronous:
        first, last = means(trainer)
        print(f"\nreward {first:.3f} -> {last:.3f}")
        assert last > first + 0.1


@pytest.mark.slow
def test_a_constant_reward_teaches_nothing(started, tmp_path):
    """The control: watched by the same metrics, with the weight on a constant."""
    labels = CompositeReward().components
    reward = CompositeReward({**labels, "constant": Constant()}, weights={"constant": 1.0})
    trainer = train(started, reward.as_trl(group="study_id", diagnostics=Diagnostics(warn=False)), tmp_path)
    first, last = means(trainer, "reward/findings_soft_f1/mean")
    print(f"\nfindings_soft_f1 under a constant reward {first:.3f} -> {last:.3f}")
    assert abs(last - first) < 0.1
    assert means(trainer) == (1.0, 1.0)


@pytest.mark.slow
def test_what_is_unscored_does_not_disturb_the_others(started, tmp_path):
    """Rollouts that fail are left out: with a constant reward for all others no weight moves."""
    reward = CompositeReward([Flaky()]).as_trl(group="study_id", diagnostics=Diagnostics(warn=False))
    trainer = train(started, reward, tmp_path, steps=3)
    logged = [
        entry["reward/reward/unscored"] for entry in trainer.state.log_history if "reward/reward/unscored" in entry
    ]
    assert max(logged) > 0.05
    _, model, state = started
    drift = max((model.state_dict()[key] - state[key]).abs().max().item() for key in state)
    assert drift < 1e-5


def test_warnings_of_a_collapse_are_warnings():
    assert issubclass(CollapseWarning, UserWarning)
