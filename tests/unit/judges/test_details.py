"""The details of judged scores: one schema for all judges, with what they said and what it cost."""

from __future__ import annotations

import json
import pickle
from typing import get_type_hints

import pytest
from tests.judge_server import ScriptedJudge, completion, says

from cxr_rewards import Case, CompositeReward
from cxr_rewards.adapters.diagnostics import Diagnostics
from cxr_rewards.errors import ConfigError
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.component import JudgeComponent
from cxr_rewards.judges.details import JudgeDetails, ReplyText, Verdict, error_statistics
from cxr_rewards.judges.protocols.chexprompt import Chexprompt
from cxr_rewards.judges.protocols.crimson import Crimson
from cxr_rewards.judges.protocols.fineradscore import Fineradscore
from cxr_rewards.judges.protocols.green import Green
from cxr_rewards.judges.protocols.radfact import Radfact
from cxr_rewards.judges.protocols.rubric import Rubric
from cxr_rewards.testing.fake_judge import FakeJudge

JUDGES = [Chexprompt, Green, Crimson, Fineradscore, Radfact, Rubric]
CANDIDATE, REFERENCE = "Left effusion. Cardiomegaly.", "Small left effusion. Right pneumothorax."


@pytest.mark.parametrize("judge", JUDGES)
def test_each_judge_tells_its_details_by_one_schema(judge):
    with FakeJudge() as fake:
        made = judge(model="m", base_url=fake.url)
        details = made.score(CANDIDATE, REFERENCE).details
    close_judges()
    assert set(details) == set(get_type_hints(JudgeDetails)) == set(made.no_details())
    assert {type(value) for key, value in details.items() if key in ("counts", "marks")} == {dict}
    assert details["model"] == "m"
    assert details["prompt_tokens"] > 100
    assert 0 < details["seconds"] < 60
    assert len(details["replies"]) == len(details["prompts"])
    assert json.loads(json.dumps(details)) == details
    assert made.no_details()["counts"].keys() == details["counts"].keys()


def test_errors_have_the_judges_words_and_agree_with_the_counts():
    reply = json.dumps({
        "errors": [
            {"type": "B", "significant": True, "what": "no word of the pneumothorax"},
            {"type": "A", "significant": False, "what": "an old fracture"},
        ]
    })  # fmt: skip
    details = says(Chexprompt, reply).details
    assert details["errors"] == [
        {"type": "B", "significant": True, "grade": "", "text": "no word of the pneumothorax"},
        {"type": "A", "significant": False, "grade": "", "text": "an old fracture"},
    ]
    assert details["missed"] == [{"text": "no word of the pneumothorax", "grade": ""}]
    assert (details["counts"]["significant"]["B"], details["counts"]["insignificant"]["A"]) == (1, 1)
    assert details["replies"] == [reply]


def test_greens_sections_are_taken_apart():
    details = says(Green, """[Explanation]:
One is missing.

[Clinically Significant Errors]:
(b) Missing a finding (of the reference): 2. Effusion; tube
(d) Wrong severity: 1. Edema (mild, not severe).

[Clinically Insignificant Errors]:
(a) False: 3. too many words to tell them apart

[Matched Findings]:
2. 1. Cardiomegaly 2. Clear lungs
""").details  # fmt: skip
    assert details["explanation"] == "One is missing."
    assert [finding["text"] for finding in details["missed"]] == ["Effusion", "tube"]
    assert [error["text"] for error in details["errors"]] == ["Effusion", "tube", "Edema (mild, not severe", "", "", ""]
    assert [finding["text"] for finding in details["matched"]] == ["Cardiomegaly", "Clear lungs"]
    assert sum(map(sum, (by_type.values() for by_type in details["counts"].values()))) == len(details["errors"])


def test_crimsons_findings_and_errors_have_their_words():
    finding = {"id": "R1", "finding": "pneumothorax", "clinical_significance": "urgent"}
    old = {"id": "R2", "finding": "old fracture", "clinical_significance": "benign_expected"}
    false = {"id": "P2", "finding": "mass", "clinical_significance": "actionable_not_urgent"}
    reply = {
        "explanation": "The mass is invented.",
        "reference_findings": [finding, old],
        "predicted_findings": [{**finding, "id": "P1"}, false],
        "matched_findings": [{"ref_id": "R1", "pred_id": "P1"}],
        "errors": {
            "false_findings": ["P2"],
            "missing_findings": ["R2"],
            "attribute_errors": [{"ref_id": "R1", "severity": "negligible", "error_types": ["location", "severity"]}],
        },
    }
    details = says(Crimson, json.dumps(reply)).details
    assert details["explanation"] == "The mass is invented."
    assert details["matched"] == [{"text": "pneumothorax", "grade": "urgent"}]
    assert details["missed"] == [{"text": "old fracture", "grade": "benign_expected"}]
    significant, insignificant = details["counts"]["significant"], details["counts"]["insignificant"]
    assert (significant["false"], significant["missed"], insignificant["missed"]) == (1, 0, 1)
    assert (insignificant["location"], insignificant["severity"], sum(insignificant.values())) == (1, 1, 3)


