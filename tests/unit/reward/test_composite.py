"""The composite reward as its users meet it."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_rewards import Case, CompositeReward
from cxr_rewards.cache import MemoryCache, SqliteCache
from cxr_rewards.components.bleu import Bleu
from cxr_rewards.errors import ConfigError
from cxr_rewards.reward.gates import Gate
from cxr_rewards.testing import SAMPLE_CASES

REFERENCE = "Moderate right pleural effusion. Heart size is normal. No pneumothorax."


def test_the_default_is_the_rules_preset():
    assert CompositeReward().signature == CompositeReward.from_preset("rules").signature
    assert CompositeReward().name == "rules"


def test_rules_v1_keeps_the_weights_and_settings_that_rules_had():
    old = CompositeReward.from_preset("rules_v1")
    weights = {label: term.weight for label, term in old.total.terms.items() if term.weight}
    assert weights == {
        "findings_soft_f1": 0.6,
        "findings_score": 0.2,
        "change_f1": 0.1,
        "bleu": 0.05,
        "rouge_l": 0.05,
        "prior_consistency": -0.2,
        "repetition": -0.2,
        "copy_prior": -0.2,
    }
    assert old.components["findings_soft_f1"].normal_weight == 0.25
    assert old.signature != CompositeReward().signature


def test_the_default_prefers_the_better_report():
    reward = CompositeReward()
    exact, paraphrase, wrong_side, normal, flipped, empty = (
        reward.score(candidate, REFERENCE).value
        for candidate in (
            REFERENCE,
            "The heart is not enlarged. There is a moderate right pleural effusion. No evidence of pneumothorax.",
            "Moderate left pleural effusion. Heart size is normal. No pneumothorax.",
            "The lungs are clear. Heart size is normal. No pleural effusion or pneumothorax.",
            "No pleural effusion. Heart size is normal. Right pneumothorax.",
            "",
        )
    )
    assert exact == pytest.approx(reward.bounds[1], abs=1e-9)
    assert exact > paraphrase > normal > empty
    assert paraphrase > wrong_side
    assert paraphrase > flipped


def test_score_and_both_batch_forms_agree():
    reward = CompositeReward()
    one = [reward.score("Clear lungs.", REFERENCE, priors=["Effusion."]), reward.score(REFERENCE, REFERENCE)]
    cases = [
        Case(candidate="Clear lungs.", reference=REFERENCE, priors=("Effusion.",)),
        Case(candidate=REFERENCE, reference=REFERENCE),
    ]
    columns = reward.score_batch(
        candidates=["Clear lungs.", REFERENCE], references=[REFERENCE] * 2, priors=[["Effusion."], []]
    )
    assert one == reward.score_batch(cases) == columns == reward.score_batch(iter(cases))
    assert reward.score_batch([]) == []


def test_a_lone_prior_counts_as_one_report():
    reward = CompositeReward()
    assert reward.score("Clear.", REFERENCE, "Old.") == reward.score("Clear.", REFERENCE, ("Old.",))


def test_missing_texts_are_unscored_with_a_reason_and_leave_neighbours_alone():
    reward = CompositeReward()
    results = reward.score_batch(
        candidates=[REFERENCE, None, REFERENCE, float("nan"), "Clear."],
        references=[REFERENCE, REFERENCE, "", "x", None],
    )
    assert [r.value is None for r in results] == [False, True, True, True, True]
    assert results[1].reasons == "candidate: expected text, got None"
    assert results[2].reasons == "reference: is empty: there is nothing to compare with"
    assert results[4].reasons == "reference: expected text, got None"
    assert results[0] == reward.score(REFERENCE, REFERENCE)
    assert all(set(r.parts) == set(reward.components) for r in results)


@cache
def scored_alone(i):
    return CompositeReward().score_batch([SAMPLE_CASES[i]])[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(range(len(SAMPLE_CASES))), min_size=1, max_size=20))
def test_a_reward_does_not_depend_on_its_batch(order):
    reward = CompositeReward()
    batch = reward.score_batch([SAMPLE_CASES[i] for i in order])
    assert batch == [scored_alone(i) for i in order]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300), st.lists(st.text(max_size=100), max_size=2))
def test_any_text_has_a_reward_in_bounds_or_a_reason(candidate, reference, priors):
    reward = CompositeReward()
    result = reward.score(candidate, reference, priors)
    low, high = reward.bounds
    if result.value is None:
        assert result.reasons
    else:
        assert low <= result.value <= high


def test_weights_follow_direction_when_left_out_and_are_checked_when_given():
    reward = CompositeReward(["bleu", "repetition"])
    assert {k: t.weight for k, t in reward.total.terms.items()} == {"bleu": 0.5, "repetition": -0.5}
    turned = CompositeReward(["bleu", "repetition"], transforms={"repetition": ["negate"]})
    assert turned.total.terms["repetition"].weight == 0.5
    for weights, transforms in (({"repetition": 0.1}, {}), ({"repetition": -0.1}, {"repetition": ["negate"]})):
        with pytest.raises(ConfigError, match="repetition: lower values of repetition are better, but the weight"):
            CompositeReward(["repetition"], weights=weights, transforms=transforms)
    with pytest.raises(ConfigError, match="bleu: higher values of bleu are better, but the weight -1"):
        CompositeReward(["bleu"], weights={"bleu": -1.0})


def test_components_left_out_of_the_weights_are_reported_only():
    reward = CompositeReward(["bleu", "length"], weights={"bleu": 1.0})
    result = reward.score(REFERENCE, REFERENCE)
    assert result.value == pytest.approx(1.0)
    assert result.parts["length"].value is not None


def test_one_component_may_appear_twice_under_two_labels():
    reward = CompositeReward({"bleu1": Bleu(max_order=1), "bleu4": Bleu(max_order=4)})
    parts = reward.score("Small right effusion.", REFERENCE).parts
    assert parts["bleu1"].value > parts["bleu4"].value
    with pytest.raises(ConfigError, match="component 'bleu' is given twice; pass a mapping"):
        CompositeReward([Bleu(max_order=1), Bleu(max_order=4)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CompositeReward(["blue"]), "CompositeReward: unknown component 'blue'; known: .* mean 'bleu'"),
        (lambda: CompositeReward("bleu"), r"got the text 'bleu'; write \['bleu'\]"),
        (lambda: CompositeReward([]), "a reward needs at least one component"),
        (lambda: CompositeReward(["bleu"], weights={"blue": 1}), "weights: unknown component 'blue'; .* mean 'bleu'"),
        (lambda: CompositeReward(["bleu"], transforms={"blue": []}), "transforms: unknown component 'blue'"),
        (lambda: CompositeReward(weights={"bleu": 1}), "need components; to change the default write"),
        (
            lambda: CompositeReward(["bleu"], weights={"bleu": None}),
            r"weights\['bleu'\] must be a finite number, got None",
        ),
        (lambda: CompositeReward(["bleu"], weights=[1.0]), "weights must be a mapping by component"),
        (lambda: CompositeReward(["bleu"], weights={}), "no component has a weight, so every report would get 0"),
        (lambda: CompositeReward({"reward": "bleu"}), "a component cannot be called 'reward': that is a column"),
        (lambda: CompositeReward({"": "bleu"}), "a component cannot be called ''"),
        (lambda: CompositeReward(["bleu"], gates=[{"component": "bleu"}]), "give either below or above"),
        (
            lambda: CompositeReward(["bleu"], gates=[3]),
            "CompositeReward: expected a Gate or a table of its arguments, got 3",
        ),
        (
            lambda: CompositeReward(["bleu"], gates=[Gate(component="bleu", above=0.5)]),
            "gate bleu: higher values of bleu are better, so the gate would close on good reports; give below instead",
        ),
        (lambda: CompositeReward(max_chars=-1), "max_chars must be a whole number above 0, got -1"),
        (lambda: CompositeReward.from_preset("rules", weights=0.5), "weights must be a mapping by component, got 0.5"),
        (lambda: CompositeReward.from_preset("rules", settings={"bleu": 3}), "components.bleu.settings: .* got 3"),
        (
            lambda: CompositeReward().score_batch(candidates="Clear.", references="Clear."),
            "the column of candidate is one text, 'Clear.'; write a list of texts",
        ),
        (
            lambda: CompositeReward().score_batch(Case(candidate="a", reference="b")),
            r"expected a list of cases, .*write \[case\]",
        ),
        (
            lambda: CompositeReward().score_batch([{"candidate": "a"}]),
            "expected a Case, got {'candidate': 'a'} at 0",
        ),
        (lambda: CompositeReward(["bleu"], weights={"bleu": 10**400}), "must be a finite number, got 1000"),
        (lambda: CompositeReward(["bleu"], gates=None), "gates must be a list of gates, got None"),
        (lambda: CompositeReward.from_preset("rules", gates=3), "preset rules: gates must be a list of gates, got 3"),
        (lambda: CompositeReward([None]), "components: expected a name or a Component, got None"),
        (lambda: CompositeReward([Bleu]), r"expected a name or a Component, got <class .*Bleu'>; write it with \(\)"),
        (lambda: CompositeReward(5), "components must be a list or a mapping, got 5"),
        (lambda: CompositeReward({1: "bleu"}), "a label must be a text, got 1"),
        (
            lambda: CompositeReward(["bleu"], transforms={"bleu": 5}),
            "a transform is a name or a table with one name, got 5",
        ),
        (lambda: CompositeReward(cache={}), "cache must be a Cache or the path of one, got {}"),
        (lambda: CompositeReward(on_failure="zero"), "unknown on_failure 'zero'; known: renormalize, unscored"),
        (lambda: CompositeReward(normalize="batch"), "unknown normalize 'batch'; known: group, none"),
        (lambda: CompositeReward().score_batch(), "give cases, or at least candidates and references"),
        (lambda: CompositeReward().score_batch([], candidates=[]), "either cases or columns, not both"),
        (
            lambda: CompositeReward().score_batch(candidates=["a"], references=["b", "c"]),
            "columns differ in length: {'candidate': 1, 'reference': 2}",
        ),
        (
            lambda: CompositeReward(normalize="group").score("a", "b"),
            "normalize = 'group' needs a group for each case: set Case.group",
        ),
    ],
)
def test_mistakes_are_refused_with_a_cure(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_group_normalisation_reads_the_groups_of_the_columns():
    reward = CompositeReward(["bleu"], normalize="group")
    values = [
        r.value
        for r in reward.score_batch(
            candidates=[REFERENCE, "Clear lungs.", REFERENCE, REFERENCE],
            references=[REFERENCE] * 4,
            groups=["a", "a", "b", "b"],
        )
    ]
    assert values[0] == pytest.approx(-values[1])
    assert values[0] > 0.7
    assert values[2:] == pytest.approx([0, 0], abs=1e-9)


def test_groups_may_be_numbers():
    reward = CompositeReward(["bleu"], normalize="group")
    texts = {"candidates": [REFERENCE, "Clear lungs."] * 2, "references": [REFERENCE] * 4}
    by_number = reward.score_batch(**texts, groups=[0, 0, 1, 1])
    assert by_number == reward.score_batch(**texts, groups=["a", "a", "b", "b"])


def test_columns_may_be_generators_and_numpy_texts():
    reward = CompositeReward()
    texts = ["Clear lungs.", "Left effusion."]
    expected = reward.score_batch(candidates=texts, references=[REFERENCE] * 2)
    assert reward.score_batch(candidates=(t for t in texts), references=np.array([REFERENCE] * 2)) == expected


def test_a_failure_is_no_zero_under_renormalize_either():
    reward = CompositeReward.from_preset("rules", on_failure="renormalize")
    assert reward.score("Large pneumothorax.", "").value is None
    assert reward.score("Large pneumothorax.", "").reasons == "reference: is empty: there is nothing to compare with"


def test_a_sum_beyond_all_numbers_is_missing_with_a_reason():
    huge = [{"affine": {"scale": 1e308}}] * 2
    result = CompositeReward(["bleu"], transforms={"bleu": huge}).score(REFERENCE, REFERENCE)
    assert result.value is None
    assert result.reasons == "reward: the weighted sum is not finite: look at the weights and transforms"


def test_gates_and_transforms_have_one_form_everywhere():
    gate = {"component": "format", "below": 1.0, "cap": 0.0}
    direct = CompositeReward(["bleu", "format"], weights={"bleu": 1.0}, gates=[gate], transforms={"bleu": "sigmoid"})
    assert direct.total.gates == (Gate(**gate),)
    preset = CompositeReward.from_preset("rules", gates=[Gate(**gate)], transforms={"bleu": "sigmoid"})
    assert preset.total.gates == (Gate(**gate),)
    assert (
        CompositeReward.from_preset("rules", gates=gate).signature
        == CompositeReward.from_preset("rules", gates=[Gate(**gate)]).signature
    )
    assert preset.total.terms["bleu"].transforms == direct.total.terms["bleu"].transforms


def test_silence_and_loops_earn_nothing():
    reward = CompositeReward()
    for text in ("", " \n", "...", "No pneumothorax. " * 30):
        assert reward.score(text, "No pneumothorax. The heart is normal.").value <= 0.0
    assert CompositeReward(name="mine").name == "mine"


def test_a_gate_caps_the_reward_and_is_named_in_it():
    reward = CompositeReward(
        ["bleu", "format"], weights={"bleu": 1.0}, gates=[Gate(component="format", below=1.0, cap=-1.0)]
    )
    good = f"FINDINGS: {REFERENCE} IMPRESSION: Right effusion."
    assert reward.score(good, good).gates == ()
    broken = reward.score(REFERENCE, REFERENCE)
    assert (broken.value, broken.gates) == (-1.0, ("format",))
    assert reward.bounds == (-1.0, 1.0)


def test_signature_changes_with_whatever_moves_a_number():
    def sign(**changes):
        return CompositeReward.from_preset("rules", **changes).signature

    variants = [
        sign(),
        sign(weights={"bleu": 0.25}),
        sign(settings={"bleu": {"max_order": 4}}),
        sign(transforms={"bleu": [{"clip": {"low": 0.1}}]}),
        sign(transforms={"bleu": [{"clip": {"low": 0.1 + 1e-12}}]}),
        sign(on_failure="renormalize"),
        sign(normalize="group"),
        sign(max_chars=5000),
        sign(gates=[{"component": "length", "below": 0.1, "cap": 0.0}]),
    ]
    assert len(set(variants)) == len(variants)
    assert sign(name="other") == sign()
    assert CompositeReward().score("a", REFERENCE).signature == sign()


def test_describe_names_direction_range_and_weight_and_shows_itself():
    text = CompositeReward.from_preset("rules", gates=[{"component": "length", "below": 0.1, "cap": 0.0}]).describe()
    assert repr(text) == str(text)
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert "higher" in lines["findings_soft_f1"]
    assert "[0, 1]" in lines["findings_soft_f1"]
    assert "lower" in lines["repetition"]
    assert "gate: length < 0.1 -> at most 0" in text
    assert "higher is better" in lines["reward"]
    group = CompositeReward(["bleu"], normalize="group", on_failure="renormalize").describe()
    assert "standardised within its group" in group
    gated = CompositeReward(normalize="group").describe()
    assert "gate: repetition > 0.5 -> at most level with the lowest of its group" in gated
    assert "its weight goes to the others" in group


def _score_in_child(data, results):
    results.put(pickle.loads(data).score_batch(SAMPLE_CASES[:4]))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_reward_scores_the_same_in_another_process(method, tmp_path):
    reward = CompositeReward(cache=SqliteCache(tmp_path / "cache.sqlite"))
    expected = reward.score_batch(SAMPLE_CASES[:4])
    context = multiprocessing.get_context(method)
    results = context.Queue()
    child = context.Process(target=_score_in_child, args=(pickle.dumps(reward), results))
    child.start()
    assert results.get(timeout=60) == expected
    child.join(60)
    assert child.exitcode == 0
    reward.cache.close()


def test_a_reward_scores_the_same_in_many_threads():
    reward = CompositeReward(cache=MemoryCache(max_items=3))
    expected = reward.score_batch(SAMPLE_CASES)
    with ThreadPoolExecutor(8) as pool:
        assert all(r == expected for r in pool.map(lambda _: reward.score_batch(SAMPLE_CASES), range(24)))


def test_rewards_do_not_depend_on_the_hash_seed():
    code = (
        "from cxr_rewards import CompositeReward; from cxr_rewards.testing import SAMPLE_CASES;"
        "print([(r.value, {k: (s.value, s.details) for k, s in r.parts.items()})"
        " for r in CompositeReward().score_batch(SAMPLE_CASES)])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_reward_bounds_are_finite_for_the_default():
    assert all(map(math.isfinite, CompositeReward().bounds))
