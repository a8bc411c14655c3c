"""Data files are checked and compiled; a mistake is reported with its place."""

from __future__ import annotations

import copy

import pytest

from cxr_rewards.errors import ConfigError
from cxr_rewards.findings.ontology.build import build
from cxr_rewards.findings.ontology.vocabulary import expand
from cxr_rewards.findings.phrases import items

FILES = {
    "observations/chest.toml": {
        "observations": {
            "opacity": {"phrases": ["opacity"], "label": "Lung Opacity"},
            "pneumonia": {"phrases": ["(lobar) pneumonia|pneumonitis"], "parent": "opacity", "significance": "urgent"},
            "large_heart": {"made_of": ["heart + large"], "unpaired": True},
            "tube": {"phrases": ["tube"], "proper": ["trachea"], "misplaced": ["bronchus"], "like": ["opacity"]},
        }
    },
    "anatomy.toml": {
        "structures": {"heart": {"names": ["heart"], "normal": ["large_heart"]}},
        "qualities": {"large": ["large", "big"]},
    },
    "cues.toml": {
        "cues": {
            "negation": {"effect": "deny", "direction": "forward", "ended_by": ["turn"], "phrases": ["no"]},
            "gone": {"effect": "deny", "direction": "backward", "states": {"change": "resolved"}, "phrases": ["gone"]},
            "turn": {"effect": "end_scope", "phrases": ["with"]},
        }
    },
    "modifiers.toml": {
        "modifiers": {
            "side": {"left": ["left"]},
            "change": {"resolved": ["cleared"]},
            "severity": {"mild": ["small", "large"]},
            "number": {"many": ["several"], "2": ["two"]},
            "place": {"base": ["base", "bibasilar"], "lower": ["lower zone"]},
            "position": {"trachea": ["in the trachea"], "bronchus": ["main bronchus"]},
        },
        "within": {"base": "lower"},
    },
    "senses.toml": {
        "senses": {
            "hot_tube": {"phrases": ["tube"], "precedes": ["boiler"]},
            "word": {"phrases": ["pneumonia"], "near": ["prose"], "means": "opacity"},
            "high": {"phrases": ["pneumonia"], "follows": ["sky"], "means": {"place": "base"}},
            "shadow_cabinet": {"phrases": ["shadow cabinet"]},
        },
        "heads": ["vaccine"],
    },
    "spelling.toml": {"ordinary": ["opacify"]},
}
FILE_OF = {"structures": "anatomy.toml", "qualities": "anatomy.toml", "cues": "cues.toml"}
FILE_OF |= {"senses": "senses.toml", "heads": "senses.toml"}
FILE_OF |= {"observations": "observations/chest.toml", "modifiers": "modifiers.toml", "within": "modifiers.toml"}


def changed(**paths):
    """Return the files' contents with values set by path: observations__opacity__label="Edema"."""
    files = copy.deepcopy(FILES)
    for path, value in paths.items():
        *parents, last = path.split("__")
        table = files[FILE_OF[(*parents, last)[0]]]
        for key in parents:
            table = table.setdefault(key, {})
        table[last] = value
    return files


# ---------------------------------------------------------------- a small ontology


def test_small_ontology_builds():
    built = build(FILES)
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
    built = build(FILES)
    assert built.phrases["large"][""] == ("quality", ("large",), (("severity", 2.0),))


def test_a_phrase_of_two_observations_stands_for_both():
    built = build(changed(observations__tube__phrases=["tube", "lobar pneumonia"]))
    kind, names, _ = built.phrases["lobar"]["pneumonia"][""]
    assert (kind, set(names)) == ("observation", {"pneumonia", "tube"})


def test_a_longer_phrase_takes_over_what_its_words_say():
    built = build(changed(observations__opacity__phrases=["opacity", "left base small opacity"]))
    said = built.phrases["left"]["base"]["small"]["opacity"][""][2]
    assert set(said) == {("side", "left"), ("place", "base"), ("severity", 2.0)}


def test_alternatives_options_and_hyphens_expand():
    built = build(changed(observations__opacity__phrases=["(dense|patchy) shade|air-space"]))
    assert built.phrases["dense"]["shade"][""][1] == ("opacity",)
    assert built.phrases["patchy"]["air"]["space"][""][1] == ("opacity",)
    assert built.phrases["shade"][""][1] == ("opacity",)


def test_a_phrase_of_too_many_options_is_refused():
    with pytest.raises(ConfigError, match="stands for 16384 sequences of words"):
        list(expand("cues.toml", " ".join(["(a)"] * 14)))


def test_close_observations_are_close_both_ways_and_what_is_usual_is_kept():
    built = build(changed(observations__tube__close=["opacity"], observations__tube__usual=["left", "base"]))
    assert (built.observations["tube"].close, built.observations["opacity"].close) == ({"opacity"}, {"tube"})
    assert built.observations["tube"].usual == {"left", "base"}