def test_votes_keep_their_own_verdicts_and_the_details_are_those_of_the_nearest():
    replies = [[], ["A"] * 3, ["A"]]

    def respond(request):
        errors = [{"type": kind, "significant": True, "what": "x"} for kind in replies[request.data["seed"]]]
        return completion(json.dumps({"errors": errors}), usage={"prompt_tokens": 100, "completion_tokens": 10})

    with ScriptedJudge(respond) as server:
        settings = {"model": "m", "base_url": server.url, "temperature": 1.0, "seed": 0, "concurrency": 1}
        score = Chexprompt(votes=3, **settings).score("x", REFERENCE)
    close_judges()
    assert score.value == 0.5
    assert [vote["value"] for vote in score.details["votes"]] == [1.0, 0.25, 0.5]
    assert [len(vote["errors"]) for vote in score.details["votes"]] == [0, 3, 1]
    assert set(score.details["votes"][0]) == set(get_type_hints(Verdict))
    assert len(score.details["errors"]) == 1
    assert (score.details["prompt_tokens"], score.details["completion_tokens"]) == (300, 30)
    assert score.details["agreement"] == pytest.approx(1 / 3)
    assert score.details["spread"] == 0.75


def test_a_reply_from_the_cache_file_still_says_what_it_cost(tmp_path):
    def score():
        reward = CompositeReward([Chexprompt(model="m", base_url=fake.url)], cache=tmp_path / "c.sqlite")
        return reward.score(CANDIDATE, REFERENCE).parts["chexprompt"].details

    with FakeJudge() as fake:
        first, again = score(), score()
        assert fake.requests == 1
    close_judges()
    assert first == again
    assert first["seconds"] > 0


def test_a_reply_without_its_cost_is_read_as_before(tmp_path):
    judge = Chexprompt(model="m", base_url="http://127.0.0.1:9/v1")
    reward = CompositeReward([judge], cache=tmp_path / "c.sqlite")
    (feature,) = judge.needs
    from cxr_rewards.core.feature import item_of

    item = item_of(feature, Case(candidate="x", reference="y"))
    reward.cache.put_many(feature, {item: '{"errors": []}'})
    details = CompositeReward([judge], cache=tmp_path / "c.sqlite").score("x", "y").parts["chexprompt"].details
    assert details["replies"] == ['{"errors": []}']
    assert (details["prompt_tokens"], details["seconds"]) == (None, None)


def test_a_reply_is_pickled_with_its_cost():
    copy = pickle.loads(pickle.dumps(ReplyText("text", 3, 4, 0.5)))
    assert (copy, copy.prompt_tokens, copy.completion_tokens, copy.seconds) == ("text", 3, 4, 0.5)


def test_the_histogram_of_significant_errors_equals_a_hand_count():
    def counted(significant, insignificant=0):
        return {"counts": {"significant": {"A": significant, "B": 0}, "insignificant": {"A": 0, "B": insignificant}}}

    statistics = error_statistics("AB", iter([counted(n, 1) for n in (0, 0, 1, 2, 3, 3, 4, 9, 1, 0)]))
    assert [statistics[key] for key in ("at_most_1", "exactly_2", "exactly_3", "at_least_4")] == [0.5, 0.1, 0.2, 0.2]
    assert statistics["significant"] == statistics["significant.A"] == 2.3
    assert statistics["insignificant"] == statistics["insignificant.B"] == 1.0
    assert statistics["errors"] == 3.3
    assert statistics["significant.B"] == 0.0


def test_without_a_judged_report_there_are_no_statistics():
    assert set(error_statistics("AB", []).values()) == {None}


def test_every_judge_of_errors_names_its_types():
    with FakeJudge() as fake:
        for judge in (Chexprompt, Green, Crimson, Fineradscore):
            made = judge(model="m", base_url=fake.url)
            assert isinstance(made, JudgeComponent)
            counts = made.score(CANDIDATE, REFERENCE).details["counts"]
            assert tuple(counts["significant"]) == tuple(counts["insignificant"]) == made.types
            assert made.corpus([made.score(CANDIDATE, REFERENCE)])["errors"] > 0
    close_judges()


def test_radfact_reports_the_f1_of_its_mean_precision_and_recall():
    with FakeJudge() as fake:
        radfact = Radfact(model="m", base_url=fake.url)
        scores = [radfact.score("Left effusion.", "Left effusion. Edema."), radfact.score("Mass.", "Left effusion.")]
    close_judges()
    assert radfact.corpus(scores) == {"precision": 0.5, "recall": 0.25, "f1": pytest.approx(1 / 3)}
    assert set(radfact.corpus([]).values()) == {None}


