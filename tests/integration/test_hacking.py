"""The benchmark of holes finds those of a reward that is known to have them, and its tables say what they claim."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys

import pytest
from tests.benchmark_scripts import BENCHMARKS, load_benchmark

from cxr_rewards import CompositeReward

hacking = load_benchmark("hacking")
DATA = hacking.load_data()
REPORTS = [
    "The lungs are clear. Heart size is normal.",
    "No acute disease. No pneumothorax.",
    "Large right pneumothorax. Mild cardiomegaly. Small left effusion.",
    "There is free air under the diaphragm. Consolidation in the left lower lobe.",
    "Moderate left pleural effusion. Right upper lobe consolidation. No pneumothorax.",
    "Displaced fracture of the left fifth rib. Lungs are clear. Pulmonary edema.",
]


@pytest.fixture(scope="module")
def of_words():
    """Return the tables of a reward that knows nothing but words."""
    return hacking.measure(CompositeReward(["rouge_l"]), DATA, REPORTS, most=3)


def test_a_reward_of_words_has_every_hole_that_copying_opens(of_words):
    kinds = {hole.split(":")[0] for hole in of_words["holes"]}
    assert {"copied", "paraphrases", "contradictions", "long"} <= kinds
    assert "itself" not in kinds


def test_the_default_reward_leaves_none_of_the_holes_that_need_no_data():
    table = hacking.measure(CompositeReward(), DATA)
    assert table["holes"] == []
    assert "quiet" not in table


@pytest.mark.shared
def test_the_default_reward_pays_no_silence_on_reports_of_a_hospital(shared_data):
    texts = hacking.load_texts(shared_data / "iu_xray_reports.csv")
    table = hacking.measure(CompositeReward(), DATA, texts, most=60)
    assert [hole for hole in table["holes"] if hole.startswith(("quiet", "itself"))] == []
    assert table["quiet"]["actionable"]["best constant's reward"] < 0.3


def test_references_are_grouped_by_their_worst_finding(of_words):
    assert {group: table["references"] for group, table in of_words["quiet"].items()} == {
        "normal": 2,
        "actionable": 2,
        "urgent": 2,
    }


def test_the_best_constant_is_the_one_with_the_highest_mean(of_words):
    for table in of_words["quiet"].values():
        assert table["best constant's reward"] == max(table["constants"].values())
        assert table["constants"][table["best constant"]] == table["best constant's reward"]


def test_a_guess_breaks_even_where_gain_and_loss_are_level():
    class Paid:
        """Pays 0.3 for a guess that is true, takes 0.1 for a false one."""

        bounds = (0.0, 1.0)

        def score_batch(self, cases):
            def value(case):
                guessed, true = "nodule" in case.candidate, "nodule" in case.reference
                return 0.5 + (0.3 if true else -0.1) * guessed

            return [type("Result", (), {"value": value(case), "reasons": ""}) for case in cases]

    data = {"bases": ["Clear."], "findings": [{"plain": "A nodule.", "old": "An old nodule.", "silent": "Nothing."}]}
    assert hacking.guesses(Paid(), data) == {"A nodule.": {"plain": 0.25, "old": 0.25, "silent": 1.0}}


def test_an_honest_report_keeps_the_share_asked_for_and_replaces_the_rest_by_what_is_false():
    reference = hacking.parse("Large right pneumothorax. The heart is normal. Small left effusion. Rib fracture.")
    assert reference.worst == "urgent"
    assert reference.abnormal_sentences == ["Large right pneumothorax.", "Small left effusion.", "Rib fracture."]
    others = ["Lung nodule.", "Right effusion.", "Pneumothorax.", "Scoliosis."]
    rng = random.Random(0)
    assert hacking.half_true(reference, 1.0, others, rng) == reference.text
    for share, kept in ((2 / 3, 2), (1 / 3, 1), (0.0, 0)):
        lines = hacking.parse(hacking.half_true(reference, share, others, rng)).sentences
        assert sum(text in lines for text in reference.abnormal_sentences) == kept
        assert sum(text in ("Lung nodule.", "Scoliosis.") for text in lines) == 3 - kept
        assert "The heart is normal." in lines
    assert len(hacking.parse(hacking.without_one(reference, rng)).abnormal_sentences) == 2


def test_unscored_cases_stop_the_measurement_and_are_named():
    with pytest.raises(ValueError, match="reference: is empty"):
        hacking.score(CompositeReward(["bleu"]), "Clear lungs.", "")


def test_the_command_measures_a_component_and_writes_json(tmp_path):
    with (tmp_path / "reports.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([["findings", "impression"], *([text, ""] for text in REPORTS)])
    command = [
        sys.executable,
        BENCHMARKS / "hacking.py",
        "--data",
        tmp_path / "reports.csv",
        "--json",
        tmp_path / "out",
    ]
    subprocess.run([*command, "--component", "rouge_l", "--references", "2"], check=True, capture_output=True)
    result = json.loads((tmp_path / "out").read_text())
    assert result["scored_by"] == "rouge_l"
    assert set(result) >= {
        "guesses",
        "quiet",
        "contradictions",
        "appended",
        "lost",
        "copied",
        "long",
        "itself",
        "holes",
    }
