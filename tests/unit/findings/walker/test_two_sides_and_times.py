"""What is said of two sides, or of two times, is told apart; a change is that of its own noun."""

from __future__ import annotations

import re

import pytest

from cxr_rewards.findings import read


def found(text, observation):
    """Return certainty, side and change of an observation's mentions, in order of reading."""
    told = [f for f in read(text) if f.observation == observation and not f.implied]
    return [" ".join(filter(None, (f.certainty, f.side, f.change))) for f in told]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bilateral effusions; the left one is smaller.", ["present right", "present left decreased"]),
        ("Bilateral effusions. The right is smaller.", ["present left", "present right decreased"]),
        ("Bilateral effusions; the left has resolved.", ["present right", "absent left resolved"]),
        ("Bilateral effusions, the left having increased.", ["present right", "present left increased"]),
        ("Effusions on both sides, the one on the left new.", ["present right", "present left new"]),
        (
            "The effusion on the right is unchanged and that on the left has increased.",
            ["present right stable", "present left increased"],
        ),
        ("The right effusion has resolved; on the left it persists.", ["absent right resolved", "present left stable"]),
        ("Effusion is absent on the left and small on the right.", ["absent left", "present right"]),
        (
            "Effusion is stable on the right and increased on the left.",
            ["present right stable", "present left increased"],
        ),
        ("Left effusion increased, right unchanged.", ["present left increased", "present right stable"]),
        (
            "The left effusion has increased while the right has decreased.",
            ["present left increased", "present right decreased"],
        ),
        (
            "Bilateral effusions, left small, right moderate in size.",
            ["present right", "present left", "present right"],
        ),
        ("The right effusion is gone, but on the left remains.", ["absent right resolved", "present left stable"]),
        ("Effusion is seen on the left but not on the right.", ["present left", "absent right"]),
        ("Left effusion, none on the right.", ["present left", "absent right"]),
    ],
)
def test_each_side_has_what_is_said_of_it(text, expected):
    assert found(text, "pleural_effusion") == expected
    other = re.sub("effusion", "opacity", text.replace("effusions", "opacities"), flags=re.IGNORECASE)
    other = re.sub("effusions", "opacities", other, flags=re.IGNORECASE)
    assert found(other.replace("opacitys", "opacities"), "lung_opacity") == expected


@pytest.mark.parametrize(
    "text",
    [
        "Bilateral effusions, more marked on the right.",
        "Bilateral effusions, less marked on the left.",
        "The left effusion is larger than the right.",
        "The left effusion is smaller than the one on the right.",
        "Effusions, more extensive on the left.",
        "The effusions are asymmetric, the left being bigger than the right.",
    ],
)
def test_comparing_the_sides_is_no_change(text):
    assert found(text, "pleural_effusion") == ["present bilateral"]


@pytest.mark.parametrize(
    ("text", "observation", "side"),
    [
        ("Indistinct left heart border, small right effusion.", "pleural_effusion", "right"),
        ("Left lateral view rotated, small right effusion.", "pleural_effusion", "right"),
        ("Right lateral decubitus film shows a left effusion.", "pleural_effusion", "left"),
        ("Consolidation, pneumonia in the right clinical setting.", "pneumonia", ""),
        ("Left pneumothorax with shift of the mediastinum to the right.", "mediastinal_shift", "right"),
        ("Left pneumothorax with shift of the mediastinum to the right.", "pneumothorax", "left"),
        ("Large right effusion displacing the mediastinum to the left.", "mediastinal_shift", "left"),
        ("The trachea is deviated to the right by a left goiter.", "tracheal_deviation", "right"),
        ("Left pneumothorax without mediastinal shift.", "mediastinal_shift", ""),
    ],
)
def test_a_side_goes_to_its_own_noun(text, observation, side):
    assert [f.side for f in read(text) if f.observation == observation] == [side]


