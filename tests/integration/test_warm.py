"""`cxr-rewards warm` and `show` with models, from the command line."""

from __future__ import annotations

import csv
from itertools import pairwise

import pytest
from typer.testing import CliRunner

from cxr_rewards.cache import CacheWarning, SqliteCache
from cxr_rewards.cli.app import app
from cxr_rewards.errors import CacheError
from cxr_rewards.testing.models import SENTENCES


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "train.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["report", "prior_report"])
        writer.writerows(zip(SENTENCES, reversed(SENTENCES), strict=True))
        writer.writerow([SENTENCES[0], ""])
    return path


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_references_and_priors_are_computed_once(models, table, tmp_path):
    arguments = ("warm", table, "--preset", "unirg", "--cache", tmp_path / "cache.sqlite")
    first = run(*arguments)
    assert first.exit_code == 0, first.output
    assert f"13 rows, {len(SENTENCES)} distinct texts" in first.output
    assert f"radgraph_annotations: {len(SENTENCES)} computed now" in first.output
    again = run(*arguments)
    assert "radgraph_annotations: 0 computed now" in again.output


def test_a_reward_without_a_cache_file_is_reported(models, table):
    done = run("warm", table, "--preset", "unirg")
    assert done.exit_code == 1
    assert "has no cache file to fill; give --cache FILE" in str(done.exception)


def test_a_reward_without_weights_can_be_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("CXR_REWARDS_MODELS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    shown = run("show", "unirg")
    assert shown.exit_code == 0, shown.output
    assert "no signature: weights are absent" in shown.output
    assert "needs StanfordAIMI/RRG_scorers (CheXbert): absent: cxr-rewards fetch unirg" in shown.output


def test_scoring_tells_what_only_a_whole_file_has(models, tmp_path):
    path = tmp_path / "in.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("candidate", "reference"), *pairwise(SENTENCES), ("x", "")])
    config = tmp_path / "r.toml"
    config.write_text("[components.chexbert_f1]\nweight = 1.0\n[components.radcliq_v1]\nweight = -0.1\n")
    done = run("score", path, "-o", tmp_path / "out.csv", "--config", config, "--dtype", "bfloat16", "--device", "cpu")
    assert done.exit_code == 0, done.output
    for part in ("over the whole file", "micro_f1_14", "macro_f1_5", "1/mean"):
        assert part in done.output
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["candidate", "reference", "chexbert_f1", "radcliq_v1", "reward", "reason", "reason_kind"]
    assert rows[-1]["reward"] == ""


def test_a_cache_that_cannot_be_written_ends_it_before_more_is_computed_in_vain(models, table, tmp_path, monkeypatch):
    def fail(*_):
        raise CacheError("the disk is full")

    monkeypatch.setattr(SqliteCache, "_write", fail)
    with pytest.warns(CacheWarning, match="the disk is full"):
        done = run("warm", table, "--preset", "unirg", "--cache", tmp_path / "cache.sqlite")
    assert isinstance(done.exception, CacheError)
    assert "computed now" not in done.output
