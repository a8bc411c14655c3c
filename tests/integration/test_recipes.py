"""The recipe's settings, its data, and a rehearsal from end to end."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.errors import ConfigError, InputError
from cxr_rewards.recipes import data, evaluate, grpo_trl, grpo_verl, tiny


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
def test_bad_settings_are_reported(text, message, tmp_path):
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
def test_bad_data_are_reported_with_their_line(text, message, tmp_path):
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
    assert result["after"] > result["before"] + 0.3
    lines = [json.loads(line) for line in (tmp_path / "run" / "diagnostics.jsonl").read_text().splitlines()]
    assert len(lines) == 20
    assert lines[-1]["reward/mean"] > 0
    rows = list(csv.DictReader((tmp_path / "run" / "after.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 64
    assert rows[0]["reward"]
    assert "reward diagnostics over 20 steps" in done.stderr


def settings_of(tmp_path, rows=(), **tables):
    """A recipe of tiny data, as a TOML file."""
    for end in ("train", "eval"):
        (tmp_path / f"{end}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    text = (
        f"[model]\nname = {json.dumps(str(tmp_path / 'model'))}\n{tables.get('model', '')}\n"
        f"[data]\ntrain = {json.dumps(str(tmp_path / 'train.jsonl'))}\n"
        f"{tables.get('data', 'eval = ' + json.dumps(str(tmp_path / 'eval.jsonl')))}\n"
        f"[reward]\npreset = 'rules'\n{tables.get('reward', '')}\n"
        "[grpo]\nnum_generations = 16\nper_device_train_batch_size = 16\ngradient_accumulation_steps = 2\n"
        "max_completion_length = 12\nlearning_rate = 1e-6\nepsilon_high = 0.28\ntemperature = 1.0\n"
    )
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_a_model_is_evaluated_by_itself(tmp_path, monkeypatch, capsys):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("trl")
    made = tiny.processor()
    tiny.model(made.tokenizer).save_pretrained(tmp_path / "model")
    # A real processor of this family would need torchvision for its videos.
    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", lambda name, **_: made)
    rows = []
    for kind, reference in enumerate(tiny.REPORTS):
        tiny.film(kind, kind).save(tmp_path / f"{kind}.png")
        rows.append(
            {"image": f"{kind}.png", "reference": reference, "study_id": f"s{kind}", "prior_report": "Clear lungs."}
        )
    out = tmp_path / "scores" / "before.csv"
    mean = evaluate.main(["--config", str(settings_of(tmp_path, rows)), "-o", str(out), "--batch-size", "3"])
    assert capsys.readouterr().out == f"rules: mean {round(mean, 4)} of 4 studies\n"
    with (out.parent / "before.reports.csv").open(encoding="utf-8", newline="") as file:
        reports = list(csv.DictReader(file))
    assert [row["study_id"] for row in reports] == ["s0", "s1", "s2", "s3"]
    assert reports[0]["prior_report"] == '["Clear lungs."]'
    with out.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 4
    with pytest.raises(ConfigError, match="data.eval is missing"):
        evaluate.main(["--config", str(settings_of(tmp_path, rows, data="")), "-o", str(out)])
    config, reports = str(settings_of(tmp_path, rows)), out.parent / "before.reports.csv"
    for mine in (out, reports):
        before = mine.read_bytes()
        mine.write_text("my,own\n1,2\n")
        with pytest.raises(InputError, match="is not a file of scores, so it is not overwritten"):
            evaluate.main(["--config", config, "-o", str(out)])
        assert mine.read_text() == "my,own\n1,2\n"
        mine.write_bytes(before)


def test_verl_gets_the_settings_of_the_recipe(tmp_path, monkeypatch):
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.chdir(tmp_path)
    row = {"image": "a.png", "reference": "Clear lungs.", "study_id": "a", "indication": "Cough"}
    toml = settings_of(
        tmp_path, [row, {**row, "study_id": "b", "prior_report": "Effusion."}], model="lora_rank = 8",
        reward="cache = 'c.sqlite'\njudge = { model = 'm', base_url = 'http://j/v1' }",
    )  # fmt: skip
    ran = []
    monkeypatch.setattr(
        grpo_verl.subprocess, "run", lambda command, **_: ran.append(command) or SimpleNamespace(returncode=3)
    )
    assert grpo_verl.main(["--config", str(toml), "-o", str(tmp_path / "out"), "--gpus", "4", "trainer.nnodes=1"]) == 3
    options = dict(part.split("=", 1) for part in ran[0][3:])
    kwargs = "+reward.custom_reward_function.reward_kwargs"
    assert options["data.train_batch_size"] == "8"
    assert options["actor_rollout_ref.actor.use_kl_loss"] == "false"
    assert options["actor_rollout_ref.model.lora_alpha"] == "16"
    assert options[f"{kwargs}.judge.base_url"] == '"http://j/v1"'
    assert json.loads(options[f"{kwargs}.cache"]) == os.path.abspath("c.sqlite")
    assert float(options[f"{kwargs}.unscored"]) < CompositeReward().bounds[0]
    assert options["trainer.nnodes"] == "1"
    assert not Path("c.sqlite").exists()
    first, second = pq.read_table(tmp_path / "out" / "train.parquet").to_pylist()
    assert first["prompt"][0]["content"].startswith("<image>Indication: Cough\n")
    assert first["images"] == [{"image": str(tmp_path / "a.png")}]
    assert second["extra_info"] == {"study_id": "b", "index": 1, "priors": ["Effusion."]}
    with pytest.raises(ConfigError, match="data.eval is missing"):
        grpo_verl.main(["--config", str(settings_of(tmp_path, data="")), "-o", str(tmp_path / "out")])
    settings = data.load_settings(str(toml))
    settings["grpo"]["num_generations"] = 24
    with pytest.raises(ConfigError, match="32 rollouts an update, with 1 GPUs, are not a multiple of 24"):
        grpo_verl.overrides(settings, tmp_path, 1)
