"""A made-up corpus: reports and index entries of a small grammar, for runs without data."""

from __future__ import annotations

import random

Entry = tuple[str, ...]
Raw = tuple[str, str, tuple[Entry, ...], str]

_SIDES = ("left", "right", "bilateral")
_SIDED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("Pleural Effusion", "small"): (
        "There is a small {side} pleural effusion.",
        "Blunting of the {side} costophrenic angle by a small effusion.",
    ),
    ("Pleural Effusion", "large"): ("A large {side} pleural effusion is present.",),
    ("Pulmonary Atelectasis", "base"): (
        "Linear atelectasis at the {side} base.",
        "Mild {side} basilar atelectasis is seen.",
    ),
    ("Airspace Disease", "base"): (
        "There is airspace disease at the {side} base.",
        "Patchy opacity in the {side} lower lobe, concerning for pneumonia.",
    ),
    ("Calcified Granuloma", "lung"): ("A calcified granuloma is seen in the {side} lung.",),
    ("Nodule", "lung"): ("There is a nodule in the {side} upper lobe.",),
    ("Pneumothorax",): ("There is a small {side} apical pneumothorax.",),
    ("Cicatrix", "lung"): ("Scarring at the {side} apex is unchanged.",),
}
_UNSIDED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("Cardiomegaly", "mild"): ("The heart is mildly enlarged.", "There is mild cardiomegaly."),
    ("Cardiomegaly", "severe"): ("The heart is severely enlarged.", "Severe cardiomegaly is present."),
    ("Pulmonary Edema",): ("There is diffuse interstitial pulmonary edema.",),
    ("Pulmonary Congestion",): ("The pulmonary vessels are congested.",),
    ("Lung", "hyperdistention"): ("The lungs are hyperinflated.", "Hyperexpanded lungs with flat diaphragms."),
    ("Lung", "hypoinflation"): ("Lung volumes are low.",),
    ("Aorta", "tortuous"): ("The thoracic aorta is tortuous.",),
    ("Thoracic Vertebrae", "degenerative"): ("There are degenerative changes of the thoracic spine.",),
    ("Hernia, Hiatal",): ("A hiatal hernia is seen.",),
    ("Scoliosis",): ("There is scoliosis of the thoracic spine.",),
}
_NORMAL = {
    "heart": ("The heart is normal in size.", "Heart size is within normal limits.", "Normal cardiac contours."),
    "lungs": ("The lungs are clear.", "No focal consolidation.", "There is no airspace disease."),
    "pleura": ("No pleural effusion or pneumothorax.", "There is no effusion.", "No pneumothorax is seen."),
    "bones": ("The bones are intact.", "No acute bony abnormality."),
}
_SPOILT = {
    "heart": ("Cardiomegaly",),
    "lungs": (
        "Airspace Disease",
        "Nodule",
        "Pulmonary Edema",
        "Pulmonary Atelectasis",
        "Calcified Granuloma",
        "Cicatrix",
    ),
    "pleura": ("Pleural Effusion", "Pneumothorax"),
    "bones": ("Scoliosis", "Thoracic Vertebrae"),
}
"""Index terms beside which a region is not called normal."""
_WHY = ("cough", "chest pain", "shortness of breath", "fever", "fall", "before an operation", "weight loss", "")


def studies(train: int = 480, held_out: int = 160, seed: int = 7) -> tuple[list[Raw], list[Raw]]:
    """Return (uid, indication, index entries, findings) of training and of held-out studies, no text in both."""
    rng = random.Random(seed)
    made: dict[str, Raw] = {}
    while len(made) < train + held_out:
        study = _study(rng, f"m{len(made) + 1}")
        made.setdefault(study[3], study)
    whole = list(made.values())
    return whole[:train], whole[train:]


def _study(rng: random.Random, uid: str) -> Raw:
    entries: list[Entry] = []
    sentences: list[str] = []
    for _ in range(rng.choices((0, 1, 2, 3), (3, 3, 3, 1))[0]):
        sided = rng.random() < 0.6
        term, forms = rng.choice(list((_SIDED if sided else _UNSIDED).items()))
        if any(entry[0] == term[0] for entry in entries):
            continue
        side = rng.choice(_SIDES[:2] if term[0] in ("Pneumothorax", "Nodule", "Calcified Granuloma") else _SIDES)
        entries.append((*term, side) if sided else term)
        sentences.append(rng.choice(forms).format(side=side))
    for region, forms in _NORMAL.items():
        if not any(entry[0] in _SPOILT[region] for entry in entries) and rng.random() < 0.85:
            sentences.append(rng.choice(forms))
    rng.shuffle(sentences)
    return uid, rng.choice(_WHY), tuple(entries) or (("normal",),), " ".join(sentences) or _NORMAL["lungs"][0]
