"""Findings are read in the words of reports; denials, doubts and normal statements reach as far as they should."""

from __future__ import annotations

import pickle
import time

import pytest

from cxr_rewards.findings import Finding, merge, ontology, read


def said(text, polarity):
    return {f.observation for f in read(text) if f.polarity == polarity}


def sides(text):
    return {f.observation: f.side for f in read(text) if f.polarity != "absent"}


@pytest.mark.parametrize(
    ("text", "observation"),
    [
        ("The heart is mildly enlarged.", "cardiomegaly"),
        ("Enlarged cardiac silhouette.", "cardiomegaly"),
        ("There is enlargement of the cardiac silhouette.", "cardiomegaly"),
        ("Heart size is moderately increased.", "cardiomegaly"),
        ("CARDIOMEGALY.", "cardiomegaly"),
        ("The cardiomediastinal silhouette is enlarged.", "enlarged_cardiomediastinum"),
        ("Widening of the mediastinum.", "mediastinal_widening"),
        ("Blunting of the left costophrenic angle.", "costophrenic_blunting"),
        ("The right costophrenic angle is blunted.", "costophrenic_blunting"),
        ("Small pleural effusions.", "pleural_effusion"),
        ("A little pleural fluid is seen.", "pleural_effusion"),
        ("Tiny apical pneumothorax.", "pneumothorax"),
        ("Patchy air-space opacities at both bases.", "airspace_opacity"),
        ("Dense consolidation of the lingula.", "consolidation"),
        ("Findings of pneumonia.", "pneumonia"),
        ("Platelike atelectasis.", "atelectasis"),
        ("Interstitial oedema with Kerley B lines.", "pulmonary_edema"),
        ("Congestive heart failure.", "heart_failure"),
        ("The pulmonary vasculature is engorged.", "vascular_congestion"),
        ("Prominent interstitial markings.", "interstitial_opacity"),
        ("Interstitial markings are coarsened.", "interstitial_opacity"),
        ("A nodule in the right apex.", "lung_nodule"),
        ("A nodule which is calcified.", "granuloma"),
        ("Calcified nodules are present.", "granuloma"),
        ("A large mass next to the hilum.", "lung_mass"),
        ("Calcified hilar lymph nodes.", "calcified_lymph_node"),
        ("The lungs are hyperexpanded.", "hyperinflation"),
        ("Flattening of the hemidiaphragms.", "hyperinflation"),
        ("Lung volumes are low.", "low_lung_volumes"),
        ("Poor inspiratory effort.", "low_lung_volumes"),
        ("The left hemidiaphragm is elevated.", "elevated_diaphragm"),
        ("The thoracic aorta is tortuous and calcified.", "tortuous_aorta"),
        ("The thoracic aorta is tortuous and calcified.", "aortic_atherosclerosis"),
        ("Atherosclerotic calcifications of the aortic arch.", "aortic_atherosclerosis"),
        ("Fracture of the left fifth rib.", "rib_fracture"),
        ("Old rib fractures.", "rib_fracture"),
        ("Anterior wedging of a vertebral body.", "vertebral_fracture"),
        ("Degenerative changes of the thoracic spine.", "degenerative_spine"),
        ("Thoracic spine osteophytes.", "degenerative_spine"),
        ("Mild dextroscoliosis.", "scoliosis"),
        ("Free air under the right hemidiaphragm.", "free_air"),
        ("Subcutaneous emphysema of the chest wall.", "subcutaneous_emphysema"),
        ("The ETT ends above the carina.", "endotracheal_tube"),
        ("Right IJ line in place.", "central_line"),
        ("Left-sided PICC.", "picc"),
        ("NG tube in the stomach.", "enteric_tube"),
        ("Dual lead pacemaker.", "cardiac_device"),
        ("Median sternotomy wires.", "sternotomy"),
        ("Sternotomy wires are intact.", "sternotomy"),
        ("Pigtail catheter at the left base.", "chest_tube"),
    ],
)
def test_observations_are_read_in_the_words_of_reports(text, observation):
    assert observation in said(text, "present")


