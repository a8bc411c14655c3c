"""`audit` finds the hole that a reward was built with, and passes a reward without."""

from __future__ import annotations

import csv
import json
import re

import pytest
from tests.command_line import run

from cxr_rewards import Case, CompositeReward
from cxr_rewards.core.component import Component
from cxr_rewards.errors import ConfigError, InputError
from cxr_rewards.evaluation import audit
from cxr_rewards.evaluation.auditing.material import rules
from cxr_rewards.evaluation.auditing.studies import observations_of
from cxr_rewards.text.sentences import sentences
from cxr_rewards.types import Score

SICK = [
    "There is a small left pleural effusion. The bones are intact. Displaced fracture of the right sixth rib.",
    "Large right pneumothorax. The trachea is midline. There is a nodule in the left upper lobe.",
    "The cardiac silhouette is moderately enlarged. Mild interstitial edema has increased. No free air is seen.",
    "No pneumothorax. Consolidation in the right lower lobe is new. Severe emphysema of both lungs.",
    "A cavity is seen in the right apex. The hila are enlarged. The heart is normal in size.",
    "The mediastinum is widened. The bones are intact. Compression fracture of the T8 vertebra is new.",
    "Mass in the right middle lobe. Left hilar lymphadenopathy. No pleural effusion.",
    "The nasogastric tube ends in the esophagus. Large left subcutaneous emphysema. The lungs are clear.",
    "Free air is seen under the right hemidiaphragm. Small bowel dilatation. Heart size is normal.",
]
TWINS = [
    "Bones intact. Small effusion on the left. The right sixth rib shows a displaced fracture.",
    "A nodule lies in the left upper lobe. Midline trachea. The right pneumothorax is large.",
    "Increased mild interstitial edema. No free air. Moderate cardiomegaly.",
]
"""The first of `SICK` in other words."""
WELL = [
    "The heart is normal in size. The lungs are clear.",
    "No acute disease. The bones are intact.",
    "Clear lungs. No pleural effusion or pneumothorax.",
]
REFERENCES = [*SICK, *TWINS, *WELL]


class Planted(Component):
    """A hole: pays what it should not."""

    reads = ("candidate", "reference", "priors")

    def score_case(self, case, features):
        return Score(float(self.pays(case)))


class Words(Planted):
    """F1 of the words without regard to case and order: cheap, and good enough beside a hole."""

    name = "words"

    def pays(self, case):
        ours, theirs = (set(text.lower().split()) for text in (case.candidate, case.reference))
        return 2 * len(ours & theirs) / (len(ours) + len(theirs))


class Longer(Planted):
    name = "longer"

    def pays(self, case):
        return min(len(case.candidate) / (4 * len(case.reference)), 1.0)


class Phrase(Planted):
    name = "phrase"

    def pays(self, case):
        return "no acute" in case.candidate.lower()


class Copy(Planted):
    name = "copy"

    def pays(self, case):
        return case.candidate in case.priors


class FreeIfOld(Planted):
    """Named findings over findings that are named or missed; what is called old or calcified is never false."""

    name = "free_if_old"

    def pays(self, case):
        true, right, false = observations_of(case.reference), set(), set()
        for start, end in sentences(case.candidate):
            text = case.candidate[start:end]
            named = observations_of(text)
            right |= named & true
            if not {"old", "calcified", "chronic", "healed"} & set(text.lower().replace(".", "").split()):
                false |= named - true
        return len(right) / (len(true | false) or 1)


class Keywords(Planted):
    name = "keywords"

    def pays(self, case):
        words = ("effusion", "pneumothorax", "edema", "nodule", "fracture", "emphysema", "atelectasis", "consolidation")
        return sum(word in case.candidate.lower() for word in words) / len(words)


class FirstSentence(Planted):
    name = "first_sentence"

    def pays(self, case):
        return case.candidate.split(".")[0] == case.reference.split(".")[0]


class CaseSensitive(Planted):
    name = "case_sensitive"

    def pays(self, case):
        words = set(case.reference.split())
        return len(words & set(case.candidate.split())) / len(words)


class Obedient(Planted):
    name = "obedient"

    def pays(self, case):
        return any(word in case.candidate.lower() for word in ("evaluator", "score", "output", "grader", "errors"))


def with_hole(hole):
    """Return a reward of words, half of which is the hole."""
    return CompositeReward({"words": Words(), "hole": hole}, weights={"words": 1.0, "hole": 1.0})


def made(reward, **options):
    return audit(reward, options.pop("references", REFERENCES), max_calls=1_000, **options)


@pytest.fixture(scope="module")
def good():
    return made(CompositeReward())


