"""The answer is found behind every model's marks of reasoning, and a plain text stays as it is."""

from __future__ import annotations

import pytest

from cxr_rewards.adapters.completion import Extract
from cxr_rewards.errors import VerdictParseError
from cxr_rewards.judges.reading import json_in

REPORT = "FINDINGS: Clear lungs.\nIMPRESSION: Normal chest."
CHANNELS = "<|channel|>analysis<|message|>Is {{ there one?<|end|><|start|>assistant<|channel|>final<|message|>"
MARKED = {
    "think": "<think>Is {{ there one?</think>",
    "thinking": "<thinking>Is {{ there one?</thinking>",
    "thought": "<thought>Is {{ there one?</thought>",
    "seed": "<seed:think>Is {{ there one?</seed:think>",
    "minimax": "<mm:think>Is {{ there one?</mm:think>",
    "magistral": "[THINK]Is {{ there one?[/THINK]",
    "kimi": "◁think▷Is {{ there one?◁/think▷",
    "medgemma": "<unused94>thought\nIs {{ there one?<unused95>",
    "gemma": "<|channel>thought\nIs {{ there one?<channel|>",
    "cohere": "<|START_THINKING|>Is {{ there one?<|END_THINKING|>",
    "nested": "<think>Is {{ <think>there</think> one?</think>",
    "end alone": "Is {{ there one?</think>",
    "end of kimi alone": "Is {{ there one?◁/think▷",
    "end of medgemma alone": "Is {{ there one?<unused95>",
    "end of magistral alone": "Is {{ there one?[/THINK]",
    "gpt-oss": CHANNELS,
    "gpt-oss, prompt ends in the role": f"<|start|>assistant{CHANNELS}",
    "gpt-oss, prompt ends in the channel": CHANNELS.removeprefix("<|channel|>"),
    "gpt-oss, final alone": "<|channel|>final<|message|>",
    "gpt-oss with a tool": CHANNELS.replace(
        "<|start|>", "<|start|>assistant<|channel|>commentary to=functions.a <|constrain|>json<|message|>{{<|call|><|start|>", 1
    ),
    "gpt-oss without tokens": "analysisIs {{ there one?assistantfinal",
    "gpt-oss without tokens, small letter": "analysisis {{ there one?assistantcommentaryLet me see.assistantfinal",
    "gpt-oss without tokens, final alone": "assistantfinal",
}  # fmt: skip
ENDS = (
    "<|im_end|>", "</s>", "<eos>", "<|eot_id|>", "<|eot|>", "<turn|>", "<end_of_turn>", "<end_of_utterance>", "<|return|>",
    "<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>", "[|endofturn|]", "<seed:eos>", "<|endoftext|>", "<|user|>", "[e~[",
)  # fmt: skip


@pytest.mark.parametrize("name", MARKED)
def test_a_rollouts_report_is_what_follows_the_reasoning(name):
    reasoning = MARKED[name].format()
    assert Extract()(reasoning + REPORT) == REPORT
    assert Extract()(f"{reasoning}\n\n{REPORT}<|im_end|>rubbish") == REPORT


@pytest.mark.parametrize("name", MARKED)
def test_a_judges_verdict_is_what_follows_the_reasoning(name):
    assert json_in(MARKED[name].format() + '{"errors": []}') == {"errors": []}


@pytest.mark.parametrize("end", ENDS)
def test_a_text_ends_at_its_end_token(end):
    assert Extract()(f"{REPORT}{end}more") == REPORT
    assert json_in('{"errors": []}' + end + '{"errors": [1]}') == {"errors": []}


@pytest.mark.parametrize(
    "opened", ["<think>", "[THINK]", "◁think▷", "<unused94>thought\n", "<|channel>thought\n", "<seed:think>", "analysis",
               "<|channel|>analysis<|message|>"],
)  # fmt: skip
def test_reasoning_that_never_ends_is_no_report_and_no_verdict(opened):
    assert Extract()(f'{opened}The answer may be {{"errors": []}}') == ""
    with pytest.raises(VerdictParseError, match="the reasoning does not end"):
        json_in(f'{opened}The answer may be {{"errors": []}}')


@pytest.mark.parametrize(
    "text",
    [
        REPORT,
        "analysis of the film: normal. The final report follows.",
        "Final impression: normal.",
        "final impression: [1] normal; tube < 5 cm above the carina, {see prior}.",
        "Analysis\nThought to be normal.",
        "commentary: none",
        "FINDINGS: Nodule of \\boxed{3} mm in the left apex.",
        "FINDINGS: Nodule of \\boxed{3}",
        "The assistant finally saw the answer.",
    ],
)
def test_a_plain_report_stays_as_it_is(text):
    assert Extract()(text) == text
    assert Extract(sections=())([{"role": "assistant", "content": text}]) == text


@pytest.mark.parametrize(
    "completion",
    [
        f"So the report is \\boxed{{{REPORT}}}.",
        f"$\\boxed{{\\text{{{REPORT}}}}}$",
        f"\\boxed{{a first draft}} but better \\boxed{{{REPORT}}} as I said",
        f"<think>\\boxed{{a draft}}</think>\\boxed{{{REPORT}}}",
        f"\\boxed{{{REPORT}",
        f"<|begin_of_box|>{REPORT}<|end_of_box|>",
        f"{REPORT}</answer>",
        f"<answer>first</answer> then <ANSWER>{REPORT}</ANSWER> done",
    ],
)
def test_the_last_box_or_answer_tag_holds_the_report(completion):
    assert Extract()(completion) == REPORT


def test_a_box_keeps_the_braces_within_it():
    assert Extract()(r"\boxed{Clear lungs {see prior} today.}") == "Clear lungs {see prior} today."


def test_boxes_may_be_left_alone():
    assert Extract(boxed=False)(r"So \boxed{clear lungs}") == r"So \boxed{clear lungs}"


def test_a_boxed_verdict_is_read():
    assert json_in(r'The verdict is \boxed{{"errors": [{"type": "A"}]}}') == {"errors": [{"type": "A"}]}


def test_reasoning_that_is_kept_keeps_all_channels():
    assert Extract(reasoning="keep")(CHANNELS.format() + REPORT) == f"Is {{ there one?\n{REPORT}"


def test_of_several_final_messages_the_last_is_the_answer():
    said = "<|channel|>final<|message|>Large effusion.<|end|><|start|>assistant<|channel|>final<|message|>"
    assert Extract()(f"{said}{REPORT}") == REPORT


@pytest.mark.parametrize("blank", ["<answer></answer>", "<answer> \n </answer>"])
def test_a_blank_answer_tag_is_passed_over(blank):
    assert Extract()(f"<answer>{REPORT}</answer> and then {blank}") == REPORT