@pytest.mark.parametrize(
    ("text", "size", "change"),
    [
        ("Left nodule is 34 mm, 22 mm before.", 34, "increased"),
        ("The nodule measures 9 mm, previously 6 mm.", 9, "increased"),
        ("The nodule, which was 4 cm in March, is now 6 cm.", 60, "increased"),
        ("The nodule was 12 mm and is now 8 mm.", 8, "decreased"),
        ("Nodule of 15 mm (was 15 mm).", 15, "stable"),
        ("Nodule of 15 mm (10 mm in 2019).", 15, "increased"),
        ("The nodule remains 7 mm.", 7, "stable"),
        ("The nodule was 7 mm.", 7, ""),
        ("The nodule has grown by 3 mm.", 0, "increased"),
    ],
)
def test_a_former_size_makes_a_change(text, size, change):
    (nodule,) = (f for f in read(text) if f.observation == "lung_nodule")
    assert (nodule.size_mm, nodule.change) == (size, change)


@pytest.mark.parametrize("text", ["Effusion, previously large, now small.", "The effusion was large and is now small."])
def test_a_former_degree_makes_a_change(text):
    (effusion,) = (f for f in read(text) if f.observation == "pleural_effusion")
    assert (effusion.severity, effusion.change) == (2, "decreased")


@pytest.mark.parametrize(
    "text",
    [
        "Pull the ETT back by 3 cm.",
        "The ETT should be withdrawn 3 cm.",
        "ETT in place; suggest advancing it 3 cm.",
        "The ETT was low. Recommend 3 cm of retraction.",
    ],
)
def test_a_length_to_move_a_tube_is_no_distance_of_its_tip(text):
    assert {f.size_mm for f in read(text)} == {0}


@pytest.mark.parametrize(
    ("text", "absent", "present"),
    [
        ("The chest tube is no longer in place, but an effusion is.", "chest_tube", "pleural_effusion"),
        ("ETT replaced by a tracheostomy.", "endotracheal_tube", "tracheostomy"),
        ("The chest tube has been replaced by a port.", "chest_tube", "port"),
        ("The left chest tube was taken out; right PICC in place.", "chest_tube", "picc"),
        ("The ETT has come out and there is an effusion.", "endotracheal_tube", "pleural_effusion"),
    ],
)
def test_a_device_that_is_out_is_absent(text, absent, present):
    assert [f.certainty for f in read(text) if f.observation == absent] == ["absent"]
    assert [f.certainty for f in read(text) if f.observation == present] == ["present"]


def test_only_the_present_position_counts():
    (line,) = (f for f in read("The right IJ line was in the right atrium and is now in the SVC.") if f.positions)
    assert line.positions == ("svc",)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("Right pneumothorax is smaller after insertion of a chest tube.", {"pneumothorax": "decreased"}),
        ("The pneumothorax is larger despite the chest tube.", {"pneumothorax": "increased"}),
        (
            "Worsening consolidation with the ETT unchanged.",
            {"consolidation": "increased", "endotracheal_tube": "stable"},
        ),
        ("Larger heart than before.", {"cardiomegaly": "increased"}),
        ("Stable effusion with better aeration of the left lung.", {"pleural_effusion": "stable"}),
        ("Improved aeration of the left base.", {}),
        ("Decreased aeration at the left base.", {}),
        ("Aeration of the right base has improved.", {}),
    ],
)
def test_a_change_is_that_of_its_noun(text, changes):
    assert {f.observation: f.change for f in read(text) if f.change} == changes


@pytest.mark.parametrize(
    "text",
    [
        "{} is within normal limits.",
        "The {} appears unremarkable.",
        "The heart size and {} are normal.",
        "{} and the bony thorax are unremarkable.",
        "Lungs, {}, and mediastinum appear normal.",
        "{} normal.",
        "Normal {}.",
    ],
)
@pytest.mark.parametrize("finding", ["Atelectasis", "Effusion", "Consolidation"])
def test_a_finding_called_normal_is_not_present(text, finding):
    name = {"Effusion": "pleural_effusion"}.get(finding, finding.lower())
    assert [f.certainty for f in read(text.format(finding)) if f.observation == name] == ["absent"]


@pytest.mark.parametrize(
    ("text", "observation"),
    [
        ("The nodule is well defined.", "lung_nodule"),
        ("The sternotomy wires are intact and unremarkable.", "sternotomy"),
        ("Pacemaker and heart size are normal.", "cardiac_device"),
        ("Small effusion and normal heart size.", "pleural_effusion"),
        ("There is a small effusion and the heart size is normal.", "pleural_effusion"),
        ("Hyperinflated but clear lungs.", "hyperinflation"),
        ("Atelectasis, otherwise normal.", "atelectasis"),
        ("The enlarged heart is otherwise unremarkable.", "cardiomegaly"),
    ],
)
def test_normal_words_leave_other_findings_present(text, observation):
    assert [f.certainty for f in read(text) if f.observation == observation and not f.implied] == ["present"]


