"""ms-swift scores its own samples with our class, and trains; run in ms-swift's environment by `make test-swift`."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("swift")

REFERENCE = "Small left pleural effusion."
REPORTS = (REFERENCE, "Large right pneumothorax.", "<think>Hm.</think>Left effusion.", "Clear lungs.")


@pytest.fixture(params=[False, True])
def function(request):
    from swift.rewards import orms

    from cxr_rewards.adapters.swift import register

    name = f"cxr_{request.param}"
    made = register(name, asynchronous=request.param, reference="report", priors="before", context=["age"])
    yield orms[name](args=None)
    assert orms.pop(name) is made


def samples(references=None):
    from swift.rl_core.data import GRPOSample

    references = references or [REFERENCE] * len(REPORTS)
    return [
        GRPOSample.from_row({
            "messages": [{"role": "user", "content": "Report."}, {"role": "assistant", "content": text}],
            "prompt_id": "p", "request_id": f"r{i}", "report": reference, "before": '["Clear lungs."]', "age": 60,
        })
        for i, (text, reference) in enumerate(zip(REPORTS, references, strict=True))
    ]  # fmt: skip


def score(function, rows):
    import torch
    from swift.rl_core.grpo_algorithm import score_completions

    rewards = score_completions(rows, [function], [None], use_gym_env=False, device=torch.device("cpu"))
    return rewards[:, 0].tolist()


def expected():
    from cxr_rewards import CompositeReward

    texts = [text.rpartition("</think>")[2] for text in REPORTS]
    rewards = CompositeReward().score_batch(candidates=texts, references=[REFERENCE] * 4, priors=[["Clear lungs."]] * 4)
    return [r.value for r in rewards]


def test_swifts_own_samples_get_our_numbers(function):
    assert type(function).__name__.startswith("cxr_")
    assert score(function, samples()) == pytest.approx(expected(), rel=1e-6)


def test_what_is_unscored_has_no_advantage(function):
    """A missing reward would be a 0 to ms-swift: the group's mean takes its place."""
    values = score(function, samples([REFERENCE, " ", REFERENCE, REFERENCE]))
    known = [value for i, value in enumerate(expected()) if i != 1]
    assert values[1] == pytest.approx(sum(known) / 3, rel=1e-6)
    assert not any(map(math.isnan, values))


def test_swift_trains_with_a_plugin_of_two_lines(tmp_path):
    """`swift rlhf --rlhf_type grpo` on a tiny language model on the CPU, with our reward by its name."""
    from cxr_rewards.recipes import tiny

    words = tiny.tokenizer()
    words.save_pretrained(tmp_path / "model")
    tiny.text_model(words).save_pretrained(tmp_path / "model")
    row = {"messages": [{"role": "user", "content": tiny.QUESTION}], "report": tiny.REPORTS[0]}
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for _ in range(16)))
    (tmp_path / "plugin.py").write_text(
        "from cxr_rewards.adapters.swift import register\n"
        "register(reference='report', diagnostics='diagnostics.jsonl')\n"
    )
    options = {
        "rlhf_type": "grpo", "model": "model", "model_type": "qwen2", "template": "qwen2_5", "dataset": "train.jsonl",
        "external_plugins": "plugin.py", "reward_funcs": "cxr_rewards", "use_vllm": "false", "num_generations": "4",
        "per_device_train_batch_size": "8", "max_steps": "3", "torch_dtype": "float32", "tuner_type": "full",
        "max_completion_length": "6", "output_dir": "out", "logging_steps": "1", "save_strategy": "no",
        "use_hf": "true", "gradient_checkpointing": "false", "report_to": "none",
    }  # fmt: skip
    done = subprocess.run(
        [Path(sys.executable).with_name("swift"), "rlhf", *(x for k, v in options.items() for x in (f"--{k}", v))],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    ours = [json.loads(line) for line in (tmp_path / "diagnostics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in ours] == [0, 1, 2]
    (log,) = (tmp_path / "out").glob("*/logging.jsonl")
    theirs = [json.loads(line) for line in log.read_text().splitlines()]
    means = [float(line["rewards/cxr_rewards/mean"]) for line in theirs if "rewards/cxr_rewards/mean" in line]
    assert means == pytest.approx([line["reward/mean"] for line in ours], abs=1e-4)