def test_subcutaneous_emphysema_is_no_lung_disease():
    assert said("Subcutaneous emphysema.", "present") == {"subcutaneous_emphysema"}


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("No focal consolidation, effusion, or pneumothorax.", {"consolidation", "pleural_effusion", "pneumothorax"}),
        ("No pleural effusion or pneumothorax is seen.", {"pleural_effusion", "pneumothorax"}),
        ("Pleural effusion or pneumothorax is not identified.", {"pleural_effusion", "pneumothorax"}),
        ("There is no evidence of pneumonia.", {"pneumonia"}),
        ("Negative for pneumothorax.", {"pneumothorax"}),
        ("The lungs are free of consolidation.", {"consolidation"}),
        ("The effusion has resolved.", {"pleural_effusion"}),
        ("Interval resolution of the edema.", {"pulmonary_edema"}),
        ("The pneumothorax is no longer seen.", {"pneumothorax"}),
        ("Pneumonia is unlikely.", {"pneumonia"}),
        ("The heart is not enlarged.", {"cardiomegaly"}),
        ("The mediastinum does not appear widened.", {"mediastinal_widening"}),
        ("Neither effusion nor pneumothorax.", {"pleural_effusion", "pneumothorax"}),
        ("No new consolidation.", {"consolidation"}),
        ("Pneumothorax: none.", {"pneumothorax"}),
    ],
)
def test_denials_reach_over_lists_and_both_ways(text, absent):
    assert said(text, "absent") == absent
    assert said(text, "present") == said(text, "possible") == set()


@pytest.mark.parametrize(
    ("text", "present", "absent"),
    [
        ("No effusion, but there is cardiomegaly.", {"cardiomegaly"}, {"pleural_effusion"}),
        ("No effusion; small nodule.", {"lung_nodule"}, {"pleural_effusion"}),
        ("No effusion and the heart is enlarged.", {"cardiomegaly"}, {"pleural_effusion"}),
        ("No pneumothorax, mild cardiomegaly.", {"cardiomegaly"}, {"pneumothorax"}),
        ("No effusion and a nodule at the apex.", {"lung_nodule"}, {"pleural_effusion"}),
        ("Cardiomegaly without edema.", {"cardiomegaly"}, {"pulmonary_edema"}),
        ("No pneumothorax with stable effusion.", {"pleural_effusion"}, {"pneumothorax"}),
        ("Atelectasis rather than pneumonia.", {"atelectasis"}, {"pneumonia"}),
        ("Heart enlarged, lungs clear.", {"cardiomegaly"}, {"lung_opacity", "pulmonary_edema"}),
        ("Small effusion. No pneumothorax.", {"pleural_effusion"}, {"pneumothorax"}),
        ("No displaced fracture but osteopenia.", {"osteopenia"}, {"fracture"}),
    ],
)
def test_denials_end_where_the_statement_ends(text, present, absent):
    assert said(text, "present") == present
    assert said(text, "absent") == absent


@pytest.mark.parametrize(
    "text",
    [
        "No change in effusion.",
        "No interval change in the effusion.",
        "No significant change in the effusion.",
        "No increase in pleural effusion.",
        "Effusion, not significantly changed.",
        "Not only an effusion.",
        "Without significant interval change of the effusion.",
    ],
)
def test_what_has_not_changed_is_present(text):
    assert said(text, "present") == {"pleural_effusion"}
    assert said(text, "absent") == set()


@pytest.mark.parametrize(
    ("text", "possible"),
    [
        ("Possible pneumonia.", {"pneumonia"}),
        ("This may represent pneumonia.", {"pneumonia"}),
        ("Cannot exclude a small effusion.", {"pleural_effusion"}),
        ("A small effusion cannot be excluded.", {"pleural_effusion"}),
        ("A fracture is difficult to exclude.", {"fracture"}),
        ("It is hard to exclude a fracture.", {"fracture"}),
        ("Atelectasis versus pneumonia.", {"atelectasis", "pneumonia"}),
        ("Atelectasis or scarring.", {"atelectasis", "scarring"}),
        ("Concerning for edema.", {"pulmonary_edema"}),
        ("The heart is borderline in size.", {"cardiomegaly"}),
        ("Borderline cardiomegaly.", {"cardiomegaly"}),
        ("Questionable nodule.", {"lung_nodule"}),
    ],
)
def test_doubt_is_read_as_possible(text, possible):
    assert said(text, "possible") == possible
    assert said(text, "present") == set()