@pytest.mark.parametrize(
    "text",
    [
        "The heart was normal and is now enlarged.",
        "The left lung is no longer clear.",
        "The previously normal heart is now enlarged.",
        "The angle isn't sharp.",
    ],
)
def test_normality_that_is_denied_rules_nothing_out(text):
    assert not any(f.implied for f in read(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Nodules of 6 mm in the left apex and 12 mm at the right base.", [("left", "apex", 6), ("right", "base", 12)]),
        ("Nodules in the left apex (6 mm) and right base (12 mm).", [("left", "apex", 6), ("right", "base", 12)]),
        ("6 mm left apical and 12 mm right basal nodules.", [("left", "apex", 6), ("right", "base", 12)]),
        ("Nodules in the left apex and right base.", [("left", "apex", 0), ("right", "base", 0)]),
        ("Nodules at the left base and right base.", [("bilateral", "base", 0)]),
        ("A 9 mm nodule in the left apex, previously 6 mm.", [("left", "apex", 9)]),
    ],
)
def test_findings_in_two_places_keep_their_own_sides_places_and_sizes(text, expected):
    assert [(f.side, *f.places, f.size_mm) for f in read(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The edema is severe on the left and milder on the right.", [("left", 4), ("right", 2)]),
        ("Bilateral edema, moderate on the left and trace on the right.", [("left", 3), ("right", 1)]),
        ("The edema is marked on the left but only mild on the right.", [("left", 4), ("right", 2)]),
        ("The edema is severe on the left and on the right.", [("bilateral", 4)]),
    ],
)
def test_each_side_keeps_its_own_severity(text, expected):
    assert [(f.side, f.severity) for f in read(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No effusion on the left, although there is one on the right.", ["absent left", "present right"]),
        ("Clear on the left; effusion on the right.", ["present right"]),
        ("The lungs are clear on the left, small effusion on the right.", ["present right"]),
        ("On the left, there is an effusion.", ["present left"]),
    ],
)
def test_a_side_stays_with_what_it_is_said_of(text, expected):
    assert found(text, "pleural_effusion") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The right drain was exchanged for a larger one.", ["present right"]),
        ("The right drain was swapped for a pigtail drain.", ["present right", "present right"]),
        ("The right drain was replaced by a PICC.", ["absent right resolved"]),
        ("The right drain is out.", ["absent right resolved"]),
        ("The right drain is out of view.", ["present right"]),
    ],
)
def test_a_device_exchanged_for_another_such_is_still_there(text, expected):
    assert found(text, "chest_tube") == expected


@pytest.mark.parametrize(
    "text",
    [
        "The effusion had shrunk, but it is larger.",
        "The effusion had improved on Monday but is now worse again.",
        "Effusion improved at first and has since increased.",
        "The effusion was smaller yesterday and has grown larger today.",
        "The effusion, which had been decreasing, is larger.",
    ],
)
def test_of_two_changes_the_later_counts(text):
    assert found(text, "pleural_effusion") == ["present increased"]


@pytest.mark.parametrize("text", ["The effusion has increased but was smaller last week.", "Effusion is larger again."])
def test_a_change_of_an_earlier_time_does_not_count(text):
    assert found(text, "pleural_effusion") == ["present increased"]


@pytest.mark.parametrize("name", ["Left", "Left lung", "LEFT SIDE", "On the left"])
def test_a_side_before_a_colon_is_that_of_all_that_follow(name):
    text = f"{name}: small effusion, lower lobe atelectasis."
    assert [found(text, observation) for observation in ("pleural_effusion", "atelectasis")] == [["present left"]] * 2


def test_a_side_before_a_colon_ends_at_another_side():
    text = "Right lung: consolidation, heart enlarged, left effusion, pneumothorax."
    assert found(text, "pleural_effusion") == ["present left"]
    assert found(text, "pneumothorax") == ["present"]
    assert found(text, "cardiomegaly") == ["present"]


def test_both_before_two_findings_is_no_side():
    assert found("Both atelectasis and effusion are seen on the right.", "pleural_effusion") == ["present right"]
    assert found("Both effusions are small.", "pleural_effusion") == ["present bilateral"]
