"""A reader that is not the reward's: keywords of each index class, and negation in the manner of NegEx.

A keyword is denied by a "no" before it in its clause, or by a "not seen" behind it (Chapman et al. 2001). Doubt, side,
severity and change are not read. `python benchmarks/mesh.py` tells how well it reads the radiologists' own reports.
"""

from __future__ import annotations

import re
from functools import cache

KEYWORDS = {
    # lungs
    "lung_opacity": r"opacit|opacif|densit",
    "airspace_opacity": r"air[- ]?space|infiltrat|alveolar",
    "consolidation": r"consolidat",
    "pneumonia": r"pneumonia|tubercul|infecti",
    "atelectasis": r"atelecta|volume loss|collapse",
    "pulmonary_edema": r"edema",
    "vascular_congestion": (
        r"congesti|cephali|(?:vascul|vessel)\w*~(?:prominen|engorg)"
        r"|(?:prominen|engorg)\w*~(?:vascul|vessel)"
    ),
    "heart_failure": r"heart failure|chf\b",
    "interstitial_opacity": r"interstiti|reticul|peribronchial|bronchial thicken|kerley",
    "pulmonary_fibrosis": r"fibros|fibrotic",
    "scarring": r"scar|cicatri",
    "bronchiectasis": r"bronchiecta|cystic fibrosis",
    "hyperinflation": r"hyper(?:infl|expan|aer|disten)|flatten\w*~diaphragm|diaphragm\w*~flatten",
    "emphysema": r"(?<!subcutaneous )emphysem|copd\b|chronic obstructive|bull(?:a|ae|ous)\b|bleb",
    "lucency": r"\w*lucen|cyst",
    "low_lung_volumes": (
        r"hypo(?:infl|vent|aer)|crowding"
        r"|(?:low|decreased|diminished|reduced|small|shallow|poor)~(?:volume|inspir)"
    ),
    "lung_nodule": r"nodul",
    "lung_mass": r"mass(?:es)?\b",
    "cavity": r"cavit",
    "granulomatous_disease": r"granulomatous|sarcoid",
    "granuloma": r"granulomas?\b|calcifi\w*~nodul",
    "calcified_lymph_node": r"calcif\w*~(?:node|hil|mediastin|lymph|adenop)|(?:node|hil|lymph)\w*~calcif",
    "azygos_lobe": r"azygos",
    "nipple_shadow": r"nipple",
    # pleura
    "pleural_effusion": r"(?<!pericardial )effusion|pleural fluid|hydropneumo|ha?emo(?:thora|pneumo)",
    "costophrenic_blunting": r"blunt",
    "pleural_thickening": r"pleural~(?:thicken|scar|plaque|calcif)|(?:thicken|calcif)\w*~pleura",
    "pneumothorax": r"\w*pneumothora",
    # heart, mediastinum, vessels
    "cardiomegaly": r"cardiomegal|(?:heart|cardi)\w*~enlarge|(?:enlarge\w*|large)~(?:heart|cardi)",
    "mediastinal_widening": r"mediastin\w*~(?:widen|prominen|enlarg)|(?:widen|prominen|enlarg)\w*~mediastin",
    "mediastinal_shift": r"shift|deviat",
    "lymphadenopathy": (
        r"\w*adenopathy|(?:hil(?:a|um|ar)\b|node)~(?:enlarg|prominen|full)"
        r"|(?:enlarg|prominen)\w*~(?:hil(?:a|um|ar)\b|node)"
    ),
    "pericardial_effusion": r"pericardial effusion",
    "pericardial_fat": r"fat\b|lipoma",
    "tortuous_aorta": r"tortuo|ectat|ectasia|uncoil|aort\w*~prominen",
    "aortic_aneurysm": r"aneurysm|aort\w*~(?:dilat|enlarg)",
    "aortic_atherosclerosis": (
        r"atheroscl|arterioscl|(?:aort|vascul|arter|coronar)\w*~calcif"
        r"|calcif\w*~(?:aort|arter|arch\b|vascul|coronar)"
    ),
    "pulmonary_hypertension": (
        r"pulmonary~hypertension|(?:prominen|enlarg)\w*~pulmonary arter"
        r"|pulmonary arter\w*~(?:prominen|enlarg)"
    ),
    # diaphragm, abdomen
    "elevated_diaphragm": r"eventrat|(?:elevat|rais)\w*~\w*diaphragm|\w*diaphragm\w*~(?:elevat|higher)",
    "hiatal_hernia": r"herni",
    "abdominal_calcification": r"gallston|cholelith|calcif\w*~(?:abdom|sple|quadrant)",
    # bones
    "fracture": r"fractur|ribs?~deform",
    "vertebral_fracture": r"compression|wedg|vertebra\w*~(?:fractur|height|deform)",
    "degenerative_change": r"degenerat|osteophy|spondyl|\w*arthr|spur|dish\b|hyperostos",
    "scoliosis": r"\w*scolio",
    "kyphosis": r"kypho",
    "osteopenia": r"osteopen|osteopor|deminerali",
    "dislocation": r"dislocat|sublux|separation",
    "chest_wall_deformity": r"pectus",
    "subcutaneous_emphysema": r"subcutaneous (?:emphysema|air|gas)",
    # devices and operations
    "central_line": r"picc|catheter|port\b|line\b",
    "cardiac_device": r"pacemaker|pacer|icd\b|\w*defibrillat|recorder|implant",
    "endotracheal_tube": r"tubes?\b|tracheost|intubat|ett\b",
    "stent": r"stent",
    "foreign_body": r"foreign|bullet|pellet|shrapnel",
    "surgical_clips": r"clips?\b|sternotom|sutur|staple|wires?\b|cabg\b",
    "spinal_hardware": r"spinal~(?:fusion|hardware|rods?\b)|fusion|pedicle",
    "mastectomy": r"mastectom",
    "limited_study": r"limited|rotat|suboptimal",
}  # fmt: skip
"""Class of mesh_terms.toml → how its keywords begin; `~` is up to four words between two."""
_BETWEEN = r"\b[\s,]+(?:\w+[\s,]+){0,4}"
_SENTENCE = re.compile(r"(?<=[.?!])\s+|\n")
_CLAUSE = re.compile(r";|\b(?:but|however|although|though|except|with the exception)\b")
_NO = re.compile(r"\b(?:no|not|without|negative|free|absent|absence|nor|neither|never|resolved|resolution|clear of)\b")
_NOT_BEHIND = re.compile(
    r"\b(?:(?:is|are|was|were) (?:not|absent)|not (?:seen|identified|evident|present|visible|visuali[sz]ed|apparent)"
    r"|(?:has|have) (?:resolved|cleared)|ruled out)\b"
)


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {name: re.compile(rf"\b(?:{words})".replace("~", _BETWEEN)) for name, words in KEYWORDS.items()}


def stated_keywords(text: str) -> set[str]:
    """Return the classes whose keywords a text states and nowhere denies.

    Example:
        >>> sorted(stated_keywords("Small effusion. The heart is mildly enlarged without edema. No effusion."))
        ['cardiomegaly']
    """
    stated: set[str] = set()
    denied: set[str] = set()
    for sentence in _SENTENCE.split(text.lower()):
        for clause in _CLAUSE.split(sentence):
            no = _NO.search(clause)
            for name, pattern in _patterns().items():
                for match in pattern.finditer(clause):
                    is_denied = no is not None and no.start() < match.start()
                    is_denied = is_denied or _NOT_BEHIND.search(clause, match.end()) is not None
                    (denied if is_denied else stated).add(name)
    return stated - denied
