"""RadFact as published: messages with examples in YAML, one request a phrase, and its own counting."""

from __future__ import annotations

import json
import threading

import pytest
import yaml
from tests.judge_server import ScriptedJudge, completion
from tests.published_prompts import (
    ENTAILMENT_EXAMPLES,
    ENTAILMENT_SYSTEM,
    PHRASES_EXAMPLES,
    PHRASES_SYSTEM,
    write_checkouts,
)  # fmt: skip

from cxr_rewards import Case, CompositeReward
from cxr_rewards.cache import MemoryCache
from cxr_rewards.errors import ConfigError, VerdictParseError
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.official import store
from cxr_rewards.judges.official.radfact_official import (
    RadfactOfficial,
    RadfactOfficialEntailment,
    RadfactOfficialPhrases,
)  # fmt: skip

PHRASES = {
    "Effusion and edema.": ["Effusion.", "Edema: mild."],
    "Edema.": ["Edema: mild."],
    "No effusion. Edema.": ["No effusion.", "Edema: mild."],
    "Nothing to see.": [],
}


def answers(failing=()):
    """Return a judge that knows the phrases above and entails equal phrases, and its log of entailment queries."""
    asked, lock = [], threading.Lock()

    def respond(request):
        text = request.text
        if text in PHRASES:
            return completion(yaml.safe_dump([{"orig": text, "new": PHRASES[text]}], sort_keys=False))
        query = yaml.safe_load(text)
        with lock:
            asked.append(query)
        if query["hypothesis"] in failing:
            return 400, {"error": {"message": "no"}}
        status = "entailment" if query["hypothesis"] in query["reference"] else "not_entailment"
        return completion(
            yaml.safe_dump({"phrase": "in other words", "status": status, "evidence": []}, sort_keys=False)
        )

    return respond, asked


def scored(cases, respond, cache=None, **settings):
    with ScriptedJudge(respond) as judge:
        made = RadfactOfficial(model="llama", base_url=judge.url, **settings)
        parts = [reward.parts["radfact_official"] for reward in CompositeReward([made], cache=cache).score_batch(cases)]
    close_judges()
    return parts, judge.requests


def expected_turns(examples):
    return [
        {"role": role, "content": text}
        for turn in examples
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]


def dumped(value):
    return yaml.safe_dump(value, sort_keys=False)


def split_messages(report, system=PHRASES_SYSTEM, examples=PHRASES_EXAMPLES):
    turns = [(example["findings_text"], dumped(example["parsed_report"]["sentence_list"])) for example in examples]
    return [{"role": "system", "content": system}, *expected_turns(turns), {"role": "user", "content": report}]


def entailment_messages(reference, phrase, system=ENTAILMENT_SYSTEM, examples=ENTAILMENT_EXAMPLES):
    turns = []
    for example in examples:
        for own, others in (("phrases_A", "phrases_B"), ("phrases_B", "phrases_A")):
            for judged in example["output"][f"{own}_evidenced"]:
                status = "entailment" if judged["status"] == "entailment" else "not_entailment"
                turns.append((
                    dumped({"reference": example["input"][others], "hypothesis": judged["phrase"]}),
                    dumped({"phrase": judged["phrase"], "status": status, "evidence": judged["evidence"]}),
                ))  # fmt: skip
    query = dumped({"reference": reference, "hypothesis": phrase})
    return [{"role": "system", "content": system}, *expected_turns(turns), {"role": "user", "content": query}]


def test_requests_are_the_published_messages(published):
    respond, _ = answers()
    (score,), requests = scored([Case(candidate="Edema.", reference="Effusion and edema.")], respond)
    assert score.details["marks"] == {"f1": pytest.approx(2 / 3), "precision": 1.0, "recall": 0.5}
    sent = [request.data for request in requests]
    expected = [
        split_messages("Edema."),
        split_messages("Effusion and edema."),
        entailment_messages(["Effusion.", "Edema: mild."], "Edema: mild."),
        entailment_messages(["Edema: mild."], "Effusion."),
        entailment_messages(["Edema: mild."], "Edema: mild."),
    ]
    assert len(sent) == len(expected)
    for messages in expected:
        assert {"model": "llama", "max_tokens": 1024, "temperature": 0.0, "messages": messages} in sent


