"""`load_reward`: a name becomes a reward, wherever that runs."""

from __future__ import annotations

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.errors import ConfigError
from cxr_rewards.remote.http import RemoteReward
from cxr_rewards.remote.load import CONFIG_VARIABLE, load_reward
from cxr_rewards.remote.ray import RayReward
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.reward.composite import load_composite

TOML = "[components.bleu]\nweight = 1.0\n"


def test_a_text_that_ends_in_toml_is_a_path_and_any_other_is_a_preset(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TOML)
    assert list(load_reward(str(path)).components) == ["bleu"]
    assert load_reward("rules").signature == CompositeReward().signature
    with pytest.raises(ConfigError, match="unknown preset 'rulez'"):
        load_reward("rulez")


def test_a_path_is_a_file_whatever_its_name(tmp_path):
    path = tmp_path / "rules"
    path.write_text(TOML)
    assert list(load_composite(path).components) == ["bleu"]


def test_without_a_name_the_environment_decides_and_else_it_is_rules(monkeypatch):
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    assert load_reward().name == "rules"
    monkeypatch.setenv(CONFIG_VARIABLE, "ray:absent")
    with pytest.raises(ConfigError, match="ray:absent: the reward is set up where it runs; leave out cache"):
        load_reward(cache="x")


@pytest.mark.parametrize("cls", [CompositeReward, RemoteReward, RayReward])
def test_rewards_share_the_interface_and_none_derives_from_another(cls):
    others = {CompositeReward, RemoteReward, RayReward} - {cls}
    assert issubclass(cls, BaseReward)
    assert not others & set(cls.__mro__)


def test_a_server_has_its_reward_so_a_remote_one_says_how_to_choose_it():
    with pytest.raises(ConfigError, match=r"cxr-rewards serve --preset unirg.*RemoteReward\(URL\)"):
        RemoteReward.from_preset("unirg", weights={})
    with pytest.raises(ConfigError, match=r"cxr-rewards serve --config my.toml"):
        RemoteReward.from_config("my.toml")
