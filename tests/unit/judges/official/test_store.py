"""Prompts are added from a checkout, as they are, and are never run."""

from __future__ import annotations

import hashlib
import json

import pytest
from tests.published_prompts import CHEXPROMPT, GREEN
from typer.testing import CliRunner

from cxr_rewards import CompositeReward
from cxr_rewards.cli.app import app
from cxr_rewards.errors import ConfigError, CxrRewardsError, MissingDependencyError
from cxr_rewards.judges.official import store
from cxr_rewards.judges.official.green_official import GreenOfficial


def run(*arguments):
    return CliRunner().invoke(app, ["prompts", *map(str, arguments)])


def test_files_are_copied_as_they_are(checkouts):
    files = store.add("green", checkouts["green"])
    kept = store.prompts_folder() / "green" / "utils.py"
    assert kept.read_text() == files.text("utils.py") == GREEN
    assert files.sha256 == {"utils.py": hashlib.sha256(GREEN.encode()).hexdigest()}
    assert files.digest == hashlib.sha256(GREEN.encode()).hexdigest()[:12]
    assert store.load("green") == files
    assert [path.name for path in store.prompts_folder().iterdir()] == ["green"]


@pytest.mark.parametrize("at", ["GREEN", "GREEN/green_score", "GREEN/green_score/utils.py"])
def test_the_checkout_a_folder_in_it_or_the_file_may_be_named(checkouts, tmp_path, at):
    assert store.add("green", tmp_path / at).text("utils.py") == GREEN


def test_a_file_that_is_missing_or_there_twice_is_told(checkouts, tmp_path):
    with pytest.raises(
        ConfigError, match=r"expected one evaluator.py in .*nowhere, a checkout of microsoft/.*found none"
    ):
        store.add("chexprompt", tmp_path / "nowhere")
    twin = checkouts["chexprompt"] / "copy" / "evaluator.py"
    twin.parent.mkdir()
    twin.write_text(CHEXPROMPT)
    with pytest.raises(
        ConfigError, match=r"expected one evaluator.py.*found .*copy/evaluator.py; .*chexprompt/evaluator.py"
    ):
        store.add("chexprompt", checkouts["chexprompt"])
    with pytest.raises(ConfigError, match="unknown judge 'gren'.*Did you mean 'green'"):
        store.add("gren", tmp_path)
    with pytest.raises(
        ConfigError, match=r'crimson: its prompt comes with crimson-score: pip install "cxr_rewards\[crimson\]"'
    ):
        store.add("crimson", tmp_path)


def test_the_published_file_is_found_among_others_by_its_hash(checkouts, monkeypatch):
    twin = checkouts["green"] / "copy" / "green_score" / "utils.py"
    twin.parent.mkdir(parents=True)
    twin.write_bytes(GREEN.replace("Objective", "Aim").replace("\n", "\r\n").encode())
    sha256 = hashlib.sha256(GREEN.replace("Objective", "Aim").encode()).hexdigest()
    changed = store.PUBLISHED["green"]._replace(known={sha256: "commit 1"})
    monkeypatch.setitem(store.PUBLISHED, "green", changed)
    files = store.add("green", checkouts["green"])
    assert files.known_as() == {"utils.py": "commit 1"}
    assert "\r" not in files.text("utils.py")


def test_nothing_of_a_checkout_is_run(checkouts, tmp_path):
    stolen = tmp_path / "stolen"
    source = f"open({str(stolen)!r}, 'w').write('x')\n{GREEN}"
    (checkouts["green"] / "green_score" / "utils.py").write_text(source)
    store.sample(store.add("green", checkouts["green"]))
    assert not stolen.exists()


def test_a_prompt_that_is_not_here_is_an_error_when_the_reward_is_made(checkouts):
    with pytest.raises(
        MissingDependencyError,
        match=r"green: its prompt is not on this machine \(.*lacks utils.py\).*prompts add green",
    ):
        CompositeReward([GreenOfficial(model="m", base_url="http://h/v1")])
    shown = CliRunner().invoke(app, ["show", "green_official"])
    assert shown.exit_code == 0
    assert "needs the prompt of green: absent: green: its prompt is not on this machine" in " ".join(
        shown.output.split()
    )
    store.add("green", checkouts["green"])
    assert (
        f"needs the prompt of green: {store.prompts_folder() / 'green'}"
        in CliRunner().invoke(app, ["show", "green_official"]).output
    )


def test_the_default_folder_is_the_users_data_folder(monkeypatch, tmp_path):
    monkeypatch.delenv(store.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert store.prompts_folder() == tmp_path / "cxr_rewards" / "prompts"


def test_the_commands_add_show_and_list(checkouts):
    added = run("add", "green", checkouts["green"])
    assert added.exit_code == 0
    assert (
        f"green: utils.py: sha256 {hashlib.sha256(GREEN.encode()).hexdigest()}: no version that is known here"
        in added.output
    )
    shown = json.loads(run("show", "green", "--json").output)
    assert list(shown) == ["request"]
    assert "3. Candidate Report:\n    {{candidate}}\n" in shown["request"][0][1]
    assert "--- request: user\nObjective" in run("show", "green").output
    rows = {row["name"]: row for row in json.loads(run("list", "--json").output)}
    assert rows["green"]["here"]
    assert not rows["chexprompt"]["here"]
    assert "prompts add chexprompt" in rows["chexprompt"]["cure"]
    assert "unknown" in run("list").output


def test_verify_tells_what_cannot_be_used(checkouts):
    assert run("verify").exit_code == 0  # of those that are here
    absent = run("verify", "green")
    assert absent.exit_code == 1
    assert "prompts add green" in absent.output
    store.add("green", checkouts["green"])
    assert run("verify", "green").exit_code == 0
    (store.prompts_folder() / "green" / "utils.py").write_text("damaged")
    damaged = run("verify", "green")
    assert damaged.exit_code == 1
    assert "error: 1 of the prompts cannot be used" in damaged.output
    assert isinstance(run("verify", "gren").exception, CxrRewardsError)