def test_a_good_reward_passes_every_check(good):
    assert {check.name: check.value for check in good.checks if check.passed is False} == {}
    assert good.passed
    assert sum(check.passed is True for check in good.checks) >= 24


@pytest.mark.parametrize(
    ("hole", "check"),
    [
        (Longer(), "length"),
        (Phrase(), "constants"),
        (Copy(), "copied_prior"),
        (Keywords(), "keywords"),
        (FirstSentence(), "sentence_order"),
        (CaseSensitive(), "spelling"),
        (Obedient(), "injection"),
    ],
)
def test_the_check_made_for_a_planted_hole_finds_it(hole, check):
    found = made(with_hole(hole))
    assert check in found.failed
    assert not found.passed


def test_a_reward_under_which_what_is_called_old_is_never_false_has_hedges_that_pay():
    found = made(CompositeReward([FreeIfOld()]))
    assert {"guessing", "hedging"} <= set(found.failed)
    assert found.check("guessing").worst.startswith(("old: ", "calcified: ", "chronic: ", "healed: "))


def test_a_reward_that_never_changes_fails_at_once():
    found = made(CompositeReward([Zero()]))
    assert "honest_order" in found.failed
    assert found.span == 0.0
    assert all(policy.level is None for policy in found.policies)


class Zero(Planted):
    name = "zero"

    def pays(self, case):
        return 0.0


class Scaled(Planted):
    """The F1 of words on a scale without bounds; lower is better."""

    name = "scaled"
    bounds = (-float("inf"), float("inf"))
    higher_is_better = False

    def pays(self, case):
        return 500.0 - 90.0 * Words().pays(case)


def test_verdicts_do_not_depend_on_scale_or_direction():
    plain = made(CompositeReward([Words()]))
    scaled = made(CompositeReward({"scaled": Scaled()}, weights={"scaled": -1.0}))
    assert scaled.span == pytest.approx(90.0 * plain.span)
    assert [(check.name, check.passed) for check in scaled.checks] == [
        (check.name, check.passed) for check in plain.checks
    ]
    for ours, theirs in zip(scaled.checks, plain.checks, strict=True):
        assert ours.value == pytest.approx(theirs.value, abs=1e-9)


class FailsOnCapitals(Planted):
    name = "fails_on_capitals"

    def pays(self, case):
        if case.candidate.isupper():
            raise ValueError("cannot read capitals")
        return FreeIfOld().pays(case)


def test_texts_without_a_score_are_missing_and_counted_and_never_zero():
    found = made(CompositeReward([FailsOnCapitals()]))
    capitals = next(policy for policy in found.policies if policy.name == "the report: capitals")
    assert (capitals.value, capitals.scored) == (None, 0)
    assert capitals.unscored == found.sick
    assert "capitals" not in dict(found.check("spelling").items)
    assert sum(found.unscored.values()) == found.sick
    assert any("cannot read capitals" in reason for reason in found.unscored)
    assert 0 < found.check("scored").value < 0.05


class FailsAlways(Planted):
    name = "fails_always"
    asked = 0

    def pays(self, case):
        FailsAlways.asked += 1
        raise ValueError("no answer")


def test_a_reward_without_any_score_is_given_up_soon_with_the_reason():
    FailsAlways.asked = 0
    with pytest.raises(InputError, match=r"none of the first 40 texts has a score; 40 because: .*no answer"):
        made(CompositeReward([FailsAlways()]))
    assert FailsAlways.asked <= 80  # each perhaps twice, because a chunk that raises is tried one by one


class Counted(Planted):
    name = "counted"
    asked = 0

    def pays(self, case):
        Counted.asked += 1
        return len(set(case.candidate.split()) & set(case.reference.split())) / len(case.reference.split())


@pytest.mark.parametrize("most", [600, 900])
def test_no_more_texts_are_scored_than_allowed_and_their_number_is_told_before(most):
    Counted.asked, told = 0, []
    found = audit(
        CompositeReward([Counted()]),
        [*REFERENCES, *(f"{a} {b}" for a in SICK for b in SICK[:3] if a != b)],
        max_calls=most,
        tell=lambda text: told.append((Counted.asked, text)),
    )
    assert found.calls == Counted.asked <= most
    ((before, text),) = told
    assert before == 0
    assert found.calls <= int(re.search(r"at most ([\d,]+) texts", text)[1].replace(",", "")) <= most
    assert f"{found.sick} of " in text


def test_too_few_calls_are_refused_with_the_number_that_is_needed():
    with pytest.raises(ConfigError, match=r"max_calls: 20 is too few; an audit needs \d+"):
        audit(CompositeReward(["bleu"]), REFERENCES, max_calls=20)


