"""What the reader knows is checked when it is loaded; a mistake is told with its place."""

from __future__ import annotations

import copy
import pickle
import re
import shutil
import tomllib
from importlib import resources

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.errors import ConfigError
from cxr_rewards.findings import SIGNIFICANCES, data_digest, ontology, read
from cxr_rewards.findings.ontology import CHEXPERT, CUES, MODIFIERS, build

FILES = resources.files("cxr_rewards.findings")
ONTOLOGY = {
    "observations": {
        "opacity": {"phrases": ["opacity"], "label": "Lung Opacity"},
        "pneumonia": {"phrases": ["(lobar) pneumonia|pneumonitis"], "parent": "opacity", "significance": "urgent"},
        "large_heart": {"made_of": ["heart + large"], "unpaired": True},
        "tube": {"phrases": ["tube"], "proper": ["trachea"], "misplaced": ["bronchus"], "like": ["opacity"]},
    }
}
ANATOMY = {
    "structures": {"heart": {"names": ["heart"], "normal": ["large_heart"]}},
    "qualities": {"large": ["large", "big"]},
}
LANGUAGE = {
    "cues": {"denies_next": ["no"]},
    "modifiers": {
        "side": {"left": ["left"]},
        "severity": {"mild": ["small", "large"]},
        "number": {"many": ["several"], "2": ["two"]},
        "place": {"base": ["base", "bibasilar"], "lower": ["lower zone"]},
        "position": {"trachea": ["in the trachea"], "bronchus": ["main bronchus"]},
    },
    "within": {"base": "lower"},
    "ordinary": {"words": ["opacify"]},
}


def changed(**paths):
    """Return the three files' contents with values set by path: observations__opacity__label="Edema"."""
    files = copy.deepcopy((ONTOLOGY, ANATOMY, LANGUAGE))
    for path, value in paths.items():
        *parents, last = path.split("__")
        index = {"observations": 0, "structures": 1, "qualities": 1}.get((*parents, last)[0], 2)
        table = files[index]
        for key in parents:
            table = table.setdefault(key, {})
        table[last] = value
    return files


def shipped_observations():
    files = (path for path in (FILES / "ontology").iterdir() if path.name.endswith(".toml"))
    return {
        name: entry
        for path in files
        for name, entry in tomllib.loads(path.read_text(encoding="utf-8"))["observations"].items()
    }


def language():
    return tomllib.loads((FILES / "language.toml").read_text(encoding="utf-8"))


# ---------------------------------------------------------------- the shipped files


def test_the_shipped_ontology_covers_chexpert_and_more():
    known = ontology()
    assert len(known.observations) >= 100
    labels = {observation.label for observation in known.observations.values()}
    assert labels - {""} == set(CHEXPERT) - {"No Finding"}
    assert {observation.significance for observation in known.observations.values()} == set(SIGNIFICANCES)
    assert ontology() is known


def test_every_cue_modifier_and_observation_has_words():
    raw = language()
    assert set(raw["cues"]) == set(CUES)
    assert set(raw["modifiers"]) == set(MODIFIERS)
    for kind, values in MODIFIERS.items():
        assert set(raw["modifiers"][kind]) >= set(values)
    assert all(phrases for table in raw["modifiers"].values() for phrases in table.values())
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


# ---------------------------------------------------------------- a small ontology


def test_small_ontology_builds():
    built = build(ONTOLOGY, ANATOMY, LANGUAGE)
    assert built.observations["pneumonia"].ancestors == ("opacity",)
    assert built.observations["pneumonia"].significance == "urgent"
    assert built.observations["opacity"].significance == "actionable"
    assert built.observations["large_heart"].unpaired
    assert built.observations["tube"].proper == {"trachea"}
    assert built.observations["tube"].misplaced == {"bronchus"}
    assert built.observations["tube"].like == {"opacity"}
    assert built.observations["opacity"].like == {"tube"}
    assert built.phrases["lobar"]["pneumonitis"][""] == ("observation", ("pneumonia",), ())
    assert built.phrases["small"][""] == ("modifier", (), (("severity", 2.0),))
    assert built.phrases["several"][""] == ("modifier", (), (("number", 6),))
    assert built.phrases["two"][""] == ("modifier", (), (("number", 2),))
    assert built.forms["opacities"] == "opacity"
    assert built.forms["bases"] == "base"
    assert built.combinations == {("heart", "large"): ("large_heart", False)}
    assert built.structures["heart"].no_acute == ("large_heart",)
    assert built.within == {"base": "lower"}


