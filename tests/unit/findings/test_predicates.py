"""What a report denies, doubts or compares is said of the right finding, however it is put."""

from __future__ import annotations

import pytest

from cxr_rewards.findings import merge, read


def describe(text):
    """Return observation, certainty, side and change of each finding, without comparisons and what is implied."""
    return [
        " ".join(filter(None, (f.observation, f.certainty, f.side, f.change)))
        for f in read(text)
        if f.observation != "comparison" and not f.implied
    ]


DENIED_OR_DOUBTED = {
    "The absence of a fracture cannot be guaranteed.": ["fracture possible"],
    "Absence of edema is confirmed.": ["pulmonary_edema absent"],
    "Lack of a fracture is not proven.": ["fracture possible"],
    "Left pneumothorax, tension: absent.": ["pneumothorax present left"],
    "Left pneumothorax: absent.": ["pneumothorax absent left"],
    "Neither edema nor fluid.": ["pulmonary_edema absent", "pleural_effusion absent"],
    "The drain has fallen out.": ["chest_tube absent resolved"],
    "The aortic knuckle measures 5 cm.": ["aortic_aneurysm present"],
    "The aortic knuckle measures 30 mm.": [],
    "ETT tip 5 cm above the aortic arch.": ["endotracheal_tube present"],
    "The trachea is pushed to the right by a mass at the left apex.": [
        "tracheal_deviation present right",
        "lung_mass present left",
    ],
    "The breathing tube has gone too far.": ["endotracheal_tube present"],
    "A port replaces the PICC.": ["port present", "picc absent resolved"],
    "The effusion has gone from the left base.": ["pleural_effusion absent left resolved"],
    "A mass cannot with complete confidence be dismissed.": ["lung_mass possible"],
    "One is hard put to exclude a left effusion.": ["pleural_effusion possible left"],
    "Clear of edema, though not of effusion.": ["pulmonary_edema absent", "pleural_effusion present"],
    "Evidence of edema, though not of effusion.": ["pulmonary_edema present", "pleural_effusion absent"],
    "No mass, and the effusion there is still visible.": ["lung_mass absent", "pleural_effusion present stable"],
    "No mass there is an effusion": ["lung_mass absent", "pleural_effusion present"],
    "No mass, and the scar at the left apex looks old.": ["lung_mass absent", "scarring present left"],
    "A coin is no longer lodged in the upper oesophagus.": ["swallowed_or_inhaled_object absent resolved"],
    "The consolidation is no longer at the left base.": ["consolidation absent left resolved"],
    "The ETT is no longer in the right main bronchus.": ["endotracheal_tube present"],
    "The effusion is no longer large.": ["pleural_effusion present"],
    "The effusion, small at admission, is large today.": ["pleural_effusion present increased"],
    "The left effusion exceeds the right in size.": ["pleural_effusion present bilateral"],
    "Fluid tracks into the right minor fissure.": ["pleural_effusion present right"],
    "Gas outlines the liver edge and diaphragm.": ["free_air present"],
    "Air fills the left chest.": ["pneumothorax present left"],
    "Both hila are normal in size and density.": [],
    "Clearing of the edema but not of the effusion.": ["pulmonary_edema absent", "pleural_effusion present stable"],
    "Resolution of the left effusion, though not of the edema.": [
        "pleural_effusion absent left resolved",
        "pulmonary_edema present stable",
    ],
    "Worsening of the edema but not of the effusion.": [
        "pulmonary_edema present increased",
        "pleural_effusion present stable",
    ],
    "Neither the mass nor the effusion was present last year.": [
        "lung_mass present new",
        "pleural_effusion present new",
    ],
    "Neither heart nor mediastinum is enlarged.": ["mediastinal_widening absent", "cardiomegaly absent"],
    "No consolidation, fluid or collapse.": [
        "consolidation absent",
        "pleural_effusion absent",
        "lobar_collapse absent",
    ],
    "Fluid overload is unlikely.": ["vascular_congestion unlikely"],
    "The lungs are not so clear: left effusion.": ["pleural_effusion present left"],
    "Left apical nodule, 9 mm versus 12 mm.": ["lung_nodule present left decreased"],
    "The two left nodules have become four.": ["lung_nodule present left increased"],
    "The right hilum is bulkier than the left.": ["hilar_enlargement present right"],
    "The right hilum is larger than the left.": ["hilar_enlargement present right"],
    "The right effusion is bigger than the left.": ["pleural_effusion present bilateral"],
    "ETT pulled, lungs clear.": ["endotracheal_tube absent resolved"],
    "The left drain has been withdrawn by 2 cm.": ["chest_tube present left"],
    "Swan-Ganz catheter withdrawn and now in the right ventricle.": ["swan_ganz_catheter present"],
    "No pneumothorax accompanying the rib fractures.": ["pneumothorax absent", "rib_fracture present"],
    "No effusion underlying the consolidation.": ["pleural_effusion absent", "consolidation present"],
    "No underlying mass or effusion.": ["lung_mass absent", "pleural_effusion absent"],
    "Opacity, suspicious for underlying pneumonia.": ["lung_opacity present", "pneumonia possible"],
    "Pneumonia had been queried, but was discounted.": ["pneumonia absent"],
    "An early pneumothorax was suspected, but this was disproved.": ["pneumothorax absent"],
    "A left effusion was suspected, but ultrasound has refuted this.": ["pleural_effusion absent left"],
    "Pneumothorax was suspected clinically; none is seen.": ["pneumothorax absent"],
    "A nodule was suspected, and is confirmed.": ["lung_nodule present"],
    "The effusion is unchanged, but the tip is not seen.": ["pleural_effusion present stable"],
    "We cannot say that there is no pneumothorax.": ["pneumothorax possible"],
    "We can say that there is no pneumothorax.": ["pneumothorax absent"],
    "It is not possible to say there isn't a fracture.": ["fracture possible"],
    "There is no doubt that there is a mass.": ["lung_mass present"],
    "A pneumothorax hasn't developed.": ["pneumothorax absent"],
    "A left pneumothorax has developed.": ["pneumothorax present left new"],
    "Neither the effusion nor the consolidation has resolved.": [
        "pleural_effusion present stable",
        "consolidation present stable",
    ],
    "Neither effusion nor pneumothorax has developed.": ["pleural_effusion absent", "pneumothorax absent"],
    "None of the nodules has enlarged.": ["lung_nodule present stable"],
    "Probably no fracture.": ["fracture unlikely"],
    "Atelectasis would be favoured over pneumonia.": ["atelectasis likely", "pneumonia unlikely"],
    "Tuberculosis is a remote possibility.": ["tuberculosis unlikely"],
    "An effusion may well be present.": ["pleural_effusion likely"],
    "A fracture cannot be completely discounted.": ["fracture possible"],
    "Atypical pneumonia should be considered.": ["pneumonia possible"],
    "Left effusion; drainage of the effusion should be considered.": [
        "pleural_effusion present left",
        "pleural_effusion present",
    ],
    "Nil effusion but a left pneumothorax.": ["pleural_effusion absent", "pneumothorax present left"],
    "The nodules, heart and mediastinum are unremarkable.": ["lung_nodule absent"],
    "The left effusion has gone but the right has not.": [
        "pleural_effusion absent left resolved",
        "pleural_effusion present right stable",
    ],
    "An effusion is visible but a pneumothorax is not.": ["pleural_effusion present", "pneumothorax absent"],
    "Right effusion and left pneumothorax, both larger.": [
        "pleural_effusion present right increased",
        "pneumothorax present left increased",
    ],
    "Edema and effusions, all of which have improved.": [
        "pulmonary_edema present decreased",
        "pleural_effusion present decreased",
    ],
    "Unchanged 6 mm right apical and 9 mm left basal nodules.": [
        "lung_nodule present right stable",
        "lung_nodule present left stable",
    ],
    "ETT, NG tube and left PICC are unchanged.": [
        "endotracheal_tube present stable",
        "enteric_tube present stable",
        "picc present left stable",
    ],
    "Follow-up of pneumonia: the right consolidation has cleared.": ["consolidation absent right resolved"],
    "Left effusion with adjacent atelectasis.": ["pleural_effusion present left", "atelectasis present left"],
    "Mediastinal widening, likely due to technique.": ["mediastinal_widening present"],
    "The right opacity may be related to positioning.": ["lung_opacity present right"],
    "Several nodules are again seen, the largest 14 mm, previously 11 mm.": ["lung_nodule present increased"],
    "Compression deformity of T8, age indeterminate.": ["vertebral_fracture present"],
    "Likely bronchiolitis: hyperinflated lungs.": ["airway_disease likely", "hyperinflation present"],
    "Collapsed left upper lobe, clear right lung.": ["lobar_collapse present left"],
    "Normal gas pattern beneath the diaphragm.": [],
    "RIJ line in the SVC.": ["central_line present right"],
    "The right dome of the diaphragm sits high.": ["elevated_diaphragm present right"],
    "8 mm left nodule, not seen on the film from 2019.": ["lung_nodule present left new"],
    "Left nodule, not visible on the radiograph of 3 May.": ["lung_nodule present left new"],
    "Left effusion, likely reactive.": ["pleural_effusion present left"],
    "Left effusion, likely.": ["pleural_effusion likely left"],
    "Left opacity, likely infective in nature.": ["lung_opacity present left", "pneumonia likely left"],
    "The NG tube has gone via the left bronchus into the lower lobe.": ["enteric_tube present"],
    "No pneumothorax remains after chest tube removal.": ["pneumothorax absent resolved", "chest_tube absent resolved"],
    "Left collapse. Please withdraw the tube.": ["lobar_collapse present left"],
    "Chest pain, ?dissection. Tortuous aorta.": ["tortuous_aorta present"],
    "Cough ?pneumonia, effusion on the left.": ["pneumonia possible left", "pleural_effusion possible left"],
    "Left opacity, ?pneumonia.": ["lung_opacity present left", "pneumonia possible left"],
    "Rotated film. Clinical history: sepsis. There is a left effusion.": [
        "rotation present",
        "pleural_effusion present left",
    ],
    "Drain on the left. History: fall. Effusion smaller. Left edema. No pneumothorax.": [
        "chest_tube present left",
        "pleural_effusion present decreased",
        "pulmonary_edema present left",
        "pneumothorax absent",
    ],
}