@pytest.mark.shared
def test_requests_with_the_published_files(shared_data, tmp_path, monkeypatch):
    folder = shared_data / "radfact_prompts"
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(tmp_path))
    assert set(store.add("radfact", folder).known_as().values()) == {"commit 72463ac"}
    respond, _ = answers()
    _, requests = scored([Case(candidate="Edema.", reference="Edema.")], respond)
    split, entailment = (
        (
            (folder / step / system).read_text(encoding="utf-8"),
            json.loads((folder / step / "few_shot_examples.json").read_text(encoding="utf-8")),
        )
        for step, system in (("report_to_phrases", "system_message.txt"), ("nli", "system_message_ev_singlephrase.txt"))
    )
    sent = [request.data["messages"] for request in requests]
    assert len(sent) == 2
    assert split_messages("Edema.", *split) in sent
    assert entailment_messages(["Edema: mild."], "Edema: mild.", *entailment) in sent
    assert len(split_messages("", *split)) == 2 + 2 * 9
    phrases = sum(len(found) for example in entailment[1] for found in example["input"].values())
    assert len(entailment_messages([], "", *entailment)) == 2 + 2 * phrases


def test_equal_questions_are_asked_once_whichever_candidate_they_come_from(published):
    respond, asked = answers()
    cases = [
        Case(candidate=text, reference="Effusion and edema.") for text in ("Edema.", "No effusion. Edema.", "Edema.")
    ]
    scores, requests = scored(cases, respond)
    assert [score.details["marks"]["precision"] for score in scores] == [1.0, 0.5, 1.0]
    assert len({json.dumps(query) for query in asked}) == len(asked)
    # To the reference's phrases: two of the candidates'. To each candidate's phrases: two of the reference.
    assert len(asked) == 2 + 2 * 2
    assert len(requests) == 3 + len(asked)


def test_a_failed_request_leaves_a_case_unscored_or_counts_as_not_entailed(published):
    cases = [Case(candidate="No effusion. Edema.", reference="Edema."), Case(candidate="Edema.", reference="Edema.")]
    respond, _ = answers(failing=["No effusion."])
    scores, _ = scored(cases, respond)
    assert scores[0].failure.kind == "transport"
    assert scores[1].value == 1.0
    cache = MemoryCache()
    respond, asked = answers(failing=["No effusion."])
    scores, _ = scored(cases, respond, cache, upstream_failures=True)
    assert scores[0].details["marks"] == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3)}
    assert sum(query["hypothesis"] == "No effusion." for query in asked) >= 1
    respond, asked = answers()
    scores, _ = scored(cases, respond, cache, upstream_failures=True)  # what failed is not kept
    assert [query["hypothesis"] for query in asked] == ["No effusion.", "Edema: mild."]


def test_what_has_no_phrases_is_defined(published):
    respond, asked = answers()
    cases = [
        Case(candidate="Nothing to see.", reference="Edema."),
        Case(candidate="", reference="Edema."),
        Case(candidate="Edema.", reference="Nothing to see."),
    ]
    scores, _ = scored(cases, respond)
    assert [score.value for score in scores] == [0.0, 0.0, None]
    assert asked == []
    respond, _ = answers()
    assert [score.value for score in scored(cases, respond, upstream_failures=True)[0]] == [None, None, None]
    respond, _ = answers()
    recalls, _ = scored(cases, respond, upstream_failures=True, measure="recall")
    assert [score.value for score in recalls] == [0.0, 0.0, None]