@pytest.mark.parametrize("text", ["Likely pneumonia.", "Consistent with pneumonia.", "Probable pneumonia."])
def test_likely_is_present(text):
    assert said(text, "present") == {"pneumonia"}


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("The lungs are clear.", {"lung_opacity", "pulmonary_edema"}),
        ("Clear lungs.", {"lung_opacity", "pulmonary_edema"}),
        ("The lungs show no acute abnormality.", {"airspace_opacity", "pulmonary_edema"}),
        ("The aorta is normal.", {"tortuous_aorta", "aortic_aneurysm"}),
        ("The trachea is midline.", {"tracheal_deviation"}),
        ("The costophrenic angles are sharp.", {"costophrenic_blunting"}),
        ("The clavicles are intact.", {"clavicle_fracture"}),
        ("Bony structures are intact.", {"fracture", "bone_lesion", "dislocation"}),
        ("The hemidiaphragms are normal.", {"elevated_diaphragm"}),
        ("Heart size is normal.", {"cardiomegaly"}),
        ("Normal heart size.", {"cardiomegaly"}),
        ("The heart is within normal limits in size.", {"cardiomegaly"}),
        ("Heart: Normal.", {"cardiomegaly"}),
        ("The heart is at the upper limits of normal.", {"cardiomegaly"}),
        ("No pleural abnormality.", {"pleural_abnormality", "pneumothorax"}),
        ("No acute bony abnormality.", {"fracture", "dislocation"}),
        ("The chest x-ray shows a normal heart.", {"cardiomegaly"}),
    ],
)
def test_normal_statements_rule_out_what_they_cover_and_no_more(text, absent):
    assert said(text, "absent") == absent
    assert said(text, "present") == set()


@pytest.mark.parametrize(
    "text", ["Normal chest.", "Unremarkable.", "No acute disease.", "No active disease.", "Normal"]
)
def test_a_normal_chest_is_a_reading(text):
    assert "pneumothorax" in said(text, "absent")
    assert said(text, "present") == set()


def test_normal_lists_cover_each_structure():
    assert said("Heart size and mediastinal contours are normal.", "absent") >= {"cardiomegaly", "mediastinal_widening"}
    assert said("Normal heart size and mediastinal contours.", "absent") >= {"cardiomegaly", "mediastinal_widening"}


def test_history_and_purpose_are_not_findings():
    assert (
        read("INDICATION: Pneumonia. COMPARISON: Film with effusion. TECHNIQUE: Portable, pneumothorax protocol.") == ()
    )
    assert said("History of pneumonia.", "present") == set()
    assert said("CT is advised to exclude malignancy.", "present") == set()
    assert said("IMPRESSION: Effusion.", "present") == {"pleural_effusion"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Left effusion.", {"pleural_effusion": "left"}),
        ("Effusion on the right.", {"pleural_effusion": "right"}),
        ("Bilateral effusions.", {"pleural_effusion": "bilateral"}),
        ("Effusion.", {"pleural_effusion": ""}),
        ("Left effusion and right pneumothorax.", {"pleural_effusion": "left", "pneumothorax": "right"}),
        ("Opacity in the right lower lobe.", {"lung_opacity": "right"}),
        ("Elevation of the left hemidiaphragm.", {"elevated_diaphragm": "left"}),
        ("Right and left effusions.", {"pleural_effusion": "bilateral"}),
        ("Cardiomegaly. Left effusion.", {"cardiomegaly": "", "pleural_effusion": "left"}),
    ],
)
def test_sides(text, expected):
    assert sides(text) == expected


def test_what_a_normal_statement_implies_is_told_from_what_is_denied_by_name():
    assert [(f.observation, f.implied) for f in read("The heart is normal.")] == [("cardiomegaly", True)]
    assert [(f.observation, f.implied) for f in read("No cardiomegaly.")] == [("cardiomegaly", False)]


@pytest.mark.parametrize(
    "text",
    [
        "The heart is not normal.",
        "The heart, previously normal, is now enlarged.",
        "The position of the tube is normal.",
        "Abnormal chest.",
    ],
)
def test_what_is_not_called_normal_rules_nothing_out(text):
    assert "cardiomegaly" not in said(text, "absent")
    assert "lung_opacity" not in said(text, "absent")


def test_one_clear_lung_says_nothing_of_the_other():
    found = [f for f in read("The right lung is clear.") if f.observation == "lung_opacity"]
    assert [f.side for f in found] == ["right"]


