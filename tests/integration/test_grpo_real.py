"""The training benchmark: its task, its order of work, what it reads in reports, and a run on a tiny model."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta

import pytest
from tests.benchmark_scripts import load_benchmark

grpo_real = load_benchmark("grpo_real")

from grpo_parts import reading, results, runs, settings, studies, tables  # noqa: E402

EFFUSION = (("Pleural Effusion", "left", "small"),)


def words(text):
    return len(text.split())


@pytest.fixture(scope="module")
def few():
    """Settings for a few made-up studies, and these."""
    some = settings.load_settings()
    some["data"] |= {"held_out": 15, "prompt_tokens": 30}
    some["arms"]["order"] = ["rules/1", "random/1", "rules/2", "random/2", "more_sft/1"]
    return some, studies.load_studies(None, words, some)


class Writer:
    """A stub: makes no model; its policies write the reference in a share of the studies."""

    shares = {"start": 0.3, "rules": 1.0, "random": 0.0, "more_sft": 0.3}  # noqa: RUF012
    wrong = "The lungs are clear."

    def __init__(self, held_out, break_at=""):
        self.held_out, self.break_at, self.made = held_out, break_at, []

    def make(self, unit, folder, start):
        if unit.name == self.break_at:
            (folder / "half").write_text("a half-written policy")
            raise KeyboardInterrupt
        self.made.append(unit.name)
        (folder / runs.WEIGHTS).write_text("weights")
        curve = [{"reward": 0.1 * i, "above_constant": 0.1 * i, "words": 20.0} for i in range(4)]
        taught = {"curve": curve, "scoring_share": 0.01} if unit.arm in ("rules", "random") else {}
        return {"seconds": 60.0, "steps": 4, "validation_loss": [[1, 3.0], [2, 2.0]], **taught}

    def write(self, unit, folder, how, seed):
        share = self.shares[unit.arm]
        return {
            s.uid: s.reference if studies.drawn(unit.name, how, seed, s.uid) < share else self.wrong
            for s in self.held_out
        }


def work(folder, writer, some, deadline=None, corpus="c"):
    units = runs.units_of(some)
    return [
        unit.name
        for unit in runs.work(
            units,
            folder,
            writer,
            settings=some,
            corpus=corpus,
            deadline=deadline or runs.Deadline(),
            tell=lambda _: None,
        )
    ]


def test_a_form_is_put_over_the_other_settings(tmp_path):
    assert settings.load_settings()["grpo"]["steps"] > settings.load_settings(form="quick")["grpo"]["steps"]
    own = tmp_path / "own.toml"
    own.write_text('[model]\nname = "other"\n')
    assert settings.load_settings(own)["model"]["name"] == "other"
    assert settings.load_settings(own)["grpo"] == settings.load_settings()["grpo"]
    own.write_text("[grpo]\nsteps = 2\n")
    assert settings.load_settings(own, "quick")["grpo"] == {**settings.load_settings(form="quick")["grpo"], "steps": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[grpo]\nstep = 3", "grpo: unknown key 'step'"),
        ("[grp]\nsteps = 3", "unknown table"),
        ('[arms]\norder = ["rule/1"]', "got 'rule/1'"),
        ('[arms]\norder = ["rules"]', "got 'rules'"),
        ("", "unknown form 'mine'; known: quick, short"),
    ],
)
def test_a_mistake_in_the_settings_is_named(tmp_path, text, message):
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        settings.load_settings(path, "" if text else "mine")


def test_training_and_held_out_studies_share_no_report(few):
    _, made = few
    known = {s.reference for s in (*made.train, *made.validation)}
    assert made.held_out
    assert not known & {s.reference for s in made.held_out}
    assert studies.load_studies(None, words, few[0]) == made


def test_held_out_studies_begin_with_pressing_findings(few):
    _, made = few
    abnormal = [s for s in made.held_out if not s.normal]
    assert [s.normal for s in made.held_out] == sorted(s.normal for s in made.held_out)
    assert len(abnormal) == 12
    ranks = [studies.pressing(s.reference) for s in abnormal]
    assert ranks == sorted(ranks)


def test_a_csv_is_split_by_uid_and_reports_with_removed_words_are_left_out(tmp_path, few):
    path = tmp_path / "reports.csv"
    rows = [f"{i},cough XXXX.,None.,Heart {'XXXX' if i % 4 == 0 else i},,normal" for i in range(400)]
    path.write_text("uid,indication,comparison,findings,impression,mesh\n" + "\n".join(rows))
    some = {**few[0], "data": {**few[0]["data"], "held_out": 40, "held_out_normal": 1.0}}
    made = studies.load_studies(path, words, some)
    everything = (*made.train, *made.validation, *made.held_out)
    assert len({s.uid for s in everything}) == len(everything) > 200
    assert not any("XXXX" in s.prompt + s.reference for s in everything)
    assert everything[0].prompt == "Indication: cough\nIndex: normal\nFindings:"


def test_a_prompt_leaves_out_a_share_of_the_terms_but_never_all():
    entries = tuple((f"Term {i}", "left") for i in range(1000))
    shown = studies.prompt_of("u", "", entries, 0.3).count("left")
    assert 650 < shown < 750
    assert "Pleural Effusion, left, small" in studies.prompt_of("u", "", EFFUSION, 1.0)


def test_all_arms_of_a_seed_see_the_same_prompts(few):
    made = few[1].train
    first = studies.prompts_of(made, 50, 1, 0.75)
    assert first == studies.prompts_of(made, 50, 1, 0.75)
    assert first != studies.prompts_of(made, 50, 2, 0.75)
    assert 25 < sum(not s.normal for s in first) < 50


def test_work_goes_on_where_it_stopped(few, tmp_path):
    some, made = few
    broken = Writer(made.held_out, break_at="random-1")
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path, broken, some)
    assert broken.made == ["start", "rules-1"]
    again = Writer(made.held_out)
    assert work(tmp_path, again, some) == again.made == ["random-1", "rules-2", "random-2", "more_sft-1"]
    assert not list(tmp_path.glob("*.partial"))
    assert not (tmp_path / "random-1" / "half").exists()
    assert work(tmp_path, again, some) == []


def test_no_policy_is_begun_that_would_end_after_the_deadline(few, tmp_path):
    some, made = few
    clock = [datetime(2030, 1, 1, 3, 0).astimezone()]
    deadline = runs.Deadline(clock[0] + timedelta(minutes=35), now=lambda: clock[0])
    writer = Writer(made.held_out)
    for _ in runs.work(
        runs.units_of(some), tmp_path, writer, settings=some, corpus="c", deadline=deadline, tell=lambda _: None
    ):
        clock[0] += timedelta(minutes=10)
        deadline.longest_s = 600.0
    assert writer.made == ["start", "rules-1", "random-1"]


def test_policies_of_other_settings_or_texts_are_refused(few, tmp_path):
    some, made = few
    work(tmp_path, Writer(made.held_out), some)
    other = {**some, "grpo": {**some["grpo"], "steps": 1}}
    with pytest.raises(ValueError, match="rules-1: was made with other settings or data"):
        work(tmp_path, Writer(made.held_out), other)
    with pytest.raises(ValueError, match="start: was made with other settings or data"):
        work(tmp_path, Writer(made.held_out), some, corpus="other texts")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("There is a small left pleural effusion.", (1, 0, 0)),
        ("The lungs are clear.", (0, 0, 1)),
        ("No pleural effusion. There is a small left pleural effusion.", (0, 0, 1)),  # taken back
        ("Small left pleural effusion. There is a pneumothorax.", (1, 1, 0)),
    ],
)
def test_a_report_is_counted_against_the_index(text, expected):
    assert reading.against_index(EFFUSION, reading.stated(text)) == expected


def test_planted_policies_come_out_as_they_were_planted(few, tmp_path, monkeypatch):
    some, made = few
    monkeypatch.setattr(results, "RESAMPLES", 200)
    work(tmp_path, Writer(made.held_out), some)
    found = results.summarise(made, runs.units_of(some), tmp_path, some)
    sampled = found["policies"]["sampled"]
    assert sampled["rules-1"][results.MAIN] == sampled["reference"][results.MAIN]
    assert sampled["random-1"][results.MAIN]["value"] == 0
    assert sampled["random-1"]["all_normal"]["value"] == 1
    (gain,) = (
        one
        for one in found["differences"]
        if (one["how"], one["first"], one["second"], one["measure"]) == ("sampled", "rules", "random", results.MAIN)
    )
    assert gain["seeds"] == ("1", "2")
    assert 0.8 < gain["low"] <= gain["value"] <= 1
    assert len(gain["by_seed"]) == 2
    assert {one["second"] for one in found["differences"] if one["first"] == "random"} == {"start", "more_sft"}

    text = tables.text_of(json.loads(json.dumps(found)))
    assert "| rules | random | 1, 2 | index F1, plain rules |" in text
    assert "one seed: no interval" in text
    page = tmp_path / "report.html"
    grpo_real.write_page(page, grpo_real.page_of(json.loads(json.dumps(found))))
    html = page.read_text()
    assert "Reward above a normal report" in html
    assert html.count("<svg") > 50


def test_an_interval_by_seed_needs_two_seeds_and_is_wide_with_two():
    assert results.interval_of([0.1]) == (None, None)
    low, high = results.interval_of([0.1, 0.2])
    assert (round(low, 2), round(high, 2)) == (-0.49, 0.79)


def save_tiny_model(folder, texts):
    """Write a random model whose vocabulary is the words of the texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    split = pre_tokenizers.Whitespace()
    known = sorted({word for text in texts for word, _ in split.pre_tokenize_str(text)})
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(("<unk>", "<end>", *known))}, "<unk>"))
    raw.pre_tokenizer = split
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", eos_token="<end>", pad_token="<end>")
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        eos_token_id=1,
        pad_token_id=1,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # by trl