@pytest.mark.parametrize(("text", "expected"), DENIED_OR_DOUBTED.items())
def test_a_denial_or_doubt_is_of_the_finding_it_is_said_of(text, expected):
    assert describe(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "It would be a mistake to describe the heart as normal.",
        "The cardiac silhouette has ceased to be normal.",
        "The heart is anything but normal.",
        "The heart is far from normal in size.",
        "The heart can hardly be called normal.",
        "The heart was normal in size last year.",
    ],
)
def test_normality_that_is_denied_rules_nothing_out(text):
    assert all(finding.observation != "cardiomegaly" for finding in read(text))


CHANGES = {
    "The nodule measures 24 mm against 21 mm in March.": ("increased", 24, 0),
    "Nodule of 9 mm (prior 12 mm).": ("decreased", 9, 0),
    "The nodule has gone from 12 to 8 mm.": ("decreased", 8, 0),
    "The nodule measured 20 mm yesterday and 30 mm today.": ("increased", 30, 0),
    "A 38 mm mass. It measured 25 mm in January.": ("increased", 38, 0),
    "The effusion, small on the last film, is now moderate.": ("increased", 0, 3),
    "The previously large effusion is now small.": ("decreased", 0, 2),
    "Less edema than before.": ("decreased", 0, 0),
    "Edema is less than before.": ("decreased", 0, 0),
    "More consolidation on the left than on the right.": ("", 0, 0),
    "Left pneumothorax, 18 mm from the apex.": ("", 18, 0),
    "A nodule of 6 to 8 mm.": ("", 7, 0),
    "Lines are unchanged; the edema has progressed.": ("increased", 0, 0),
    "The effusion is about the same.": ("stable", 0, 0),
    "The nodule was 6 mm on 4 May and is 9 mm.": ("increased", 9, 0),
}


