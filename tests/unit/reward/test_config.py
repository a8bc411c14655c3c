"""TOML to reward: every mistake is answered with its place, its value and the nearest known name."""

from __future__ import annotations

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.cache import SqliteCache
from cxr_rewards.errors import ConfigError
from cxr_rewards.reward.config import load_config, parse_config, preset_names, preset_text
from cxr_rewards.reward.gates import Gate
from cxr_rewards.reward.transforms import Clip, Negate

GOOD = """
name = "mine"
description = "For a test."
on_failure = "renormalize"
max_chars = 5000

[components.findings_f1]
weight = 1

[components.bleu4]
component = "bleu"
weight = 0.5
transform = [{ clip = { high = 0.8 } }]
settings = { max_order = 4 }

[components.repetition]
weight = 0.25
transform = ["negate"]

[components.format]
weight = 0.0

[[gates]]
component = "format"
below = 0.5
cap = -1
"""


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "rewards.toml"
        path.write_text(text)
        return path

    return write


def test_a_file_becomes_the_reward_it_describes(config):
    reward = CompositeReward.from_config(config(GOOD))
    assert list(reward.components) == ["findings_f1", "bleu4", "repetition", "format"]
    assert reward.components["bleu4"].max_order == 4
    assert reward.total.terms["bleu4"].transforms == (Clip(high=0.8),)
    assert reward.total.terms["repetition"].transforms == (Negate(),)
    assert reward.total.gates == (Gate(component="format", below=0.5, cap=-1.0),)
    assert reward.total.on_failure == "renormalize"
    assert reward.name == "mine"
    assert "bleu4" in reward.score("Clear lungs.", "Clear lungs.").parts
    assert "more than max_chars = 5,000" in reward.score("x" * 5001, "Clear lungs.").reasons


def test_overrides_change_a_file(config):
    reward = CompositeReward.from_config(
        config(GOOD),
        weights={"bleu4": 0.1},
        settings={"bleu4": {"max_order": 1}},
        transforms={"bleu4": []},
        gates=[],
        on_failure="unscored",
        cache=None,
    )
    assert reward.total.terms["bleu4"].weight == 0.1
    assert reward.total.terms["bleu4"].transforms == ()
    assert reward.components["bleu4"].max_order == 1
    assert reward.total.gates == ()
    assert reward.total.on_failure == "unscored"


def test_a_cache_named_in_the_file_is_opened(config, tmp_path):
    reward = CompositeReward.from_config(config(f'cache = "{tmp_path}/c.sqlite"\n[components.bleu]\nweight = 1.0\n'))
    with reward.cache as cache:
        assert isinstance(cache, SqliteCache)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("weight = 1\n", "wieght = 1\n"), "components.findings_f1: unknown key 'wieght'; .* Did you mean 'weight'"),
        (("weight = 1\n", ""), r"components\.findings_f1\.weight is missing"),
        (("weight = 1\n", 'weight = "x"\n'), "components.findings_f1.weight: .* got 'x'"),
        (("weight = 1\n", "weight = true\n"), "components.findings_f1.weight: .* got True"),
        (("weight = 1\n", 'weight = "0.5"\n'), "components.findings_f1.weight: .* got '0.5'"),
        (("max_order = 4", "max_order = true"), "bleu: max_order must be a whole number, got True"),
        (("weight = 1\n", "weight = nan\n"), "components.findings_f1.weight: .* got nan"),
        (
            ("[components.findings_f1]", "[components.findigs_f1]"),
            "unknown component 'findigs_f1'; .* mean 'findings_f1'",
        ),
        (('component = "bleu"', 'component = "bleus"'), "components.bleu4: unknown component 'bleus'; .* mean 'bleu'"),
        (("max_order = 4", "max_odrer = 4"), "bleu4: unknown setting of bleu 'max_odrer'; .* mean 'max_order'"),
        (("max_order = 4", "max_order = 9"), "components.bleu4: bleu: max_order must be .* got 9"),
        (
            ("max_order = 4", 'max_order = "four"'),
            "components.bleu4: bleu: max_order must be a whole number, got 'four'",
        ),
        (('"negate"', '"negat"'), "components.repetition.transform: unknown transform 'negat'; .* mean 'negate'"),
        (("high = 0.8", "high = -1"), "bleu4.transform: transform clip: low must be below high = -1.0, got 0.0"),
        (("weight = 0.25", "weight = -0.25"), "repetition: lower values of repetition are better, .* 'negate'"),
        (("below = 0.5", "below = 0.5\nabove = 0.6"), "gate format: give either below or above"),
        (("below = 0.5", "bellow = 0.5"), "gates.0: unknown key 'bellow'; .* Did you mean 'below'"),
        (('component = "format"', 'component = "formt"'), "gates: unknown component 'formt'; .* mean 'format'"),
        (("cap = -1", ""), r"gates\.0\.cap is missing"),
        (('"renormalize"', '"renormalise"'), "on_failure: .* got 'renormalise'"),
        (("max_chars = 5000", "max_chars = 0"), "max_chars: .* got 0"),
        (('name = "mine"', 'nane = "mine"'), "unknown key 'nane'; .* Did you mean 'name'"),
        (('name = "mine"', "name = "), "is not TOML: .*line 2"),
    ],
)
def test_a_mistake_in_a_file_is_answered_with_file_place_and_value(config, change, message):
    assert change[0] in GOOD
    path = config(GOOD.replace(*change, 1))
    with pytest.raises(ConfigError, match=message) as caught:
        CompositeReward.from_config(path)
    assert str(caught.value).startswith(str(path))


def test_all_mistakes_are_reported_at_once(config):
    path = config(GOOD.replace("weight = 1\n", "wait = 1\n").replace("max_chars", "max_char"))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert len(str(caught.value).splitlines()) == 3


def test_an_absent_or_unreadable_file_is_answered_with_its_path(tmp_path):
    with pytest.raises(
        ConfigError, match=r"no.toml: no such file; presets are named without a path: \[.*'judge_only', .*'rules'"
    ):
        load_config(tmp_path / "no.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(ConfigError, match="latin.toml: cannot be read as UTF-8 text"):
        load_config(tmp_path / "latin.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


def test_a_file_without_components_is_refused(config):
    with pytest.raises(ConfigError, match="components is missing"):
        CompositeReward.from_config(config('name = "x"'))
    with pytest.raises(ConfigError, match="a reward needs at least one component"):
        CompositeReward.from_config(config("[components]"))


def test_presets_are_valid_and_unknown_ones_answered():
    for name in preset_names():
        assert parse_config(preset_text(name), name).name == name
        assert parse_config(preset_text(name), name).description
    with pytest.raises(ConfigError, match="unknown preset 'rule'; known: .*rules.* Did you mean 'rules'"):
        CompositeReward.from_preset("rule")
    with pytest.raises(ConfigError, match="unknown override 'wieghts'; .* Did you mean 'weights'"):
        CompositeReward.from_preset("rules", wieghts={})
    with pytest.raises(ConfigError, match="preset rules: weights: unknown component 'blue'; .* mean 'bleu'"):
        CompositeReward.from_preset("rules", weights={"blue": 1.0})


@pytest.mark.parametrize("text", ["x = " + "[" * 100_000, "x = " + "{a = " * 100_000, "a." * 5_000 + "b = 1"])
def test_a_reward_nested_without_end_is_an_error_of_ours(tmp_path, text):
    (tmp_path / "deep.toml").write_text(text)
    with pytest.raises(ConfigError, match="deep.toml"):
        load_config(tmp_path / "deep.toml")
