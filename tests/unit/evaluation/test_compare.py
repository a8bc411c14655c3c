"""Comparisons of systems: the numbers of planted data, agreement with sacrebleu and scipy, and the edges."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
from sacrebleu.metrics.base import Metric, Score
from sacrebleu.significance import PairedTest
from scipy import stats
from sklearn.metrics import f1_score
from tests.benchmark_scripts import load_benchmark

from cxr_rewards.components.chexbert_f1 import ChexbertF1
from cxr_rewards.components.chexpert_rule_f1 import ChexpertRuleF1
from cxr_rewards.components.radcliq_v1 import RadcliqV1
from cxr_rewards.errors import ConfigError, InputError
from cxr_rewards.evaluation import compare
from cxr_rewards.files.details import FailureDetails, PartDetails, write_details
from cxr_rewards.types import Score as CaseScore


@pytest.fixture
def write(tmp_path):
    """Write a file of scores and return its path."""

    def to(name, reward, **columns):
        table = {"study_id": [f"s{i}" for i in range(len(reward))], **columns, "reward": reward}
        path = tmp_path / f"{name}.csv"
        pl.DataFrame(table).write_csv(path)
        return path

    return to


def planted(n=200, seed=1, gain=0.02):
    """Return scores of two systems on cases of their own difficulty."""
    random = np.random.default_rng(seed)
    case = random.beta(5, 3, n)
    return np.clip(case + random.normal(gain, 0.1, n), 0, 1), np.clip(case + random.normal(0, 0.1, n), 0, 1)


def pair_of(comparison, measure="reward"):
    (pair,) = (pair for pair in comparison.pairs if pair.measure == measure)
    return pair


class Numbers(Metric):
    """A metric of sacrebleu whose `hypotheses` are the sums of each case, written as texts."""

    def __init__(self, statistic):
        super().__init__()
        self._statistic, self.num_refs = statistic, 1

    def _extract_corpus_statistics(self, hypotheses, references):
        return [[float(number) for number in text.split()] for text in hypotheses]

    def _aggregate_and_compute(self, stats):
        return self._compute_score_from_stats(np.sum(stats, axis=0))

    def _compute_score_from_stats(self, stats):
        return Score("number", float(self._statistic(np.asarray(stats, dtype=float))))

    _preprocess_segment = _extract_reference_info = _compute_segment_statistics = None


def sacrebleu_p(statistic, *systems, test="ar", n=10_000):
    """Return the p-value of sacrebleu's paired test of two systems, each an array of sums of the cases."""
    named = [(str(i), [" ".join(map(repr, row)) for row in sums.tolist()]) for i, sums in enumerate(systems)]
    _, found = PairedTest(named, {"number": Numbers(statistic)}, None, test_type=test, n_samples=n)()
    return found["number"][1].p_value


def test_differences_and_shares_are_those_of_the_cases(write):
    pair = pair_of(compare([write("new", [0.5, 0.75, 0.25, 0.5]), write("old", [0.25, 0.5, 0.5, 0.5])]))
    assert (pair.first, pair.second, pair.n, pair.better) == ("new", "old", 4, "new")
    assert pair.difference == pytest.approx(0.0625)
    assert (pair.share_better, pair.share_equal, pair.share_worse) == (0.5, 0.25, 0.25)
    assert pair.standardised == pytest.approx(0.0625 / np.std([0.25, 0.25, -0.25, 0], ddof=1))
    assert pair.p == 1.0  # by hand: |sum| is 0.25 or 0.75, never less


def test_interval_and_p_agree_with_scipy(write):
    a, b = planted()
    pair = pair_of(compare([write("a", a), write("b", b)]))
    told = stats.bootstrap((a - b,), np.mean, n_resamples=10_000, method="percentile", rng=7).confidence_interval
    width = told.high - told.low
    assert (pair.low, pair.high) == pytest.approx((told.low, told.high), abs=0.04 * width)
    test = stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", vectorized=True, rng=7
    )
    assert 0.0005 < pair.p < 0.2
    assert pair.p == pytest.approx(test.pvalue, abs=4 * math.sqrt(pair.p / 10_000) + 1e-4)
    accelerated = pair_of(compare([write("a", a), write("b", b)], method="bca"))
    told = stats.bootstrap((a - b,), np.mean, n_resamples=10_000, method="BCa", rng=7).confidence_interval
    assert (accelerated.low, accelerated.high) == pytest.approx((told.low, told.high), abs=0.04 * width)


