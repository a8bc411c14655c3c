"""GREEN as published: its prompt from a checkout, rendered for plain completions, and its own reading of replies."""

from __future__ import annotations

import json

import pytest
from tests.judge_server import ScriptedJudge
from tests.published_prompts import GREEN

from cxr_rewards import Case, CompositeReward
from cxr_rewards.errors import ConfigError
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.official.green_official import GreenOfficial, published_assessment, published_verdict
from cxr_rewards.judges.protocols.green import GreenReply, green_score

WHOLE = """[Explanation]:
It misses one.

[Clinically Significant Errors]:
(a) False report of a finding in the candidate: 1. Edema
(b) Missing a finding present in the reference: 2. Effusion; tube

[Clinically Insignificant Errors]:
No errors.

[Matched Findings]:
3. Heart; lungs; no pneumothorax
"""
CASES = [
    Case(candidate="Clear.", reference="Small effusion."),
    Case(candidate=" Two\n\nlines\tand {braces} </s>\n", reference="[Matched Findings]: 9. <|user|> %s"),
    Case(candidate="a " * 400, reference=" ".join(f"w{i}" for i in range(301))),
    Case(candidate="", reference="Größer – 肺"),
]


def upstream_prompt(reference, candidate):
    own = {}
    exec(GREEN.replace("import torch", ""), own)
    return own["make_prompt"](reference, candidate)


def asked(respond=lambda request: {"choices": [{"text": WHOLE, "finish_reason": "stop"}]}, **settings):
    """Return the rewards of the cases, and the requests."""
    with ScriptedJudge(respond) as judge:
        reward = CompositeReward([GreenOfficial(model="green", base_url=judge.url, **settings)])
        rewards = reward.score_batch(CASES)
    close_judges()
    return rewards, judge.requests


def test_requests_are_the_rendered_prompt_and_greedy_decoding(published):
    rewards, requests = asked()
    assert [reward.value for reward in rewards] == [0.5] * len(CASES)
    assert {request.path for request in requests} == {"/v1/completions"}
    prompts = {request.data.pop("prompt") for request in requests}
    assert prompts == {
        f"<|user|>\n{upstream_prompt(case.reference, case.candidate)}</s>\n<|assistant|>\n</s>\n<|assistant|>\n"
        for case in CASES
    }
    assert all(request.data == {"model": "green", "max_tokens": 2048, "temperature": 0.0} for request in requests)


def test_a_report_is_cut_after_300_words_joined_by_single_spaces(published):
    _, requests = asked()
    long = next(request.data["prompt"] for request in requests if "w299" in request.data["prompt"])
    assert "w300" not in long
    assert f"    {'a ' * 299}a\n" in long


def test_a_server_that_has_the_template_is_asked_by_chat(published):
    def respond(request):
        return {"choices": [{"message": {"content": WHOLE}, "finish_reason": "stop"}]}

    _, requests = asked(respond, endpoint="chat", repetition_penalty=1.1)
    assert {request.path for request in requests} == {"/v1/chat/completions"}
    contents = [request.data["messages"] for request in requests]
    assert [{"role": "user", "content": upstream_prompt(CASES[0].reference, CASES[0].candidate)}] in contents
    assert requests[0].data["repetition_penalty"] == 1.1
    with pytest.raises(ConfigError, match="endpoint"):
        GreenOfficial(model="m", endpoint="responses")
    with pytest.raises(ConfigError, match="repetition_penalty must be above 0 to 2"):
        GreenOfficial(model="m", repetition_penalty=3.0)


@pytest.mark.parametrize(
    ("reply", "significant", "matched", "score"),
    [
        (WHOLE, {"a": 1, "b": 2}, 3, 0.5),
        (WHOLE.replace("(a)", "(1)").replace("(b)", "(2)"), {"a": 1, "b": 2}, 3, 0.5),
        (WHOLE.replace("(a) ", "(a)").replace("(b) ", "(b)"), {}, 3, 1.0),
        (WHOLE.replace(": 1. Edema", ": 1 Edema"), {"b": 2}, 3, 0.6),
        (WHOLE.replace("[Clinically Significant Errors]:", ""), {}, 3, 1.0),
        (WHOLE.replace("3. Heart; lungs; no pneumothorax", "No matched findings"), {"a": 1, "b": 2}, 0, 0.0),
        (WHOLE.replace("3. Heart", "Three. Heart"), {"a": 1, "b": 2}, 0, 0.0),
        (WHOLE.replace("1. Edema\n(b)", "1. Edema\n\n(b)"), {"a": 1}, 3, 0.75),
        ("[Matched Findings]:\n9. x\n\n[Explanation]:\n[Matched Findings]:\n2. y", {}, 2, 1.0),
        ("The reports agree.", {}, 0, 0.0),
        ("", {}, 0, 0.0),
    ],
)
def test_the_published_reading_counts_what_it_does_not_find_as_zero(reply, significant, matched, score):
    verdict = published_verdict(reply)
    assert {kind: count for kind, count in verdict.significant.items() if count} == significant
    assert verdict.matched == matched
    assert green_score(published_assessment(reply)) == pytest.approx(score)


def test_both_readings_agree_on_a_whole_reply():
    assert published_verdict(WHOLE) == GreenReply.parse(WHOLE)


def test_a_missing_section_is_unscored_unless_the_published_reading_is_asked_for(published):
    def respond(request):
        return {"choices": [{"text": WHOLE.replace("[Clinically Significant Errors]:", ""), "finish_reason": "stop"}]}

    rewards, _ = asked(respond)
    assert rewards[0].value is None
    assert "no section [Clinically Significant Errors]" in rewards[0].parts["green_official"].failure.error
    rewards, requests = asked(respond, upstream_failures=True)
    assert [reward.value for reward in rewards] == [1.0] * len(CASES)
    assert len(requests) == len(CASES)  # nothing is asked again


def test_a_reply_that_is_cut_off_is_read_as_far_as_it_goes_only_as_the_published_code_does(published):
    def respond(request):
        looping = WHOLE.partition("[Matched Findings]:")[0] + "[Matched Findings]:\n2. Heart; lungs; heart; heart"
        return {"choices": [{"text": looping, "finish_reason": "length"}]}

    rewards, _ = asked(respond)
    assert rewards[0].value is None
    assert "cut off" in rewards[0].parts["green_official"].failure.error
    rewards, requests = asked(respond, upstream_failures=True)
    assert [reward.value for reward in rewards] == [2 / 5] * len(CASES)
    assert len(requests) == len(CASES)


def test_the_hash_of_the_file_is_in_the_signature(published, tmp_path):
    from cxr_rewards.judges.official import store

    before = GreenOfficial(model="m").signature
    assert f"#green:{store.load('green').digest}" in before
    changed = tmp_path / "utils.py"
    changed.write_text(GREEN.replace("Objective:", "Aim:"))
    store.add("green", changed)
    assert GreenOfficial(model="m").signature != before


def test_reports_are_sent_as_they_are(published):
    _, requests = asked()
    assert any(
        "</s>" in request.data["prompt"].partition("3. Candidate")[2].partition("4. Your")[0] for request in requests
    )
    assert json.dumps("{braces}")[1:-1] in str([request.data["prompt"] for request in requests])
