"""The file of all rollouts."""

from __future__ import annotations

import json
import pickle

import polars as pl
import pytest
from tests.command_line import run

from cxr_rewards import CompositeReward
from cxr_rewards.adapters import RolloutLog, Samples
from cxr_rewards.errors import ConfigError


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


COLUMNS = {"report": ["Left effusion."] * 3, "before": [["Clear."], None, 7], "study": ["s1", "s1", None]}


def test_each_rollout_is_a_line_with_its_rewards(tmp_path):
    score = CompositeReward(["bleu"]).as_trl(
        reference="report", priors="before", group="study", rollout_log=tmp_path / "r.jsonl"
    )
    score(["p"] * 3, ["Left effusion.", "<think>x</think>Edema.", "Edema."], **COLUMNS)
    first, second, third = rows(tmp_path / "r.jsonl")
    assert first == {
        "step": 1, "group": "s1", "candidate": "Left effusion.", "reference_id": second["reference_id"],
        "reference": "Left effusion.", "priors": ["Clear."], "bleu": 1.0, "reward": 1.0, "reason": None,
        "reason_kind": None,
    }  # fmt: skip
    assert second["candidate"] == "Edema."
    assert (third["candidate"], third["reward"], third["reason_kind"]) == (None, None, "invalid_input")
    assert third["group"] == '["p", "Left effusion."]'


def test_pandas_polars_and_the_command_score_read_it(tmp_path):
    pandas = pytest.importorskip("pandas")
    score = CompositeReward(["bleu"]).as_callable(rollout_log=tmp_path / "r.jsonl")
    score(["Left effusion.", "Normal"], reference=["Left effusion."] * 2)
    assert pandas.read_json(tmp_path / "r.jsonl", lines=True)["bleu"].tolist() == [1.0, 0.0]
    assert pl.read_ndjson(tmp_path / "r.jsonl")["bleu"].to_list() == [1.0, 0.0]
    done = run("score", tmp_path / "r.jsonl", "-o", tmp_path / "s.jsonl", "--prefix", "rules_")
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "s.jsonl")) == 2


def test_full_files_are_followed_by_others_and_the_first_stays(tmp_path):
    log = RolloutLog(tmp_path / "r.jsonl", max_mb=1e-4, files=3)
    reward = CompositeReward(["bleu"])
    score = reward.as_callable(rollout_log=log)
    for _ in range(6):
        score(["Left effusion."], reference=["Left effusion."])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.5.jsonl", "r.6.jsonl", "r.jsonl"]
    assert [rows(tmp_path / name)[0]["step"] for name in ("r.jsonl", "r.6.jsonl")] == [1, 6]
    assert log.numbers() == [1, 5, 6]
    assert pickle.loads(pickle.dumps(log)).files == 3


def test_some_steps_can_be_left_out(tmp_path):
    score = CompositeReward(["bleu"]).as_callable(rollout_log=RolloutLog(tmp_path / "r.jsonl", every=3))
    for _ in range(7):
        score(["Left effusion."], reference=["Left effusion."])
    assert [row["step"] for row in rows(tmp_path / "r.jsonl")] == [1, 4, 7]


def test_each_process_writes_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "2")
    assert RolloutLog(tmp_path / "r.jsonl").path.name == "r.rank2.jsonl"
    samples = Samples(config="rules", unscored=-5.0, rollout_log=str(tmp_path / "verl"))
    samples.score_many([samples.case("Edema.", "Edema.", None)])
    (path,) = (tmp_path / "verl").iterdir()
    assert rows(path)[0]["candidate"] == "Edema."


def test_a_disk_that_fails_ends_the_file_and_not_the_run(tmp_path):
    log = RolloutLog(tmp_path / "r.jsonl")
    (tmp_path / "r.jsonl").unlink()
    (tmp_path / "r.jsonl").mkdir()
    score = CompositeReward(["bleu"]).as_callable(rollout_log=log)
    with pytest.warns(UserWarning, match="rollouts are no longer written"):
        assert score(["Edema."], reference=["Edema."]) == [1.0]
    assert score(["Edema."], reference=["Edema."]) == [1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every must be at least 1"),
        ({"max_mb": 0}, "max_mb must be more than 0"),
        ({"files": 1}, "files must be 0 .all. or at least 2"),
    ],
)
def test_a_number_out_of_its_range_is_reported(options, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        RolloutLog(tmp_path / "r.jsonl", **options)
    with pytest.raises(ConfigError, match="rollouts cannot be written"):
        RolloutLog(tmp_path)
