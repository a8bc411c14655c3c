"""Every published form of a verdict is read; whatever is none of them is an error."""

from __future__ import annotations

import json
import time

import pytest

from cxr_rewards import Case, CompositeReward
from cxr_rewards.components.chexprompt import Chexprompt
from cxr_rewards.components.crimson import Crimson
from cxr_rewards.components.green import Green
from cxr_rewards.components.radfact import Radfact
from cxr_rewards.components.rubric import Rubric
from cxr_rewards.errors import ConfigError, VerdictParseError
from cxr_rewards.features.chexprompt_reply import ChexpromptReply
from cxr_rewards.features.crimson_reply import CrimsonReply
from cxr_rewards.features.green_reply import GreenReply
from cxr_rewards.features.radfact_reply import RadfactEntailment, RadfactPhrases
from cxr_rewards.features.rubric_reply import RubricReply
from cxr_rewards.formulas.crimson import crimson_score
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.reading import answer_of, json_in
from cxr_rewards.testing.fake_judge import FakeJudge

REFERENCE = "Small left pleural effusion. The heart is normal in size."


@pytest.fixture(scope="module")
def judge():
    with FakeJudge() as fake:
        yield {"model": "m", "base_url": fake.url}
    close_judges()


def says(component, reply, case=None):
    """The score of a case where the judge's reply is given."""
    with FakeJudge(answer=lambda messages: reply) as fake:
        made = component(model="m", base_url=fake.url)
        score = CompositeReward([made]).score_batch([case or Case(candidate="x", reference=REFERENCE)])[0]
    close_judges()
    return score.parts[made.name]


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
        ('{"errors": NaN}', "NaN is no number"),
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


# CheXprompt

LINES = (
    "Number of clinically significant errors by type: [(A, 1), (B, 0), (C, 0), (D, 2), (E, 0), (F, 0)]\n"
    "Number of clinically insignificant errors by type: [(A, 0), (B, 3), (C, 0), (D, 0), (E, 0), (F, 0)]"
)
COUNTS = {
    "significant": {"A": 1, "B": 0, "C": 0, "D": 2, "E": 0, "F": 0},
    "insignificant": {"A": 0, "B": 3, "C": 0, "D": 0, "E": 0, "F": 0},
}


@pytest.mark.parametrize(
    "reply",
    [
        LINES,
        LINES.replace("\n", "\n\n"),
        LINES.replace("[", "(").replace("]", ")"),
        LINES.replace("(A", "('A'").replace("(F", '("F"'),
        f"Sure.\n{LINES}\n",
        LINES.replace("(A, 1), (B, 0)", "(B, 0), (A, 1)"),
        LINES.replace(" errors by type:", " errors by type :").replace("(", "( "),
        f"**{LINES.splitlines()[0]}**\n**{LINES.splitlines()[1]}**",
        json.dumps({
            "errors": [{"type": "A", "significant": True, "what": "x"}]
            + [{"type": "D", "significant": True, "what": "x"}] * 2
            + [{"type": "B", "significant": False}] * 3
        }),
    ],
)  # fmt: skip
def test_chexprompt_reads_every_form(reply):
    assert ChexpromptReply.parse(reply) == COUNTS
    assert ChexpromptReply.parse(reply) == ChexpromptReply.parse(reply)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (LINES.splitlines()[0], "no line of insignificant errors"),
        (f"{LINES}\n{LINES}", "the line of significant errors is given twice"),
        (LINES.replace("(A, 1)", "(A, -1)"), "type A: expected a count from 0 to 50, got '-1'"),
        (LINES.replace("(A, 1)", "(A, 1.5)"), "expected a count"),
        (LINES.replace("(A, 1)", "(A, 500)"), "expected a count"),
        (LINES.replace("(A, 1), ", ""), "expected each type from A to F once"),
        (LINES.replace("(A, 1)", "(B, 1)"), "expected each type from A to F once"),
        (LINES.replace("(A, 1)", "(G, 1)"), "expected each type from A to F once"),
        (LINES.replace("(A, 1)", "A = 1"), "expected pairs such as|expected each type"),
        (LINES.replace("(A, 1)", "(A, one)"), "expected a count"),
        ('{"errors": {}}', "errors: expected a list of dict"),
        ('{"errors": [1]}', "errors: expected a list of dict"),
        ('{"mistakes": []}', "'errors'. missing"),
        ('{"errors": [], "score": 1}', "unknown .'score'."),
        ('{"errors": [{"type": "G", "significant": true, "what": "x"}]}', "expected a letter from A to F, got 'G'"),
        ('{"errors": [{"type": "AB", "significant": true, "what": "x"}]}', "expected a letter from A to F, got 'AB'"),
        ('{"errors": [{"type": "", "significant": true, "what": "x"}]}', "expected a letter from A to F, got ''"),
        ('{"errors": [{"type": "A", "significant": "yes", "what": "x"}]}', "expected true or false, got 'yes'"),
        ('{"errors": [{"type": "A", "what": "x"}]}', "'significant'. missing"),
    ],
)
def test_chexprompt_refuses_all_else(reply, message):
    with pytest.raises(VerdictParseError, match=message):
        ChexpromptReply.parse(reply)