def test_a_word_may_be_a_modifier_and_something_else():
    built = build(ONTOLOGY, ANATOMY, LANGUAGE)
    assert built.phrases["large"][""] == ("quality", ("large",), (("severity", 2.0),))


def test_a_phrase_of_two_observations_stands_for_both():
    built = build(*changed(observations__tube__phrases=["tube", "lobar pneumonia"]))
    kind, names, _ = built.phrases["lobar"]["pneumonia"][""]
    assert (kind, set(names)) == ("observation", {"pneumonia", "tube"})


def test_a_longer_phrase_takes_over_what_its_words_say():
    built = build(*changed(observations__opacity__phrases=["opacity", "left base small opacity"]))
    said = built.phrases["left"]["base"]["small"]["opacity"][""][2]
    assert set(said) == {("side", "left"), ("place", "base"), ("severity", 2.0)}


def test_alternatives_options_and_hyphens_expand():
    built = build(*changed(observations__opacity__phrases=["(dense|patchy) shade|air-space"]))
    assert built.phrases["dense"]["shade"][""][1] == ("opacity",)
    assert built.phrases["patchy"]["air"]["space"][""][1] == ("opacity",)
    assert built.phrases["shade"][""][1] == ("opacity",)


def test_no_acute_may_differ_from_normal():
    built = build(*changed(structures__heart__no_acute=["opacity"]))
    assert (built.structures["heart"].normal, built.structures["heart"].no_acute) == (("large_heart",), ("opacity",))


def test_a_combination_may_be_only_possible():
    built = build(*changed(observations__large_heart__made_of=["heart + large?"]))
    assert built.combinations == {("heart", "large"): ("large_heart", True)}


def test_a_combination_may_refine_another_observation():
    built = build(*changed(observations__pneumonia__made_of=["heart + opacity"]))
    assert built.combinations["heart", "opacity"] == ("pneumonia", False)
    assert built.refined_by_structure == {"opacity"}