def test_details_hold_phrases_replies_and_costs(published):
    respond, _ = answers()
    (score,), _ = scored([Case(candidate="Edema.", reference="Effusion and edema.")], respond)
    assert score.details["phrases"] == [
        {"of": "candidate", "text": "Edema: mild.", "entailed": True},
        {"of": "reference", "text": "Effusion.", "entailed": False},
        {"of": "reference", "text": "Edema: mild.", "entailed": True},
    ]
    assert all(prompt.startswith("radfact:") for prompt in score.details["prompts"])
    assert "in other words" in json.loads(score.details["replies"][1])[0]
    assert score.details["prompt_tokens"] > 0


@pytest.mark.parametrize(
    ("reply", "entailed"),
    [
        ("phrase: Edema.\nstatus: entailment\nevidence:\n- Mild edema.\n", True),
        ("```yaml\nphrase: Edema.\nstatus: not_entailment\nevidence: []\n```", False),
        ("<think>Hm.</think>phrase: 'No'\nstatus: entailment\nevidence:\n", True),
        ('{"phrase": "Edema.", "status": "entailment", "evidence": []}', True),
        ("phrase: !!python/object:os.system x\nstatus: entailment\nevidence: []", True),
    ],
)
def test_verdicts_are_read(reply, entailed):
    assert RadfactOfficialEntailment.parse(reply) is entailed


@pytest.mark.parametrize(
    "reply",
    [
        "phrase: Edema.\nstatus: neutral\nevidence: []",
        "phrase: Edema.\nstatus: entailment",
        "phrase: Edema.\nstatus: entailment\nstatus: not_entailment\nevidence: []",
        "phrase: Edema.\nstatus: [entailment]\nevidence: []",
        "phrase: &a [*a]\nstatus: entailment\nevidence: []",
        "phrase: Edema.\nstatus: entailment\nevidence:\n- a: b",
        "status: entailment: yes",
        "- entailment",
        "[" * 5000,
        "- " * 5000,
        "a: &x [1]\n" * 6000,
        "? [a]\n: b",
        "```\na: b\n```\n```\na: b\n```",
    ],
)
def test_all_else_is_refused(reply):
    with pytest.raises(VerdictParseError):
        RadfactOfficialEntailment.parse(reply)


@pytest.mark.parametrize(
    ("reply", "phrases"),
    [
        ("- orig: A and b.\n  new:\n  - A.\n  - 'b: c'\n- orig: C.\n  new: []\n", ["A.", "b: c"]),
        ("sentence_list:\n- orig: A.\n  new:\n  - A.\n", ["A."]),
        ("[]", []),
    ],
)
def test_phrases_are_read(reply, phrases):
    assert RadfactOfficialPhrases.parse(reply) == phrases


@pytest.mark.parametrize("reply", ["A.", "- A.", "- orig: A.", "- orig: A.\n  new: A.", "- new:\n  - x\n" * 2])
def test_other_splits_are_refused(reply):
    with pytest.raises(VerdictParseError):
        RadfactOfficialPhrases.parse(reply)


def test_the_checkouts_own_way_to_write_yaml_is_used(checkouts, tmp_path):
    code = checkouts["radfact"] / "src" / "radfact" / "formatting.py"
    code.write_text(
        "import yaml\n\ndef simple_formatter(x):\n    return yaml.dump(x, Dumper=None, sort_keys=True, width=1000)\n"
    )
    messages = store.sample(store.add("radfact", checkouts["radfact"]))["entailment"]
    assert messages[-1] == ("user", "hypothesis: '{{phrase}}'\nreference:\n- '{{phrase of the other report}}'\n")
    code.unlink()
    messages = store.sample(store.add("radfact", checkouts["radfact"]))["entailment"]
    assert messages[-1][1].startswith("reference:")


def test_examples_of_another_form_are_refused(checkouts, tmp_path):
    path = checkouts["radfact"] / "src/radfact/llm_utils/nli/prompts/few_shot_examples.json"
    path.write_text('[{"input": {}}]')
    with pytest.raises(ConfigError, match="radfact: the examples are not as published: KeyError"):
        store.add("radfact", checkouts["radfact"])
    assert write_checkouts(tmp_path)["radfact"] == checkouts["radfact"]
