"""verl's own reward managers score real batches through our function; run in verl's environment by `make test-verl`."""

from __future__ import annotations

import asyncio
import os

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


def config(folder, name="naive"):
    from omegaconf import OmegaConf

    return OmegaConf.create({
        "reward": {
            "num_workers": 2,
            "custom_reward_function": {
                "path": "pkg://cxr_rewards.adapters.verl", "name": "compute_score", "reward_kwargs": OPTIONS,
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


def test_verls_reward_loop_scores_a_batch_in_its_own_workers(tokenizer):
    import ray
    from verl.experimental.reward_loop import RewardLoopManager

    made, folder = tokenizer
    paths = os.pathsep.join(p for p in (os.getcwd(), os.environ.get("PYTHONPATH", "")) if p)
    ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": paths}}, log_to_driver=False)
    try:
        result = RewardLoopManager(config(folder)).compute_rm_score(batch(made))
    finally:
        ray.shutdown()
    assert result.batch["rm_scores"].sum(dim=1).tolist() == pytest.approx(expected())
    assert result.non_tensor_batch["findings_soft_f1"].shape == (len(REPORTS),)
