"""The summary of a scored file tells how much was not understood."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from cxr_rewards.cli import render
from cxr_rewards.cli.app import app
from cxr_rewards.core.usage import Ledger

UNREAD = "There is zanzibar in the left base."


@pytest.fixture
def reports(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(
        f"candidate,reference\nCardiomegaly.,The heart is enlarged. {UNREAD}\n{UNREAD} Effusion.,Left effusion.\n"
    )
    return path


def test_the_share_of_unread_sentences_is_in_the_json(reports, tmp_path):
    result = CliRunner().invoke(app, ["score", str(reports), "--out", str(tmp_path / "out.csv"), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["unread"] == {"candidate": 0.25, "reference": 0.25}


def test_retries_of_a_judge_are_in_the_json(reports, tmp_path, monkeypatch):
    ledger = Ledger()
    ledger.tally("here", "judge").retries["HTTP 429"] += 3
    monkeypatch.setattr(render, "LEDGER", ledger)
    result = CliRunner().invoke(app, ["score", str(reports), "--out", str(tmp_path / "out.csv"), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["judges"]["judge"]["retries"] == {"HTTP 429": 3}


def test_the_summary_tells_it_and_warns(reports, tmp_path):
    result = CliRunner().invoke(app, ["score", str(reports), "--out", str(tmp_path / "out.csv")])
    assert "25.0% of the references' sentences" in " ".join(result.output.split())
    assert "counts as normal" in result.output
