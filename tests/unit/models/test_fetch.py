"""Downloading through real sockets, with faults; checking what lies there. The hub's address is read at import: all
that downloads runs in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests.command_line import run
from tests.unit.models.hub import serve

from cxr_rewards.components.chexbert_f1 import ChexbertF1
from cxr_rewards.components.radcliq_v1 import RadcliqV1
from cxr_rewards.components.ratescore import Ratescore
from cxr_rewards.components.semb_score import SembScore
from cxr_rewards.models.fetch import check, sources_of
from cxr_rewards.models.published import SCORERS_COMMIT, SHA256
from cxr_rewards.models.sources import Source


@pytest.fixture
def hub(models_folder):
    with serve(models_folder) as running:
        yield running


IMPATIENT = (
    "import runpy, time; time.sleep = lambda seconds: None; "
    "runpy.run_module('cxr_rewards', run_name='__main__', alter_sys=True)"
)
"""The command line, without the pauses of the hub's client between its tries."""


@pytest.fixture
def cli(hub, tmp_path):
    """Run the command line where nothing is cached, against the hub."""

    def run(*arguments, **environment):
        settings = {
            "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "CXR_REWARDS_MODELS": str(tmp_path / "models"),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_TOKEN": "", **environment,
        }  # fmt: skip
        command = [sys.executable, "-c", IMPATIENT, *arguments]
        return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings}, check=False)

    return run


def test_what_components_need_is_listed_once_through_all_features():
    def repos(*components):
        return [source.repo for source in sources_of(f for c in components for f in c.needs)]

    assert repos(ChexbertF1(), SembScore()) == ["StanfordAIMI/RRG_scorers", "google-bert/bert-base-uncased"]
    assert repos(Ratescore()) == ["Angelakeke/RaTE-NER-Deberta", "FremyCompany/BioLORD-2023-C"]
    assert set(repos(RadcliqV1())) == {
        "StanfordAIMI/RRG_scorers", "microsoft/BiomedNLP-PubMedBERT-base-uncased-abstract-fulltext",
        "distilbert/distilroberta-base", "google-bert/bert-base-uncased",
    }  # fmt: skip