@pytest.mark.parametrize(("text", "expected"), CHANGES.items())
def test_an_earlier_value_is_read_as_a_change(text, expected):
    (finding,) = merge(read(text)).abnormal
    assert (finding.change, finding.size_mm, finding.severity) == expected


LAYOUT = {
    "Heart: normal | Lungs: left basal opacity | No effusion": ["lung_opacity present left", "pleural_effusion absent"],
    "Effusion: left | Pneumothorax: no": ["pleural_effusion present left", "pneumothorax absent"],
    "Effusion | none": ["pleural_effusion absent"],
    "Effusion (R): moderate; (L): none": ["pleural_effusion present right", "pleural_effusion absent left"],
    "# left 7th rib": ["rib_fracture present left"],
    "# of the right clavicle.": ["clavicle_fracture present right"],
    "# Heart\nEnlarged.": ["cardiomegaly present"],
    "## Impression\nNo # seen.": ["fracture absent"],
    "Report #12345. Left effusion.": ["pleural_effusion present left"],
    "Left haemo/pneumothorax.": ["hemothorax present left", "pneumothorax present left"],
    "Ruled out: pneumothorax, effusion.": ["pneumothorax absent", "pleural_effusion absent"],
}


@pytest.mark.parametrize(("text", "expected"), LAYOUT.items())
def test_layout_and_shorthand_are_read_for_what_they_state(text, expected):
    assert sorted(describe(text)) == sorted(expected)


@pytest.mark.parametrize(("marks", "severity"), [("+", 0), ("++", 3), ("+++", 4)])
@pytest.mark.parametrize("form", ["Effusion {}", "Effusion: {}", "| Effusion | {} |", "Oedema +, effusion {}"])
def test_plus_signs_are_degrees(form, marks, severity):
    effusion = next(f for f in read(form.format(marks)) if f.observation == "pleural_effusion")
    assert (effusion.certainty, effusion.severity) == ("present", severity)


@pytest.mark.parametrize(
    ("text", "contradicted"),
    [
        ("Left lower lobe consolidation. No acute cardiopulmonary disease.", True),
        ("Resolving pneumonia. No acute cardiopulmonary disease.", False),
        ("The lungs are well expanded. Left lower lobe pneumonia.", False),
        ("Nodule at the left base. No suspicious nodule.", False),
        ("Nodule at the left base. No nodule.", True),
        ("A left nodule, not identified on the lateral view.", False),
        ("Streaky opacities at both bases. No focal opacity.", False),
        ("Opacity at the left base. No opacity.", True),
    ],
)
def test_a_contradiction_denies_what_is_stated(text, contradicted):
    assert bool(merge(read(text)).contradicted) == contradicted
