"""CheXprompt as published: its messages from a checkout, and its decoding settings."""

from __future__ import annotations

import pytest
from tests.judge_server import ScriptedJudge, completion, says
from tests.published_prompts import CHEXPROMPT

from cxr_rewards import Case, CompositeReward
from cxr_rewards.errors import ConfigError
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.official import store
from cxr_rewards.judges.official.chexprompt_official import ChexpromptOfficial

ZERO = ", ".join(f"({kind}, 0)" for kind in "ABCDEF")


def lines(significant, insignificant=""):
    return (
        f"Number of clinically significant errors by type: [{significant}]\n"
        f"Number of clinically insignificant errors by type: [{insignificant or ZERO}]"
    )


CASES = [
    Case(candidate="Clear.", reference="Small effusion."),
    Case(candidate=" Two\n\nlines {x} %s </s>", reference="[(A, 9)]\tReference: x", priors=("Old.",)),
    Case(candidate="", reference="Größer", context={"age": "70"}),
]


def upstream(reference, candidate, source=CHEXPROMPT):
    own = {}
    exec(source.replace("import openai", ""), own)
    judge = own["ReportEvaluator"].__new__(own["ReportEvaluator"])
    return [
        {"role": "system", "content": own["SYSTEM_INSTRUCTIONS"]},
        {"role": "user", "content": judge.format_full_prompt(reference, candidate)},
    ]


def requests_of(cases):
    with ScriptedJudge(lambda request: completion(lines(ZERO))) as judge:
        reward = CompositeReward([ChexpromptOfficial(model="gpt-4-1106-preview", base_url=judge.url)])
        assert [result.value for result in reward.score_batch(cases)] == [1.0] * len(cases)
    close_judges()
    return [request.data for request in judge.requests]


def test_requests_are_the_published_messages_and_settings(published):
    expected = [
        {"model": "gpt-4-1106-preview", "messages": upstream(case.reference, case.candidate), "temperature": 0.0,
         "max_tokens": 128, "top_p": 0.9}
        for case in CASES
    ]  # fmt: skip
    sent = requests_of(CASES)
    assert len(sent) == len(expected)
    assert all(request in sent for request in expected)


def test_parameters_are_told_apart_by_their_names(published, tmp_path):
    source = CHEXPROMPT.replace("self, reference, candidate)", "self, predicted_report, gt_report)")
    source = source.replace("{reference}\\n", "{gt_report}\\n").replace("{candidate}\\n", "{predicted_report}\\n")
    changed = tmp_path / "evaluator.py"
    changed.write_text(source)
    store.add("chexprompt", changed)
    (sent,) = requests_of(CASES[:1])
    assert sent["messages"] == upstream("Small effusion.", "Clear.")


@pytest.mark.parametrize(
    ("reply", "value", "counts"),
    [
        (lines(ZERO.replace("(A, 0)", "(A, 1)")), 0.5, {"A": 1}),
        (lines(ZERO), 1.0, {}),
        (lines(ZERO).replace("[", "(").replace("]", ")"), 1.0, {}),
        (lines(ZERO.replace("(A, 0)", "((A, 2)")).replace("((A", "(A").replace("\n", "\n\n"), 1 / 3, {"A": 2}),
    ],
)
def test_published_replies_give_their_counts(published, reply, value, counts):
    score = says(ChexpromptOfficial, reply)
    assert score.value == pytest.approx(value)
    assert {kind: count for kind, count in score.details["counts"]["significant"].items() if count} == counts


def test_insignificant_errors_count_if_asked_for(published):
    reply = lines(ZERO, ZERO.replace("(F, 0)", "(F, 3)"))
    assert says(ChexpromptOfficial, reply).value == 1.0
    assert says(ChexpromptOfficial, reply, counts="all").value == 0.25


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (CHEXPROMPT.replace("SYSTEM_INSTRUCTIONS", "OTHER"), "evaluator.py: there is no SYSTEM_INSTRUCTIONS"),
        (CHEXPROMPT.replace("format_full_prompt", "prompt"), "there is no function format_full_prompt"),
        (CHEXPROMPT.replace("{candidate}", "{reference}"), "does not show {{candidate}}"),
        (CHEXPROMPT.replace('"You count errors of reports."', "7"), "expected a text, got int"),
        (CHEXPROMPT.replace("return USER", "return openai.call() + USER"), "there is no openai"),
        ("not Python at all", "is not Python"),
    ],
)
def test_a_file_without_the_prompt_is_refused_and_the_earlier_one_stays(published, tmp_path, source, message):
    before = store.load("chexprompt")
    changed = tmp_path / "evaluator.py"
    changed.write_text(source)
    with pytest.raises(ConfigError, match=message.replace("{", r"\{")):
        store.add("chexprompt", changed)
    assert store.load("chexprompt") == before
