"""Known phrases, measurements and rows of ribs or vertebrae are found in a sentence."""

from __future__ import annotations

import pytest

from cxr_rewards.findings import ontology, read
from cxr_rewards.findings.phrases import items


def found(sentence):
    return items(ontology(), sentence)[0]


def sizes(sentence):
    return [value for item in found(sentence) for slot, value in item.attributes if slot == "size"]


def rows(sentence):
    """Return the places told by number, and how many there are."""
    said = [pair for item in found(sentence) if item.kind == "structure" for pair in item.attributes]
    return [v for slot, v in said if slot == "place"], [v for slot, v in said if slot == "rows"]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("8 mm", [8.0]),
        ("8mm", [8.0]),
        ("8-mm nodule", [8.0]),
        ("8 millimeters", [8.0]),
        ("1 millimeter", [1.0]),
        ("2 cm", [20.0]),
        ("2.5 cm", [25.0]),
        ("1.25 cm", [12.5]),
        ("1 centimeter", [10.0]),
        ("3 centimeters", [30.0]),
        ("3 x 4 cm", [40.0]),
        ("3x4 cm", [40.0]),
        ("4 by 3 cm", [40.0]),
        ("2 x 3 x 1.5 cm", [30.0]),
        ("1.2 x 0.8 cm", [12.0]),
        ("2-4 mm", [3.0]),
        ("2 to 4 mm", [3.0]),
        ("1-2 cm", [15.0]),
        ("between 8 mm and 2 cm", [8.0, 20.0]),
        ("(8 mm)", [8.0]),
        ("6 mm, 9 mm", [6.0, 9.0]),
    ],
)
def test_measurements_are_in_mm(sentence, expected):
    assert sizes(sentence) == pytest.approx(expected)


@pytest.mark.parametrize(
    "sentence",
    ["8", "8 ml", "8 kg", "t8 mm", "8 mmhg", "8 cmh2o", "120 kv", "no. 8", "12345 mm", "mm", "ten mm", "a5 mm"],
)
def test_other_numbers_are_no_measurements(sentence):
    assert sizes(sentence) == []


@pytest.mark.parametrize(
    ("sentence", "places"),
    [
        ("fifth rib", ["rib_5"]),
        ("the 5th rib", ["rib_5"]),
        ("3rd and 4th ribs", ["rib_3", "rib_4"]),
        ("third and fourth ribs", ["rib_3", "rib_4"]),
        ("3rd, 4th, and 6th ribs", ["rib_3", "rib_4", "rib_6"]),
        ("third through fifth ribs", ["rib_3", "rib_4", "rib_5"]),
        ("3rd-5th ribs", ["rib_3", "rib_4", "rib_5"]),
        ("3rd to the 5th ribs", ["rib_3", "rib_4", "rib_5"]),
        ("sixth lateral rib", ["rib_6"]),
        ("seventh left posterior rib", ["rib_7"]),
        ("ribs 5 to 7", ["rib_5", "rib_6", "rib_7"]),
        ("ribs 5-7", ["rib_5", "rib_6", "rib_7"]),
        ("rib 9", ["rib_9"]),
        ("ribs 4, 6 and 8", ["rib_4", "rib_6", "rib_8"]),
        ("twelfth rib", ["rib_12"]),
        ("1st rib", ["rib_1"]),
        ("rib fractures, fifth and sixth", ["rib_5", "rib_6"]),
        ("rib fractures of the 5th-7th", ["rib_5", "rib_6", "rib_7"]),
        ("t7", ["t7"]),
        ("at t12", ["t12"]),
        ("l1 vertebra", ["l1"]),
        ("t12 and l1", ["t12", "l1"]),
        ("t12-l2", ["t12", "l1", "l2"]),
        ("t6 through t8", ["t6", "t7", "t8"]),
        ("t6-8", ["t6", "t7", "t8"]),
        ("t4, t6, and t9", ["t4", "t6", "t9"]),
        ("t7/t8", ["t7", "t8"]),
        ("d9", ["t9"]),
        ("d12 and l1", ["t12", "l1"]),
        ("eleventh thoracic vertebra", ["t11"]),
        ("the second lumbar vertebral body", ["l2"]),
    ],
)
def test_rows_of_ribs_and_vertebrae_are_named_and_counted(sentence, places):
    assert rows(sentence) == (places, [min(len(places), 6)])


@pytest.mark.parametrize("sentence", ["rib 5 mm nodule", "fifth film", "ribs", "t", "t1000", "at7", "2nd study"])
def test_other_numbers_are_no_rows(sentence):
    assert rows(sentence) == ([], [])


def test_the_longest_phrase_wins():
    (item,) = found("pleural effusion")
    assert (item.kind, item.names) == ("observation", ("pleural_effusion",))
    assert [i.names for i in found("breast mass")] != [i.names for i in found("lung mass")]


def test_words_and_characters_covered_are_told():
    sentence = "is a small pleural effusion."
    small, effusion = (item for item in found(sentence) if item.kind in ("modifier", "observation"))
    assert (small.first, small.last, sentence[small.start : small.end]) == (2, 2, "small")
    assert (effusion.first, effusion.last, sentence[effusion.start : effusion.end]) == (3, 4, "pleural effusion")
    assert items(ontology(), sentence)[1] == 5


@pytest.mark.parametrize(
    ("sentence", "kinds"),
    [
        (", ; : ( ) [ ]", ["comma", "end_clause", "introduce", "open", "close", "open", "close"]),
        ("and or", ["and", "or"]),
        ("", []),
        ("zzz qqq", []),
    ],
)
def test_marks_and_joints(sentence, kinds):
    assert [item.kind for item in found(sentence)] == kinds


def test_hyphens_and_plurals_are_understood():
    assert [i.names for i in found("air-space opacities")] == [i.names for i in found("air space opacity")]
    assert [i.names for i in found("pleural effusions")] == [("pleural_effusion",)]


def test_a_longer_phrase_keeps_what_its_words_say():
    said = {pair for item in found("bibasilar atelectasis") for pair in item.attributes}
    assert {("side", "bilateral"), ("place", "base")} <= said


def test_a_phrase_of_two_observations_means_both():
    (item,) = found("hydropneumothorax")
    assert set(item.names) == {"pleural_effusion", "pneumothorax"}


@pytest.mark.parametrize(
    ("text", "enlarged"),
    [
        ("CTR is 0.58.", True),
        ("CTR 62%.", True),
        ("Cardiothoracic ratio 17/30.", True),
        ("C/T ratio is more than 0.5.", True),
        ("CTR 0.48.", False),
        ("CTR is less than 0.5.", False),
        ("Cardiothoracic ratio of 45 %.", False),
    ],
)
def test_a_cardiothoracic_ratio_tells_the_size_of_the_heart(text, enlarged):
    (heart,) = (finding for finding in read(text) if finding.observation == "cardiomegaly")
    assert (heart.certainty == "present") is enlarged


def test_symbols_stand_for_words_but_a_number_sign_before_a_number_does_not():
    assert [f.observation for f in read("Displaced # of the right clavicle.")] == ["clavicle_fracture"]
    assert [f.observation for f in read("Effusion, see image #12.")] == ["pleural_effusion"]
    (effusion,) = read("Effusions, R>L.")
    assert (effusion.side, effusion.descriptors) == ("bilateral", ("larger_right",))
