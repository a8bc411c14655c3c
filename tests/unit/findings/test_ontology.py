import copy
import pickle
import re
import tomllib
from importlib import resources

import pytest

from cxr_rewards.errors import ConfigError
from cxr_rewards.findings import ontology, read
from cxr_rewards.findings.ontology import CHEXPERT, CUES, build

ONTOLOGY = {
    "observations": {
        "opacity": {"phrases": ["opacity"], "label": "Lung Opacity"},
        "pneumonia": {"phrases": ["(lobar) pneumonia|pneumonitis"], "parent": "opacity", "weight": 0.5},
        "large_heart": {"made_of": ["heart + large"]},
    }
}
LANGUAGE = {
    "structures": {"heart": {"names": ["heart"], "normal": ["large_heart"]}},
    "qualities": {"large": ["large", "big"]},
    "cues": {"denies_next": ["no"]},
}


def changed(**paths):
    """Return the two tables with values set by path: observations__opacity__weight=2."""
    tables = copy.deepcopy((ONTOLOGY, LANGUAGE))
    for path, value in paths.items():
        *parents, last = path.split("__")
        table = tables[0] if parents[0] == "observations" else tables[1]
        for key in parents:
            table = table.setdefault(key, {})
        table[last] = value
    return tables


def test_the_shipped_ontology_covers_chexpert_and_more():
    known = ontology()
    assert len(known.observations) >= 60
    labels = {observation.label for observation in known.observations.values()}
    assert labels - {""} == set(CHEXPERT) - {"No Finding"}
    assert ontology() is known


def test_every_cue_and_observation_has_words():
    files = resources.files("cxr_rewards.findings")
    language = tomllib.loads((files / "language.toml").read_text(encoding="utf-8"))
    assert set(language["cues"]) == set(CUES)
    raw = tomllib.loads((files / "ontology.toml").read_text(encoding="utf-8"))
    assert all(entry.get("phrases") or entry.get("made_of") for entry in raw["observations"].values())


def test_every_phrase_of_the_ontology_is_read_as_its_observation():
    files = resources.files("cxr_rewards.findings")
    raw = tomllib.loads((files / "ontology.toml").read_text(encoding="utf-8"))
    known = ontology().observations
    phrases = [
        (name, p) for name, entry in raw["observations"].items() for p in entry.get("phrases", []) if "(" not in p
    ]
    assert len(phrases) > 300
    for name, phrase in phrases:
        plain = re.sub(r"\|[^ ]+", "", phrase)
        found = {f.observation for f in read(f"There is {plain}.")}
        assert name in found or any(name in known[f].ancestors for f in found), (name, plain, found)


def test_small_ontology_builds():
    built = build(ONTOLOGY, LANGUAGE)
    assert built.observations["pneumonia"].ancestors == ("opacity",)
    assert built.observations["pneumonia"].weight == 0.5
    assert built.phrases["lobar"]["pneumonitis"][""] == ("observation", ("pneumonia",))
    assert built.forms["opacities"] == "opacity"
    assert built.combinations == {("heart", "large"): ("large_heart", False)}
    assert built.structures["heart"].no_acute == ("large_heart",)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({"observations__opacity__colour": "red"}, "observations.opacity: unknown key 'colour'; known: label, made_of"),
        ({"observations__opacity__label": "Opacity"}, "unknown CheXpert class 'Opacity'.*Did you mean 'Lung Opacity'"),
        ({"observations__opacity__weight": 2}, r"observations.opacity.weight: must be one of .*, got 2"),
        ({"observations__opacity__parent": "opacty"}, "unknown observation 'opacty'.*Did you mean 'opacity'"),
        ({"observations__opacity__parent": "pneumonia"}, "its own ancestor"),
        ({"observations__opacity__parent": "opacity"}, "its own ancestor"),
        ({"observations__opacity__phrases": "opacity"}, "expected a list of phrases, got 'opacity'"),
        ({"observations__opacity__phrases": ["Opacity"]}, "'Opacity' may hold a-z"),
        ({"observations__opacity__phrases": ["(opacity"]}, "unpaired bracket"),
        ({"observations__opacity__phrases": [""]}, "is empty"),
        ({"observations__Opacity__phrases": ["shade"]}, "snake_case"),
        ({"observations__opacity__made_of": ["heart large"]}, "expected 'structure . quality', got 'heart large'"),
        ({"observations__opacity__made_of": ["hart + large"]}, "unknown structure or observation 'hart'"),
        ({"observations__opacity__made_of": ["heart + lrge"]}, "unknown quality or observation 'lrge'"),
        ({"observations__opacity__made_of": ["heart + large"]}, "already means"),
        ({"structures__heart__normal": ["larg_heart"]}, "unknown observation 'larg_heart'"),
        ({"structures__heart__names": ["opacity"]}, "'opacity' already belongs to .*observations.opacity.phrases"),
        ({"structures__heart__names": ["opacities"]}, "already belongs to"),
        ({"qualities__large": ["large", "no"]}, "'no' already belongs to language.toml: qualities.large"),
        ({"cues__denies": ["not"]}, "cues: unknown key 'denies'"),
    ],
)
def test_a_mistake_in_the_files_is_named(paths, message):
    with pytest.raises(ConfigError, match=message):
        build(*changed(**paths))


def test_ontology_of_a_table_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"observations.opacity: expected a table, got 'shade'"):
        build(*changed(observations__opacity="shade"))


def test_observation_goes_through_pickle():
    one = ontology().observations["pneumonia"]
    assert pickle.loads(pickle.dumps(one)) == one
