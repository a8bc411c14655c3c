"""What a report says of its findings: side, place, severity, size, number, change, descriptors and positions."""

from __future__ import annotations

import json

import pytest

from cxr_rewards.findings import CHANGES, MANY, SEVERITIES, Finding, read

UNSET = {"certainty": "present", "side": "", "places": (), "severity": 0.0, "size_mm": 0.0, "number": 0, "change": ""}


def attributes(finding):
    """Return what is told of a finding beyond that it is present."""
    told = finding._replace(observation="", implied=False, start=0, end=0)._asdict()
    return {key: value for key, value in told.items() if value and value != UNSET.get(key)}


def told(text):
    """Return observation → attributes of what is not absent; a list where it is told more than once."""
    found = {}
    for finding in read(text):
        if finding.polarity != "absent":
            found.setdefault(finding.observation, []).append(attributes(finding))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def sided(text, key):
    """Return side → value of an attribute, of what is not absent."""
    return {f.side: getattr(f, key) for f in read(text) if f.polarity != "absent"}


# ---------------------------------------------------------------- where


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Opacity in the right lower lobe.", {"lung_opacity": {"side": "right", "places": ("lower",)}}),
        ("RLL opacity.", {"lung_opacity": {"side": "right", "places": ("lower",)}}),
        ("Left upper lobe nodule.", {"lung_nodule": {"side": "left", "places": ("upper",)}}),
        ("Right middle lobe opacity.", {"lung_opacity": {"side": "right", "places": ("middle",)}}),
        ("Bibasilar atelectasis.", {"atelectasis": {"side": "bilateral", "places": ("base",)}}),
        ("Left retrocardiac opacity.", {"lung_opacity": {"side": "left", "places": ("retrocardiac",)}}),
        ("Right apical pneumothorax.", {"pneumothorax": {"side": "right", "places": ("apex",)}}),
        ("Opacities in the upper and lower lobes.", {"lung_opacity": {"places": ("lower", "upper")}}),
        ("In the right upper lobe, there is a nodule.", {"lung_nodule": {"side": "right", "places": ("upper",)}}),
        ("At the left base there is atelectasis.", {"atelectasis": {"side": "left", "places": ("base",)}}),
        ("A nodule is seen at the right apex.", {"lung_nodule": {"side": "right", "places": ("apex",)}}),
        ("Effusions on the left and on the right.", {"pleural_effusion": {"side": "bilateral"}}),
        ("Left and right effusions.", {"pleural_effusion": {"side": "bilateral"}}),
        ("Fracture of the left fifth rib.", {"rib_fracture": {"side": "left", "places": ("rib_5",), "number": 1}}),
        ("Compression fracture at T12.", {"vertebral_fracture": {"places": ("t12",), "number": 1}}),
        (
            "Opacity at the left base, likely pneumonia.",
            {
                "lung_opacity": {"side": "left", "places": ("base",)},
                "pneumonia": {"certainty": "likely", "side": "left", "places": ("base",)},
            },
        ),
    ],
)
def test_sides_and_places(text, expected):
    assert told(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Cardiomegaly with left effusion.",
        "Left effusion and cardiomegaly.",
        "Left effusion. Cardiomegaly.",
        "The heart is enlarged, left effusion.",
    ],
)
def test_what_has_no_side_gets_none(text):
    assert told(text) == {"cardiomegaly": {}, "pleural_effusion": {"side": "left"}}


def test_each_finding_has_its_own_side():
    assert told("Left effusion, right pneumothorax.") == {
        "pleural_effusion": {"side": "left"},
        "pneumothorax": {"side": "right"},
    }
    assert told("Small right effusion. Left lower lobe atelectasis.") == {
        "pleural_effusion": {"side": "right", "severity": 2.0},
        "atelectasis": {"side": "left", "places": ("lower",)},
    }


@pytest.mark.parametrize(
    "text",
    [
        "Consolidation in the right lower lobe and atelectasis in the left upper lobe.",
        "Consolidation in the right lower lobe, atelectasis in the left upper lobe.",
        "Right lower lobe consolidation and left upper lobe atelectasis.",
    ],
)
def test_each_finding_of_a_list_has_the_place_told_with_it(text):
    assert told(text) == {
        "consolidation": {"side": "right", "places": ("lower",)},
        "atelectasis": {"side": "left", "places": ("upper",)},
    }