def test_chexprompt_counts_as_set():
    assert says(Chexprompt, LINES).value == 1 / 4
    assert says(lambda **s: Chexprompt(counts="all", **s), LINES).value == 1 / 7


def test_chexprompts_published_checks(judge):
    chexprompt = Chexprompt(**judge)
    worse = chexprompt.score("Severe cardiomegaly.", "The heart is normal in size. The lungs are clear.")
    assert worse.details["significant"] == {"A": 1, "B": 0, "C": 0, "D": 0, "E": 0, "F": 0}
    same = chexprompt.score("There is pleural effusion.", "Evidence of pleural effusion.")
    assert same.value == 1.0
    assert sum(same.details["insignificant"].values()) == 0


def test_a_prior_bears_a_comparison_out(judge):
    chexprompt = Chexprompt(**judge, counts="all")
    texts = "Left pleural effusion, increased.", "Left pleural effusion."
    assert chexprompt.score(*texts).value < chexprompt.score(*texts, ["Small left pleural effusion."]).value
    alone = Chexprompt(**judge, counts="all", use_priors=False)
    assert alone.score(*texts, ["Small left pleural effusion."]).value == chexprompt.score(*texts).value


# GREEN

SECTIONS = """[Explanation]:
The candidate misses one thing: (a) nothing else.

[Clinically Significant Errors]:
(a) False report of a finding in the candidate: 1. Edema
(b) Missing a finding present in the reference: 2. Effusion; tube

[Clinically Insignificant Errors]:
No insignificant errors

[Matched Findings]:
3. Cardiomegaly; clear lungs; no pneumothorax
"""


def test_green_reads_its_sections():
    found = GreenReply.parse(SECTIONS)
    assert found.significant == {"a": 1, "b": 2, "c": 0, "d": 0, "e": 0, "f": 0}
    assert sum(found.insignificant.values()) == 0
    assert found.matched == 3
    assert says(Green, SECTIONS).value == 0.5


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (("(a) ", "(1) "), 0.5),
        (("(a) False report of a finding in the candidate: 1. Edema\n", ""), 0.6),
        (("No insignificant errors", "(f) Omitted: 4. x"), 0.5),
        (("3. Cardiomegaly; clear lungs; no pneumothorax", "No matched findings"), 0.0),
        (("3. Cardiomegaly; clear lungs; no pneumothorax", "3"), 0.5),
        (("1. Edema", "1"), 0.5),
        (("\n\n[", "\n["), 0.5),
        (("(a) ", "- (a) "), 0.5),
        (("[Explanation]:\nThe candidate misses one thing: (a) nothing else.\n\n", ""), 0.5),
        (("[Matched Findings]:", "**[Matched Findings]:**"), 0.5),
    ],
)
def test_green_reads_every_form(change, value):
    assert change[0] in SECTIONS
    assert says(Green, SECTIONS.replace(*change)).value == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[Matched Findings]:", ""), "no section .Matched Findings."),
        (("[Clinically Significant Errors]:", ""), "no section .Clinically Significant Errors."),
        (("[Clinically Insignificant Errors]:\nNo insignificant errors\n", ""), "no section .Clinically Insignificant"),
        (("3. Card", "Card"), "matched findings: expected a count"),
        (("3. Card", "-3. Card"), "matched findings: expected a count"),
        ((": 1. Edema", ": some"), "expected a count"),
        ((": 1. Edema", " Edema"), "no number, or more than one, in"),
        (("(b) Missing", "(a) Missing"), "given twice"),
        (("(b) Missing", "(2) Missing"), None),
        (("No insignificant errors", "All is well"), "expected lines such as"),
        ((SECTIONS, SECTIONS + SECTIONS), "is given twice"),
        ((SECTIONS, "The reports agree."), "no section"),
    ],
)
def test_green_refuses_all_else(change, message):
    reply = SECTIONS.replace(*change)
    if message is None:
        assert GreenReply.parse(reply) == GreenReply.parse(SECTIONS)
        return
    with pytest.raises(VerdictParseError, match=message):
        GreenReply.parse(reply)