def test_diagnostics_log_what_judged_reports_have_in_common():
    replies = {"One.": 1, "Two.": 2, "Four.": 4, "None.": 0}

    def answer(messages):
        number = next(n for text, n in replies.items() if text in messages[-1]["content"])
        return json.dumps({"errors": [{"type": "B", "significant": True, "what": "x"}] * number})

    with FakeJudge(answer=answer) as fake:
        reward = CompositeReward([Chexprompt(model="m", base_url=fake.url)])
        cases = [Case(candidate=text, reference=REFERENCE) for text in replies]
        metrics = Diagnostics().observe(reward, cases, reward.score_batch(cases))
    close_judges()
    assert metrics["chexprompt/significant"] == metrics["chexprompt/significant.B"] == 7 / 4
    assert metrics["chexprompt/at_most_1"] == 0.5
    assert [metrics[f"chexprompt/{key}"] for key in ("exactly_2", "exactly_3", "at_least_4")] == [0.25, 0.0, 0.25]


# Several models


def by_model(numbers):
    """Return a response with as many significant errors as `numbers` says for the model."""

    def respond(request):
        errors = [{"type": "B", "significant": True, "what": "x"}] * numbers[request.data["model"]]
        return completion(json.dumps({"errors": errors}))

    return respond


def test_several_models_are_asked_and_their_agreement_is_told():
    with ScriptedJudge(by_model({"a": 1, "b": 1, "c": 3})) as server:
        judge = Chexprompt(models=["a", "b", "c"], base_url=server.url, model="left out")
        score = judge.score("x", REFERENCE)
        assert sorted(request.data["model"] for request in server.requests) == ["a", "b", "c"]
    close_judges()
    assert score.value == 0.5
    assert [(vote["model"], vote["value"]) for vote in score.details["votes"]] == [("a", 0.5), ("b", 0.5), ("c", 0.25)]
    assert (score.details["agreement"], score.details["spread"]) == (pytest.approx(2 / 3), 0.25)
    assert score.details["model"] == "a"
    statistics = judge.corpus([score, score])
    assert (statistics["agreement"], statistics["spread"]) == (pytest.approx(2 / 3), 0.25)


@pytest.mark.parametrize(
    ("vote", "numbers", "value"),
    [
        ("median", (1, 1, 3), 0.5),
        ("mean", (1, 1, 3), 5 / 12),
        ("majority", (0, 3, 3), 0.25),
        ("majority", (0, 1, 3), 0.5),
    ],
)
def test_models_are_combined_as_set(vote, numbers, value):
    with ScriptedJudge(by_model(dict(zip("abc", numbers, strict=True)))) as server:
        score = Chexprompt(models=["a", "b", "c"], vote=vote, base_url=server.url).score("x", REFERENCE)
    close_judges()
    assert score.value == pytest.approx(value)


def test_each_model_may_have_an_address_and_votes_of_its_own():
    with ScriptedJudge(by_model({"a": 0})) as one, ScriptedJudge(by_model({"b": 1})) as two:
        settings = {"models": ["a", "b"], "model_urls": [one.url, two.url], "votes": 2, "temperature": 1.0, "seed": 5}
        score = Chexprompt(**settings).score("x", REFERENCE)
        assert sorted(request.data["seed"] for request in one.requests) == [5, 6]
        assert len(two.requests) == 2
    close_judges()
    assert [vote["value"] for vote in score.details["votes"]] == [1.0, 1.0, 0.5, 0.5]


def test_several_models_share_their_replies_with_judges_of_one_model(tmp_path):
    with FakeJudge() as fake:
        for settings, asked in (({"model": "a"}, 1), ({"models": ["a", "b"]}, 2), ({"models": ["b"]}, 2)):
            reward = CompositeReward([Chexprompt(base_url=fake.url, **settings)], cache=tmp_path / "c.sqlite")
            assert reward.score(CANDIDATE, REFERENCE).value is not None
            assert fake.requests == asked
    close_judges()


@pytest.mark.parametrize("judge", JUDGES)
def test_every_judge_takes_several_models(judge):
    with FakeJudge() as fake:
        made = judge(models=["a", "b"], base_url=fake.url)
        score = made.score(CANDIDATE, REFERENCE)
        assert pickle.loads(pickle.dumps(made)) == made
        assert made.signature != judge(models=["a", "c"], base_url=fake.url).signature
    close_judges()
    assert [vote["model"] for vote in score.details["votes"]] == ["a", "b"]
    assert score.details["agreement"] == 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models": ["a", "a"]}, "models must be names, each once"),
        ({"models": ["a", ""]}, "models must be names"),
        ({"models": ["a", 3]}, "models must be names"),
        ({"models": ["a"], "model_urls": ["http://h/v1"] * 2}, "model_urls must be as many as models, or none"),
        ({"vote": "minority"}, "vote must be median, mean or majority"),
    ],
)
def test_wrong_models_are_reported_when_the_judge_is_made(settings, message):
    with pytest.raises(ConfigError, match=message):
        Chexprompt(**settings)
