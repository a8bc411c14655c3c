"""The recipes' settings and data, what they refuse, and a rehearsal of the whole chain."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from types import SimpleNamespace

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.errors import ConfigError, InputError, MissingDependencyError
from cxr_rewards.files import choose_columns, open_table, score_file
from cxr_rewards.recipes import checks, data, evaluate, grpo_trl, grpo_verl, options, settings, unirg


@pytest.mark.parametrize("name", ["unirg_step1", "unirg_step2"])
def test_the_papers_numbers_are_in_the_recipes(name):
    made = settings.load_settings(name)
    grpo = made["grpo"]
    assert (grpo["num_generations"], grpo["learning_rate"], grpo["num_train_epochs"]) == (16, 5e-6, 1)
    assert grpo["beta"] == (0.0 if name == "unirg_step1" else 0.03)
    assert made["reward"]["preset"] == ("unirg" if name == "unirg_step1" else name)
    assert grpo["per_device_train_batch_size"] * grpo["gradient_accumulation_steps"] * 8 == 256
    assert settings.check_groups(made, 8) == 1024
    assert made["data"]["image_pixels"] == 512
    if name == "unirg_step1":
        sft = made["sft"]
        assert (sft["learning_rate"], sft["num_train_epochs"]) == (5e-5, 3)
        assert sft["per_device_train_batch_size"] * sft["gradient_accumulation_steps"] * 8 == 256


@pytest.mark.parametrize("name", ["unirg_step1", "unirg_step2"])
def test_the_upper_clip_of_the_recipes_can_act(name):
    """With one update a generation the ratio is exactly 1, and nothing is ever clipped."""
    made = settings.load_settings(name)
    assert made["grpo"]["epsilon_high"] > 0.2
    assert settings.updates_per_generation(made) == 4
    assert settings.updates_per_generation({"grpo": options.TINY_GRPO}) == 2
    assert settings.updates_per_generation({"grpo": {"gradient_accumulation_steps": 4}}) == 1


def test_trl_knows_every_argument_of_the_recipes():
    trl = pytest.importorskip("trl")
    from dataclasses import fields

    known = {kind: {field.name for field in fields(kind)} for kind in (trl.GRPOConfig, trl.SFTConfig)}
    for name in ("unirg_step1", "unirg_step2"):
        made = settings.load_settings(name)
        assert set(made["grpo"]) <= known[trl.GRPOConfig]
        assert set(made.get("sft", ())) <= known[trl.SFTConfig]


@pytest.mark.parametrize("step", ["", "_step2"])
def test_presets_have_both_readings_of_the_papers_radgraph_term(step):
    from cxr_rewards.core.absent import absent_allowed

    with absent_allowed():
        one, other = (CompositeReward.from_preset(f"unirg{name}{step}") for name in ("", "_xl"))
    weights = {label: term.weight for label, term in one.total.terms.items()}
    assert weights.pop("radgraph_combined") == 0.377
    assert weights == {
        "bleu": 0.0, "bertscore": 0.370, "semb_score": 0.253,
        **({"chexprompt": 0.5, "injection_flag": 0.0} if step else {}),
    }  # fmt: skip
    assert {label: term.weight for label, term in other.total.terms.items()} == {**weights, "radgraph_f1": 0.377}
    assert all(not term.transforms for term in (*one.total.terms.values(), *other.total.terms.values()))
    graph, bert = other.components["radgraph_f1"], other.components["bertscore"]
    assert (graph.model, graph.level, graph.case_sensitive) == ("radgraph-xl", "complete", True)
    assert bert.model.endswith("distilroberta-base")
    assert (bert.layer, bert.measure, bert.idf_corpus, bert.baseline != 0) == (5, "f1", "", True)  # rescaled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "cannot be read as TOML"),
        ("[modl]\n", "unknown table 'modl'.*Did you mean 'model'"),
        ("model = 1\n", "model must be a table"),
        ('[model]\nnam = "x"\n', "unknown key 'nam'.*Did you mean 'name'"),
        ('[model]\nname = "x"\n', "data.train is missing"),
    ],
)
def test_bad_settings_are_reported(text, message, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        settings.load_settings(str(path))
    with pytest.raises(ConfigError, match="unknown recipe or file 'unirg'; known: unirg_step1, unirg_step2"):
        settings.load_settings("unirg")


def test_rows_hold_context_prior_and_images(tmp_path):
    from PIL import Image

    for name in ("now.png", "before.png"):
        Image.new("L", (600, 300), 90).save(tmp_path / name)
    row = {
        "image": "now.png", "reference": "Clear\u2028lungs.", "study_id": 7, "indication": "Cough",
        "prior_report": "Effusion.", "prior_image": "before.png",
    }  # fmt: skip
    lines = [json.dumps(row, ensure_ascii=False), "", json.dumps({"image": "now.png", "reference": "b"})]
    (tmp_path / "d.jsonl").write_text("\n".join(lines), encoding="utf-8")
    one, two = data.read_rows(tmp_path / "d.jsonl")
    assert one["prompt"][0]["content"].startswith("Indication: Cough\nReport of the last examination: Effusion.")
    assert one["prior_reports"] == ["Effusion."]
    assert len(one["images"]) == 2
    assert (two["study_id"], two["prior_reports"], len(two["images"])) == ("3", [], 1)
    (alone, _) = data.read_rows(tmp_path / "d.jsonl", with_prior=False)
    assert (alone["prior_reports"], len(alone["images"])) == ([], 1)
    (text, _) = data.read_rows(tmp_path / "d.jsonl", images=False)
    assert "images" not in text
    assert "second image" not in text["prompt"][0]["content"]
    pytest.importorskip("datasets")
    images = data.dataset_of([one, two], pixels=512)[0]["images"]
    assert [image.size for image in images] == [(512, 256)] * 2
    assert images[0].mode == "RGB"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no such file; the recipe needs a JSONL file"),
        ("\n", "has no rows"),
        ('{"image": "x"}', "line 1: needs 'reference', the text of the true report; got columns image"),
        ('{"reference": "y"}\n{', "line 2: is not JSON"),
        ('{"reference": "y"}\n[1]', "line 2: must be an object"),
        ('{"reference": "y", "image": "x.png"}', "line 1: the image .*x.png does not exist"),
        ('{"reference": "y"}\n{"reference": "y", "image": "x.png"}', "line 1: needs 'image'"),
    ],
)
def test_bad_data_are_reported_with_their_line(text, message, tmp_path):
    path = tmp_path / "d.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        data.read_rows(path)


def recipe(tmp_path, rows=({"reference": "Clear lungs."},), **tables):
    """A recipe of small data, as a TOML file."""
    for end in ("train", "eval"):
        (tmp_path / f"{end}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    text = (
        f"[model]\nname = {json.dumps(str(tmp_path / 'model'))}\n{tables.get('model', '')}\n"
        f"[data]\ntrain = {json.dumps(str(tmp_path / 'train.jsonl'))}\n"
        f"{tables.get('data', 'eval = ' + json.dumps(str(tmp_path / 'eval.jsonl')))}\n"
        f"[reward]\n{tables.get('reward', 'preset = ' + repr('rules'))}\n"
        "[grpo]\nnum_generations = 16\nper_device_train_batch_size = 16\ngradient_accumulation_steps = 2\n"
        "max_completion_length = 12\nlearning_rate = 1e-6\nepsilon_high = 0.28\ntemperature = 1.0\n"
        "use_cpu = true\nbf16 = false\n"
        f"{tables.get('grpo', '')}\n"
    )
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def refuse(capsys, *arguments):
    """The line with which the trl recipe ends."""
    with pytest.raises(SystemExit) as end:
        checks.run_command(lambda: grpo_trl.main([str(part) for part in arguments]))
    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (1, "", 1), err
    return err


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"grpo": "steps_per_generation = 1\n", "model": ""}, None),
        ({"grpo": "steps_per_generation = 3"}, "steps_per_generation = 3 is not a multiple of gradient_accumulation"),
        ({"grpo": "learning_rat = 1"}, "[grpo]: unknown key 'learning_rat' of trl's GRPOConfig. Did you mean"),
        ({"reward": "preset = 'rule'"}, "unknown preset 'rule'"),
        ({"reward": "preset = 'unirg'"}, "cxr-rewards fetch unirg`"),
        (
            {"reward": "preset = 'judge_only'\njudge = {model = 'm', base_url = 'http://127.0.0.1:9/v1'}"},
            "(m at http://127.0.0.1:9/v1): gives no verdict",
        ),
        ({}, "model: cannot be loaded as a language model (the data have no images)"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # trl's and transformers' own
def test_a_mistake_costs_one_line_before_the_first_step(tables, message, tmp_path, capsys, monkeypatch):
    pytest.importorskip("trl")
    monkeypatch.setenv("CXR_REWARDS_MODELS", str(tmp_path / "no models"))
    monkeypatch.setattr(checks, "PATIENCE_S", 0.3)
    if message is None:
        tables, message = {"grpo": "steps_per_generation = 2"}, "each GPU"
        monkeypatch.setenv("WORLD_SIZE", "2")
        path = recipe(tmp_path, **tables)
        path.write_text(path.read_text().replace("batch_size = 16", "batch_size = 4"))
    else:
        path = recipe(tmp_path, **tables)
    assert message in refuse(capsys, "--config", path, "-o", tmp_path / "out")


def test_groups_that_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match=r"a generation of 24 rollouts .* groups of num_generations = 16; make it"):
        settings.check_groups({"grpo": {"num_generations": 16, "per_device_train_batch_size": 24}})


def test_a_folder_with_another_run_is_refused(tmp_path):
    settings.claim_folder(tmp_path / "out", {"grpo": {"learning_rate": 1e-6}})
    settings.claim_folder(tmp_path / "out", {"grpo": {"learning_rate": 1e-6}})
    with pytest.raises(
        ConfigError, match=r"other settings \(grpo.beta: absent there, 0.03 now; grpo.learning_rate: 1e"
    ):
        settings.claim_folder(tmp_path / "out", {"grpo": {"learning_rate": 5e-6, "beta": 0.03}})


def test_trl_that_is_absent_is_named_with_its_pip_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(MissingDependencyError, match=r'grpo_trl: needs trl: pip install "cxr_rewards\[trl\]"'):
        grpo_trl.main(["--tiny", "-o", str(tmp_path / "out")])


@pytest.fixture
def in_this_process(monkeypatch):
    """Stages run here, which saves the seconds of their imports; returns their command lines."""
    commands = []

    def run(command, **_):
        commands.append(command)
        at = command.index("-m")
        status = import_module(command[at + 1]).main(command[at + 2 :])
        return SimpleNamespace(returncode=status if isinstance(status, int) else 0)

    monkeypatch.setattr(unirg.subprocess, "run", run)
    return commands


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # trl's and transformers' own
def test_the_whole_chain_is_rehearsed(tmp_path, in_this_process, capsys):
    """Fine-tuning, step 1, step 2 with a judge and a KL to step 1's policy; then once more, which does nothing."""
    pytest.importorskip("trl")
    arguments = ["--tiny", "--text", "--max-steps", "12", "-o", str(tmp_path)]
    assert unirg.main(arguments) == 0
    one, _ = (json.loads((tmp_path / step / "result.json").read_text()) for step in ("step1", "step2"))
    assert one["sampled"]["after"] > one["sampled"]["before"]
    assert one["sampled"]["reports"] == 2 * one["greedy"]["reports"] == 128
    gain = one["sampled"]["after_minus_before"]
    assert gain["low"] < gain["difference"] == pytest.approx(one["sampled"]["after"] - one["sampled"]["before"])
    assert 0 < one["greedy"]["constant"] < 1
    record = json.loads((tmp_path / "step2" / "recipe.json").read_text())
    assert (record["model"]["name"], record["grpo"]["beta"]) == (str(tmp_path / "step1"), 0.03)
    assert any(float(kl) > 0 for kl in re.findall(r"'kl': '([^']+)'", capsys.readouterr().out))
    rows = list(csv.DictReader((tmp_path / "step2" / "after.greedy.csv").read_text(encoding="utf-8").splitlines()))
    assert all(row["chexprompt"] for row in rows)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.csv")}
    assert unirg.main(arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.csv")} == times
    assert len(in_this_process) == 4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # trl's and transformers' own
def test_a_language_model_is_trained_through_an_interruption_and_the_clip_acts(tmp_path, monkeypatch):
    pytest.importorskip("trl")
    for key, value in {"save_strategy": "steps", "save_steps": 12}.items():
        monkeypatch.setitem(options.TINY_GRPO, key, value)
    logs = []
    monkeypatch.setattr(
        "transformers.trainer_callback.PrinterCallback.on_log", lambda *_, **given: logs.append(given["logs"])
    )
    arguments = ["--tiny", "--text", "--max-steps", "36", "-o", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(grpo_trl, "save_policy", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            grpo_trl.main(arguments)
    for kind in ("greedy", "sampled"):
        (tmp_path / f"after.{kind}.reports.csv").unlink()
    assert len((tmp_path / "diagnostics.jsonl").read_text().splitlines()) == 18  # of two updates each
    rmtree(tmp_path / "checkpoint-36")
    result = grpo_trl.main(arguments)
    assert result["greedy"]["after"] > result["greedy"]["before"] + 0.3
    assert result["sampled"]["after"] > result["sampled"]["before"] + 0.2
    assert len((tmp_path / "diagnostics.jsonl").read_text().splitlines()) == 18 + 6  # from checkpoint-24 on
    assert max(entry.get("clip_ratio/region_mean", 0) for entry in logs) > 0
    with pytest.raises(ConfigError, match=r"holds a run with other settings \(control: False there, True now\)"):
        grpo_trl.main([*arguments, "--control"])

    out = tmp_path / "scores" / "after.csv"
    mine = ["--tiny", "--text", "--data", str(tmp_path / "tiny"), "--model", str(tmp_path), "-o", str(out)]
    mean = evaluate.main([*mine, "--split", "train"])
    assert mean == pytest.approx(result["greedy"]["after"], abs=0.1)
    table = open_table(out.with_suffix(".rexrank.json"))
    scored = score_file(table, choose_columns(table.columns), CompositeReward(), tmp_path / "again.csv")
    assert scored.summary.overall()["reward"].mean == pytest.approx(mean, abs=0.02)  # its references have headings
    before = out.read_bytes()
    out.write_text("my,own\n1,2\n")
    with pytest.raises(InputError, match="is not a file of scores, so it is not overwritten"):
        evaluate.main(mine)
    assert out.read_text() == "my,own\n1,2\n"
    out.write_bytes(before)


def test_rexrank_gets_sections_context_and_the_prediction(tmp_path):
    from cxr_rewards.recipes.generate import write_rexrank

    row = {"reference": "FINDINGS: Small effusion. IMPRESSION: Effusion.", "study_id": "a", "age": "60", "sex": "F"}
    row |= {"indication": "Cough", "patient_id": "p", "images": ["a.png"]}
    write_rexrank([row, {**row, "study_id": "b", "reference": "Clear lungs."}], ["One.", "Two."], tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["a"] == {
        "image_path": ["a.png"], "section_findings": "Small effusion.", "section_impression": "Effusion.",
        "split": "test", "subject_id": "p", "context": "Age:60.Gender:F.Indication: Cough", "key_image_path": "a.png",
        "model_prediction": "One.",
    }  # fmt: skip
    assert (found["b"]["section_findings"], found["b"]["section_impression"]) == ("Clear lungs.", "")
    assert open_table(tmp_path / "r.json").columns[-3:] == ("age", "sex", "indication")


def test_verl_gets_the_settings_of_the_recipe(tmp_path, monkeypatch, capsys):
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    row = {"image": "a.png", "reference": "Clear lungs.", "study_id": "a", "indication": "Cough"}
    toml = recipe(
        tmp_path, [row, {**row, "study_id": "b", "prior_report": "Effusion."}], model="lora_rank = 8",
        reward="preset = 'rules'\ncache = 'c.sqlite'\njudge = { model = 'm', base_url = 'http://j/v1' }",
        grpo="steps_per_generation = 8\nwarmup_steps = 10\nreport_to = 'wandb'\nrun_name = 'mine'\n[sft]\n",
    )  # fmt: skip
    ran = []
    monkeypatch.setattr(
        grpo_verl.subprocess,
        "run",
        lambda command, **_: ran.append(command) or SimpleNamespace(returncode=3 * len(ran) - 3),
    )
    out = tmp_path / "out"
    assert grpo_verl.main(["--config", str(toml), "-o", str(out), "--gpus", "4", "trainer.nnodes=1"]) == 3
    assert ran[0] == shlex.split(f"accelerate launch -m cxr_rewards.recipes.sft --config {toml} --out {out}/sft")
    parts = dict(part.split("=", 1) for part in ran[1][3:])
    actor, kwargs = "actor_rollout_ref.actor", "+reward.custom_reward_function.reward_kwargs"
    # 16 x 8 x 4 = 512 rollouts a generation, 32 studies, in 4 updates: so verl's clip acts, too
    assert (parts["data.train_batch_size"], parts[f"{actor}.ppo_mini_batch_size"], parts[f"{actor}.ppo_epochs"]) == (
        "32", "8", "1",
    )  # fmt: skip
    assert (parts[f"{actor}.optim.lr_warmup_steps"], parts["trainer.save_freq"]) == ("3", "50")
    assert parts[f"{actor}.use_kl_loss"] == "false"
    assert parts["actor_rollout_ref.model.lora_alpha"] == "16"
    assert json.loads(parts["actor_rollout_ref.model.path"]) == str(out / "sft")
    assert parts[f"{kwargs}.judge.base_url"] == '"http://j/v1"'
    assert json.loads(parts[f"{kwargs}.cache"]) == os.path.abspath("c.sqlite")
    assert float(parts[f"{kwargs}.unscored"]) < CompositeReward().bounds[0]
    assert (parts["trainer.logger"], parts["trainer.experiment_name"]) == ('["console", "wandb"]', '"mine"')
    assert parts["trainer.nnodes"] == "1"
    assert not Path("c.sqlite").exists()
    first, second = pq.read_table(out / "train.parquet").to_pylist()
    assert first["prompt"][0]["content"].startswith("<image>Indication: Cough\n")
    assert first["images"] == [{"image": str(tmp_path / "a.png")}]
    assert second["extra_info"] == {"study_id": "b", "index": 1, "priors": ["Effusion."]}
    with pytest.raises(ConfigError, match="data.eval is missing"):
        grpo_verl.main(["--config", str(recipe(tmp_path, data="")), "-o", str(out)])
    toml = recipe(tmp_path, grpo="report_to = 'clearml'")
    with pytest.raises(ConfigError, match="verl has no logger 'clearml' for report_to; known: mlflow"):
        grpo_verl.main(["--config", str(toml), "-o", str(tmp_path / "other"), "--print"])
    assert "images" not in pq.read_table(data_without_images(tmp_path)).column_names


def data_without_images(tmp_path):
    rows = data.read_rows(tmp_path / "train.jsonl")
    grpo_verl.write_data(rows, tmp_path / "text.parquet", 512)
    return tmp_path / "text.parquet"


def test_verls_chain_starts_step_2_from_the_merged_policy_of_step_1(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(
        unirg.subprocess, "run", lambda command, **_: ran.append(command[2:]) or SimpleNamespace(returncode=0)
    )
    assert unirg.main(["--data", "d", "-o", "o", "--backend", "verl", "--reading", "xl", "--print"]) == 0
    more = "--gpus 8 --launch 'accelerate launch' --print"
    step = "cxr_rewards.recipes.grpo_verl --config"
    assert ran == [
        shlex.split(f"{step} unirg_step1 --out o/step1 --data d --reward unirg_xl {more}"),
        shlex.split(f"{step} unirg_step2 --out o/step2 --data d --model o/step1/policy --reward unirg_xl_step2 --no-sft {more}"),
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="verl needs GPUs, so it cannot be rehearsed"):
        unirg.main(["--tiny", "--backend", "verl", "-o", "o"])


def test_a_judge_that_is_down_is_named_before_step_1(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "PATIENCE_S", 0.3)
    judge = ["--judge-url", "http://127.0.0.1:9/v1", "--judge-model", "m"]
    with pytest.raises(ConfigError, match=r"judge chexprompt \(m at http://127.0.0.1:9/v1\): gives no verdict"):
        unirg.main(["--data", "d", "-o", str(tmp_path / "o"), *judge])
    assert not (tmp_path / "o").exists()


def test_random_rewards_of_a_control_can_be_repeated():
    first, second = (grpo_trl.random_reward(3)(["a"] * 8, reference=["b"] * 8) for _ in range(2))
    assert first == second
    assert len(set(first)) == 8