def test_a_degree_in_the_name_of_a_structure_is_none_of_a_phrase_with_it():
    files = changed(structures__heart__names=["small heart"], observations__tube__phrases=["small heart tube"])
    files["modifiers.toml"]["modifiers"]["place"]["base"].append("small heart")
    built = build(files)
    assert built.phrases["small"]["heart"]["tube"][""][2] == ()


def test_an_age_in_a_name_may_say_nothing():
    files = changed(modifiers__descriptor={"old": ["old"]}, observations__opacity__phrases=["old shade"])
    assert build(files).phrases["old"]["shade"][""][2] == (("descriptor", "old"),)
    files["observations/chest.toml"]["observations"]["opacity"]["ageless"] = True
    assert build(files).phrases["old"]["shade"][""][2] == ()


def test_no_acute_may_differ_from_normal():
    built = build(changed(structures__heart__no_acute=["opacity"]))
    assert (built.structures["heart"].normal, built.structures["heart"].no_acute) == (("large_heart",), ("opacity",))


def test_a_combination_may_be_only_possible():
    built = build(changed(observations__large_heart__made_of=["heart + large?"]))
    assert built.combinations == {("heart", "large"): ("large_heart", True)}


def test_a_combination_may_refine_another_observation():
    built = build(changed(observations__pneumonia__made_of=["heart + opacity"]))
    assert built.combinations["heart", "opacity"] == ("pneumonia", False)
    assert built.refined_by_structure == {"opacity"}


def test_misspellings_are_set_right_but_not_to_ordinary_words():
    built = build(FILES)
    assert built.spelling.correct("pnuemonia") == "pneumonia"
    assert built.spelling.correct("opaicty") == "opacity"
    assert built.spelling.correct("opacify") is None


def test_a_cue_has_its_kind_and_states_what_its_table_says():
    built = build(FILES)
    assert built.phrases["no"][""] == ("deny_forward", ("negation",), ())
    assert built.phrases["gone"][""] == ("deny_backward", ("gone",), (("change", "resolved"),))
    assert built.cues["negation"].ended_by == {"turn"}
    assert built.cues["turn"].kind == "end_scope"


def test_a_cue_may_be_a_modifier_too():
    built = build(changed(cues__gone__phrases=["gone", "cleared"], cues__gone__states={}))
    assert built.phrases["cleared"][""] == ("deny_backward", ("gone",), (("change", "resolved"),))


def read_over(text):
    """Return kinds and names of the phrases that are found in a text."""
    return [(item.kind, item.names) for item in items(build(FILES), text)[0]]


def test_a_word_has_another_sense_in_the_company_that_its_sense_names():
    assert read_over("tube") == [("observation", ("tube",))]
    assert read_over("tube of a boiler") == [("read_over", ("hot_tube",))]
    assert read_over("boilers and tube")[1:] == [("observation", ("tube",))]
    assert read_over("pneumonia of prose") == read_over("prose pneumonia") == [("observation", ("opacity",))]
    assert read_over("sky pneumonia") == [("modifier", ())]
    assert read_over("pneumonia of the sky") == [("observation", ("pneumonia",))]


def test_the_company_of_a_word_is_within_six_words_and_in_its_clause():
    assert read_over("tube a b c d e boiler") == [("read_over", ("hot_tube",))]
    assert read_over("tube a b c d e f boiler") == [("observation", ("tube",))]
    for joint in (",", ";", "(", "and", "or", "but", "with"):
        assert ("observation", ("tube",)) in read_over(f"tube {joint} boiler")


def test_a_word_that_has_only_other_senses_says_nothing_without_its_company():
    files = changed(senses__word__phrases=["central"], senses__word__means="large")
    assert [item.kind for item in items(build(files), "central heart")[0]] == ["structure"]
    assert [item.names for item in items(build(files), "prose central")[0]] == [("large",)]


def test_a_sense_without_company_is_always_meant():
    assert read_over("shadow cabinet") == [("read_over", ("shadow_cabinet",))]


