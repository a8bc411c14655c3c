"""A reward is calibrated from a file: guards stay, figures and warnings are told, and the TOML scores at once."""

from __future__ import annotations

import json
import sys

import numpy as np
import polars as pl
import pytest
from tests.command_line import run

from cxr_rewards import CompositeReward
from cxr_rewards.errors import ConfigError, InputError, MissingDependencyError
from cxr_rewards.evaluation import calibrate, read_ratings
from cxr_rewards.evaluation.calibration.quiet import check_quiet
from cxr_rewards.reward.config import load_config, parse_config

START = """
name = "start"
[components.bleu]
weight = {bleu}
[components.chexpert_rule_f1]
weight = {chexpert}
[components.worst_error]
weight = -0.3
[components.change_f1]
weight = -0.2
transform = {{ affine = {{ scale = -1.0, offset = 1.0 }} }}
[components.length]
weight = 0.0
[[gates]]
component = "length"
below = 0.1
cap = 0.0
"""
FEW = {"resamples": 100, "repeats": 1, "folds": 5, "inner_folds": 3, "check": False}


@pytest.fixture
def files(tmp_path):
    """Write ratings with scores in the same file, whose raters follow the second component, and a reward."""

    def write(cases=40, *, bleu=0.9, chexpert=0.1, seed=0, **changed):
        random = np.random.default_rng(seed)
        n = 2 * cases
        scores = {name: random.random(n).round(3) for name in ("bleu", "chexpert_rule_f1", "change_f1")}
        scores |= {"worst_error": (random.random(n) * (random.random(n) < 0.3)).round(3), "length": np.full(n, 0.5)}
        quality = 0.2 * scores["bleu"] + 0.8 * scores["chexpert_rule_f1"]
        quality = quality - 0.3 * scores["worst_error"] - 0.2 * (1 - scores["change_f1"])
        raters = {
            f"rater_{i}": np.clip(np.round(2 + 4 * quality + 0.4 * random.normal(size=n)), 1, 5) for i in (1, 2, 3)
        }
        table = {"case": [f"s{i // 2}" for i in range(n)], **raters, **scores}
        for column, values in changed.items():
            table[column] = [*values, *list(table[column])[len(values) :]]
        path = tmp_path / "ratings.csv"
        pl.DataFrame(table).write_csv(path)
        reward = tmp_path / "start.toml"
        reward.write_text(START.format(bleu=bleu, chexpert=chexpert), encoding="utf-8")
        return path, reward

    return write


def test_bad_weights_are_mended_and_guards_stay(files):
    path, reward = files()
    result = calibrate(path, reward, scores=path, **FEW)
    after = {weight.label: weight.after for weight in result.weights}
    assert after["chexpert_rule_f1"] > 0.6
    assert after["bleu"] + after["chexpert_rule_f1"] == pytest.approx(1, abs=1e-3)
    assert (after["worst_error"], after["change_f1"], after["length"]) == (-0.3, -0.2, 0.0)
    assert {w.label: w.kept for w in result.weights if w.kept} == {
        "worst_error": "guard", "change_f1": "guard", "length": "feeds a gate"
    }  # fmt: skip
    assert result.is_better
    assert result.gain.kendall_tau_b.low > 0
    assert result.after.kendall_tau_b.value > result.before.kendall_tau_b.value + 0.1
    assert result.raters.kendall_tau_b.value > 0.5
    assert not result.warnings


def test_free_guards_are_fitted_and_stay_penalties(files):
    path, reward = files()
    result = calibrate(path, reward, scores=path, free_guards=True, **FEW)
    weights = {weight.label: weight for weight in result.weights}
    for label in ("worst_error", "change_f1"):
        assert not weights[label].kept
        assert weights[label].after <= 0
        assert weights[label].low <= weights[label].high <= 0
    assert result.reward().total.terms["change_f1"].side == -1


def test_right_weights_are_kept_with_a_warning_that_nothing_is_gained(files):
    path, reward = files(bleu=0.2, chexpert=0.8)
    result = calibrate(path, reward, scores=path, **FEW)
    assert not result.is_better
    assert any("includes 0: start may be as good" in warning for warning in result.warnings)
    assert "WARNING: the interval of the gain" in result.to_toml()


def test_the_toml_scores_at_once_and_holds_the_figures(files, tmp_path):
    path, reward = files()
    result = calibrate(path, reward, scores=path, **FEW)
    out = tmp_path / "mine.toml"
    result.write(out)
    assert load_config(out) == result.config
    reward = CompositeReward.from_config(out)
    assert reward.signature == result.reward().signature
    assert reward.score("Small left effusion. The heart is normal.", "Small left effusion.").value is not None
    text = out.read_text(encoding="utf-8")
    for told in (
        result.date,
        "seed 12345",
        "ratings.csv: 40 cases, 80 candidates",
        "rater_1, rater_2, rater_3",
        "gain",
    ):
        assert told in " ".join(text.split("\n# ")).replace("  ", " ")
    assert f"{result.after.kendall_tau_b.value:.3f}" in text