def test_a_tiny_model_is_taught_and_reinforced(few, tmp_path):
    pytest.importorskip("trl")
    import torch
    from safetensors.torch import load_file

    from grpo_parts import worker

    some, made = few
    save_tiny_model(tmp_path / "model", [s.prompt + " " + s.reference for s in (*made.train, *made.held_out)])
    some = {name: dict(table) for name, table in some.items()}
    some["model"] |= {"name": str(tmp_path / "model"), "trained_layers": 1}
    some["data"]["max_tokens"] = 4
    some["sft"] |= {"epochs": 1, "evaluate_every": 1}
    some["grpo"] |= {"steps": 1, "prompts": 1, "rollouts": 2}
    some["arms"]["order"] = ["rules_judge/1", "more_sft/1"]
    taught = made._replace(train=made.train[:8], validation=made.validation[:2], held_out=made.held_out[:3])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        work(tmp_path / "run", worker.TrlWorker(taught, some, tmp_path), some)
    finally:
        torch.set_num_threads(threads)
    measured = runs.result_of(runs.Unit("rules_judge", 1), tmp_path / "run")
    assert measured["steps"] == len(measured["curve"]) == 1
    assert 0 < measured["scoring_share"] < 1
    assert math.isfinite(measured["curve"][0]["above_constant"])
    start, more = (load_file(tmp_path / "run" / name / runs.WEIGHTS) for name in ("start", "more_sft-1"))
    assert start.keys() == more.keys()
    assert any(not torch.equal(start[name], more[name]) for name in start)
    assert not any("layers.0" in name for name in start)
