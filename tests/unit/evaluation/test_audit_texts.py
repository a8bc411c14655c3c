"""What an audit writes says what its name claims."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from cxr_rewards import Case, CompositeReward
from cxr_rewards.core.component import Component
from cxr_rewards.evaluation import audit
from cxr_rewards.evaluation.auditing import rewrite
from cxr_rewards.evaluation.auditing.book import Book
from cxr_rewards.evaluation.auditing.guesses import add_guesses, judge_guesses
from cxr_rewards.evaluation.auditing.material import material, rules
from cxr_rewards.evaluation.auditing.references import load_references
from cxr_rewards.evaluation.auditing.studies import parse, partly_right, with_some_left_out, worst_of
from cxr_rewards.findings import read
from cxr_rewards.judges.injection import find_injections
from cxr_rewards.types import Score

REPORT = "Large right pneumothorax. The heart is normal. Small left effusion. Displaced rib fracture."


def study(text=REPORT):
    return parse(Case(candidate="", reference=text))


def said(text):
    return sorted((f.observation, f.certainty, f.side, f.severity, f.change, f.positions) for f in read(text))


def test_a_reference_loses_its_headings_and_what_is_not_about_the_image():
    one = study("INDICATION: Fever. FINDINGS: Clear lungs\n\nLarge left effusion IMPRESSION: Effusion.")
    assert one.sentences == ("Clear lungs.", "Large left effusion.", "Effusion.")
    assert one.abnormal == (False, True, True)
    assert parse(Case(candidate="", reference="Nothing of note here, dear reader.")) is None


def test_an_honest_report_keeps_the_share_asked_for_and_replaces_the_rest_by_what_is_false():
    others = ["Lung nodule.", "Right effusion.", "Pneumothorax.", "Scoliosis is severe."]
    for share, kept in ((1.0, 3), (2 / 3, 2), (1 / 3, 1), (0.0, 0)):
        text = partly_right(study(), share, others, random.Random(0))
        assert sum(sentence in text for sentence in study().abnormal_sentences) == kept
        assert sum(other in text for other in ("Lung nodule.", "Scoliosis is severe.")) == min(3 - kept, 2)
        assert "Right effusion." not in text  # the patient has one on the left: it would be nearly right
        assert "The heart is normal." in text


def test_leaving_out_drops_only_abnormal_sentences():
    text = with_some_left_out(study(), 0.5, random.Random(0))
    assert "The heart is normal." in text
    assert sum(sentence in text for sentence in study().abnormal_sentences) == 1


@pytest.mark.parametrize("one", material()["rewriting"]["synonyms"])
def test_each_pair_of_synonyms_is_read_the_same_in_a_sentence(one):
    old, new = one
    frames = ["{}.", "There is {}.", "The {}.", "{} effusion.", "No effusion {}.", "Mild opacity {}.", "{} opacity."]
    frames += ["Mild {} opacity of the {}.", "Opacity, {} pneumonia.", "Effusion {}.", "{} pneumothorax."]
    same = [frame for frame in frames if said(frame.format(old, "base")) == said(frame.format(new, "base"))]
    assert same
    assert any(said(frame.format(old, "base")) for frame in same)


def test_a_paraphrase_has_other_words_and_the_same_findings():
    one = study("Cardiomegaly. There is no pneumothorax. Atelectasis at the left base is unchanged.")
    other = rewrite.paraphrased(one)
    assert (
        other
        == "Enlargement of the heart. No evidence of pneumothorax. Atelectatic change at the base of the left lung is stable."
    )
    assert said(other) == said(one.text)


@pytest.mark.parametrize(
    ("what", "text", "swapped"),
    [
        ("side", "Large right effusion.", "Large left effusion."),
        ("severity", "Small left effusion.", "Large left effusion."),
        ("severity", "Severe edema.", "Mild edema."),
        ("change", "Increased edema.", "Decreased edema."),
        ("change", "Edema has worsened.", "Edema has improved."),
    ],
)
def test_swaps_turn_what_is_said_of_abnormal_findings(what, text, swapped):
    assert rewrite.swapped(study(f"{text} The left lung is clear."), what) == f"{swapped} The left lung is clear."


def test_hedges_and_old_age_leave_normal_sentences_alone():
    one = study("Large left effusion. The heart is normal.")
    assert rewrite.hedged(one, one.text) == "Possibly large left effusion. The heart is normal."
    assert rewrite.called(one, one.text, "old") == "Large left effusion, old. The heart is normal."


@pytest.mark.parametrize("form", ["a line a sentence", "bullets", "under a heading"])
def test_layouts_are_read_the_same(form):
    assert said(rewrite.layouts(study())[form]) == said(REPORT)


def test_british_spelling_is_tried_only_on_texts_that_have_such_words():
    assert rewrite.spellings("Mild edema.")["British"] == "Mild oedema."
    assert "British" not in rewrite.spellings("Mild effusion.")


def test_marks_hide_only_words_without_clinical_meaning():
    masked = rewrite.masked("There is a large left effusion that was seen on the image of today.", random.Random(0))
    assert "XXXX" in masked
    assert said(masked) == said("Large left effusion.")


@pytest.mark.parametrize("clinical", [True, False])
def test_corruption_changes_as_many_words_of_either_kind_and_more_with_the_dose(clinical):
    text = "There is a large left effusion. It was seen on the image of today, with a small nodule at the right base."
    doses = [rewrite.corrupted(text, share, ["zzz"], random.Random(1), clinical=clinical) for share in (0.1, 0.2, 0.4)]
    counts = [dose.count("zzz") for dose in doses]
    assert counts == sorted(counts)
    assert counts[-1] == 3
    for small, large in pairwise(doses):
        changed = [i for i, word in enumerate(small.split()) if "zzz" in word]
        assert all("zzz" in large.split()[i] for i in changed)
    assert (said(doses[-1]) == said(text)) is not clinical


def test_made_up_material_is_what_it_claims():
    data = material()
    assert all(find_injections(text) for text in data["injections"])
    assert not any(find_injections(text) for text in data["fillers"])
    assert worst_of(data["constants"]["a normal template"]) == "normal"
    assert all(worst_of(finding["plain"]) not in ("normal", "benign") for finding in data["guesses"])
    for entry in data["flips"]:
        assert said(entry["flipped"]) != said(entry["reference"])


def test_each_check_has_a_limit_with_its_reason_and_cure():
    for name, rule in rules().items():
        assert rule["passes"] in ("at_least", "at_most"), name
        assert rule["asks"].endswith("?"), name
        assert rule["why"], name
        assert rule["cure"], name
        assert isinstance(rule["limit"], float), name


class Paid(Component):
    """Pays 0.3 for a guessed nodule that is true, takes 0.1 for a false one."""

    name = "paid"
    bounds = (-1.0, 1.0)
    reads = ("candidate", "reference")

    def score_case(self, case, features):
        guessed, true = "nodule" in case.candidate, "nodule" in case.reference
        return Score(0.5 + (0.3 if true else -0.1) * guessed)


def test_a_guess_breaks_even_where_gain_and_cost_are_level():
    book = Book(CompositeReward([Paid()]))
    add_guesses(book, [study()], most=1)
    book.score()
    nodule = next(guess for guess in judge_guesses(book) if "nodule" in guess.finding)
    assert (nodule.gain, nodule.cost, nodule.break_even) == (
        pytest.approx(0.3),
        pytest.approx(0.1),
        pytest.approx(0.25),
    )
    never = next(guess for guess in judge_guesses(book) if "nodule" not in guess.finding)
    assert never.break_even == 1.0


def test_findings_and_impression_of_a_file_are_joined(tmp_path):
    path = tmp_path / "refs.csv"
    path.write_text("findings,impression\nClear lungs.,Normal.\n,Effusion.\n")
    assert [case.reference for case in load_references(path)] == ["Clear lungs. Normal.", "Effusion."]


@pytest.mark.shared
def test_the_default_reward_passes_on_reports_of_a_hospital(shared_data):
    found = audit(CompositeReward(), shared_data / "iu_xray_reports.csv", max_calls=6_000)
    assert found.failed == ()
    itself = next(policy for policy in found.policies if policy.name == "the report itself")
    assert itself.value == pytest.approx(1.0, abs=0.005)