def test_the_result_is_json_and_the_same_for_the_same_seed(files):
    path, reward = files()
    first, second = (calibrate(path, reward, scores=path, **FEW).as_json() for _ in range(2))
    assert json.loads(json.dumps(first)) == first
    assert first | {"date": ""} == second | {"date": ""}
    assert first["agreement"]["after"]["kendall_tau_b"]["n"] == 80


def test_too_few_cases_are_refused_with_the_reason(files):
    path, reward = files(cases=19)
    with pytest.raises(InputError, match=r"19 cases .*2 weights to fit \(bleu, chexpert_rule_f1\) need at least 20"):
        calibrate(path, reward, scores=path, **FEW)


def test_each_weight_needs_cases_of_its_own(files):
    path, reward = files(cases=21)
    table = pl.read_csv(path)
    table.with_columns(length=pl.col("bleu") / 2 + 0.2).write_csv(path)
    fit = ["bleu", "chexpert_rule_f1", "worst_error", "change_f1", "length"]
    with pytest.raises(InputError, match="need at least 25"):
        calibrate(path, reward, fit=fit, scores=path, **FEW)


def test_unscored_and_unrated_candidates_are_left_out_and_counted(files):
    path, reward = files()
    table = pl.read_csv(path)
    table = table.with_columns(
        bleu=pl.when(pl.int_range(pl.len()) < 3).then(None).otherwise(pl.col("bleu")),
        **{
            name: pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise(pl.col(name))
            for name in ("rater_1", "rater_2", "rater_3")
        },
    )
    table.write_csv(path)
    result = calibrate(path, reward, scores=path, **FEW)
    assert result.left_out == {"not scored in the file": 3, "no rating": 1}
    assert result.candidates == 76
    assert result.cases == 39, "both candidates of the first case are gone"


def test_a_rater_who_is_constant_is_named(files):
    path, reward = files(rater_2=[3.0] * 80)
    result = calibrate(path, reward, scores=path, **FEW)
    assert any("rater_2 gives every candidate the same rating" in warning for warning in result.warnings)
    assert result.raters.kendall_tau_b.value is not None


def test_a_component_that_does_not_vary_keeps_its_weight(files):
    path, reward = files(worst_error=[0.0] * 80)
    result = calibrate(path, reward, scores=path, free_guards=True, **FEW)
    kept = next(weight for weight in result.weights if weight.label == "worst_error")
    assert (kept.after, kept.kept) == (-0.3, "the same for all candidates")


def test_ratings_upside_down_are_refused(files):
    path, reward = files()
    table = pl.read_csv(path)
    table.with_columns(**{name: 6 - pl.col(name) for name in ("rater_1", "rater_2", "rater_3")}).write_csv(path)
    with pytest.raises(InputError, match="no component agrees with the raters.*--errors"):
        calibrate(path, reward, scores=path, method="ridge", **FEW)


def test_ratings_that_only_compare_within_a_case_give_pairwise_accuracy_alone(files):
    path, reward = files()
    ratings = read_ratings(path, texts_needed=False, within_case=True)
    result = calibrate(ratings, reward, scores=path, **FEW)
    assert result.choice.method == "pairwise"
    assert result.after.kendall_tau_b.value is None
    assert result.gain.pairwise_accuracy.low is not None
    assert result.scale == ()


def test_one_weight_alone_is_refused(files):
    path, reward = files()
    with pytest.raises(ConfigError, match="1 component to fit, bleu, and only the proportions of two or more"):
        calibrate(path, reward, scores=path, fit=["bleu"], **FEW)


def test_an_unknown_component_to_fit_is_named_with_the_nearest(files):
    path, reward = files()
    with pytest.raises(ConfigError, match="unknown component 'blue'.*Did you mean 'bleu'"):
        calibrate(path, reward, scores=path, fit=["blue"], **FEW)


def test_scores_of_another_file_are_refused(files, tmp_path):
    path, reward = files()
    other = tmp_path / "other.csv"
    pl.read_csv(path).head(70).write_csv(other)
    with pytest.raises(InputError, match="has 70 rows, and .*ratings.csv 80"):
        calibrate(path, reward, scores=other, **FEW)


def test_without_scipy_the_error_says_how_to_get_it(files, monkeypatch):
    path, reward = files()
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "cxr_rewards\[calibrate\]"'):
        calibrate(path, reward, scores=path, **FEW)


# ---------------------------------------------------------------- scoring


FINDINGS = ("small left pleural effusion", "right pneumothorax", "cardiomegaly", "left lower lobe consolidation")


SICK = [
    f"There is {a}. There is {b}. The bones are normal."
    for a in FINDINGS
    for b in ("a large right pneumothorax", "a large left pleural effusion")
    if b.split()[-1] not in a
]


