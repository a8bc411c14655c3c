"""Numbers and warnings of a run."""

from __future__ import annotations

import json
import warnings

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.adapters.diagnostics import CollapseWarning, Diagnostics, logged
from cxr_rewards.adapters.diagnostics.constant import CONSTANT
from cxr_rewards.core.component import Component
from cxr_rewards.errors import ConfigError
from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.protocols.chexprompt import Chexprompt
from cxr_rewards.testing.fake_judge import FakeJudge
from cxr_rewards.types import Case, Failure, Reward, Score


class Picky(Component):
    """1 for a report that says good, missing where it says broken."""

    name = "picky"
    summary = "good or not"
    reads = ("candidate",)

    def score_case(self, case, features):
        if "broken" in case.candidate:
            return Score(None, failure=Failure("picky", "is broken"))
        return Score(float("good" in case.candidate))


def reward():
    return CompositeReward([Picky()])


class Told(Component):
    """The number that a report is; none if it is none."""

    name = "fixed"
    summary = "the number in the report"
    reads = ("candidate",)

    def score_case(self, case, features):
        if case.candidate == "broken":
            return Score(None, failure=Failure("fixed", "is broken"))
        return Score(float(case.candidate))


def watch(texts, reference="Left effusion.", steps=12, priors=(), watcher=None):
    """Observe steps whose candidates change from the first text to the last."""
    watcher = watcher or Diagnostics()
    made = CompositeReward()
    for step in range(steps):
        text = texts[min(len(texts) - 1, step * len(texts) // steps)]
        cases = [Case(candidate=text, reference=reference, priors=priors, group=str(i // 2)) for i in range(4)]
        cases[0] = Case(candidate=f"{text} Mild edema.", reference=reference, priors=priors, group="0")
        cases[2] = Case(candidate=f"{text} Small nodule.", reference=reference, priors=priors, group="1")
        metrics = watcher.observe(made, cases, made.score_batch(cases), seconds=0.1)
    return watcher, metrics


GOOD = "Left pleural effusion."


def test_metrics_of_a_step():
    watcher, metrics = watch([GOOD], steps=1)
    assert metrics["normal_rate"] == 0.0
    assert metrics["zero_variance_groups"] == 0.0
    assert metrics["length_ratio"] == pytest.approx(4 / 2)
    assert metrics["findings_soft_f1/mean"] > 0
    assert metrics["seconds"] == 0.1
    assert any(key.startswith("correlation/") for key in metrics)
    assert watcher.summary()["steps"] == 1


def observe(watcher, batches, reward=None, reference="Left effusion.", priors=()):
    """Return what is warned of while batches of texts are observed."""
    made = reward or CompositeReward()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for texts in batches:
            cases = [
                Case(candidate=t, reference=reference, priors=priors, group=str(i // 2)) for i, t in enumerate(texts)
            ]
            watcher.observe(made, cases, made.score_batch(cases))
    assert all(warning.category is CollapseWarning for warning in caught)
    return [str(warning.message) for warning in caught]


GOOD_BATCH = ["Left effusion.", "Edema."]


@pytest.mark.parametrize(
    ("after", "says"),
    [
        (["The lungs are clear.", "The heart is normal."], "of candidates tell nothing abnormal, 0% of references"),
        (["Small right effusion.", "small right  effusion."], "of the text of candidates is copied from a prior"),
        (["Left effusion."] * 2, "of groups have equal rewards, and teach nothing"),
        (
            [f"{text} " * 4 for text in ("The lungs show edema.", "The left lung has a nodule.")],
            "say again what was said",
        ),
        ([" ".join(GOOD_BATCH * 5), " ".join(GOOD_BATCH * 6)], "times the words of references"),
    ],
)
def test_each_way_of_gaming_is_reported_once(after, says):
    messages = observe(Diagnostics(), [GOOD_BATCH] * 10 + [after] * 20, priors=("Small right effusion.",))
    assert sum(says in text for text in messages) == 1
    assert observe(Diagnostics(warn=False), [GOOD_BATCH] * 10 + [after] * 20) == []


def test_a_run_that_goes_well_gets_no_warning():
    better = ["Left effusion.", "Left effusion with edema."]
    assert observe(Diagnostics(), [["Edema.", "Left effusion."]] * 10 + [better] * 20) == []


def test_what_a_case_holds_never_ends_a_run(tmp_path):
    """Values at the edge of what a float can hold, and texts that are none."""
    made = CompositeReward([Wide(), "bleu"], weights={"wide": 1e-308, "bleu": 0.5})
    texts = ["1e308", "-1e308", "1.7e308", "nothing", None, 7, "1e200", "1e-320", "x" * 100_001, Failure("a", "b")]
    cases = [Case(candidate=text, reference="1 2", group=str(i // 4)) for i, text in enumerate(texts)]
    cases += [Case(candidate="1", reference=None), Case(candidate="1", reference="2", priors=7)]
    cases += [Case(candidate="1", reference="2", priors=(None, "a")), Case(candidate="1", reference="2", group=None)]
    watcher = Diagnostics(tmp_path / "d.jsonl")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        for batch in [cases] * 13 + [cases[4:6]] * 12:  # at the end steps without one text that can be read
            metrics = watcher.observe(made, batch, made.score_batch(batch), seconds=0.1)
    assert "normal_rate" not in metrics
    lines = [json.loads(line, parse_constant=pytest.fail) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert lines[0]["wide/mean"] == pytest.approx((1e308 - 1e308 + 1.7e308 + 1e200 + 1) / 6)
    assert lines[0]["wide/std"] > 1e307
    assert lines[0]["wide/unscored"] == pytest.approx(1 - 6 / 14)
    watcher.summary()


class Wide(Told):
    """The same of any size."""

    name = "wide"
    bounds = (float("-inf"), float("inf"))

    def score_case(self, case, features):
        return Score(float(case.candidate))


def test_rewards_that_are_not_finite_are_no_part_of_a_mean():
    made = CompositeReward([Told()])
    parts = {"fixed": Score(0.5)}
    rewards = [Reward(value, parts) for value in (0.5, float("inf"), float("nan"), None)]
    metrics = Diagnostics().observe(made, [Case(candidate="0.5", reference="x", group="a")] * 4, rewards)
    assert (metrics["reward/mean"], metrics["reward/unscored"]) == (0.5, 0.75)


def test_means_and_correlations_of_usual_numbers_are_those_of_before():
    from statistics import fmean, pstdev

    made = CompositeReward(["bleu", "rouge_l"], weights={"bleu": 0.5, "rouge_l": 0.5})
    cases = [Case(candidate=text, reference="Left effusion and edema.") for text in ("Left.", "Edema and left.", GOOD)]
    rewards = made.score_batch(cases)
    metrics = Diagnostics().observe(made, cases, rewards)
    assert metrics["reward/mean"] == fmean(r.value for r in rewards)
    assert metrics["reward/std"] == pstdev(r.value for r in rewards)
    assert -1.0 <= metrics["correlation/bleu~rouge_l"] <= 1.0


def test_a_file_that_can_no_longer_be_written_ends_the_file_and_not_the_run(tmp_path):
    watcher = Diagnostics(tmp_path / "d.jsonl")
    (tmp_path / "d.jsonl").unlink()
    (tmp_path / "d.jsonl").mkdir()
    with pytest.warns(UserWarning, match="diagnostics are no longer written"):
        watch([GOOD], steps=1, watcher=watcher)
    watch([GOOD], steps=1, watcher=watcher)
    assert watcher.steps == 2


def test_one_component_that_carries_all_of_the_gain_is_seen():
    made = CompositeReward(["bleu", "findings_f1"], weights={"bleu": 0.5, "findings_f1": 0.5})
    batches = [["Edema of the lungs on both sides.", "Edema."]] * 10
    batches += [["There is a small left at the base.", "There is a small one."]] * 15
    messages = observe(Diagnostics(), batches, made, "There is a small left pleural effusion at the base.")
    assert any("bleu has risen by" in text and "no other component has risen" in text for text in messages)


def test_unscored_rollouts_are_reported_with_their_reason():
    messages = observe(Diagnostics(), [["good", "broken"]] * 6, reward())
    assert any("50% of rollouts are unscored, most often because: is broken" in text for text in messages)


def test_what_is_unscored_is_counted_by_kind(tmp_path):
    watcher = Diagnostics(tmp_path / "d.jsonl")
    made = reward()
    texts = ["good", "broken", None, None, "x" * 100_001]
    cases = [Case(candidate=text, reference="x") for text in texts]
    for _ in range(2):
        watcher.observe(made, cases, made.score_batch(cases))
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert [line["unscored_kinds"] for line in lines] == [{"error": 1, "missing_text": 2, "too_long": 1}] * 2
    assert watcher.summary()["unscored_kinds"] == {"missing_text": 4, "error": 2, "too_long": 2}


def test_a_file_gets_a_line_a_step(tmp_path):
    path = tmp_path / "runs" / "d.jsonl"
    watch([GOOD], steps=3, watcher=Diagnostics(path))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert lines[0]["reward/mean"] > 0
    with pytest.raises(ConfigError, match="diagnostics cannot be written"):
        Diagnostics(tmp_path)


# Numbers of the reports


def step(candidates, references=("Left effusion. No pneumothorax.",), reward=None, watcher=None, **fields):
    """Return the numbers of one step; each reference is a study."""
    made = reward or CompositeReward()
    references = [*references] * (len(candidates) // len(references))
    cases = [Case(candidate=c, reference=r, group=r, **fields) for c, r in zip(candidates, references, strict=True)]
    return (watcher or Diagnostics()).observe(made, cases, made.score_batch(cases))


@pytest.mark.parametrize(
    ("candidate", "key", "value"),
    [
        ("Left effusion. Pneumonia. No pneumothorax.", "findings_precision", 0.5),
        ("Left effusion. Pneumonia. No pneumothorax.", "findings_recall", 1.0),
        ("Left effusion. Possible pneumonia.", "hedge_rate", 0.5),
        ("Left effusion. Old rib fracture.", "old_rate", 0.5),
        ("Left effusion. The bunny likes the spoon. No pneumothorax. No edema.", "unread_rate", 0.25),
        ("Left florbid effusion.", "strange_rate", 1 / 3),
        ("Left effusion. No effusion.", "contradiction_rate", 1.0),
    ],
)
def test_reports_of_a_step_are_measured(candidate, key, value):
    assert step([candidate])[key] == pytest.approx(value)


def test_pairs_of_words_that_only_candidates_have_are_counted_against_those_of_references():
    watcher, texts = Diagnostics(), ["Left effusion.", "No effusion or pneumothorax.", "Left effusion or edema."]
    assert "odd_pair_rate" not in step(texts, texts, watcher=watcher)  # too few are known
    others = [f"Rib {number}." for number in range(30)]
    step(others, others, watcher=watcher)
    assert step(texts, texts, watcher=watcher)["odd_pair_rate"] == 0.0  # as new as the references
    odd = step(["Left or or or pneumothorax."], texts[:1], watcher=watcher)["odd_pair_rate"]
    assert odd == pytest.approx(3 / 5 - 1 / 2)


def test_studies_with_the_same_text_are_counted_over_steps():
    watcher = Diagnostics()
    references = [f"{place} lobe opacity." for place in ("Left upper", "Left lower", "Right upper", "Right lower")]
    step(references, references, watcher=watcher)
    metrics = step(["Edema."] * 4, references, watcher=watcher)
    assert (metrics["same_text_rate"], metrics["reference_same_text_rate"]) == (0.5, 0.25)


def test_the_mix_of_prompts_moves_the_reward_and_not_the_reward_above_a_constant_report():
    normal, sick = "The heart is normal in size. The lungs are clear.", "Large left pleural effusion. Cardiomegaly."
    constant = [CONSTANT]
    easy, hard = (step(constant, [reference]) for reference in (normal, sick))
    assert easy["reward/mean"] > hard["reward/mean"] + 0.5
    assert easy["reward/above_constant"] == hard["reward/above_constant"] == 0.0
    seen = step([sick], [sick])
    assert seen["reward/above_constant"] == pytest.approx(seen["reward/mean"] - hard["reward/mean"])


def test_judges_are_not_asked_about_the_constant_report():
    with FakeJudge() as judge:
        judged = Chexprompt(model="fake", base_url=judge.url)
        made = CompositeReward({"judge": judged, "bleu": "bleu"}, weights={"judge": 0.5, "bleu": 0.5})
        watcher = Diagnostics()
        metrics = step(["Left effusion."], reward=made, watcher=watcher)
        alone = step(["Left effusion."], reward=CompositeReward({"judge": judged}), watcher=watcher)
        asked = judge.requests
    close_judges()
    assert asked == 2  # of the candidate and not of the constant report, in each of two replies
    bleu = CompositeReward(["bleu"])
    values = [bleu.score(text, "Left effusion. No pneumothorax.").value for text in ("Left effusion.", CONSTANT)]
    assert metrics["reward/above_constant"] == pytest.approx(0.5 * (values[0] - values[1]))
    assert metrics["judge/usd_total"] == 0.0
    assert "reward/above_constant" not in alone


def test_the_constant_report_can_be_in_the_format_that_the_reward_wants():
    metrics = step(["A."], reward=CompositeReward(["bleu"]), watcher=Diagnostics(constant="A."))
    assert metrics["reward/above_constant"] == 0.0


# What a trainer logs


def test_few_numbers_are_logged_by_default_and_the_others_on_wish():
    made = CompositeReward()
    metrics = step(["Left effusion.", "Edema."] * 4)
    chosen = logged(metrics, made)
    assert 15 <= len(chosen) <= 21 < len(metrics)
    assert {"findings_soft_f1/mean", "reward/above_constant", "findings_recall", "warnings"} <= set(chosen)
    assert not {"bleu/mean", "findings_soft_f1/std"} & set(chosen)  # of weight 0, and a spread
    assert logged(metrics, made, "all") == metrics
    assert logged(metrics, made, "none") == {}
    more = logged(metrics, made, ["default", "seconds/*", "bleu/mean"])
    assert set(more) == {*chosen, "bleu/mean", *(key for key in metrics if key.startswith("seconds/"))}
    with pytest.raises(ConfigError, match="log must be 'default', 'all', 'none', a pattern .* got 7"):
        made.as_trl(log=7)


def test_what_trl_logs_itself_is_not_logged_twice():
    names = []
    score = CompositeReward().as_trl(log="all")
    score(completions=["Edema.", "Clear."], reference=["Edema."] * 2, log_metric=lambda name, _: names.append(name))
    assert len(names) == len(set(names)) > 60
    assert all(name.startswith("cxr_rewards/") for name in names)
    assert not {"cxr_rewards/mean", "cxr_rewards/std", "cxr_rewards/zero_variance_groups"} & set(names)


def test_the_file_keeps_all_and_tells_which_signs_show(tmp_path):
    watcher = Diagnostics(tmp_path / "d.jsonl")
    observe(watcher, [GOOD_BATCH] * 10 + [["The lungs are clear.", "The heart is normal."]] * 10)
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert lines[0]["signs"] == {}
    began = next(line["step"] for line in lines if "normal" in line["signs"])
    assert began == 20  # as soon as ten steps can be compared with the first ten
    assert watcher.summary()["warnings"]["normal"] == watcher.began["normal"] == began
    assert lines[-1]["warnings"] == len(lines[-1]["signs"]) > 0
    assert {"bleu/std", "reward/above_constant", "seconds/diagnostics", "rollouts"} <= set(lines[0])


def test_a_function_named_as_trls_own_number_is_refused():
    with pytest.raises(ConfigError, match="as_trl: name = 'reward' is the name of trl's own mean reward"):
        CompositeReward().as_trl(name="reward")