def test_positions_are_those_of_the_raw_text():
    text = "FINDINGS:\r\n\u201cSmall\u201d\u00a0pleural\u00a0effusion \u0130. Cardiomegaly."
    assert [text[f.start : f.end] for f in read(text)] == ["pleural\u00a0effusion", "Cardiomegaly"]


@pytest.mark.parametrize(
    "text", ["", " \n", "asdf", "Le c\u0153ur est normalement", "12345 ... !!!", "\u80ba\u90e8\u6b63\u5e38"]
)
def test_text_that_says_nothing_has_no_findings(text):
    assert read(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "((" * 50_000,
        "no " * 33_333,
        "effusion " * 11_111,
        "effusion not seen " * 5_555,
        "heart " * 16_666,
        "heart, " * 14_285,
        "no heart and " * 7_692,
        "enlarged " * 11_111,
        "left effusion or " * 5_882,
        "no effusion, the heart is " * 3_846,
        "1. " * 33_333,
        "normal heart and " * 5_882,
        "normal " * 14_285,
        "pulmonary vascular " * 5_263,
    ],
    ids=lambda text: repr(text[:16]),
)
def test_hostile_text_takes_little_time(text):
    begin = time.process_time()
    read(text)
    assert time.process_time() - begin < 2


def test_finding_goes_through_pickle():
    found = read("Left effusion.")
    assert pickle.loads(pickle.dumps(found)) == found == (Finding("pleural_effusion", side="left", start=5, end=13),)


@pytest.mark.shared
def test_reader_agrees_with_the_indexers_of_real_reports(real_reports):
    known = ontology().observations
    wanted = {  # indexers' term -> observation, recall, precision (they leave out much that is only possible)
        "Cardiomegaly": ("cardiomegaly", 0.95, 0.75),
        "Pleural Effusion": ("pleural_effusion", 0.95, 0.65),
        "Pneumothorax": ("pneumothorax", 0.9, 0.75),
        "Pulmonary Atelectasis": ("atelectasis", 0.95, 0.75),
        "Calcified Granuloma": ("granuloma", 0.95, 0.7),
        "Scoliosis": ("scoliosis", 0.95, 0.85),
        "Hernia, Hiatal": ("hiatal_hernia", 0.95, 0.8),
        "Cicatrix": ("scarring", 0.95, 0.75),
    }
    stated = []
    for row in real_reports:
        names = {f.observation for f in read(f"{row['findings']}\n\n{row['impression']}") if f.polarity != "absent"}
        stated.append(names | {a for name in names for a in known[name].ancestors})
    terms = [{term.split("/")[0].strip() for term in row["mesh"].split(";")} for row in real_reports]
    for term, (observation, recall, precision) in wanted.items():
        both = sum(term in t and observation in s for t, s in zip(terms, stated, strict=True))
        assert both >= recall * sum(term in t for t in terms), term
        assert both >= precision * sum(observation in s for s in stated), term


def test_thousands_of_sections_take_linear_time():
    few, many = ("findings: x. " * n + "é" for n in (800, 7_600))
    start = time.process_time()
    read(few)
    middle = time.process_time()
    read(many)
    assert time.process_time() - middle < 2.0 + 30 * (middle - start)


@pytest.mark.parametrize(
    "text",
    [
        "COMPARISON: None. Small left effusion.",
        "EXAM: Chest, two views. HISTORY: Pneumonia. COMPARISON: 2019. Small left effusion.",
        "TECHNIQUE: PA and lateral. Small left effusion. INDICATION: Pneumothorax?",
    ],
)
def test_findings_without_a_heading_are_read_after_a_comparison_or_technique(text):
    assert said(text, "present") == {"pleural_effusion"}


def test_findings_that_run_on_from_the_history_are_read_beside_an_impression():
    text = "HISTORY: Cough. There is edema. No pneumothorax. IMPRESSION: Heart failure."
    assert said(text, "present") == {"pulmonary_edema", "heart_failure"}


def test_a_longer_history_is_not_read():
    assert said("HISTORY: Cough. Pneumonia last year. Mastectomy. IMPRESSION: Edema.", "present") == {"pulmonary_edema"}


def test_a_comparison_is_not_read_where_there_are_findings():
    assert said("COMPARISON: Small left effusion in 2019. FINDINGS: Mild cardiomegaly.", "present") == {"cardiomegaly"}


