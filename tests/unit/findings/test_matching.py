"""Findings of two reports are matched so that the total credit is greatest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.findings import Finding, Report, compare, merge, ontology, read, significance
from cxr_rewards.findings.differences import differences
from cxr_rewards.findings.pairing import kinship
from cxr_rewards.findings.places import sides_meet
from cxr_rewards.formulas.crimson import WEIGHTS

KNOWN = ontology()


def report(*findings):
    return Report(findings, (), (), ())


def reports(reference, candidate):
    return compare(merge(read(reference)), merge(read(candidate)))


FAMILY = ("lung_opacity", "airspace_opacity", "consolidation", "pneumonia", "lung_nodule", "pneumothorax")
SEVERAL = st.lists(
    st.tuples(st.sampled_from(FAMILY), st.sampled_from(["", "left", "right"]), st.sampled_from([0.0, 1.0, 4.0])).map(
        lambda told: Finding(told[0], side=told[1], severity=told[2])
    ),
    max_size=4,
    unique_by=lambda finding: finding.observation,  # two of one kind may be joined to match one
).map(lambda found: [finding._replace(start=i) for i, finding in enumerate(found)])


def worth(one, two):
    """Return what CRIMSON credits for a pair, with the false finding it avoids."""
    weight = WEIGHTS[significance(one)]
    cost = sum(d.cost for d in differences(KNOWN, one, two))
    return weight * weight / (weight + cost) + WEIGHTS[significance(two)]


def can_be_one(one, two):
    same = one.observation == two.observation
    return kinship(one.observation, two.observation) is not None and (same or sides_meet(one, two))


def best_of_all(ours, theirs):
    """Return the most that any one-to-one pairing of kin is worth."""
    if not ours:
        return 0.0
    first, rest = ours[0], ours[1:]
    options = [best_of_all(rest, theirs)]
    for i, other in enumerate(theirs):
        if can_be_one(first, other):
            options.append(worth(first, other) + best_of_all(rest, theirs[:i] + theirs[i + 1 :]))
    return max(options)


@given(SEVERAL, SEVERAL)
def test_the_pairs_are_those_that_are_worth_most(ours, theirs):
    comparison = compare(report(*ours), report(*theirs))
    pairs = [(match.reference, match.candidate) for match in comparison.matched]
    assert sum(worth(*pair) for pair in pairs) == pytest.approx(best_of_all(ours, theirs))
    assert sorted([*(one for one, _ in pairs), *comparison.missed]) == sorted(ours)
    assert sorted([*(two for _, two in pairs), *comparison.false]) == sorted(theirs)


@given(SEVERAL, SEVERAL, st.randoms())
def test_the_order_of_findings_does_not_matter(ours, theirs, random):
    def credited(first, second):
        return sum(worth(m.reference, m.candidate) for m in compare(report(*first), report(*second)).matched)

    shuffled = random.sample(ours, len(ours)), random.sample(theirs, len(theirs))
    assert credited(*shuffled) == pytest.approx(credited(ours, theirs))


def test_another_observation_on_the_other_side_is_another_finding():
    comparison = reports("Right pleural effusion.", "Left lung opacity.")
    assert not comparison.matched
    assert [finding.observation for finding in comparison.missed] == ["pleural_effusion"]
    assert [finding.observation for finding in comparison.false] == ["lung_opacity"]


def test_the_same_observation_on_the_other_side_is_a_wrong_side():
    (match,) = reports("Right pleural effusion.", "Left pleural effusion.").matched
    assert [(difference.kind, difference.cost) for difference in match.differences] == [("location", 0.5)]


def test_another_observation_on_a_side_that_can_be_the_same_is_a_partner():
    for candidate in ("Right lung opacity.", "Lung opacity.", "Bilateral lung opacities."):
        assert reports("Right pneumonia.", candidate).matched


@pytest.mark.parametrize("stated", ["Pneumonia.", "Left pneumonia.", "Probable pneumonia."])
def test_one_who_states_what_the_other_holds_unlikely_makes_one_error(stated):
    there = reports("Pneumonia is less likely. Cardiomegaly.", f"{stated} Cardiomegaly.")
    back = reports(f"{stated} Cardiomegaly.", "Pneumonia is less likely. Cardiomegaly.")
    assert (len(there.missed), len(there.false)) == (0, 1)
    assert (len(back.missed), len(back.false)) == (1, 0)
    assert back.denied[0] is not None


def test_a_finding_takes_the_nearest_partner_whatever_stands_first():
    for candidate in ("Opacity. Right pneumothorax.", "Right pneumothorax. Opacity."):
        (match,) = reports("Pneumonia.", candidate).matched
        assert match.candidate.observation == "lung_opacity"
    for candidate in ("Large left effusion. Small right effusion.", "Small right effusion. Large left effusion."):
        matches = reports("Small right effusion. Large left effusion.", candidate).matched
        assert [match.cost for match in matches] == [0, 0]


def test_a_partner_is_given_up_where_another_needs_it_more():
    ours = [Finding("lung_opacity", start=0), Finding("pneumonia", start=1)]
    theirs = [Finding("consolidation", start=0), Finding("lung_opacity", side="left", start=1)]
    matched = compare(report(*ours), report(*theirs)).matched
    assert [(m.reference.observation, m.candidate.observation) for m in matched] == [
        ("lung_opacity", "lung_opacity"),
        ("pneumonia", "consolidation"),
    ]


def test_matches_are_in_the_order_of_the_reference():
    matched = reports("Cardiomegaly. Rib fracture. Edema.", "Edema. Rib fracture. Cardiomegaly.").matched
    assert [m.reference.observation for m in matched] == ["cardiomegaly", "rib_fracture", "pulmonary_edema"]


def test_benign_findings_find_their_partner_too():
    comparison = reports("Scoliosis.", "Scoliosis.")
    assert (len(comparison.matched), comparison.missed, comparison.false) == (1, (), ())


def test_unrelated_findings_are_missed_and_false():
    comparison = reports("Pneumonia.", "Pneumothorax.")
    assert comparison.matched == ()
    assert [f.observation for f in comparison.missed] == ["pneumonia"]
    assert [f.observation for f in comparison.false] == ["pneumothorax"]


def test_opposite_sides_are_one_finding_told_wrongly():
    (match,) = reports("Left effusion.", "Right effusion.").matched
    assert [(d.kind, d.cost) for d in match.differences] == [("location", 0.5)]


# ---------------------------------------------------------------- parts and the whole


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        ("Bilateral effusions.", "Left effusion. Right effusion."),
        ("Left effusion. Right effusion.", "Bilateral effusions."),
        ("Bilateral nodules.", "Nodule in the left upper lobe. Nodule in the right lower lobe."),
        ("Rib fractures.", "Left fifth rib fracture. Left seventh rib fracture."),
    ],
)
def test_findings_told_in_parts_are_joined_to_match_the_whole(reference, candidate):
    comparison = reports(reference, candidate)
    (match,) = comparison.matched
    assert (comparison.missed, comparison.false) == ((), ())
    assert not [d for d in match.differences if d.cost > 0.0625]  # the places of the parts may be left out


def test_parts_are_not_joined_where_both_reports_tell_them():
    comparison = reports("Left effusion. Right effusion.", "Right effusion. Left effusion.")
    assert [match.cost for match in comparison.matched] == [0, 0]


# ---------------------------------------------------------------- denials and contradictions


@pytest.mark.parametrize(
    ("reference", "candidate", "denied"),
    [
        ("Left effusion.", "No effusion.", "pleural_effusion"),
        ("Pneumonia.", "The lungs are clear.", "lung_opacity"),
        ("Cardiomegaly.", "The heart is normal.", "cardiomegaly"),
        ("Left effusion.", "No right effusion.", None),
        ("Left effusion.", "No pneumothorax.", None),
        ("Left effusion.", "No large effusion.", None),
        ("Large left effusion.", "No large effusion.", "pleural_effusion"),
        ("Left effusion.", "Cardiomegaly.", None),
    ],
)
def test_missed_findings_are_denied_or_left_out(reference, candidate, denied):
    comparison = reports(reference, candidate)
    assert len(comparison.missed) == len(comparison.denied) == 1
    assert (comparison.denied[0] and comparison.denied[0].observation) == denied


def test_each_missed_finding_has_its_own_denial():
    comparison = reports("Left effusion. Cardiomegaly. Pneumothorax.", "No pneumothorax. No effusion.")
    denied = {m.observation: d and d.observation for m, d in zip(comparison.missed, comparison.denied, strict=True)}
    assert denied == {
        "pleural_effusion": "pleural_effusion",
        "cardiomegaly": None,
        "pneumothorax": "pneumothorax",
    }


def test_a_contradiction_counts_where_the_reference_has_it_not():
    both = "Left effusion. No effusion."
    assert [f.observation for f in reports("Left effusion.", both).contradicted] == ["pleural_effusion"]
    assert reports(both, both).contradicted == ()
    assert reports(both, "Left effusion.").contradicted == ()


def test_what_is_taken_back_has_no_partner_unless_the_reference_does_the_same():
    both = "Left effusion. No effusion."
    comparison = reports("Left effusion.", both)
    assert comparison.matched == ()
    assert (
        [f.observation for f in comparison.missed] == [f.observation for f in comparison.false] == ["pleural_effusion"]
    )
    assert comparison.denied == (None,)  # the contradiction costs already
    assert len(reports(both, both).matched) == 1


def test_what_a_normal_statement_contradicts_keeps_its_partner():
    comparison = reports("Right pneumonia.", "Right pneumonia. Normal chest radiograph.")
    assert len(comparison.matched) == len(comparison.contradicted) == 1


def test_two_normal_reports_have_nothing_to_compare():
    assert not any(reports("Normal chest.", "The lungs are clear."))
