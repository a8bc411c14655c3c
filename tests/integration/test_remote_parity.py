"""All that a `CompositeReward` can do, a `RemoteReward` can do with the same result, or says why not."""

from __future__ import annotations

import csv

import pytest
from tests.serving import served

from cxr_rewards import Case, CompositeReward
from cxr_rewards.errors import ConfigError, SetupError
from cxr_rewards.explain.build import explain
from cxr_rewards.files import choose_columns, open_table, read_details, score_file
from cxr_rewards.remote.http import RemoteReward
from cxr_rewards.remote.load import load_reward

PAIRS = [
    ("Small left pleural effusion.", "Left pleural effusion."),
    ("The lungs are clear.", "Right pneumothorax. No effusion."),
    ("Cardiomegaly with pulmonary edema.", "Mild cardiomegaly."),
    ("Left basilar opacity, likely pneumonia.", "Left lower lobe pneumonia."),
]
CASE = Case(candidate="Small left effusion. No edema.", reference="Left effusion with edema.", priors=("Clear.",))


def scored(reward, folder, name, **options):
    with (folder / "in.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("candidate", "reference"), *PAIRS])
    table = open_table(folder / "in.csv")
    columns = choose_columns(table.columns, where="in.csv")
    return score_file(table, columns, reward, folder / f"{name}.csv", **options)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("details", [True, False])
def test_statistics_of_a_file_are_those_of_a_local_reward(tmp_path, details):
    """CheXbert's labels, which they are made of, come also where no other details are asked for."""
    local = CompositeReward({"strict": "chexbert_f1", "radcliq_v0": "radcliq_v0", "bleu": "bleu"})
    ours = scored(local, tmp_path, "local")
    assert set(ours.corpus) == {"strict", "radcliq_v0"}
    with served(local) as url:
        theirs = scored(RemoteReward(url, details=details), tmp_path, "remote")
    assert theirs.corpus == ours.corpus
    assert (tmp_path / "remote.csv").read_text() == (tmp_path / "local.csv").read_text()


@pytest.mark.parametrize("details", [True, False])
def test_the_details_of_a_file_are_those_of_a_local_reward(tmp_path, details):
    """They are fetched for the file, also by a reward that else does without."""
    local = CompositeReward(["findings_score", "bleu"])
    with served(local) as url:
        rewards = {"local": local, "remote": RemoteReward(url, details=details)}
        for name, reward in rewards.items():
            scored(reward, tmp_path, name, details=tmp_path / f"{name}.jsonl", detail_columns=["bleu.brevity_penalty"])
    assert (tmp_path / "remote.csv").read_text() == (tmp_path / "local.csv").read_text()
    ours, theirs = (list(read_details(tmp_path / f"{name}.jsonl")) for name in rewards)
    assert theirs == ours
    assert ours[0]["parts"]["findings_score"]["details"]["matched"]


@pytest.mark.usefixtures("models")
def test_settings_that_move_statistics_go_along(tmp_path):
    from cxr_rewards.components.chexbert_f1 import ChexbertF1

    local = CompositeReward([ChexbertF1(uncertain="ignore", conditions=5)])
    with served(local) as url:
        remote = RemoteReward(url)
        assert remote.components["chexbert_f1"].uncertain == "ignore"
        assert scored(remote, tmp_path, "remote").corpus == scored(local, tmp_path, "local").corpus


@pytest.mark.usefixtures("models")
def test_details_that_statistics_cannot_be_made_of_fail_at_once(monkeypatch):
    local = CompositeReward(["chexbert_f1"])
    with served(local) as url:
        remote = RemoteReward(url)
        send = remote.send
        for details in ({}, {"labels": 7}, {"labels": ["x"]}, {"labels": None}):
            rows = [[type(score)(score.value, details) for score in row] for row in send([CASE])]
            monkeypatch.setattr(remote, "send", lambda _, rows=rows: rows)
            assert remote.score_batch([CASE])[0].reasons.startswith("chexbert_f1: ")


@pytest.fixture(scope="module")
def rules():
    with served(CompositeReward()) as url:
        yield url


@pytest.mark.parametrize("details", [True, False])
@pytest.mark.parametrize("only", ["", "bleu", "findings_score", "change_f1", "length"])
def test_an_explanation_is_that_of_a_local_reward(rules, only, details):
    local, remote = CompositeReward(), RemoteReward(rules, details=details)
    ours, theirs = explain(local, CASE, only=only), explain(remote, CASE, only=only)
    assert plain(theirs) == plain(ours)
    if not only:
        assert theirs.findings.in_reward


def test_an_explanation_takes_the_servers_settings():
    from cxr_rewards.components.findings_score import FindingsScore

    local = CompositeReward({"mine": FindingsScore(denial_cost=0.75)})
    with served(local) as url:
        assert plain(explain(RemoteReward(url), CASE)) == plain(explain(local, CASE))


def test_details_that_cannot_be_explained_are_reported(rules, monkeypatch):
    remote = RemoteReward(rules)
    send = remote.send
    rows = [[type(score)(score.value, {"matched": [7]}) for score in row] for row in send([CASE])]
    monkeypatch.setattr(remote, "send", lambda _: rows)
    with pytest.raises(SetupError, match="the details of findings_score"):
        explain(remote, CASE)


def plain(value):
    """As JSON holds it, which knows no tuples."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def test_a_remote_reward_does_what_a_local_one_does_or_says_why_not(rules):
    local, remote = CompositeReward(), RemoteReward(rules)
    for name in ("name", "signature", "bounds", "max_chars", "total"):
        assert getattr(remote, name) == getattr(local, name)
    assert str(remote.describe()) == str(local.describe())
    assert list(remote.components) == list(local.components)
    texts = ("Small left effusion.", "Left effusion.", ("Clear.",))
    assert remote.score(*texts).value == local.score(*texts).value
    columns = {"candidates": ["Left effusion."], "references": ["Effusion."]}
    assert remote.score_batch(**columns)[0].value == local.score_batch(**columns)[0].value
    parts = remote.parts([CASE])
    assert [one.value for one in parts[0]] == [one.value for one in local.parts([CASE])[0]]
    assert remote.combine([CASE], parts)[0].value == local.score_batch([CASE])[0].value
    call = {"completions": ["Left effusion."], "report": ["Effusion."]}
    for door in ("as_trl", "as_callable"):
        assert getattr(remote, door)(reference="report")(**call) == getattr(local, door)(reference="report")(**call)
    assert list(remote.seconds) == ["elsewhere"]
    assert remote.cache is None
    remote.release()
    with pytest.raises(ConfigError, match="cxr-rewards warm"):
        remote.warm(["x"])
    with pytest.raises(ConfigError, match="score_batch: expected a list of cases"):
        remote.score_batch(CASE)
    public = {name for name in dir(CompositeReward) if not name.startswith("_")}
    assert public <= set(dir(remote))
    assert load_reward(rules).signature == local.signature


def test_long_cases_go_in_requests_that_a_server_takes():
    local = CompositeReward(["length"])
    cases = [Case(candidate="\x00\ud800\U0001f600" * 30_000, reference="x") for _ in range(100)]
    with served(local) as url:
        values = [one.value for one in RemoteReward(url, batch=1000).score_batch(cases)]
    assert values == [one.value for one in local.score_batch(cases)]
    assert None not in values
