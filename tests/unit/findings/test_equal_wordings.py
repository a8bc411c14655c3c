"""Reports that a radiologist would call equal are read alike, and score alike."""

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.findings import read

ALIKE = [
    ["Nodular opacity in the left upper lobe.", "Nodular left upper lobe opacity."],
    ["Rounded opacity in the right lower lobe.", "Rounded right lower lobe opacity."],
    ["Ground-glass opacity in the right upper lobe.", "Ground-glass right upper lobe opacity."],
    ["Reticular opacities at the right base.", "Reticular right basal opacities."],
    ["Airspace opacity in the right lower lobe.", "Airspace right lower lobe opacity."],
    ["Alveolar opacities bilaterally.", "Alveolar bilateral opacities."],
    ["Compression fracture of T12.", "Compression T12 fracture."],
    ["Scarring in the right apex with volume loss.", "Scarring with volume loss in the right apex."],
    ["Left effusion with rib fractures on the left.", "Effusion with rib fractures on the left."],
    ["Cavity in the right lower lobe with a thick wall.", "Cavity with a thick wall in the right lower lobe."],
    ["Nondisplaced rib fracture.", "The rib is fractured, but not displaced.", "Rib fracture without displacement."],
    [
        "Left pneumothorax. No tension.",
        "Left pneumothorax. No evidence of tension.",
        "Left pneumothorax; no signs of tension.",
    ],
    ["Favor edema over pneumonia.", "Favor edema rather than pneumonia.", "Edema is more likely than pneumonia."],
    ["Heart size is at the upper limits of normal.", "Top normal heart size.", "The heart is high normal in size."],
    ["Borderline heart size.", "The heart is borderline in size.", "The heart is borderline enlarged."],
    [
        "Left lower lobe pneumonia with a parapneumonic effusion.",
        "Left lower lobe pneumonia and a parapneumonic effusion.",
    ],
    ["Left jugular dialysis catheter in the right atrium.", "Left dialysis catheter in the right atrium."],
    ["Volume loss of the right lung.", "Reduced right lung volume.", "The volume of the right lung is reduced."],
    ["Right upper lobectomy.", "Resection of the right upper lobe."],
    ["Highly suspicious for cancer.", "Highly suspicious of malignancy.", "Highly concerning for malignancy."],
    ["Peripheral opacities.", "Opacities in the periphery."],
    ["No recurrence.", "No evidence of recurrence.", "No recurrent tumour.", "No sign of recurrent disease."],
    ["Bibasilar atelectasis.", "Atelectasis at the lung bases.", "Atelectasis at both bases."],
    ["Biapical scarring.", "Scarring in the apices.", "Scarring at both apices."],
    ["Fracture of the left clavicle.", "A fracture is seen in the left clavicle.", "Left clavicular fracture."],
    ["Left basal atelectasis versus pneumonia.", "Left basal pneumonia or atelectasis."],
    ["Persistent left effusion.", "There is still a left effusion.", "The left effusion is unchanged."],
    ["Degenerative changes of the thoracic spine.", "Degenerative change of the dorsal spine."],
    ["Left humeral fracture. Left fifth rib fracture.", "Fracture of the left humerus with fractured left rib 5."],
    ["Left chest drain. Small left pneumothorax.", "A left chest drain is present with a small left pneumothorax."],
    ["PICC in the right atrium, should be withdrawn.", "PICC in the right atrium, recommend withdrawal."],
    ["Elevation of the left hemidiaphragm.", "Raised left hemidiaphragm.", "Something raises the left hemidiaphragm."],
    ["Opacity, which may be due to soft tissue.", "Opacity, which may be caused by soft tissue."],
    ["No change in the effusion or edema.", "Effusion and edema are unchanged."],
    ["ETT and NG tube unchanged.", "ET and NG tubes are unchanged."],
    ["Unchanged opacity, likely pneumonia.", "Opacity, likely pneumonia, unchanged."],
    ["Left opacity, which may represent hemorrhage.", "Left opacity, possibly pulmonary hemorrhage."],
    ["Thickened bronchial walls.", "Bronchial wall thickening."],
    ["The left lung is well aerated.", "Good aeration of the left lung."],
]


def fields(text):
    """Return the findings without spans, each once."""
    return {
        (f.observation, f.certainty, f.side, f.places, f.severity, f.size_mm, f.change, f.positions) for f in read(text)
    } | {(f.observation, name) for f in read(text) for name in f.descriptors if name != "tension"}


@pytest.mark.parametrize("texts", ALIKE, ids=lambda texts: texts[0])
def test_other_words_for_the_same_are_read_alike(texts):
    first, *others = map(fields, texts)
    assert first
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Edema with a small effusion on the left.", ""),
        ("Emphysema with a nodule in the right upper lobe.", ""),
        ("Effusion with a clear right lung.", ""),
        ("Opacities in the upper and lower lobes.", ""),
        ("Consolidation of the right middle and lower lobes.", "right"),
        ("Atelectasis with no effusion on the right.", ""),
        ("Pneumothorax with rib fractures on the left.", "left"),
    ],
)
def test_a_side_is_that_of_what_a_finding_is_with_only_if_it_can_be(text, expected):
    assert read(text)[0].side == expected


@pytest.mark.parametrize(
    ("reference", "one", "two"),
    [
        ("Right apical scar.", "Old right apical scar.", "Right apical scar."),
        (
            "Left mastectomy. Small right effusion.",
            "Prior left mastectomy. Small right effusion.",
            "Left mastectomy. Small right effusion.",
        ),
        (
            "No lung opacity. Small right effusion.",
            "No active lung disease. Small right effusion.",
            "No lung opacity. Small right effusion.",
        ),
    ],
)
def test_what_goes_without_saying_costs_next_to_nothing(reference, one, two):
    reward = CompositeReward.from_preset("rules")
    first, second = (reward.score(text, reference).value for text in (one, two))
    assert first is not None
    assert second is not None
    assert abs(first - second) < 0.02


def test_top_normal_is_close_to_borderline_and_to_normal():
    reward = CompositeReward.from_preset("rules")
    reference = "Heart size is at the upper limit of normal. Mild left basal atelectasis."
    scores = [
        reward.score(f"{heart} Mild left basal atelectasis.", reference).value
        for heart in ("The heart is borderline in size.", "The heart is normal in size.", "Severe cardiomegaly.")
    ]
    assert min(scores[:2]) > 0.85
    assert scores[2] < 0.6