def test_p_agrees_with_sacrebleus_tests_on_the_same_numbers(write):
    a, b = planted()
    pair = pair_of(compare([write("a", a), write("b", b)]))
    systems = [np.column_stack((np.ones(len(x)), x)) for x in (b, a)]

    def mean(sums):
        return sums[1] / sums[0]

    error = 4 * math.sqrt(2 * pair.p / 10_000)
    assert pair.p == pytest.approx(sacrebleu_p(mean, *systems), abs=error)
    assert pair.p == pytest.approx(sacrebleu_p(mean, *systems, test="bs", n=4000), abs=2 * error)


def test_identical_systems_differ_by_nothing_with_p_1(write):
    a, _ = planted(40)
    found = compare([write("a", a), write("b", a)])
    pair = pair_of(found)
    assert (pair.difference, pair.p, pair.p_adjusted, pair.better) == (0.0, 1.0, 1.0, None)
    assert (pair.share_better, pair.share_equal, pair.standardised) == (0.0, 1.0, None)
    assert [estimate.first for estimate in found.estimates] == [0.5, 0.5]
    assert pair.low is None  # rewards without a record have no bounds
    bounded = pair_of(compare([write("c", a, bleu=a), write("d", a, bleu=a)]), "bleu")
    assert -bounded.low == bounded.high == pytest.approx(stats.binomtest(0, 40).proportion_ci().high)


def test_lower_is_better_where_it_is(write):
    low, high = [1.0, 2.0, 1.0, 2.0, 1.0, 2.0], [2.0, 3.0, 2.0, 3.0, 2.0, 2.0]
    found = compare([write("a", low, radcliq_v1=low), write("b", low, radcliq_v1=high)])
    pair = pair_of(found, "radcliq_v1")
    assert (pair.difference < 0, pair.better, pair.share_better) == (True, "a", 5 / 6)
    first = {e.system: e.first for e in found.estimates if e.measure == "radcliq_v1"}
    assert first["a"] > 0.99


def test_one_case_has_a_difference_and_no_interval(write):
    pair = pair_of(compare([write("a", [0.5]), write("b", [0.25])]))
    assert (pair.difference, pair.low, pair.p, pair.standardised) == (0.25, None, 1.0, None)


def test_constant_metrics_have_no_spread(write):
    found = compare([write("a", [1.0] * 30, bleu=[0.5] * 30), write("b", [1.0] * 30, bleu=[0.25] * 30)])
    assert pair_of(found).p == 1.0
    pair = pair_of(found, "bleu")
    assert (pair.difference, pair.standardised, pair.better) == (0.25, None, "a")
    assert pair.low < 0.25 < pair.high
    assert pair.p < 0.001


def test_cases_that_one_system_lacks_do_not_count_and_are_told(write):
    reward, other = [0.5, None, 0.25, 1.0], [None, None, 0.5, 0.75]
    found = compare([write("a", reward), write("b", other)])
    assert pair_of(found).n == 2
    assert pair_of(found).difference == pytest.approx(0.0)
    assert [e.unscored for e in found.estimates] == [1, 2]


def test_a_metric_that_one_system_never_has_is_told_and_does_not_stop_the_others(write):
    a, b = planted(30)
    found = compare([write("a", a, bleu=a), write("b", b, bleu=[None] * 30)])
    pair = pair_of(found, "bleu")
    assert (pair.n, pair.difference, pair.p, pair.low) == (0, None, None, None)
    assert "bleu: unscored for b in every case" in found.notes
    assert found.tests == 1
    with pytest.raises(
        InputError, match="no case is scored for all systems by any metric; unscored: a: 2 judge; b: no"
    ):
        compare([write("a", [None, None], reason_kind=["judge"] * 2), write("b", [0.5, 0.5])])


