"""Rules of all protocols: JSON in a reply, settings, templates, signatures."""

from __future__ import annotations

import time

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.errors import ConfigError, VerdictParseError
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.protocols.chexprompt import Chexprompt, ChexpromptReply
from cxr_rewards.judges.protocols.crimson import CrimsonReply
from cxr_rewards.judges.protocols.green import Green, GreenReply
from cxr_rewards.judges.protocols.radfact import RadfactPhrases
from cxr_rewards.judges.protocols.rubric import Rubric
from cxr_rewards.judges.reading import answer_of, json_in
from cxr_rewards.testing.fake_judge import FakeJudge

# What every reply may look like.


@pytest.mark.parametrize(
    "reply",
    [
        '{"errors": []}',
        'Here is my verdict:\n```json\n{"errors": []}\n```\nI hope it helps.',
        '<think>First, {"errors": [1]} is wrong ...</think>\n{"errors": []}',
        'reasoning without a beginning {"x": 1} </think> {"errors": []}',
        '\n\n  {"errors":\n []}  ',
    ],
)
def test_one_json_object_is_found(reply):
    assert json_in(reply) == {"errors": []}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ("", "the reply is empty"),
        ("<think>and so on</think>", "the reply is empty"),
        ('<think>{"errors": []}', "the reasoning does not end"),
        ("I cannot say.", "no JSON object in"),
        ('{"errors": [', "no valid JSON"),
        ('{"errors": []} {"errors": [1]}', "more than one JSON object"),
        ('{"errors": [], "errors": [1]}', "a JSON key is given twice: 'errors'"),
        ('{"errors": [{"type": "A", "type": "B"}]}', "a JSON key is given twice: 'type'"),
        ('{"errors": NaN}', "NaN is not a number"),
        ("x" * 200_001, "the reply has 200,001 characters"),
        ('{"a":' * 30_000, "JSON nested too deeply|no valid JSON"),
    ],
)
def test_what_is_not_one_json_object_is_an_error(reply, message):
    with pytest.raises(VerdictParseError, match=message):
        json_in(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "<think>" * 25_000,
        "[Clinically Significant Errors]:" * 6_000,
        "Number of clinically significant errors by type: [(A, 1), " * 3_000,
        "Number of clinically significant errors by type: " + "(" * 150_000,
        "{" * 190_000,
    ],
)
@pytest.mark.parametrize("parser", [ChexpromptReply, GreenReply, CrimsonReply, RadfactPhrases])
def test_a_hostile_reply_is_refused_quickly(parser, reply):
    start = time.process_time()
    with pytest.raises(VerdictParseError):
        parser.parse(reply)
    assert time.process_time() - start < 2