def test_one_place_may_be_that_of_two_findings():
    both = {"side": "left", "places": ("base",)}
    assert told("Atelectasis and effusion at the left base.") == {"atelectasis": both, "pleural_effusion": both}


# ---------------------------------------------------------------- how severe, how large, how many


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("Trace effusion.", 1.0),
        ("Tiny effusion.", 1.0),
        ("Minimal effusion.", 1.0),
        ("Small effusion.", 2.0),
        ("Mild effusion.", 2.0),
        ("Moderate effusion.", 3.0),
        ("Moderate-sized effusion.", 3.0),
        ("Large effusion.", 4.0),
        ("Extensive effusion.", 4.0),
        ("Massive effusion.", 5.0),
        ("Very large effusion.", 5.0),
        ("Very small effusion.", 1.0),
        ("Mild to moderate effusion.", 2.5),
        ("Small-to-moderate effusion.", 2.5),
        ("Moderate to large effusion.", 3.5),
        ("An effusion is seen, which is small.", 2.0),
        ("The effusion is large.", 4.0),
        ("The effusion is small to moderate.", 2.5),
        ("A small amount of pleural fluid.", 2.0),
        ("Effusion.", 0.0),
    ],
)
def test_severity_is_on_a_scale_of_five(text, severity):
    assert told(text) == {"pleural_effusion": {"severity": severity} if severity else {}}


@pytest.mark.parametrize(
    ("text", "observation", "severity"),
    [
        ("Mild cardiomegaly.", "cardiomegaly", 2.0),
        ("The heart is mildly enlarged.", "cardiomegaly", 2.0),
        ("The cardiac silhouette is severely enlarged.", "cardiomegaly", 4.0),
        ("The heart is mildly to moderately enlarged.", "cardiomegaly", 2.5),
        ("Massive cardiomegaly.", "cardiomegaly", 5.0),
        ("Moderate pulmonary edema.", "pulmonary_edema", 3.0),
        ("Large pneumothorax.", "pneumothorax", 4.0),
    ],
)
def test_degree_of_other_findings(text, observation, severity):
    assert told(text) == {observation: {"severity": severity}}


def test_every_word_of_the_scale_is_read():
    assert [told(f"{word} effusion.")["pleural_effusion"]["severity"] for word in SEVERITIES] == [1, 2, 3, 4, 5]


def test_the_degree_of_a_change_is_not_that_of_the_finding():
    assert told("Slightly increased effusion.") == {"pleural_effusion": {"change": "increased"}}
    assert told("The effusion has markedly decreased.") == {"pleural_effusion": {"change": "decreased"}}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8 mm nodule.", 8.0),
        ("An 8-mm nodule.", 8.0),
        ("A nodule measuring 1.2 cm.", 12.0),
        ("A nodule measures 1.2 x 0.8 cm.", 12.0),
        ("A nodule (9 mm).", 9.0),
        ("A nodule of 4 to 6 mm.", 5.0),
        ("A nodule. It measures 8 mm.", 8.0),
        ("A nodule. This measures 2 cm.", 20.0),
    ],
)
def test_sizes_are_in_mm(text, size):
    assert told(text) == {"lung_nodule": {"size_mm": size}}


def test_each_nodule_has_its_own_size():
    found = told("8 mm nodule in the left apex and 12 mm nodule in the right base.")
    assert found["lung_nodule"] == [
        {"side": "left", "places": ("apex",), "size_mm": 8.0},
        {"side": "right", "places": ("base",), "size_mm": 12.0},
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Single nodule.", 1),
        ("A solitary nodule.", 1),
        ("Two nodules.", 2),
        ("Three nodules.", 3),
        ("Multiple nodules.", MANY),
        ("Several nodules.", MANY),
        ("Numerous nodules.", MANY),
        ("Nodules.", 0),
    ],
)
def test_numbers(text, number):
    assert told(text) == {"lung_nodule": {"number": number} if number else {}}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("Fractures of the left 3rd, 4th, and 5th ribs.", ("rib_3", "rib_4", "rib_5")),
        ("Fractures of the left third through fifth ribs.", ("rib_3", "rib_4", "rib_5")),
        ("Left ribs 3-5 are fractured.", ("rib_3", "rib_4", "rib_5")),
    ],
)
def test_fractured_ribs_are_counted(text, places):
    assert told(text) == {"rib_fracture": {"side": "left", "places": places, "number": 3}}


