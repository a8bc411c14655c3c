"""Columns into cases, values out; what becomes of the unscored."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.adapters import trl as adapter
from cxr_rewards.adapters.diagnostics import Diagnostics
from cxr_rewards.adapters.rollouts import OPTIONS_VARIABLE, Rollouts, priors_of
from cxr_rewards.core.component import Component
from cxr_rewards.errors import ConfigError, InputError, SetupError
from cxr_rewards.remote.load import CONFIG_VARIABLE
from cxr_rewards.types import Case, Failure, Score


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


def test_columns_become_cases():
    rollouts = Rollouts(
        reward=reward(), reference="report", priors="before", context={"age": "years"}, group="study", unscored=None
    )
    cases = rollouts.cases(
        ["<think>x</think>a", [{"role": "assistant", "content": "b"}]],
        {"report": ["r1", "r2"], "before": ['["p1", "p2"]', None], "years": [60, None], "study": [7, 8]},
    )
    assert cases[0] == Case(candidate="a", reference="r1", priors=("p1", "p2"), group="7", context={"age": "60"})
    assert cases[1] == Case(candidate="b", reference="r2", group="8")


def test_without_a_study_equal_prompts_and_references_are_a_group():
    prompts = [[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Report."}]}]] * 4
    cases = Rollouts(reward=reward()).cases(list("abcd"), {"reference": ["x", "x", "y", "y"]}, prompts)
    groups = [case.group for case in cases]
    assert groups[0] == groups[1] != groups[2] == groups[3]
    rollouts = Rollouts(reward=reward(), priors="before")
    cases = rollouts.cases(list("abc"), {"reference": ["x"] * 3, "before": ["Edema.", "Edema.", "Clear."]})
    groups = [case.group for case in cases]
    assert groups[0] == groups[1] != groups[2]


@pytest.mark.parametrize(
    ("unscored", "values"),
    [
        (None, [1.0, None, 0.0, None, None]),
        (-1.0, [1.0, -1.0, 0.0, -1.0, -1.0]),
        ("group_mean", [1.0, 0.5, 0.0, 0.5, 0.5]),
    ],
)
def test_what_an_unscored_rollout_becomes_is_a_setting(unscored, values):
    rollouts = Rollouts(reward=reward(), group="g", unscored=unscored)
    completions = ["good", "broken", "bad", "broken", "broken"]
    columns = {"reference": ["x"] * 5, "g": ["1", "1", "1", "2", "2"]}
    assert rollouts(completions, **columns) == values


class Told(Component):
    """The number that a report is; none if it is none."""

    name = "fixed"
    summary = "the number in the report"
    reads = ("candidate",)

    def score_case(self, case, features):
        if case.candidate == "broken":
            return Score(None, failure=Failure("fixed", "is broken"))
        return Score(float(case.candidate))


def test_the_mean_that_an_unscored_rollout_gets_is_that_of_its_own_group():
    """Groups of different means, interleaved; one is whole, one has lost all, and gets the mean of the batch, 2.7 / 6."""
    rows = [
        ("a", "0.9", 0.9), ("b", "0.2", 0.2), ("c", "broken", 0.45), ("a", "broken", 0.8), ("d", "0.5", 0.5),
        ("b", "broken", 0.1), ("a", "0.7", 0.7), ("c", "broken", 0.45), ("b", "0.0", 0.0), ("b", "broken", 0.1),
        ("d", "0.4", 0.4),
    ]  # fmt: skip
    groups, texts, expected = zip(*rows, strict=True)
    rollouts = Rollouts(reward=CompositeReward([Told()]), group="g", unscored="group_mean")
    columns = {"reference": ["x"] * len(rows), "g": groups}
    assert rollouts(texts, **columns) == pytest.approx(expected)
    backwards = rollouts(texts[::-1], reference=columns["reference"], g=groups[::-1])
    assert backwards == pytest.approx(expected[::-1])


def test_a_group_that_lost_all_gets_the_mean_of_the_batchs_rollouts_and_not_of_its_groups():
    rollouts = Rollouts(reward=CompositeReward([Told()]), group="g", unscored="group_mean")
    values = rollouts(["1", "1", "1", "0", "broken"], reference=["x"] * 5, g=["a", "a", "a", "b", "c"])
    assert values == [1.0, 1.0, 1.0, 0.0, 0.75]


def grouped():
    return CompositeReward(["bleu", "rouge_l"], weights={"bleu": 1.0, "rouge_l": 1.0}, normalize="group")


def test_a_reward_normalised_within_groups_is_given_whole_groups():
    """GDPO: each component is standardised in its group before the sum, where the trainer would sum raw values."""
    rollouts = Rollouts(reward=grouped(), group="g", group_size=2)
    completions = ["Left effusion.", "Clear lungs.", "Left effusion is seen.", "Edema."]
    columns = {"reference": ["Left effusion."] * 4, "g": ["1", "1", "2", "2"]}
    values = rollouts(completions, **columns)
    assert values[0] + values[1] == pytest.approx(0.0)
    assert values[2] + values[3] == pytest.approx(0.0)
    assert values[0] == pytest.approx(values[2], rel=1e-3)  # however far the raw values are apart
    with pytest.raises(ConfigError, match="group '1' has 1 rollouts in this call, not 2"):
        rollouts(completions[1:], reference=columns["reference"][1:], g=columns["g"][1:])
    with pytest.raises(ConfigError, match="group '2' has 3 rollouts in this call, not 2"):
        rollouts([*completions, "x"], reference=["Left effusion."] * 5, g=["1", "1", "2", "2", "2"])
    with pytest.raises(ConfigError, match="is normalised within groups: give group_size"):
        Rollouts(reward=grouped(), group="g")
    with pytest.raises(ConfigError, match="is normalised within groups: give group_size"):
        grouped().as_trl(group="g")


def test_extraction_may_be_given_by_name():
    rollouts = Rollouts(reward=reward(), extract={"sections": ["impression"], "reasoning": "keep"})
    assert rollouts.cases(["FINDINGS: x. IMPRESSION: good."], {"reference": ["r"]})[0].candidate == "IMPRESSION: good."
    with pytest.raises(ConfigError, match="unknown argument 'section'.*Did you mean 'sections'"):
        Rollouts(reward=reward(), extract={"section": ["impression"]})


def test_it_may_be_an_error():
    rollouts = Rollouts(reward=reward(), unscored="raise")
    assert rollouts(["good"], reference=["x"]) == [1.0]
    with pytest.raises(InputError, match="1 of 2 rollouts are unscored: .'picky: is broken'"):
        rollouts(["good", "broken"], reference=["x"] * 2)
    with pytest.raises(InputError, match="no rollout of the batch was scored: picky: is broken"):
        Rollouts(reward=reward(), unscored="group_mean")(["broken"], reference=["x"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unscored": 0.0}, "unscored = 0 must lie below every reward, that is below 0"),
        ({"unscored": 0}, "unscored = 0 must lie below every reward, that is below 0"),
        ({"unscored": True}, "unscored must be a number, 'group_mean', 'raise' or None, got True"),
        ({"unscored": [-1.0]}, "unscored must be a number, 'group_mean', 'raise' or None, got .-1.0."),
        ({"unscored": "zero"}, "unknown unscored 'zero'"),
    ],
)
def test_a_bad_setting_is_reported(settings, message):
    with pytest.raises(ConfigError, match=message):
        Rollouts(reward=reward(), **settings)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"refrence": ["x"]}, ConfigError, "unknown column 'reference'; known: refrence. Did you mean 'refrence'"),
        ({"reference": ["x", "y"]}, InputError, "column 'reference' has 2 cells for 1 completions"),
    ],
)
def test_bad_columns_are_reported(columns, error, message):
    with pytest.raises(error, match=message):
        Rollouts(reward=reward())(["a"], **columns)


@pytest.mark.parametrize(
    ("cell", "priors"),
    [
        (None, ()), (float("nan"), ()), ("", ()), ("a", ("a",)), (["a", " ", "b"], ("a", "b")), ("[a", ("[a",)),
        ('["a"]', ("a",)), (("a",), ("a",)), ([], ()),
    ],
)  # fmt: skip
def test_priors_come_in_many_forms(cell, priors):
    assert priors_of(cell) == priors


def test_what_is_no_prior_is_an_error():
    with pytest.raises(InputError, match="priors must be a text or a list of texts, got 7"):
        priors_of(7)


# trl


def test_trls_hooks_get_what_there_is_to_tell():
    metrics, columns = {}, {}
    score = reward().as_trl(reference="report")
    values = score(
        prompts=["p"] * 3, completions=["good", "broken", "bad"], report=["x"] * 3, completion_ids=[[1]] * 3,
        trainer_state=None, log_extra=columns.__setitem__, log_metric=metrics.__setitem__,
    )  # fmt: skip
    assert values == [1.0, None, 0.0]
    assert score.__name__ == "cxr_rewards"
    assert metrics["cxr_rewards/picky/mean"] == 0.5
    assert metrics["cxr_rewards/unscored"] == pytest.approx(1 / 3)
    assert all(type(value) is float for value in metrics.values())
    assert columns["picky"] == [1.0, None, 0.0]
    assert columns["unscored"] == ["", "picky: is broken", ""]
    assert columns["unscored_kind"] == ["", "error", ""]


def test_the_asynchronous_form_is_a_coroutine_function_with_the_same_values():
    import inspect

    score = reward().as_trl(asynchronous=True, name="mine")
    assert inspect.iscoroutinefunction(type(score).__call__)
    assert score.__name__ == "mine"
    assert asyncio.run(score(completions=["good", "bad"], reference=["x"] * 2)) == [1.0, 0.0]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_reward_function_pickles(asynchronous):
    score = CompositeReward(["bleu"]).as_trl(asynchronous=asynchronous, name="mine")
    copy = pickle.loads(pickle.dumps(score))
    assert copy.__name__ == "mine"
    assert copy.rollouts.reward.signature == score.rollouts.reward.signature


def test_the_zero_argument_form_reads_the_environment(monkeypatch, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('name = "x"\n[components.bleu]\nweight = 1.0\n')
    monkeypatch.setenv(CONFIG_VARIABLE, str(path))
    monkeypatch.setenv(OPTIONS_VARIABLE, '{"reference": "report"}')
    score = adapter._FromEnvironment()
    assert score(completions=["Clear lungs."], report=["Clear lungs."]) == [1.0]
    assert pickle.loads(pickle.dumps(adapter.reward)) is adapter.reward
    monkeypatch.setenv(OPTIONS_VARIABLE, "[]")
    with pytest.raises(ConfigError, match="CXR_REWARDS_OPTIONS: expected a JSON object"):
        adapter._FromEnvironment()(completions=[])


def test_an_error_of_the_watcher_leaves_the_rewards_alone():
    class Broken(Diagnostics):
        def observe(self, *given, **named):
            raise ZeroDivisionError("oh")

    score = reward().as_trl(diagnostics=Broken())
    with pytest.warns(UserWarning, match="diagnostics: this step is left out: ZeroDivisionError: oh"):
        assert score(completions=["good"], reference=["x"]) == [1.0]


class Silent(Component):
    """A judge that does not answer, at first."""

    name = "silent"
    summary = "nothing"
    reads = ("candidate",)

    def score_case(self, case, features):
        if case.candidate == "Clear.":
            return Score(1.0)
        return Score(None, failure=Failure("judge", "ConnectError: connection refused", "transport"))


def test_a_judge_that_answers_nothing_ends_a_training_before_its_first_step():
    score = CompositeReward([Silent()]).as_callable(unscored=-5.0)
    with pytest.raises(
        SetupError, match=r"none of the first 2 rollouts was scored: .*refused.*cxr-rewards judge-check"
    ):
        score(["Effusion."] * 2, reference=["Clear."] * 2)
    assert score(["Effusion.", "Clear."], reference=["Clear."] * 2) == [-5.0, 1.0]
    assert score(["Effusion."] * 2, reference=["Clear."] * 2) == [-5.0, -5.0]  # later it may come back
