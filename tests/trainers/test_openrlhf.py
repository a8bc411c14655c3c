"""OpenRLHF's own executor asks for rewards; run in verl's environment, beside it, by `make test-openrlhf`."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest

agent = pytest.importorskip("openrlhf.utils.agent")

from tests.serving import serving  # noqa: E402

from cxr_rewards import CompositeReward  # noqa: E402
from cxr_rewards.recipes import tiny  # noqa: E402

REPORTS = (
    "Small left pleural effusion.",
    "Large right pneumothorax.",
    "The lungs are clear.",
    "Severe pulmonary edema.",
)
LABEL = json.dumps({"reference": "Small left pleural effusion.", "priors": ["The lungs are clear."]})


class Engine:
    """Writes one report after the other, in place of vLLM."""

    def __init__(self, words):
        self.words, self.reports = words, list(REPORTS)

    async def generate(self, prompt, params, multi_modal_data=None):
        ids = self.words(self.reports.pop(0) + " <|im_end|>")["input_ids"]
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=ids, finish_reason="stop", logprobs=None)])


def rollouts(endpoint):
    """Return what OpenRLHF makes of four rollouts of a prompt."""
    words = tiny.tokenizer()
    executor = agent.SingleTurnAgentExecutor(endpoint)
    messages = [{"role": "user", "content": tiny.QUESTION}]
    prompt = words.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    params, engine = SimpleNamespace(max_tokens=8, logprobs=None), Engine(words)

    async def run():
        return await asyncio.gather(*(executor.execute(prompt, LABEL, params, 64, words, engine) for _ in REPORTS))

    return asyncio.run(run())


def expected():
    reference = json.loads(LABEL)
    rewards = CompositeReward().score_batch(
        candidates=REPORTS, references=[reference["reference"]] * 4, priors=[reference["priors"]] * 4
    )
    return [reward.value for reward in rewards]


@pytest.fixture
def settings(monkeypatch):
    # Decoding puts a token's blank where the prompt had none, so the report is found by the turn's marker.
    monkeypatch.setenv("CXR_REWARDS_OPTIONS", json.dumps({"unscored": -5.0, "marker": "<|im_start|> assistant"}))


def test_openrlhf_takes_the_function(settings, tmp_path):
    file = tmp_path / "reward.py"
    file.write_text("from cxr_rewards.adapters.openrlhf import reward_func\n")
    samples = rollouts(str(file))
    assert [one["reward"].item() for one in samples] == pytest.approx(expected(), abs=1e-6)
    assert all(0 <= one["scores"].item() <= 1 for one in samples)
    assert samples[0]["extra_logs"]["findings_soft_f1"].item() == 1.0
    assert samples[0]["extra_logs"]["unscored"].item() == 0.0


def test_openrlhf_asks_the_server(tmp_path):
    """By HTTP, as `--reward.remote_url http://host:8000/get_reward` has it."""
    with serving("--unscored", "-5", "--marker", "<|im_start|> assistant") as (url, _):
        samples = rollouts(f"{url}/get_reward")
    assert [one["reward"] for one in samples] == [[value] for value in expected()]
    assert all(0 <= one["scores"][0] <= 1 for one in samples)
    assert samples[0]["extra_logs"]["findings_soft_f1"] == [1.0]