# ---------------------------------------------------------------- change


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("New effusion.", "new"),
        ("Newly developed effusion.", "new"),
        ("The effusion is new.", "new"),
        ("Interval development of an effusion.", "new"),
        ("An effusion has developed.", "new"),
        ("The effusion was not present previously.", "new"),
        ("Increased effusion.", "increased"),
        ("The effusion has increased.", "increased"),
        ("The effusion is larger.", "increased"),
        ("Worsening effusion.", "increased"),
        ("Enlarging effusion.", "increased"),
        ("Interval decrease in the effusion.", "decreased"),
        ("The effusion has improved.", "decreased"),
        ("Smaller effusion.", "decreased"),
        ("Resolving effusion.", "decreased"),
        ("The effusion has partially resolved.", "decreased"),
        ("Stable effusion.", "stable"),
        ("The effusion is unchanged.", "stable"),
        ("No change in the effusion.", "stable"),
        ("No significant interval change in the effusion.", "stable"),
        ("Persistent effusion.", "stable"),
        ("The effusion has not resolved.", "stable"),
        ("Again seen is an effusion.", "stable"),
        ("Unchanged: effusion.", "stable"),
        ("Effusion.", ""),
    ],
)
def test_change(text, change):
    assert change in ("", *CHANGES)
    assert told(text) == {"pleural_effusion": {"change": change} if change else {}}


@pytest.mark.parametrize(
    "text",
    [
        "The effusion has resolved.",
        "Resolved effusion.",
        "Interval resolution of the effusion.",
        "The effusion is no longer seen.",
        "The previously seen effusion is not visualized.",
        "The effusion has completely cleared.",
    ],
)
def test_what_has_resolved_is_absent(text):
    (finding,) = (f for f in read(text) if f.observation == "pleural_effusion")
    assert (finding.polarity, finding.change) == ("absent", "resolved")


def test_what_is_merely_denied_has_not_resolved():
    assert [(f.polarity, f.change) for f in read("No effusion. No new effusion.")] == [("absent", "")] * 2


@pytest.mark.parametrize("text", ["Extubated.", "Interval extubation.", "The endotracheal tube has been removed."])
def test_a_removed_device_is_absent(text):
    (finding,) = read(text)
    assert (finding.observation, finding.polarity, finding.change) == ("endotracheal_tube", "absent", "resolved")


@pytest.mark.parametrize(
    "text",
    [
        "Unchanged: cardiomegaly, left effusion.",
        "Cardiomegaly and left effusion are unchanged.",
        "Stable cardiomegaly and left effusion.",
    ],
)
def test_a_change_may_be_that_of_a_list(text):
    assert told(text) == {
        "cardiomegaly": {"change": "stable"},
        "pleural_effusion": {"side": "left", "change": "stable"},
    }


def test_each_finding_has_its_own_change():
    assert told("The left effusion is larger, the edema is improved.") == {
        "pleural_effusion": {"side": "left", "change": "increased"},
        "pulmonary_edema": {"change": "decreased"},
    }
    assert told("New left effusion. Stable cardiomegaly.") == {
        "pleural_effusion": {"side": "left", "change": "new"},
        "cardiomegaly": {"change": "stable"},
    }


def test_two_sizes_tell_a_change():
    for text, change in [
        ("Nodule of 9 mm, previously 6 mm.", "increased"),
        ("9 mm nodule, previously 15 mm.", "decreased"),
        ("9 mm nodule, previously 9 mm.", "stable"),
    ]:
        assert told(text) == {"lung_nodule": {"size_mm": 9.0, "change": change}}


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("No interval change.", "stable"),
        ("Unchanged.", "stable"),
        ("Interval improvement.", "decreased"),
        ("Interval worsening.", "increased"),
        ("No significant change since the prior study.", "stable"),
    ],
)
def test_a_change_without_a_finding_is_a_comparison(text, change):
    assert told(text) == {"comparison": {"change": change}}


def test_naming_an_earlier_image_is_a_comparison():
    assert [(f.observation, f.change) for f in read("Compared to the prior study, left effusion.")] == [
        ("pleural_effusion", ""),
        ("comparison", ""),
    ]
    assert told("Compared to the prior study, the left effusion has increased.") == {
        "pleural_effusion": {"side": "left", "change": "increased"}
    }


# ---------------------------------------------------------------- kinds and positions