def preferences(path, cases=24):
    """Write pairs: of two reports the one with more of the reference's findings is better, whatever its words."""
    rows = ["case,reference,candidate_a,candidate_b,preferred"]
    for i in range(cases):
        a, b = FINDINGS[i % 4], FINDINGS[(i + 1 + i // 4) % 4]
        reference = f"There is {a}. There is {b}. Study {i}."
        good, bad = f"{a} and {b} are seen.", f"There is {a}. There is no {b}. Study {i}."
        left, right, preferred = (good, bad, "a") if i % 2 else (bad, good, "b")
        rows.append(f"s{i},{reference},{left},{right},{'tie' if i == 7 else preferred}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_preferences_are_scored_and_fitted(tmp_path):
    path = tmp_path / "pairs.csv"
    preferences(path)
    result = calibrate(path, ["rouge_l", "findings_soft_f1"], **FEW)
    weights = {weight.label: weight.after for weight in result.weights}
    assert weights["findings_soft_f1"] > weights["rouge_l"]
    assert result.after.pairwise_accuracy.value > 0.9
    assert result.pairs == 23, "a tie has no order"
    assert result.started_from == "equal_weights"
    assert result.raters is None


def test_a_reward_that_pays_a_constant_text_is_warned_of(tmp_path):
    lines = ["case,reference,candidate,rater_1,rater_2"]
    for i in range(24):
        reference = SICK[i % len(SICK)]
        lines += [f"s{i},{reference},{reference},5,{4 + i % 2}", f"s{i},{reference},Clear.,1,{1 + i % 2}"]
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = calibrate(path, ["length", "bleu"], **FEW | {"check": True})
    assert not result.quiet.is_safe
    assert any("so a policy need not look at the image" in warning for warning in result.warnings)


def test_the_command_writes_a_reward_that_scores(tmp_path):
    path, out = tmp_path / "pairs.csv", tmp_path / "mine.toml"
    preferences(path)
    options = [
        "--component",
        "rouge_l",
        "--component",
        "findings_soft_f1",
        "--repeats",
        1,
        "--folds",
        4,
        "--resamples",
        100,
    ]
    done = run("calibrate", path, "-o", out, *options, "--no-check", "--name", "mine")
    assert done.returncode == 0, done.stderr
    assert "calibrated, unseen cases" in done.stdout
    assert load_config(out).name == "mine"
    again = run("calibrate", path, "-o", out, *options)
    assert again.returncode == 1
    assert "exists and is not overwritten" in again.stderr
    scored = tmp_path / "scored.csv"
    done = run("score", path, "--candidate-col", "candidate_a", "--config", out, "-o", scored)
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(scored)["reward"].null_count() == 0


def test_the_command_prints_json(files, tmp_path):
    path, reward = files()
    out = tmp_path / "mine.toml"
    done = run(
        "calibrate", path, "-o", out, "--config", reward, "--scores", path, "--repeats", 1, "--resamples", 100, "--json"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["out"] == str(out)
    assert told["is_better"] is True
    assert "what a constant text earns was not checked" in done.stderr


def test_the_page_shows_figures_weights_and_warnings(files, tmp_path):
    path, reward = files(bleu=0.2, chexpert=0.8)
    page = tmp_path / "page.html"
    options = ["--config", reward, "--scores", path, "--repeats", 1, "--folds", 4, "--resamples", 100, "--html", page]
    done = run("calibrate", path, "-o", tmp_path / "mine.toml", *options)
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    for told in ("Calibration of start", "Kendall&#39;s tau-b", "chexpert_rule_f1", "guard", "includes 0", "Scale"):
        assert told in text


# ---------------------------------------------------------------- the quiet policy


def test_a_reward_for_findings_pays_a_constant_text_little():
    quiet = check_quiet(CompositeReward(["findings_soft_f1"]), SICK, seed=0)
    assert quiet.references == len(SICK)
    assert quiet.is_safe


def test_a_reward_for_length_pays_a_constant_text_too_much():
    reward = CompositeReward(["format"])
    quiet = check_quiet(reward, SICK, seed=0)
    assert not quiet.is_safe


def test_too_few_grave_references_are_not_checked():
    assert check_quiet(CompositeReward(["bleu"]), ["Normal heart.", *SICK[:2]], seed=0) is None


# ---------------------------------------------------------------- TOML


def test_settings_gates_judges_and_odd_labels_survive_the_toml():
    from cxr_rewards.evaluation.calibration.toml import to_toml

    config = parse_config(
        'name = "a\\"b"\ndescription = "tab\\tand ü"\nmax_unread = 0.5\non_failure = "renormalize"\n'
        '[components."my bleu"]\ncomponent = "bleu"\nweight = 1e-7\nsettings = { max_order = 2 }\n'
        'transform = ["negate", { affine = { scale = -2.0 } }]\n'
        "[components.repetition]\nweight = -1\n"
        '[[gates]]\ncomponent = "repetition"\nabove = 0.5\ncap = -1\n'
        '[judge]\nmodel = "m"\nconcurrency = 3\n',
        "here",
    )
    assert parse_config(to_toml(config, ["A line."]), "there") == config
