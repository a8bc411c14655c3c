"""EasyR1's and slime's calling code, as stand-ins of a few lines: their forms, and numbers they can work with."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from types import SimpleNamespace

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.adapters import slime
from cxr_rewards.adapters.rollouts import OPTIONS_VARIABLE
from cxr_rewards.errors import ConfigError, InputError, ModelLoadError
from cxr_rewards.remote.load import CONFIG_VARIABLE

REFERENCE = "Small left pleural effusion."
PRIOR = "The lungs are clear."
LABEL = json.dumps({"reference": REFERENCE, "priors": [PRIOR], "age": 60})
TEXTS = (REFERENCE, f"<think>Hm.</think>{PRIOR}<|im_end|>", r"Thus \boxed{\text{Left pleural effusion.}}")
REPORTS = (REFERENCE, PRIOR, "Left pleural effusion.")


def expected(priors=(PRIOR,)):
    rewards = CompositeReward().score_batch(candidates=REPORTS, references=[REFERENCE] * 3, priors=[priors] * 3)
    return [reward.value for reward in rewards]


def easyr1(path, texts, truths, **kwargs):
    """Return what EasyR1's reward manager makes of rollouts: a number each, and the means of what else it is told."""
    file, _, name = path.partition(":")
    spec = importlib.util.spec_from_file_location("custom_reward_fn", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.REWARD_NAME == "cxr_rewards"
    function = partial(getattr(module, name), **kwargs)
    inputs = [
        {"response": text, "response_length": len(text.split()), "ground_truth": truth}
        for text, truth in zip(texts, truths, strict=True)
    ]
    scores = function(inputs) if module.REWARD_TYPE == "batch" else [function(one) for one in inputs]
    metrics = defaultdict(list)
    for score in scores:
        for key, value in score.items():
            metrics[key].append(value)
    assert {len(values) for values in metrics.values()} == {len(texts)}
    return [score["overall"] for score in scores], {key: sum(values) / len(values) for key, values in metrics.items()}


@pytest.fixture(params=["batch", "sequential"])
def easyr1_file(request, tmp_path):
    line = "from cxr_rewards.adapters.easyr1 import REWARD_NAME, REWARD_TYPE, compute_score\n"
    (tmp_path / "reward.py").write_text(
        line + ('REWARD_TYPE = "sequential"\n' if request.param == "sequential" else "")
    )
    return f"{tmp_path}/reward.py:compute_score"


def test_easyr1_gets_the_same_numbers_in_both_forms(easyr1_file):
    values, means = easyr1(easyr1_file, TEXTS, [LABEL] * 3, unscored=-5.0, context=["age"])
    assert values == pytest.approx(expected())
    assert means["findings_soft_f1/unscored"] == means["unscored"] == 0.0
    assert easyr1(easyr1_file, TEXTS, [REFERENCE] * 3, unscored=-5.0)[0] == pytest.approx(expected(()))


def test_easyr1_gets_numbers_for_what_cannot_be_scored(easyr1_file):
    values, means = easyr1(easyr1_file, [*TEXTS, REFERENCE], [LABEL, " ", None, '{"ref": "x"}'], unscored=-5.0)
    assert values == [1.0, -5.0, -5.0, -5.0]
    assert means["unscored"] == 0.75
    assert all(map(isfinite, means.values()))


def test_a_batch_of_easyr1_may_replace_the_unscored_by_the_mean_of_their_group(tmp_path):
    from cxr_rewards.adapters.easyr1 import __file__ as file

    path, studies = f"{file}:compute_score", [json.dumps({"reference": REFERENCE, "group": s}) for s in "aaabbb"]
    options = {"group": "group", "unscored": "group_mean", "config": "rules"}
    texts = [REFERENCE, None, PRIOR, PRIOR, PRIOR, PRIOR]
    values, _ = easyr1(path, [text or "" for text in texts], studies, **options)
    assert values[1] < values[0]  # an empty report is a bad report
    with pytest.raises(ConfigError, match="one by one here, so unscored must be a number below .*not 'group_mean'"):
        easyr1_sequential(options)
    (tmp_path / "gdpo.toml").write_text('normalize = "group"\n[components.findings_soft_f1]\nweight = 1.0\n')
    gdpo = {**options, "config": str(tmp_path / "gdpo.toml"), "group_size": 3}
    values, _ = easyr1(path, [REFERENCE, PRIOR, PRIOR] * 2, studies, **gdpo)
    assert sum(values) == pytest.approx(0, abs=1e-9)
    assert values[0] > 1 > values[1]
    with pytest.raises(ConfigError, match="group 'b' has 2 rollouts in this call, not 3"):
        easyr1(path, [REFERENCE] * 5, studies[:5], **gdpo)


def easyr1_sequential(options):
    from cxr_rewards.adapters.easyr1 import compute_score

    return compute_score({"response": REFERENCE, "ground_truth": REFERENCE}, **options)


@pytest.mark.parametrize(
    ("options", "sample", "error"),
    [
        ({}, {"response": "x", "ground_truth": "y"}, "give the value of an unscored sample: unscored, a number below"),
        ({"unscored": -5.0}, {"response": "x", "answer": "y"}, "easyr1: a sample: unknown key 'ground_truth'"),
        ({"unscored": -5.0, "extrct": {}}, {"response": "x", "ground_truth": "y"}, "options of the reward: .*'extrct'"),
    ],
)
def test_easyr1_is_told_what_is_wrong(options, sample, error):
    from cxr_rewards.adapters.easyr1 import compute_score

    with pytest.raises(ConfigError, match=error):
        compute_score([sample], **options)


@dataclass
class Sample:
    """slime's sample, as far as a reward may read it."""

    response: str
    label: object = LABEL
    prompt: object = "Report this film."
    metadata: dict = field(default_factory=dict)
    group_index: int | None = 0
    index: int | None = 0


def slimes(texts, labels=None, reward_key=None, *, group=False):
    """Return what slime makes of the rollouts of a prompt: a number each."""
    args = SimpleNamespace(reward_key=reward_key, custom_rm_path="cxr_rewards.adapters.slime.reward", group_rm=group)
    samples = [Sample(text, label) for text, label in zip(texts, labels or [LABEL] * len(texts), strict=True)]

    async def run():
        if group:
            return await slime.reward(args, samples)
        return await asyncio.gather(*(slime.reward(args, sample) for sample in samples))

    rewards = asyncio.run(run())
    return [reward[reward_key] if reward_key else reward for reward in rewards], rewards


@pytest.fixture
def options(monkeypatch):
    monkeypatch.setenv(CONFIG_VARIABLE, "rules")

    def set_options(**given):
        monkeypatch.setenv(OPTIONS_VARIABLE, json.dumps(given))

    set_options(unscored=-5.0)
    return set_options


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("key", [None, "score"])
def test_slime_gets_floats_or_objects(options, group, key):
    values, rewards = slimes([*TEXTS, REFERENCE], [LABEL, LABEL, json.loads(LABEL), None], key, group=group)
    assert values == pytest.approx([*expected(), -5.0])
    if key:
        assert len({tuple(reward) for reward in rewards}) == 1
        assert [reward["unscored"] for reward in rewards] == [0.0, 0.0, 0.0, 1.0]
    else:
        assert all(type(value) is float for value in values)


def test_a_group_of_slime_may_lack_values_without_an_advantage(options, tmp_path):
    options(unscored="group_mean", config="rules")
    values, _ = slimes(TEXTS, [LABEL, LABEL, None], group=True)
    assert values[2] == pytest.approx((values[0] + values[1]) / 2)
    values, _ = slimes(TEXTS, [None] * 3, group=True)
    assert len(set(values)) == 1  # nothing in it is scored: no advantage, and no end of the training
    with pytest.raises(ConfigError, match="samples come one by one here"):
        slimes(TEXTS)
    options(unscored="raise")
    with pytest.raises(InputError, match="1 of 3 rollouts are unscored"):
        slimes(TEXTS, [LABEL, LABEL, None], group=True)
    (tmp_path / "gdpo.toml").write_text('normalize = "group"\n[components.findings_soft_f1]\nweight = 1.0\n')
    options(unscored="group_mean", config=str(tmp_path / "gdpo.toml"), group_size=3)
    values, _ = slimes(TEXTS, group=True)
    assert sum(values) == pytest.approx(0, abs=1e-9)
    with pytest.raises(ConfigError, match="group '0' has 2 rollouts in this call, not 3"):
        slimes(TEXTS[:2], group=True)


def test_priors_and_context_of_slime_may_be_metadata(options):
    options(unscored=-5.0, context=["age"])
    args = SimpleNamespace(reward_key=None)
    sample = Sample(PRIOR, REFERENCE, metadata={"priors": [PRIOR], "age": 60})
    assert asyncio.run(slime.reward(args, sample)) == pytest.approx(expected()[1])
    with pytest.raises(ConfigError, match="slime: --reward-key must be 'score', or left out, not 'bleu'"):
        slimes(TEXTS, reward_key="bleu")


def test_answer_forms_are_set_by_options(options):
    options(unscored=-5.0, extract={"markers": ["### Answer:"], "boxed": False})
    assert slimes([f"Blunted angle. ### answer: {REFERENCE}"])[0] == pytest.approx([1.0])
    options(unscored=-5.0, extract={"markrs": []})
    with pytest.raises(ConfigError, match="rollouts: extract: unknown argument 'markrs'"):
        slimes(TEXTS)


def test_weights_that_are_not_there_are_named_with_the_command_that_fetches_them(options, tmp_path, monkeypatch):
    monkeypatch.setenv("CXR_REWARDS_MODELS", str(tmp_path))
    monkeypatch.setenv(CONFIG_VARIABLE, "unirg")
    with pytest.raises(
        ModelLoadError, match=r"not on this machine .*\. Run `cxr-rewards fetch unirg`; without internet"
    ):
        slimes(TEXTS)