@pytest.mark.parametrize(
    ("text", "observation", "descriptors"),
    [
        ("Loculated effusion.", "pleural_effusion", ("loculated",)),
        ("Layering effusion.", "pleural_effusion", ("layering",)),
        ("Acute rib fracture.", "rib_fracture", ("acute",)),
        ("Old rib fracture.", "rib_fracture", ("old",)),
        ("Healed rib fracture.", "rib_fracture", ("old",)),
        ("Displaced rib fracture.", "rib_fracture", ("displaced",)),
        ("Nondisplaced rib fracture.", "rib_fracture", ("nondisplaced",)),
        ("Acute displaced rib fracture.", "rib_fracture", ("acute", "displaced")),
        ("Spiculated nodule.", "lung_nodule", ("spiculated",)),
        ("Subsegmental atelectasis.", "atelectasis", ("subsegmental",)),
        ("Pneumothorax with signs of tension.", "pneumothorax", ("tension",)),
        ("The rib fracture is displaced.", "rib_fracture", ("displaced",)),
    ],
)
def test_descriptors(text, observation, descriptors):
    assert told(text) == {observation: {"descriptors": descriptors}}


@pytest.mark.parametrize(
    ("text", "observation", "expected"),
    [
        ("ETT in the mid trachea.", "endotracheal_tube", {"positions": ("mid_trachea",)}),
        (
            "The endotracheal tube tip is 4 cm above the carina.",
            "endotracheal_tube",
            {"positions": ("above_carina",), "size_mm": 40.0},
        ),
        ("Endotracheal tube in the right main bronchus.", "endotracheal_tube", {"positions": ("right_main_bronchus",)}),
        ("Endotracheal tube in satisfactory position.", "endotracheal_tube", {"positions": ("in_place",)}),
        ("NG tube tip in the stomach.", "enteric_tube", {"positions": ("stomach",)}),
        ("NG tube coiled in the esophagus.", "enteric_tube", {"positions": ("esophagus", "malpositioned")}),
        ("Right PICC with tip in the lower SVC.", "picc", {"side": "right", "positions": ("svc",)}),
        (
            "Right PICC. The tip is at the cavoatrial junction.",
            "picc",
            {"side": "right", "positions": ("cavoatrial_junction",)},
        ),
        (
            "Left IJ line terminates in the right atrium.",
            "central_line",
            {"side": "left", "positions": ("right_atrium",)},
        ),
        (
            "ETT. Its tip is 3 cm above the carina.",
            "endotracheal_tube",
            {"positions": ("above_carina",), "size_mm": 30.0},
        ),
        ("Left chest tube in place.", "chest_tube", {"side": "left", "positions": ("in_place",)}),
    ],
)
def test_positions_of_devices(text, observation, expected):
    assert told(text) == {observation: expected}


def test_each_device_has_its_own_tip():
    assert told("ETT 4 cm above the carina. NG tube in the stomach. Right IJ line in the SVC.") == {
        "endotracheal_tube": {"size_mm": 40.0, "positions": ("above_carina",)},
        "enteric_tube": {"positions": ("stomach",)},
        "central_line": {"side": "right", "positions": ("svc",)},
    }
    assert told("Endotracheal tube terminates 3 cm above the carina and enteric tube ends in the stomach.") == {
        "endotracheal_tube": {"size_mm": 30.0, "positions": ("above_carina",)},
        "enteric_tube": {"positions": ("stomach",)},
    }


# ---------------------------------------------------------------- each side its own


@pytest.mark.parametrize(
    "text",
    [
        "Small left and moderate right effusions.",
        "Effusions, small on the left and moderate on the right.",
        "Small left effusion and moderate right effusion.",
        "There is a small left pleural effusion and a moderate one on the right.",
        "Small left effusion. Moderate right effusion.",
    ],
)
def test_each_side_has_its_own_severity(text):
    assert sided(text, "severity") == {"left": 2.0, "right": 3.0}


@pytest.mark.parametrize(
    ("text", "left", "right"),
    [
        ("The left effusion is larger, the right is smaller.", "increased", "decreased"),
        ("The left effusion has increased. The right is unchanged.", "increased", "stable"),
        ("New left effusion; the right effusion is stable.", "new", "stable"),
    ],
)
def test_each_side_has_its_own_change(text, left, right):
    assert sided(text, "change") == {"left": left, "right": right}


