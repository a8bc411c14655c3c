"""The shipped data files are complete and agree with each other."""

from __future__ import annotations

import pickle
import re
import shutil
from importlib import resources

from cxr_rewards import CompositeReward
from cxr_rewards.findings import SIGNIFICANCES, data_digest, ontology, read
from cxr_rewards.findings.ontology.load import data_files, parse
from cxr_rewards.findings.ontology.model import CHEXPERT, CUE_KINDS, MODIFIERS

DATA = {path: parse(file) for path, file in data_files()}


def shipped_observations():
    return {
        name: entry
        for path, contents in DATA.items()
        if path.startswith("observations/")
        for name, entry in contents["observations"].items()
    }


def test_the_shipped_ontology_covers_chexpert_and_more():
    known = ontology()
    assert len(known.observations) >= 100
    labels = {observation.label for observation in known.observations.values()}
    assert labels - {""} == set(CHEXPERT) - {"No Finding"}
    assert {observation.significance for observation in known.observations.values()} == set(SIGNIFICANCES)
    assert ontology() is known


def test_every_cue_modifier_and_observation_has_words():
    assert {cue.kind for cue in ontology().cues.values()} == set(CUE_KINDS)
    assert all(cue["phrases"] for cue in DATA["cues.toml"]["cues"].values())
    modifiers = DATA["modifiers.toml"]["modifiers"]
    assert set(modifiers) == set(MODIFIERS)
    for slot, values in MODIFIERS.items():
        assert set(modifiers[slot]) >= set(values)
    assert all(phrases for table in modifiers.values() for phrases in table.values())
    observations = shipped_observations()
    assert set(observations) == set(ontology().observations)
    # "comparison" is a statement of change without a finding: it has no words of its own
    assert {name for name, entry in observations.items() if not entry.get("phrases") and not entry.get("made_of")} <= {
        "comparison"
    }


def test_every_phrase_of_the_ontology_is_read_as_its_observation():
    known = ontology().observations
    phrases = [(name, p) for name, entry in shipped_observations().items() for p in entry.get("phrases", [])]
    assert len(phrases) > 600
    wrong = []
    for name, phrase in phrases:
        plain = re.sub(r"\|[^ ]+", "", re.sub(r"\([^)]*\)", "", phrase))
        if not plain.strip():
            continue
        found = {f.observation for f in read(f"There is {plain}.")}
        if name not in found and not any(name in known[f].ancestors for f in found):
            wrong.append((name, plain, found))
    assert wrong == []


def test_likeness_holds_both_ways():
    known = ontology().observations
    assert all(name in known[other].like for name, one in known.items() for other in one.like)
    assert any(one.like for one in known.values())


def test_no_position_of_a_device_is_both_right_and_wrong():
    known = ontology().observations.values()
    assert not [one.name for one in known if one.proper & one.misplaced]
    assert sum(bool(one.misplaced) for one in known) >= 10


def test_places_lie_in_larger_places_that_are_not_in_others():
    within = ontology().within
    assert within["apex"] == "upper"
    assert within["base"] == "lower"
    assert not set(within) & set(within.values())


def test_observation_goes_through_pickle():
    one = ontology().observations["pneumonia"]
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_changed_data_file_changes_every_signature_that_stands_on_it(tmp_path, monkeypatch):
    shutil.copytree(str(resources.files("cxr_rewards.findings")), tmp_path / "findings")
    before = data_digest()
    assert f"#{before}" in CompositeReward().signature
    monkeypatch.setattr(resources, "files", lambda _: tmp_path / "findings")
    assert data_digest.__wrapped__() == before
    path = tmp_path / "findings" / "data" / "observations" / "pleura.toml"
    path.write_text(path.read_text(encoding="utf-8") + "# a word more\n", encoding="utf-8")
    assert data_digest.__wrapped__() != before