@pytest.mark.parametrize(
    "text",
    [
        "The lungs are grossly clear bilaterally.",
        "Lungs clear. Heart normal. Right hip is stable.",
        "No pneumothorax. The right side is stable.",
        "The lungs are clear. The left is larger.",
    ],
)
def test_what_is_denied_is_not_spoken_of_again(text):
    assert [finding.observation for finding in read(text) if finding.polarity != "absent"] in ([], ["comparison"])


@pytest.mark.parametrize(
    "text",
    [
        "Left lower lobe opacity. The lungs are otherwise clear.",
        "Left lower lobe opacity. The remaining lungs are clear.",
        "Left lower lobe opacity. No other opacity.",
        "Stable small left effusion. No new effusion.",
        "Nondisplaced rib fracture. No displaced rib fracture.",
    ],
)
def test_a_denial_that_leaves_room_for_what_is_told_contradicts_nothing(text):
    assert merge(read(text)).contradicted == ()


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("The lungs are hyperexpanded but otherwise clear.", ""),
        ("The right lung is collapsed, but the left is clear.", "left"),
        ("No disease on the left.", "left"),
    ],
)
def test_what_is_normal_may_stand_behind_what_is_not(text, side):
    absent = [f for f in read(text) if f.implied and "opacity" in f.observation]
    assert [f.side for f in absent] == [side]


def test_a_good_position_is_that_of_all_devices_listed():
    text = "ETT 4 cm above the carina, and NG tube and left PICC in good position."
    assert [f.positions for f in read(text)] == [("above_carina",), ("in_place",), ("in_place",)]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("ETT 4 cm from carina.", "ETT 4 cm above the carina."),
        ("Right jugular central line in the SVC.", "Right IJ CVC in the SVC."),
        ("Dual lead pacemaker with right atrial tip.", "Dual lead pacemaker with tip in the right atrium."),
        ("Acute respiratory distress syndrome.", "ARDS."),
        ("Chronic obstructive pulmonary disease.", "COPD."),
        ("The heart is big.", "The heart is enlarged."),
        ("Heart size exceeds normal limits.", "The heart is enlarged."),
        ("Pneumonia is not favoured.", "Pneumonia is unlikely."),
        ("A small left effusion remains.", "A small left effusion persists."),
        ("Symmetric hilar lymphadenopathy.", "Bilateral hilar lymphadenopathy."),
        ("Alveolar opacification.", "Airspace opacity."),
        ("Previous left rib fractures.", "Old left rib fractures."),
        ("Elevation of the minor fissure.", "The horizontal fissure is pulled up."),
    ],
)
def test_two_wordings_of_one_thing_are_read_alike(one, two):
    def what(text):
        return [finding[:-2] for finding in read(text)]

    assert what(one) == what(two)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("Opacities and effusions have increased.", ["increased", "increased"]),
        ("Opacities and effusions unchanged.", ["stable", "stable"]),
        ("Opacities and effusions, unchanged.", ["", "stable"]),
    ],
)
def test_a_change_right_behind_a_list_is_that_of_all(text, changes):
    assert [f.change for f in read(text)] == changes


@pytest.mark.parametrize(
    "text",
    [
        "On the right there is a pneumothorax, subcutaneous emphysema and rib fractures.",
        "Right-sided findings: pneumothorax, rib fractures, lung contusion.",
        "Injuries are confined to the right: pneumothorax, a rib fracture, and a small hemothorax.",
        "The right hemithorax shows a moderate effusion and a collapsed lower lobe.",
    ],
)
def test_a_side_that_heads_a_list_is_that_of_all(text):
    assert {f.side for f in read(text)} == {"right"}


def test_absent_behind_a_list_denies_none_that_is_described():
    assert said("Left basal atelectasis, pneumothorax absent.", "absent") == {"pneumothorax"}
    assert said("Atelectasis, pneumothorax absent.", "absent") == {"atelectasis", "pneumothorax"}


def test_an_abbreviation_may_end_a_sentence_before_the_place_of_the_next_finding():
    assert said("No ptx. LLL atelectasis.", "present") == {"atelectasis"}
    assert sides("Consol. RLZ.") == {"consolidation": "right"}


def test_alternatives_are_doubtful_though_they_have_not_changed():
    assert [f.certainty for f in read("Residual effusion or pleural thickening.")] == ["possible", "possible"]
