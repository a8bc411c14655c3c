"""Agreement equals scipy's; fitted weights recover planted ones, are never negative and leave guards as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr
from tests.benchmark_scripts import load_benchmark

from cxr_rewards.evaluation.calibration.agreement import (
    Compared,
    Judgments,
    kendall_tau_b,
    measure,
    pairwise_accuracy,
    spearman,
)
from cxr_rewards.evaluation.calibration.calibrate import fitted_weights
from cxr_rewards.evaluation.calibration.fit import Problem, fit
from cxr_rewards.evaluation.calibration.validation import Choice, choose, cross_validate, folds_of, nested

BENCHMARK = load_benchmark("calibrating")
PLANTED, planted = BENCHMARK.PLANTED, BENCHMARK.planted


# ---------------------------------------------------------------- agreement


@pytest.mark.parametrize("seed", range(3))
def test_agreement_with_ties_is_that_of_scipy_for_a_sample_and_for_resamples(seed):
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 6, 700) / 5, random.integers(1, 6, 700).astype(float)
    drawn = random.integers(0, 700, (4, 700))
    counts = np.stack([np.bincount(row, minlength=700) for row in drawn]).astype(float)
    for ours, theirs in ((kendall_tau_b, kendalltau), (spearman, spearmanr)):
        assert ours(a, b)[0] == pytest.approx(theirs(a, b).statistic, abs=1e-12)
        expected = [theirs(a[row], b[row]).statistic for row in drawn]
        np.testing.assert_allclose(ours(a, b, counts), expected, atol=1e-12)


def test_agreement_with_a_constant_score_is_undefined():
    flat, rising = np.ones(5), np.arange(5.0)
    assert np.isnan(kendall_tau_b(flat, rising)[0])
    assert np.isnan(spearman(rising, flat)[0])


def test_a_pair_that_raters_leave_open_does_not_count_and_equal_scores_count_half():
    order = np.array([1.0, -1.0, 0.0, np.nan, 1.0])
    assert pairwise_accuracy(np.array([0.3, 0.2, 0.5, 0.1, 0.0]), order)[0] == pytest.approx(1.5 / 3)


def test_a_rater_who_is_constant_has_no_correlation_and_leaves_the_mean_to_the_others():
    problem = planted(30, 0)
    good, flat = problem.judged.values, np.full(60, 3.0)
    found = measure(
        {
            "both": [Compared.of(good, problem.judged), Compared.of(flat, problem.judged)],
            "flat": [Compared.of(flat, problem.judged)],
        },
        problem.codes,
        gains={},
        resamples=100,
    )
    assert found["both"].kendall_tau_b.value == pytest.approx(1)
    assert found["flat"].kendall_tau_b.value is None
    assert found["flat"].kendall_tau_b.reason
    assert found["flat"].pairwise_accuracy.value == 0.5


# ---------------------------------------------------------------- weights


@pytest.mark.parametrize("method", ["ridge", "pairwise"])
def test_planted_weights_lie_within_their_intervals(method):
    hits = []
    for seed in range(4):
        problem = planted(60, seed)
        weights, intervals = fitted_weights(problem, Choice(method, 0.01), resamples=100, seed=seed)
        assert weights.sum() == pytest.approx(1)
        hits += [low <= true <= high for (low, high), true in zip(intervals, PLANTED, strict=True)]
    assert np.mean(hits) >= 0.9


@pytest.mark.parametrize("method", ["ridge", "pairwise"])
def test_more_cases_bring_the_weights_nearer_to_the_planted_ones(method):
    errors = [
        np.mean([np.abs(fit(planted(cases, seed), method, 0.0) - PLANTED).max() for seed in range(6)])
        for cases in (20, 800)
    ]
    assert errors[1] < 0.06
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize("method", ["ridge", "pairwise"])
@pytest.mark.parametrize("pull", [0.0, 0.1])
def test_a_part_that_goes_against_the_raters_gets_no_negative_weight(method, pull):
    problem = planted(100, 1, weights=np.array([0.6, -0.4, 0.4]), start=[0.4, 0.2, 0.4])
    weights = fit(problem, method, pull)
    assert (weights >= 0).all()
    assert weights[1] <= (1e-9 if not pull else problem.start[1])


@pytest.mark.parametrize("method", ["ridge", "pairwise"])
def test_guards_keep_their_weights_and_are_not_counted_twice(method):
    # The guard punishes what the first part measures: without regard to it, the first part would get 0.69.
    problem = planted(1000, 2, weights=np.array([0.5, 0.5]), noise=0.0)
    fixed = -0.6 * (1 - problem.parts[:, 0])
    quality = problem.parts @ [0.5, 0.5] + fixed
    first, second = problem.judged.first, problem.judged.second
    apart = quality[first] - quality[second]
    judged = Judgments(
        values=quality, first=first, second=second, order=np.sign(apart), share=1 / (1 + np.exp(-8 * apart))
    )
    guarded = replace(problem, fixed=fixed, judged=judged)
    np.testing.assert_allclose(fit(guarded, method, 0.0), [0.5, 0.5], atol=0.01)
    np.testing.assert_allclose(fit(replace(guarded, fixed=0 * fixed), method, 0.0), [0.69, 0.31], atol=0.01)


@pytest.mark.parametrize("method", ["ridge", "pairwise"])
def test_a_strong_pull_leaves_the_weights_where_they_were(method):
    start = np.array([0.1, 0.1, 0.8])
    np.testing.assert_allclose(fit(planted(60, 3, start=start), method, 1e4), start, atol=0.01)


def test_pairs_in_perfect_order_still_give_weights():
    weights = fit(planted(40, 4, noise=0.0, weights=np.array([1.0, 0.0]), start=[0.5, 0.5], guard=0), "pairwise", 0.0)
    assert weights[0] > 0.8


def test_ties_in_preferences_pull_two_parts_level():
    values = np.tile([1.0, 0.0], 40)
    judged = Judgments(
        values=None,
        first=np.arange(0, 80, 2),
        second=np.arange(1, 80, 2),
        order=np.repeat([1.0, 0.0], 20),
        share=np.repeat([1.0, 0.5], 20),
    )
    parts = np.stack((np.concatenate((values[:40], np.zeros(40))), np.concatenate((np.zeros(40), values[40:]))), axis=1)
    problem = Problem(
        labels=("told", "tied"),
        parts=parts,
        fixed=np.zeros(80),
        caps=np.full(80, np.inf),
        start=np.array([0.5, 0.5]),
        summed=np.ones(2),
        judged=judged,
        codes=np.repeat(np.arange(40), 2),
    )
    assert problem.methods == ("pairwise",)
    told, tied = fit(problem, "pairwise", 0.0)
    assert told == pytest.approx(1, abs=0.01)
    assert tied == pytest.approx(0, abs=0.01)


def test_candidates_behind_a_closed_gate_do_not_change_the_weights():
    problem = planted(60, 5)
    caps = problem.caps.copy()
    caps[:4] = 0.0
    capped = replace(problem, caps=caps)
    spoilt = capped.judged.values.copy()
    before = fit(capped, "ridge", 0.0)
    spoilt[:4] = 5
    after = fit(replace(capped, judged=replace(capped.judged, values=spoilt)), "ridge", 0.0)
    np.testing.assert_allclose(before, after)
    assert (capped.values(before)[:4] <= 0).all()


# ---------------------------------------------------------------- cross-validation


def test_no_case_is_predicted_by_weights_that_have_seen_it():
    codes = np.repeat(np.arange(12), 2)

    def predict(known, held_out):
        assert not set(codes[known]) & set(codes[held_out])
        return np.full(len(held_out), float(len(known)))

    values = cross_validate(codes, folds_of(range(12), 4, seed=0), predict)
    assert values.tolist() == [18.0] * 24


def test_nested_cross_validation_gains_on_bad_weights_and_not_on_right_ones():
    choices = [Choice("ridge", pull) for pull in (10.0, 0.1, 0.0)]
    bad, right = planted(60, 6, start=[0.05, 0.05, 0.9]), planted(60, 6, start=PLANTED)
    gains = []
    for problem in (bad, right):
        values, made = nested(problem, choices, folds=5, inner_folds=3, seed=0)
        assert len(made) == 5
        before, after = (
            kendall_tau_b(one, problem.judged.values)[0] for one in (problem.values(problem.start), values)
        )
        gains.append(after - before)
    assert gains[0] > 0.1
    assert abs(gains[1]) < 0.05


def test_of_equally_good_choices_the_strongest_pull_is_taken():
    problem = planted(30, 7, weights=np.array([1.0, 1.0]), noise=0.0)
    problem = replace(problem, parts=np.repeat(problem.parts[:, :1], 2, axis=1))
    choices = [Choice("ridge", 10.0), Choice("ridge", 0.0)]
    assert choose(problem, choices, np.arange(30), 5, seed=0) == choices[0]


def test_the_benchmark_of_new_cases_counts_how_often_weights_are_worse_than_before():
    table = BENCHMARK.new_cases(weights=2, cases=20, runs=2)
    assert set(table) == {"chosen pull", "no pull"}
    assert all(0 <= row["worse"] <= 1 for row in table.values())


def test_the_benchmark_of_coverage_counts_intervals_that_hold_the_truth():
    assert 0.5 <= BENCHMARK.coverage("ridge", cases=40, runs=2, resamples=100) <= 1
