"""The report is found in whatever a trainer calls a completion."""

from __future__ import annotations

import pytest

from cxr_rewards.adapters.completion import Extract
from cxr_rewards.errors import ConfigError, InputError
from cxr_rewards.text.chat import text_of

REPORT = "FINDINGS: Clear lungs. IMPRESSION: Normal chest."


@pytest.mark.parametrize(
    "completion",
    [
        REPORT,
        f"  {REPORT}\n",
        f"<think>Is there an effusion? No.</think>\n{REPORT}",
        f"no beginning, for it is in the prompt</think>{REPORT}",
        f"<think>a</think><think>b</think>{REPORT}",
        f"<think>x</think><answer>{REPORT}</answer>",
        f"<answer>first</answer> no, better: <answer>{REPORT}</answer>",
        f"<answer>{REPORT}",
        f"```\n{REPORT}\n```",
        f"```markdown\n{REPORT}\n```<|im_end|>",
        f"{REPORT}<|im_end|><|endoftext|><|endoftext|>",
        f"{REPORT}</s>",
        f"{REPORT}<end_of_turn>rubbish",
        f"<|im_start|>assistant\n{REPORT}<|im_end|>",
        {"role": "assistant", "content": REPORT},
        [{"role": "assistant", "content": REPORT}],
        [
            {"role": "assistant", "content": "a"},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": REPORT},
        ],
        [
            {
                "role": "assistant",
                "content": [{"type": "text", "text": REPORT[:9]}, {"type": "text", "text": REPORT[9:]}],
            }
        ],
        [{"role": "assistant", "content": [{"type": "image"}, {"type": "text", "text": REPORT}]}],
        [{"role": "assistant", "content": [{"type": "reasoning", "text": "Hm."}, {"type": "text", "text": REPORT}]}],
        [{"content": REPORT}],
    ],
)
def test_the_report_is_found(completion):
    assert Extract()(completion) == REPORT


@pytest.mark.parametrize(
    "completion", ["", "<think>never ends", [], [{"role": "user", "content": "x"}], {"content": None}]
)
def test_where_there_is_none_it_is_empty(completion):
    assert Extract()(completion) == ""


def test_reasoning_may_be_kept():
    assert Extract(reasoning="keep")("<think>a</think> b") == "<think>a</think> b"


@pytest.mark.parametrize(
    "completion",
    [
        f"Blunted angle. Final answer: {REPORT}",
        f"Final answer: Effusion. Hm, no.\n**FINAL  ANSWER:** {REPORT}",
        f"**Final answer**: {REPORT}\n\nFinal answer:",
        f"### Report\n{REPORT}",
        rf"Final answer: $$\boxed{{\text{{{REPORT}}}}}$$",
        f"<think>Final answer: Effusion.</think><ANSWER>{REPORT}</ANSWER>",
        REPORT,
    ],
)
def test_the_report_follows_a_marker(completion):
    assert Extract(markers=("Final answer:", "### report"))(completion) == REPORT


@pytest.mark.parametrize(
    ("completion", "report"),
    [
        (r"\boxed{\text{Clear {left} lung.}}", "Clear {left} lung."),
        (r"\boxed{\textbf{Findings:} A 5\% pneumothorax.\\\textit{Impression:} Small.}", "Findings: A 5% pneumothorax.\nImpression: Small."),
        (r"\boxed{Clear \mathrm{lungs} and \frac{1}{2} more", r"Clear lungs and \frac{1}{2} more"),
        (r"Tip \boxed{3} cm above the carina.", r"Tip \boxed{3} cm above the carina."),
    ],
)  # fmt: skip
def test_a_box_holds_the_report_however_its_braces_nest(completion, report):
    assert Extract()(completion) == report


@pytest.mark.parametrize(
    ("sections", "kept"),
    [
        (("impression",), "IMPRESSION: Normal chest."),
        (("findings", "impression"), "FINDINGS: Clear lungs.\nIMPRESSION: Normal chest."),
        (("technique",), REPORT),
    ],
)
def test_sections_may_be_chosen(sections, kept):
    assert Extract(sections=sections)(REPORT) == kept


@pytest.mark.parametrize("completion", [None, 7, [7], [None]])
def test_what_is_no_completion_is_an_error(completion):
    if isinstance(completion, list):
        assert text_of(completion) == ""
        return
    with pytest.raises(InputError, match="a completion must be a text, a message or a list of messages, got"):
        text_of(completion)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"reasoning": "drop"}, "unknown reasoning 'drop'"),
        ({"sections": ("findigs",)}, "unknown section 'findigs'"),
        ({"sections": "findings"}, "sections must be a list of texts, got 'findings'"),
        ({"markers": "Answer:"}, "markers must be a list of texts, got 'Answer:'"),
        ({"markers": [" "]}, "a marker must be a text such as 'Final answer:', got ' '"),
    ],
)
def test_a_bad_choice_is_reported(given, error):
    with pytest.raises(ConfigError, match=error):
        Extract(**given)