def test_green_shows_its_model_as_many_words_as_it_was_trained_on():
    seen = []

    def answer(messages):
        seen.append(messages[-1]["content"])
        return SECTIONS

    with FakeJudge(answer=answer) as fake:
        Green(model="m", base_url=fake.url, max_words=3).score("one two three four", "eins zwei drei vier")
    close_judges()
    assert "one two three\n<" in seen[0]
    assert "eins zwei drei\n<" in seen[0]
    assert "four" not in seen[0]


# CRIMSON


def crimson(reference=(), predicted=(), matched=(), false=(), missing=None, attributes=()):
    def listed(weights, letter):
        return [
            {"id": f"{letter}{i}", "finding": "x", "clinical_significance": weight}
            for i, weight in enumerate(weights, 1)
        ]

    left = [f"R{i}" for i in range(1, len(reference) + 1) if f"R{i}" not in dict(matched)]
    return json.dumps({
        "reference_findings": listed(reference, "R"),
        "predicted_findings": listed(predicted, "P"),
        "matched_findings": [{"ref_id": r, "pred_id": p} for r, p in matched],
        "errors": {
            "false_findings": list(false),
            "missing_findings": left if missing is None else list(missing),
            "attribute_errors": [{"ref_id": r, "severity": s, "error_types": list(t)} for r, s, *t in attributes],
        },
    })  # fmt: skip


