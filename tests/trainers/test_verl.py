"""verl's own reward managers score real batches through our function; run in verl's environment by `make test-verl`."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shlex
import warnings

import pytest

verl = pytest.importorskip("verl")

REFERENCE = "Small left pleural effusion."
REPORTS = (
    "Small left pleural effusion.",
    "Large right pneumothorax.",
    "<think>Hm.</think>Left effusion.",
    "Clear lungs.",
)
OPTIONS = {"config": "rules", "unscored": -5.0}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = sorted({word for text in (*REPORTS, REFERENCE, "Report this film.") for word in text.split()})
    raw = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate(["<unk>", "<pad>", "<eos>", *words])}, unk_token="<unk>")
    )
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+"), "removed")
    made = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>")
    folder = tmp_path_factory.mktemp("tokenizer")
    made.save_pretrained(folder)
    return made, folder


def batch(tokenizer, references=None):
    """A DataProto of the reports as rollouts."""
    import numpy as np
    import torch
    from verl import DataProto

    prompt = tokenizer("Report this film.")["input_ids"]
    answers = [tokenizer(text)["input_ids"] for text in REPORTS]
    longest = max(map(len, answers))
    prompts = torch.tensor([[1, *prompt]] * len(REPORTS))
    responses = torch.tensor([ids + [1] * (longest - len(ids)) for ids in answers])
    mask = torch.cat([(prompts != 1).long(), (responses != 1).long()], dim=1)

    def column(values):
        made = np.empty(len(values), dtype=object)
        made[:] = values
        return made

    references = references or [REFERENCE] * len(REPORTS)
    return DataProto.from_dict(
        tensors={
            "prompts": prompts, "responses": responses, "attention_mask": mask,
            "input_ids": torch.cat([prompts, responses], dim=1),
        },
        non_tensors={
            "data_source": column(["cxr"] * len(REPORTS)),
            "reward_model": column([{"ground_truth": reference} for reference in references]),
            "extra_info": column([{"priors": ["Clear lungs."], "age": 60}] * len(REPORTS)),
            "uid": column(["u"] * len(REPORTS)),
        },
    )  # fmt: skip


def config(folder, name="naive", reward="rules"):
    from omegaconf import OmegaConf

    return OmegaConf.create({
        "reward": {
            "num_workers": 2,
            "custom_reward_function": {
                "path": "pkg://cxr_rewards.adapters.verl", "name": "compute_score", "reward_kwargs": {**OPTIONS, "config": reward},
            },
            "reward_manager": {"source": "register", "name": name, "module": {"path": None, "name": None}},
            "reward_model": {"enable": False},
        },
        "actor_rollout_ref": {"model": {"path": str(folder), "tokenizer_path": str(folder)}},
        "trainer": {"experiment_name": "test"},
    })  # fmt: skip


def expected():
    from cxr_rewards import CompositeReward

    texts = [text.rpartition("</think>")[2] for text in REPORTS]
    return [
        r.value
        for r in CompositeReward().score_batch(
            candidates=texts, references=[REFERENCE] * 4, priors=[["Clear lungs."]] * 4
        )
    ]


def test_verls_manager_scores_samples_one_by_one(tokenizer):
    from verl.trainer.ppo.reward import load_reward_manager

    made, folder = tokenizer
    data = batch(made)

    async def run():
        manager = load_reward_manager(config(folder), made)  # it keeps the loop that it is made in
        return await asyncio.gather(*(manager.run_single(data[i : i + 1]) for i in range(len(REPORTS))))

    results = asyncio.run(run())
    assert [result["reward_score"] for result in results] == pytest.approx(expected())
    keys = [set(result["reward_extra_info"]) for result in results]
    assert keys[0] >= {"findings_soft_f1", "unscored"}
    assert all(other == keys[0] for other in keys)


def test_what_is_unscored_gets_its_number_and_the_same_keys(tokenizer):
    from verl.trainer.ppo.reward import load_reward_manager

    made, folder = tokenizer
    data = batch(made, [REFERENCE, " ", REFERENCE, REFERENCE])

    async def run():
        manager = load_reward_manager(config(folder), made)
        return [await manager.run_single(data[i : i + 1]) for i in (0, 1)]

    good, lost = asyncio.run(run())
    assert lost["reward_score"] == -5.0
    assert lost["reward_extra_info"]["unscored"] == 1.0
    assert set(good["reward_extra_info"]) == set(lost["reward_extra_info"])


def test_a_component_without_a_value_does_not_move_verls_means(tokenizer, tmp_path):
    """A sample scored without one of its components adds nothing to the component's mean, and one to its count."""
    import numpy as np
    from verl.trainer.ppo.metric_utils import process_validation_metrics
    from verl.trainer.ppo.reward import load_reward_manager

    made, folder = tokenizer
    (tmp_path / "r.toml").write_text(
        'on_failure = "renormalize"\n[components.bleu]\nweight = 0.5\n[components.format]\nweight = 0.5\n'
    )
    data = batch(made, [REFERENCE, " ", REFERENCE, REFERENCE])

    async def run():
        manager = load_reward_manager(config(folder, reward=str(tmp_path / "r.toml")), made)
        return await asyncio.gather(*(manager.run_single(data[i : i + 1]) for i in range(4)))

    infos = [result["reward_extra_info"] for result in asyncio.run(run())]
    columns = {key: np.array([info[key] for info in infos]).tolist() for key in infos[0]}  # as verl's loop has them
    known = [info["bleu"] for info in infos if not info["bleu/unscored"]]
    assert len(known) == 3
    for uids, per_prompt, n in ((list("abcd"), 1, 1), (["a"] * 4, 4, 3)):
        means = process_validation_metrics(["cxr"] * 4, uids, columns)["cxr"]
        assert means["bleu"][f"mean@{n}"] == pytest.approx(sum(known) / 3)
        assert means["bleu/unscored"][f"mean@{per_prompt}"] == 0.25


