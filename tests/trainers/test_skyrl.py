"""SkyRL's own gym runs our environment; run in the trainers' environment by `make test-skyrl`.

The loop around it is a stand-in for `SkyRLGymGenerator.agent_loop`, whose package needs vLLM.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

skyrl_gym = pytest.importorskip("skyrl_gym")

from skyrl_gym.metrics import aggregate_for_environment  # noqa: E402

from cxr_rewards import CompositeReward  # noqa: E402
from cxr_rewards.adapters.skyrl import register  # noqa: E402
from cxr_rewards.errors import ConfigError  # noqa: E402

REFERENCE = "Small left pleural effusion."
PRIOR = "The lungs are clear."
PROMPT = [{"role": "user", "content": "Report this film."}]
TEXTS = (REFERENCE, f"<think>Hm.</think>{PRIOR}<|im_end|>", r"Thus \boxed{\text{Left pleural effusion.}}")
LABELS = (REFERENCE, json.dumps({"reference": REFERENCE, "priors": [PRIOR]}), {"reference": REFERENCE})


def rollouts(texts, rows):
    """Return reward, state and metrics of each rollout, and the means that SkyRL logs."""
    executor = ThreadPoolExecutor(max_workers=32)

    async def one(text, row):
        loop = asyncio.get_running_loop()
        extras = {**row, "max_turns": 1}
        env = skyrl_gym.make("cxr_rewards", env_config={}, extras=extras)
        history, _ = await loop.run_in_executor(executor, env.init, list(PROMPT))
        assert history == PROMPT
        output = await loop.run_in_executor(executor, env.step, text)
        assert output["observations"] == []
        assert output.get("postprocessed_action") is None
        metrics = env.get_metrics()
        await loop.run_in_executor(executor, env.close)
        return float(output["reward"]), output["done"], metrics

    async def run():
        return await asyncio.gather(*(one(text, row) for text, row in zip(texts, rows, strict=True)))

    results = asyncio.run(run())
    return results, aggregate_for_environment("cxr_rewards", [metrics for _, _, metrics in results])


def rows(labels=LABELS):
    return [{"data_source": "cxr", "reward_spec": {"method": "rule", "ground_truth": one}} for one in labels]


def test_skyrl_takes_the_environment():
    register(unscored=-5.0)
    results, means = rollouts(TEXTS, rows())
    reports, priors = [REFERENCE, PRIOR, "Left pleural effusion."], [(), (PRIOR,), ()]
    expected = CompositeReward().score_batch(candidates=reports, references=[REFERENCE] * 3, priors=priors)
    assert [value for value, _, _ in results] == pytest.approx([reward.value for reward in expected])
    assert all(done for _, done, _ in results)
    assert means["unscored"] == 0.0
    assert means["findings_soft_f1"] == pytest.approx(sum(r.parts["findings_soft_f1"].value for r in expected) / 3)


def test_what_is_unscored_gets_its_number_and_does_not_move_the_means():
    register(unscored=-5.0)
    results, means = rollouts([REFERENCE] * 3, rows([REFERENCE, " ", None]))
    assert [value for value, _, _ in results] == [1.0, -5.0, -5.0]
    assert means["unscored"] == pytest.approx(2 / 3)
    assert means["findings_soft_f1"] == 1.0  # of the one that has a value


def test_priors_and_context_may_be_columns_and_answers_of_other_forms():
    register(unscored=-5.0, context=["age"], extract={"markers": ["Final answer:"]})
    (row,) = rows([REFERENCE])
    results, _ = rollouts([f"Hm. Final answer: {PRIOR}"], [{**row, "priors": [PRIOR], "age": 60}])
    assert results[0][2]["copy_prior"] > 0.9


def test_data_without_a_reference_and_bad_options_are_reported():
    register(unscored=-5.0)
    with pytest.raises(ConfigError, match=r"skyrl: the data: unknown column 'reward_spec.ground_truth'; known: answer"):
        skyrl_gym.make("cxr_rewards", extras={"answer": REFERENCE})
    with pytest.raises(ConfigError, match="give the value of an unscored sample"):
        register(config="rules")
    with pytest.raises(ConfigError, match="one by one here, so unscored must be a number"):
        register(unscored="group_mean")