def test_three_systems_are_compared_in_pairs_or_with_a_baseline_and_share_the_first_place(write):
    a, b = planted(60)
    files = [write("a", a), write("b", b), write("c", a)]
    found = compare(files)
    assert [(pair.first, pair.second) for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    first = [estimate.first for estimate in found.estimates]
    assert first[0] == first[2]
    assert sum(first) == pytest.approx(1.0)
    assert found.pairs[1].p == 1.0
    assert [(p.first, p.second) for p in compare(files, baseline="b").pairs] == [("a", "b"), ("c", "b")]
    with pytest.raises(ConfigError, match="--baseline: unknown system 'B'; known: a, b, c"):
        compare(files, baseline="B")


def test_systems_may_be_named(write):
    files = [write("a", [0.5]), write("b", [0.5])]
    assert compare(files, names=["new", "old"]).pairs[0].first == "new"
    with pytest.raises(ConfigError, match="1 names for 2 systems"):
        compare(files, names=["new"])


def test_p_values_are_adjusted_for_all_tests(write):
    columns = [planted(60, seed, 0.05) for seed in (1, 2)]
    files = [write(name, columns[0][i], bleu=columns[1][i]) for i, name in enumerate("ab")]
    raw = [pair.p for pair in compare(files).pairs]
    assert [pair.p_adjusted for pair in compare(files).pairs] == pytest.approx(
        [2 * min(raw) if p == min(raw) else max(raw) for p in raw]
    )
    assert [pair.p_adjusted for pair in compare(files, correction="none").pairs] == raw
    assert [pair.p_adjusted for pair in compare(files, correction="bh").pairs] == pytest.approx(
        stats.false_discovery_control(raw)
    )


def test_clusters_are_found_named_or_ignored(write):
    a, b = (np.repeat(x, 4) for x in planted(20))
    patients = [f"p{i}" for i in np.repeat(np.arange(20), 4)]
    files = [write("a", a, patient_id=patients), write("b", b, patient_id=patients)]
    found = compare(files)
    assert (found.cluster, found.clusters, found.cases) == ("patient_id", 20, 80)
    alone = compare([write("c", planted(20)[0]), write("d", planted(20)[1])])
    assert pair_of(found).low == pytest.approx(pair_of(alone).low)
    assert pair_of(found).p == pair_of(alone).p
    assert "each case counts as independent" in alone.notes[0]
    independent = compare(files, cluster="")
    assert independent.clusters == 80
    assert pair_of(independent).high - pair_of(independent).low < 0.6 * (pair_of(found).high - pair_of(found).low)


def test_clusters_of_one_file_are_those_of_all_and_must_not_contradict(write):
    a, b = planted(12)
    half, other = ["p", "q"] * 6, ["p", "q"] * 5 + ["p", "r"]
    found = compare([write("a", a, patient_id=half), write("b", b)])
    assert found.clusters == 2
    assert pair_of(found).low is None
    assert "column 'patient_id', which b lack, is taken from the other files" in found.notes
    assert any("2.0 clusters in effect there are no intervals" in note for note in found.notes)
    with pytest.raises(InputError, match="column 'patient_id' differs in 1 of 12 cases, for example 's11': 'q' in"):
        compare([write("c", a, patient_id=half), write("d", b, patient_id=other)])
    with pytest.raises(InputError, match="the files: unknown column 'patient'"):
        compare([write("c", a), write("d", b)], cluster="patient")


def test_a_single_cluster_is_an_error_if_named_and_none_if_found(write):
    a, b = planted(12)
    files = [write("a", a, patient_id=["p"] * 12), write("b", b)]
    assert compare(files).cluster == ""
    with pytest.raises(InputError, match="all 12 cases have one 'patient_id': one cluster cannot be resampled"):
        compare(files, cluster="patient_id")


def test_non_inferiority_is_by_one_sided_bounds_in_the_metrics_direction(write):
    a, b = planted(300, gain=0.0)
    files = [write("a", a, radcliq_v1=a + 0.1), write("b", b, radcliq_v1=b)]
    found = compare(files, margins={"reward": 0.05, "radcliq_v1": 0.05})
    close, worse = (pair_of(found, name).non_inferiority for name in ("reward", "radcliq_v1"))
    assert (close.first, close.second) == (True, True)
    assert (worse.first, worse.second) == (False, True)
    assert close.low > pair_of(found).low
    with pytest.raises(ConfigError, match="--margin: unknown metric 'rewad'; known: .* Did you mean 'reward'"):
        compare(files, margins={"rewad": 0.1})
    with pytest.raises(ConfigError, match="--margin reward=-1: a margin is above 0"):
        compare(files, margins={"reward": -1})


def test_gaps_between_groups_are_compared(write):
    random = np.random.default_rng(2)
    sex = ["F", "M"] * 60
    fair = random.normal(0.5, 0.05, 120)
    unfair = fair + np.where(np.array(sex) == "M", -0.2, 0.0) + random.normal(0, 0.02, 120)
    found = compare([write("fair", fair, sex=sex), write("unfair", unfair, sex=sex)], by=["sex"])
    gap = pair_of(found, "reward gap by sex")
    assert (gap.better, gap.p < 0.001) == ("fair", True)
    assert gap.low < gap.difference < gap.high < 0
    groups = next(e.groups for e in found.estimates if e.measure == "reward gap by sex" and e.system == "unfair")
    assert groups["M"] == (60, pytest.approx(unfair[1::2].mean()))
    assert found.as_json()["measures"][1]["systems"][1]["groups"]["M"]["n"] == 60


def test_groups_of_few_cases_and_unknown_ones_have_no_gap(write):
    a, b = planted(24)
    files = [write(name, x, sex=["F"] * 15 + ["M"] * 4 + [""] * 5) for name, x in (("a", a), ("b", b))]
    found = compare(files, by=["sex"])
    assert [pair.measure for pair in found.pairs] == ["reward"]
    assert "no gap by sex: fewer than two groups of 10 cases" in found.notes


def test_ages_are_grouped_in_bands(write):
    a, b = planted(24)
    files = [write(name, x, age=["30"] * 12 + ["071Y"] * 12) for name, x in (("a", a), ("b", b))]
    found = compare(files, by=["age"])
    assert set(next(e.groups for e in found.estimates if e.groups)) == {"18-39", "60-79"}


# Statistics of a whole file


def labels(random, n):
    """Return the 14 labels of n reports."""
    return ["".join(row) for row in random.choice(list("0123"), (n, 14), p=[0.7, 0.2, 0.05, 0.05])]


def scored(value, **details):
    failure = FailureDetails(where="x", error="x", kind="x") if value is None else None
    return PartDetails(value=value, failure=failure, details=details)


@pytest.fixture
def with_details(write, tmp_path):
    """Write a file of scores of one component and its details, and return its path."""

    def to(name, label, parts):
        path = write(name, [0.5] * len(parts), **{label: [part["value"] for part in parts]})
        rows = [
            {"row": i, "case_id": f"s{i}", "reward": 0.5, "reason": None, "reason_kind": None, "gates": [],
             "parts": {label: part}}
            for i, part in enumerate(parts, 1)
        ]  # fmt: skip
        write_details(tmp_path / f"{name}.jsonl", rows)
        record(path, label)
        return path

    def record(path, label):
        component = {"chexbert_f1": ChexbertF1, "radcliq_v1": RadcliqV1}.get(label)
        bounds = list(component.bounds) if component and label == "chexbert_f1" else [None, None]
        made = {
            "format": "cxr_rewards scores", "version": "0", "date": "", "input": "", "rows": 1, "prefix": "",
            "columns": {"candidate": "c", "reference": ["r"], "priors": [], "id": "study_id", "cluster": None},
            "reward": {"name": "r", "signature": "r/1", "bounds": [0, 1]},
            "components": {label: {"column": label, "signature": f"{label}/1", "bounds": bounds,
                                   "higher_is_better": label == "chexbert_f1", "weight": 1.0}},
            "details": path.with_suffix(".jsonl").name,
        }  # fmt: skip
        path.with_name(path.name + ".meta.json").write_text(json.dumps(made))

    return to


def positive(rows):
    return np.array([[digit in "13" for digit in row] for row in rows])


def test_f1_over_conditions_is_chexberts_and_scikit_learns(with_details):
    random = np.random.default_rng(3)
    reference = labels(random, 50)
    sides = {}
    for name in "ab":
        sides[name] = [r if random.random() < 0.7 else c for r, c in zip(reference, labels(random, 50), strict=True)]
    files = [
        with_details(name, "chexbert_f1", [scored(0.5, labels=[c, r]) for c, r in zip(side, reference, strict=True)])
        for name, side in sides.items()
    ]
    found = compare(files)
    value = {(e.measure, e.system): e.value for e in found.estimates}
    for name, side in sides.items():
        told = ChexbertF1().corpus([CaseScore(0.5, {"labels": [c, r]}) for c, r in zip(side, reference, strict=True)])
        for key in ("micro_f1_14", "macro_f1_14", "micro_f1_5", "macro_f1_5"):
            assert value[f"chexbert_f1 {key}", name] == pytest.approx(told[key])
        for average in ("micro", "macro", "weighted"):
            expected = f1_score(positive(reference), positive(side), average=average, zero_division=0)
            assert value[f"chexbert_f1 {average}_f1_14", name] == pytest.approx(expected)


def test_p_of_micro_f1_agrees_with_sacrebleu_on_the_same_counts(with_details):
    random = np.random.default_rng(4)
    reference = labels(random, 80)
    counts, files = [], []
    for name, right in (("a", 0.75), ("b", 0.6)):
        side = [r if random.random() < right else c for r, c in zip(reference, labels(random, 80), strict=True)]
        ours, theirs = positive(side), positive(reference)
        counts.append(
            np.column_stack([(x & y).sum(axis=1) for x, y in ((ours, theirs), (ours, ~theirs), (~ours, theirs))])
        )
        parts = [scored(0.5, labels=[c, r]) for c, r in zip(side, reference, strict=True)]
        files.append(with_details(name, "chexbert_f1", parts))
    pair = pair_of(compare(files), "chexbert_f1 micro_f1_14")
    told = sacrebleu_p(lambda sums: 2 * sums[0] / (2 * sums[0] + sums[1] + sums[2]), *counts)
    assert 0.001 < pair.p < 0.9
    assert pair.p == pytest.approx(told, abs=4 * math.sqrt(2 * pair.p / 10_000))


def test_the_inverse_of_mean_radcliq_is_resampled(with_details):
    a, b = ([scored(float(x)) for x in 1 + 2 * side] for side in planted(50))
    found = compare([with_details("a", "radcliq_v1", a), with_details("b", "radcliq_v1", b)])
    told = RadcliqV1.corpus(None, [CaseScore(part["value"]) for part in a])
    value = next(e.value for e in found.estimates if (e.measure, e.system) == ("radcliq_v1 1/mean", "a"))
    assert value == pytest.approx(told["1/mean"])
    assert pair_of(found, "radcliq_v1 1/mean").better != pair_of(found, "radcliq_v1").first or found
    assert (
        "radcliq_v1 1/mean"
        not in compare(
            [with_details("a", "radcliq_v1", a), with_details("b", "radcliq_v1", b)], corpus_statistics=False
        ).measures
    )


def test_errors_of_judges_have_their_histogram(with_details):
    def judged(*numbers):
        counts = [{"significant": {"A": n, "B": 0}, "insignificant": {"A": 1, "B": 0}} for n in numbers]
        return [scored(float(n), counts=c) for n, c in zip(numbers, counts, strict=True)]

    files = [
        with_details("a", "chexprompt", judged(0, 1, 2, 3, 4, 0)),
        with_details("b", "chexprompt", judged(5, 4, 2, 3, 4, 4)),
    ]
    found = compare(files)
    value = {e.measure.partition(" ")[2]: e.value for e in found.estimates if e.system == "a"}
    assert value["at_most_1"] == pytest.approx(0.5)
    assert value["exactly_2"] == value["exactly_3"] == value["at_least_4"] == pytest.approx(1 / 6)
    assert (value["significant"], value["errors"]) == (pytest.approx(10 / 6), pytest.approx(16 / 6))
    assert pair_of(found, "chexprompt at_most_1").better == "a"
    assert pair_of(found, "chexprompt at_least_4").better == "a"
    assert pair_of(found, "chexprompt exactly_2").p is None


def test_f1_comes_from_columns_of_details_or_from_the_texts(write):
    reports = ["Cardiomegaly. Left pleural effusion.", "No pleural effusion.", "Right pneumothorax. Edema."] * 3
    candidates = ["Cardiomegaly.", "Small effusion.", "Right pneumothorax."] * 3
    texts = {"reference": reports, "candidate": candidates}
    worse = {"reference": reports, "candidate": ["Pneumonia."] * 9}
    a, b = write("a", [0.5] * 9, **texts), write("b", [0.5] * 9, **worse)
    assert compare([a, b]).measures == ("reward",)
    found = compare([a, b], f1=True)
    one = next(e for e in found.estimates if (e.measure, e.system) == ("chexpert_rule_f1 micro_f1_14", "a"))
    details = [ChexpertRuleF1().score(c, r).details for c, r in zip(candidates, reports, strict=True)]
    tp, fp, fn = (sum(len(part[key]) for part in details) for key in ("tp", "fp", "fn"))
    assert one.value == pytest.approx(2 * tp / (2 * tp + fp + fn))
    counts = {f"chexpert_rule_f1.{key}": [len(part[key]) for part in details] for key in ("tp", "fp", "fn")}
    columns = {"chexpert_rule_f1": [0.5] * 9, **counts}
    found = compare([write("c", [0.5] * 9, **columns), write("d", [0.5] * 9, **columns)])
    assert next(e.value for e in found.estimates if e.measure == "chexpert_rule_f1 micro_f1") == pytest.approx(
        one.value
    )
    with pytest.raises(InputError, match="c.csv: no columns of candidate and reference to read"):
        compare([write("c", [0.5] * 9), write("d", [0.5] * 9)], f1=True)


def test_details_of_another_run_are_refused(with_details, write):
    parts = [scored(0.5, labels=["0" * 14] * 2)] * 6
    a, b = with_details("a", "chexbert_f1", parts), with_details("b", "chexbert_f1", parts)
    with_details("b", "chexbert_f1", parts[:5])
    pl.DataFrame({"study_id": [f"s{i}" for i in range(6)], "chexbert_f1": [0.5] * 6, "reward": [0.5] * 6}).write_csv(b)
    with pytest.raises(
        InputError, match=r"b.jsonl: has 5 rows, but .*b.csv has 6; they are not of one run: score again"
    ):
        compare([a, b])
    with_details("b", "chexbert_f1", [scored(0.25, labels=["0" * 14] * 2), *parts[1:]])
    pl.DataFrame({"study_id": [f"s{i}" for i in range(6)], "chexbert_f1": [0.5] * 6, "reward": [0.5] * 6}).write_csv(b)
    with pytest.raises(
        InputError, match=r"b.jsonl: row 1: chexbert_f1 is 0.25, but 0.5 in .*b.csv; they are not of one"
    ):
        compare([a, b])
    assert compare([a, b], corpus_statistics=False).cases == 6


def test_details_that_one_file_lacks_are_told(with_details, write):
    parts = [scored(0.5, labels=["0" * 14] * 2)] * 6
    found = compare([with_details("a", "chexbert_f1", parts), write("b", [0.5] * 6, chexbert_f1=[0.5] * 6)])
    assert "corpus statistics of chexbert_f1 need details, which b lack: score with --details" in found.notes


def test_the_record_of_a_file_gives_signature_bounds_and_direction(with_details, write):
    parts = [scored(0.5, labels=["0" * 14] * 2)] * 6
    a, b = with_details("a", "chexbert_f1", parts), with_details("b", "chexbert_f1", parts)
    beside = b.with_name("b.csv.meta.json")
    beside.write_text(beside.read_text().replace("chexbert_f1/1", "chexbert_f1/2"))
    with pytest.raises(
        InputError, match="chexbert_f1 was computed in different ways: a by 'chexbert_f1/1'; b by 'chexb"
    ):
        compare([a, b])
    found = compare([a, b], allow=["signatures"])
    assert found.systems[0].signature == "r/1"
    assert "different ways" in found.notes[0]
    assert compare([a, b], metrics=["reward"]).measures == ("reward",)


def test_the_result_is_json_with_seed_and_everything(write):
    a, b = planted(20)
    files = [write("a", a), write("b", b)]
    found = compare(files, resamples=500, seed=7)
    data = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert (data["seed"], data["resamples"], data["cases"], data["correction"], data["tests"]) == (
        7,
        500,
        20,
        "holm",
        1,
    )
    assert data["measures"][0]["pairs"][0]["difference"] == pair_of(found).difference
    assert found == compare(files, resamples=500, seed=7)
    assert found != compare(files, resamples=500, seed=8)


@pytest.mark.parametrize(("name", "n"), [("normal", 12), ("zeros", 12), ("bounded", 50), ("patients", 12)])
def test_intervals_hold_the_truth_and_tests_err_as_often_as_they_say(name, n):
    benchmark = load_benchmark("comparing")
    found = benchmark.measured(benchmark.SCENARIOS[name], n, samples=200, resamples=400)
    assert 91 <= found["covers"] <= 99  # 95, plus or minus 2.6 standard errors
    assert 1 <= found["errs"] <= 9.5
