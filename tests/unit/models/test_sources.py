"""Where weights are looked for, and how their content is recognised."""

from __future__ import annotations

import os

import pytest

from cxr_rewards.core.absent import absent_allowed
from cxr_rewards.errors import ModelLoadError
from cxr_rewards.models.sources import Source, files_in, fingerprint, locate, models_folder

FILES = ("config.json", "model.safetensors|pytorch_model.bin", "vocab.txt?")


def fill(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {"config.json": b"{}", "pytorch_model.bin": b"weights", **files}.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("CXR_REWARDS_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def test_alternatives_and_optional_files(tmp_path):
    present, absent = files_in(fill(tmp_path / "a"), FILES)
    assert [path.name for path in present] == ["config.json", "pytorch_model.bin"]
    assert absent == []
    assert files_in(tmp_path / "nowhere", FILES)[1] == ["config.json", "model.safetensors or pytorch_model.bin"]


def test_a_local_folder_is_taken_as_it_is(tmp_path):
    folder = fill(tmp_path / "mine")
    assert locate(Source(str(folder), FILES)) == folder


def test_a_local_folder_that_lacks_files_is_reported(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ModelLoadError, match=r"mine: lacks config.json, model.safetensors or pytorch_model.bin"):
        locate(Source(str(tmp_path / "mine"), FILES))
    with pytest.raises(ModelLoadError, match="there is no such folder"):
        locate(Source(str(tmp_path / "nowhere"), FILES))


def test_the_models_folder_comes_before_the_hub_cache(places):
    cached = fill(places / "hub" / "models--org--name" / "snapshots" / "abc")
    (places / "hub" / "models--org--name" / "refs").mkdir()
    (places / "hub" / "models--org--name" / "refs" / "main").write_text("abc")
    assert locate(Source("org/name", FILES)) == cached
    own = fill(places / "models" / "org--name")
    assert locate(Source("org/name", FILES)) == own


def test_a_short_id_of_the_hub_cache_is_found(places):
    cached = fill(places / "hub" / "models--name" / "snapshots" / "abc")
    assert locate(Source("org/name@abc", FILES)) == cached


def test_a_revision_has_a_folder_of_its_own(places):
    fill(places / "models" / "org--name")
    with pytest.raises(ModelLoadError):
        locate(Source("org/name@v2", FILES))
    assert locate(Source("org/name@v2", FILES)._replace(repo="org/name")) == places / "models" / "org--name"
    pinned = fill(places / "models" / "org--name@v2")
    assert locate(Source("org/name@v2", FILES)) == pinned


def test_absent_weights_are_reported_with_place_file_and_command(places):
    with pytest.raises(ModelLoadError) as caught:
        locate(Source("org/name", FILES))
    message = str(caught.value)
    for part in (
        "org/name: not on this machine",
        "config.json",
        str(places / "models"),
        "cxr-rewards fetch",
        "--to FOLDER",
    ):
        assert part in message


def test_the_default_folder_is_in_the_users_cache(monkeypatch):
    monkeypatch.delenv("CXR_REWARDS_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert str(models_folder()) == "/somewhere/cxr_rewards/models"


def test_a_fingerprint_is_of_the_content_and_not_of_the_place(tmp_path):
    a, b = fill(tmp_path / "a"), fill(tmp_path / "b")
    assert fingerprint([Source(str(a), FILES)]) == fingerprint([Source(str(b), FILES)])
    fill(b, **{"vocab.txt": b"words"})
    assert fingerprint([Source(str(a), FILES)]) != fingerprint([Source(str(b), FILES)])


def test_a_changed_file_in_the_same_place_has_another_fingerprint(tmp_path):
    source = Source(str(fill(tmp_path / "a")), FILES)
    before = fingerprint([source])
    fill(tmp_path / "a", **{"pytorch_model.bin": b"WEIGHTS"})
    os.utime(tmp_path / "a" / "pytorch_model.bin", ns=(1, 1))
    assert fingerprint([source]) != before


def test_large_files_are_told_apart_by_their_blocks(tmp_path):
    size = 10 << 20
    source = Source(str(fill(tmp_path / "a", **{"pytorch_model.bin": bytes(size)})), FILES)
    before = fingerprint([source])
    changed = bytearray(size)
    changed[-100] = 1
    fill(tmp_path / "a", **{"pytorch_model.bin": bytes(changed)})
    assert fingerprint([source]) != before
    fill(tmp_path / "a", **{"pytorch_model.bin": bytes(size + 1)})
    assert fingerprint([source]) != before


def test_a_reward_can_be_looked_at_without_weights(places):
    with absent_allowed():
        assert fingerprint([Source("org/name", FILES)]) == "absent"
    with pytest.raises(ModelLoadError):
        fingerprint([Source("org/name", FILES)])