def test_an_answer_without_fences_is_itself():
    assert answer_of("[Matched Findings]:\n1. x") == "[Matched Findings]:\n1. x"


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"votes": 2}, "votes must be 1 if temperature is 0"),
        ({"votes": 0}, "votes must be from 1 to 32"),
        ({"temperature": 3.0}, "temperature must be at most 2"),
        ({"top_p": 0.0}, "top_p must be above 0 to 1"),
        ({"structured": "xml"}, "structured must be one of auto, json_schema, guided_json"),
        ({"extra_body": "[]"}, "extra_body must be a JSON object"),
        ({"base_url": "localhost:8000"}, "base_url must be http"),
        ({"base_url": "https://u:secret@h/v1"}, "base_url holds a password; give it as key"),
        ({"budget_usd": 1.0}, "budget_usd needs usd_per_million_input"),
        ({"concurrency": 0}, "concurrency must be 1 or more"),
        ({"timeout_s": 0.0}, "timeout_s must be above 0"),
        ({"stop_after": -1}, "stop_after must be 0 or more"),
    ],
)
def test_a_bad_setting_is_reported_when_the_judge_is_made(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Rubric(**settings)
    assert "secret" not in str(caught.value)


# Prompts of one's own


def test_a_template_of_ones_own_is_used_and_signed(tmp_path):
    template = tmp_path / "green.txt"
    template.write_text("Compare.\nReference: {{reference}}\nCandidate: {{candidate}}\nNever {reference}.")
    seen = []

    def answer(messages):
        seen.append(messages)
        return (
            "[Clinically significant errors]:\n(a) x: 1\n[Clinically insignificant errors]: none\n[Matched findings]: 1"
        )

    with FakeJudge(answer=answer) as fake:
        green = Green(model="m", base_url=fake.url, template=str(template))
        assert green.score("{{reference}}", "y").value == 0.5
    close_judges()
    (message,) = seen[0]
    assert message["role"] == "user"
    assert "((reference))" in message["content"]  # not filled in a second time
    assert message["content"].endswith("Never {reference}.")
    before = green.signature
    assert before != Green(model="m", base_url="http://h/v1").signature
    elsewhere = tmp_path / "same.txt"
    elsewhere.write_text(template.read_text())
    assert Green(model="m", template=str(elsewhere)).signature == before  # of the text, not of its path
    elsewhere.write_text(template.read_text() + " Changed.")
    from cxr_rewards.judges import prompt

    prompt.from_file.cache_clear()
    assert Green(model="m", template=str(elsewhere)).signature != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{candidate}} {{refrence}}", "unknown place 'refrence'.*Did you mean 'reference'"),
        ("{{reference}}", "has no place for the report"),
        (None, "the template cannot be read"),
    ],
)
def test_a_bad_template_is_reported_when_the_reward_is_made(tmp_path, text, message):
    path = tmp_path / f"{len(message)}.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        CompositeReward([Green(model="m", template=str(path))])


# Signatures and configuration


def test_protocol_prompt_and_model_are_in_the_signature():
    signature = Chexprompt(model="gpt").signature
    assert "chexprompt/3" in signature
    assert "chexprompt_reply/1" in signature
    assert "#chexprompt_v1:" in signature
    assert 'model="gpt"' in signature
    assert "http" not in Chexprompt(model="gpt", base_url="http://h/v1").signature


def test_the_table_judge_is_for_every_judge(tmp_path, monkeypatch):
    monkeypatch.setenv("CXR_REWARDS_JUDGE_MODEL", "of the environment")
    (tmp_path / "r.toml").write_text(
        '[judge]\nmodel = "m"\nconcurrency = 7\n[components.chexprompt]\nweight = 1.0\n'
        "[components.green]\nweight = 1.0\nsettings = { concurrency = 3 }\n[components.bleu]\nweight = 1.0\n"
    )
    reward = CompositeReward.from_config(tmp_path / "r.toml", judge={"base_url": "http://h/v1"})
    parts = reward.components
    assert (parts["chexprompt"].model, parts["chexprompt"].concurrency) == ("m", 7)
    assert (parts["green"].concurrency, parts["green"].base_url) == (3, "http://h/v1")
    assert Chexprompt().model == "of the environment"
    with pytest.raises(ConfigError, match="judge: unknown setting 'modl'.*Did you mean 'model'"):
        CompositeReward.from_preset("judge_only", judge={"modl": "x"})


@pytest.mark.parametrize("name", ["judge_only", "unirg_step2"])
def test_presets_have_the_papers_weights(name):
    from cxr_rewards.core.absent import absent_allowed

    with absent_allowed():
        reward = CompositeReward.from_preset(name)
    weights = {label: term.weight for label, term in reward.total.terms.items()}
    if name == "unirg_step2":
        assert weights == {
            "bleu": 0.0, "bertscore": 0.37, "semb_score": 0.253, "radgraph_combined": 0.377, "chexprompt": 0.5,
            "injection_flag": 0.0,
        }  # fmt: skip
    assert [gate.component for gate in reward.total.gates] == ["injection_flag"]
