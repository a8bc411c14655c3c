"""Bootstrap and sign flips against scipy's, and what they must do at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cxr_rewards.evaluation.resampling import (
    Resampled,
    adjust,
    bootstrap,
    cluster_codes,
    effective_clusters,
    sign_flip,
    sum_by_cluster,
)


def mean(sums):
    return sums[..., 1:] / sums[..., :1]


def first(statistics):
    return statistics[..., 0]


def cases(*columns):
    return np.column_stack((np.ones(len(columns[0])), *columns))


def drawn(n, seed=0):
    return np.random.default_rng(seed).gamma(2.0, 0.1, n)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_of_many_cases_are_scipys(method):
    values = drawn(400)
    low, high = bootstrap(cases(values), mean, resamples=20_000).interval(first, 400, method=method)
    told = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa" if method == "bca" else "percentile", rng=1
    ).confidence_interval
    assert (low, high) == pytest.approx((told.low, told.high), abs=0.03 * (told.high - told.low))


def test_intervals_of_few_cases_are_as_wide_as_students():
    values = np.random.default_rng(3).normal(0.5, 0.1, 12)
    low, high = bootstrap(cases(values), mean).interval(first, 12)
    expected = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert high - low == pytest.approx(expected[1] - expected[0], rel=0.1)
    assert high - low > 1.1 * np.diff(
        stats.bootstrap((values,), np.mean, method="percentile", rng=1).confidence_interval
    )


def test_below_five_effective_clusters_there_is_no_interval():
    sample = bootstrap(cases(drawn(20)), mean, resamples=200)
    assert sample.interval(first, 4.9) is None
    assert sample.interval(first, 5) is not None


def test_clusters_are_drawn_whole():
    values = np.repeat(drawn(30), 8)
    codes = cluster_codes([f"p{i}" for i in np.repeat(np.arange(30), 8)])
    sums = sum_by_cluster(cases(values), codes)
    assert effective_clusters(sums[:, 0]) == pytest.approx(30)
    whole = bootstrap(sums, mean).interval(first, 30)
    assert whole == pytest.approx(bootstrap(cases(drawn(30)), mean).interval(first, 30))
    rows = bootstrap(cases(values), mean).interval(first, 240)
    assert whole[1] - whole[0] > 2.5 * (rows[1] - rows[0])


def test_the_same_seed_draws_the_same_and_chunks_change_nothing_but_memory():
    sums = cases(drawn(50))
    assert np.array_equal(bootstrap(sums, mean).replicates, bootstrap(sums, mean).replicates)
    assert not np.array_equal(bootstrap(sums, mean).replicates, bootstrap(sums, mean, seed=1).replicates)


def test_resamples_in_which_a_statistic_is_undefined_do_not_count():
    known = np.zeros(20)
    known[:8] = 1
    sample = bootstrap(np.column_stack((known, known * drawn(20))), mean, resamples=500)
    assert np.isfinite(sample.interval(first, 8)).all()
    half = Resampled(np.array([1.0]), np.array([[1.0], [np.nan], [np.nan]]), np.ones((20, 1)))
    assert half.interval(first, 20) is None


@pytest.mark.parametrize("n", [8, 300])
def test_p_values_are_scipys(n):
    a, b = drawn(n), drawn(n, seed=1)
    found = sign_flip(cases(a), cases(b), mean)
    told = stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", n_resamples=10_000, rng=1,
        vectorized=True,
    )  # fmt: skip
    assert found.exact == (n == 8)
    assert found.p[0] == pytest.approx(told.pvalue, abs=1e-12 if n == 8 else 0.015)


def test_equal_systems_have_p_1():
    found = sign_flip(cases(drawn(40)), cases(drawn(40)), mean)
    assert found.p.tolist() == [1.0]


def test_p_is_never_0_and_counts_the_observed_exchange():
    found = sign_flip(cases(np.ones(50)), cases(np.zeros(50)), mean, trials=999)
    assert not found.exact
    assert found.p.tolist() == [0.001]


def test_exchanges_that_equal_the_observed_one_but_for_rounding_count():
    a, b = cases([0.1, 0.2, 0.3, 0.1]), cases([0.0, 0.0, 0.0, 0.4])
    assert sign_flip(a, b, mean).p[0] == 12 / 16  # by hand: |±0.1 ± 0.2 ± 0.3 ± 0.3| >= 0.3


def test_clusters_are_exchanged_whole():
    codes = cluster_codes(["p", "p", "q", "q", "", ""])
    a, b = (sum_by_cluster(cases(x), codes) for x in (np.arange(6.0) + 1, np.zeros(6)))
    assert sign_flip(a, b, mean).p[0] == 2 / 2**4


def test_adjusted_p_values():
    p = [0.01, np.nan, 0.04, 0.03, 0.005]
    told = stats.false_discovery_control([0.01, 0.04, 0.03, 0.005])
    assert adjust(p, "bh") == pytest.approx([told[0], np.nan, *told[1:]], nan_ok=True)
    assert adjust(p, "holm") == pytest.approx([0.03, np.nan, 0.06, 0.06, 0.02], nan_ok=True)
    assert adjust(p, "none") == pytest.approx(p, nan_ok=True)
    assert adjust([], "holm") == []


def test_an_interval_of_few_differing_cases_reaches_as_far_as_students():
    values = np.zeros(20)
    values[0] = 0.5
    low, high = bootstrap(cases(values), mean).interval(first, 20)
    told = stats.t.interval(0.95, 19, values.mean(), stats.sem(values))
    assert told[0] < 0  # no resample has a mean below 0
    assert low == pytest.approx(told[0], abs=1e-3)
    assert high >= told[1] - 1e-3


def test_cases_that_are_all_alike_have_clopper_and_pearsons_interval_if_the_score_has_bounds():
    sample = bootstrap(cases(np.full(20, 0.75)), mean, resamples=100)
    missed = stats.binomtest(0, 20).proportion_ci(method="exact").high
    assert sample.interval(first, 20, bounds=(0, 1)) == pytest.approx((0.75 * (1 - missed), 0.75 + 0.25 * missed))
    assert sample.interval(first, 20) is None


def test_an_interval_ends_at_the_bounds():
    values = np.r_[np.ones(11), 0.2]
    assert bootstrap(cases(values), mean).interval(first, 12, bounds=(0, 1))[1] == 1.0


def test_a_bound_at_95_percent_is_the_end_of_the_interval_at_90():
    values = np.random.default_rng(5).normal(0.5, 0.1, 40)
    low, _ = bootstrap(cases(values), mean).interval(first, 40, level=0.9)
    assert low == pytest.approx(values.mean() - stats.t.ppf(0.95, 39) * stats.sem(values), abs=0.002)