def test_fetch_downloads_what_scoring_needs_and_nothing_twice(cli, hub, tmp_path, monkeypatch):
    first = cli("fetch", "radgraph_combined", "bertscore", "--json")
    assert first.returncode == 0, first.stderr
    rows = json.loads(first.stdout)
    assert {row["folder"] for row in rows} == {
        str(tmp_path / "models" / name)
        for name in (
            "StanfordAIMI--RRG_scorers",
            "microsoft--BiomedNLP-PubMedBERT-base-uncased-abstract-fulltext",
            "distilbert--distilroberta-base",
        )
    }
    assert all(row["downloaded"] >= 1 and row["bytes"] > 1000 for row in rows)
    hub.requests.clear()
    again = cli("fetch", "radgraph_combined", "bertscore", "--json")
    assert [row["downloaded"] for row in json.loads(again.stdout)] == [0, 0, 0]
    assert hub.requests == []
    assert cli("fetch", "radgraph_combined", "bertscore", "--check").returncode == 0
    table = tmp_path / "in.csv"
    table.write_text("candidate,reference\nSmall left effusion.,Left effusion.\n")
    config = tmp_path / "r.toml"
    config.write_text("[components.radgraph_combined]\nweight = 0.5\n[components.bertscore]\nweight = 0.5\n")
    monkeypatch.setenv("CXR_REWARDS_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    scored = run("score", table, "-o", tmp_path / "out.csv", "--config", config)
    assert scored.returncode == 0, scored.stderr


def test_fetch_into_a_folder_for_another_machine(cli, tmp_path):
    done = cli("fetch", "bertscore", "--to", str(tmp_path / "usb"))
    assert done.returncode == 0, done.stderr
    assert f"export CXR_REWARDS_MODELS={tmp_path / 'usb'}" in done.stderr
    assert (tmp_path / "usb" / "distilbert--distilroberta-base" / "model.safetensors").is_file()
    assert cli("fetch", "bertscore", "--check", "--to", str(tmp_path / "usb")).returncode == 0
    absent = cli("fetch", "bertscore", "--check")
    assert absent.returncode == 1
    assert "distilbert/distilroberta-base: " in absent.stderr
    assert "lacks config.json" in absent.stderr


def test_a_pinned_revision_is_downloaded_unless_another_is_named(cli, hub):
    assert cli("fetch", "radgraph_combined").returncode == 0
    asked = {path for _, path in hub.requests if "RRG_scorers" in path}
    assert asked
    assert all(f"/resolve/{SCORERS_COMMIT}/" in path for path in asked)
    assert Source("org/name@v2", (), commit="abc").revision == "v2"


def test_other_weights_can_be_fetched_on_purpose(cli, tmp_path):
    config = tmp_path / "r.toml"
    config.write_text("accept_other_weights = true\n[components.chexbert_f1]\nweight = 1.0\n")
    done = cli("fetch", str(config))
    assert done.returncode == 0, done.stderr
    assert cli("fetch", str(config), "--check").returncode == 0
    refused = cli("fetch", "chexbert_f1", "--check")
    assert refused.returncode == 1
    assert SHA256["chexbert.pth"] in refused.stderr


def test_a_published_checksum_must_hold(cli, tmp_path):
    done = cli("fetch", "chexbert_f1")  # the random weights are not the published ones
    assert done.returncode == 1
    assert "chexbert.pth has sha256 " in done.stderr
    assert f"the published file {SHA256['chexbert.pth']}; the file was deleted" in done.stderr
    assert not (tmp_path / "models" / "StanfordAIMI--RRG_scorers" / "chexbert.pth").exists()


def test_a_connection_that_breaks_off_leaves_no_half_file(cli, hub, tmp_path):
    hub.cut.add("model.safetensors")
    done = cli("fetch", "bertscore")
    path = tmp_path / "models" / "distilbert--distilroberta-base" / "model.safetensors"
    if done.returncode:  # the hub's client may have gone on by itself
        assert "cannot be downloaded" in done.stderr
        assert not path.exists()
        assert cli("fetch", "bertscore").returncode == 0
    assert path.read_bytes() == (hub.root / "distilbert--distilroberta-base" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("fault", "parts"),
    [
        ("gated", ("accept its terms on its page and set HF_TOKEN",)),
        (
            "failing",
            ("distilbert/distilroberta-base: config.json cannot be downloaded from http://127.0.0.1", "--to FOLDER"),
        ),
        ("offline", ("HF_HUB_OFFLINE is set: unset it",)),
        ("gone", ("cannot be downloaded from http://127.0.0.1:1", "without internet, run the same command elsewhere")),
    ],
)
def test_a_failed_download_is_reported_with_its_cure(cli, hub, fault, parts):
    environment = {}
    if fault == "gated":
        hub.gated.add("distilbert/distilroberta-base")
    elif fault == "failing":
        hub.failing.add("config.json")
    elif fault == "offline":
        environment["HF_HUB_OFFLINE"] = "1"
    else:
        environment["HF_ENDPOINT"] = "http://127.0.0.1:1"
    done = cli("fetch", "bertscore", **environment)
    assert done.returncode == 1
    for part in parts:
        assert part in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_names_and_rewards_without_weights(cli):
    assert "Did you mean 'unirg'" in cli("fetch", "unirgg").stderr
    done = cli("fetch", "rules")
    assert done.returncode == 0
    assert "rules: needs no weights" in done.stderr


def test_check_finds_damage(tmp_path, models_folder):
    import shutil

    folder = tmp_path / "models"
    shutil.copytree(models_folder, folder)
    sources = [
        Source("distilbert/distilroberta-base", ("config.json", "model.safetensors")),
        Source("StanfordAIMI/RRG_scorers", ("radgraph.tar.gz", "chexbert.pth")),
    ]
    assert check(sources, folder) == []
    roberta, scorers = folder / "distilbert--distilroberta-base", folder / "StanfordAIMI--RRG_scorers"
    (roberta / "config.json").write_text("{")
    for path in (roberta / "model.safetensors", scorers / "radgraph.tar.gz", scorers / "chexbert.pth"):
        path.write_bytes(path.read_bytes()[:-100])
    problems = check(sources, folder)
    assert len(problems) == 4
    for name, problem in zip(
        ("config.json", "model.safetensors", "radgraph.tar.gz", "chexbert.pth"), problems, strict=True
    ):
        assert f"{name}: is damaged" in problem
