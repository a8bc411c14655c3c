"""Trainers that pass samples one at a time: OpenRLHF and verifiers, without their packages."""

from __future__ import annotations

import asyncio
import json
import types

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.adapters import openrlhf, verifiers
from cxr_rewards.adapters.completion import completion_of
from cxr_rewards.adapters.rollouts import OPTIONS_VARIABLE
from cxr_rewards.adapters.samples import Samples, samples_of
from cxr_rewards.errors import ConfigError, InputError
from cxr_rewards.remote.load import CONFIG_VARIABLE

REFERENCE = "Small left pleural effusion."
QWEN = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n{film}Report.<|im_end|>\n<|im_start|>assistant\n"
TEMPLATES = {
    "qwen": QWEN,
    "llama": "<|start_header_id|>user<|end_header_id|>\n\n{film}Report.<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "gemma": "<start_of_turn>user\n{film}Report.<end_of_turn>\n<start_of_turn>model\n",
    "mistral": "<s>[INST] {film}Report. [/INST]",
    "phi": "<|user|>\n{film}Report.<|end|>\n<|assistant|>\n",
    "vicuna": "USER: {film}Report. ASSISTANT:",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_report_is_found_behind_a_prompt_whose_image_is_expanded(name):
    prompt = TEMPLATES[name].format(film="<image>")
    query = TEMPLATES[name].format(film="<patch>" * 40) + "Clear lungs."
    assert completion_of(query, prompt).strip() == "Clear lungs."
    assert completion_of(query.replace("<patch>" * 40, "<image>"), prompt).strip() == "Clear lungs."


def test_a_turn_that_the_model_begins_itself_hides_nothing():
    prompt = QWEN.format(film="<image>")
    said = "Clear lungs.<|im_end|>\n<|im_start|>assistant\nSmall left pleural effusion."
    assert completion_of(QWEN.format(film="<p><p>") + said, prompt) == said


def test_turns_before_the_last_belong_to_the_prompt():
    shown = QWEN.format(film="<image>") + "An example.<|im_end|>\n"
    query = shown.replace("<image>", "<p><p>") + QWEN.format(film="<p><p>")
    assert completion_of(query + "Clear.", shown + QWEN.format(film="<image>")) == "Clear."


def test_a_template_of_ones_own_has_its_marker():
    with pytest.raises(InputError, match="no assistant's turn begins in it; give the text that begins one as marker"):
        completion_of("Q: <p> A: Clear.", "Q: <image> A: ")
    assert completion_of("Q: <p> A: Clear.", "Q: <image> A: ", marker="A: ") == "Clear."


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv(CONFIG_VARIABLE, "rules")
    monkeypatch.setenv(OPTIONS_VARIABLE, json.dumps({"unscored": -5.0, "context": ["age"]}))


def test_openrlhf_gets_tensors_for_each_query(environment):
    torch = pytest.importorskip("torch")
    prompts = [QWEN.format(film="<image>")] * 3
    texts = ["<think>Hm.</think>" + REFERENCE, "Clear lungs.", "Clear lungs."]
    labels = [
        REFERENCE,
        json.dumps({"reference": REFERENCE, "priors": ["Clear lungs."], "age": 60}),
        {"reference": " "},
    ]
    queries = [QWEN.format(film="<p>" * 9) + text + "<|im_end|>" for text in texts]
    result = openrlhf.reward_func(queries, prompts, labels)
    expected = CompositeReward().score_batch(
        candidates=[REFERENCE, "Clear lungs."], references=[REFERENCE] * 2, priors=[(), ("Clear lungs.",)]
    )
    assert result["rewards"].tolist() == pytest.approx([*(r.value for r in expected), -5.0])
    low, high = CompositeReward().bounds
    assert result["scores"][0].item() == pytest.approx((expected[0].value - low) / (high - low))
    assert 0.0 <= result["scores"].min() <= result["scores"].max() <= 1.0
    assert result["extra_logs"]["unscored"].tolist() == [0.0, 0.0, 1.0]
    assert result["extra_logs"]["findings_soft_f1"].shape == torch.Size([3])
    assert result["extra_logs"]["copy_prior"][1] > 0.9


def test_lists_of_different_lengths_are_refused(environment):
    with pytest.raises(InputError, match="1 queries, 1 prompts and 0 labels"):
        openrlhf.reward_func([QWEN + "a"], [QWEN], [])


def test_a_wrong_marker_ends_the_run_and_a_query_that_was_cut_short_does_not():
    samples = Samples(unscored=-5.0)
    strange = ["Q: <p> A: a"], ["Q: <image> A: "], ["x"]
    with pytest.raises(InputError, match="no assistant's turn begins in it; give the text"):
        openrlhf.cases_of(samples, *strange)
    openrlhf.cases_of(samples, [QWEN + "a"], [QWEN], ["x"])
    (case,) = openrlhf.cases_of(samples, *strange)
    assert "no assistant's turn begins in it" in str(case.candidate)


BAD_LABELS = [None, float("nan"), 7, b"x", {"ref": "x"}, {"reference": None}, '{"reference": 7}', []]
GOOD_QUERY = (QWEN + REFERENCE, QWEN, REFERENCE)


@pytest.mark.parametrize(
    ("query", "prompt", "label", "why"),
    [
        *((QWEN + "a", QWEN, label, "a label must be the reference report, or an object with 'reference'; got")
          for label in BAD_LABELS),
        (None, QWEN, "x", "a query and its prompt must be texts, got (None, "),
        (QWEN, float("nan"), "x", "a query and its prompt must be texts"),
        ("Q: <p> A: a", "Q: <image> A: ", "x", "does not begin with its prompt"),
        (QWEN + "a", QWEN, {"reference": "x", "priors": 7}, "priors must be a text or a list of texts, got 7"),
        (QWEN + "a", QWEN, {"reference": "x", "priors": ["a", None]}, "priors[1]: expected text, got None"),
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_read_costs_itself_alone(environment, query, prompt, label, why):
    torch = pytest.importorskip("torch")
    good = openrlhf.reward_func(*([one] for one in GOOD_QUERY))
    result = openrlhf.reward_func(
        *([one, odd, one] for one, odd in zip(GOOD_QUERY, (query, prompt, label), strict=True))
    )
    assert result["rewards"].tolist() == [good["rewards"].item(), -5.0, good["rewards"].item()]
    assert result["extra_logs"]["unscored"].tolist() == [0.0, 1.0, 0.0]
    assert all(torch.isfinite(values).all() for values in result["extra_logs"].values())
    samples = samples_of({"unscored": -5.0, "context": ["age"]})
    cases = openrlhf.cases_of(samples, [query, QWEN], [prompt, QWEN], [label, "x"])
    assert why in samples.score_many(cases)[0][1].reasons


def test_bad_options_are_reported(monkeypatch):
    with pytest.raises(ConfigError, match="options of the reward: .*unexpected keyword argument 'unscred'"):
        samples_of({"unscred": -5.0})
    monkeypatch.setenv(OPTIONS_VARIABLE, '{"unscored": "low"}')
    with pytest.raises(ConfigError, match="unknown unscored 'low'; known: group_mean, raise"):
        openrlhf.reward_func([QWEN + "a"], [QWEN], ["x"])


def test_a_reward_normalised_within_groups_cannot_be_asked_sample_by_sample(tmp_path):
    (tmp_path / "r.toml").write_text('normalize = "group"\n[components.bleu]\nweight = 1.0\n')
    with pytest.raises(ConfigError, match="is normalised within groups"):
        Samples(config=str(tmp_path / "r.toml"), unscored=-1e9)


def test_each_process_writes_diagnostics_of_its_batches(tmp_path):
    import os

    samples = Samples(config="rules", unscored=-5.0, diagnostics=str(tmp_path), group="study")
    cases = [samples.case(text, REFERENCE, {"study": 1}) for text in ("Clear lungs.", REFERENCE)]
    samples.score_many(cases)
    asyncio.run(samples.score(cases[0]))
    lines = [json.loads(line) for line in (tmp_path / f"{os.getpid()}.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert lines[0]["reward/std"] > 0.1


class Trace:
    """The part of verifiers' traces that a reward sees."""

    def __init__(self, reply):
        self.last_reply, self.metrics = reply, {}

    def record_metric(self, name, value):
        self.metrics[name] = value


def test_a_traces_reply_is_scored_and_its_parts_are_metrics():
    data = {"reference": REFERENCE, "priors": ["Clear lungs."]}
    trace = Trace("<think>Hm.</think>Clear lungs.")
    value = asyncio.run(verifiers.score_trace(trace, data, config="rules", unscored=-5.0))
    assert value == pytest.approx(CompositeReward().score("Clear lungs.", REFERENCE, ["Clear lungs."]).value)
    assert trace.metrics["copy_prior"] > 0.9
    assert trace.metrics["unscored"] == 0.0
    lost = Trace("Clear lungs.")
    model = types.SimpleNamespace(model_dump=lambda: {"reference": " "})
    assert asyncio.run(verifiers.score_trace(lost, model, config="rules", unscored=-5.0)) == -5.0
    assert lost.metrics["unscored"] == 1.0


def test_a_rubrics_functions_never_raise_because_of_a_sample():
    funcs, weights = verifiers.reward_funcs(config="rules", unscored=-5.0)
    assert weights == [1.0] + [0.0] * (len(funcs) - 1)
    assert [f.__name__ for f in funcs[::2]] == ["cxr_rewards", *(f"{x}/unscored" for x in CompositeReward().components)]
    assert [f.__name__ for f in funcs[1::2]] == [*CompositeReward().components, "unscored"]

    async def run(answer, info):
        state = {}
        first = await funcs[0](completion="Clear lungs.", answer=answer, state=state, info=info)
        return first, [await f(state=state) for f in funcs[1:]]

    value, parts = asyncio.run(run(REFERENCE, {"priors": ["Clear lungs."]}))
    expected = CompositeReward().score("Clear lungs.", REFERENCE, ["Clear lungs."])
    assert value == pytest.approx(expected.value)
    assert parts[:-1:2] == [part.value for part in expected.parts.values()]
    assert set(parts[1::2]) == {0.0} == {parts[-1]}
    assert asyncio.run(run(REFERENCE, '{"priors": ["Clear lungs."]}'))[0] == value
    for answer, info, why in (
        (REFERENCE, {"priors": 7}, "priors must be a text or a list of texts, got 7"),
        (REFERENCE, "[1]", r"the fields of a sample must be an object, or one as JSON, got '\[1\]'"),
    ):
        with pytest.warns(UserWarning, match=f"unscored: .*{why}"):
            value, parts = asyncio.run(run(answer, info))
        assert value == -5.0
        assert set(parts[:-1:2]) == {0.0}
        assert set(parts[1::2]) == {1.0} == {parts[-1]}
    assert asyncio.run(run(None, {}))[0] == -5.0


class Message:
    """A message as verifiers has it: an object, not a mapping."""

    def __init__(self, role, content):
        self.fields = {"role": role, "content": content}

    def model_dump(self):
        return self.fields


def test_a_rubric_reads_messages_that_are_objects():
    funcs, _ = verifiers.reward_funcs(config="rules", unscored=-5.0)
    completion = [Message("user", "Hm?"), Message("assistant", [{"type": "text", "text": REFERENCE}])]
    assert asyncio.run(funcs[0](completion=completion, answer=REFERENCE, state={})) == 1.0


@pytest.mark.parametrize(
    ("reply", "data"),
    [
        (None, {"reference": REFERENCE}), (float("nan"), {"reference": REFERENCE}), ("Clear.", {"reference": 7}),
        ("Clear.", {}), ("Clear.", None), ("Clear.", {"reference": REFERENCE, "priors": {"a": 1}}),
    ],
)  # fmt: skip
def test_a_trace_that_cannot_be_read_is_unscored(reply, data):
    trace = Trace(reply)
    assert asyncio.run(verifiers.score_trace(trace, data, config="rules", unscored=-5.0)) == -5.0
    assert trace.metrics == {
        **{f"{label}/unscored": 1.0 for label in CompositeReward().components}, "unscored": 1.0
    }  # fmt: skip