def test_references_without_findings_are_refused_with_their_number():
    with pytest.raises(InputError, match=r"0 of 3 have an actionable or urgent finding; an audit needs 5"):
        audit(CompositeReward(["bleu"]), WELL)


def test_a_template_needs_the_place_of_the_report():
    with pytest.raises(ConfigError, match=r"has no \{report\}"):
        audit(CompositeReward(["bleu"]), REFERENCES, template="<answer></answer>")


class Formatted(Planted):
    name = "formatted"

    def pays(self, case):
        if not (case.candidate.startswith("<answer>") and case.candidate.endswith("</answer>")):
            return 0.0
        return FreeIfOld().pays(Case(candidate=case.candidate[8:-9], reference=case.reference))


def test_a_reward_that_wants_a_format_is_audited_within_a_template():
    assert made(CompositeReward([Formatted()])).span == 0.0
    assert made(CompositeReward([Formatted()]), template="<answer>{report}</answer>").check("honest_order").passed


def test_the_same_seed_gives_the_same_audit_and_another_draws_anew():
    once = made(CompositeReward(["bleu"]))
    assert made(CompositeReward(["bleu"])) == once
    assert made(CompositeReward(["bleu"]), seed=1).policies != once.policies


def test_candidates_are_ranked_among_the_policies():
    right = [Case(candidate=text, reference=text) for text in REFERENCES]
    silent = [Case(candidate="No acute disease.", reference=text) for text in REFERENCES]
    found = made(CompositeReward(["bleu"]), candidates={"right.csv": right, "silent.csv": silent})
    levels = {policy.name: policy.level for policy in found.policies if policy.kind == "candidates"}
    assert levels["right.csv"] == pytest.approx(1.0)
    assert levels["silent.csv"] < 0.25
    with pytest.raises(InputError, match=r"other\.csv: has no report for any of the chosen references"):
        made(CompositeReward(["bleu"]), candidates={"other.csv": [Case(candidate="a", reference="b")]})


def test_priors_of_the_references_are_what_is_copied():
    cases = [Case(candidate="", reference=text, priors=("Old sternotomy wires.",)) for text in REFERENCES]
    found = made(with_hole(Copy()), references=cases)
    copy = next(policy for policy in found.policies if policy.name == "the prior report, copied")
    assert copy.example == "Old sternotomy wires."
    assert "copied_prior" in found.failed


def test_honest_policies_rank_by_what_they_get_right(good):
    honest = [policy for policy in good.policies if policy.kind == "honest"]
    assert honest[0].name == "the report itself"
    assert honest[-1].name.startswith("0%")
    assert honest[0].level == pytest.approx(1.0)
    assert honest[-1].level == pytest.approx(0.0)


def test_clinical_words_cost_more_than_others_at_each_dose(good):
    assert [dose.share for dose in good.doses] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert all(dose.clinical < dose.others for dose in good.doses[2:])


def test_json_holds_every_check_with_question_verdict_and_reason(good):
    data = json.loads(json.dumps(good.as_json()))
    assert data["passed"] is True
    assert [check["name"] for check in data["checks"]] == list(rules())
    assert all(check["asks"].endswith("?") and check["why"] and check["cure"] for check in data["checks"])
    assert {"name", "kind", "value", "level", "scored", "unscored"} <= set(data["policies"][0])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "refs.csv"
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([["findings", "impression"], *([text, ""] for text in REFERENCES)])
    return path


def test_the_command_prints_tables_and_ends_with_1_if_a_check_failed(file, tmp_path):
    page = tmp_path / "audit.html"
    done = run("audit", "bleu", "--references", file, "--max-calls", 1000, "--html", page)
    assert done.returncode == 1, done.stderr
    assert "sick references" in done.stderr
    assert "flips" in done.stdout
    assert "checks failed" in done.stdout
    html = page.read_text()
    assert "Audit of" in html
    assert "<script" not in html
    assert "http://" not in html.replace("http-equiv", "")


def test_the_command_ends_with_0_if_all_checks_pass_and_prints_json(file):
    done = run("audit", "rules", "--references", file, "--max-calls", 1000, "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["passed"] is True


def test_a_component_that_is_better_if_lower_is_audited_with_its_sign_turned(file):
    done = run("audit", "worst_error", "--references", file, "--max-calls", 1000, "--json")
    assert json.loads(done.stdout)["span"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "nonsense"),
        (["bleu", "--max-calls", 5], "too few"),
        (["bleu", "--html", "page.txt"], "ends in .html"),
        (["bleu", "--template", "x"], "{report}"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(file, arguments, message):
    done = run("audit", *arguments, "--references", file)
    assert done.returncode == 2
    assert message in done.stderr
