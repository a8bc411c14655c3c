"""A reward's TOML is data: what it names is run only if whoever reads it says so."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cxr_rewards import CompositeReward
from cxr_rewards.adapters.samples import Samples
from cxr_rewards.adapters.trl import _FromEnvironment
from cxr_rewards.cli.app import app
from cxr_rewards.components.external import External
from cxr_rewards.errors import ConfigError
from cxr_rewards.recipes.checks import reward_of
from cxr_rewards.recipes.grpo_verl import overrides as verl_overrides
from cxr_rewards.recipes.settings import load_settings
from cxr_rewards.remote.load import load_reward
from cxr_rewards.remote.ray import _Scorer
from cxr_rewards.reward.config import features_of
from cxr_rewards.server.run import serve
from cxr_rewards.server.settings import ServeSettings

MODULE = "named_by_a_toml"


@pytest.fixture
def toml(tmp_path, monkeypatch):
    """A reward that names a function whose module leaves a mark when it is imported."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / f"{MODULE}.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"
        "def score(candidates, references):\n    return [0.5] * len(candidates)\n"
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    path = tmp_path / "reward.toml"
    path.write_text(
        f'[components.mine]\ncomponent = "external"\nweight = 1.0\n'
        f'settings = {{ metric = "{MODULE}:score", low = 0.0, high = 1.0 }}\n'
    )
    return str(path)


WAYS = {
    "from_config": CompositeReward.from_config,
    "load_reward": load_reward,
    "samples": lambda path, **allow: Samples(config=path, unscored=-1.0, **allow),
    "ray actor": lambda path, **allow: _Scorer(path, allow),
    "fetch": features_of,
    "recipe": lambda path, **allow: reward_of({"config": path}, **allow),
    "verl recipe": lambda path, **allow: verl_overrides(
        {**load_settings("unirg_step1"), "reward": {"config": path}}, Path("out"), **allow
    ),
    "override": lambda path, **allow: CompositeReward.from_config(
        path, settings={"mine": {"metric": f"{MODULE}:score", "revision": "2"}}, **allow
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_code_that_a_toml_names_is_run_only_if_it_is_allowed(toml, tmp_path, way):
    with pytest.raises(ConfigError) as caught:
        WAYS[way](toml)
    for part in (
        "reward.toml: components.mine",
        f"settings.metric = '{MODULE}:score'",
        "allow_code=True",
        "--allow-code",
    ):
        assert part in str(caught.value)
    assert not (tmp_path / "code" / "ran").exists()
    WAYS[way](toml, allow_code=True)


def test_a_toml_cannot_allow_itself(toml, tmp_path):
    with pytest.raises(ConfigError, match="settings.metric"):  # nor can a recipe's
        reward_of({"config": toml, "allow_code": True})
    path = tmp_path / "reward.toml"
    path.write_text("allow_code = true\n" + path.read_text())
    with pytest.raises(ConfigError, match="unknown key 'allow_code'"):
        CompositeReward.from_config(path)


@pytest.mark.parametrize("odd", ["yes", 1, None, "false"])
def test_only_true_allows(toml, odd):
    with pytest.raises(ConfigError, match="allow_code must be true or false"):
        CompositeReward.from_config(toml, allow_code=odd)


def test_the_environment_of_a_trainer_allows_by_its_options_alone(toml, monkeypatch):
    monkeypatch.setenv("CXR_REWARDS_CONFIG", toml)
    given = {"prompts": ["p"], "completions": ["Clear."], "reference": ["Clear."]}
    with pytest.raises(ConfigError, match="allow_code"):
        _FromEnvironment()(**given)
    monkeypatch.setenv("CXR_REWARDS_OPTIONS", json.dumps({"allow_code": True}))
    assert _FromEnvironment()(**given) == [0.5]


def test_a_server_refuses_code_before_it_listens(toml):
    with pytest.raises(ConfigError, match="allow_code"):
        serve(toml, ServeSettings())


def test_every_command_that_reads_a_toml_asks_for_the_option(toml, tmp_path):
    table = tmp_path / "in.csv"
    table.write_text("candidate,reference\nClear.,Clear.\n")
    commands = [
        ["score", str(table), "-o", str(tmp_path / "out.csv"), "--config", toml],
        ["explain", "--candidate", "Clear.", "--reference", "Clear.", "--config", toml],
        ["warm", str(table), "--config", toml, "--cache", str(tmp_path / "c.sqlite")],
        ["show", toml],
        ["fetch", toml],
    ]
    for command in commands:
        refused = CliRunner().invoke(app, command)
        assert "--allow-code" in str(refused.exception), command
        assert not (tmp_path / "code" / "ran").exists()
    for command in commands:
        done = CliRunner().invoke(app, [*command, "--allow-code"])
        assert done.exit_code == 0, (command, done.output, done.exception)
    refused = CliRunner().invoke(app, ["serve", "--config", toml])
    assert "--allow-code" in str(refused.exception)


def test_names_that_are_known_ask_for_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("cxr_rewards.components.external.check_metric", lambda *_: None)
    path = tmp_path / "reward.toml"

    def build(metric, options="{}"):
        path.write_text(
            f'[components.bleu]\nweight = 1.0\n[components.other]\ncomponent = "external"\nweight = 1.0\n'
            f"settings = {{ metric = '{metric}', options = '{options}' }}\n"
        )
        return CompositeReward.from_config(path)

    build("radeval:bleu")
    build("radeval:radgraph/partial", '{"order": 2, "all": true, "none": null}')
    for metric, options in [
        ("radeval.metrics:bleu", "{}"),
        ("RadEval:bleu", "{}"),
        ("pty:spawn", "{}"),
        ("radeval:green", '{"model_name": "someone/model"}'),
        ("radeval:green", '{"more": ["someone/model"]}'),
    ]:
        with pytest.raises(ConfigError, match="allow_code"):
            build(metric, options)


def test_python_code_that_makes_a_component_asks_for_nothing():
    reward = CompositeReward({"mine": External(metric="operator:countOf")})
    assert "mine" in reward.components