ACTIONABLE = "actionable_not_urgent"
CHECKS = {
    "normal, normal": (crimson(), 1.0),
    "actionable false": (crimson((), (ACTIONABLE,), false=("P1",)), -1 / 3),
    "urgent false": (crimson((), ("urgent",), false=("P1",)), -0.5),
    "benign missed": (crimson(("benign_expected",)), 1.0),
    "attribute": (
        crimson((ACTIONABLE,), (ACTIONABLE,), (("R1", "P1"),), attributes=(("R1", "significant", "location"),)), 0.5,
    ),
    "attribute, urgent": (
        crimson(("urgent",), ("urgent",), (("R1", "P1"),), attributes=(("R1", "significant", "location"),)), 2 / 3,
    ),
    "negligible attribute": (
        crimson(("urgent",), ("urgent",), (("R1", "P1"),), attributes=(("R1", "negligible", "descriptor"),)), 1.0,
    ),
    "one of two missed": (crimson((ACTIONABLE,) * 2, (ACTIONABLE,), (("R1", "P1"),)), 0.5),
    "all missed": (crimson((ACTIONABLE,)), 0.0),
    "two and an urgent false one": (
        crimson((ACTIONABLE,) * 2, (ACTIONABLE, ACTIONABLE, "urgent"), (("R1", "P1"), ("R2", "P2")), ("P3",)), 0.0,
    ),
    "urgent missed, actionable false": (crimson(("urgent",), (ACTIONABLE,), false=("P1",)), -1 / 3),
    "other words": (crimson(("Actionable, not urgent", "not actionable"), ("Urgent",)), 0.0),
    "unknown": (crimson(("unknown",)), 0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_crimsons_published_checks(name):
    reply, value = CHECKS[name]
    assert crimson_score(*CrimsonReply.parse(reply)) == pytest.approx(value, abs=1e-12)


def test_crimson_scores_what_the_judge_says():
    reply, value = CHECKS["attribute, urgent"]
    score = says(Crimson, reply)
    assert score.value == pytest.approx(value)
    assert score.details == {"matched": [[1.0, 0.5]], "missed": [], "false": []}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (crimson(("grave",)), "a known significance"),
        (crimson(("urgent",), matched=(("R1", "P9"),)), "pred_id: expected one of .., got 'P9'"),
        (crimson(("urgent",), ("urgent",), matched=(("R9", "P1"),)), "ref_id: expected one of"),
        (crimson(("urgent",), ("urgent",), (("R1", "P1"),), missing=("R1",)), "both matched and missing"),
        (crimson(("urgent",), ("urgent",), (("R1", "P1"),), false=("P1",)), "both matched and missing or false"),
        (crimson((), ("urgent",), false=("P1", "P1")), "an id is given twice"),
        (crimson((), (), false=("P1",)), "false_findings: expected one of"),
        (crimson(("urgent",), attributes=(("R1", "significant", "location"),)), "ref_id: expected one of"),
        (crimson(("urgent",), ("urgent",), (("R1", "P1"),), attributes=(("R1", "bad", "location"),)), "severity"),
        (crimson(("urgent",), ("urgent",), (("R1", "P1"),), attributes=(("R1", "significant", "x"),)), "error_types"),
        (crimson(("urgent",), ("urgent",), (("R1", "P1"),), attributes=(("R1", ["bad"], "location"),)), "severity"),
        (crimson(("urgent",), ("urgent",), (("R1", "P1"),), attributes=(("R1", "significant", {}),)), "error_types"),
        (crimson().replace('"errors"', '"mistakes"'), "missing in"),
        (crimson().replace('"false_findings": []', '"false_findings": 1'), "expected a list of ids"),
        (crimson(("urgent", "urgent")).replace("R2", "R1"), "an id of its own"),
    ],
)
def test_crimson_refuses_all_else(reply, message):
    with pytest.raises(VerdictParseError, match=message):
        CrimsonReply.parse(reply)


def test_crimson_tells_the_judge_of_the_patient():
    seen = []

    def answer(messages):
        seen.append(messages[-1]["content"])
        return crimson()

    with FakeJudge(answer=answer) as fake:
        case = Case(candidate="x", reference="y", context={"age": "80", "indication": "fall]", "site": "A"})
        CompositeReward([Crimson(model="m", base_url=fake.url)]).score_batch([case])
    close_judges()
    assert "age: 80\nindication: fall)" in seen[0]
    assert "site" not in seen[0]


# RadFact


def test_radfact_counts_both_ways(judge):
    score = Radfact(**judge).score("Left effusion. Right pneumothorax.", "Left effusion. Edema. Clear lungs.")
    assert score.details["precision"] == 0.5
    assert score.details["recall"] == pytest.approx(2 / 3)
    assert score.value == pytest.approx(4 / 7)
    assert score.details["candidate"] == [
        {"phrase": "Left effusion.", "entailed": True},
        {"phrase": "Right pneumothorax.", "entailed": False},
    ]
    precision = Radfact(**judge, measure="precision")
    assert precision.score("Left effusion. Right pneumothorax.", "Left effusion. Edema. Clear lungs.").value == 0.5


def test_radfact_asks_for_the_phrases_of_a_reference_once():
    with FakeJudge() as fake:
        reward = CompositeReward([Radfact(model="m", base_url=fake.url)])
        reward.score_batch([Case(candidate=f"Small effusion {i}.", reference=REFERENCE) for i in range(4)])
        assert fake.requests == 1 + 4 + 2 * 4
    close_judges()


def test_radfact_defines_what_has_no_phrases(judge):
    assert Radfact(**judge).score("", REFERENCE).value == 0.0
    nothing = Radfact(**judge).score("Left effusion.", "...")
    assert str(nothing.failure) == "radfact: the judge found no phrase in the reference"