@pytest.mark.parametrize("reward", ["rules", "ray:pool"])
def test_verls_reward_loop_scores_a_batch_in_its_own_workers(tokenizer, reward):
    """Each worker with a reward of its own, or all with one pool of actors in verl's cluster."""
    import ray
    from verl.experimental.reward_loop import RewardLoopManager

    from cxr_rewards.remote.ray import RayReward

    made, folder = tokenizer
    paths = os.pathsep.join(p for p in (os.getcwd(), os.environ.get("PYTHONPATH", "")) if p)
    ray.init(num_cpus=4, include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": paths}}, log_to_driver=False)
    try:
        pool = RayReward("rules", actors=1, name="pool") if reward == "ray:pool" else None
        result = RewardLoopManager(config(folder, reward=reward)).compute_rm_score(batch(made))
        del pool
    finally:
        ray.shutdown()
    assert result.batch["rm_scores"].sum(dim=1).tolist() == pytest.approx(expected())
    assert result.non_tensor_batch["findings_soft_f1"].shape == (len(REPORTS),)


@pytest.mark.parametrize("name", ["unirg_step1", "unirg_step2"])
def test_verl_takes_the_recipe(name, tmp_path, monkeypatch):
    """verl's configuration bears every number of the recipe, and its data set reads what the recipe writes."""
    import tomllib
    from importlib import resources

    from hydra import compose, initialize_config_module
    from PIL import Image
    from verl.trainer.ppo.utils import need_reference_policy
    from verl.utils.config import validate_config
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from cxr_rewards.adapters.verl import compute_score
    from cxr_rewards.recipes import grpo_verl, tiny
    from cxr_rewards.testing.models import build_models

    monkeypatch.setenv("CXR_REWARDS_MODELS", str(build_models(tmp_path / "models")))
    for image in ("now.png", "before.png"):
        Image.new("L", (64, 64), 90).save(tmp_path / image)
    rows = [
        {"image": "now.png", "reference": REFERENCE, "study_id": "a", "prior_report": "Clear lungs.", "prior_image": "before.png"},
        {"image": "now.png", "reference": "Clear lungs.", "study_id": "b"},
    ]  # fmt: skip
    for end in ("train", "eval"):
        (tmp_path / f"{end}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    text = resources.files("cxr_rewards.recipes").joinpath(f"{name}.toml").read_text()
    for end in ("train", "eval"):
        text = text.replace(f'"{end}.jsonl"', json.dumps(str(tmp_path / f"{end}.jsonl")))
    (tmp_path / "mine.toml").write_text(text)
    monkeypatch.setattr(grpo_verl.sys, "stdout", io.StringIO())
    assert (
        grpo_verl.main(
            [
                "--config",
                str(tmp_path / "mine.toml"),
                "-o",
                str(tmp_path / "out"),
                "--no-sft",
                "--print",
                "trainer.nnodes=2",
            ]
        )
        == 0
    )
    commands = shlex.split(grpo_verl.sys.stdout.getvalue())
    assert commands[1:3] == ["-m", "verl.trainer.main_ppo"]

    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose("ppo_trainer", overrides=commands[3:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that GRPO has no critic
        validate_config(config, need_reference_policy(config), use_critic=False)
    recipe = tomllib.loads(text)["grpo"]
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    assert (rollout.n, config.data.train_batch_size * rollout.n) == (16, 1024)
    assert actor.ppo_mini_batch_size * rollout.n == 256  # the paper's batch; several updates, so that the clip acts
    assert (actor.optim.lr, actor.clip_ratio_high) == (5e-6, recipe["epsilon_high"])
    assert (need_reference_policy(config), actor.kl_loss_coef) == (name == "unirg_step2", recipe["beta"])
    assert rollout.val_kwargs.temperature == 0
    assert config.trainer.nnodes == 2

    config.data.filter_overlong_prompts = False  # opens images by qwen-vl-utils, which needs torchvision
    data = RLHFDataset(config.data.train_files, tiny.tokenizer(), config.data, processor=tiny.processor())
    first, second = data[0], data[1]
    (message,) = first["raw_prompt"]
    assert [part["type"] for part in message["content"]] == ["image", "image", "text"]
    assert message["content"][0]["max_pixels"] == 512 * 512
    assert len(second["raw_prompt"][0]["content"]) == 2
    kwargs = {**config.reward.custom_reward_function.reward_kwargs, "config": "rules", "judge": None, "unscored": -5.0}
    result = asyncio.run(
        compute_score(
            first["data_source"], REFERENCE, first["reward_model"]["ground_truth"], first["extra_info"], **kwargs
        )
    )
    assert result["score"] == 1.0
    assert len(list((tmp_path / "out" / "diagnostics").glob("*.jsonl"))) == 1