def test_a_head_makes_a_name_of_the_observation_before_it():
    assert read_over("pneumonia vaccine") == [("read_over", ("pneumonia",))]
    assert read_over("vaccine, pneumonia")[-1] == ("observation", ("pneumonia",))


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            {"observations__opacity__colour": "red"},
            "observations/chest.toml: observations.opacity: unknown key 'colour'",
        ),
        ({"observations__opacity__label": "Opacity"}, "unknown CheXpert class 'Opacity'.*Did you mean 'Lung Opacity'"),
        ({"observations__opacity__significance": "urgnt"}, "unknown significance 'urgnt'.*Did you mean 'urgent'"),
        ({"observations__opacity__unpaired": 1}, "opacity.unpaired: expected true or false, got 1"),
        ({"observations__opacity__parent": "opacty"}, "unknown observation 'opacty'.*Did you mean 'opacity'"),
        ({"observations__opacity__parent": "pneumonia"}, "its own ancestor, through pneumonia"),
        ({"observations__opacity__parent": "opacity"}, "its own ancestor"),
        ({"observations__tube__proper": ["trachae"]}, "tube.proper: unknown position 'trachae'.*'trachea'"),
        ({"observations__tube__misplaced": ["stomach"]}, "tube.misplaced: unknown position 'stomach'"),
        ({"observations__tube__explains": ["opacty"]}, "tube.explains: unknown observation 'opacty'.*'opacity'"),
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
        ({"senses__word__near": ["two words"]}, "senses.word.near: expected a list of single words"),
        ({"senses__word__means": "opacty"}, "senses.word.means: unknown observation or quality 'opacty'.*'opacity'"),
        ({"senses__word__means": {"place": "bse"}}, "senses.word.means.place: unknown place 'bse'.*'base'"),
        ({"senses__word__nr": ["x"]}, "senses.toml: senses.word: unknown key 'nr'.*'near'"),
        (
            {"senses__shadow_cabinet__phrases": ["opacity"]},
            "'opacity' already belongs to .*observations.opacity.phrase",
        ),
        ({"structures__heart__normal": ["larg_heart"]}, "unknown observation 'larg_heart'.*'large_heart'"),
        ({"structures__heart__no_acute": ["larg_heart"]}, "unknown observation 'larg_heart'"),
        ({"structures__heart__name": ["heart"]}, "anatomy.toml: structures.heart: unknown key 'name'"),
        ({"structures__heart__names": ["opacity"]}, "'opacity' already belongs to .*observations.opacity.phrases"),
        ({"structures__heart__names": ["opacities"]}, "already belongs to"),
        ({"structures__liver": {"names": ["heart"]}}, "'heart' already belongs to anatomy.toml: structures.heart"),
        ({"qualities__large": ["large", "no"]}, "'no' already belongs to anatomy.toml: qualities.large"),
        ({"qualities__large": "large"}, "qualities.large: expected a list of phrases"),
        ({"cues__negation__effect": "denies"}, "cues.negation.effect: unknown effect 'denies'.*Did you mean 'deny'"),
        ({"cues__negation__direction": "next"}, "negation.direction: expected 'forward' or 'backward', got 'next'"),
        ({"cues__turn__direction": "forward"}, "turn.direction: expected none with effect 'end_scope', got 'forward'"),
        ({"cues__negation__ended_by": ["trn"]}, "negation.ended_by: unknown cue that ends a scope 'trn'.*'turn'"),
        ({"cues__negation__ended_by": ["gone"]}, "negation.ended_by: unknown cue that ends a scope 'gone'"),
        ({"cues__negation__ended_by": "turn"}, "negation.ended_by: expected a list of names of cues, got 'turn'"),
        ({"cues__turn__ended_by": ["turn"]}, "turn.ended_by: 'end_scope' does not reach forward"),
        ({"cues__gone__states": {"change": "gone"}}, "gone.states.change: unknown change 'gone'.*known: resolved"),
        ({"cues__gone__states": {"chnge": "resolved"}}, "gone.states: unknown key 'chnge'.*Did you mean 'change'"),
        ({"cues__gone__word": ["gone"]}, "cues.toml: cues.gone: unknown key 'word'"),
        ({"cues__gone": ["gone"]}, "cues.toml: cues.gone: expected a table"),
        ({"cues__lost": {"effect": "verb"}}, "cues.lost.phrases: expected a list of phrases, got None"),
        ({"cues__turn__phrases": ["no"]}, "'no' already belongs to cues.toml: cues.negation.phrases"),
        ({"cues__lost": {"effect": "deny", "direction": "forward", "phrases": ["no"]}}, "'no' already belongs to"),
        ({"modifiers__colour": {"red": ["red"]}}, "modifiers.toml: modifiers: unknown key 'colour'"),
        ({"modifiers__side__both": ["both"]}, "modifiers.side: unknown key 'both'; known: bilateral, left"),
        ({"modifiers__severity__big": ["big"]}, "modifiers.severity: unknown key 'big'"),
        ({"modifiers__number__7": ["seven"]}, "modifiers.number: unknown key '7'"),
        ({"modifiers__place__Base": ["bottom"]}, "modifiers.place.Base: name it in snake_case"),
        ({"modifiers__side__left": "left"}, "modifiers.side.left: expected a list of phrases"),
        ({"within__bse": "lower"}, "within: unknown place 'bse'.*Did you mean 'base'"),
        ({"within__base": "lowr"}, "within: unknown place 'lowr'.*Did you mean 'lower'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_mistake_in_the_files_is_named(paths, message):
    with pytest.raises(ConfigError, match=message):
        build(changed(**paths))


@pytest.mark.parametrize("path", FILES)
def test_an_unknown_table_is_refused(path):
    files = changed()
    files[path]["extras"] = {}
    with pytest.raises(ConfigError, match=f"{path}: unknown key 'extras'"):
        build(files)


def test_an_observation_in_two_files_is_refused():
    files = changed()
    files["observations/other.toml"] = {"observations": {"tube": {"phrases": ["hose"]}}}
    with pytest.raises(
        ConfigError, match=r"other.toml: observations.tube is also in observations/chest.toml; keep one"
    ):
        build(files)
