"""Each cue does what its table in cues.toml says."""

from __future__ import annotations

import copy

import pytest

from cxr_rewards.findings import Finding, ontology, read
from cxr_rewards.findings.clauses import clauses
from cxr_rewards.findings.ontology.build import build
from cxr_rewards.findings.ontology.load import data_files, parse
from cxr_rewards.findings.ontology.model import CUE_KINDS, GRADES, MARKS
from cxr_rewards.findings.ontology.vocabulary import expand
from cxr_rewards.findings.phrases import items
from cxr_rewards.findings.walker import walk
from cxr_rewards.findings.walker.cues import EFFECTS

FILES = {path: parse(file) for path, file in data_files() if path != "significance.toml"}
CUES = FILES["cues.toml"]["cues"]
EXAMPLES = [(name, *example) for name, cue in CUES.items() for example in cue.get("examples", {}).items()]


def describe(findings):
    """Return findings in the notation of the examples in cues.toml."""
    return ", ".join(" ".join(filter(None, (f.observation, f.certainty, f.side, f.change))) for f in findings)


def read_with(text, **cues):
    """Return the reading of a sentence with cues added to those of cues.toml."""
    files = copy.deepcopy(FILES)
    files["cues.toml"]["cues"].update(cues)
    known = build(files)
    return describe(Finding(*fields) for fields, _, _ in walk(known, *clauses(known, text)).findings)


@pytest.mark.parametrize(("name", "text", "expected"), EXAMPLES, ids=[f"{name}: {text}" for name, text, _ in EXAMPLES])
def test_an_example_is_read_as_its_table_says(name, text, expected):
    assert describe(read(text)) == expected


FRAMES = {
    "deny_forward": ("{} pneumothorax", "pneumothorax absent"),
    "deny_backward": ("pneumothorax {}", "pneumothorax absent"),
    "doubt_forward": ("{} pneumothorax", "pneumothorax possible"),
    "doubt_backward": ("pneumothorax {}", "pneumothorax possible"),
    "doubt_both": ("atelectasis {} pneumothorax", "atelectasis possible, pneumothorax possible"),
    "set_aside_forward": ("{} pneumothorax", ""),
    "set_aside_backward": ("pneumothorax {}", ""),
    "end_scope": ("no pneumothorax {} fracture", "pneumothorax absent, fracture present"),
    "explain": ("no pneumothorax {} fracture", "pneumothorax absent, fracture present"),
    "link": ("opacity {} pneumothorax", "lung_opacity present, pneumothorax present"),
    "end_clause": ("no pneumothorax {} fracture", "pneumothorax absent, fracture present"),
    "begin_statement": ("no pneumothorax and {} fracture", "pneumothorax absent, fracture present"),
    "conclude": ("no pneumothorax {}, left fracture", "pneumothorax absent, fracture present left"),
    "compare": ("fracture {}", "fracture present, comparison present"),
}
"""Kind of cue → a sentence with a gap for the cue, and what is read of it; changes that a cue states are left out."""


@pytest.mark.parametrize("name", [name for name, cue in ontology().cues.items() if cue.kind in FRAMES])
def test_every_phrase_of_a_cue_has_the_effect_of_the_cue(name):
    cue = ontology().cues[name]
    frame, expected = FRAMES[cue.kind]
    if cue.effect in GRADES:
        expected = expected.replace(GRADES[cue.effect][0], cue.grade)
    for phrase in CUES[name]["phrases"]:
        for words in expand(name, phrase):
            text = frame.format(" ".join(words))
            assert describe(finding._replace(change="") for finding in read(text)) == expected, text


def test_every_cue_has_an_example():
    assert {name for name, *_ in EXAMPLES} == set(CUES)


def test_every_example_has_a_word_of_its_cue():
    for name, text, _ in EXAMPLES:
        found = [*items(ontology(), text.lower())[0], *clauses(ontology(), text.lower())[0]]
        assert name in {n for item in found for n in item.names}, (name, text)


def test_every_kind_of_cue_and_mark_has_an_effect():
    assert set(EFFECTS) == {*CUE_KINDS, *MARKS.values()}


CONCESSION = {"effect": "end_scope", "phrases": ["regardless of"]}


def test_a_cue_can_be_added_as_data_alone():
    text = "no pneumothorax regardless of a rib fracture"
    assert read_with(text) == "pneumothorax absent, rib_fracture absent"
    negation = {**CUES["negation"], "ended_by": ["turn", "explanation", "concession"]}
    read = read_with(text, negation=negation, concession=CONCESSION)
    assert read == "pneumothorax absent, rib_fracture present"


def test_a_cue_ends_only_what_names_it():
    text = "possible pneumothorax regardless of a rib fracture"
    assert read_with(text, concession=CONCESSION) == "pneumothorax possible, rib_fracture possible"
    possibility = {**CUES["possibility"], "ended_by": ["concession"]}
    read = read_with(text, possibility=possibility, concession=CONCESSION)
    assert read == "pneumothorax possible, rib_fracture present"


def test_a_new_clause_ends_every_scope():
    negation = {**CUES["negation"], "ended_by": []}
    assert read_with("no effusion with nodule; left opacity", negation=negation) == (
        "pleural_effusion absent, lung_nodule absent, lung_opacity present left"
    )
