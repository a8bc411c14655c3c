"""F1 over the labels of many reports equals scikit-learn's."""

from __future__ import annotations

import random

import pytest
from sklearn.metrics import classification_report

from cxr_rewards.formulas.chexpert import CONDITIONS, FIVE, corpus_f1, positives


def rows(seed, n, answers="0123"):
    draw = random.Random(seed)
    return ["".join(draw.choice(answers) for _ in CONDITIONS[:-1]) + draw.choice("01") for _ in range(n)]


@pytest.mark.parametrize("uncertain", ["positive", "negative"])
@pytest.mark.parametrize("answers", ["0123", "0002", "1"])
def test_micro_and_macro_f1_are_those_of_scikit_learn(uncertain, answers):
    candidates, references = rows(1, 60, answers), rows(2, 60, answers)
    scores = corpus_f1(zip(candidates, references, strict=True), uncertain)
    for size, names in ((14, CONDITIONS), (5, FIVE)):
        places = [CONDITIONS.index(name) for name in names]
        said, true = (
            [[int(positives(row, uncertain)[i]) for i in places] for row in side] for side in (candidates, references)
        )
        report = classification_report(true, said, target_names=names, output_dict=True, zero_division=0)
        for kind in ("micro", "macro"):
            assert scores[f"{kind}_f1_{size}"] == pytest.approx(report[f"{kind} avg"]["f1-score"], abs=1e-12)


def test_ignored_labels_are_left_out_on_both_sides():
    pair = ("13" + "0" * 12, "11" + "0" * 12)
    assert corpus_f1([pair], "ignore")["micro_f1_14"] == 1.0
    assert corpus_f1([pair], "negative")["micro_f1_14"] == pytest.approx(2 / 3)


def test_nothing_has_no_f1():
    assert corpus_f1([]) == {"micro_f1_14": None, "macro_f1_14": None, "micro_f1_5": None, "macro_f1_5": None}
