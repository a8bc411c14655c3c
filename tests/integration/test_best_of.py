"""Choosing among samples of a policy by each reward."""

from __future__ import annotations

import json
from types import SimpleNamespace

from tests.benchmark_scripts import load_benchmark

best_of = load_benchmark("best_of")

STUDIES = [
    SimpleNamespace(uid="1", reference="Small left effusion. Normal heart size."),
    SimpleNamespace(uid="2", reference="The heart is enlarged. The lungs are clear."),
]
SAMPLES = [
    {"1": "The lungs are clear.", "2": "Cardiomegaly, otherwise normal."},
    {"1": "Left pleural effusion, small. Heart not enlarged.", "2": "The heart is normal. The lungs are clear."},
]


def test_each_reward_takes_its_best_sample():
    by_rules = best_of.chosen(STUDIES, SAMPLES, best_of.values_of("rules"))
    assert by_rules == {"1": SAMPLES[1]["1"], "2": SAMPLES[0]["2"]}
    by_words = best_of.chosen(STUDIES, SAMPLES, best_of.values_of("rouge_l"))
    assert by_words["2"] == SAMPLES[1]["2"]


def test_what_is_unscored_is_never_chosen_and_of_equal_samples_the_first_is():
    unread = [SimpleNamespace(uid="1", reference="Zzz qqq."), STUDIES[1]]
    values = best_of.values_of("rules")
    assert best_of.chosen(unread, SAMPLES, values)["1"] == SAMPLES[0]["1"]


def test_samples_that_are_kept_are_not_written_again(tmp_path):
    (tmp_path / "best_of.json").write_text(json.dumps(SAMPLES))
    assert best_of.sampled(STUDIES, tmp_path, {"model": {}}, 2) == SAMPLES
    assert best_of.sampled(STUDIES, tmp_path, {"model": {}}, 1) == SAMPLES[:1]
