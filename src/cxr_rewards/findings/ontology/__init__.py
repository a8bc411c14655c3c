"""The reader's knowledge: `ontology()` loads, checks and compiles the files in `findings/data/`.

`model.py` has the types, `vocabulary.py` the notation of phrases, `build.py` checks and compiles, `load.py` reads the
files, `spelling.py` corrects misspelled words.
"""

from cxr_rewards.findings.ontology.load import data_digest, ontology
from cxr_rewards.findings.ontology.model import (
    CHEXPERT,
    SIGNIFICANCES,
    Attribute,
    Cue,
    Observation,
    Ontology,
    Significance,
    Structure,
    Value,
)

__all__ = [
    "CHEXPERT",
    "SIGNIFICANCES",
    "Attribute",
    "Cue",
    "Observation",
    "Ontology",
    "Significance",
    "Structure",
    "Value",
    "data_digest",
    "ontology",
]