@pytest.mark.parametrize(
    ("parser", "reply", "message"),
    [
        (RadfactPhrases, '{"phrases": [1]}', "expected a list of str"),
        (RadfactPhrases, '{"phrases": "x"}', "expected a list of str"),
        (RadfactPhrases, json.dumps({"phrases": ["x"] * 101}), "101 phrases"),
        (RadfactEntailment, '{"verdicts": [{"phrase": 1}]}', "'entailed'. missing"),
        (RadfactEntailment, '{"verdicts": [{"phrase": 2, "entailed": true}]}', "expected verdicts on phrases 1 to 1"),
        (RadfactEntailment, '{"verdicts": [{"phrase": "1", "entailed": true}]}', "expected each number once"),
        (RadfactEntailment, '{"verdicts": [{"phrase": 1, "entailed": 1}]}', "expected true or false"),
    ],
)
def test_radfact_refuses_all_else(parser, reply, message):
    with pytest.raises(VerdictParseError, match=message):
        parser.parse(reply)


def test_radfact_wants_a_verdict_on_each_phrase():
    with pytest.raises(VerdictParseError, match="1 verdicts on 2 phrases"):
        RadfactEntailment.truths('{"verdicts": [{"phrase": 1, "entailed": true}]}', 2)


# Rubric

CRITERIA = ("omissions: nothing is missing", "style: it is plain")


def test_a_rubric_is_scaled_and_joined():
    rubric = says(lambda **s: Rubric(criteria=CRITERIA, low=1.0, high=5.0, **s), '{"omissions": 5, "style": 2}')
    assert rubric.value == pytest.approx((1 + 0.25) / 2)
    assert rubric.details == {"marks": {"omissions": 5.0, "style": 2.0}}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ('{"omissions": 5}', "'style'. missing"),
        ('{"omissions": 5, "style": 11}', "style: expected 0 to 10, got 11"),
        ('{"omissions": 5, "style": "7"}', "style: expected 0 to 10, got '7'"),
        ('{"omissions": true, "style": 7}', "omissions: expected 0 to 10"),
        ('{"omissions": 5, "style": 7, "x": 1}', "unknown .'x'."),
    ],
)
def test_a_rubric_refuses_all_else(reply, message):
    with pytest.raises(VerdictParseError, match=message):
        RubricReply(model="m", criteria=CRITERIA).marks(reply)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"low": 10.0}, "low must be below high"),
        ({"criteria": ()}, "criteria must be texts"),
        ({"criteria": ("a: x", "a: y")}, "criteria must be texts"),
        ({"criteria": (": x",)}, "criteria must be texts"),
        ({"votes": 2}, "votes must be 1 where temperature is 0"),
        ({"votes": 0}, "votes must be from 1 to 32"),
        ({"temperature": 3.0}, "temperature must be at most 2"),
        ({"top_p": 0.0}, "top_p must be above 0 to 1"),
        ({"structured": "xml"}, "structured must be auto"),
        ({"extra_body": "[]"}, "extra_body must be a JSON object"),
        ({"base_url": "localhost:8000"}, "base_url must be http"),
        ({"base_url": "https://u:secret@h/v1"}, "base_url holds a password; give it as key"),
        ({"budget_usd": 1.0}, "budget_usd needs usd_per_million_input"),
        ({"concurrency": 0}, "concurrency must be 1 or more"),
        ({"timeout_s": 0.0}, "timeout_s must be above 0"),
        ({"stop_after": -1}, "stop_after must be 0 or more"),
    ],
)
def test_a_bad_setting_is_told_when_the_judge_is_made(settings, message):
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
        return SECTIONS

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
def test_a_bad_template_is_told_when_the_reward_is_made(tmp_path, text, message):
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
    from cxr_rewards.models.sources import absent_allowed

    with absent_allowed():
        reward = CompositeReward.from_preset(name)
    weights = {label: term.weight for label, term in reward.total.terms.items()}
    if name == "unirg_step2":
        assert weights == {
            "bleu": 0.0, "bertscore": 0.37, "semb_score": 0.253, "radgraph_combined": 0.377, "chexprompt": 0.5,
            "injection_flag": 0.0,
        }  # fmt: skip
    assert [gate.component for gate in reward.total.gates] == ["injection_flag"]