def test_misspellings_are_set_right_but_not_to_ordinary_words():
    built = build(ONTOLOGY, ANATOMY, LANGUAGE)
    assert built.spelling.correct("pnuemonia") == "pneumonia"
    assert built.spelling.correct("opaicty") == "opacity"
    assert built.spelling.correct("opacify") is None


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({"observations__opacity__colour": "red"}, "ontology: observations.opacity: unknown key 'colour'"),
        ({"observations__opacity__label": "Opacity"}, "unknown CheXpert class 'Opacity'.*Did you mean 'Lung Opacity'"),
        ({"observations__opacity__significance": "urgnt"}, "unknown significance 'urgnt'.*Did you mean 'urgent'"),
        ({"observations__opacity__unpaired": 1}, "opacity.unpaired: expected true or false, got 1"),
        ({"observations__opacity__parent": "opacty"}, "unknown observation 'opacty'.*Did you mean 'opacity'"),
        ({"observations__opacity__parent": "pneumonia"}, "its own ancestor, through pneumonia"),
        ({"observations__opacity__parent": "opacity"}, "its own ancestor"),
        ({"observations__tube__proper": ["trachae"]}, "tube.proper: unknown position 'trachae'.*'trachea'"),
        ({"observations__tube__misplaced": ["stomach"]}, "tube.misplaced: unknown position 'stomach'"),
        ({"observations__tube__like": ["opacty"]}, "tube.like: unknown observation 'opacty'.*'opacity'"),
        ({"observations__opacity__phrases": "opacity"}, "expected a list of phrases, got 'opacity'"),
        ({"observations__opacity__phrases": [1]}, "expected a list of phrases"),
        ({"observations__opacity__phrases": ["Opacity"]}, "'Opacity' may hold a-z"),
        ({"observations__opacity__phrases": ["opacity|"]}, "may hold a-z"),
        ({"observations__opacity__phrases": ["(opacity"]}, "unpaired bracket"),
        ({"observations__opacity__phrases": [""]}, "is empty"),
        ({"observations__Opacity__phrases": ["shade"]}, "snake_case"),
        ({"observations__opacity__made_of": ["heart large"]}, "expected 'structure . quality', got 'heart large'"),
        ({"observations__opacity__made_of": ["hart + large"]}, "unknown structure or observation 'hart'"),
        ({"observations__opacity__made_of": ["heart + lrge"]}, "unknown quality or observation 'lrge'"),
        ({"observations__opacity__made_of": ["heart + large"]}, "already means"),
        ({"observations__opacity": "shade"}, "observations.opacity: expected a table, got 'shade'"),
        ({"structures__heart__normal": ["larg_heart"]}, "unknown observation 'larg_heart'.*'large_heart'"),
        ({"structures__heart__no_acute": ["larg_heart"]}, "unknown observation 'larg_heart'"),
        ({"structures__heart__name": ["heart"]}, "anatomy.toml: structures.heart: unknown key 'name'"),
        ({"structures__heart__names": ["opacity"]}, "'opacity' already belongs to .*observations.opacity.phrases"),
        ({"structures__heart__names": ["opacities"]}, "already belongs to"),
        ({"structures__liver": {"names": ["heart"]}}, "'heart' already belongs to anatomy.toml: structures.heart"),
        ({"qualities__large": ["large", "no"]}, "'no' already belongs to anatomy.toml: qualities.large"),
        ({"qualities__large": "large"}, "qualities.large: expected a list of phrases"),
        ({"cues__denies": ["not"]}, "language.toml: cues: unknown key 'denies'"),
        ({"cues__over": ["no"]}, "'no' already belongs to"),
        ({"modifiers__colour": {"red": ["red"]}}, "language.toml: modifiers: unknown key 'colour'"),
        ({"modifiers__side__both": ["both"]}, "modifiers.side: unknown key 'both'; known: bilateral, left"),
        ({"modifiers__severity__big": ["big"]}, "modifiers.severity: unknown key 'big'"),
        ({"modifiers__number__7": ["seven"]}, "modifiers.number: unknown key '7'"),
        ({"modifiers__place__Base": ["bottom"]}, "modifiers.place.Base: name it in snake_case"),
        ({"modifiers__side__left": "left"}, "modifiers.side.left: expected a list of phrases"),
        ({"within__bse": "lower"}, "within: unknown place 'bse'.*Did you mean 'base'"),
        ({"within__base": "lowr"}, "within: unknown place 'lowr'.*Did you mean 'lower'"),
        ({"word": {}}, "language.toml: unknown key 'word'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_mistake_in_the_files_is_named(paths, message):
    with pytest.raises(ConfigError, match=message):
        build(*changed(**paths))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_unknown_table_is_refused(which):
    files = changed()
    files[which]["extras"] = {}
    with pytest.raises(ConfigError, match="unknown key 'extras'"):
        build(*files)


def test_a_changed_data_file_changes_every_signature_that_stands_on_it(tmp_path, monkeypatch):
    shutil.copytree(str(FILES), tmp_path / "findings")
    before = data_digest()
    assert f"#{before}" in CompositeReward().signature
    monkeypatch.setattr(resources, "files", lambda _: tmp_path / "findings")
    assert data_digest.__wrapped__() == before
    path = tmp_path / "findings" / "ontology" / "pleura.toml"
    path.write_text(path.read_text(encoding="utf-8") + "# a word more\n", encoding="utf-8")
    assert data_digest.__wrapped__() != before