def test_a_side_may_be_denied_while_the_other_is_told():
    found = [(f.polarity, f.side) for f in read("Left effusion, none on the right.")]
    assert found == [("present", "left"), ("absent", "right")]


def test_the_worse_side_is_told():
    (finding,) = read("Bilateral effusions, left greater than right.")
    assert (finding.side, finding.descriptors) == ("bilateral", ("larger_left",))
    (finding,) = read("Bilateral effusions, larger on the right.")
    assert (finding.side, finding.descriptors) == ("bilateral", ("larger_right",))


# ---------------------------------------------------------------- words for findings named before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Left effusion. It is unchanged.", {"side": "left", "change": "stable"}),
        ("Left effusion. This has increased.", {"side": "left", "change": "increased"}),
        ("Left effusion. It is moderate.", {"side": "left", "severity": 3.0}),
        ("Left effusion, which has increased.", {"side": "left", "change": "increased"}),
    ],
)
def test_a_sentence_may_go_on_about_the_finding_before(text, expected):
    assert told(text) == {"pleural_effusion": expected}


def test_a_word_may_stand_for_the_finding_before():
    one, other = told("The left effusion has decreased. A small one persists.")["pleural_effusion"]
    assert one == {"side": "left", "change": "decreased"}
    assert (other["severity"], other["change"]) == (2.0, "stable")


def test_a_remark_on_a_denied_finding_does_not_make_it_present():
    assert told("No nodule. It measures 8 mm.") == {}


def test_a_size_is_not_carried_over_another_finding():
    assert told("Nodule. Cardiomegaly.") == {"lung_nodule": {}, "cardiomegaly": {}}
    assert told("8 mm nodule. Left effusion.") == {
        "lung_nodule": {"size_mm": 8.0},
        "pleural_effusion": {"side": "left"},
    }


# ---------------------------------------------------------------- lists, brackets, bullets

LISTED = {"pleural_effusion": {"side": "left", "severity": 4.0}, "cardiomegaly": {"severity": 2.0}}


@pytest.mark.parametrize(
    "text",
    [
        "1. Large left effusion. 2. Mild cardiomegaly.",
        "1) Large left effusion\n2) Mild cardiomegaly",
        "a) Large left effusion b) mild cardiomegaly",
        "- Large left effusion\n- Mild cardiomegaly",
        "\u2022 Large left effusion\n\u2022 Mild cardiomegaly",
        "Large left effusion\nMild cardiomegaly",
        "Large left effusion, mild cardiomegaly.",
        "Large left effusion; mild cardiomegaly.",
        "Large left effusion and mild cardiomegaly.",
        "Large left effusion (mild cardiomegaly).",
        "LARGE LEFT EFFUSION. MILD CARDIOMEGALY.",
        "FINDINGS: Large left effusion. IMPRESSION: Mild cardiomegaly.",
        "Pleura: Large left effusion. Heart: Mild cardiomegaly.",
    ],
)
def test_lists_keep_findings_apart(text):
    assert told(text) == LISTED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Nodule (right upper lobe, 8 mm).", {"side": "right", "places": ("upper",), "size_mm": 8.0}),
        ("Nodule [unchanged].", {"change": "stable"}),
        ("Right nodule (8 mm), unchanged.", {"side": "right", "size_mm": 8.0, "change": "stable"}),
    ],
)
def test_brackets_go_on_about_their_finding(text, expected):
    assert told(text)["lung_nodule"] == expected


def test_a_denial_does_not_reach_into_or_out_of_brackets():
    assert told("No effusion (small nodule) or pneumothorax.") == {"lung_nodule": {"severity": 2.0}}


# ---------------------------------------------------------------- findings as data


def test_a_finding_as_data_has_what_is_told_and_its_span():
    (finding,) = read("Possible new 8 mm nodules at the left base.")
    data = finding.as_dict()
    assert json.loads(json.dumps(data)) == data
    assert data == {
        "observation": "lung_nodule",
        "polarity": "possible",
        "side": "left",
        "places": ["base"],
        "size_mm": 8.0,
        "change": "new",
        "span": [18, 25],
    }
    assert Finding("picc").as_dict() == {"observation": "picc", "polarity": "present", "span": [0, 0]}
    likely = {"observation": "picc", "polarity": "present", "certainty": "likely", "span": [0, 0]}
    assert Finding("picc", "likely").as_dict() == likely
    assert Finding("picc", "absent", implied=True).as_dict()["implied"] is True
