"""The recipe's settings, its data, and a rehearsal from end to end."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest

from cxr_rewards.errors import ConfigError, InputError
from cxr_rewards.recipes import data, grpo_trl


@pytest.mark.parametrize("name", ["unirg_step1", "unirg_step2"])
def test_the_papers_numbers_are_in_the_recipes(name):
    settings = data.load_settings(name)
    grpo = settings["grpo"]
    assert (grpo["num_generations"], grpo["learning_rate"]) == (16, 5e-6)
    assert grpo["beta"] == (0.0 if name == "unirg_step1" else 0.03)
    assert grpo["epsilon_high"] > 0.2
    assert settings["reward"]["preset"] == ("unirg" if name == "unirg_step1" else name)
    assert grpo["per_device_train_batch_size"] * grpo["gradient_accumulation_steps"] * 8 == 256
    assert settings["data"]["image_pixels"] == 512


@pytest.mark.parametrize("name", ["unirg_step1", "unirg_step2"])
def test_trl_knows_every_argument_of_the_recipes(name, tmp_path):
    trl = pytest.importorskip("trl")
    from dataclasses import fields

    known = {field.name for field in fields(trl.GRPOConfig)}
    assert set(data.load_settings(name)["grpo"]) <= known
    assert set(grpo_trl.TINY["grpo"]) <= known


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "cannot be read as TOML"),
        ("[modl]\n", "unknown table 'modl'.*Did you mean 'model'"),
        ('[model]\nnam = "x"\n', "unknown key 'nam'.*Did you mean 'name'"),
        ('[model]\nname = "x"\n', "data.train is missing"),
    ],
)
def test_bad_settings_are_told(text, message, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        data.load_settings(str(path))
    with pytest.raises(ConfigError, match="unknown recipe or file 'unirg'; known: unirg_step1, unirg_step2"):
        data.load_settings("unirg")


def test_rows_hold_context_prior_and_images(tmp_path):
    from PIL import Image

    for name in ("now.png", "before.png"):
        Image.new("L", (600, 300), 90).save(tmp_path / name)
    row = {
        "image": "now.png", "reference": "Clear lungs.", "study_id": 7, "indication": "Cough", "prior_report": "Effusion.",
        "prior_image": "before.png",
    }  # fmt: skip
    (tmp_path / "d.jsonl").write_text(json.dumps(row) + "\n\n" + json.dumps({"image": "now.png", "reference": "b"}))
    one, two = data.read_rows(tmp_path / "d.jsonl")
    assert one["prompt"][0]["content"].startswith("Indication: Cough\nReport of the last examination: Effusion.")
    assert one["prior_reports"] == ["Effusion."]
    assert len(one["images"]) == 2
    assert (two["study_id"], two["prior_reports"], len(two["images"])) == ("3", [], 1)
    (alone, _) = data.read_rows(tmp_path / "d.jsonl", with_prior=False)
    assert (alone["prior_reports"], len(alone["images"])) == ([], 1)
    pytest.importorskip("datasets")
    images = data.dataset_of([one, two], pixels=512)[0]["images"]
    assert [image.size for image in images] == [(512, 256)] * 2
    assert images[0].mode == "RGB"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ('{"image": "x"}', "line 1: KeyError: 'reference'; needs image, reference"),
        ('{"image": "x", "reference": "y"}\n{', "line 2: JSONDecodeError"),
    ],
)
def test_bad_data_are_told_with_their_line(text, message, tmp_path):
    path = tmp_path / "d.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        list(data.read_rows(path))


@pytest.mark.slow
def test_a_rehearsal_trains_evaluates_and_tells(tmp_path):
    pytest.importorskip("trl")
    done = subprocess.run(
        [sys.executable, "-m", "cxr_rewards.recipes.grpo_trl", "--tiny", "--max-steps", "20", "-o", tmp_path / "run"],
        capture_output=True, text=True, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert 0 < result["before"] <= 1
    assert 0 < result["after"] <= 1
    lines = [json.loads(line) for line in (tmp_path / "run" / "diagnostics.jsonl").read_text().splitlines()]
    assert len(lines) == 20
    assert lines[-1]["reward/mean"] > 0
    rows = list(csv.DictReader((tmp_path / "run" / "after.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 64
    assert rows[0]["reward"]
    assert "reward diagnostics over 20 steps" in done.stderr
