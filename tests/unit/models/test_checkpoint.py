"""Weights are read without running what a file holds."""

from __future__ import annotations

import io
import os
import tarfile

import pytest
import torch
from safetensors.torch import save_file

from cxr_rewards.errors import ModelLoadError
from cxr_rewards.models.checkpoint import load_config, load_state, load_state_bytes, read_archive, take


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil-was-here",)


def test_both_formats_are_read(tmp_path):
    tensors = {"w": torch.arange(4.0)}
    save_file(tensors, tmp_path / "model.safetensors")
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    for name in ("model.safetensors", "pytorch_model.bin"):
        assert torch.equal(load_state(tmp_path / name)["w"], tensors["w"])


def test_a_file_of_the_old_format_is_read(tmp_path):
    tensors = {"epoch": 3, "w": torch.arange(4.0)}
    torch.save(tensors, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    state = load_state(tmp_path / "old.pth")
    assert state["epoch"] == 3
    assert torch.equal(state["w"], tensors["w"])


@pytest.mark.parametrize("name", ["weights.pth", "model.safetensors"])
def test_code_and_garbage_are_refused(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": Evil()}, tmp_path / name)
    with pytest.raises(ModelLoadError, match=f"{name}: cannot be read as weights"):
        load_state(tmp_path / name)
    assert not (tmp_path / "evil-was-here").exists()
    with pytest.raises(ModelLoadError, match="somewhere: cannot be read as weights"):
        load_state_bytes((tmp_path / name).read_bytes(), "somewhere")


@pytest.mark.parametrize("name", ["weights.pth", "model.safetensors"])
def test_a_file_cut_short_is_reported(tmp_path, name):
    tensors = {"w": torch.zeros(1000)}
    save_file(tensors, tmp_path / name) if name.endswith("safetensors") else torch.save(tensors, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelLoadError, match="Fetch it again"):
        load_state(tmp_path / name)


def test_a_tensor_of_another_model_is_named():
    with pytest.raises(ModelLoadError, match=r"file: w is of shape \(2,\), expected \(3,\): another model\?"):
        take({"w": torch.zeros(2)}, "w", "file", (3,))
    with pytest.raises(ModelLoadError, match="file: v is absent: another model"):
        take({}, "v", "file")


def archive(path, **files):
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_an_archive_is_read_without_unpacking(tmp_path):
    path = archive(tmp_path / "a.tar.gz", **{".__config.json": b"{}", "weights.th": b"w"})
    assert read_archive(path, ("config.json", "weights.th")) == {"config.json": b"{}", "weights.th": b"w"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


def test_a_foreign_or_broken_archive_is_reported(tmp_path):
    path = archive(tmp_path / "a.tar.gz", other=b"")
    with pytest.raises(ModelLoadError, match=r"lacks config.json; it holds"):
        read_archive(path, ("config.json",))
    path = archive(tmp_path / "b.tar.gz", **{"config.json": os.urandom(100_000)})
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(ModelLoadError, match="cannot be read as an archive"):
        read_archive(path, ("config.json",))


def test_a_configuration_that_is_not_json_is_reported(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelLoadError, match=r"config.json: cannot be read as a model's configuration"):
        load_config(tmp_path)
